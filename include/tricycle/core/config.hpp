// What this translation unit can do, and how our code says so. Includes nothing of ours.
#pragma once
#include <cstdint>

#define TRICYCLE_VERSION_MAJOR 0
#define TRICYCLE_VERSION_MINOR 1
#define TRICYCLE_VERSION_PATCH 0
#define TRICYCLE_VERSION (TRICYCLE_VERSION_MAJOR * 10000 + TRICYCLE_VERSION_MINOR * 100 + TRICYCLE_VERSION_PATCH)   // to compare with

// One source, two devices: a unit that nvcc compiles can use GPUs (TRICYCLE_CUDA), and so can one that is compiled for the
// tests' emulator (which also defines TRICYCLE_EMULATED). Formulas are marked TRICYCLE_HD, which means something to nvcc alone.
#if defined(__CUDACC__) && !defined(TRICYCLE_CUDA)
#define TRICYCLE_CUDA
#endif
#ifdef __CUDACC__
#define TRICYCLE_HD __host__ __device__
#else
#define TRICYCLE_HD
#endif
#if defined(TRICYCLE_CUDA) && defined(TRICYCLE_CUDNN)     // attention by cuDNN: tricycle::cudnn
#define TRICYCLE_ABI_DEVICE with_cudnn
#elif defined(TRICYCLE_CUDA)
#define TRICYCLE_ABI_DEVICE with_cuda
#else
#define TRICYCLE_ABI_DEVICE host_only
#endif

// Is this the code that a GPU runs? On an emulated one it is the host's as well.
#if defined(__CUDA_ARCH__) || defined(TRICYCLE_EMULATED)
#define TRICYCLE_GPU_CODE
#endif

// Before a template that the host also calls with what only the host can call: nvcc would warn of every such use.
#ifdef __CUDACC__
#define TRICYCLE_HOST_CALLS _Pragma("nv_exec_check_disable")
#else
#define TRICYCLE_HOST_CALLS
#endif

// Before a function that holds what a process is to have once, such as the pool of threads: a program and the shared libraries
// that it is linked to then share it, also those that hide their symbols (-fvisibility=hidden).
#define TRICYCLE_PROCESS_WIDE __attribute__((visibility("default")))

// Some platforms' headers define these as macros, which would be read into our names. (libstdc++ takes them away as well.)
#undef min
#undef max

// How many bytes one vector register holds in this unit.
#if defined(__AVX512F__)
#define TRICYCLE_VECTOR_BYTES 64
#elif defined(__AVX__)
#define TRICYCLE_VECTOR_BYTES 32
#else
#define TRICYCLE_VECTOR_BYTES 16
#endif

#if defined(__FAST_MATH__)
#define TRICYCLE_ABI_MATHS _fast
#elif defined(__FMA__)
#define TRICYCLE_ABI_MATHS _fma
#else
#define TRICYCLE_ABI_MATHS
#endif

// Units built for other registers, other maths or another device give the same inline functions other bodies. The
// inline namespace gives them other names too, so mixing them is a link error and never a surprise.
#define TRICYCLE_JOIN_(device, bytes, maths, major, minor) device##_##bytes##maths##_v##major##_##minor
#define TRICYCLE_JOIN(device, bytes, maths, major, minor) TRICYCLE_JOIN_(device, bytes, maths, major, minor)
#define TRICYCLE_ABI \
  TRICYCLE_JOIN(TRICYCLE_ABI_DEVICE, TRICYCLE_VECTOR_BYTES, TRICYCLE_ABI_MATHS, TRICYCLE_VERSION_MAJOR, TRICYCLE_VERSION_MINOR)

namespace tricycle {
inline namespace TRICYCLE_ABI {
using Index = std::int64_t;
}
}  // namespace tricycle
