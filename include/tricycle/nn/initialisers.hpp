// What weights are before they have learnt anything. All draw from the generator that seed() seeds.
#pragma once
#include "tricycle/nn/parameter.hpp"
#include "tricycle/tensor/create.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// How a layer draws its weights: a function of their shape, (from, to).
using Initialiser = std::function<Tensor<float>(const Shape&)>;

/// Evenly from ±√(6 / (from + to)): the variance of activations and of gradients stays about the same through a layer.
/// (Glorot and Bengio, 2010)
inline Tensor<float> xavier(const Shape& shape) {
  double bound = std::sqrt(6.0 / static_cast<double>(shape[0] + shape[-1]));
  return uniform(shape, -bound, bound);
}

/// From a normal distribution around 0.
inline Initialiser normal_initialiser(double deviation) {
  return [=](const Shape& shape) { return normal(shape, 0, deviation); };
}

/// The same for what writes into a residual stream of so many blocks, each of which does so twice: with a deviation /
/// √(2 n_layers), so that the stream is no wider after more of them. (Radford et al., 2019)
inline Initialiser residual_initialiser(double deviation, Index n_layers) { return normal_initialiser(deviation / std::sqrt(2.0 * static_cast<double>(n_layers))); }

/// Evenly from ±√(6 / from), or normally with a variance of 2 / from: the variance stays the same through layers that ReLU
/// follows, which halves it. (He et al., arXiv:1502.01852)
inline Tensor<float> kaiming_uniform(const Shape& shape) {
  double bound = std::sqrt(6.0 / static_cast<double>(shape[0]));
  return uniform(shape, -bound, bound);
}
inline Tensor<float> kaiming_normal(const Shape& shape) { return normal(shape, 0, std::sqrt(2.0 / static_cast<double>(shape[0]))); }

/// All the same: 0 for a layer that says nothing at first, or 1.
inline Initialiser constant_initialiser(double number) {
  return [=](const Shape& shape) { return full(shape, number); };
}

}
}  // namespace tricycle
