// Parts of a tensor along an axis, and tensors put together from parts.
#pragma once
#include "tricycle/op/layout.hpp"
#include "tricycle/tensor/must_cast.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Places first, first + step, ... of an axis, `count` of them, where a tensor is seen as (outer, n, inner).
struct AxisPart {
  Index outer, n, inner, first, count, step = 1;

  AxisPart(const Shape& whole, int axis, Index from, Index places, Index stride = 1)
      : outer(whole.product(0, axis)), n(whole[axis]), inner(whole.product(axis + 1, whole.rank())), first(from), count(places), step(stride) {}

  Index offset() const { return first * inner; }
  bool is_one_piece() const { return outer == 1 && step == 1; }
  Shape shape() const { return {outer, count, inner}; }
  kernel::Strides8 strides() const { return {n * inner, step * inner, 1}; }

  /// part -> y, contiguous
  template <class T>
  void read(Device device, const T* whole, Gather<T> y) const {
    if (inner == 1) move(device, Shape{outer, count}, kernel::contiguous({outer, count}), y, {n, step}, whole + first);
    else move(device, shape(), kernel::contiguous(shape()), y, strides(), whole + offset());
  }
  /// x, contiguous -> part
  template <class T>
  void write(Device device, const T* x, Gather<T> whole) const {
    move(device, shape(), strides(), Gather<T>{whole.at + offset(), whole.add}, kernel::contiguous(shape()), x);
  }
  template <class T>
  void write_zeros(Device device, Gather<T> whole) const {
    if (whole.add) return;
    move(device, shape(), strides(), Gather<T>{whole.at + offset(), false}, {}, filled(Shape{}, T(0.f), device).data());
  }
};

/// A part of x as a tensor of this shape.   dx = grad in the part, 0 elsewhere
template <Element T>
Tensor<T> part_of(const Tensor<T>& x, const AxisPart& part, const Shape& shape) {
  Tensor<T> y = part.is_one_piece() ? x.view(shape, part.offset()) : Tensor<T>(shape, x.device());
  if (!part.is_one_piece()) part.read(x.device(), x.data(), Gather<T>{y.mutable_data(), false});
  if constexpr (!Floating<T>) return y;
  else return record("slice", y, {{x, [part](const Tensor<T>& grad, Sink<T> dx) {
    Gather<T> to = dx.gather();
    if (!to.add && part.count < part.n) kernel::each(dx.device(), dx.shape().size(), Fill<T>{T(0.f), to.at});
    part.write(dx.device(), grad.data(), to);
  }}});
}

/// Tensors seen as (outer, widths[i], inner), one after the other at this shape, (outer, the sum of widths, inner).
template <Element T>
Tensor<T> joined(const char* op, const std::vector<Tensor<T>>& xs, const std::vector<Index>& widths, const Shape& shape, int axis) {
  Tensor<T> y(shape, xs[0].device());
  std::vector<AxisPart> parts;
  for (Index behind = 0; Index width : widths) {
    parts.emplace_back(shape, axis, behind, width);
    behind += width;
  }
  for (std::size_t i = 0; i < xs.size(); ++i) {
    check_together(op, "the first tensor is", xs[0], "another", xs[i]);
    parts[i].write(y.device(), xs[i].data(), Gather<T>{y.mutable_data(), false});
  }
  if constexpr (!Floating<T>) return y;
  else return record_list<T>(op, y, xs, [parts = std::move(parts)](const Tensor<T>& grad, std::vector<Sink<T>> sinks) {
    for (std::size_t i = 0; i < sinks.size(); ++i)
      if (sinks[i]) parts[i].read(grad.device(), grad.data(), sinks[i].gather());
  });
}

}  // namespace detail

template <Element T>
Tensor<T> Tensor<T>::slice(int axis, Index from, std::optional<Index> to, Index step) const {
  axis = shape_.axis(axis);
  const Index n = shape_[axis], first = from < 0 ? from + n : from, last = !to ? (step < 0 ? -1 : n) : *to < 0 ? *to + n : *to;
  const bool holds = step > 0 ? 0 <= first && first <= last && last <= n : step < 0 && -1 <= last && last <= first && first < n;
  if (!holds && to) fail("slice: axis ", axis, " of ", shape_, " cannot be cut from ", from, " to ", *to, " by ", step);
  check(holds, "slice: axis ", axis, " of ", shape_, " cannot be cut from ", from, " by ", step);
  step = std::clamp(step, -n - 1, n + 1);                // larger ones reach no other place
  const Index count = step > 0 ? (last - first + step - 1) / step : (first - last - step - 1) / -step;
  return detail::part_of(*this, detail::AxisPart(shape_, axis, first, count, step), shape_.with(axis, count));
}

template <Element T>
Tensor<T> Tensor<T>::operator[](Index i) const {
  check(rank() > 0, "[", i, "]: shape () has no axis");
  return detail::part_of(*this, detail::AxisPart(shape_, 0, checked_index(i, 0), 1), shape_.slice(1, rank()));
}

