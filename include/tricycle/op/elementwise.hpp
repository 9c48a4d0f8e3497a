// Ops that treat every element alike: those of one operand, in op/unary.hpp, and here those of two, with NumPy's broadcasting.
#pragma once
#include "tricycle/op/unary.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// y = a + b   da = grad   db = grad
struct Add {
  static constexpr auto name = "badd";
  static constexpr auto saves = Saves::nothing;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return a + b; }
  double da() const { return 1; }
  double db() const { return 1; }
};

/// y = a - b   da = grad   db = -grad
struct Subtract {
  static constexpr auto name = "bsub";
  static constexpr auto saves = Saves::nothing;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return a - b; }
  double da() const { return 1; }
  double db() const { return -1; }
};

/// y = a b   da = grad b   db = grad a
struct Multiply {
  static constexpr auto name = "bmul";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return a * b; }
  template <class R> TRICYCLE_HD R da(R, R b) const { return b; }
  template <class R> TRICYCLE_HD R db(R a, R) const { return a; }
};

/// y = a / b   da = grad / b   db = -grad (a / b) / b
struct Divide {
  static constexpr auto name = "bdiv";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return a / b; }
  template <class R> TRICYCLE_HD R da(R, R b) const { return R(1) / b; }
  template <class R> TRICYCLE_HD R db(R a, R b) const { return -(a / b) / b; }
};

/// y = a^b   da = grad b a^(b - 1)   db = grad y ln a, 0 where a is 0
struct Power {
  static constexpr auto name = "bpow";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return math::pow(a, b); }
  template <class R> TRICYCLE_HD R da(R a, R b) const { return math::select(b == R(0), b, b * math::pow(a, b - R(1))); }
  template <class R> TRICYCLE_HD R db(R a, R b) const { return math::select(a == R(0), a, math::pow(a, b) * math::log(a)); }
};

/// y = the better of a and b: max(a, b) or min(a, b)   da = grad where a beats b, db = grad where it yields   NaN where either is
template <class Better>
struct BestOfTwo {
  static constexpr auto name = Better::two;
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R a, R b) const { return Better::best(a, b); }
  template <class R> TRICYCLE_HD R da(R a, R b) const { return math::select(Better::beats(a, b), R(1), math::select(Better::yields(a, b), R(0), a + b)); }
  template <class R> TRICYCLE_HD R db(R a, R b) const { return math::select(Better::beats(a, b), R(0), math::select(Better::yields(a, b), R(1), a + b)); }
};

template <Floating T> Tensor<T> operator+(const Tensor<T>& a, const Tensor<T>& b) { return detail::binary(Add{}, a, b); }
template <Floating T> Tensor<T> operator-(const Tensor<T>& a, const Tensor<T>& b) { return detail::binary(Subtract{}, a, b); }
template <Floating T> Tensor<T> operator*(const Tensor<T>& a, const Tensor<T>& b) { return detail::binary(Multiply{}, a, b); }
template <Floating T> Tensor<T> operator/(const Tensor<T>& a, const Tensor<T>& b) { return detail::binary(Divide{}, a, b); }
template <Floating T> Tensor<T> pow(const Tensor<T>& a, const Tensor<T>& b) { return detail::binary(Power{}, a, b); }
template <Floating T, std::same_as<T> U> Tensor<T> max(const Tensor<T>& a, const Tensor<U>& b) { return detail::binary(BestOfTwo<detail::Above>{}, a, b); }
template <Floating T, std::same_as<T> U> Tensor<T> min(const Tensor<T>& a, const Tensor<U>& b) { return detail::binary(BestOfTwo<detail::Below>{}, a, b); }

// What does not fit is told what to do about it.
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> operator+(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> operator-(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> operator*(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> operator/(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> pow(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> max(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A> min(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast<B>(a); }

/// a += b makes `a` stand for a + b; the tensor that it stood for is not written to.
template <Floating T> Tensor<T>& operator+=(Tensor<T>& a, const Tensor<T>& b) { return a = a + b; }
template <Floating T> Tensor<T>& operator-=(Tensor<T>& a, const Tensor<T>& b) { return a = a - b; }
template <Floating T> Tensor<T>& operator*=(Tensor<T>& a, const Tensor<T>& b) { return a = a * b; }
template <Floating T> Tensor<T>& operator/=(Tensor<T>& a, const Tensor<T>& b) { return a = a / b; }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A>& operator+=(Tensor<A>& a, const Tensor<B>&) { return a = detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A>& operator-=(Tensor<A>& a, const Tensor<B>&) { return a = detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A>& operator*=(Tensor<A>& a, const Tensor<B>&) { return a = detail::must_cast<B>(a); }
template <Element A, Element B> requires detail::MustCast<A, B> Tensor<A>& operator/=(Tensor<A>& a, const Tensor<B>&) { return a = detail::must_cast<B>(a); }
template <Floating T> Tensor<T>& operator+=(Tensor<T>& a, double b) { return a = a + b; }
template <Floating T> Tensor<T>& operator-=(Tensor<T>& a, double b) { return a = a - b; }
template <Floating T> Tensor<T>& operator*=(Tensor<T>& a, double b) { return a = a * b; }
template <Floating T> Tensor<T>& operator/=(Tensor<T>& a, double b) { return a = a / b; }

// ---------------------------------------------------------------- between element types

/// x, held as To. Its gradient comes back held as From: a float master keeps float gradients.
template <Element To, Element From>
Tensor<To> cast(const Tensor<From>& x) {
  if constexpr (std::same_as<To, From>) return x;
  else {
    Tensor<To> y(x.shape(), x.device());
    detail::convert_into(x, Gather<To>{y.mutable_data(), false});
    if constexpr (Floating<To> && Floating<From>)
      return record("cast", y, {{x, detail::cast_back<To, From>()}});
    else return y;
  }
}

}
}  // namespace tricycle
