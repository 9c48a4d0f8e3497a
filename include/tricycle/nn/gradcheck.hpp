// Gradients, held against finite differences.
#pragma once
#include "tricycle/kernel/random.hpp"
#include "tricycle/nn/layer.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Numbers are moved by `step`, or by step |x| where |x| > 1. Of a slope that is a sum of terms, `relative` is forgiven of their
/// sizes added up, `absolute`, and what the rounding of the results can make of it.
struct GradcheckOptions { double step = 1e-6, relative = 1e-6, absolute = 1e-8; };

/// The number whose gradient was furthest from what finite differences say, in terms of what is forgiven.
struct Gradcheck {
  std::string argument{};                                // "argument 0", or "parameter blocks.0.mlp.in.weights"
  Shape at{};
  double backward = 0, differences = 0;
  double error = -1;                                     // 1: just forgiven; below 0: there was nothing to check
};

namespace detail {

/// A tensor by whose numbers something is evaluated, and what errors call it.
struct Varied {
  std::string name;
  Tensor<double> x;
};

/// A random direction, with no number near 0: no gradient is orthogonal to it, as softmax's are to ones.
inline Tensor<double> cotangent(const Shape& shape, Device device) {
  Tensor<double> c(shape);
  for (Index i = 0; i < c.size(); ++i) {
    const double u = static_cast<double>(kernel::uniform_at(20240229, i));
    c.mutable_data()[i] = u < 0.5 ? u - 1 : u;
  }
  return c.to(device);
}

inline bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return x == y || (math::isnan(x) && math::isnan(y)); });
}

/// Checks the gradients of evaluate() with respect to every number of `all`; the numbers are put back, gradients are dropped.
template <class F>
Gradcheck gradcheck(F evaluate, std::vector<Varied> all, const GradcheckOptions& options) {
  for (auto& [name, x] : all) x.zero_grad();
  const Tensor<double> y = evaluate(), again = evaluate();
  const auto numbers = y.to_vector();
  check(same_numbers(numbers, again.to_vector()), "gradcheck: the same arguments gave different numbers the second time; dropout is switched off by eval()");
  const auto c = cotangent(y.shape(), y.device());
  const auto weights = c.to_vector();
  if (y.requires_grad()) y.backward(c);

  NoGrad guard;
  Gradcheck worst;
  for (Varied& argument : all) {
    Tensor<double>& x = argument.x;
    const auto told = x.has_grad() ? x.grad().to_vector() : std::vector<double>(static_cast<std::size_t>(x.size()));
    x.zero_grad();
    const auto before = x.clone();
    auto moved = before.clone().from_gpu();
    try {
      for (Index i = 0; i < x.size(); ++i) {
        const double at = moved.data()[i], step = options.step * (std::max)(1.0, std::abs(at));
        auto moved_by = [&](double by) {
          moved.mutable_data()[i] = at + by;
          x.assign(moved);
          return evaluate().to_vector();
        };
        const auto ahead = moved_by(step), behind = moved_by(-step);
        moved.mutable_data()[i] = at;
        double slope = 0, size = 0, rounding = 0;
        for (std::size_t j = 0; j < weights.size(); ++j) {
          const double term = weights[j] * (ahead[j] - behind[j]) / ((at + step) - (at - step));
          slope += term, size += std::abs(term), rounding += 0x1p-50 * std::abs(numbers[j]) / step;
        }
        const double off = std::abs(told[static_cast<std::size_t>(i)] - slope) / (options.absolute + options.relative * size + rounding);
        if (off <= worst.error) continue;
        worst = {argument.name, place_of(i, x.shape()), told[static_cast<std::size_t>(i)], slope, math::isnan(off) ? std::numeric_limits<double>::infinity() : off};
      }
    } catch (...) {
      x.assign(before);
      throw;
    }
    x.assign(before);
  }
  check(worst.error <= 1, "gradcheck: ", worst.argument, ": the gradient at ", worst.at, " is ", worst.backward, " by backward(), but ", worst.differences, " by finite differences");
  return worst;
}

inline std::vector<Varied> varied(std::span<const Tensor<double>> inputs) {
  std::vector<Varied> all;
  for (const auto& x : inputs) all.push_back({"argument " + std::to_string(all.size()), x.clone().require_grad()});
  return all;
}

/// The parameters of a model, if it is one.
template <class Model>
void add_parameters(std::vector<Varied>& all, Model& model) {
  if constexpr (requires { model.parameter_count(); })
    model.each_parameter([&](const std::string& name, const Parameter& parameter) {
      parameter.visit([&]<class M>(const Tensor<M>& x) {
        if constexpr (std::same_as<M, double>) all.push_back({"parameter " + name, x});
        else fail("gradcheck: parameter ", name, " is ", dtype_name<M>(), ": hold it as double, to<double>(model)");
      });
    });
}

}  // namespace detail

/// Checks what backward() says of f(x, y, …), an op, a loss or a layer (with its parameters, as double), against central
/// differences, number by number, of a random sum of the results. Returns the worst number; throws when it is too far off, naming
/// it and both gradients. Numbers at which f has a kink, as ReLU has at 0, are the caller's to avoid.
///
///     gradcheck([](auto& a, auto& b) { return a * b; }, {normal<double>({2, 3}), normal<double>({3})});
template <class F, std::size_t n>
Gradcheck gradcheck(F&& f, const Tensor<double> (&&inputs)[n], const GradcheckOptions& options = {}) {
  auto all = detail::varied(inputs);
  auto evaluate = [&f, x = all] {
    return [&]<std::size_t... i>(std::index_sequence<i...>) { return f(x[i].x...); }(std::make_index_sequence<n>{});
  };
  detail::add_parameters(all, f);
  return detail::gradcheck(evaluate, std::move(all), options);
}

/// The same for f(inputs), a function of a list.
template <class F>
Gradcheck gradcheck(F&& f, const std::vector<Tensor<double>>& inputs, const GradcheckOptions& options = {}) {
  auto all = detail::varied(inputs);
  std::vector<Tensor<double>> x;
  for (auto& each : all) x.push_back(each.x);
  return detail::gradcheck([&] { return f(std::as_const(x)); }, std::move(all), options);
}

/// The same for the parameters of a model alone: gradcheck(gpt, [&] { return gpt.loss(inputs, targets); }).
template <class Model, std::invocable F>
Gradcheck gradcheck(Model& model, F&& evaluate, const GradcheckOptions& options = {}) {
  std::vector<detail::Varied> all;
  detail::add_parameters(all, model);
  return detail::gradcheck(evaluate, std::move(all), options);
}

}
}  // namespace tricycle
