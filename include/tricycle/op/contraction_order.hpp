// In which order several tensors are contracted, two at a time: the cheapest order for a few, a good one for many.
#pragma once
#include <map>
#include <span>
#include <vector>
#include "tricycle/op/subscript.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// One step: tensors `a` and `b` become one. The operands are counted first, then what each step makes.
struct Step {
  int a, b;
  bool operator==(const Step&) const = default;
};

/// How many numbers labels stand for, roughly: it cannot overflow.
inline double volume(LabelSet labels, std::span<const Index> extents) {
  double n = 1;
  for_each(labels, [&](std::size_t l) { n *= static_cast<double>(extents[l]); });
  return n;
}

/// What a step costs: its multiplications, and every number that it reads or writes. Moving a number takes as long as some
/// sixteen multiplications in a product of matrices.
inline double step_cost(LabelSet a, LabelSet b, LabelSet result, std::span<const Index> extents) {
  return volume(a | b, extents) + 16 * (volume(a, extents) + volume(b, extents) + volume(result, extents));
}

/// The cheapest of all orders: the best way to make each set of operands, from the best ways to make its two parts.
inline std::vector<Step> cheapest_order(std::span<const LabelSet> in, LabelSet out, std::span<const Index> extents) {
  const std::size_t n = in.size(), sets = std::size_t{1} << n;
  std::vector<LabelSet> any(sets), left(sets);           // the labels of a set of operands; those that are needed after it is contracted
  std::vector<double> cost(sets);
  std::vector<std::size_t> part(sets);
  for (std::size_t s = 1; s < sets; ++s) any[s] = any[s & (s - 1)] | in[static_cast<std::size_t>(std::countr_zero(s))];
  for (std::size_t s = 1; s < sets; ++s) {
    left[s] = any[s] & (out | any[sets - 1 - s]);
    const std::size_t first = s & (~s + 1);
    if (s == first) continue;
    cost[s] = std::numeric_limits<double>::infinity();
    for (std::size_t p = (s - 1) & s; p > 0; p = (p - 1) & s) {
      if (!(p & first)) continue;                        // its other half will do
      const double here = cost[p] + cost[s - p] + step_cost(left[p], left[s - p], left[s], extents);
      if (part[s] == 0 || here < cost[s]) cost[s] = here, part[s] = p;
    }
  }
  std::vector<Step> steps;
  auto make = [&](auto& self, std::size_t s) -> int {
    if (part[s] == 0) return std::countr_zero(s);
    const int a = self(self, part[s]), b = self(self, s - part[s]);
    steps.push_back({a, b});
    return static_cast<int>(n + steps.size() - 1);
  };
  make(make, sets - 1);
  return steps;
}

/// Always the two whose product takes up the least memory beyond their own; the cheaper ones if there are several.
inline std::vector<Step> greedy_order(std::span<const LabelSet> in, LabelSet out, std::span<const Index> extents) {
  struct Item { int number; LabelSet labels; };
  std::vector<Item> items;
  LabelSet once = 0, twice = 0;
  for (LabelSet labels : in) twice |= once & labels, once |= labels;
  for (LabelSet labels : in) items.push_back({static_cast<int>(items.size()), labels & (out | twice)});
  std::vector<Step> steps;
  while (items.size() > 1) {
    std::size_t best_i = 0, best_j = 0;
    double least = 0, cheapest = 0;
    LabelSet made = 0;
    for (std::size_t i = 0; i < items.size(); ++i)
      for (std::size_t j = i + 1; j < items.size(); ++j) {
        LabelSet others = out;
        for (std::size_t k = 0; k < items.size(); ++k)
          if (k != i && k != j) others |= items[k].labels;
        const LabelSet a = items[i].labels, b = items[j].labels, result = (a | b) & others;
        const double grows = volume(result, extents) - volume(a, extents) - volume(b, extents), cost = step_cost(a, b, result, extents);
        if (best_j == 0 || grows < least || (grows == least && cost < cheapest)) best_i = i, best_j = j, least = grows, cheapest = cost, made = result;
      }
    steps.push_back({items[best_i].number, items[best_j].number});
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(best_j));
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(best_i));
    items.push_back({static_cast<int>(in.size() + steps.size()) - 1, made});
  }
  return steps;
}

inline constexpr std::size_t few_operands = 8;           // 3^8 / 2 pairs of parts are looked at in a tenth of a millisecond

/// The order for these operands and extents: worked out when they are first met, then remembered, by each thread.
inline const std::vector<Step>& contraction_order(std::span<const LabelSet> in, LabelSet out, std::span<const Index> extents) {
  thread_local std::map<std::vector<std::uint64_t>, std::vector<Step>> known;
  std::vector<std::uint64_t> key(in.begin(), in.end());
  key.push_back(out);
  LabelSet all = 0;
  for (LabelSet labels : in) all |= labels;
  for_each(all, [&](std::size_t l) { key.push_back(static_cast<std::uint64_t>(extents[l])); });
  if (auto found = known.find(key); found != known.end()) return found->second;
  if (known.size() >= 1000) known.clear();
  return known[std::move(key)] = in.size() <= few_operands ? cheapest_order(in, out, extents) : greedy_order(in, out, extents);
}

}  // namespace detail
}
}  // namespace tricycle
