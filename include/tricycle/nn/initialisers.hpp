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

}
}  // namespace tricycle
