// A block of numbers on a device, and how often they were changed.
#pragma once
#include <limits>
#include <memory>
#include "tricycle/core/device.hpp"
#include "tricycle/core/dtype.hpp"
#include "tricycle/core/memory.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

template <Element T>
class Storage {
 public:
  /// `size` uninitialised numbers. Throws when they cannot be had.
  Storage(Index size, Device device) : size_(size), device_(device) {
    check(device == Device::cpu, "storage: ", device, " was asked for, but this version computes on the CPU only");
    check(size <= std::numeric_limits<Index>::max() / Index{sizeof(T)}, "storage: ", size, " numbers of ", sizeof(T), " bytes are more than memory can address");
    try {
      data_ = static_cast<T*>(memory::allocate(bytes()));
    } catch (const std::bad_alloc&) {
      fail("storage: out of memory: ", bytes(), " bytes were asked for");
    }
  }
  ~Storage() { memory::release(data_, bytes()); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  T* data() const { return data_; }
  Index size() const { return size_; }
  Device device() const { return device_; }

  /// Raised by every in-place write, so that a gradient can tell that the numbers it needs are gone.
  std::uint64_t version = 0;

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  T* data_ = nullptr;
  Index size_;
  Device device_;
};

template <Element T>
std::shared_ptr<Storage<T>> make_storage(Index size, Device device) {
  return std::allocate_shared<Storage<T>>(memory::Allocator<Storage<T>>{}, size, device);
}

}
}  // namespace tricycle
