// Tensors as einsum sees them: a stride for each label, so that a transpose, a diagonal or a stretched axis is no copy.
#pragma once
#include <span>
#include "tricycle/op/reduce.hpp"
#include "tricycle/op/subscript.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// How far each label goes, by its number.
using Extents = std::array<Index, n_labels>;

/// How many numbers these labels have. Throws rather than overflow.
inline Index size_of(LabelSet labels, const Extents& extents) {
  Index n = 1;
  bool empty = false;
  for_each(labels, [&](std::size_t l) {
    empty = empty || extents[l] == 0;
    check(empty || n <= (std::numeric_limits<Index>::max)() / extents[l], "einsum: a step has more numbers than 64 bits can count");
    n *= empty ? 1 : extents[l];
  });
  return empty ? 0 : n;
}

/// Numbers and how far apart they lie along each label. One that is not here, or was of extent 1, has stride 0: that is all of
/// broadcasting. One that stands twice (ii) steps along both axes at once: that is all of diagonals.
template <class T>
struct View {
  T* at;
  LabelSet labels = 0;
  std::array<Index, n_labels> stride{};

  /// Contiguous numbers whose axes are these labels. (Axes of extent 1 have none: they move no number.)
  View(T* from, const Labels& axes, const Extents& extents) : at(from), labels(axes.set()) {
    Index step = 1;
    for (int i = axes.count; i-- > 0;) {
      const auto l = static_cast<std::size_t>(number_of(axes[i]));
      stride[l] += step;
      step *= extents[l];
    }
  }
};

/// Labels that are walked as one: how far, and how far apart the steps are in each of three tensors.
struct Axis {
  Index extent;
  std::array<Index, 3> step;
};
/// No label at all.
inline constexpr Axis no_axis{1, {}};

/// A few axes, the outermost first.
struct AxisList {
  std::array<Axis, n_labels> at;                         // uninitialised: there are many of these lists, and few are long
  int count = 0;

  AxisList() = default;
  AxisList(const AxisList& other) { *this = other; }
  AxisList& operator=(const AxisList& other) {
    count = other.count;
    std::copy_n(other.at.begin(), count, at.begin());
    return *this;
  }

  Axis& operator[](int i) { return at[static_cast<std::size_t>(i)]; }
  const Axis& operator[](int i) const { return at[static_cast<std::size_t>(i)]; }
  const Axis* begin() const { return at.data(); }
  const Axis* end() const { return at.data() + count; }
  void push_back(const Axis& axis) { (*this)[count++] = axis; }
  Axis take_first() {
    const Axis first = at[0];
    std::copy_n(at.begin() + 1, --count, at.begin());
    return first;
  }
  Index size() const {
    Index n = 1;
    for (const Axis& axis : *this) n *= axis.extent;
    return n;
  }
};

/// Where each of three tensors steps, by label.
using Steps = std::array<const Index*, 3>;

/// Labels from the longest step of one tensor to the shortest.
inline Labels in_order(LabelSet set, const Index* step) {
  Labels order;
  for_each(set, [&](std::size_t l) {
    int i = order.count++;
    for (; i > 0 && step[number_of(order[i - 1])] < step[l]; --i) order[i] = order[i - 1];
    order[i] = label_of(l);
  });
  return order;
}

/// Labels as few axes: neighbours become one where all tensors in `asked` (a bit for each) step so that they can be.
inline AxisList fused(const Labels& order, const Extents& extents, const Steps& steps, unsigned asked = 7) {
  AxisList axes;
  for (char c : order) {
    const auto l = static_cast<std::size_t>(number_of(c));
    const Axis axis{extents[l], {steps[0][l], steps[1][l], steps[2][l]}};
    bool joins = axes.count > 0;
    for (std::size_t t = 0; joins && t < 3; ++t) joins = !(asked >> t & 1) || axes[axes.count - 1].step[t] == axis.step[t] * axis.extent;
    if (!joins) axes.push_back(axis);
    else axes[axes.count - 1] = {axes[axes.count - 1].extent * axis.extent, axis.step};
  }
  return axes;
}

/// y[i] = or += f(x[i], ...) along axes whose steps are those of y, then of each x.
template <class F, class T, class... In>
void map_along(Device device, std::span<const Axis> axes, F f, Gather<T> y, const In*... x) {
  constexpr std::size_t k = 1 + sizeof...(In);
  if (axes.size() >= Shape::max_rank) {                  // more than a walk has
    for (Index i = 0; i < axes[0].extent; ++i) {
      std::size_t t = 0;
      auto next = [&](const auto* from) { return from + i * axes[0].step[++t]; };
      std::tuple<const In*...> moved{next(x)...};
      std::apply([&](auto... in) { map_along(device, axes.subspan(1), f, Gather<T>{y.at + i * axes[0].step[0], y.add}, in...); }, moved);
    }
    return;
  }
  Shape shape;
  std::array<kernel::Strides8, k> strides{};
  for (const Axis& axis : axes) {
    for (std::size_t t = 0; t < k; ++t) strides[t][static_cast<std::size_t>(shape.rank())] = axis.step[t];
    shape.push_back(axis.extent);
  }
  if (axes.empty() || axes.back().step[0] != 1) shape.push_back(1);      // a walk writes neighbours: here one at a time
  kernel::map(device, kernel::Walk<k>(shape, strides), f, y, x...);
}

/// y = or += x at each of y's labels.
template <class T>
void move(Device device, const Extents& extents, const View<T>& y, bool add, const View<const T>& x) {
  const AxisList axes = fused(in_order(y.labels, y.stride.data()), extents, {y.stride.data(), x.stride.data(), x.stride.data()});
  map_along(device, {axes.begin(), axes.end()}, kernel::Same{}, Gather<T>{y.at, add}, x.at);
}

/// How often einsum has copied an operand or a result on this thread, because strides alone did not do. For tests.
inline std::uint64_t& copies_made() {
  thread_local std::uint64_t n = 0;
  return n;
}

/// A tensor with labels for its axes, none of them twice.
template <class T>
struct Labelled {
  Tensor<T> numbers;
  Labels labels;

  Labelled(const Labels& axes, const Extents& extents, Device device) : numbers(Shape{size_of(axes.set(), extents)}, device), labels(axes) {}
  Labelled(const Tensor<T>& x, const Labels& axes) : numbers(x.detach()), labels(axes) {}
  View<const T> view(const Extents& extents) const { return {numbers.data(), labels, extents}; }
  View<T> to_write(const Extents& extents) { return {numbers.mutable_data(), labels, extents}; }
};

/// x copied so that its axes stand in this order.
template <class T>
Labelled<T> arranged(Device device, const Extents& extents, const View<const T>& x, const Labels& order) {
  Labelled<T> copy(order, extents, device);
  move(device, extents, copy.to_write(extents), false, x);
  ++copies_made();
  return copy;
}

}  // namespace detail
}
}  // namespace tricycle
