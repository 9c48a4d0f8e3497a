// Choosing between numbers: comparisons, and where.
#pragma once
#include "tricycle/core/math.hpp"
#include "tricycle/op/apply.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

// ---------------------------------------------------------------- comparisons: bool tensors, which have no gradient

namespace detail {

// Not std::less and its kin: those are the host's alone.
struct Less { TRICYCLE_HD bool operator()(auto a, auto b) const { return a < b; } };
struct Greater { TRICYCLE_HD bool operator()(auto a, auto b) const { return a > b; } };
struct LessEqual { TRICYCLE_HD bool operator()(auto a, auto b) const { return a <= b; } };
struct GreaterEqual { TRICYCLE_HD bool operator()(auto a, auto b) const { return a >= b; } };
struct Equal { TRICYCLE_HD bool operator()(auto a, auto b) const { return a == b; } };
struct NotEqual { TRICYCLE_HD bool operator()(auto a, auto b) const { return a != b; } };

template <class F, Element T>
Tensor<bool> compare(const char* name, F f, const Tensor<T>& a, const Tensor<T>& b) {
  check_together(name, "the left operand is", a, "the right one", b);
  Tensor<bool> y(broadcast(name, a.shape(), b.shape()), a.device());
  broadcast_map(y.shape(), f, Gather<bool>{y.mutable_data(), false}, a, b);
  return y;
}

template <class F, class R> struct BesideNumber {
  R number;
  TRICYCLE_HD bool operator()(auto x) const { return F{}(static_cast<R>(x), number); }
};

/// f(x, number), element by element: of floating x the number is rounded to x's type, as in NumPy; whole x and a whole number are
/// compared in 64 bits, which the number must fit, and with other numbers as doubles.
template <class F, Element T, PlainNumber N>
Tensor<bool> compared_with(const char* name, const Tensor<T>& x, N number) {
  static_assert(!std::same_as<T, bool> || std::same_as<F, Equal> || std::same_as<F, NotEqual>, "0 < x < 1 would compare with 1 whether 0 < x: write 0 < x && x < 1");
  auto compare_as = [&]<class R>(R beside) {
    Tensor<bool> y(x.shape(), x.device());
    kernel::map(x.device(), x.size(), BesideNumber<F, R>{beside}, Gather<bool>{y.mutable_data(), false}, x.data());
    return y;
  };
  if constexpr (Floating<T>) return compare_as(static_cast<compute<T>>(convert<T>(number)));
  else if constexpr (!std::integral<N>) return compare_as(static_cast<double>(number));
  else {
    using Whole = std::conditional_t<std::is_unsigned_v<T> && sizeof(T) == 8, std::uint64_t, std::int64_t>;
    const auto whole = +number;                          // an int of a char, which in_range() does not take
    check(std::in_range<Whole>(whole), name, ": numbers of ", dtype_name<T>(), " cannot be compared with ", whole, ", which is no ", dtype_name<Whole>());
    return compare_as(static_cast<Whole>(whole));
  }
}

}  // namespace detail

template <Element T> Tensor<bool> operator<(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare("<", detail::Less{}, a, b); }
template <Element T> Tensor<bool> operator>(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare(">", detail::Greater{}, a, b); }
template <Element T> Tensor<bool> operator<=(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare("<=", detail::LessEqual{}, a, b); }
template <Element T> Tensor<bool> operator>=(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare(">=", detail::GreaterEqual{}, a, b); }
template <Element T> Tensor<bool> operator==(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare("==", detail::Equal{}, a, b); }
template <Element T> Tensor<bool> operator!=(const Tensor<T>& a, const Tensor<T>& b) { return detail::compare("!=", detail::NotEqual{}, a, b); }

