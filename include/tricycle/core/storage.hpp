// A block of numbers on a device, and how often they were changed.
#pragma once
#include <atomic>
#include <cstring>
#include <limits>
#include <memory>
#include "tricycle/core/device.hpp"
#include "tricycle/core/dtype.hpp"
#include "tricycle/core/gpu_transfer.hpp"
#include "tricycle/core/memory.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Made by make_storage(), on the CPU with the numbers behind it, from the next aligned address on; or to see numbers that lie
/// in memory of someone else's.
template <Element T>
class Storage {
 public:
  Storage(Device device, std::size_t bytes) : data_(reinterpret_cast<T*>(memory::aligned(reinterpret_cast<std::uintptr_t>(this + 1)))), device_(device) {
#ifdef TRICYCLE_CUDA
    if (device.is_cpu()) return;
    block_ = gpu::allocate(bytes, device);
    data_ = static_cast<T*>(block_.at);
#else
    (void)bytes;
#endif
  }
  /// Numbers on the CPU that are there already, as long as `owner` is alive. What is only to be read is never written to.
  Storage(T* numbers, std::shared_ptr<const void> owner, bool only_to_read) : data_(numbers), device_(Device::cpu), read_only_(only_to_read), owner_(std::move(owner)) {}
  ~Storage() {
#ifdef TRICYCLE_CUDA
    if (block_.at) gpu::release(std::move(block_));
#endif
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  T* data() const { return data_; }
  Device device() const { return device_; }
  bool read_only() const { return read_only_; }

  /// Raised by every in-place write, so that a gradient can tell that the numbers it needs are gone.
  std::uint64_t version = 0;

 private:
  T* data_;
  Device device_;
  bool read_only_ = false;
  std::shared_ptr<const void> owner_;
#ifdef TRICYCLE_CUDA
  gpu::Block block_;
#endif
};

/// `size` uninitialised numbers. Throws when they cannot be had.
template <Element T>
std::shared_ptr<Storage<T>> make_storage(Index size, Device device) {
#ifndef TRICYCLE_CUDA
  check(device.is_cpu(), "storage: ", device, " was asked for, but this program was built for the CPU alone: compile it with nvcc, or link tricycle::cuda");
#endif
  check(size <= (std::numeric_limits<Index>::max)() / Index{sizeof(T)},
        "storage: ", size, " numbers of ", sizeof(T), " bytes are more than memory can address");
  std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
  try {
    return std::allocate_shared<Storage<T>>(memory::RoomyAllocator<Storage<T>>(device.is_cpu() ? bytes : 0), device, bytes);
  } catch (const std::bad_alloc&) {
    fail("storage: out of memory: ", bytes, " bytes were asked for");
  }
}

/// Wait until this thread's work on a device is done; on the CPU it always is. Throws what a kernel has found wrong: an id out
/// of range, a gradient that is not finite.
inline void synchronise([[maybe_unused]] Device device) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) gpu::synchronise(device);
#endif
}

/// How often captured steps were begun, ended or run. They write to tensors behind the back of their versions, so what is
/// derived from a tensor and kept must be made anew when this has changed.
TRICYCLE_PROCESS_WIDE inline std::atomic<std::uint64_t>& replay_count() {
  static std::atomic<std::uint64_t> count = 0;
  return count;
}
inline std::uint64_t replays() { return replay_count().load(std::memory_order_relaxed); }

/// Copy numbers from one device to another, or within one; on the CPU the places may overlap. From a GPU to the CPU it waits for
/// what comes before.
inline void copy_bytes(void* to, Device there, const void* from, Device here, std::size_t bytes) {
#ifdef TRICYCLE_CUDA
  if (!there.is_cpu() && !here.is_cpu()) return gpu::copy_across(to, there, from, here, bytes);
  if (!there.is_cpu()) return gpu::upload(to, from, bytes, there);
  if (!here.is_cpu()) return gpu::download(to, from, bytes, here);
#endif
  (void)there, (void)here;
  if (bytes > 0) std::memmove(to, from, bytes);
}

}
}  // namespace tricycle
