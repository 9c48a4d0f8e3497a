// Ops that treat every element of one operand alike. An op is two or three formulas; the rest is done once, in op/apply.hpp.
#pragma once
#include "tricycle/core/math.hpp"
#include "tricycle/op/apply.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// y = e^x   dx = y
struct Exp : Unary<Exp> {
  static constexpr auto name = "exp";
  static constexpr auto saves = Saves::y;
  template <class R> TRICYCLE_HD R f(R x) const { return math::exp(x); }
  template <class R> TRICYCLE_HD R df(R y) const { return y; }
};

/// y = ln x   dx = 1 / x
struct Log : Unary<Log> {
  static constexpr auto name = "log";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::log(x); }
  template <class R> TRICYCLE_HD R df(R x) const { return R(1) / x; }
};

/// y = √x   dx = 1 / (2 y)
struct Sqrt : Unary<Sqrt> {
  static constexpr auto name = "sqrt";
  static constexpr auto saves = Saves::y;
  template <class R> TRICYCLE_HD R f(R x) const { return math::sqrt(x); }
  template <class R> TRICYCLE_HD R df(R y) const { return R(0.5) / y; }
};

/// y = sin x   dx = cos x
struct Sin : Unary<Sin> {
  static constexpr auto name = "sin";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::sin(x); }
  template <class R> TRICYCLE_HD R df(R x) const { return math::cos(x); }
};

/// y = cos x   dx = -sin x
struct Cos : Unary<Cos> {
  static constexpr auto name = "cos";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::cos(x); }
  template <class R> TRICYCLE_HD R df(R x) const { return -math::sin(x); }
};

/// y = |x|   dx = the sign of x, 0 at 0
struct Abs : Unary<Abs> {
  static constexpr auto name = "abs";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::abs(x); }
  template <class R> TRICYCLE_HD R df(R x) const { return math::select(x > R(0), R(1), math::select(x < R(0), R(-1), x * R(0))); }
};

/// y = tanh x   dx = 1 - y²
struct Tanh : Unary<Tanh> {
  static constexpr auto name = "tanh";
  static constexpr auto saves = Saves::y;
  template <class R> TRICYCLE_HD R f(R x) const { return math::tanh(x); }
  template <class R> TRICYCLE_HD R df(R y) const { return R(1) - y * y; }
};

/// y = erf x = 2/√π ∫₀ˣ e^-t² dt   dx = 2/√π e^-x²
struct Erf : Unary<Erf> {
  static constexpr auto name = "erf";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::erf(x); }
  template <class R> TRICYCLE_HD R df(R x) const { return R(1.1283791670955126) * math::exp(-x * x); }
};

/// y = 1 / (1 + e^-x)   dx = y (1 - y)
struct Sigmoid : Unary<Sigmoid> {
  static constexpr auto name = "sigmoid";
  static constexpr auto saves = Saves::y;
  template <class R> TRICYCLE_HD R f(R x) const { return math::sigmoid(x); }
  template <class R> TRICYCLE_HD R df(R y) const { return y * (R(1) - y); }
};

namespace detail {

/// Which of two numbers is better: one beats the other, or yields to it. NaN does neither.
struct Above {
  static constexpr auto name = "max", number = "> ", two = "bmax", place = "argmax", what = "largest";
  TRICYCLE_HD static auto beats(auto a, auto b) { return a > b; }
  TRICYCLE_HD static auto yields(auto a, auto b) { return a <= b; }
  template <class R> TRICYCLE_HD static R best(R a, R b) { return (math::max)(a, b); }
};
struct Below {
  static constexpr auto name = "min", number = "< ", two = "bmin", place = "argmin", what = "smallest";
  TRICYCLE_HD static auto beats(auto a, auto b) { return a < b; }
  TRICYCLE_HD static auto yields(auto a, auto b) { return a >= b; }
  template <class R> TRICYCLE_HD static R best(R a, R b) { return (math::min)(a, b); }
};

}  // namespace detail

/// y = the better of x and c: max(x, c) or min(x, c)   dx = 1 where x beats c, 0 where it yields   NaN where either is
template <class Better>
struct BestBeside : Unary<BestBeside<Better>> {
  static constexpr auto saves = Saves::x;
  double c;
  constexpr explicit BestBeside(double other) : c(other) {}
  std::string name() const { return detail::with_number(Better::number, c); }
  template <class R> TRICYCLE_HD R f(R x) const { return Better::best(x, R(c)); }
  template <class R> TRICYCLE_HD R df(R x) const { return math::select(Better::beats(x, R(c)), R(1), math::select(Better::yields(x, R(c)), R(0), x + R(c))); }
};

