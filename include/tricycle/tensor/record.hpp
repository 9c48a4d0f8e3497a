// record(): all of autograd's interface. An op hands over its result and, for each argument, how its gradient is made.
#pragma once
#include <array>
#include <functional>
#include <tuple>
#include "tricycle/kernel/map.hpp"
#include "tricycle/tensor/anomaly.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <class T>
struct Fill {
  T value; T* x;
  TRICYCLE_HD void operator()(Index i) const { x[i] = value; }
};

template <Element T>
Tensor<T> filled(const Shape& shape, T value, Device device) {
  Tensor<T> t(shape, device);
  kernel::each(device, t.size(), Fill<T>{value, t.mutable_data()});
  return t;
}

/// g, cut to [-most, most]. NaN stays.
template <class T>
struct Clip {
  compute<T> most;
  template <class R> TRICYCLE_HD R operator()(R g) const { return (math::max)((math::min)(g, R(most)), R(-most)); }
};

template <Element T>
Anomaly find_anomaly(const Tensor<T>& x) {
  if (x.device().is_cpu()) return find_anomaly(x.span());
  Tensor<T> here(x.shape());
  here.assign(x);                                        // not from_gpu(), which is an op and would be looked at
  return find_anomaly(here.span());
}

/// What anomaly mode wants to know of operands.
template <Element T>
Operand operand(const Tensor<T>& x) { return {x.node().get(), x.shape(), dtype_name<T>(), find_anomaly(x)}; }

template <Floating T, Floating... U>
void look_at(std::string_view op, const Tensor<T>& result, const std::tuple<const Tensor<U>&...>& args) {
  if (!detecting()) [[likely]] return;
  const auto operands = std::apply([](auto&... arg) { return std::array<Operand, sizeof...(U)>{operand(arg)...}; }, args);
  check_result(op, result.shape(), dtype_name<T>(), find_anomaly(result), operands);
}

}  // namespace detail

/// Where the gradient of one argument is gathered. A back_fn either writes all of it through gather(), which says whether
/// to overwrite or to add, or hands over a tensor that it has anyway. Empty when nobody wants this gradient.
template <Floating T>
class Sink {
 public:
  explicit Sink(AnyNode* node) : node_(static_cast<Node<T>*>(node)) {}
  explicit operator bool() const { return node_ != nullptr; }

  const Shape& shape() const { return node_->shape; }
  Device device() const { return node_->device; }
  /// Is there already something to add to?
  bool adds() const { return node_->grad.has_value(); }

  Gather<T> gather() {
    bool add = adds();
    if (!add) node_->grad.emplace(node_->shape, node_->device);
    else if (!node_->grad->is_unique()) node_->grad = node_->grad->clone();
    return {node_->grad->mutable_data(), add};
  }

  void take(const Tensor<T>& grad) {
    check(grad.shape() == shape(), "a gradient of shape ", grad.shape(), " was made for an argument of shape ", shape());
    if (!adds()) node_->grad = grad.detach();
    else kernel::map(device(), grad.size(), kernel::Same{}, gather(), grad.data());
  }

 private:
  Node<T>* node_;
};

/// How a recorded op sends its gradient on: one sink for each of its args, null where nobody wants the gradient.
using Sinks = std::span<AnyNode* const>;
template <Element T> using Back = std::function<void(const Tensor<T>&, Sinks)>;

namespace detail {

/// A Back that holds `f` in cached memory. Calls f(grad, sink of an arg, ...), or f(grad) to be handed a tensor to take.
template <class T, class F, class... U>
struct Sending : memory::Cached {
  F f;
  explicit Sending(F back) : f(std::move(back)) {}
  void operator()(const Tensor<T>& grad, Sinks sinks) const { send(grad, sinks, std::index_sequence_for<U...>{}); }

