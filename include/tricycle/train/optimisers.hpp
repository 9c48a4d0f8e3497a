// An optimiser is a function of one parameter, and remembers what it must by the parameter's name.
#pragma once
#include <cmath>
#include <map>
#include "tricycle/kernel/alarm.hpp"
#include "tricycle/kernel/feed.hpp"
#include "tricycle/kernel/many.hpp"
#include "tricycle/nn/layer.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Which parameters weight decay shrinks: a function of name and shape.
using Decays = bool (*)(const std::string&, const Shape&);
inline bool every_parameter(const std::string&, const Shape&) { return true; }
/// Matrices and tables, but neither norms nor biases.
inline bool matrices_only(const std::string&, const Shape& shape) { return shape.rank() >= 2; }

/// What an optimiser remembers of one parameter, in the parameter's own precision.
struct Moments {
  using Numbers = std::variant<Tensor<float>, Tensor<double>>;
  Index t = 0;                                           // how often it was moved
  std::vector<Numbers> numbers;
};
using Memory = std::map<std::string, Moments>;

namespace detail {

/// The memory of a parameter; `n` tensors of zeros when it is new.
template <class M>
Moments& remembered(Memory& memory, const std::string& name, const Tensor<M>& x, std::size_t n) {
  Moments& moments = memory[name];
  while (moments.numbers.size() < n) {
    check(!is_captured(x.device()), "optimiser: a step is captured before the optimiser has moved \"", name, "\" for the first time");
    moments.numbers.push_back(filled(x.shape(), M(0), x.device()));
  }
  for (auto& numbers : moments.numbers) {
    check(std::holds_alternative<Tensor<M>>(numbers) && std::get<Tensor<M>>(numbers).shape() == x.shape(), "optimiser: its memory of \"", name, "\" is of another shape or precision");
    numbers = std::get<Tensor<M>>(numbers).to(x.device());
  }
  return moments;
}

/// What changes from one step to the next.
template <class M>
struct Rates {
  M learning_rate, rise_1 = 1, rise_2 = 1;               // rise: 1 / (1 - beta^t)
};

template <class M>
struct SgdStep {
  static constexpr bool wide = std::same_as<M, float>;
  kernel::Alarm alarm; kernel::Fed<Rates<M>> rates; M decay, momentum; Row<const M> grad; Row<M> u, x;
  TRICYCLE_HD void operator()(auto i) const {
    if (!alarm.is_quiet()) return;
    using R = Number<M, decltype(i)>;
    R was = x[i], step = R(rates.get().learning_rate) * (grad[i] + R(decay) * was) + R(momentum) * R(u[i]);
    u[i] = step;
    x[i] = was - step;
  }
};

template <class M>
struct AdamWStep {
  static constexpr bool wide = std::same_as<M, float>;
  kernel::Alarm alarm; kernel::Fed<Rates<M>> rates; M beta_1, beta_2, eps, decay; Row<const M> grad; Row<M> m, v, x;
  TRICYCLE_HD void operator()(auto i) const {
    if (!alarm.is_quiet()) return;
    using R = Number<M, decltype(i)>;
    auto [learning_rate, rise_1, rise_2] = rates.get();
    R g = grad[i], was = x[i];
    R mean = R(beta_1) * R(m[i]) + R(1 - beta_1) * g, square = R(beta_2) * R(v[i]) + R(1 - beta_2) * g * g;
    m[i] = mean;
    v[i] = square;
    x[i] = was - R(learning_rate) * (mean * R(rise_1) / (math::sqrt(square * R(rise_2)) + R(eps)) + R(decay) * was);
  }
};

struct CountUpdate {
  kernel::Alarm alarm;
  TRICYCLE_HD void operator()(Index) const { alarm.count_update(); }
};

/// Move all parameters: step_of(name, x) is the functor that moves x, a Tensor<float> or a Tensor<double>. On a GPU all of
/// them in one launch.
template <template <class> class Step, class StepOf>
void move(const NamedParameters& parameters, StepOf step_of) {
  std::vector<kernel::Share<Step<float>>> floats;
  std::vector<kernel::Share<Step<double>>> doubles;
  Device device = Device::cpu;
  for (auto& [name, parameter] : parameters)
    parameter->visit([&, &name = name]<class M>(Tensor<M>& x) {
      check(&name == &parameters.front().first || x.device() == device, "optimiser: \"", name, "\" is on ", x.device(), ", but others are on ", device);
      device = x.device();
      kernel::Share<Step<M>> share{1, x.size(), step_of(name, x)};
      if constexpr (std::same_as<M, float>) floats.push_back(share);
      else doubles.push_back(share);
    });
  if (!floats.empty()) kernel::each_of(device, std::move(floats));
  if (!doubles.empty()) kernel::each_of(device, std::move(doubles));
  if (!device.is_cpu()) kernel::each(device, 1, CountUpdate{{"optimiser", device}});
}

}  // namespace detail

/// u = lr grad + lr decay x + momentum u;   x -= u
struct StochasticGradientDescent {
  double learning_rate = 1e-3, weight_decay = 0, momentum = 0;
  Decays decays = every_parameter;
  Memory memory{};

  void operator()(const NamedParameters& parameters) {
    detail::move<detail::SgdStep>(parameters, [&]<class M>(const std::string& name, Tensor<M>& x) {
      Moments& moments = detail::remembered(memory, name, x, 1);
      auto rates = kernel::feed(x.device(), [this, &moments] {
        ++moments.t;
        return detail::Rates<M>{M(learning_rate)};
      });
      return detail::SgdStep<M>{{"optimiser", x.device()}, rates, M(decays(name, x.shape()) ? weight_decay : 0), M(momentum), {x.grad().data()},
                                {std::get<Tensor<M>>(moments.numbers[0]).mutable_data()}, {x.mutable_data()}};
    });
  }
  void operator()(const std::string& name, Parameter& parameter) { (*this)({{name, &parameter}}); }
};

