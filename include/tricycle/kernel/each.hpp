// Skeleton 1 of 4: the same small function at every index.
#pragma once
#include <algorithm>
#include "tricycle/core/device.hpp"
#include "tricycle/core/row.hpp"
#include "tricycle/kernel/launch.hpp"
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

#ifdef TRICYCLE_CUDA
namespace detail {

/// On a GPU each thread has one pack, or one number.
template <class F>
struct EachOnGpu {
  static constexpr int threads = 256;
  Index n;
  F f;
  TRICYCLE_HD void operator()() const {
    constexpr Index mine = is_wide<F> ? lanes : 1;       // not `width`: the host's registers may be wider than the GPU's
    Index from = (gpu::block() * threads + gpu::thread()) * mine;
    if (from < n) loop<is_wide<F>>(from, from + mine < n ? from + mine : n, f);
  }
};

/// f at the pack, or the number, that begins at `from` of rows of n: 16 bytes at once of rows that are aligned, else a Tail,
/// which here may have all lanes.
template <bool wide, class F>
TRICYCLE_HD void at_piece(Index from, Index n, bool aligned, F f) {
  if constexpr (!wide) f(from);
  else if (aligned && from + lanes <= n) f(Aligned{{from}});
  else f(Tail{from, from + lanes <= n ? lanes : static_cast<int>(n - from)});
}

}  // namespace detail
#endif

/// f(0), f(1), ... f(n - 1), in no particular order, where `device` keeps its numbers.
template <class F>
void each(Device device, Index n, F f) {
  (void)device;
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return gpu::launch(device, kernel::split(n, detail::EachOnGpu<F>::threads * (is_wide<F> ? gpu_lanes : 1)), detail::EachOnGpu<F>{n, f});
#endif
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
