// Skeleton 1 of 4: the same small function at every index.
#pragma once
#include <algorithm>
#include "tricycle/core/device.hpp"
#include "tricycle/core/pack.hpp"
#include "tricycle/kernel/threads.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// A functor that says `wide` takes Lanes and Tail, and works on Packs; another takes one Index at a time.
template <class F>
inline constexpr bool is_wide = [] {
  if constexpr (requires { F::wide; }) return F::wide;
  else return false;
}();

/// f at every index from `from` to `to`: a pack at a time where f is wide, the last short ones as a padded pack.
TRICYCLE_HOST_CALLS template <bool wide, class F>
TRICYCLE_HD void loop(Index from, Index to, F&& f) {
  if constexpr (wide) {
    for (; from + lanes <= to; from += lanes) f(Lanes{from});
    if (from < to) f(Tail{from, static_cast<int>(to - from)});
  } else {
    for (; from < to; ++from) f(from);
  }
}

/// How many numbers make a task of their own: enough to be worth waking a thread for. A multiple of any pack.
inline constexpr Index grain = 8192;

/// f(0), f(1), ... f(n - 1), in no particular order, where `device` keeps its numbers.
template <class F>
void each(Device, Index n, F f) {
  auto chunk = [&](Index from, Index to) {
    F local = f;                                         // on the stack: what f writes cannot be f itself
    loop<is_wide<F>>(from, to, local);
  };
  if (n < serial_below()) chunk(0, n);
  else parallel((n + grain - 1) / grain, [&](Index task) { chunk(task * grain, (std::min)((task + 1) * grain, n)); });
}

}  // namespace kernel
}
}  // namespace tricycle
