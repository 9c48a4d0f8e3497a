// Which memory holds a tensor's numbers, and so where they are crunched.
#pragma once
#include <ostream>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

enum class Device { cpu, cuda };

inline std::ostream& operator<<(std::ostream& out, Device device) { return out << (device == Device::cpu ? "cpu" : "cuda"); }

}
}  // namespace tricycle
