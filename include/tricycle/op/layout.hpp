// Ops that move numbers and change none.
#pragma once
#include "tricycle/kernel/map.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Copy numbers at `shape`, read from x by strides of its own and written to y by its own.
template <class T>
void move(Device device, const Shape& shape, const kernel::Strides8& to, Gather<T> y, const kernel::Strides8& from, const T* x) {
  kernel::map(device, kernel::Walk<2>(shape, {to, from}), kernel::Same{}, y, x);
}

/// Axis i of the result is axis order[i] of x.
template <Element T>
void permute_into(const Tensor<T>& x, const std::vector<int>& order, Gather<T> y) {
  kernel::Strides8 from{}, own = kernel::contiguous(x.shape());
  Shape shape;
  for (std::size_t i = 0; i < order.size(); ++i) {
    shape.push_back(x.shape()[order[i]]);
    from[i] = own[static_cast<std::size_t>(order[i])];
  }
  move(x.device(), shape, kernel::contiguous(shape), y, from, x.data());
}

inline std::vector<int> inverse(const std::vector<int>& order) {
  std::vector<int> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return back;
}

}  // namespace detail

template <Element T>
Tensor<T> Tensor<T>::reshape(const Shape& to) const {
  check(to.size() == size(), "reshape: cannot see ", shape_, " as ", to);
  if constexpr (!Floating<T>) return view(to);
  else return record("reshape", view(to), {{*this, [from = shape_](const Tensor& grad) { return grad.view(from); }}});
}

template <Element T>
Tensor<T> Tensor<T>::reshape(std::initializer_list<Index> extents) const {
  Shape to;
  int guess = -1;                                        // the axis of the extent -1
  for (Index n : extents) {
    check(n != -1 || guess < 0, "reshape: cannot work out more than one extent of -1 for ", shape_);
    if (n == -1) guess = to.rank();
    to.push_back(n == -1 ? 1 : n);
  }
  if (guess < 0) return reshape(to);
  Index known = to.size();
  check(known != 0 && size() % known == 0, "reshape: cannot work out the extent of -1 for ", shape_);
  return reshape(to.with(guess, size() / known));
}

/// Axis i of the result is axis order[i] of x; negative axes count from the last.
///   (n_0, n_1, ...) -> (n_order[0], n_order[1], ...)
template <Element T>
Tensor<T> permute(const Tensor<T>& x, std::vector<int> order) {
  check(order.size() == static_cast<std::size_t>(x.rank()), "permute: ", order.size(), " axes are named for shape ", x.shape());
  std::uint32_t seen = 0;
  Shape shape;
  for (int& axis : order) {
    axis = x.shape().axis(axis);
    check(!(seen >> axis & 1), "permute: axis ", axis, " of ", x.shape(), " is named twice");
    seen |= 1u << axis;
    shape.push_back(x.shape()[axis]);
  }
  Tensor<T> y(shape, x.device());
  detail::permute_into(x, order, Gather<T>{y.mutable_data(), false});
  if constexpr (!Floating<T>) return y;
  else return record("permute", y, {{x, [order](const Tensor<T>& grad, Sink<T> dx) { detail::permute_into(grad, detail::inverse(order), dx.gather()); }}});
}

/// The last two axes change places; a matrix becomes its transpose.   (..., m, n) -> (..., n, m)
template <Element T>
Tensor<T> transpose(const Tensor<T>& x) {
  check(x.rank() >= 2, "transpose: shape ", x.shape(), " has fewer than 2 axes");
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  for (int i = 0; i < x.rank(); ++i) order[static_cast<std::size_t>(i)] = i;
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return permute(x, order);
}

}
}  // namespace tricycle
