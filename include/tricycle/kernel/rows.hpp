// Skeleton 2 of 4: the same small function on every row, by a team that can add up.
#pragma once
#include "tricycle/kernel/team.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

#ifdef TRICYCLE_CUDA
namespace detail {

/// Can all rows of F begin at 16 bytes? It says when they do.
template <class F> inline constexpr bool can_align = requires(const F& f, Index n) { f.aligned(n); };

/// On a GPU a block has one long row, or a short one for each of its warps; or for each `F::team` threads, if F says that its rows
/// are shorter still. A long row gets so many threads that few are under way: what is read of it again is in the cache.
template <class F, int team>
struct RowsOnGpu {
  static constexpr int threads = team > gpu::warp ? team : 256, together = team > gpu::warp ? 1 : gpu::together<F>;
  static constexpr std::size_t shared_bytes = team > gpu::warp ? threads / gpu::warp * sizeof(double) : 0;
  Index count, n;
  bool aligned;
  F f;
  TRICYCLE_HD void operator()() const {
    Index row = gpu::block() * (threads / team) + gpu::thread() / team;
    if (row < count) f(GpuTeam<is_wide<F>, team, can_align<F>>(row, n, aligned));
  }
};

template <int team, class F>
void rows_on_gpu(Device device, Index count, Index n, const F& f) {
  using Kernel = RowsOnGpu<F, team>;
  bool aligned = false;
  if constexpr (can_align<F>) aligned = f.aligned(n);
  gpu::launch(device, kernel::split(count, Kernel::threads / team), Kernel{count, n, aligned, f}, Kernel::shared_bytes);
}

/// Rows up to this long are a warp's, longer ones that of so many threads.
inline constexpr Index short_row = 4096;
inline constexpr int long_team = 512;

}  // namespace detail
#endif

/// f(team) for each of `count` rows of `n`, where `device` keeps its numbers. A wide f may say f.aligned(n): do all of its rows
/// begin at 16 bytes?
template <class F>
void rows(Device device, Index count, Index n, F f) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) {
    if constexpr (requires { F::team; }) return detail::rows_on_gpu<F::team>(device, count, n, f);
    else return n <= detail::short_row ? detail::rows_on_gpu<gpu::warp>(device, count, n, f) : detail::rows_on_gpu<detail::long_team>(device, count, n, f);
  }
#endif
  (void)device;
  auto some = [&](Index from, Index to) {
    F local = f;
    for (Index r = from; r < to; ++r) local(Team<is_wide<F>>(r, n));
  };
  if (count <= 1 || count * n < serial_below()) return some(0, count);
  Index each_task = (std::max)(Index{1}, grain / (std::max)(Index{1}, n));
  parallel((count + each_task - 1) / each_task, [&](Index task) { some(task * each_task, (std::min)((task + 1) * each_task, count)); });
}

}  // namespace kernel
}
}  // namespace tricycle
