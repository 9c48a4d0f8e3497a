// The functions that code compiled with -fsanitize=thread calls before each access: here they come by, instead of in the sanitizer's library.
#include "watch.hpp"

using emulator::Access;

// ---------------------------------------------------------------- loads and stores

#define WATCHED(bytes, alignment)                                                                                      \
  void __tsan_read##bytes(void* p) { emulator::watch_aligned(p, bytes, alignment, Access::read); }                     \
  void __tsan_write##bytes(void* p) { emulator::watch_aligned(p, bytes, alignment, Access::write); }                   \
  void __tsan_unaligned_read##bytes(void* p) { emulator::watch(p, bytes, Access::read); }                              \
  void __tsan_unaligned_write##bytes(void* p) { emulator::watch(p, bytes, Access::write); }                            \
  void __tsan_volatile_read##bytes(void* p) { emulator::watch_aligned(p, bytes, alignment, Access::read); }            \
  void __tsan_volatile_write##bytes(void* p) { emulator::watch_aligned(p, bytes, alignment, Access::write); }          \
  void __tsan_unaligned_volatile_read##bytes(void* p) { emulator::watch(p, bytes, Access::read); }                     \
  void __tsan_unaligned_volatile_write##bytes(void* p) { emulator::watch(p, bytes, Access::write); }                   \
  void __tsan_read_write##bytes(void* p) { __tsan_read##bytes(p), __tsan_write##bytes(p); }                            \
  void __tsan_unaligned_read_write##bytes(void* p) { __tsan_unaligned_read##bytes(p), __tsan_unaligned_write##bytes(p); }

extern "C" {

WATCHED(1, 1)
WATCHED(2, 2)
WATCHED(4, 4)
WATCHED(8, 8)
WATCHED(16, 8)                                           // the compiler promises no more for what it moves as two

void __tsan_read_range(void* p, std::size_t bytes) { emulator::watch(p, bytes, Access::read); }
void __tsan_write_range(void* p, std::size_t bytes) { emulator::watch(p, bytes, Access::write); }
void __tsan_vptr_update(void** p, void*) { emulator::watch(p, sizeof *p, Access::write); }
void __tsan_vptr_read(void** p) { emulator::watch(p, sizeof *p, Access::read); }

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_ignore_thread_begin() {}
void __tsan_ignore_thread_end() {}
void __tsan_acquire(void*) {}
void __tsan_release(void*) {}

void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  emulator::watch(from, bytes, Access::read);
  emulator::watch(to, bytes, Access::write);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  emulator::watch(from, bytes, Access::read);
  emulator::watch(to, bytes, Access::write);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  emulator::watch(to, bytes, Access::write);
  return std::memset(to, value, bytes);
}

}  // extern "C"

// ---------------------------------------------------------------- atomics: all in the strongest order, which is right for each

namespace {

/// p, of which an atomic access is about to be made.
template <class T>
T* seen(T* p) { return emulator::watch(p, sizeof(T), Access::atomic), p; }

constexpr int strongest = __ATOMIC_SEQ_CST;

}  // namespace

extern "C" {

#define FETCHED(bits, T, name) \
  T __tsan_atomic##bits##_fetch_##name(volatile T* p, T x, int) { return __atomic_fetch_##name(seen(p), x, strongest); }

#define ATOMIC(bits, T)                                                                                                \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(seen(p), strongest); }               \
  void __tsan_atomic##bits##_store(volatile T* p, T x, int) { __atomic_store_n(seen(p), x, strongest); }               \
  T __tsan_atomic##bits##_exchange(volatile T* p, T x, int) { return __atomic_exchange_n(seen(p), x, strongest); }     \
  FETCHED(bits, T, add) FETCHED(bits, T, sub) FETCHED(bits, T, and)                                                    \
  FETCHED(bits, T, or) FETCHED(bits, T, xor) FETCHED(bits, T, nand)                                                    \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* old, T x, int, int) {                            \
    return __atomic_compare_exchange_n(seen(p), old, x, false, strongest, strongest);                                  \
  }                                                                                                                    \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* old, T x, int, int) {                              \
    return __atomic_compare_exchange_n(seen(p), old, x, true, strongest, strongest);                                   \
  }                                                                                                                    \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T old, T x, int, int) {                                  \
    __atomic_compare_exchange_n(seen(p), &old, x, false, strongest, strongest);                                        \
    return old;                                                                                                        \
  }

ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
