// A layer is a struct that can be called, and that names its parts once.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include "tricycle/kernel/alarm.hpp"
#include "tricycle/nn/parameter.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// visit(name, part) for `part` and all that is in it: parameters, layers, lists of them, and those that may be absent.
template <class Part, class Visit>
void walk_parts(Part& part, Visit& visit, const std::string& name) {
  auto inside = [&](const std::string& as, auto& child) { walk_parts(child, visit, name.empty() ? as : name + "." + as); };
  if constexpr (requires { part.has_value(); }) {
    if (part) walk_parts(*part, visit, name);
  } else if constexpr (requires { part.begin(); }) {
    for (std::size_t i = 0; i < part.size(); ++i) inside(std::to_string(i), part[i]);
  } else {
    visit(name, part);
    if constexpr (requires { part.parts(part, inside); }) part.parts(part, inside);
  }
}

/// What C++ calls a type, without its namespaces and its own parameters.
template <class T>
std::string type_name() {
  std::string_view text = __PRETTY_FUNCTION__;           // "... [with T = tricycle::Dense; ...]"
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of("<;]"));
  if (auto colon = text.rfind(':'); colon != text.npos) text.remove_prefix(colon + 1);
  return std::string(text);
}

template <class Part> inline constexpr bool is_parameter = std::same_as<std::remove_cvref_t<Part>, Parameter>;

/// Adds the lines of a part, and of all that is in it, each level further to the right. Returns how many parameters that are.
template <class Part>
Index display_part(std::string& lines, const Part& part, const std::string& name, std::size_t depth) {
  Index n = 0;
  if constexpr (requires { part.has_value(); }) {
    if (part) n = display_part(lines, *part, name, depth);
  } else if constexpr (requires { part.begin(); }) {
    for (std::size_t i = 0; i < part.size(); ++i) n += display_part(lines, part[i], name + "." + std::to_string(i), depth);
  } else if constexpr (is_parameter<Part>) {
    n = part.size();
    lines += written([&](std::ostream& out) { out << std::string(2 * depth, ' ') << name << ' ' << part.shape() << ", " << n << '\n'; });
  } else {
    std::string inner, type;
    auto inside = [&](const std::string& as, auto& child) { n += display_part(inner, child, as, depth + 1); };
    if constexpr (requires { part.parts(part, inside); }) part.parts(part, inside);
    if constexpr (requires { part.kind(); }) type = part.kind();
    else type = type_name<Part>();
    lines += std::string(2 * depth, ' ') + name + (name.empty() ? "" : ": ") + type + (n > 0 ? ", " + std::to_string(n) : "") + '\n' + inner;
  }
  return n;
}

}  // namespace detail

/// Some parameters of a model, and how it calls them.
using NamedParameters = std::vector<std::pair<std::string, Parameter*>>;
using NamedConstParameters = std::vector<std::pair<std::string, const Parameter*>>;

/// The device that all of these are on; the CPU if there are none. Throws, as `op`, when they are on several.
inline Device common_device(const char* op, const NamedParameters& parameters) {
  const Device device = parameters.empty() ? Device::cpu : parameters.front().second->device();
  for (auto& [name, parameter] : parameters)
    check(parameter->device() == device, op, ": \"", name, "\" is on ", parameter->device(), ", but others are on ", device);
  return device;
}

/// What every layer can do, once it says what it is made of:
///
///     struct MLP : Layer<MLP> {
///       Dense in{3, 4}, out{4, 2};
///       template <class T> Tensor<T> operator()(const Tensor<T>& x) const { return out(relu(in(x))); }
///       static void parts(auto& self, auto&& part) { part("in", self.in); part("out", self.out); }
///     };
template <class Derived>
struct Layer {
  /// Every parameter, and its name, as "blocks.0.attention.in.weights".
  NamedParameters parameters() {
    NamedParameters all;
    collect(self(), all);
    return all;
  }
  NamedConstParameters parameters() const {
    NamedConstParameters all;
    collect(self(), all);
    return all;
  }

  /// visit(name, parameter) for every parameter.
  template <class Visit> void each_parameter(Visit&& visit) { for (const auto& [name, parameter] : parameters()) visit(name, *parameter); }
  template <class Visit> void each_parameter(Visit&& visit) const { for (const auto& [name, parameter] : parameters()) visit(name, *parameter); }

  Index parameter_count() const {
    Index n = 0;
    each_parameter([&](auto&, auto& parameter) { n += parameter.size(); });
    return n;
  }

  /// The model as a tree: a line for each part, with its name and type and how many parameters are in it, or with the shape of
  /// the parameter that it is.
  std::string display() const {
    std::string lines;
    detail::display_part(lines, self(), "", 0);
    return lines;
  }

  /// Let the optimiser move every parameter that has a gradient, and forget the gradients. It is handed all of them, or,
  /// if it only knows how to move one, optimiser(name, parameter), one after the other.
  template <class Optimiser>
  void update(Optimiser&& optimiser) {
    NamedParameters all;
    each_parameter([&](const std::string& name, Parameter& parameter) {
      if (parameter.has_grad()) all.push_back({name, &parameter});
    });
    if constexpr (std::invocable<Optimiser&, const NamedParameters&>) optimiser(all);
    else for (auto& [name, parameter] : all) optimiser(name, *parameter);
    if (!all.empty()) kernel::count_update(all.front().second->device());
    zero_grad();
  }
  void zero_grad() { each_parameter([](auto&, Parameter& parameter) { parameter.zero_grad(); }); }

  /// Call every parameter's tensor by its name, in explain() and in errors, until it is moved or held in another precision.
  void name_parameters() {
    each_parameter([](const std::string& name, Parameter& parameter) { parameter.visit([&](auto& x) { x.named(name); }); });
  }

  /// Dropout drops while training (as a new layer does), and lets everything pass otherwise.
  void train(bool on = true) {
    auto set = [on](const std::string&, auto& part) {
      if constexpr (requires { part.training; }) part.training = on;
    };
    detail::walk_parts(self(), set, "");
  }
  void eval() { train(false); }

  /// Keep every parameter on a GPU, or on the CPU, from now on; gradients are dropped. Throws when there is no such GPU.
  void to(Device device) { each_parameter([=](auto&, Parameter& parameter) { parameter.move_to(device); }); }
  void to_gpu(int index = 0) { to(Device::cuda(index)); }
  void from_gpu() { to(Device::cpu); }

  /// Write every parameter to a file, by its name, in safetensors' format; and read them back. (train/checkpoint.hpp: save_model, load_model)
  void save(const std::string& path) const;
  void load(const std::string& path);

 private:
  Derived& self() { return static_cast<Derived&>(*this); }
  const Derived& self() const { return static_cast<const Derived&>(*this); }

  template <class Model, class All>
  static void collect(Model& model, All& all) {
    auto add = [&](const std::string& name, auto& part) {
      if constexpr (detail::is_parameter<decltype(part)>) all.push_back({name, &part});
    };
    detail::walk_parts(model, add, "");
  }
};

/// Hold every parameter of a model in M, float or double, from now on. (Gradient checks want double.)
template <class M, class Model>
void to(Model& model) {
  model.each_parameter([](auto&, Parameter& parameter) { parameter.template hold_as<M>(); });
}

}
}  // namespace tricycle
