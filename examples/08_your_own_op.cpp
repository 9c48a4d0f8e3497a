// An op that the library lacks: a formula and its derivative, as a struct, or any code at all, through record().
#include <algorithm>
#include <cmath>
#include <iostream>
#include <tricycle/tricycle.hpp>
using namespace tricycle;

/// An op that treats every number alike is two formulas on a number R, which may be a float, a double or a register full of
/// floats: that is why it chooses by math::max and not by an if. TRICYCLE_HD lets a GPU run it, too. Broadcasting, threads and
/// the tape are not its business.
///   y = max(x, 0)²   dx = 2 max(x, 0)   (So et al., arXiv:2109.08668)
struct SquaredReLU : Unary<SquaredReLU> {
  static constexpr auto name = "squared_relu";
  static constexpr auto saves = Saves::x;                     // df reads what went in (or Saves::y: what came out)
  template <class R> TRICYCLE_HD R f(R x) const { return math::max(x, R(0)) * math::max(x, R(0)); }
  template <class R> TRICYCLE_HD R df(R x) const { return R(2) * math::max(x, R(0)); }
};

/// An op on rows (the last axis) is two formulas on a row, which can be summed and walked.
///   y = x r   dx = r (grad - y mean(grad y))   where r = 1 / √(mean x²)   (Zhang and Sennrich, arXiv:1910.07467)
struct RootMeanSquareNorm : Rowwise<RootMeanSquareNorm> {
  static constexpr auto name = "rms_norm";
  static constexpr auto saves = Saves::x;
  TRICYCLE_HD void f(auto row, auto x, auto y) const {
    auto r = scale(row, x);
    row.each([&](auto i) { y[i] = x[i] * r; });
  }
  TRICYCLE_HD void df(auto row, auto x, auto grad, auto dx) const {
    auto r = scale(row, x);
    auto inner = row.sum([&](auto i) { return grad[i] * x[i] * r; });
    using R = decltype(inner);
    row.each([&](auto i) { dx[i] = (grad[i] - x[i] * r * (inner / R(row.n))) * r; });
  }

 private:
  TRICYCLE_HD static auto scale(auto row, auto x) {
    auto squares = row.sum([&](auto i) { return x[i] * x[i]; });
    using R = decltype(squares);
    return 1 / math::sqrt(squares / R(row.n));
  }
};

/// Anything else computes a tensor as it likes and hands it to record() with a function from its gradient to that of each
/// argument. Rounding has the derivative 0, from which nothing learns; this one pretends that it changed nothing.
Tensor<float> round_straight_through(const Tensor<float>& x) {
  Tensor<float> y(x.shape());
  std::transform(x.span().begin(), x.span().end(), y.mutable_data(), [](float number) { return std::round(number); });
  return record("round", y, {{x, [](const Tensor<float>& grad) { return grad; }}});
}

/// A gradient can also be written where it belongs: into a sink, which knows whether there is something to add to. Of the
/// arguments it keeps the numbers (Saved), not the tensors, whose history would come along.
///   y = sum of a[i]² b[i]   da = 2 a b grad   db = a² grad   (n), (n) -> ()
Tensor<float> weighted_squares(const Tensor<float>& a, const Tensor<float>& b) {
  check(a.shape() == b.shape(), "weighted_squares: shapes ", a.shape(), " and ", b.shape(), " differ");
  Tensor<float> y = zeros({}, {.requires_grad = false});
  for (Index i = 0; i < a.size(); ++i) *y.mutable_data() += a.data()[i] * a.data()[i] * b.data()[i];
  return record("weighted_squares", y, {
      {a, [a = Saved(a), b = Saved(b)](const Tensor<float>& grad, Sink<float> sink) {
        auto da = sink.gather();
        for (Index i = 0; i < (*a).size(); ++i) da[i] = 2 * a.data()[i] * b.data()[i] * grad.item();
      }},
      {b, [a = Saved(a)](const Tensor<float>& grad, Sink<float> sink) {
        auto db = sink.gather();
        for (Index i = 0; i < (*a).size(); ++i) db[i] = a.data()[i] * a.data()[i] * grad.item();
      }},
  });
}

int main() {
  auto x = to_tensor({-2, -1, 1, 3});
  auto y = SquaredReLU()(x);
  std::cout << y << '\n';
  y.backward();
  std::cout << x.grad() << '\n';

  // It is a layer as any other, in every precision.
  Sequential model{Dense(4, 8), SquaredReLU(), Dense(8, 2)};
  std::cout << model(x).shape() << ' ' << model(cast<bf16>(x)).shape() << '\n';

  // Is the derivative right? Ask the formula itself, a little to the left and to the right.
  double at = 1.5, h = 1.0 / 1024;
  SquaredReLU op;
  std::cout << (op.f(at + h) - op.f(at - h)) / (2 * h) << ' ' << op.df(at) << '\n';

  auto rows = to_tensor({{4, 0, 0, 0}, {2, 2, -2, -2}});
  auto normed = RootMeanSquareNorm()(rows);
  std::cout << normed << '\n';
  normed.backward(to_tensor({{1, 2, 3, 4}, {1, 2, 3, 4}}));
  std::cout << rows.grad() << '\n';

  auto z = to_tensor({0.2, 0.7, 1.9});
  auto rounded = round_straight_through(z);
  (rounded * rounded).backward();
  std::cout << rounded << '\n' << z.grad() << '\n';

  auto a = to_tensor({1, 2, 3}), b = to_tensor({4, 5, 6});
  auto total = weighted_squares(a, b);
  total.backward();
  std::cout << total << '\n' << a.grad() << '\n' << b.grad() << '\n';
}
