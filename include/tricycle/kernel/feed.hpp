// Numbers that the host works out anew each time a kernel is run with them, also by a captured step.
#pragma once
#include <type_traits>
#include "tricycle/core/gpu_memory.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// A number for a kernel: as it was when the kernel was started; in a captured step, as it is at each run of that step.
template <class N>
struct Fed {
  N value{};
  const N* at = nullptr;                                 // in the GPU's memory, where the step puts it before it runs
  TRICYCLE_HD N get() const { return at ? *at : value; }
};

/// f() as a number for kernels. While a step is captured, f is kept instead, and called at each run; what it refers to must
/// live as long as the step.
template <class F>
auto feed(Device device, F f) -> Fed<std::invoke_result_t<F>> {
#ifdef TRICYCLE_CUDA
  using N = std::invoke_result_t<F>;
  static_assert(std::is_trivially_copyable_v<N>);
  if (!device.is_cpu())
    if (auto* capture = gpu::context(device).capture) return {N{}, static_cast<const N*>(capture->feed(sizeof(N), [f](void* to) { *static_cast<N*>(to) = f(); }))};
#endif
  (void)device;
  return {f()};
}

}  // namespace kernel

namespace detail {

/// Is what this thread asks of a device recorded, rather than done?
inline bool is_captured(Device device) {
#ifdef TRICYCLE_CUDA
  return !device.is_cpu() && gpu::context(device).capture != nullptr;
#else
  return (void)device, false;
#endif
}

}  // namespace detail
}
}  // namespace tricycle
