// An optimiser is a function of one parameter, and remembers what it must by the parameter's name.
#pragma once
#include <cmath>
#include <map>
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
  while (moments.numbers.size() < n) moments.numbers.push_back(filled(x.shape(), M(0), x.device()));
  for (const auto& numbers : moments.numbers)
    check(std::holds_alternative<Tensor<M>>(numbers) && std::get<Tensor<M>>(numbers).shape() == x.shape(), "optimiser: its memory of \"", name, "\" is of another shape or precision");
  return moments;
}

template <class M>
struct SgdStep {
  static constexpr bool wide = std::same_as<M, float>;
  M learning_rate, decay, momentum; Row<const M> grad; Row<M> u, x;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    R was = x[i], step = R(learning_rate) * (grad[i] + R(decay) * was) + R(momentum) * R(u[i]);
    u[i] = step;
    x[i] = was - step;
  }
};

template <class M>
struct AdamWStep {
  static constexpr bool wide = std::same_as<M, float>;
  M learning_rate, beta_1, beta_2, eps, decay, rise_1, rise_2;   // rise: 1 / (1 - beta^t)
  Row<const M> grad; Row<M> m, v, x;
  TRICYCLE_HD void operator()(auto i) const {
    using R = Number<M, decltype(i)>;
    R g = grad[i], was = x[i];
    R mean = R(beta_1) * R(m[i]) + R(1 - beta_1) * g, square = R(beta_2) * R(v[i]) + R(1 - beta_2) * g * g;
    m[i] = mean;
    v[i] = square;
    x[i] = was - R(learning_rate) * (mean * R(rise_1) / (math::sqrt(square * R(rise_2)) + R(eps)) + R(decay) * was);
  }
};

}  // namespace detail

/// u = lr grad + lr decay x + momentum u;   x -= u
struct StochasticGradientDescent {
  double learning_rate = 1e-3, weight_decay = 0, momentum = 0;
  Decays decays = every_parameter;
  Memory memory{};

  void operator()(const std::string& name, Parameter& parameter) {
    parameter.visit([&]<class M>(Tensor<M>& x) {
      Moments& moments = detail::remembered(memory, name, x, 1);
      ++moments.t;
      double decay = decays(name, x.shape()) ? weight_decay : 0;
      kernel::each(x.device(), x.size(), detail::SgdStep<M>{M(learning_rate), M(decay), M(momentum), {x.grad().data()},
                   {std::get<Tensor<M>>(moments.numbers[0]).mutable_data()}, {x.mutable_data()}});
    });
  }
};

/// Adam with its weight decay apart from the gradient (Loshchilov and Hutter, arXiv:1711.05101).
///   m = β₁ m + (1 - β₁) grad           m̂ = m / (1 - β₁ᵗ), t from 1
///   v = β₂ v + (1 - β₂) grad²          v̂ = v / (1 - β₂ᵗ)
///   x -= lr (m̂ / (√v̂ + eps) + decay x)
struct AdamW {
  double learning_rate = 1e-3, beta_1 = 0.9, beta_2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  Decays decays = every_parameter;
  Memory memory{};

  void operator()(const std::string& name, Parameter& parameter) {
    parameter.visit([&]<class M>(Tensor<M>& x) {
      Moments& moments = detail::remembered(memory, name, x, 2);
      auto t = static_cast<double>(++moments.t);
      double decay = decays(name, x.shape()) ? weight_decay : 0;
      kernel::each(x.device(), x.size(), detail::AdamWStep<M>{M(learning_rate), M(beta_1), M(beta_2), M(eps), M(decay),
                   M(1 / (1 - std::pow(beta_1, t))), M(1 / (1 - std::pow(beta_2, t))), {x.grad().data()},
                   {std::get<Tensor<M>>(moments.numbers[0]).mutable_data()}, {std::get<Tensor<M>>(moments.numbers[1]).mutable_data()}, {x.mutable_data()}});
    });
  }
};

namespace detail {
struct Square {
  TRICYCLE_HD auto operator()(auto x) const { return x * x; }
};
}  // namespace detail

/// Scale all gradients of a model down so that their common norm is at most `most`. Returns the norm that they had.
template <class Model>
double clip_gradients(Model& model, double most) {
  double squares = 0;
  model.each_parameter([&](auto&, const Parameter& parameter) {
    if (!parameter.has_grad()) return;
    parameter.visit([&]<class M>(const Tensor<M>& x) {
      M sum = 0;
      detail::sum_rows<M, M>(x.device(), 1, x.size(), x.grad().data(), 1, {&sum, false}, detail::Square{});
      squares += static_cast<double>(sum);
    });
  });
  double norm = std::sqrt(squares);
  if (norm > most)
    model.each_parameter([&](auto&, const Parameter& parameter) {
      if (!parameter.has_grad()) return;
      parameter.visit([&]<class M>(const Tensor<M>& x) {
        M* grad = Sink<M>(x.node().get()).gather().at;
        kernel::map(x.device(), x.size(), detail::Times{most / (norm + 1e-6)}, Gather<M>{grad, false}, grad);
      });
    });
  return norm;
}

}
}  // namespace tricycle
