// The largest and the smallest numbers over axes, and where they stand.
#pragma once
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/subscript.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Row by row: where the best number stands (the first of equals; the first NaN, if there is one), and what it is.
template <class Better, class T>
struct BestOfRows {
  const T* x; T* y; Index* where;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    const T* numbers = x + row.index * row.n;
    Index best = row.best([&](Index i, Index j) { return !is_nan(numbers[j]) && (Better::beats(numbers[i], numbers[j]) || is_nan(numbers[i])); });
    row.once([&] {
      y[row.index] = numbers[best];
      where[row.index] = best;
    });
  }
  TRICYCLE_HD static bool is_nan(T x) {
    if constexpr (Floating<T>) return math::isnan(compute<T>(x));
    else return false;
  }
};
template <class T>
struct ScatterRows {
  const T* grad; const Index* where; Gather<T> dx;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Gather<T> out{dx.at + row.index * row.n, dx.add};
    row.each([&](auto i) { out[i] = i == where[row.index] ? compute<T>(grad[row.index]) : compute<T>(0); });
  }
};

template <class Better, Element T>
std::pair<Tensor<T>, Tensor<Index>> best_of_rows(const char* op, const Tensor<T>& rows) {
  Index n = rows.shape()[-1];
  Shape shape = rows.shape().slice(0, rows.rank() - 1);
  check(n > 0 || shape.size() == 0, op, ": no ", Better::what, " number in shape ", rows.shape());
  std::pair<Tensor<T>, Tensor<Index>> best{Tensor<T>(shape, rows.device()), Tensor<Index>(shape, rows.device())};
  kernel::rows(rows.device(), shape.size(), n, BestOfRows<Better, T>{rows.data(), best.first.mutable_data(), best.second.mutable_data()});
  return best;
}

template <class Better, Element T>
Tensor<T> best_over(const Tensor<T>& x, const Axes& axes) {
  auto over = axis_set(Better::name, x.shape(), axes);
  const Shape shape = without(x.shape(), over, axes.keepdims);
  Tensor<T> rows = axes_last(x, over);
  auto [y, where] = best_of_rows<Better>(Better::name, rows.detach());
  y = y.view(shape);
  if constexpr (!Floating<T>) return y;
  else return record(Better::name, y, {{rows, [n = rows.shape()[-1], where = where](const Tensor<T>& grad, Sink<T> dx) {
    kernel::rows(grad.device(), grad.size(), n, ScatterRows<T>{grad.data(), where.data(), dx.gather()});
  }}});
}

template <class Better, Element T>
Tensor<Index> place_of_best(const Tensor<T>& x, const Axes& axes) {
  auto over = axis_set(Better::place, x.shape(), axes);
  return best_of_rows<Better>(Better::place, axes_last(x.detach(), over)).second.view(without(x.shape(), over, axes.keepdims));
}

}  // namespace detail

/// The largest number over `axes`, all of them when none is named; NaN if there is one. Throws where there is no number.
///   dx = grad at the first of the largest, 0 elsewhere
template <Element T> Tensor<T> max(const Tensor<T>& x, const Axes& axes = {}) { return detail::best_over<detail::Above>(x, axes); }

/// The smallest number over `axes`, like max.
template <Element T> Tensor<T> min(const Tensor<T>& x, const Axes& axes = {}) { return detail::best_over<detail::Below>(x, axes); }

/// Where the largest number of the last axis stands, or of all that are named: there counted in row-major order. The first of
/// equals, or the first NaN.   (..., n) -> (...)
template <Element T> Tensor<Index> argmax(const Tensor<T>& x, const Axes& axes = {{-1}}) { return detail::place_of_best<detail::Above>(x, axes); }
template <Element T, std::integral I> Tensor<Index> argmax(const Tensor<T>& x, I axis) { return argmax(x, Axes{{static_cast<int>(axis)}}); }

/// Where the smallest number stands, like argmax.
template <Element T> Tensor<Index> argmin(const Tensor<T>& x, const Axes& axes = {{-1}}) { return detail::place_of_best<detail::Below>(x, axes); }
template <Element T, std::integral I> Tensor<Index> argmin(const Tensor<T>& x, I axis) { return argmin(x, Axes{{static_cast<int>(axis)}}); }

namespace detail {

/// What a subscript of one operand leaves out, and the order of what it keeps.
struct Reduction {
  Subscript subscript;

  explicit Reduction(std::string_view s) : subscript(s) {
    check(subscript.operands() == 1, "reduce \"", s, "\": more than one operand");
    check(!expanded(term(), 0).repeats(), "reduce \"", s, "\": an index appears twice");
  }
  template <Element T>
  Tensor<T> apply(const Tensor<T>& x, Tensor<T> (*reduce)(const Tensor<T>&, const Axes&)) const {
    const bool dotted = term().find('.') != term().npos;
    const int dots = x.rank() - static_cast<int>(term().size()) + dotted;
    check(dotted ? dots >= 0 : dots == 0, "reduce \"", subscript.view(), "\": ", term().size() - dotted, " indices for shape ", x.shape());
    const Labels from = expanded(term(), dots), to = expanded(subscript.terms().substr(term().size() + 1), dots), kept = from.of(to.set());
    Axes gone;
    for (int axis = 0; axis < from.count; ++axis)
      if (!(to.set() & set_of(from[axis]))) gone.over.push_back(axis);
    const Tensor<T> y = gone.over.empty() ? x : reduce(x, gone);
    std::vector<int> order;
    for (char c : to) order.push_back(static_cast<int>(std::find(kept.begin(), kept.end(), c) - kept.begin()));
    return kept == to ? y : permute(y, order);
  }

 private:
  std::string_view term() const { return subscript.terms().substr(0, subscript.terms().find(',')); }
};

}  // namespace detail

/// The largest numbers over the indices that a subscript leaves out: ReduceMax("ijk->ik")(x) is max(x, {.over = {1}}).
class ReduceMax {
 public:
  explicit ReduceMax(std::string_view subscript) : reduction_(subscript) {}
  template <Element T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    return reduction_.apply<T>(x, [](const Tensor<T>& of, const Axes& axes) { return max(of, axes); });
  }

 private:
  detail::Reduction reduction_;
};

/// The smallest numbers over the indices that a subscript leaves out.
class ReduceMin {
 public:
  explicit ReduceMin(std::string_view subscript) : reduction_(subscript) {}
  template <Element T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    return reduction_.apply<T>(x, [](const Tensor<T>& of, const Axes& axes) { return min(of, axes); });
  }

 private:
  detail::Reduction reduction_;
};

}
}  // namespace tricycle