/// Adam with its weight decay apart from the gradient (Loshchilov and Hutter, arXiv:1711.05101).
///   m = β₁ m + (1 - β₁) grad           m̂ = m / (1 - β₁ᵗ), t from 1
///   v = β₂ v + (1 - β₂) grad²          v̂ = v / (1 - β₂ᵗ)
///   x -= lr (m̂ / (√v̂ + eps) + decay x)
struct AdamW {
  double learning_rate = 1e-3, beta_1 = 0.9, beta_2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  Decays decays = every_parameter;
  Memory memory{};

  void operator()(const NamedParameters& parameters) {
    detail::move<detail::AdamWStep>(parameters, [&]<class M>(const std::string& name, Tensor<M>& x) {
      Moments& moments = detail::remembered(memory, name, x, 2);
      auto rates = kernel::feed(x.device(), [this, &moments] {
        auto t = static_cast<double>(++moments.t);
        return detail::Rates<M>{M(learning_rate), M(1 / (1 - std::pow(beta_1, t))), M(1 / (1 - std::pow(beta_2, t)))};
      });
      return detail::AdamWStep<M>{{"optimiser", x.device()}, rates, M(beta_1), M(beta_2), M(eps), M(decays(name, x.shape()) ? weight_decay : 0), {x.grad().data()},
                                  {std::get<Tensor<M>>(moments.numbers[0]).mutable_data()}, {std::get<Tensor<M>>(moments.numbers[1]).mutable_data()}, {x.mutable_data()}};
    });
  }
  void operator()(const std::string& name, Parameter& parameter) { (*this)({{name, &parameter}}); }
};

namespace detail {

struct Square {
  TRICYCLE_HD auto operator()(auto x) const { return x * x; }
};

/// From the sums of squares of all tensors: the norm, and what to scale gradients by.
struct ClipScale {
  const double* squares; Index n; double most; double* norm_and_scale; kernel::Alarm alarm;
  TRICYCLE_HD void operator()(Index) const {
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += squares[i];
    double norm = math::sqrt(sum);
    norm_and_scale[0] = norm;
    norm_and_scale[1] = norm > most ? most / (norm + 1e-6) : 1;
    if (!math::isfinite(norm)) alarm.not_finite();
  }
};
template <class M>
struct ScaleGradient {
  static constexpr bool wide = std::same_as<M, float>;
  const double* scale; Row<M> grad;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    if (*scale != 1) grad[i] = R(grad[i]) * R(static_cast<M>(*scale));
  }
};

/// squares[i] = the sum of the squares of gradient i.
template <class M>
void sums_of_squares(Device device, const std::vector<Tensor<M>>& grads, double* squares) {
  using First = SumRows<M, M, Square>;
  using Then = SumRows<M, double, kernel::Same>;
  Index n_parts = 0;
  for (auto& grad : grads) n_parts += kernel::split(grad.size(), kernel::grain);
  Tensor<M> parts(Shape{n_parts}, device);
  std::vector<kernel::Share<First>> first;
  std::vector<kernel::Share<Then>> then;
  M* part = parts.mutable_data();
  for (auto& grad : grads) {
    Index pieces = kernel::split(grad.size(), kernel::grain);
    first.push_back({pieces, kernel::grain, {grad.data(), grad.size(), pieces, {}, 1, {part, false}}});
    then.push_back({1, pieces, {part, pieces, 1, {}, 1, {squares++, false}}});
    part += pieces;
  }
  kernel::rows_of(device, std::move(first));
  kernel::rows_of(device, std::move(then));
}

}  // namespace detail

/// Scale all gradients of a model down so that their common norm is at most `most`. Returns the norm that they had,   () ;
/// on a GPU nothing is waited for, and a norm that is not finite raises its alarm.
template <class Model>
Tensor<double> clip_gradients(Model& model, double most) {
  std::vector<Tensor<float>> floats;
  std::vector<Tensor<double>> doubles;
  Device device = Device::cpu;
  model.each_parameter([&](auto&, const Parameter& parameter) {
    if (!parameter.has_grad()) return;
    parameter.visit([&]<class M>(const Tensor<M>& x) {
      device = x.device();
      auto grad = x.grad();
      if constexpr (std::same_as<M, float>) floats.push_back(grad);
      else doubles.push_back(grad);
    });
  });
  const Index n = static_cast<Index>(floats.size() + doubles.size());
  Tensor<double> squares(Shape{n}, device), norm_and_scale(Shape{2}, device);
  if (!floats.empty()) detail::sums_of_squares(device, floats, squares.mutable_data());
  if (!doubles.empty()) detail::sums_of_squares(device, doubles, squares.mutable_data() + floats.size());
  double* results = norm_and_scale.mutable_data();
  kernel::each(device, 1, detail::ClipScale{squares.data(), n, most, results, {"clip_gradients", device}});
  auto scale = [&]<class M>(std::vector<Tensor<M>>& grads) {
    std::vector<kernel::Share<detail::ScaleGradient<M>>> all;
    for (auto& grad : grads) all.push_back({1, grad.size(), {results + 1, {grad.mutable_data()}}});
    if (!all.empty()) kernel::each_of(device, std::move(all));
  };
  if (!device.is_cpu() || results[1] != 1) scale(floats), scale(doubles);
  return norm_and_scale.view(Shape{});
}

}
}  // namespace tricycle
