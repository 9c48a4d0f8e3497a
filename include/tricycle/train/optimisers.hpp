// An optimiser is a function of some parameters, and remembers what it must by their names.
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include "tricycle/kernel/alarm.hpp"
#include "tricycle/kernel/feed.hpp"
#include "tricycle/kernel/many.hpp"
#include "tricycle/nn/layer.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Always NamedParameters: what takes them is a template, so that a program compiles only the optimisers that it calls.
template <class P> concept Parameters = std::same_as<P, NamedParameters>;

/// Some of a model's parameters: a function of name and shape.
using Chooses = bool (*)(const std::string&, const Shape&);
inline bool every_parameter(const std::string&, const Shape&) { return true; }
/// Matrices and tables, but neither norms nor biases: what weight decay is for.
inline bool matrices_only(const std::string&, const Shape& shape) { return shape.rank() >= 2; }

/// What an optimiser remembers of one parameter, in the parameter's own precision and where the parameter is.
struct Moments {
  using Numbers = std::variant<Owned<float>, Owned<double>>;
  Owned<Index> t = detail::filled(Shape{}, Index{0}, Device::cpu);    // how often it was moved
  std::vector<Numbers> numbers;
};
using Memory = std::map<std::string, Moments>;

namespace detail {

/// The memory of a parameter; `n` tensors of zeros when it is new.
template <class M>
Moments& remembered(Memory& memory, const std::string& name, const Tensor<M>& x, std::size_t n) {
  Moments& moments = memory[name];
  if (moments.numbers.empty()) {
    check(!is_captured(x.device()), "optimiser: a step is captured before the optimiser has moved \"", name, "\" for the first time");
    for (std::size_t i = 0; i < n; ++i) moments.numbers.push_back(filled(x.shape(), M(0), x.device()));
  }
  check(moments.numbers.size() == n, "optimiser: its memory of \"", name, "\" is another optimiser's: ", moments.numbers.size(), " tensors, not ", n);
  for (auto& numbers : moments.numbers) {
    check(std::holds_alternative<Owned<M>>(numbers) && std::get<Owned<M>>(numbers).shape() == x.shape(), "optimiser: its memory of \"", name, "\" is of another shape or precision");
    numbers = std::get<Owned<M>>(numbers).to(x.device());
  }
  moments.t = moments.t.to(x.device());
  return moments;
}
template <class M>
M* remembered_at(Moments& moments, std::size_t i) { return std::get<Owned<M>>(moments.numbers[i]).mutable_data(); }

/// Nothing moves while a GPU's alarm is raised, or when gradients have overflowed (loss_scale.hpp).
struct Gate {
  kernel::Alarm alarm;
  const double* overflow;                                // 0 unless they have; null when nobody looks
  TRICYCLE_HD bool is_open() const { return alarm.is_quiet() && (overflow == nullptr || *overflow == 0); }
};

/// One move more; and what makes up for running means that began at 0: 1 / (1 - betaᵗ).
struct CountMove {
  Gate gate; double beta_1, beta_2; Index* t; double* rises;
  TRICYCLE_HD void operator()(Index) const {
    if (!gate.is_open()) return;
    ++*t;
    rises[0] = 1 / (1 - math::pow(beta_1, static_cast<double>(*t)));
    rises[1] = 1 / (1 - math::pow(beta_2, static_cast<double>(*t)));
  }
};

/// The device that all parameters are on. Throws unless there is one, and a gradient for each: before any of them has moved.
inline Device device_to_update(const NamedParameters& parameters) {
  for (auto& [name, parameter] : parameters) check(parameter->has_grad(), "optimiser: \"", name, "\" of shape ", parameter->shape(), " has no gradient");
  return common_device("optimiser", parameters);
}

/// What every step of an update goes by.
struct Move {
  Gate gate;
  kernel::Fed<double> learning_rate;
};

/// An update of some parameters of one device, and what is remembered of each.
struct Update {
  Device device;
  Move move;
  std::vector<Moments*> moments;
  Tensor<double> rises;                                  // (parameters, 2)

