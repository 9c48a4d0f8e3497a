// How well a training run uses the machine: its arithmetic against that of a large matrix product.
#pragma once
#include <algorithm>
#include <chrono>
#include "tricycle/tricycle.hpp"

namespace examples {

/// Multiplications and additions that a GPT needs for each token that it is trained on: forward and backward, 6 for each weight
/// that it is multiplied with and 12 for each pair of a token and one of its context in each number of each layer (Chowdhery et
/// al., "PaLM", arXiv:2204.02311, appendix B).
inline double flops_per_token(const tricycle::GPTConfig& c, tricycle::Index n_parameters) {
  tricycle::Index looked_up = (c.positions == "learned" ? c.context_window : 0) + (c.tied ? 0 : c.vocab_size);              // rows of tables, which nothing is multiplied with
  return 6 * static_cast<double>(n_parameters - looked_up * c.embedding_dim) + 12 * static_cast<double>(c.n_layers * c.embedding_dim * c.context_window);
}

/// How many a second a large matrix product of T reaches: the best of four, which takes some tenths of a second.
template <tricycle::Floating T>
double product_flops(tricycle::Device device) {
  using namespace tricycle;
  using Clock = std::chrono::steady_clock;
  NoGrad guard;
  const Index n = device.is_cpu() ? 1024 : 8192;
  auto a = full<T>({n, n}, 0.5, {.requires_grad = false, .device = device}), b = full<T>({n, n}, 2, {.requires_grad = false, .device = device});
  double best = 0;
  for (int i = 0; i < 4; ++i) {
    synchronise(device);
    auto began = Clock::now();
    auto c = einsum<"ij,jk->ik">(a, b);
    synchronise(device);
    best = (std::max)(best, 2 * static_cast<double>(n * n * n) / std::chrono::duration<double>(Clock::now() - began).count());
  }
  return best;
}

}  // namespace examples
