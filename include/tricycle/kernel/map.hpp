// Skeleton 1, over tensors: out = f(a, b, ...) at every index of a shape, each operand read by strides of its own.
#pragma once
#include <array>
#include "tricycle/core/shape.hpp"
#include "tricycle/kernel/each.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

using Strides8 = std::array<Index, Shape::max_rank>;

/// The strides, in elements, of a contiguous tensor.
constexpr Strides8 contiguous(const Shape& shape) {
  Strides8 stride{};
  Index step = 1;
  for (int axis = shape.rank(); axis-- > 0;) {
    stride[static_cast<std::size_t>(axis)] = step;
    step *= shape[axis];
  }
  return stride;
}

/// The strides that read a contiguous tensor of shape `from` at the shape `to` that it broadcasts to: 0 where stretched.
constexpr Strides8 broadcast_strides(const Shape& from, const Shape& to) {
  Strides8 stride{}, own = contiguous(from);
  for (int i = 1; i <= from.rank(); ++i)
    if (from[-i] != 1 || to[-i] == 1) stride[static_cast<std::size_t>(to.rank() - i)] = own[static_cast<std::size_t>(from.rank() - i)];
  return stride;
}

/// How `k` operands (the output is the first) are walked together at one shape: rows of `n`, in which each operand steps
/// by its own `step`, and outer axes that every operand strides over in its own way. Neighbouring axes become one where
/// all operands allow it, so tensors of one shape are a single row. The output's step must be 1.
template <std::size_t k>
struct Walk {
  Index n = 1, rows = 1;
  std::array<Index, k> step{};
  int rank = 0;                                          // of the outer axes, the innermost first
  Strides8 extent{};
  std::array<Strides8, k> stride{};

  Walk(const Shape& shape, const std::array<Strides8, k>& strides) {
    int axis = shape.rank() - 1;
    if (axis < 0) {
      step.fill(1);
      return;
    }
    n = shape[axis];
    for (std::size_t j = 0; j < k; ++j) step[j] = strides[j][static_cast<std::size_t>(axis)];
    if (n == 1) step.fill(1);
    while (--axis >= 0) {
      auto a = static_cast<std::size_t>(axis);
      if (shape[axis] == 1) continue;
      auto last = static_cast<std::size_t>(rank - 1);
      bool joins = true;
      for (std::size_t j = 0; j < k; ++j) joins = joins && strides[j][a] == (rank ? stride[j][last] * extent[last] : step[j] * n);
      if (joins) {
        (rank ? extent[last] : n) *= shape[axis];
        continue;
      }
      for (std::size_t j = 0; j < k; ++j) stride[j][static_cast<std::size_t>(rank)] = strides[j][a];
      extent[static_cast<std::size_t>(rank++)] = shape[axis];
    }
    for (int i = 0; i < rank; ++i) rows *= extent[static_cast<std::size_t>(i)];
  }
  /// Tensors of one shape.
  explicit Walk(Index size) : n(size) { step.fill(1); }

  bool all_steps_are_1() const { return std::all_of(step.begin(), step.end(), [](Index s) { return s == 1; }); }

  /// Where each operand's row `row` begins.
  std::array<Index, k> begin(Index row) const {
    std::array<Index, k> at{};
    for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
      Index here = row % extent[i];
      row /= extent[i];
      for (std::size_t j = 0; j < k; ++j) at[j] += here * stride[j][i];
    }
    return at;
  }
};

/// Numbers that stand `step` apart, read by one index or by many.
template <class T>
struct Stepped {
  const T* at;
  Index step;
  TRICYCLE_HD auto operator[](Index i) const { return Row<const T>{at}[i * step]; }
  template <class I> TRICYCLE_HD Pack operator[](I i) const {
    if (step == 1) return Row<const T>{at}[i];
    if (step == 0) return Pack(static_cast<float>(*at));
    float numbers[lanes] = {};
    int count = lanes;
    if constexpr (std::same_as<I, Tail>) count = i.count;
    for (int j = 0; j < count; ++j) numbers[j] = static_cast<float>(at[(i.at + j) * step]);
    return Row<const float>{numbers}[Lanes{0}];
  }
};

/// The function that copies.
struct Same {
  TRICYCLE_HD auto operator()(auto x) const { return x; }
};

/// out = f(a, b, ...) along a walk. f maps numbers to a number, and knows nothing of where they stand.
template <class F, class Out, class... In>
void map(Device, const Walk<1 + sizeof...(In)>& walk, F f, Gather<Out> out, const In*... in) {
  constexpr bool wide = std::same_as<compute<Out>, float> && (std::same_as<compute<In>, float> && ...);
  auto stretch = [&](Index row, Index from, Index to) {
    auto at = walk.begin(row);
    [&]<std::size_t... j>(std::index_sequence<j...>) {
      Gather<Out> y{out.at + at[0], out.add};
      if (walk.all_steps_are_1()) loop<wide>(from, to, [&](auto i) { y[i] = f(Row<const In>{in + at[j + 1]}[i]...); });
      else loop<wide>(from, to, [&](auto i) { y[i] = f(Stepped<In>{in + at[j + 1], walk.step[j + 1]}[i]...); });
    }(std::index_sequence_for<In...>{});
  };
  if (walk.rows == 0 || walk.n == 0) return;
  if (walk.rows * walk.n < serial_below()) {
    for (Index row = 0; row < walk.rows; ++row) stretch(row, 0, walk.n);
    return;
  }
  Index pieces = (walk.n + grain - 1) / grain;           // of a long row
  Index some = (std::max)(Index{1}, grain / walk.n);     // short rows
  parallel((walk.rows + some - 1) / some * pieces, [&](Index task) {
    Index from = task % pieces * grain, to = (std::min)(from + grain, walk.n);
    Index first = task / pieces * some, last = (std::min)(first + some, walk.rows);
    for (Index row = first; row < last; ++row) stretch(row, from, to);
  });
}

/// The same for operands of one shape.
template <class F, class Out, class... In>
void map(Device device, Index size, F f, Gather<Out> out, const In*... in) {
  map(device, Walk<1 + sizeof...(In)>(size), f, out, in...);
}

}  // namespace kernel
}
}  // namespace tricycle
