// Host memory: 64-byte aligned blocks, kept by the thread that frees them and handed out again.
// (A step of training then asks the system for nothing, and a tape's small parts lie side by side.)
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace memory {

inline constexpr std::size_t alignment = 64;

// A cache would hide a use after free from AddressSanitizer.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool caching = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool caching = false;
#else
inline constexpr bool caching = true;
#endif
#else
inline constexpr bool caching = true;
#endif

struct Block { Block* next; };

// Blocks come in size classes: four to each doubling, so at most a quarter of a block is wasted.
inline constexpr int classes = 256, small_classes = 12;  // a small block is of 1 KiB or less

constexpr int size_class(std::size_t bytes) {
  if (bytes <= alignment) return 0;
  int doubling = static_cast<int>(std::bit_width(bytes - 1)) - 7;     // (64, 128] is doubling 0
  if (doubling == 0) return 1;                           // a quarter of it would break the alignment
  if (doubling == 1) return bytes <= 192 ? 2 : 3;
  return 4 * doubling - 4 + static_cast<int>((bytes - 1) >> (doubling + 4) & 3);
}
constexpr std::size_t class_bytes(int c) {
  if (c < 4) return alignment * static_cast<std::size_t>(c + 1);
  return std::size_t(5 + c % 4) << (c / 4 + 5);
}

/// The small blocks that threads have left behind, for any thread to take. Never destroyed, as tensors with static
/// storage may be later.
class Stock {
 public:
  TRICYCLE_PROCESS_WIDE static Stock& instance() {
    static Stock& stock = *new Stock;
    return stock;
  }
  Block* take(int c) {
    std::lock_guard lock(mutex_);
    return free_[c] ? std::exchange(free_[c], free_[c]->next) : nullptr;
  }
  void give(Block* block, int c) {
    std::lock_guard lock(mutex_);
    block->next = std::exchange(free_[c], block);
  }

 private:
  std::mutex mutex_;
  Block* free_[small_classes]{};
};

/// The free blocks of one thread. Small ones are cut from slabs and never go back to the system.
class Cache {
 public:
  Cache() = default;
  Cache(const Cache&) = delete;
  ~Cache() { clear(); }

  /// Throws std::bad_alloc when there is no memory, not even without what is cached here.
  void* take(std::size_t bytes) {
    int c = size_class(bytes);
    void* block = free_[c] ? pop(c) : !caching || c >= small_classes ? from_system(class_bytes(c)) : small(c);
    outstanding_ += class_bytes(c);
    peak_ = (std::max)(peak_, outstanding_);
    return block;
  }

  /// A thread that only frees what others made keeps little; one that runs a training loop keeps all that a step needs,
  /// which is more than its peak, as blocks of one class do not serve another. What no longer fits was for other shapes.
  void give(void* block, std::size_t bytes) {
    int c = size_class(bytes);
    outstanding_ -= (std::min)(outstanding_, class_bytes(c));
    if (!caching) return ::operator delete(block, std::align_val_t{alignment});
    if (cached_ + class_bytes(c) > (std::max)(2 * peak_, keep_at_least)) clear();
    push(block, c);
  }

 private:
  static constexpr std::size_t keep_at_least = 64 << 20, slab = 64 << 10;

  void push(void* block, int c) {
    free_[c] = ::new (block) Block{free_[c]};
    cached_ += class_bytes(c);
  }
  Block* pop(int c) {
    cached_ -= class_bytes(c);
    return std::exchange(free_[c], free_[c]->next);
  }
  void clear() {
    for (int c = 0; c < classes; ++c)
      while (free_[c])
        if (c < small_classes) Stock::instance().give(pop(c), c);
        else ::operator delete(pop(c), std::align_val_t{alignment});
  }

  void* from_system(std::size_t size) {
    if (void* block = ::operator new(size, std::align_val_t{alignment}, std::nothrow)) return block;
    clear();
    return ::operator new(size, std::align_val_t{alignment});
  }
  void* small(int c) {
    if (Block* block = Stock::instance().take(c)) return block;
    auto* first = static_cast<std::byte*>(from_system(slab));
    for (std::size_t i = slab / class_bytes(c); --i > 0;) push(first + i * class_bytes(c), c);
    return first;
  }

  Block* free_[classes]{};
  std::size_t cached_ = 0, outstanding_ = 0, peak_ = 0;  // in bytes
};

/// This thread's cache, or null once the thread has torn it down (a tensor with static storage may live longer).
TRICYCLE_PROCESS_WIDE inline Cache* thread_cache() {
  thread_local bool gone = false;
  struct Owner {
    Cache cache;
    ~Owner() { gone = true; }
  };
  if (gone) return nullptr;
  thread_local Owner owner;
  return &owner.cache;
}

// Any thread may release what another has allocated, even one that is gone.
inline void* allocate(std::size_t bytes) {
  if (Cache* cache = thread_cache()) return cache->take(bytes);
  return Cache().take(bytes);
}
inline void release(void* block, std::size_t bytes) noexcept {
  if (Cache* cache = thread_cache()) cache->give(block, bytes);
  else Cache().give(block, bytes);
}

/// The next address or size that is a multiple of `alignment`.
constexpr std::uintptr_t aligned(std::uintptr_t n) { return (n + alignment - 1) / alignment * alignment; }

/// For std::allocate_shared and containers.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U> Allocator(const Allocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(memory::allocate(n * sizeof(T))); }
  void deallocate(T* block, std::size_t n) noexcept { memory::release(block, n * sizeof(T)); }
  template <class U> bool operator==(const Allocator<U>&) const { return true; }
};

/// The same, with room for `behind` bytes behind each block, from the next aligned address on.
template <class T>
struct RoomyAllocator {
  using value_type = T;
  std::size_t behind;
  explicit RoomyAllocator(std::size_t bytes) : behind(bytes) {}
  template <class U> RoomyAllocator(const RoomyAllocator<U>& other) : behind(other.behind) {}
  T* allocate(std::size_t n) { return static_cast<T*>(memory::allocate(aligned(n * sizeof(T)) + behind)); }
  void deallocate(T* block, std::size_t n) noexcept { memory::release(block, aligned(n * sizeof(T)) + behind); }
  template <class U> bool operator==(const RoomyAllocator<U>& other) const { return behind == other.behind; }
};

/// What inherits from this and is made with `new` comes from the cache too.
struct Cached {
  static void* operator new(std::size_t bytes) { return memory::allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { memory::release(block, bytes); }
};

}  // namespace memory
}
}  // namespace tricycle
