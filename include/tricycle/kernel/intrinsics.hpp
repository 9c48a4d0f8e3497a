// What only a GPU can do, each thing under one name: who am I, wait for each other, exchange numbers. Nothing else calls
// CUDA's own functions for device code. tests/emulator has the twins of what is PTX here.
#pragma once
#include <cmath>
#include "tricycle/core/dtype.hpp"
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

/// What another thread of the warp gives as x. These `lanes` of it, a bit each, must call it together.
template <class N> TRICYCLE_HD N from_lane_across(N x, int hop, unsigned lanes = ~0u) { return __shfl_xor_sync(lanes, x, hop); }
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
template <class N> TRICYCLE_HD N from_lane_across(N x, int, unsigned = ~0u) { return x; }
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

/// 2^x, to 2 ulp and without denormals.
TRICYCLE_HD inline float power_of_2(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}

/// a b + c, rounded once; and the larger of two, of which NaN is neither.
TRICYCLE_HD inline float fused(float a, float b, float c) { return std::fma(a, b, c); }
TRICYCLE_HD inline float larger(float a, float b) { return std::fmax(a, b); }

/// Four small matrices of 8 rows of 16 bytes in shared memory, of which lane i says where row i of them all begins, into a
/// register of each: lane l gets 4 bytes of row l / 4. Transposed, of 16-bit numbers: two of column l / 4.
template <bool transposed = false>
TRICYCLE_HD void load_matrices(std::uint32_t (&r)[4], const void* row) {
#if defined(__CUDA_ARCH__)
  auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (transposed) asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
  else asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
#elif defined(TRICYCLE_EMULATED)
  emulator::ldmatrix(r, row, 4, transposed);
#else
  (void)r, (void)row;
#endif
}

/// `bytes` (4, 8 or 16, and both addresses multiples of it) from global to shared memory, or 0 if there is nothing to read. They
/// come while the thread goes on, and are there once it has waited for all that it began; for other threads, after a barrier too.
template <int bytes>
TRICYCLE_HD void begin_copy(void* to, const void* from, bool there) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (bytes == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(at), "l"(from), "r"(there ? 16 : 0) : "memory");
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" : : "r"(at), "l"(from), "n"(bytes), "r"(there ? bytes : 0) : "memory");
#elif defined(TRICYCLE_EMULATED)
  emulator::cp_async(to, from, bytes, there);
#elif defined(TRICYCLE_GPU_CODE)
  for (int i = 0; i < bytes / 4; ++i) static_cast<std::uint32_t*>(to)[i] = there ? static_cast<const std::uint32_t*>(from)[i] : 0;
#else
  (void)to, (void)from, (void)there;
#endif
}
TRICYCLE_HD inline void wait_for_copies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" : : : "memory");
#elif defined(TRICYCLE_EMULATED)
  emulator::cp_async_wait_all();
#endif
}

/// multiply(), see below, by shuffles: for GPUs before 8.0, which lack the instruction.
template <class T>
TRICYCLE_HD void multiply_by_shuffles(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b_0, std::uint32_t b_1) {
  auto dot = [](std::uint32_t x, std::uint32_t y) {
    if constexpr (sizeof(T) == 4) return __builtin_bit_cast(float, x) * __builtin_bit_cast(float, y);
    else {
      auto at = [](std::uint32_t two, int i) { return static_cast<float>(__builtin_bit_cast(T, static_cast<std::uint16_t>(two >> 16 * i))); };
      return at(x, 0) * at(y, 0) + at(x, 1) * at(y, 1);
    }
  };
  int lane = thread() % warp, row = lane / 4 * 4, column = lane % 4 * 8;
  for (int k = 0; k < 8; ++k) {                          // four lanes have two registers each
    std::uint32_t x[] = {from_lane(a[k / 4 * 2], row + k % 4), from_lane(a[k / 4 * 2 + 1], row + k % 4)};
    std::uint32_t y[] = {from_lane(k < 4 ? b_0 : b_1, column + k % 4), from_lane(k < 4 ? b_0 : b_1, column + 4 + k % 4)};
    for (int i = 0; i < 4; ++i) c[i] += dot(x[i / 2], y[i % 2]);
  }
}

/// c += a b by a warp together, on its tensor cores: (16, 16) by (16, 8) of 16-bit numbers; of floats, of whose mantissa 10
/// bits count, (16, 8) by (8, 8). What each lane holds of them stands in the PTX manual, under "matrix fragments".
template <class T>
TRICYCLE_HD void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b_0, std::uint32_t b_1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define TRICYCLE_MMA(kind) \
  asm volatile("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_0), "r"(b_1))
  if constexpr (sizeof(T) == 4) TRICYCLE_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
  else if constexpr (std::same_as<T, bf16>) TRICYCLE_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
  else TRICYCLE_MMA("m16n8k16.row.col.f32.f16.f16.f32");
#undef TRICYCLE_MMA
#elif defined(TRICYCLE_EMULATED)
  if constexpr (sizeof(T) == 4) emulator::mma_16x8x8_tf32(c, a, {b_0, b_1});
  else emulator::mma_16x8x16(c, a, {b_0, b_1}, [](std::uint16_t bits) { return static_cast<float>(__builtin_bit_cast(T, bits)); });
#else
  multiply_by_shuffles<T>(c, a, b_0, b_1);
#endif
}

}  // namespace gpu
}
}  // namespace tricycle
#endif
