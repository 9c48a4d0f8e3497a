// Rows added up by ids on a GPU: the right sums, and the same bits however the threads run.
#include <random>
#include "../catch.hpp"
#include "tricycle/kernel/scatter.hpp"
#include "tricycle/tensor/create.hpp"

using namespace tricycle;

namespace {

const Device gpu_0 = Device::cuda(0);

/// Numbers of all digits and of many sizes: in another order their sum has other bits.
template <class T>
std::vector<T> rough_numbers(Index n, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<T> x(static_cast<std::size_t>(n));
  for (auto& v : x) v = static_cast<T>(static_cast<compute<T>>(std::ldexp(normal(random), static_cast<int>(random() % 16))));
  return x;
}

template <class T>
Tensor<T> there(const std::vector<T>& x) {
  Tensor<T> y(Shape{static_cast<Index>(x.size())}, Device::cpu);
  std::copy(x.begin(), x.end(), y.mutable_data());
  return y.to_gpu();
}

}  // namespace

TEMPLATE_TEST_CASE("rows are added up by their ids, in one order", "[scatter]", float, tricycle::bf16, double) {
  using R = compute<TestType>;
  struct Case { Index count, table, n; };
  std::mt19937_64 random(1);
  for (const Case& c : {Case{1, 1, 1}, {31, 3, 5}, {33, 1, 8}, {64, 2, 16}, {257, 300, 7}, {1000, 1, 8}, {1000, 3, 13}, {2049, 65, 20}, {4099, 2, 8}, {0, 5, 3}, {9, 4, 0}}) {
    const auto [count, table, n] = c;
    INFO(count << " rows of " << n << " into " << table);
    std::vector<std::uint16_t> ids(static_cast<std::size_t>(count));
    for (auto& id : ids) id = static_cast<std::uint16_t>(std::min(random(), random()) % static_cast<unsigned long>(table));
    const auto x = rough_numbers<TestType>(count * n + 1, random);
    const auto before = rough_numbers<R>(table * n, random);
    const auto ids_there = there(ids);
    const auto x_there = there(x);
    for (Index offset : {0, 1})                          // the second time nothing is aligned
      for (bool add : {false, true}) {
        auto sums = [&] {
          auto out = there(before);
          kernel::scatter_rows<TestType>(gpu_0, c.count, c.n, c.table, ids_there.data(), x_there.data() + offset, {out.mutable_data(), add});
          return out.to_vector();
        };
        const auto found = sums();
        std::vector<double> wanted(before.size()), sizes(before.size());
        for (std::size_t i = 0; i < before.size(); ++i) sizes[i] = std::abs(wanted[i] = add ? double(before[i]) : 0);
        for (Index r = 0; r < count; ++r)
          for (Index i = 0; i < n; ++i) {
            auto at = static_cast<std::size_t>(ids[static_cast<std::size_t>(r)] * n + i);
            const auto number = static_cast<double>(static_cast<R>(x[static_cast<std::size_t>(r * n + i + offset)]));
            wanted[at] += number, sizes[at] += std::abs(number);
          }
        double worst = 0;
        for (std::size_t i = 0; i < before.size(); ++i) worst = std::max(worst, std::abs(double(found[i]) - wanted[i]) / std::max(sizes[i], 1e-300));
        CHECK(worst < (sizeof(R) == 4 ? 5e-7 : 1e-15));
        for (int again = 0; again < 2; ++again) CHECK(sums() == found);
      }
  }
}