/// y = max(x, 0)   dx = 1 where x > 0
struct ReLU : BestBeside<detail::Above> {
  constexpr ReLU() : BestBeside(0) {}
};

/// y = x / 2 (1 + t)                                     t = tanh(√(2/π) (x + 0.044715 x³))
/// dx = (1 + t) / 2 + x / 2 (1 - t²) √(2/π) (1 + 3 · 0.044715 x²)      (Hendrycks and Gimpel, arXiv:1606.08415)
struct GeLU : Unary<GeLU> {
  static constexpr auto name = "gelu";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R t(R x) const { return math::tanh(R(0.7978845608028654) * x * (R(1) + R(0.044715) * x * x)); }
  template <class R> TRICYCLE_HD R f(R x) const {
    return math::select(x < R(-10), R(0), R(0.5) * x * (R(1) + t(x)));       // (-∞ · 0 would be NaN)
  }
  template <class R> TRICYCLE_HD R df(R x) const {
    R near = math::max(math::min(x, R(10)), R(-10)), y = t(near);                // beyond, x² may overflow and nothing changes
    return R(0.5) * (R(1) + y) + R(0.5) * near * (R(1) - y * y) * R(0.7978845608028654) * (R(1) + R(0.134145) * near * near);
  }
};

/// y = x Φ(x)   dx = Φ(x) + x φ(x)      Φ(x) = (1 + erf(x/√2)) / 2, φ(x) = e^(-x²/2) / √(2π)
struct ExactGeLU : Unary<ExactGeLU> {
  static constexpr auto name = "gelu exact";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R share(R x) const { return R(0.5) + R(0.5) * math::erf(x * R(0.7071067811865476)); }
  template <class R> TRICYCLE_HD R f(R x) const { return math::select(x < R(-10), R(0), x * share(x)); }           // (-∞ · 0 would be NaN)
  template <class R> TRICYCLE_HD R df(R x) const {
    R near = math::max(math::min(x, R(20)), R(-20));
    return share(near) + near * R(0.3989422804014327) * math::exp(R(-0.5) * near * near);
  }
};

/// y = x sigmoid(x)   dx = s + y (1 - s)   (also known as SiLU)
struct Swish : Unary<Swish> {
  static constexpr auto name = "swish";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R x) const { return math::select(x < R(-200), R(0), x * math::sigmoid(x)); }
  template <class R> TRICYCLE_HD R df(R x) const {
    R near = math::max(math::min(x, R(200)), R(-200)), s = math::sigmoid(near);
    return s + near * s * (R(1) - s);
  }
};

/// y = x^p   dx = p x^(p - 1)
struct Pow : Unary<Pow> {
  static constexpr auto saves = Saves::x;
  double p;
  constexpr explicit Pow(double exponent) : p(exponent) {}
  std::string name() const { return detail::with_number("pow ", p); }
  template <class R> TRICYCLE_HD R f(R x) const { return power(x, p); }
  template <class R> TRICYCLE_HD R df(R x) const { return p == 0 ? math::select(math::isnan(x), x, R(0)) : R(p) * power(x, p - 1); }

 private:
  /// The exponents that every program uses need no logarithm. (The choice is by a constant of the op, not by a number.)
  template <class R> TRICYCLE_HD static R power(R x, double p) {
    if (p == 1) return x;
    if (p == 2) return x * x;
    if (p == 3) return x * x * x;
    return math::pow(x, R(p));
  }
};

/// y = c^x   dx = y ln c
struct PowerOf : Unary<PowerOf> {
  static constexpr auto saves = Saves::y;
  double c, log_c;
  explicit PowerOf(double base) : c(base), log_c(std::log(base)) {}
  std::string name() const { return detail::with_number("pow of ", c); }
  template <class R> TRICYCLE_HD R f(R x) const { return math::pow(R(c), x); }
  template <class R> TRICYCLE_HD R df(R y) const { return math::select(y == R(0), y, y * R(log_c)); }       // 0 of 0^x, too
};

/// y = a x + b   dx = a
struct Affine : Unary<Affine> {
  static constexpr auto saves = Saves::nothing;
  double a, b;
  char sign;                                             // how it was written: x + b, x - b, x * a
  constexpr Affine(double factor, double shift, char written) : a(factor), b(shift), sign(written) {}
  std::string name() const {
    return sign == '+' ? detail::with_number("+ ", b) : sign == '-' ? detail::with_number("- ", -b) : detail::with_number("* ", a);
  }
  template <class R> TRICYCLE_HD R f(R x) const { return sign == '*' ? x * R(a) : R(a) * x + R(b); }
  double df() const { return a; }
};

