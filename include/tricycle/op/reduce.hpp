// Sums and means over axes.
#pragma once
#include <bitset>
#include <limits>
#include "tricycle/kernel/columns.hpp"
#include "tricycle/kernel/rows.hpp"
#include "tricycle/op/layout.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Which axes a reduction runs over (none named: all of them), and whether they stay with an extent of 1.
struct Axes {
  std::vector<int> over;
  bool keepdims = false;
};

namespace detail {

using AxisSet = std::bitset<Shape::max_rank>;

/// Rows of `n` numbers in pieces of at most `grain`, whose f are each summed into a number of `out`.
template <class T, class Out, class F>
struct SumRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T* x; Index n, pieces; F f; compute<T> scale; Gather<Out> out;
  template <class Team> TRICYCLE_HD void operator()(Team piece) const {
    Index row = piece.index / pieces, from = piece.index % pieces * kernel::grain;
    piece.n = n - from < kernel::grain ? n - from : kernel::grain;
    Row<const T> numbers{x + row * n + from};
    auto sum = piece.sum([&](auto i) { return f(numbers[i]); });
    piece.once([&] { out[piece.index] = sum * scale; });
  }
};

/// (rows, n) -> (rows): `scale` times the sum of f of each number.
template <class T, class Out, class F = kernel::Same>
void sum_rows(Device device, Index rows, Index n, const T* x, compute<T> scale, Gather<Out> out, F f = {}) {
  Index pieces = (std::max)(Index{1}, kernel::split(n, kernel::grain));
  if (pieces == 1) return kernel::rows(device, rows, n, SumRows<T, Out, F>{x, n, 1, f, scale, out});
  Tensor<compute<T>> parts(Shape{rows * pieces}, device);
  kernel::rows(device, rows * pieces, kernel::grain, SumRows<T, compute<T>, F>{x, n, pieces, f, scale, {parts.mutable_data(), false}});
  sum_rows<compute<T>, Out>(device, rows, pieces, parts.data(), 1, out);
}

template <class T>
struct ScaledRow {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T* x; Index n; compute<T> scale;
  template <class I> TRICYCLE_HD auto operator()(Index row, I i) const {
    auto number = Row<const T>{x + row * n}[i];
    return number * decltype(number)(scale);
  }
  TRICYCLE_HD bool aligned() const { return rows_are_aligned(x, n); }
};

/// (outer, middle, inner) -> (outer, inner): `scale` times the sum over the middle.
template <class T, class Out>
void sum_middle(Device device, Index outer, Index middle, Index inner, const T* x, compute<T> scale, Gather<Out> out) {
  if (inner == 1 || middle == 0) sum_rows<T, Out>(device, outer * inner, middle, x, scale, out);   // (0 · ∞ is the mean of none)
  else kernel::columns<compute<T>>(device, outer, middle, inner, ScaledRow<T>{x, inner, scale}, out);
}

/// `scale` times the sum over a set of axes, the last group of neighbours first.
template <class T, class Out>
void sum_over(Device device, const Shape& shape, AxisSet over, const T* x, compute<T> scale, Gather<Out> out) {
  int end = shape.rank();
  while (end > 0 && !over[static_cast<std::size_t>(end - 1)]) --end;
  int begin = end;
  while (begin > 0 && over[static_cast<std::size_t>(begin - 1)]) --begin;
  Index outer = shape.product(0, begin), middle = shape.product(begin, end), inner = shape.product(end, shape.rank());
  AxisSet rest = over;
  for (int axis = begin; axis < end; ++axis) rest[static_cast<std::size_t>(axis)] = false;
  if (rest.none()) return sum_middle<T, Out>(device, outer, middle, inner, x, scale, out);
  Shape left = shape;
  for (int axis = begin; axis < end; ++axis) left = left.with(axis, 1);
  Tensor<compute<T>> partial(left, device);
  sum_middle<T, compute<T>>(device, outer, middle, inner, x, 1, {partial.mutable_data(), false});
  sum_over<compute<T>, Out>(device, left, rest, partial.data(), scale, out);
}

/// Axes of `from` that broadcasting from `to` had stretched.
inline AxisSet stretched(const Shape& from, const Shape& to) {
  AxisSet axes;
  for (int i = 1; i <= from.rank(); ++i)
    axes[static_cast<std::size_t>(from.rank() - i)] = i > to.rank() || (to[-i] == 1 && from[-i] != 1);
  return axes;
}

