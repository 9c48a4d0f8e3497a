// Who owns a row: on the host a loop over packs, on a GPU a warp or a block of threads. A formula cannot tell.
#pragma once
#include "tricycle/core/math.hpp"
#include "tricycle/kernel/each.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {
namespace detail {

// What the numbers of a row are joined by.
struct Plus {
  TRICYCLE_HD auto operator()(auto a, auto b) const { return a + b; }
};
struct Times {
  TRICYCLE_HD auto operator()(auto a, auto b) const { return a * b; }
};
struct Larger {
  TRICYCLE_HD auto operator()(auto a, auto b) const { return math::max(a, b); }
};

/// What every team can do with what `Derived` can: fold(f, neutral, join), the join of all f(i).
template <class Derived, bool wide>
struct Reductions {
  /// The sum of f(i), in an order that the shape alone decides and that loses few digits.
  template <class F>
  TRICYCLE_HD auto sum(F&& f) const { return self().fold(f, decltype(f(Index{}) + f(Index{}))(0), Plus{}); }

  /// The product of f(i), likewise.
  template <class F>
  TRICYCLE_HD auto product(F&& f) const { return self().fold(f, decltype(f(Index{}) * f(Index{}))(1), Times{}); }

  /// The largest f(i); NaN when any is; the lowest number there is when the row is empty.
  template <class F>
  TRICYCLE_HD auto max(F&& f) const {
    using R = decltype(f(Index{}) + f(Index{}));
    return self().fold(f, -R(__builtin_huge_valf()), Larger{});
  }

 private:
  TRICYCLE_HD const Derived& self() const { return static_cast<const Derived&>(*this); }
};

template <class Join> TRICYCLE_HD auto total(Pack x, Join join) { return horizontal(x, join); }
template <class R, class Join> TRICYCLE_HD R total(R x, Join) { return x; }

}  // namespace detail

/// Row `index`, of `n` numbers. `wide`: are the formula's lambdas handed Lanes and Tail, or one Index at a time?
template <bool wide>
struct Team : detail::Reductions<Team<wide>, wide> {
  Index index, n;
  TRICYCLE_HD Team(Index i, Index size) : index(i), n(size) {}

  /// f(i) for every i of the row.
  template <class F>
  TRICYCLE_HD void each(F&& f) const { loop<wide>(0, n, f); }

  /// f() by one of the team: what is written once.
  template <class F>
  TRICYCLE_HD void once(F&& f) const { f(); }

  /// The first i that no other is better than, by better(i, j); 0 in an empty row.
  template <class F>
  TRICYCLE_HD Index best(F&& better) const {
    Index found = 0;
    for (Index i = 1; i < n; ++i)
      if (better(i, found)) found = i;
    return found;
  }

  /// Joined in pairs, so that the error of a sum grows with the logarithm of n. (Higham, "The accuracy of floating point
  /// summation", 1993.)
  template <class F, class R, class Join>
  TRICYCLE_HD auto fold(F& f, R neutral, Join join) const { return detail::total(pairwise(0, n, f, neutral, join), join); }

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
};

#ifdef TRICYCLE_CUDA
/// The same by `size` threads of a GPU, a warp or less of one, or a whole block: each has every size-th pack, and what they have is joined
/// in pairs. All of them must call what the formula calls. `aligned`: do all rows that a wide formula reads and writes begin at
/// 16 bytes? Then its lambdas are handed Aligned instead of Lanes. (`can_align`: may that be? If not, no code is made for it.)
template <bool wide, int size, bool can_align = false>
struct GpuTeam : detail::Reductions<GpuTeam<wide, size, can_align>, wide> {
  Index index, n;
  bool aligned;
  TRICYCLE_HD GpuTeam(Index i, Index numbers, bool is_aligned = false) : index(i), n(numbers), aligned(is_aligned) {}

  template <class F>
  TRICYCLE_HD void each(F&& f) const {
    constexpr Index mine = wide ? lanes : 1;
    if constexpr (wide && can_align)
      if (aligned) {
        for (Index i = member() * lanes; i < whole(); i += size * lanes) f(Aligned{{i}});
        if (has_tail()) f(tail());
        return;
      }
    for (Index i = member() * mine; i < n; i += size * mine) loop<wide>(i, i + mine < n ? i + mine : n, f);
  }

  template <class F>
  TRICYCLE_HD void once(F&& f) const {
    if (member() == 0) f();
  }

  template <class F>
  TRICYCLE_HD Index best(F&& better) const {
    Index found = member() < n ? member() : 0;
    for (Index i = found + size; i < n; i += size)
      if (better(i, found)) found = i;
    return among_all(found, [&](Index a, Index b) { return n == 0 || a == b || better(a, b) || (!better(b, a) && a < b) ? a : b; });
  }

  template <class F, class R, class Join>
  TRICYCLE_HD R fold(F& f, R neutral, Join join) const {
    using Number = std::conditional_t<wide, Pack, R>;
    Number mine(neutral);
    if constexpr (wide && can_align)
      if (aligned) {
        constexpr Index step = size * lanes, at_once = 4;        // so many are on their way before the first must be there
        for (Index i = member() * lanes; i < whole(); i += at_once * step) {
          Number part[at_once];
          for (Index k = 0; k < at_once; ++k) part[k] = f(Aligned{{i + k * step < whole() ? i + k * step : i}});
          mine = join(mine, part[0]);
          for (Index k = 1; k < at_once; ++k)
            if (i + k * step < whole()) mine = join(mine, part[k]);
        }
        if (has_tail()) mine = join(mine, within(tail(), f(tail()), Number(neutral)));
        return among_all(detail::total(mine, join), join);
      }
    each([&](auto i) { mine = join(mine, within(i, f(i), Number(neutral))); });
    return among_all(detail::total(mine, join), join);
  }

 private:
  TRICYCLE_HD static int member() { return gpu::thread() % size; }
  /// The numbers that make whole packs; what is left of them; and is that for this thread?
  TRICYCLE_HD Index whole() const { return n / lanes * lanes; }
  TRICYCLE_HD Tail tail() const { return {whole(), static_cast<int>(n - whole())}; }
  TRICYCLE_HD bool has_tail() const { return whole() < n && whole() / lanes % size == member(); }

  /// x of all members joined, the same for each of them.
  template <class R, class Join>
  TRICYCLE_HD static R among_all(R x, Join join) {
    constexpr int in_warp = size < gpu::warp ? size : gpu::warp;
    const unsigned mine = (~0u >> (gpu::warp - in_warp)) << gpu::thread() % gpu::warp / in_warp * in_warp;
    for (int hop = in_warp / 2; hop > 0; hop /= 2) x = join(x, gpu::from_lane_across(x, hop, mine));
    if constexpr (size > gpu::warp) {                    // then a number of each warp
      R* of_warp = gpu::shared<R>();
      gpu::barrier();                                    // the last use of this memory is over
      if (gpu::thread() % gpu::warp == 0) of_warp[gpu::thread() / gpu::warp] = x;
      gpu::barrier();
      x = of_warp[0];
      for (int w = 1; w < size / gpu::warp; ++w) x = join(x, of_warp[w]);
    }
    return x;
  }
};
#endif

}  // namespace kernel
}
}  // namespace tricycle