/// y = x / c   dx = 1 / c
struct DivideBy : Unary<DivideBy> {
  static constexpr auto saves = Saves::nothing;
  double c;
  constexpr explicit DivideBy(double divisor) : c(divisor) {}
  std::string name() const { return detail::with_number("/ ", c); }
  template <class R> TRICYCLE_HD R f(R x) const { return x / R(c); }
  double df() const { return 1 / c; }
};

/// y = c / x   dx = -(c / x) / x
struct Reciprocal : Unary<Reciprocal> {
  static constexpr auto saves = Saves::x;
  double c;
  constexpr explicit Reciprocal(double numerator) : c(numerator) {}
  std::string name() const { return detail::with_number("/ of ", c); }
  template <class R> TRICYCLE_HD R f(R x) const { return R(c) / x; }
  template <class R> TRICYCLE_HD R df(R x) const { return -(R(c) / x) / x; }
};

template <Floating T> Tensor<T> exp(const Tensor<T>& x) { return Exp{}(x); }
template <Floating T> Tensor<T> log(const Tensor<T>& x) { return Log{}(x); }
template <Floating T> Tensor<T> sqrt(const Tensor<T>& x) { return Sqrt{}(x); }
template <Floating T> Tensor<T> sin(const Tensor<T>& x) { return Sin{}(x); }
template <Floating T> Tensor<T> cos(const Tensor<T>& x) { return Cos{}(x); }
template <Floating T> Tensor<T> abs(const Tensor<T>& x) { return Abs{}(x); }
template <Floating T> Tensor<T> tanh(const Tensor<T>& x) { return Tanh{}(x); }
template <Floating T> Tensor<T> erf(const Tensor<T>& x) { return Erf{}(x); }
template <Floating T> Tensor<T> sigmoid(const Tensor<T>& x) { return Sigmoid{}(x); }
template <Floating T> Tensor<T> relu(const Tensor<T>& x) { return ReLU{}(x); }
template <Floating T> Tensor<T> swish(const Tensor<T>& x) { return Swish{}(x); }
template <Floating T> Tensor<T> pow(const Tensor<T>& x, double p) { return Pow{p}(x); }
template <Floating T> Tensor<T> pow(double c, const Tensor<T>& x) { return PowerOf{c}(x); }

/// By tanh, as GPT-2 has it; or as it was defined, by erf.
struct GeLUOptions { bool exact = false; };
template <Floating T> Tensor<T> gelu(const Tensor<T>& x, GeLUOptions options) { return options.exact ? ExactGeLU{}(x) : GeLU{}(x); }
template <Floating T> Tensor<T> gelu(const Tensor<T>& x) { return GeLU{}(x); }

// (The number is a template argument, so that braces stand for the axes of a reduction: max(x, {}).)
template <Floating T, detail::PlainNumber N> Tensor<T> max(const Tensor<T>& x, N c) { return BestBeside<detail::Above>{static_cast<double>(c)}(x); }
template <Floating T, detail::PlainNumber N> Tensor<T> max(N c, const Tensor<T>& x) { return BestBeside<detail::Above>{static_cast<double>(c)}(x); }
template <Floating T, detail::PlainNumber N> Tensor<T> min(const Tensor<T>& x, N c) { return BestBeside<detail::Below>{static_cast<double>(c)}(x); }
template <Floating T, detail::PlainNumber N> Tensor<T> min(N c, const Tensor<T>& x) { return BestBeside<detail::Below>{static_cast<double>(c)}(x); }

template <Floating T> Tensor<T> operator-(const Tensor<T>& x) { return Affine{-1, 0, '*'}(x); }
template <Floating T> Tensor<T> operator+(const Tensor<T>& x, double b) { return Affine{1, b, '+'}(x); }
template <Floating T> Tensor<T> operator+(double b, const Tensor<T>& x) { return Affine{1, b, '+'}(x); }
template <Floating T> Tensor<T> operator-(const Tensor<T>& x, double b) { return Affine{1, -b, '-'}(x); }
template <Floating T> Tensor<T> operator-(double b, const Tensor<T>& x) { return Affine{-1, b, '+'}(x); }
template <Floating T> Tensor<T> operator*(const Tensor<T>& x, double a) { return Affine{a, 0, '*'}(x); }
template <Floating T> Tensor<T> operator*(double a, const Tensor<T>& x) { return Affine{a, 0, '*'}(x); }
template <Floating T> Tensor<T> operator/(const Tensor<T>& x, double c) { return DivideBy{c}(x); }
template <Floating T> Tensor<T> operator/(double c, const Tensor<T>& x) { return Reciprocal{c}(x); }

}
}  // namespace tricycle