/// What the gradient of a sum does: each number of it goes to all that it was the sum of.
struct Times {
  double factor;
  TRICYCLE_HD auto operator()(auto g) const { return g * decltype(g)(factor); }
};

/// Write a gradient of a broadcast shape into the sink of an argument: summed over the axes that were stretched.
template <Floating T>
void unbroadcast(const Tensor<T>& grad, Sink<T> sink, double scale = 1) {
  AxisSet over = stretched(grad.shape(), sink.shape());
  if (over.none() && scale == 1) return sink.take(grad.view(sink.shape()));
  if (over.none()) return kernel::map(grad.device(), grad.size(), Times{scale}, sink.gather(), grad.data());
  sum_over<T, T>(grad.device(), grad.shape(), over, grad.data(), static_cast<compute<T>>(scale), sink.gather());
}

inline AxisSet axis_set(const char* op, const Shape& shape, const Axes& axes) {
  AxisSet set;
  if (axes.over.empty()) return set.set(), set >>= static_cast<std::size_t>(Shape::max_rank - shape.rank());
  for (int axis : axes.over) {
    auto i = static_cast<std::size_t>(shape.axis(axis));
    check(!set[i], op, ": axis ", axis, " of ", shape, " is named twice");
    set[i] = true;
  }
  return set;
}

inline Shape without(const Shape& shape, AxisSet over, bool keepdims) {
  Shape rest;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (!over[static_cast<std::size_t>(axis)]) rest.push_back(shape[axis]);
    else if (keepdims) rest.push_back(1);
  return rest;
}

/// x with the axes of `over` moved behind the others and made one.
template <Element T>
Tensor<T> axes_last(const Tensor<T>& x, AxisSet over) {
  std::vector<int> order;
  for (bool reduced : {false, true})
    for (int axis = 0; axis < x.rank(); ++axis)
      if (over[static_cast<std::size_t>(axis)] == reduced) order.push_back(axis);
  Shape rows = without(x.shape(), over, false);
  Tensor<T> moved = std::is_sorted(order.begin(), order.end()) ? x : permute(x, order);
  Index n = moved.shape().product(rows.rank(), moved.rank());
  rows.push_back(n);
  return moved.reshape(rows);
}

struct DividedBy {
  double n;
  TRICYCLE_HD auto operator()(auto x) const { return x / decltype(x)(n); }
};

/// The sum over a set of axes, divided by n.
template <Floating T>
Tensor<T> sum_by(const char* name, const Tensor<T>& x, AxisSet over, bool keepdims, double n) {
  Shape kept = without(x.shape(), over, true);
  Tensor<T> y(without(x.shape(), over, keepdims), x.device());
  if (n == 1) {
    sum_over<T, T>(x.device(), x.shape(), over, x.data(), 1, {y.mutable_data(), false});
  } else {
    Tensor<compute<T>> total(y.shape(), x.device());
    sum_over<T, compute<T>>(x.device(), x.shape(), over, x.data(), 1, {total.mutable_data(), false});
    kernel::map(x.device(), y.size(), DividedBy{n}, Gather<T>{y.mutable_data(), false}, total.data());
  }
  return record(name, y, {{x, [=](const Tensor<T>& grad, Sink<T> dx) {
    kernel::Walk<2> walk(dx.shape(), {kernel::contiguous(dx.shape()), kernel::broadcast_strides(kept, dx.shape())});
    kernel::map(grad.device(), walk, DividedBy{n}, dx.gather(), grad.data());
  }}});
}

}  // namespace detail

/// The sum over `axes`, all of them when none is named.   dx = grad, stretched
template <Floating T>
Tensor<T> sum(const Tensor<T>& x, const Axes& axes = {}) {
  return detail::sum_by("sum", x, detail::axis_set("sum", x.shape(), axes), axes.keepdims, 1);
}

/// The mean over `axes`, all of them when none is named; NaN of no numbers.   dx = grad / n, stretched
template <Floating T>
Tensor<T> mean(const Tensor<T>& x, const Axes& axes = {}) {
  auto over = detail::axis_set("mean", x.shape(), axes);
  Index n = 1;
  for (int axis = 0; axis < x.rank(); ++axis) n *= over[static_cast<std::size_t>(axis)] ? x.shape()[axis] : 1;
  return detail::sum_by("mean", x, over, axes.keepdims, static_cast<double>(n));
}

}
}  // namespace tricycle
