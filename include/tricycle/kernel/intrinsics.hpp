// What only a GPU can do, each thing under one name: who am I, wait for each other, exchange numbers. Nothing else calls
// CUDA's own functions for device code. tests/emulator has the twins of what is PTX here.
#pragma once
#include "tricycle/core/gpu_memory.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpu {

inline constexpr int warp = 32;                          // threads that go in step

// The host calls none of these; for it they are only declared, so that what is built of them can be marked TRICYCLE_HD.
#if defined(TRICYCLE_GPU_CODE)
TRICYCLE_HD inline int thread() { return static_cast<int>(threadIdx.x); }
TRICYCLE_HD inline Index block() { return static_cast<Index>(blockIdx.x); }
TRICYCLE_HD inline int block_y() { return static_cast<int>(blockIdx.y); }

/// Until every thread of the block, or of the warp, is here, and has seen what the others wrote.
TRICYCLE_HD inline void barrier() { __syncthreads(); }
TRICYCLE_HD inline void warp_barrier() { __syncwarp(); }

/// What another thread of the warp gives as x.
template <class N> TRICYCLE_HD N from_lane_across(N x, int hop) { return __shfl_xor_sync(0xffffffffu, x, hop); }
template <class N> TRICYCLE_HD N from_lane(N x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }

/// Add to a number that other threads add to as well; returns what it was. For integers alone: their sum has no order.
TRICYCLE_HD inline int add_among_threads(int* to, int x) { return atomicAdd(to, x); }
/// Write `x` over 0; true for the one thread that did.
TRICYCLE_HD inline bool claim(int* to, int x) { return atomicCAS(to, 0, x) == 0; }
#else
TRICYCLE_HD inline int thread() { return 0; }
TRICYCLE_HD inline Index block() { return 0; }
TRICYCLE_HD inline int block_y() { return 0; }
TRICYCLE_HD inline void barrier() {}
TRICYCLE_HD inline void warp_barrier() {}
template <class N> TRICYCLE_HD N from_lane_across(N x, int) { return x; }
template <class N> TRICYCLE_HD N from_lane(N x, int) { return x; }
TRICYCLE_HD inline int add_among_threads(int* to, int) { return *to; }
TRICYCLE_HD inline bool claim(int*, int) { return false; }
#endif

/// The shared memory that a block was launched with, seen as T.
template <class T>
TRICYCLE_HD T* shared(std::size_t byte_offset = 0) {
#if defined(__CUDA_ARCH__)
  extern __shared__ __align__(128) char bytes[];
  return reinterpret_cast<T*>(bytes + byte_offset);
#elif defined(TRICYCLE_EMULATED)
  return reinterpret_cast<T*>(static_cast<char*>(emulator::dynamic_shared()) + byte_offset);
#else
  (void)byte_offset;
  return nullptr;
#endif
}

}  // namespace gpu
}
}  // namespace tricycle
#endif