 private:
  template <std::size_t... i>
  void send(const Tensor<T>& grad, Sinks sinks, std::index_sequence<i...>) const {
    if constexpr (std::is_invocable_v<const F&, const Tensor<T>&, Sink<U>...>) f(grad, Sink<U>(sinks[i])...);
    else (Sink<U>(sinks[i]).take(f(grad)), ...);
  }
};

}  // namespace detail

/// {arg, back_fn}: `back_fn(grad, sink)` writes the gradient of `arg` into its sink, or `back_fn(grad)` returns it.
template <Floating T>
struct Edge {
  std::shared_ptr<AnyNode> arg;
  Back<T> back_fn;
  std::optional<detail::Operand> operand;                // in anomaly mode

  template <Floating U, class F>
  Edge(const Tensor<U>& x, F f) {
    if (detecting()) [[unlikely]] operand = detail::operand(x);
    if (!recording() || !x.node()) return;
    arg = x.node();
    back_fn = detail::Sending<T, F, U>(std::move(f));
  }
};

/// A leaf or one recorded operation: how its gradient goes on to its args, and the gradient gathered so far.
template <Element T>
struct Node final : AnyNode {
  Back<T> back;                                          // empty: a leaf, or freed
  std::optional<Tensor<T>> grad;

  bool is_leaf() const override { return !back && !freed; }
  const char* dtype() const override { return dtype_name<T>(); }

  void begin_walk() noexcept override {
    if (!is_leaf()) grad.reset();
  }
  void propagate(const BackwardOptions& options) override {
    if (is_leaf()) {                                     // keeps its gradient, as its own: what came may be shared
      if (grad && !grad->is_unique()) grad = grad->clone();
      return;
    }
    if (grad && (options.clip || detecting())) [[unlikely]] {
      for (std::size_t i = 0; i < args.size(); ++i)
        if (args[i]) args[i]->receive([&] { send(*grad, i); }, *this, i, options);
    } else if (grad) {
      send(*grad);
    }
    grad.reset();
    if (options.retain_graph) return;
    back = nullptr;                                      // frees the activations as the walk passes
    freed = true;
  }

  void receive(const std::function<void()>& send, const AnyNode& from, std::size_t i, const BackwardOptions& options) override {
    if (several) return send();                          // what is here only says that something came
    struct Aside {                                       // what was here is put back, even when `send` throws
      std::optional<Tensor<T>>& place;
      std::optional<Tensor<T>> before = std::exchange(place, std::nullopt);
      ~Aside() { place.swap(before); }
    };
    std::optional<Tensor<T>> came;
    {
      Aside aside{grad};
      send();
      came = std::move(grad);
    }
    if (!came) return;
    if (detecting()) detail::check_sent(from, i, detail::find_anomaly(*came));
    if (options.clip) kernel::map(device, came->size(), detail::Clip<T>{static_cast<compute<T>>(*options.clip)}, Sink<T>(this).gather(), came->data());
    else Sink<T>(this).take(*came);
  }

  std::vector<detail::Held> held() const override {
    std::vector<detail::Held> found;
    struct Listen {
      std::vector<detail::Held>* before;
      explicit Listen(std::vector<detail::Held>* to) : before(std::exchange(detail::listener(), to)) {}
      ~Listen() { detail::listener() = before; }
    } listen(&found);
    Back<T> copy(back);
    return found;
  }

  static constexpr std::size_t max_args = 8, every = static_cast<std::size_t>(-1);        // max_args: of record() and record_joint()

  /// Send a gradient on to all args, or to the one that is `only`.
  void send(const Tensor<T>& from, std::size_t only = every) const {
    std::array<AnyNode*, max_args> few{};
    std::vector<AnyNode*> many(args.size() > max_args ? args.size() : 0);
    const std::span<AnyNode*> sinks(many.empty() ? few.data() : many.data(), args.size());
    for (std::size_t i = 0; i < args.size(); ++i)
      if (only == every || only == i) sinks[i] = args[i].get();
    try {
      back(from, sinks);
    } catch (const Error& error) {
      fail("backward of \"", name, "\": ", error.what());
    }
  }
};

