// Attention and its gradients, as cuDNN is told of them.
#pragma once
#include <array>
#include <cstdint>
#include "here.hpp"
#include "cublasLt.h"

namespace emulator {

using Four = std::array<std::int64_t, 4>;

/// Numbers of (batch, head, token, number), each of the four with a stride of its own.
struct Tokens {
  void* at = nullptr;
  cudaDataType_t type = CUDA_R_16BF;
  Four sizes{}, strides{};
};

/// What a run copies: the descriptors may go at once.
struct Attention {
  Tokens q, k, v, y, logs, dy, dq, dk, dv;
  float scale = 1, unseen = 0;                           // of scores that the mask hides
  bool is_masked = false, is_back = false;
  void* workspace = nullptr;
};

/// How much memory a run works in.
std::int64_t workspace_of(const Attention&);

/// By the definition. Within an Open.
void attend(const Attention&);

}  // namespace emulator
