// A block of numbers on a device, and how often they were changed.
#pragma once
#include <limits>
#include <memory>
#include "tricycle/core/device.hpp"
#include "tricycle/core/dtype.hpp"
#include "tricycle/core/memory.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Made by make_storage() alone, which leaves room for the numbers behind it: at the next aligned address.
template <Element T>
class Storage {
 public:
  explicit Storage(Device device) : data_(reinterpret_cast<T*>(memory::aligned(reinterpret_cast<std::uintptr_t>(this + 1)))), device_(device) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  T* data() const { return data_; }
  Device device() const { return device_; }

  /// Raised by every in-place write, so that a gradient can tell that the numbers it needs are gone.
  std::uint64_t version = 0;

 private:
  T* data_;
  Device device_;
};

/// `size` uninitialised numbers. Throws when they cannot be had.
template <Element T>
std::shared_ptr<Storage<T>> make_storage(Index size, Device device) {
  check(device == Device::cpu, "storage: ", device, " was asked for, but this version computes on the CPU only");
  check(size <= (std::numeric_limits<Index>::max)() / Index{sizeof(T)},
        "storage: ", size, " numbers of ", sizeof(T), " bytes are more than memory can address");
  std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
  try {
    return std::allocate_shared<Storage<T>>(memory::RoomyAllocator<Storage<T>>(bytes), device);
  } catch (const std::bad_alloc&) {
    fail("storage: out of memory: ", bytes, " bytes were asked for");
  }
}

}
}  // namespace tricycle