/// With a number: of floating x it is rounded to x's type, as in NumPy. Throws for a whole one beyond 64 bits.
template <Element T, detail::PlainNumber N> Tensor<bool> operator<(const Tensor<T>& x, N c) { return detail::compared_with<detail::Less>("<", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator<(N c, const Tensor<T>& x) { return detail::compared_with<detail::Greater>("<", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator>(const Tensor<T>& x, N c) { return detail::compared_with<detail::Greater>(">", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator>(N c, const Tensor<T>& x) { return detail::compared_with<detail::Less>(">", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator<=(const Tensor<T>& x, N c) { return detail::compared_with<detail::LessEqual>("<=", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator<=(N c, const Tensor<T>& x) { return detail::compared_with<detail::GreaterEqual>("<=", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator>=(const Tensor<T>& x, N c) { return detail::compared_with<detail::GreaterEqual>(">=", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator>=(N c, const Tensor<T>& x) { return detail::compared_with<detail::LessEqual>(">=", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator==(const Tensor<T>& x, N c) { return detail::compared_with<detail::Equal>("==", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator==(N c, const Tensor<T>& x) { return detail::compared_with<detail::Equal>("==", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator!=(const Tensor<T>& x, N c) { return detail::compared_with<detail::NotEqual>("!=", x, c); }
template <Element T, detail::PlainNumber N> Tensor<bool> operator!=(N c, const Tensor<T>& x) { return detail::compared_with<detail::NotEqual>("!=", x, c); }

template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator<(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }
template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator>(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }
template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator<=(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }
template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator>=(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }
template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator==(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }
template <Element A, Element B> requires detail::Differ<A, B> Tensor<bool> operator!=(const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_compare<B>(a); }

// ---------------------------------------------------------------- of bools

namespace detail {
struct And { TRICYCLE_HD bool operator()(bool a, bool b) const { return a && b; } };
struct Or { TRICYCLE_HD bool operator()(bool a, bool b) const { return a || b; } };
struct Not { TRICYCLE_HD bool operator()(bool a) const { return !a; } };
}  // namespace detail

/// Number by number, and so both operands are worked out: there is no short cut as between two bools.
inline Tensor<bool> operator&&(const Tensor<bool>& a, const Tensor<bool>& b) { return detail::compare("&&", detail::And{}, a, b); }
inline Tensor<bool> operator||(const Tensor<bool>& a, const Tensor<bool>& b) { return detail::compare("||", detail::Or{}, a, b); }
inline Tensor<bool> operator!(const Tensor<bool>& a) {
  Tensor<bool> y(a.shape(), a.device());
  kernel::map(a.device(), a.size(), detail::Not{}, Gather<bool>{y.mutable_data(), false}, a.data());
  return y;
}

// ---------------------------------------------------------------- one or the other

namespace detail {

struct Choose {
  template <class R> TRICYCLE_HD R operator()(bool c, R a, R b) const { return math::select(c, a, b); }
};
/// What of a gradient belongs to the operand that stands on one side.
struct OfSide {
  bool side;
  template <class R> TRICYCLE_HD R operator()(R grad, bool c) const { return math::select(c == side, grad, R(0)); }
};

/// A number to broadcast.
template <Element T>
Tensor<T> number_beside(const Tensor<T>& x, double number) { return filled(Shape{}, convert<T>(number), x.device()); }

}  // namespace detail

/// a where the condition holds, b elsewhere; all three broadcast as NumPy does. What is not chosen has no say: not even NaN.
///   da = grad where the condition holds, db = grad elsewhere
template <Element T>
Tensor<T> where(const Tensor<bool>& condition, const Tensor<T>& a, const Tensor<T>& b) {
  check_together("where", "the condition is", condition, "the first choice", a);
  check_together("where", "the condition is", condition, "the second choice", b);
  Tensor<T> y(broadcast("where", condition.shape(), broadcast("where", a.shape(), b.shape())), a.device());
  detail::broadcast_map(y.shape(), detail::Choose{}, Gather<T>{y.mutable_data(), false}, condition, a, b);
  if constexpr (!Floating<T>) return y;
  else return record_joint<T, T, T>("where", y, {a, b}, [condition = Saved<bool>(condition)](const Tensor<T>& grad, Sink<T> da, Sink<T> db) {
    if (da) detail::operand_backward(detail::OfSide{true}, grad, da, *condition);
    if (db) detail::operand_backward(detail::OfSide{false}, grad, db, *condition);
  });
}
template <Element T> Tensor<T> where(const Tensor<bool>& condition, const Tensor<T>& a, double b) { return where(condition, a, detail::number_beside(a, b)); }
template <Element T> Tensor<T> where(const Tensor<bool>& condition, double a, const Tensor<T>& b) { return where(condition, detail::number_beside(b, a), b); }
template <Element A, Element B> requires detail::Differ<A, B>
Tensor<A> where(const Tensor<bool>&, const Tensor<A>& a, const Tensor<B>&) { return detail::must_cast_to_join<B>(a); }

/// x with `number` wherever the mask holds.   dx = grad where it does not, 0 where it does
template <Element T> Tensor<T> masked_fill(const Tensor<T>& x, const Tensor<bool>& mask, double number) { return where(mask, number, x); }

}
}  // namespace tricycle
