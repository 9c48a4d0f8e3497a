// The one place that starts a kernel.
#pragma once
#include <string_view>
#include "tricycle/kernel/intrinsics.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {

/// How many blocks of a kernel a multiprocessor should have room for, at least: that limits the registers of each thread. 0 if
/// the kernel does not say; then the compiler decides.
template <class F>
inline constexpr int together = [] {
  if constexpr (requires { F::together; }) return F::together;
  else return 0;
}();

/// Every kernel is a functor: its members are the arguments, `threads` of a block run its operator().
template <class F>
__global__ void __launch_bounds__(F::threads, together<F>) entry(const __grid_constant__ F f) { f(); }

/// How a type is spelt, for errors. (Without RTTI, which a user may have switched off.)
template <class F>
constexpr std::string_view type_name() {
  std::string_view all = __PRETTY_FUNCTION__;
  auto from = all.find("F = ");
  return from == all.npos ? all : all.substr(from + 4, all.find_first_of(";]", from) - from - 4);
}

/// Run f by `blocks` (and `blocks_y` in a second direction) blocks on this thread's stream. Throws when it does not start.
template <class F>
void launch(Device device, Index blocks, const F& f, std::size_t shared_bytes = 0, Index blocks_y = 1) {
  if (blocks == 0 || blocks_y == 0) return;
  tricycle::check(blocks <= 0x7fffffff && blocks_y <= 65535, "cuda: ", type_name<F>(), ": ", blocks, " by ", blocks_y, " blocks are more than a launch can have");
  Context& here = context(device);
  Use on(device);
  if (shared_bytes > 48 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(entry<F>), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)), type_name<F>());
  F argument = f;
  void* arguments[] = {&argument};
  dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(blocks_y), 1), threads(static_cast<unsigned>(F::threads), 1, 1);
  check(cudaLaunchKernel(entry<F>, grid, threads, arguments, shared_bytes, here.stream), "starting ", type_name<F>());
}

}  // namespace gpu
}
}  // namespace tricycle
#endif