  /// `n`: the tensors that are remembered of each. In a captured step the learning rate is read anew at each run.
  Update(const NamedParameters& parameters, Memory& memory, std::size_t n, const double& learning_rate, const double* overflow, double beta_1 = 0, double beta_2 = 0)
      : device(device_to_update(parameters)),
        move{{{"optimiser", device}, overflow}, kernel::feed(device, [&learning_rate] { return learning_rate; })},
        rises(Shape{static_cast<Index>(parameters.size()), 2}, device) {
    std::vector<kernel::Share<CountMove>> counts;
    double* rise = rises.mutable_data();
    for (auto& [name, parameter] : parameters) {
      moments.push_back(parameter->visit([&, &name = name](auto& x) { return &remembered(memory, name, x, n); }));
      counts.push_back({1, 1, {move.gate, beta_1, beta_2, moments.back()->t.mutable_data(), rise}});
      rise += 2;
    }
    kernel::each_of(device, std::move(counts));
  }
};

/// Move all parameters: step_of(i, name, x) is the functor that moves the i-th one, x, a Tensor<float> or a Tensor<double>. On a
/// GPU all of them in one launch.
template <template <class> class Step, class StepOf>
void move_all(const NamedParameters& parameters, Device device, StepOf step_of) {
  std::vector<kernel::Share<Step<float>>> floats;
  std::vector<kernel::Share<Step<double>>> doubles;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i].second->visit([&]<class M>(Tensor<M>& x) {
      kernel::Share<Step<M>> share{1, x.size(), step_of(i, parameters[i].first, x)};
      if constexpr (std::same_as<M, float>) floats.push_back(share);
      else doubles.push_back(share);
    });
  if (!floats.empty()) kernel::each_of(device, std::move(floats));
  if (!doubles.empty()) kernel::each_of(device, std::move(doubles));
}

template <class M>
struct SgdStep {
  static constexpr bool wide = std::same_as<M, float>;
  Move move; M decay, momentum; Row<const M> grad; Row<M> u, x;
  TRICYCLE_HD void operator()(auto i) const {
    if (!move.gate.is_open()) return;
    using R = Number<M, decltype(i)>;
    R was = x[i], step = R(static_cast<M>(move.learning_rate.get())) * (grad[i] + R(decay) * was) + R(momentum) * R(u[i]);
    u[i] = step;
    x[i] = was - step;
  }
};

template <class M>
struct AdamWStep {
  static constexpr bool wide = std::same_as<M, float>;
  Move move; const double* rises; M beta_1, beta_2, eps, decay; Row<const M> grad; Row<M> m, v, x;
  TRICYCLE_HD void operator()(auto i) const {
    if (!move.gate.is_open()) return;
    using R = Number<M, decltype(i)>;
    R learning_rate(static_cast<M>(move.learning_rate.get())), rise_1(static_cast<M>(rises[0])), rise_2(static_cast<M>(rises[1]));
    R g = grad[i], was = x[i];
    R mean = R(beta_1) * R(m[i]) + R(1 - beta_1) * g, square = R(beta_2) * R(v[i]) + R(1 - beta_2) * g * g;
    m[i] = mean;
    v[i] = square;
    x[i] = was - learning_rate * (mean * rise_1 / (math::sqrt(square * rise_2) + R(eps)) + R(decay) * was);
  }
};

}  // namespace detail

/// u = lr grad + lr decay x + momentum u;   x -= u
struct StochasticGradientDescent {
  double learning_rate = 1e-3, weight_decay = 0, momentum = 0;
  Chooses decays = every_parameter;
  Memory memory{};

  void operator()(const Parameters auto& parameters) { (*this)(parameters, memory); }
  void operator()(const std::string& name, std::same_as<Parameter> auto& parameter) { (*this)(NamedParameters{{name, &parameter}}); }
  /// With a memory that is kept elsewhere; nothing moves when *overflow, on the parameters' device, is not 0.
  void operator()(const Parameters auto& parameters, Memory& kept, const double* overflow = nullptr) {
    if (parameters.empty()) return;
    detail::Update update(parameters, kept, 1, learning_rate, overflow);
    detail::move_all<detail::SgdStep>(parameters, update.device, [&]<class M>(std::size_t i, const std::string& name, Tensor<M>& x) {
      return detail::SgdStep<M>{update.move, M(decays(name, x.shape()) ? weight_decay : 0), M(momentum), {x.grad().data()},
                                {detail::remembered_at<M>(*update.moments[i], 0)}, {x.mutable_data()}};
    });
  }
};

