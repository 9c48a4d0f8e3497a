// record() for ops of any number of arguments, and for ops with several results.
#pragma once
#include "tricycle/tensor/record.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// For ops of any number of arguments: `back(grad, sinks)` gets a sink for each of `args`, empty where nobody wants the gradient.
template <Floating T, class F>
Tensor<T> record_list(std::string_view name, Tensor<T> result, std::span<const Tensor<T>> args, F back) {
  if (detecting()) [[unlikely]] {
    std::vector<detail::Operand> operands;
    for (auto& arg : args) operands.push_back(detail::operand(arg));
    detail::check_result(name, result.shape(), dtype_name<T>(), detail::find_anomaly(result), operands);
  }
  if (!recording() || std::none_of(args.begin(), args.end(), [](auto& arg) { return arg.requires_grad(); })) return result;
  auto node = detail::make_node<T>(name, result.shape(), result.device());
  for (auto& arg : args) node->args.push_back(arg.node());
  node->back = [back = std::move(back)](const Tensor<T>& grad, Sinks sinks) { back(grad, std::vector<Sink<T>>(sinks.begin(), sinks.end())); };
  result.remember(std::move(node));
  return result;
}

/// For ops with several results: `back(grads, sink of a, sink of b, …)` gets the gradient of each, empty where none came.
template <Floating T, Floating... U, class F>
std::vector<Tensor<T>> record_several(std::string_view name, std::vector<Tensor<T>> results, std::tuple<const Tensor<U>&...> args, F back) {
  for (auto& result : results) detail::look_at(name, result, args);
  auto nodes = std::apply([](auto&... arg) { return std::array<std::shared_ptr<AnyNode>, sizeof...(U)>{arg.node()...}; }, args);
  if (!recording() || std::none_of(nodes.begin(), nodes.end(), [](auto& node) { return node != nullptr; })) return results;
  const Device device = results.front().device();
  auto grads = std::make_shared<std::vector<std::optional<Tensor<T>>>>(results.size());
  auto all = detail::make_node<T>(name, Shape{}, device);        // stands for the results together
  all->several = true;
  all->args = {nodes.begin(), nodes.end()};
  all->back = [grads, back = std::move(back)](const Tensor<T>&, Sinks sinks) {
    [&]<std::size_t... i>(std::index_sequence<i...>) { back(*grads, Sink<U>(sinks[i])...); }(std::index_sequence_for<U...>{});
  };
  for (std::size_t i = 0; i < results.size(); ++i) {
    auto node = detail::make_node<T>(name, results[i].shape(), device);
    node->args = {all};
    node->back = [grads, i](const Tensor<T>& grad, Sinks sinks) {
      auto& came = static_cast<Node<T>*>(sinks[0])->grad;         // any will do: it says that something came in this walk
      if (!came) std::fill(grads->begin(), grads->end(), std::nullopt);
      (*grads)[i] = came = grad;
    };
    results[i].remember(std::move(node));
  }
  return results;
}

}
}  // namespace tricycle
