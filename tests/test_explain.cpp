// Tools that look at a graph: explain(), Graphviz, and anomaly mode.
#include <thread>
#include <iostream>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;
using Catch::Matchers::Contains;

// ---------------------------------------------------------------- explain

TEST_CASE("a graph is explained line by line, what is shared once") {
  auto x = to_tensor({{1, 2, 3}, {4, 5, 6}}).named("x"), y = to_tensor({1, 2, 3}), one = to_tensor(1, {.requires_grad = false});
  auto shared = exp(x * 2.0);
  auto loss = sum(shared * y + shared + one);
  std::cout << explain(loss) << to_graphviz(loss);
}
TEST_CASE("z") {
  GPT<bf16> model({.vocab_size = 11, .context_window = 8, .embedding_dim = 8, .n_heads = 2, .n_layers = 1, .bias = true});
  model.name_parameters();
  auto loss = model.loss(to_tensor<int>({{1, 2, 3}}), to_tensor<int>({{1, 2, 3}}));
  std::cout << explain(loss);
  DetectAnomaly here;
  auto x = to_tensor({1, 2}).named("x");
  auto p = split(x, 2);
  std::cout << refusal([&] { exp(p[0] * 1000.0); });
  std::cout << refusal([&] { sqrt(p[0] * 0.0).backward(); });
}