/// Adam with its weight decay apart from the gradient (Loshchilov and Hutter, arXiv:1711.05101).
///   m = β₁ m + (1 - β₁) grad           m̂ = m / (1 - β₁ᵗ), t from 1
///   v = β₂ v + (1 - β₂) grad²          v̂ = v / (1 - β₂ᵗ)
///   x -= lr (m̂ / (√v̂ + eps) + decay x)
struct AdamW {
  double learning_rate = 1e-3, beta_1 = 0.9, beta_2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  Chooses decays = every_parameter;
  Memory memory{};

  void operator()(const Parameters auto& parameters) { (*this)(parameters, memory); }
  void operator()(const std::string& name, std::same_as<Parameter> auto& parameter) { (*this)(NamedParameters{{name, &parameter}}); }
  void operator()(const Parameters auto& parameters, Memory& kept, const double* overflow = nullptr) {
    if (parameters.empty()) return;
    detail::Update update(parameters, kept, 2, learning_rate, overflow, beta_1, beta_2);
    detail::move_all<detail::AdamWStep>(parameters, update.device, [&]<class M>(std::size_t i, const std::string& name, Tensor<M>& x) {
      Moments& moments = *update.moments[i];
      return detail::AdamWStep<M>{update.move, update.rises.data() + 2 * i, M(beta_1), M(beta_2), M(eps), M(decays(name, x.shape()) ? weight_decay : 0), {x.grad().data()},
                                  {detail::remembered_at<M>(moments, 0)}, {detail::remembered_at<M>(moments, 1)}, {x.mutable_data()}};
    });
  }
};

/// Some parameters, and what moves them.
template <class Optimiser>
struct ParameterGroup {
  Chooses takes;
  Optimiser optimiser;
};
template <class Optimiser> ParameterGroup(Chooses, Optimiser) -> ParameterGroup<Optimiser>;

/// Each parameter is moved by the first group that takes it, at that group's own learning rate:
///
///     ParameterGroups optimiser{ParameterGroup{hidden_matrices, Muon{.learning_rate = 0.02}}, ParameterGroup{every_parameter, AdamW{.learning_rate = 3e-4}}};
///     optimiser.get<1>().learning_rate = schedule(step);
///
/// What all of them remember is in one memory, this one's. Throws, and moves nothing, for a parameter that no group takes, or that
/// has no gradient, or that Muon takes and is no matrix.
template <class... Optimisers>
struct ParameterGroups {
  std::tuple<ParameterGroup<Optimisers>...> groups;
  Memory memory{};

  explicit ParameterGroups(ParameterGroup<Optimisers>... all) : groups(std::move(all)...) {}
  template <std::size_t i> auto& get() { return std::get<i>(groups).optimiser; }

  void operator()(const NamedParameters& parameters) { (*this)(parameters, memory); }
  void operator()(const std::string& name, Parameter& parameter) { (*this)(NamedParameters{{name, &parameter}}); }
  void operator()(const NamedParameters& parameters, Memory& kept, const double* overflow = nullptr) {
    detail::device_to_update(parameters);
    std::array<NamedParameters, sizeof...(Optimisers)> taken;
    for (auto& named : parameters) {
      const std::array<bool, sizeof...(Optimisers)> takes = std::apply([&](auto&... group) { return std::array{group.takes(named.first, named.second->shape())...}; }, groups);
      const auto first = std::find(takes.begin(), takes.end(), true);
      check(first != takes.end(), "optimiser: no group takes \"", named.first, "\"");
      taken[static_cast<std::size_t>(first - takes.begin())].push_back(named);
    }
    auto check_one = [](auto& optimiser, const NamedParameters& some) {
      if constexpr (requires { optimiser.check_parameters(some); }) optimiser.check_parameters(some);
    };
    std::apply([&, i = std::size_t{0}](auto&... group) mutable { (check_one(group.optimiser, taken[i++]), ...); }, groups);
    std::apply([&, i = std::size_t{0}](auto&... group) mutable { (group.optimiser(taken[i++], kept, overflow), ...); }, groups);
  }
};

}
}  // namespace tricycle
