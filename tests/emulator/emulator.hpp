// What the emulator offers beyond CUDA: what tests count and set, what the library's allocator tells, and what is PTX on a real GPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include "runtime_api.hpp"

namespace emulator {

// ---------------------------------------------------------------- for tests

struct Counts {
  std::size_t launches = 0;                              // kernels, graphs and matrix products that were enqueued
  std::size_t synchronisations = 0;                      // of streams, devices and events, and copies that block
  std::size_t allocations = 0;                           // of device memory: cudaMalloc, cudaMallocAsync
};
/// Since the program began.
Counts counts();

/// From now on each GPU has this much memory (at first TRICYCLE_EMULATOR_MEMORY bytes, or 4 GiB).
void set_memory(std::size_t bytes);

/// From now on everything random follows from this (at first TRICYCLE_EMULATOR_SEED, or 1).
void set_seed(std::uint64_t seed);

// ---------------------------------------------------------------- for an allocator that hands out the same memory again

/// These bytes are free: whoever touches them before `remember` is caught.
void forget(void* p, std::size_t bytes);
void forget(void* p, std::size_t bytes, cudaStream_t);   // when the stream gets there

/// These bytes are handed out, just so many, and nothing is written in them yet.
void remember(void* p, std::size_t bytes);
void remember(void* p, std::size_t bytes, cudaStream_t);

// ---------------------------------------------------------------- for kernels

/// The block's dynamic shared memory.
void* dynamic_shared();

/// The thread is about to load or store this many bytes (8 or 16) at once: p must be a multiple.
void wide_access(const void* p, std::size_t bytes, bool write);

/// c += a b, a warp together: mma.sync.m16n8k16 with 16-bit operands that `widen` turns into floats.
void mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], float (*widen)(std::uint16_t));

/// c += a b, a warp together: mma.sync.m16n8k8 with tf32 operands.
void mma_16x8x8_tf32(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);

/// ldmatrix.sync.m8n8.x1, .x2 or .x4 of 16-bit numbers: thread i gives the address of row i of the matrices one after another.
void ldmatrix(std::uint32_t (&r)[4], const void* row, int matrices, bool transposed);

/// cp.async and its .wait_all. Nothing comes before it is waited for; until then NaNs are in its place.
void cp_async(void* to, const void* from, int bytes, bool there);
void cp_async_wait_all();

// ---------------------------------------------------------------- how a launch gets from the header into the emulator

/// A kernel with a copy of its arguments, whatever their types.
struct Kernel {
  const void* function = nullptr;
  void* arguments = nullptr;                             // owned
  std::size_t bytes = 0;
  void (*run)(const void* function, void* arguments) = nullptr;
  void (*destroy)(void* arguments) = nullptr;
};

cudaError_t launch(Kernel kernel, dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream);

/// What a thread of the kernel does. Not watched: it copies the parameters from where a GPU keeps them.
template <class Tuple, class... Params, std::size_t... i>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(Params...), Tuple& values, std::index_sequence<i...>) {
  kernel(std::get<i>(values)...);
}

template <class... Params, std::size_t... i>
Kernel packed(void (*kernel)(Params...), [[maybe_unused]] void** args, std::index_sequence<i...>) {
  using Tuple = std::tuple<std::remove_cv_t<Params>...>;
  Kernel k;
  k.function = reinterpret_cast<const void*>(kernel);
  k.arguments = new Tuple(*static_cast<std::remove_cv_t<Params>*>(args[i])...);
  k.bytes = sizeof(Tuple);
  k.run = [](const void* function, void* values) {
    call(reinterpret_cast<void (*)(Params...)>(const_cast<void*>(function)), *static_cast<Tuple*>(values), std::index_sequence<i...>{});
  };
  k.destroy = [](void* values) { delete static_cast<Tuple*>(values); };
  return k;
}

}  // namespace emulator
