// Sums of products that make no matrix: of numbers that lie side by side (ij,ij->i), or one above the other (ij,ij->j).
#pragma once
#include "tricycle/op/views.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Rows of a walk in pieces of at most `grain`, whose products are each summed into a number of `out`.
template <class T, class Out>
struct DotRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  static constexpr int together = 3;                     // else nvcc keeps to 64 registers, and spills
  kernel::Walk<3> walk;                                  // of which row it is, then of a and b
  bool side_by_side;                                     // are the numbers of a row neighbours in both?
  Index pieces;
  const T* a;
  const T* b;
  Gather<Out> out;

  template <class Team> TRICYCLE_HD void operator()(Team piece) const {
    const Index row = piece.index / pieces, from = piece.index % pieces * kernel::grain;
    const auto at = walk.begin(row);
    piece.n = walk.n - from < kernel::grain ? walk.n - from : kernel::grain;
    const Index step_a = walk.step[1], step_b = walk.step[2];
    const T* x = a + at.at[1] + from * step_a;
    const T* y = b + at.at[2] + from * step_b;
    auto sum = side_by_side ? piece.sum([&](auto i) { return Row<const T>{x}[i] * Row<const T>{y}[i]; })
                            : piece.sum([&](auto i) { return kernel::Stepped<T>{x, step_a}[i] * kernel::Stepped<T>{y, step_b}[i]; });
    piece.once([&] { out[piece.index] = sum; });
  }
};

/// Row after row of products of neighbours.
template <class T>
struct ProductRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T* a;
  const T* b;
  Index step_a, step_b, n;
  TRICYCLE_HD auto operator()(Index row, auto i) const { return Row<const T>{a + row * step_a}[i] * Row<const T>{b + row * step_b}[i]; }
  TRICYCLE_HD bool aligned() const { return rows_are_aligned(a, step_a) && rows_are_aligned(b, step_b); }
};

/// Axes of a sum in the order in which they are best walked: last comes one along which both operands have neighbours. If there is
/// none, the neighbours of one operand are far apart in the other, and the last axis is cut short, so that what is read between
/// them is still in the caches when its own neighbours are wanted.
inline AxisList best_walked(AxisList axes) {
  constexpr Index piece = 32;
  for (int i = 0; i + 1 < axes.count; ++i)
    if (axes[i].step[1] == 1 && axes[i].step[2] == 1) std::swap(axes[i], axes[axes.count - 1]);
  Axis& last = axes[axes.count - 1];
  if (axes.count < 2 || (last.step[1] == 1 && last.step[2] == 1) || last.extent % piece != 0 || last.extent == piece) return axes;
  AxisList cut;
  cut.push_back({last.extent / piece, {0, last.step[1] * piece, last.step[2] * piece}});
  for (int i = 0; i + 1 < axes.count; ++i) cut.push_back(axes[i]);
  cut.push_back({piece, last.step});
  return cut;
}

/// c (batch) = or += the sum over `sums` of a b; c is contiguous in the order of `batch`. There are such labels, and numbers.
template <class T>
void dots(Device device, const Extents& extents, const View<const T>& a, const View<const T>& b, const Labels& batch, LabelSet sums, Gather<T> c) {
  const Extents nothing{};
  const Steps steps{nothing.data(), a.stride.data(), b.stride.data()};
  const AxisList outer = fused(batch, extents, steps), whole = fused(in_order(sums, a.stride.data()), extents, steps);

  // Neighbours within a batch, summed over one axis: rows of products are added up.
  if (outer.count > 0 && whole.count == 1) {
    const Axis &last = outer[outer.count - 1], &sum = whole[0];
    const bool in_one = outer.count == 1 || (outer.count == 2 && outer[0].step[1] == sum.step[1] * sum.extent && outer[0].step[2] == sum.step[2] * sum.extent);
    if (last.step[1] == 1 && last.step[2] == 1 && in_one && (sum.step[1] != 1 || sum.step[2] != 1))
      return kernel::columns<compute<T>>(device, outer.count == 1 ? 1 : outer[0].extent, sum.extent, last.extent, ProductRows<T>{a.at, b.at, sum.step[1], sum.step[2], last.extent}, c);
  }

  // Else each number is summed by itself: along one axis, and then over the other ones.
  const AxisList inner = best_walked(whole);
  if (outer.count + inner.count > Shape::max_rank) {     // more than a walk has
    Labels order = batch;
    for (char l : in_order(sums, a.stride.data())) order.push_back(l);
    return dots(device, extents, arranged(device, extents, a, order).view(extents), arranged(device, extents, b, order).view(extents), batch, sums, c);
  }
  const int along = inner.count - 1;
  Shape shape;
  std::array<kernel::Strides8, 3> strides{};
  auto push = [&](const Axis& axis, Index is_another_row) {
    const auto i = static_cast<std::size_t>(shape.rank());
    strides[0][i] = is_another_row, strides[1][i] = axis.step[1], strides[2][i] = axis.step[2];
    shape.push_back(axis.extent);
  };
  for (const Axis& axis : outer) push(axis, 1);
  for (int i = 0; i < along; ++i) push(inner[i], 1);
  const Axis& sum = inner[along];
  push(sum, 0);
  const kernel::Walk<3> walk(shape, strides);
  const Index count = outer.size(), pieces = kernel::split(sum.extent, kernel::grain), parts = walk.rows / count * pieces;
  const bool side_by_side = sum.step[1] == 1 && sum.step[2] == 1;
  if (parts == 1) return kernel::rows(device, count, sum.extent, DotRows<T, T>{walk, side_by_side, 1, a.at, b.at, c});
  Tensor<compute<T>> partial(Shape{count * parts}, device);
  kernel::rows(device, count * parts, (std::min)(sum.extent, kernel::grain),
               DotRows<T, compute<T>>{walk, side_by_side, pieces, a.at, b.at, {partial.mutable_data(), false}});
  sum_rows<compute<T>, T>(device, count, parts, partial.data(), 1, c);
}

/// x, its labels as often as they stand there, summed over all that are not `kept`; itself where that is none.
template <class T>
Labelled<T> summed(const Tensor<T>& x, const Labels& labels, LabelSet kept, const Extents& extents) {
  const LabelSet over = labels.set() & ~kept;
  if (over == 0) return {x, labels};
  Labelled<T> sums(labels.of(kept), extents, x.device());
  const Gather<T> to{sums.numbers.mutable_data(), false};
  if (sums.numbers.size() == 0) return sums;
  if (labels.repeats() && size_of(over, extents) > 0) {  // along a diagonal: the numbers times 1
    const Tensor<T> one = filled(Shape{}, T(1.f), x.device());
    dots(x.device(), extents, View<const T>(x.data(), labels, extents), View<const T>(one.data(), {}, extents), sums.labels, over, to);
    return sums;
  }
  Shape shape;
  AxisSet axes;
  for (char c : labels.of(labels.set())) {
    axes[static_cast<std::size_t>(shape.rank())] = !(kept & set_of(c));
    shape.push_back(extents[static_cast<std::size_t>(number_of(c))]);
  }
  sum_over<T, T>(x.device(), shape, axes, x.data(), 1, to);
  return sums;
}

}  // namespace detail
}
}  // namespace tricycle
