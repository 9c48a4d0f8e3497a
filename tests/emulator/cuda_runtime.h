// Stands in for NVIDIA's cuda_runtime.h: g++ compiles our CUDA code with it, and the emulator beside it runs that code on the CPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

// A kernel is an ordinary function. One block runs at a time, so that `static` is memory which its threads share.
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define CUDART_VERSION 13000

#include "runtime_api.hpp"

// Each thread sees its own. They are const here, so that the compiler reports no access to them; the emulator's scheduler sets them.
#ifndef TRICYCLE_EMULATOR_ITSELF
extern const uint3 threadIdx, blockIdx, blockDim, gridDim;
#endif
inline constexpr int warpSize = 32;

#include "emulator.hpp"
#include "device_functions.hpp"

/// kernel(*args[0], *args[1], …) by each thread of grid × block, when the stream's turn comes; the arguments are copied now.
template <class... Params>
cudaError_t cudaLaunchKernel(void (*kernel)(Params...), dim3 grid, dim3 block, void** args, std::size_t shared = 0, cudaStream_t stream = nullptr) {
  return emulator::launch(emulator::packed(kernel, args, std::index_sequence_for<Params...>{}), grid, block, shared, stream);
}

template <class... Params>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Params...), cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

template <class T>
cudaError_t cudaMalloc(T** p, std::size_t bytes) { return cudaMalloc(reinterpret_cast<void**>(p), bytes); }
template <class T>
cudaError_t cudaMallocHost(T** p, std::size_t bytes) { return cudaMallocHost(reinterpret_cast<void**>(p), bytes); }
template <class T>
cudaError_t cudaMallocAsync(T** p, std::size_t bytes, cudaStream_t stream) { return cudaMallocAsync(reinterpret_cast<void**>(p), bytes, stream); }
