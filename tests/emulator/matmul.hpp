// A matrix product with everything that cuBLASLt can do to its result on the way.
#pragma once
#include "here.hpp"
#include "cublasLt.h"

struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  cublasLtPointerMode_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  cublasOperation_t transposes_a = CUBLAS_OP_N, transposes_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void *bias = nullptr, *aux = nullptr;
  std::int64_t bias_stride = 0, aux_ld = 0, aux_stride = 0;
  int bias_type = -1, aux_type = -1;                     // as d, if not set
};

struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type = CUDA_R_32F;
  std::uint64_t rows = 0, columns = 0;
  std::int64_t ld = 0, stride = 0;
  std::int32_t batch = 1, order = CUBLASLT_ORDER_COL;
};

namespace emulator {

/// What a launch copies: the descriptors may go at once.
struct Matmul {
  cublasLtMatmulDescOpaque_t how;
  cublasLtMatrixLayoutOpaque_t a_layout, b_layout, c_layout, d_layout;
  double alpha = 1, beta = 0;
  const void *a = nullptr, *b = nullptr, *c = nullptr;
  void* d = nullptr;
};

std::size_t size_of(cudaDataType_t type);

/// Number i of those at p. Within an Open.
double load(const void* p, cudaDataType_t type, std::int64_t i);
void store(void* p, cudaDataType_t type, std::int64_t i, double x);

/// CUBLAS_STATUS_SUCCESS if such a product exists. Pointers are looked at only if `with_pointers`.
cublasStatus_t check_matmul(const Matmul& m, bool with_pointers);

/// By the definition. Within an Open.
void multiply(const Matmul& m);

}  // namespace emulator