/// back_fns()[i] of a tensor: sends a gradient of that tensor on to args()[i] alone, whose gradient it adds to.
template <Element T>
struct BackFn {
  std::shared_ptr<Node<T>> node;
  std::size_t i;

  void operator()(const Tensor<T>& grad) const {
    check(!node->freed, "back_fn: the graph of \"", node->name, "\" was freed by backward()");
    check(grad.shape() == node->shape, "back_fn of \"", node->name, "\": a gradient of shape ", grad.shape(), " for a tensor of shape ", node->shape);
    NoGrad guard;
    if (!node->args[i]) return;
    node->send(grad, i);
    if (node->args[i]->is_leaf()) node->args[i]->propagate({});            // which makes its gradient its own
  }
  friend std::ostream& operator<<(std::ostream& out, const BackFn& f) { return out << "back_fn " << f.i << " of " << f.node->name; }
};

namespace detail {

template <Floating T>
std::shared_ptr<Node<T>> make_node(std::string_view name, const Shape& shape, Device device) {
  auto node = std::allocate_shared<Node<T>>(memory::Allocator<Node<T>>{});
  node->name = name;
  node->shape = shape;
  node->device = device;
  return node;
}

inline bool any_wanted(std::initializer_list<const AnyNode*> args) {
  return recording() && std::any_of(args.begin(), args.end(), [](auto* arg) { return arg != nullptr; });
}

}  // namespace detail

/// `result`, remembering how it was made: record("mul", y, {{a, back_fn_of_a}, {b, back_fn_of_b}}).
template <Floating T, std::size_t n>
Tensor<T> record(std::string_view name, Tensor<T> result, Edge<std::type_identity_t<T>> (&&edges)[n]) {
  static_assert(n <= Node<T>::max_args);
  if (detecting()) [[unlikely]] {
    std::vector<detail::Operand> operands;
    for (auto& edge : edges)
      if (edge.operand) operands.push_back(*edge.operand);
    detail::check_result(name, result.shape(), dtype_name<T>(), detail::find_anomaly(result), operands);
  }
  if (std::none_of(edges, edges + n, [](auto& edge) { return edge.arg != nullptr; })) return result;
  auto node = detail::make_node<T>(name, result.shape(), result.device());
  node->args.reserve(n);
  for (auto& edge : edges) node->args.push_back(std::move(edge.arg));
  if constexpr (n == 1) {
    node->back = std::move(edges[0].back_fn);
  } else {
    std::array<Back<T>, n> back_fns;
    for (std::size_t i = 0; i < n; ++i) back_fns[i] = std::move(edges[i].back_fn);
    node->back = [back_fns = std::move(back_fns)](const Tensor<T>& grad, Sinks sinks) {
      for (std::size_t i = 0; i < n; ++i)
        if (sinks[i]) back_fns[i](grad, sinks.subspan(i, 1));
    };
  }
  result.remember(std::move(node));
  return result;
}

/// For gradients that are computed together: one joint back(grad, sink of a, sink of b, …) for all of `args`.
template <Floating T, Floating... U, class F>
Tensor<T> record_joint(std::string_view name, Tensor<T> result, std::tuple<const Tensor<U>&...> args, F back) {
  static_assert(sizeof...(U) <= Node<T>::max_args);
  detail::look_at(name, result, args);
  return std::apply([&](auto&... arg) {
    if (!detail::any_wanted({arg.node().get()...})) return result;
    auto node = detail::make_node<T>(name, result.shape(), result.device());
    node->args = {arg.node()...};
    node->back = detail::Sending<T, F, U...>(std::move(back));
    result.remember(std::move(node));
    return result;
  }, args);
}

}
}  // namespace tricycle
#include "tricycle/tensor/record_many.hpp"
#include "tricycle/tensor/backward.hpp"
