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

/// Where each of k operands is read.
template <std::size_t k>
struct Places {
  Index at[k];
};

/// How `k` operands (the output is the first) are walked together at one shape: rows of `n`, in which each operand steps
/// by its own `step`, and outer axes that every operand strides over in its own way. Neighbouring axes become one where
/// all operands allow it, so tensors of one shape are a single row. The output's step must be 1.
template <std::size_t k>
struct Walk {
  Index n = 1, rows = 1;
  Index step[k];
  bool steps_are_1 = true;
  int rank = 0;                                          // of the outer axes, the innermost first
  Index extent[Shape::max_rank]{};
  Index stride[k][Shape::max_rank]{};

  Walk(const Shape& shape, const std::array<Strides8, k>& strides) {
    std::fill_n(step, k, 1);
    int axis = shape.rank() - 1;
    if (axis < 0) return;
    n = shape[axis];
    for (std::size_t j = 0; j < k && n != 1; ++j) step[j] = strides[j][static_cast<std::size_t>(axis)];
    while (--axis >= 0) {
      auto a = static_cast<std::size_t>(axis);
      if (shape[axis] == 1) continue;
      bool joins = true;
      for (std::size_t j = 0; j < k; ++j) joins = joins && strides[j][a] == (rank ? stride[j][rank - 1] * extent[rank - 1] : step[j] * n);
      if (joins) {
        (rank ? extent[rank - 1] : n) *= shape[axis];
        continue;
      }
      for (std::size_t j = 0; j < k; ++j) stride[j][rank] = strides[j][a];
      extent[rank++] = shape[axis];
    }
    for (int i = 0; i < rank; ++i) rows *= extent[i];
    steps_are_1 = std::all_of(step, step + k, [](Index s) { return s == 1; });
  }
  /// Tensors of one shape.
  explicit Walk(Index size) : n(size) { std::fill_n(step, k, 1); }

  /// Where each operand's row `row` begins.
  TRICYCLE_HD Places<k> begin(Index row) const {
    Places<k> places{};
    for (int i = 0; i < rank; ++i) {
      Index outer = quotient(row, extent[i]), here = row - outer * extent[i];
      row = outer;
      for (std::size_t j = 0; j < k; ++j) places.at[j] += here * stride[j][i];
    }
    return places;
  }

  /// a / b. A GPU divides 32 bits by a few instructions, 64 bits by a hundred.
  TRICYCLE_HD static Index quotient(Index a, Index b) {
    if (((a | b) >> 32) == 0) return static_cast<Index>(static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b));
    return a / b;
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
    int count = lanes;
    if constexpr (std::same_as<I, Tail>) count = i.count;
    return tricycle::detail::per_lane<float>([&](int j) { return j < count ? static_cast<float>(at[(i.at + j) * step]) : 0.f; });
  }
};

/// The function that copies.
struct Same {
  TRICYCLE_HD auto operator()(auto x) const { return x; }
};

namespace detail {

/// out = f(a, b, ...) at indices `from` to `to` of a row of a walk.
template <class F, class Out, class... In>
struct Stretch {
  static constexpr bool wide = std::same_as<compute<Out>, float> && (std::same_as<compute<In>, float> && ...);
  Walk<1 + sizeof...(In)> walk;
  F f;
  Gather<Out> out;
  const void* in[sizeof...(In)];

  TRICYCLE_HD void operator()(Index row, Index from, Index to) const { go(walk.begin(row), from, to, std::index_sequence_for<In...>{}); }

 private:
  template <std::size_t... j>
  TRICYCLE_HD void go(const Places<1 + sizeof...(In)>& places, Index from, Index to, std::index_sequence<j...>) const {
    Gather<Out> y{out.at + places.at[0], out.add};
    if (walk.steps_are_1) loop<wide>(from, to, [&](auto i) { y[i] = f(Row<const In>{static_cast<const In*>(in[j]) + places.at[j + 1]}[i]...); });
    else loop<wide>(from, to, [&](auto i) { y[i] = f(Stepped<In>{static_cast<const In*>(in[j]) + places.at[j + 1], walk.step[j + 1]}[i]...); });
  }
};

#ifdef TRICYCLE_CUDA
/// On a GPU each thread has one pack, or one number, of one row.
template <class S>
struct StretchOnGpu {
  static constexpr int threads = 256;
  S stretch;
  TRICYCLE_HD void operator()() const {
    constexpr Index mine = S::wide ? lanes : 1;
    const auto& walk = stretch.walk;
    Index pieces = kernel::split(walk.n, mine), piece = gpu::block() * threads + gpu::thread();
    Index row = walk.rows == 1 ? 0 : walk.quotient(piece, pieces), from = (piece - row * pieces) * mine;
    if (row < walk.rows && from < walk.n) stretch(row, from, from + mine < walk.n ? from + mine : walk.n);
  }
};
#endif

}  // namespace detail

/// out = f(a, b, ...) along a walk. f maps numbers to a number, and knows nothing of where they stand.
template <class F, class Out, class... In>
void map(Device device, const Walk<1 + sizeof...(In)>& walk, F f, Gather<Out> out, const In*... in) {
  detail::Stretch<F, Out, In...> stretch{walk, f, out, {in...}};
  if (walk.rows == 0 || walk.n == 0) return;
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) {
    using OnGpu = detail::StretchOnGpu<decltype(stretch)>;
    return gpu::launch(device, kernel::split(walk.rows * kernel::split(walk.n, stretch.wide ? gpu_lanes : 1), OnGpu::threads), OnGpu{stretch});
  }
#endif
  (void)device;
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
