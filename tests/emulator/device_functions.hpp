// What a kernel may call: barriers, shuffles, votes and atomics.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace emulator {

enum class Barrier { plain, any, all, count };
int block_barrier(Barrier, int predicate);
void warp_barrier(unsigned mask);

enum class Shuffle { index, up, down, exclusive };
std::uint64_t shuffle(Shuffle, unsigned mask, std::uint64_t value, unsigned by, int width);

enum class Vote { ballot, any, all };
unsigned vote(Vote, unsigned mask, int predicate);
unsigned active_mask();
void fence();

/// The access is checked, and no other thread comes between what is read and what is written.
void atomic_access(const void* p, std::size_t bytes);

template <class T>
T shuffled(Shuffle how, unsigned mask, T value, unsigned by, int width) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "a shuffle moves 4 or 8 bytes");
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<T>(static_cast<Bits>(shuffle(how, mask, std::bit_cast<Bits>(value), by, width)));
}

/// *p = f(*p), and what was there before.
template <class T, class F>
__attribute__((no_sanitize("thread"))) T atomically(T* p, F f) {
  atomic_access(p, sizeof(T));
  T was = *p;
  *p = f(was);
  return was;
}

}  // namespace emulator

inline void __syncthreads() { emulator::block_barrier(emulator::Barrier::plain, 0); }
inline int __syncthreads_or(int predicate) { return emulator::block_barrier(emulator::Barrier::any, predicate); }
inline int __syncthreads_and(int predicate) { return emulator::block_barrier(emulator::Barrier::all, predicate); }
inline int __syncthreads_count(int predicate) { return emulator::block_barrier(emulator::Barrier::count, predicate); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::warp_barrier(mask); }

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::index, mask, value, static_cast<unsigned>(lane), width);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::up, mask, value, by, width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::down, mask, value, by, width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::exclusive, mask, value, static_cast<unsigned>(by), width);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) { return emulator::vote(emulator::Vote::ballot, mask, predicate); }
inline int __any_sync(unsigned mask, int predicate) { return int(emulator::vote(emulator::Vote::any, mask, predicate)); }
inline int __all_sync(unsigned mask, int predicate) { return int(emulator::vote(emulator::Vote::all, mask, predicate)); }
inline unsigned __activemask() { return emulator::active_mask(); }

inline void __threadfence() { emulator::fence(); }
inline void __threadfence_block() {}
inline void __threadfence_system() { emulator::fence(); }

// An overload for each type that CUDA has one for, so that what does not compile there does not compile here.
#define TRICYCLE_EMULATED_ATOMIC(name, T, what) \
  inline T name(T* p, T x) { return emulator::atomically(p, [x](T was) -> T { return what; }); }
TRICYCLE_EMULATED_ATOMIC(atomicAdd, int, static_cast<int>(static_cast<unsigned>(was) + static_cast<unsigned>(x)))
TRICYCLE_EMULATED_ATOMIC(atomicAdd, unsigned, was + x)
TRICYCLE_EMULATED_ATOMIC(atomicAdd, unsigned long long, was + x)
TRICYCLE_EMULATED_ATOMIC(atomicAdd, float, was + x)
TRICYCLE_EMULATED_ATOMIC(atomicAdd, double, was + x)
TRICYCLE_EMULATED_ATOMIC(atomicMax, int, was < x ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMax, unsigned, was < x ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMax, long long, was < x ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMax, unsigned long long, was < x ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMin, int, x < was ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMin, unsigned, x < was ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMin, long long, x < was ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicMin, unsigned long long, x < was ? x : was)
TRICYCLE_EMULATED_ATOMIC(atomicExch, int, (static_cast<void>(was), x))
TRICYCLE_EMULATED_ATOMIC(atomicExch, unsigned, (static_cast<void>(was), x))
TRICYCLE_EMULATED_ATOMIC(atomicExch, unsigned long long, (static_cast<void>(was), x))
TRICYCLE_EMULATED_ATOMIC(atomicExch, float, (static_cast<void>(was), x))
TRICYCLE_EMULATED_ATOMIC(atomicOr, int, was | x)
TRICYCLE_EMULATED_ATOMIC(atomicOr, unsigned, was | x)
TRICYCLE_EMULATED_ATOMIC(atomicOr, unsigned long long, was | x)
TRICYCLE_EMULATED_ATOMIC(atomicAnd, int, was & x)
TRICYCLE_EMULATED_ATOMIC(atomicAnd, unsigned, was & x)
TRICYCLE_EMULATED_ATOMIC(atomicAnd, unsigned long long, was & x)
#undef TRICYCLE_EMULATED_ATOMIC

#define TRICYCLE_EMULATED_CAS(T) \
  inline T atomicCAS(T* p, T old, T x) { return emulator::atomically(p, [old, x](T was) -> T { return was == old ? x : was; }); }
TRICYCLE_EMULATED_CAS(int)
TRICYCLE_EMULATED_CAS(unsigned)
TRICYCLE_EMULATED_CAS(unsigned long long)
#undef TRICYCLE_EMULATED_CAS
