// Gradients scaled down when their common norm is too large.
#pragma once
#include <vector>
#include "tricycle/kernel/alarm.hpp"
#include "tricycle/kernel/many.hpp"
#include "tricycle/nn/layer.hpp"
#include "tricycle/op/reduce.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

struct Square {
  TRICYCLE_HD auto operator()(auto x) const { return x * x; }
};

/// From the sums of squares of all tensors: the norm, and what to multiply gradients by. With `scale` (else null) they are those
/// of a loss that was multiplied by it, and an overflow is for others to see.
struct ClipScale {
  const double* squares; Index n; double most; const double* scale; double* norm_and_factor; kernel::Alarm alarm;
  TRICYCLE_HD void operator()(Index) const {
    double sum = 0, by = scale ? *scale : 1;
    for (Index i = 0; i < n; ++i) sum += squares[i];
    double norm = math::sqrt(sum) / by;
    norm_and_factor[0] = norm;
    norm_and_factor[1] = (norm > most ? most / (norm + 1e-6) : 1) / by;
    if (!scale && !math::isfinite(norm)) alarm.not_finite();
  }
};
template <class M>
struct ScaleGradient {
  static constexpr bool wide = std::same_as<M, float>;
  const double* factor; Row<M> grad;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    if (*factor != 1) grad[i] = R(grad[i]) * R(static_cast<M>(*factor));
  }
};

/// squares[i] = the sum of the squares of tensor i.
template <class M>
void sums_of_squares(Device device, const std::vector<Tensor<M>>& tensors, double* squares) {
  using First = SumRows<M, M, Square>;
  using Then = SumRows<M, double, kernel::Same>;
  Index n_parts = 0;
  for (auto& x : tensors) n_parts += kernel::split(x.size(), kernel::grain);
  Tensor<M> parts(Shape{n_parts}, device);
  std::vector<kernel::Share<First>> first;
  std::vector<kernel::Share<Then>> then;
  M* part = parts.mutable_data();
  for (auto& x : tensors) {
    Index pieces = kernel::split(x.size(), kernel::grain);
    first.push_back({pieces, kernel::grain, {x.data(), x.size(), pieces, {}, 1, {part, false}}});
    then.push_back({1, pieces, {part, pieces, 1, {}, 1, {squares++, false}}});
    part += pieces;
  }
  kernel::rows_of(device, std::move(first));
  kernel::rows_of(device, std::move(then));
}

/// clip_gradients() of a loss that was multiplied by the first number of `scale`, or, where that is null, by nothing.
template <class Model>
Tensor<double> clip(Model& model, double most, const Tensor<double>* scale) {
  check(most >= 0, "clip_gradients: gradients cannot be clipped to ", most);
  const NamedParameters parameters = model.parameters();
  const Device device = common_device("clip_gradients", parameters);
  check(!scale || scale->device() == device, "loss scale: it is on ", scale ? scale->device() : device, ", but the model is on ", device);
  std::vector<Tensor<float>> floats;
  std::vector<Tensor<double>> doubles;
  for (auto& [name, parameter] : parameters) {
    if (!parameter->has_grad()) continue;
    parameter->visit([&]<class M>(Tensor<M>& x) {
      if constexpr (std::same_as<M, float>) floats.push_back(x.grad());
      else doubles.push_back(x.grad());
    });
  }
  const Index n = static_cast<Index>(floats.size() + doubles.size());
  Tensor<double> squares(Shape{n}, device), norm_and_factor(Shape{2}, device);
  if (!floats.empty()) sums_of_squares(device, floats, squares.mutable_data());
  if (!doubles.empty()) sums_of_squares(device, doubles, squares.mutable_data() + floats.size());
  double* results = norm_and_factor.mutable_data();
  kernel::each(device, 1, ClipScale{squares.data(), n, most, scale ? scale->data() : nullptr, results, {"clip_gradients", device}});
  if (device.is_cpu() && !scale) check(math::isfinite(results[0]), "clip_gradients: the gradients' norm of ", results[0], " is not finite");
  auto multiply = [&]<class M>(std::vector<Tensor<M>>& grads) {
    std::vector<kernel::Share<ScaleGradient<M>>> all;
    for (auto& grad : grads) all.push_back({1, grad.size(), {results + 1, {grad.mutable_data()}}});
    if (!all.empty()) kernel::each_of(device, std::move(all));
  };
  if (!device.is_cpu() || results[1] != 1) multiply(floats), multiply(doubles);
  return norm_and_factor.view(Shape{});
}

}  // namespace detail

/// Scale all gradients of a model down so that their common norm is at most `most`. Returns the norm that they had,   () . Throws,
/// before any is scaled, when that is not finite; on a GPU nothing is waited for, and its alarm is raised.
template <class Model>
Tensor<double> clip_gradients(Model& model, double most) { return detail::clip(model, most, nullptr); }

}
}  // namespace tricycle
