// One model for several threads.
#include <thread>
#include "catch.hpp"
#include "tricycle/nn/layers.hpp"
#include "tricycle/tensor/create.hpp"

using namespace tricycle;

TEST_CASE("one model serves several threads at once under NoGrad") {
  seed(8);
  const Sequential model{Dense(8, 32, {.bias = true}), LayerNorm(32), GeLU(), Dense(32, 8)};           // its casts to 16 bits are made once, by whoever comes first
  const auto x = cast<bf16>(normal({3, 4, 8}));
  std::vector<std::vector<bf16>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : results)
      threads.emplace_back([&] {
        NoGrad guard;
        mine = model(x).to_vector();
      });
  }
  for (auto& mine : results)
    for (std::size_t i = 0; i < mine.size(); ++i) CHECK(mine[i].bits == results[0][i].bits);
}
