// Which memory holds a tensor's numbers, and so where they are crunched.
#pragma once
#include <optional>
#include <ostream>
#include <string_view>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The CPU, or one of the GPUs that CUDA shows, counted from 0.
struct Device {
  int gpu = -1;

  static const Device cpu;
  static constexpr Device cuda(int index = 0) { return {index}; }

  /// "cpu", "cuda" (the first GPU) or "cuda:N"; nothing for any other text.
  static constexpr std::optional<Device> named(std::string_view text) {
    if (text == "cpu") return Device{};
    if (text == "cuda") return cuda();
    if (!text.starts_with("cuda:") || text.size() < 6 || text.size() > 8) return std::nullopt;
    int index = 0;
    for (char c : text.substr(5)) {
      if (c < '0' || c > '9') return std::nullopt;
      index = 10 * index + (c - '0');
    }
    return cuda(index);
  }

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
