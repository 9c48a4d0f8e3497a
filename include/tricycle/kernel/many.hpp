// The skeletons each and rows over many tensors: on a GPU all of them in one launch.
#pragma once
#include <vector>
#include "tricycle/kernel/rows.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// Functors of one kind, each with rows of its own: f(team) for `count` rows of `n`; or, without rows, f(i) for `n` indices.
template <class F>
struct Share {
  Index count, n;
  F f;
  Index first_block = 0;                                 // on a GPU
};

#ifdef TRICYCLE_CUDA
namespace detail {

/// Each block finds whose share it has a part of.
template <class F, bool by_rows>
struct ManyOnGpu {
  static constexpr int threads = 256;
  static constexpr std::size_t shared_bytes = by_rows ? RowsOnGpu<F, threads>::shared_bytes : 0;
  const Share<F>* shares;
  int n_shares;
  TRICYCLE_HD void operator()() const {
    int mine = 0;
    for (int above = n_shares; above - mine > 1;) {
      int middle = mine + (above - mine) / 2;
      (shares[middle].first_block <= gpu::block() ? mine : above) = middle;
    }
    const Share<F>& share = shares[mine];
    Index block = gpu::block() - share.first_block;
    if constexpr (by_rows) share.f(GpuTeam<is_wide<F>, threads>(block, share.n));
    else {
      constexpr Index width = is_wide<F> ? lanes : 1;
      Index from = (block * threads + gpu::thread()) * width;
      if (from < share.n) loop<is_wide<F>>(from, from + width < share.n ? from + width : share.n, share.f);
    }
  }
};

template <bool by_rows, class F>
void many_on_gpu(Device device, std::vector<Share<F>> shares) {
  using Kernel = ManyOnGpu<F, by_rows>;
  Index blocks = 0;
  for (auto& share : shares) {
    share.first_block = blocks;
    blocks += by_rows ? share.count : kernel::split(share.n, Kernel::threads * (is_wide<F> ? gpu_lanes : 1));
  }
  gpu::Scratch<Share<F>> there(static_cast<Index>(shares.size()), device);
  gpu::upload(there.data(), shares.data(), shares.size() * sizeof(Share<F>), device);
  gpu::launch(device, blocks, Kernel{there.data(), static_cast<int>(shares.size())}, Kernel::shared_bytes);
}

}  // namespace detail
#endif

/// f(i) for every index of every share. Shares without any are left out.
template <class F>
void each_of(Device device, std::vector<Share<F>> shares) {
  std::erase_if(shares, [](auto& share) { return share.n == 0; });
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return detail::many_on_gpu<false>(device, std::move(shares));
#endif
  for (auto& share : shares) each(device, share.n, share.f);
}

/// f(team) for every row of every share.
template <class F>
void rows_of(Device device, std::vector<Share<F>> shares) {
  std::erase_if(shares, [](auto& share) { return share.count == 0; });
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return detail::many_on_gpu<true>(device, std::move(shares));
#endif
  for (auto& share : shares) rows(device, share.count, share.n, share.f);
}

}  // namespace kernel
}
}  // namespace tricycle
