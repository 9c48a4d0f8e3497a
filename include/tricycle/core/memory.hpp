// Host memory: 64-byte aligned blocks, kept by the thread that frees them and handed out again.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <new>
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

/// Free blocks by size class: four classes to each doubling, so at most a quarter of a block is wasted.
class Cache {
 public:
  Cache() = default;
  Cache(const Cache&) = delete;
  ~Cache() {
    for (int c = 0; c < classes; ++c)
      while (Block* block = free_[c]) free_[c] = block->next, ::operator delete(block, std::align_val_t{alignment});
  }

  void* take(std::size_t bytes) {
    int c = size_class(bytes);
    outstanding_ += static_cast<std::ptrdiff_t>(class_bytes(c));
    peak_ = (std::max)(peak_, outstanding_);
    if (Block* block = free_[c]) {
      free_[c] = block->next;
      cached_ -= static_cast<std::ptrdiff_t>(class_bytes(c));
      return block;
    }
    return ::operator new(class_bytes(c), std::align_val_t{alignment});
  }

  /// A thread that only frees what others made keeps little; one that runs a training loop keeps what a step needs.
  void give(void* block, std::size_t bytes) {
    int c = size_class(bytes);
    auto size = static_cast<std::ptrdiff_t>(class_bytes(c));
    outstanding_ -= size;
    if (!caching || cached_ + size > (std::max)(peak_, keep_at_least)) return ::operator delete(block, std::align_val_t{alignment});
    cached_ += size;
    free_[c] = ::new (block) Block{free_[c]};
  }

 private:
  struct Block { Block* next; };
  static constexpr int classes = 256;
  static constexpr std::ptrdiff_t keep_at_least = 64 << 20;

  static int size_class(std::size_t bytes) {
    if (bytes <= alignment) return 0;
    int doubling = static_cast<int>(std::bit_width(bytes - 1)) - 7;   // (64, 128] is doubling 0
    if (doubling == 0) return 1;                               // a quarter of it would break the alignment
    if (doubling == 1) return bytes <= 192 ? 2 : 3;
    return 4 * doubling - 4 + static_cast<int>((bytes - 1) >> (doubling + 4) & 3);
  }
  static std::size_t class_bytes(int c) {
    if (c < 4) return alignment * static_cast<std::size_t>(c + 1);
    return std::size_t(5 + c % 4) << (c / 4 + 5);
  }

  Block* free_[classes]{};
  std::ptrdiff_t cached_ = 0, outstanding_ = 0, peak_ = 0;
};

/// This thread's cache, or null once the thread has torn it down (a tensor with static storage may live longer).
inline Cache* thread_cache() {
  thread_local bool gone = false;
  struct Owner {
    Cache cache;
    ~Owner() { gone = true; }
  };
  if (gone) return nullptr;
  thread_local Owner owner;
  return &owner.cache;
}

inline void* allocate(std::size_t bytes) {
  // What a cache hands out it rounds up, so a block may end in any thread's cache, or in none.
  if (Cache* cache = thread_cache()) return cache->take(bytes);
  return Cache().take(bytes);
}

inline void release(void* block, std::size_t bytes) noexcept {
  if (Cache* cache = thread_cache()) cache->give(block, bytes);
  else ::operator delete(block, std::align_val_t{alignment});
}

/// For std::allocate_shared and containers: tape nodes and storages come from the same cache as the numbers.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U> Allocator(const Allocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(memory::allocate(n * sizeof(T))); }
  void deallocate(T* block, std::size_t n) noexcept { memory::release(block, n * sizeof(T)); }
  template <class U> bool operator==(const Allocator<U>&) const { return true; }
};

}  // namespace memory
}
}  // namespace tricycle