/// Parts of these sizes along an axis; those of the first axis share the storage. Throws unless the sizes add up to its extent.
///   (..., n_0 + n_1 + ..., ...) -> (..., n_0, ...), (..., n_1, ...), ...
template <Element T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<Index>& sizes, int axis = -1) {
  axis = x.shape().axis(axis);
  std::vector<detail::AxisPart> parts;
  std::vector<Tensor<T>> results;
  Index behind = 0;
  for (Index size : sizes) {
    check(size >= 0 && size <= x.shape()[axis] - behind, "split: a part of ", size, " numbers behind ", behind, " of axis ", axis, " of ", x.shape());
    const auto& part = parts.emplace_back(x.shape(), axis, behind, size);
    const Shape shape = x.shape().with(axis, size);
    results.push_back(part.is_one_piece() ? x.view(shape, part.offset()) : Tensor<T>(shape, x.device()));
    if (!part.is_one_piece()) part.read(x.device(), x.data(), Gather<T>{results.back().mutable_data(), false});
    behind += size;
  }
  check(!sizes.empty() && behind == x.shape()[axis], "split: parts of ", behind, " numbers in all for axis ", axis, " of ", x.shape());
  if constexpr (!Floating<T>) return results;
  else return record_several("split", std::move(results), std::tie(x), [parts = std::move(parts)](const std::vector<std::optional<Tensor<T>>>& grads, Sink<T> dx) {
    Gather<T> to = dx.gather();
    for (std::size_t i = 0; i < grads.size(); ++i)       // a part that no gradient came to is 0
      if (grads[i]) parts[i].write(dx.device(), grads[i]->data(), to);
      else parts[i].write_zeros(dx.device(), to);
  });
}
template <Element T>
std::vector<Tensor<T>> split(const Tensor<T>& x, std::initializer_list<Index> sizes, int axis = -1) { return split(x, std::vector<Index>(sizes), axis); }

/// `n` equal parts along an axis.   (..., n w, ...) -> n times (..., w, ...)
template <Element T>
std::vector<Tensor<T>> split(const Tensor<T>& x, Index n, int axis = -1) {
  axis = x.shape().axis(axis);
  check(n > 0 && n <= (std::numeric_limits<int>::max)() && x.shape()[axis] % n == 0, "split: axis ", axis, " of ", x.shape(), " does not divide into ", n);
  return split(x, std::vector<Index>(static_cast<std::size_t>(n), x.shape()[axis] / n), axis);
}

/// Tensors one after the other along an axis.   (..., n_0, ...), (..., n_1, ...), ... -> (..., n_0 + n_1 + ..., ...)
template <Element T>
Tensor<T> concatenate(const std::vector<Tensor<T>>& xs, int axis = 0) {
  check(!xs.empty(), "concatenate: no tensors");
  const Shape& first = xs[0].shape();
  axis = first.axis(axis);
  std::vector<Index> widths;
  Index n = 0;
  for (auto& x : xs) {
    check(x.rank() == first.rank() && x.shape().with(axis, 0) == first.with(axis, 0), "concatenate: shapes ", first, " and ", x.shape(), " differ elsewhere than on axis ", axis);
    n += widths.emplace_back(x.shape()[axis]);
  }
  return detail::joined("concatenate", xs, widths, first.with(axis, n), axis);
}
template <Element T>
Tensor<T> concatenate(std::initializer_list<Tensor<T>> xs, int axis = 0) { return concatenate(std::vector<Tensor<T>>(xs), axis); }
template <Element T>
Tensor<T> concatenate(const Tensor<T>& a, const Tensor<T>& b, int axis = 0) { return concatenate({a, b}, axis); }
template <Element A, Element B> requires detail::Differ<A, B>
Tensor<A> concatenate(const Tensor<A>& a, const Tensor<B>&, int = 0) { return detail::must_cast_to_join<B>(a); }

/// Tensors of one shape along a new axis: xs[i] is place i of it.   k times (..., n, ...) -> (..., k, n, ...)
template <Element T>
Tensor<T> stack(const std::vector<Tensor<T>>& xs, int axis = 0) {
  check(!xs.empty(), "stack: no tensors");
  const Shape& each = xs[0].shape();
  for (auto& x : xs) check(x.shape() == each, "stack: shapes ", each, " and ", x.shape(), " differ");
  check(axis >= -each.rank() - 1 && axis <= each.rank(), "stack: no axis ", axis, " can be added to ", each);
  if (axis < 0) axis += each.rank() + 1;
  const Shape shape = each.slice(0, axis).followed_by({static_cast<Index>(xs.size())}).followed_by(each.slice(axis, each.rank()));
  return detail::joined("stack", xs, std::vector<Index>(xs.size(), 1), shape, axis);
}
template <Element T>
Tensor<T> stack(std::initializer_list<Tensor<T>> xs, int axis = 0) { return stack(std::vector<Tensor<T>>(xs), axis); }

}
}  // namespace tricycle
