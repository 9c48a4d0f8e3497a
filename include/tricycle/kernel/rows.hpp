// Skeleton 2 of 4: the same small function on every row, by a team that can add up.
// A team owns one row: here it is a loop over packs, and a formula cannot tell.
#pragma once
#include "tricycle/core/math.hpp"
#include "tricycle/kernel/each.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// Row `index`, of `n` numbers. `wide`: are the formula's lambdas handed Lanes and Tail, or one Index at a time?
template <bool wide>
struct Team {
  Index index, n;

  /// f(i) for every i of the row.
  template <class F>
  TRICYCLE_HD void each(F&& f) const { loop<wide>(0, n, f); }

  /// The sum of f(i), added in pairs, so that its error grows with the logarithm of n. (Higham, "The accuracy of floating
  /// point summation", 1993.)
  template <class F>
  TRICYCLE_HD auto sum(F&& f) const {
    auto add = [](auto a, auto b) { return a + b; };
    return total(pairwise(0, n, f, decltype(f(Index{}) + f(Index{}))(0), add), add);
  }

  /// The largest f(i); NaN when any is; the lowest number there is when the row is empty.
  template <class F>
  TRICYCLE_HD auto max(F&& f) const {
    using R = decltype(f(Index{}) + f(Index{}));
    auto larger = [](auto a, auto b) { return math::max(a, b); };
    return total(pairwise(0, n, f, -R(__builtin_huge_valf()), larger), larger);
  }

 private:
  template <class F, class R, class Join>
  TRICYCLE_HD static std::conditional_t<wide, Pack, R> pairwise(Index from, Index to, F& f, R neutral, Join join) {
    constexpr Index step = wide ? lanes : 1, block = 64 * step;
    if (to - from > block) {
      Index middle = from + ((to - from) / 2 + step - 1) / step * step;
      return join(pairwise(from, middle, f, neutral, join), pairwise(middle, to, f, neutral, join));
    }
    using Number = std::conditional_t<wide, Pack, R>;
    Number a(neutral), b(neutral), c(neutral), d(neutral);   // four at once: an addition takes four cycles to be ready
    auto at = [](Index i) { if constexpr (wide) return Lanes{i}; else return i; };
    for (; from + 4 * step <= to; from += 4 * step) {
      a = join(a, f(at(from)));
      b = join(b, f(at(from + step)));
      c = join(c, f(at(from + 2 * step)));
      d = join(d, f(at(from + 3 * step)));
    }
    loop<wide>(from, to, [&](auto i) { a = join(a, within(i, f(i), Number(neutral))); });
    return join(join(a, b), join(c, d));
  }

  template <class Join> TRICYCLE_HD static auto total(Pack x, Join join) { return horizontal(x, join); }
  template <class R, class Join> TRICYCLE_HD static R total(R x, Join) { return x; }
};

/// f(team) for each of `count` rows of `n`, where `device` keeps its numbers.
template <class F>
void rows(Device, Index count, Index n, F f) {
  auto some = [&](Index from, Index to) {
    F local = f;
    for (Index r = from; r < to; ++r) local(Team<is_wide<F>>{r, n});
  };
  if (count <= 1 || count * n < serial_below()) return some(0, count);
  Index each_task = (std::max)(Index{1}, grain / (std::max)(Index{1}, n));
  parallel((count + each_task - 1) / each_task, [&](Index task) { some(task * each_task, (std::min)((task + 1) * each_task, count)); });
}

}  // namespace kernel
}
}  // namespace tricycle
