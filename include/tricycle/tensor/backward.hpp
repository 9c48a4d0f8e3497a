// The tensor's side of the tape: what it was made of, its gradient, and backward().
#pragma once
#include "tricycle/tensor/record.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

template <Element T>
Tensor<T>& Tensor<T>::require_grad() requires Floating<T> {
  node_ = detail::make_node<T>("", shape_, device());
  return *this;
}

template <Element T>
Tensor<T>& Tensor<T>::named(std::string name) requires Floating<T> {
  check(node_ && node_->is_leaf(), "named: \"", name, "\" is for a leaf, not for ", node_ ? "what an op made" : "a constant", " of shape ", shape_);
  node_->name = std::move(name);
  return *this;
}

template <Element T> std::string_view Tensor<T>::name() const { return node_ ? std::string_view(node_->name) : std::string_view(); }

template <Element T>
std::vector<std::shared_ptr<const AnyNode>> Tensor<T>::args() const {
  if (!node_) return {};
  return {node_->args.begin(), node_->args.end()};
}

template <Element T>
std::vector<BackFn<T>> Tensor<T>::back_fns() const {
  std::vector<BackFn<T>> fns;
  for (std::size_t i = 0; node_ && i < node_->args.size(); ++i) fns.push_back({node_, i});
  return fns;
}

template <Element T>
Tensor<T> Tensor<T>::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor there(shape_, device);
  there.assign(*this);
  if constexpr (!Floating<T>) return there;
  else return record("to", there, {{*this, [from = this->device()](const Tensor& grad) { return grad.to(from); }}});
}

template <Element T> bool Tensor<T>::has_grad() const { return node_ && node_->grad; }

template <Element T>
const Tensor<T>& Tensor<T>::grad() const {
  check(has_grad() || !node_ || node_->is_leaf(), "grad: only leaves keep their gradient, and this tensor of shape ", shape_, " was made by \"", name(), '"');
  check(has_grad(), "grad: no backward() has reached this tensor of shape ", shape_);
  return *node_->grad;
}

template <Element T>
void Tensor<T>::zero_grad() {
  if (node_) node_->grad.reset();
}

template <Element T>
void Tensor<T>::backward(BackwardOptions options) const requires Floating<T> {
  backward(detail::filled(shape_, T(1), device()), options);
}

template <Element T>
void Tensor<T>::backward(const Tensor& grad, BackwardOptions options) const requires Floating<T> {
  check(node_ != nullptr, "backward: nothing was recorded for this tensor of shape ", shape_);
  check(grad.shape() == shape_, "backward: a gradient of shape ", grad.shape(), " for a tensor of shape ", shape_);
  check(grad.device() == device(), "backward: a gradient on ", grad.device(), " for a tensor on ", device());
  if (options.clip) check(*options.clip >= 0, "backward: gradients cannot be clipped to ", *options.clip);
  NoGrad guard;
  node_->begin_walk();
  Sink<T>(node_.get()).take(grad);
  walk_back(node_, options);
}

}
}  // namespace tricycle
