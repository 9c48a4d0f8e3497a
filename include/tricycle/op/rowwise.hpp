// Ops that treat every row (the last axis) alike. An op is two formulas; the rest is done once, here.
#pragma once
#include "tricycle/kernel/rows.hpp"
#include "tricycle/op/apply.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <class Op, class T>
struct RowForward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Op op; const T* x; T* y;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    op.f(row, Row<const T>{x + at}, Row<T>{y + at});
  }
};
template <class Op, class T>
struct RowBackward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Op op; const T *saved, *grad; Gather<T> dx;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    op.df(row, Row<const T>{saved + at}, Row<const T>{grad + at}, Gather<T>{dx.at + at, dx.add});
  }
};

/// How many rows x has, and how long they are. Throws for a scalar, which has none.
template <Element T>
std::pair<Index, Index> row_counts(const char* op, const Tensor<T>& x) {
  check(x.rank() > 0, op, ": shape () has no last axis");
  return {x.shape().product(0, x.rank() - 1), x.shape()[-1]};
}

/// y = f(x), row by row.   dx = df(saved, grad)
template <class Op, Floating T>
Tensor<T> rowwise(const Op& op, const Tensor<T>& x) {
  auto [count, n] = row_counts(Op::name, x);
  Tensor<T> y(x.shape(), x.device());
  kernel::rows(x.device(), count, n, RowForward<Op, T>{op, x.data(), y.mutable_data()});
  return record(Op::name, y, {{x, [op, count = count, n = n, saved = Saved<T>(Op::saves == Saves::x ? x : y)](const Tensor<T>& grad, Sink<T> dx) {
    kernel::rows(grad.device(), count, n, RowBackward<Op, T>{op, saved.data(), grad.data(), dx.gather()});
  }}});
}

}  // namespace detail

namespace detail {

/// The largest number of a row; but 0 where all are -∞, so that e^(x - top) is 0 and not NaN.
template <class R> TRICYCLE_HD R or_0_if_lowest(R top) { return math::select(!math::isfinite(top) && top < R(0), R(0), top); }

}  // namespace detail

/// An op of rows can be called like a layer: Softmax()(x).
template <class Op>
struct Rowwise {
  template <Floating T> Tensor<T> operator()(const Tensor<T>& x) const { return detail::rowwise(static_cast<const Op&>(*this), x); }
};

/// Probabilities from scores, of which 1 / scale is the temperature. Where a whole row is masked by -∞, all are 0.
///   y  = exp(scale (x - max x)) / sum exp(scale (x - max x))
///   dx = scale y (grad - sum(grad y))
struct Softmax : Rowwise<Softmax> {
  static constexpr auto name = "softmax";
  static constexpr auto saves = Saves::y;
  double scale = 1;
  Softmax() = default;
  constexpr explicit Softmax(double scale_of_scores) : scale(scale_of_scores) {}

  template <class R> struct Total { R top, sum; };
  TRICYCLE_HD auto total(auto row, auto x) const {
    auto top = detail::or_0_if_lowest(row.max([&](auto i) { return x[i]; }));
    auto sum = row.sum([&](auto i) { return weight(x[i], top); });
    return Total<decltype(sum)>{top, sum};
  }
  TRICYCLE_HD void f(auto row, auto x, auto y) const { f(row, total(row, x), x, y); }
  /// The same, when the total is known.
  TRICYCLE_HD void f(auto row, auto all, auto x, auto y) const {
    auto share = all.sum == 0 ? all.sum : 1 / all.sum;
    row.each([&](auto i) { y[i] = weight(x[i], all.top) * share; });
  }
  TRICYCLE_HD void df(auto row, auto y, auto grad, auto dx) const {
    auto inner = row.sum([&](auto i) { return grad[i] * y[i]; });
    row.each([&](auto i) { dx[i] = y[i] * (grad[i] - inner) * decltype(inner)(scale); });
  }

 private:
  template <class R, class S> TRICYCLE_HD R weight(R x, S top) const { return math::exp((x - top) * S(scale)); }
};

/// The logarithm of Softmax.
///   y  = x - max x - ln(sum exp(x - max x))
///   dx = grad - exp(y) sum(grad)
struct LogSoftmax : Rowwise<LogSoftmax> {
  static constexpr auto name = "log_softmax";
  static constexpr auto saves = Saves::y;
  TRICYCLE_HD void f(auto row, auto x, auto y) const {
    auto all = Softmax().total(row, x);
    auto log_sum = all.sum == 0 ? all.sum : math::log(all.sum);
    row.each([&](auto i) { y[i] = (x[i] - all.top) - log_sum; });
  }
  TRICYCLE_HD void df(auto row, auto y, auto grad, auto dx) const {
    auto sum = row.sum([&](auto i) { return grad[i]; });
    row.each([&](auto i) { dx[i] = grad[i] - math::exp(y[i]) * sum; });
  }
};

/// Softmax of attention's scores where a query may not look ahead: of (..., queries, keys), the last query sees every
/// key, the one before it all but the last key, and so on. What is not seen gets 0.
struct CausalSoftmax : Rowwise<CausalSoftmax> {
  static constexpr auto name = "causal_softmax";
  static constexpr auto saves = Saves::y;
  Index queries;
  Softmax softmax;
  CausalSoftmax(Index n_queries, double scale) : queries(n_queries), softmax(scale) {}

  TRICYCLE_HD void f(auto row, auto x, auto y) const {
    softmax.f(seen(row), x, y);
    hide(row, y);
  }
  TRICYCLE_HD void df(auto row, auto y, auto grad, auto dx) const {
    softmax.df(seen(row), y, grad, dx);
    hide(row, dx);
  }

 private:
  TRICYCLE_HD auto seen(auto row) const {
    row.n -= queries - 1 - row.index % queries;
    return row;
  }
  TRICYCLE_HD void hide(auto row, auto y) const {
    Index from = seen(row).n;
    y.at += from;
    row.n -= from;
    row.each([&](auto i) { y[i] = 0.f; });
  }
};

/// softmax over the last axis.   (..., n) -> (..., n)
template <Floating T> Tensor<T> softmax(const Tensor<T>& x) { return Softmax()(x); }

/// log(softmax(x)), without the loss of digits.   (..., n) -> (..., n)
template <Floating T> Tensor<T> log_softmax(const Tensor<T>& x) { return LogSoftmax()(x); }

/// softmax(scale x) of attention's scores, where no query looks ahead.   (..., queries, keys) -> (..., queries, keys)
template <Floating T>
Tensor<T> causal_softmax(const Tensor<T>& x, double scale = 1) {
  check(x.rank() >= 2 && x.shape()[-2] <= x.shape()[-1], "causal_softmax: scores of shape ", x.shape(), " have fewer keys than queries");
  check(scale >= 0, "causal_softmax: a scale of ", scale);
  return CausalSoftmax(x.shape()[-2], scale)(x);
}

}
}  // namespace tricycle
