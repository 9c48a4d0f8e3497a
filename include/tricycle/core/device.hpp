// Which memory holds a tensor's numbers, and so where they are crunched.
#pragma once
#include <ostream>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The CPU, or one of the GPUs that CUDA shows, counted from 0.
struct Device {
  int gpu = -1;

  static const Device cpu;
  static constexpr Device cuda(int index = 0) { return {index}; }

  constexpr bool is_cpu() const { return gpu < 0; }
  constexpr bool operator==(const Device&) const = default;

  friend std::ostream& operator<<(std::ostream& out, Device device) {
    if (device.is_cpu()) return out << "cpu";
    return out << "cuda:" << device.gpu;
  }
};
inline constexpr Device Device::cpu{};

}
}  // namespace tricycle
