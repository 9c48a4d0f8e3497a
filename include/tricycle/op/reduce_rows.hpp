// Products, variances and the like over axes: ops that make one number of each row. An op is two formulas; the rest is done once, here.
#pragma once
#include "tricycle/op/extremes.hpp"
#include "tricycle/op/rowwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <class Op, class T>
struct ReduceForward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Op op; const T* x; compute<T>* y;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    compute<T> result = op.f(row, Row<const T>{x + row.index * row.n});
    row.once([&] { y[row.index] = result; });
  }
};
template <class Op, class T>
struct ReduceBackward {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Op op; const T* x; const compute<T>* y; const T* grad; Gather<T> dx;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    op.df(row, Row<const T>{x + at}, y[row.index], compute<T>(grad[row.index]), Gather<T>{dx.at + at, dx.add});
  }
};

template <Floating T>
Tensor<T> rounded(const Tensor<compute<T>>& x) {
  if constexpr (std::same_as<T, compute<T>>) return x;
  else {
    Tensor<T> y(x.shape(), x.device());
    convert_into(x, Gather<T>{y.mutable_data(), false});
    return y;
  }
}

/// y = f(numbers over `axes`), all of them when none is named.   dx = df(x, y, grad), where y is not yet rounded to 16 bits
template <class Op, Floating T>
Tensor<T> reduce_by(const Op& op, const Tensor<T>& x, const Axes& axes) {
  auto over = axis_set(Op::name, x.shape(), axes);
  const Tensor<T> rows = axes_last(x, over);
  const Index n = rows.shape()[-1];
  Tensor<compute<T>> exact(without(x.shape(), over, axes.keepdims), x.device());
  kernel::rows(x.device(), exact.size(), n, ReduceForward<Op, T>{op, rows.data(), exact.mutable_data()});
  const Tensor<T> y = rounded<T>(exact);
  return record(Op::name, y, {{rows, [op, n, rows = Saved<T>(rows), exact = Saved<compute<T>>(exact)](const Tensor<T>& grad, Sink<T> dx) {
    kernel::rows(grad.device(), grad.size(), n, ReduceBackward<Op, T>{op, rows.data(), exact.data(), grad.data(), dx.gather()});
  }}});
}

/// y = the product of x   dx = grad times the product of all others
struct RowProduct {
  static constexpr auto name = "prod";
  TRICYCLE_HD auto f(auto row, auto x) const { return row.product([&](auto i) { return x[i]; }); }
  /// Without the zeros, of which one may be left out: itself. (A quotient loses no digits that count.)
  TRICYCLE_HD void df(auto row, auto x, auto, auto grad, auto dx) const {
    using R = decltype(grad);
    const R zeros = row.sum([&](auto i) { return count_0(x[i]); });
    const R others = row.product([&](auto i) { return without_0(x[i]); });
    row.each([&](auto i) {
      auto number = x[i];
      using N = decltype(number);
      dx[i] = zeros == R(0) ? N(others * grad) / number : math::select(number == N(0), N(zeros == R(1) ? others * grad : R(0)), N(0));
    });
  }

 private:
  template <class N> TRICYCLE_HD static N count_0(N x) { return math::select(x == N(0), N(1), N(0)); }
  template <class N> TRICYCLE_HD static N without_0(N x) { return math::select(x == N(0), N(1), x); }
};

/// y = sum (x - mean)² / m   dx = 2 grad (x - mean) / m      m = n - correction
/// In two passes, and by what the mean has lost in rounding. (Chan, Golub and LeVeque, 1983.)
struct RowVariance {
  static constexpr auto name = "var";
  double correction;
  TRICYCLE_HD auto f(auto row, auto x) const {
    auto centre = mean(row, x);
    using R = decltype(centre);
    const R lost = row.sum([&](auto i) { return x[i] - centre; });
    const R squares = row.sum([&](auto i) { return (x[i] - centre) * (x[i] - centre); });
    return (math::max)(squares - lost / count<R>(row) * lost, R(0)) / freedom<R>(row);
  }
  TRICYCLE_HD void df(auto row, auto x, auto, auto grad, auto dx) const {
    using R = decltype(grad);
    const R centre = mean(row, x), slope = R(2) * grad / freedom<R>(row);
    row.each([&](auto i) { dx[i] = (x[i] - centre) * slope; });
  }

 private:
  template <class R> TRICYCLE_HD R count(auto row) const { return static_cast<R>(row.n > 0 ? row.n : 1); }
  template <class R> TRICYCLE_HD R freedom(auto row) const {
    const double m = static_cast<double>(row.n) - correction;
    return static_cast<R>(m > 0 ? m : 0);                // 0 / 0 is NaN
  }
  TRICYCLE_HD auto mean(auto row, auto x) const {
    auto sum = row.sum([&](auto i) { return x[i]; });
    return sum / count<decltype(sum)>(row);
  }
};

/// y = ln(sum e^x)   dx = grad e^(x - y)
struct RowLogSumExp {
  static constexpr auto name = "logsumexp";
  TRICYCLE_HD auto f(auto row, auto x) const {
    auto top = row.max([&](auto i) { return x[i]; });
    top = math::select(math::isfinite(top), top, decltype(top)(0));                      // ∞ - ∞ would be NaN
    return top + math::log(row.sum([&](auto i) { return math::exp(x[i] - top); }));
  }
  TRICYCLE_HD void df(auto row, auto x, auto y, auto grad, auto dx) const {
    const auto from = or_0_if_lowest(y);
    row.each([&](auto i) { dx[i] = math::exp(x[i] - from) * grad; });
  }
};

}  // namespace detail

/// The product over `axes`, all of them when none is named; 1 of no numbers.   dx = grad times the product of all others, as far
/// as that product of all that is not 0 neither overflows nor vanishes
template <Floating T> Tensor<T> prod(const Tensor<T>& x, const Axes& axes = {}) { return detail::reduce_by(detail::RowProduct{}, x, axes); }

/// The mean square of what numbers are off their mean, over `axes`, all of them when none is named. With a correction of 1 their
/// sum is divided by n - 1 instead of n. NaN of no numbers.   dx = 2 grad (x - mean) / (n - correction)
template <Floating T> Tensor<T> var(const Tensor<T>& x, const Axes& axes = {}, double correction = 0) { return detail::reduce_by(detail::RowVariance{correction}, x, axes); }

/// ln(sum e^x) over `axes`, all of them when none is named, of whatever size x is; -∞ of no numbers.   dx = grad softmax(x)
template <Floating T> Tensor<T> logsumexp(const Tensor<T>& x, const Axes& axes = {}) { return detail::reduce_by(detail::RowLogSumExp{}, x, axes); }

}
}  // namespace tricycle
