// What every elementwise op shares: run its formula over tensors, and record its derivative.
#pragma once
#include <charconv>
#include <functional>
#include "tricycle/op/reduce.hpp"
#include "tricycle/tensor/must_cast.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Which numbers an op's derivative reads, and so what the tape keeps alive: nothing (then the derivative is a constant),
/// what went in, or what came out.
enum class Saves { nothing, x, y };

namespace detail {

inline std::string with_number(const char* text, double number) {
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  return text + std::string(digits, end);
}

/// A plain number beside a tensor.
template <class N> concept PlainNumber = std::is_arithmetic_v<N> || Short<N>;

template <class Op>
auto name_of(const Op& op) {
  if constexpr (requires { op.name(); }) return op.name();
  else return Op::name;
}

/// The formulas of an op as functions of numbers, which is all that a kernel sees of it.
template <class Op> struct Forward {
  Op op;
  template <class... R> TRICYCLE_HD auto operator()(R... x) const { return op.f(x...); }
};
template <class Op> struct Backward {
  Op op;
  template <class R> TRICYCLE_HD R operator()(R grad, R saved) const { return grad * op.df(saved); }
};
template <class Op> struct BackwardA {
  Op op;
  template <class R> TRICYCLE_HD R operator()(R grad, R a, R b) const { return grad * op.da(a, b); }
};
template <class Op> struct BackwardB {
  Op op;
  template <class R> TRICYCLE_HD R operator()(R grad, R a, R b) const { return grad * op.db(a, b); }
};

/// y = f(x), element by element.   dx = grad f'(saved)
template <class Op, Floating T>
Tensor<T> unary(const Op& op, const Tensor<T>& x) {
  Tensor<T> y(x.shape(), x.device());
  kernel::map(x.device(), x.size(), Forward<Op>{op}, Gather<T>{y.mutable_data(), false}, x.data());
  if constexpr (Op::saves == Saves::nothing)
    return record(name_of(op), y, {{x, [op](const Tensor<T>& grad, Sink<T> dx) { unbroadcast(grad, dx, op.df()); }}});
  else
    return record(name_of(op), y, {{x, [op, saved = Saved<T>(Op::saves == Saves::x ? x : y)](const Tensor<T>& grad, Sink<T> dx) {
      kernel::map(grad.device(), grad.size(), Backward<Op>{op}, dx.gather(), grad.data(), saved.data());
    }}});
}

/// out = f(a, b, ...) at `shape`, to which the operands broadcast.
template <class F, class Out, class... In>
void broadcast_map(const Shape& shape, F f, Gather<Out> out, const Tensor<In>&... in) {
  kernel::Walk<1 + sizeof...(In)> walk(shape, {kernel::contiguous(shape), kernel::broadcast_strides(in.shape(), shape)...});
  kernel::map((in.device(), ...), walk, f, out, in.data()...);
}

/// The gradient of an operand: f(grad, a, ...), summed over the axes along which the operand was stretched.
template <class F, Floating T, class... In>
void operand_backward(F f, const Tensor<T>& grad, Sink<T> sink, const Tensor<In>&... in) {
  if (sink.shape().size() == grad.size()) return broadcast_map(grad.shape(), f, sink.gather(), grad, in...);
  Tensor<compute<T>> whole(grad.shape(), grad.device());
  broadcast_map(grad.shape(), f, Gather<compute<T>>{whole.mutable_data(), false}, grad, in...);
  sum_over<compute<T>, T>(grad.device(), grad.shape(), stretched(grad.shape(), sink.shape()), whole.data(), 1, sink.gather());
}

/// y = f(a, b), element by element, broadcast as NumPy does.   da = grad ∂f/∂a, db = grad ∂f/∂b
template <class Op, Floating T>
Tensor<T> binary(Op op, const Tensor<T>& a, const Tensor<T>& b) {
  check_together(Op::name, "the left operand is", a, "the right one", b);
  Tensor<T> y(broadcast(Op::name, a.shape(), b.shape()), a.device());
  broadcast_map(y.shape(), Forward<Op>{op}, Gather<T>{y.mutable_data(), false}, a, b);
  if constexpr (Op::saves == Saves::nothing)
    return record(Op::name, y, {{a, [op](const Tensor<T>& grad, Sink<T> da) { unbroadcast(grad, da, op.da()); }},
                                {b, [op](const Tensor<T>& grad, Sink<T> db) { unbroadcast(grad, db, op.db()); }}});
  else
    return record_joint<T, T, T>(Op::name, y, {a, b}, [op, a = Saved<T>(a), b = Saved<T>(b)](const Tensor<T>& grad, Sink<T> da, Sink<T> db) {
      if (da) operand_backward(BackwardA<Op>{op}, grad, da, *a, *b);
      if (db) operand_backward(BackwardB<Op>{op}, grad, db, *a, *b);
    });
}

template <class To, class From> struct Convert {
  TRICYCLE_HD auto operator()(auto x) const {
    if constexpr (std::same_as<compute<To>, compute<From>>) return x;
    else return compute<To>(convert<To>(static_cast<From>(x)));
  }
};

template <Element From, Element To>
void convert_into(const Tensor<From>& x, Gather<To> y) {
  kernel::map(x.device(), x.size(), Convert<To, From>{}, y, x.data());
}

template <Floating To, Floating From>
auto cast_back() {
  return [](const Tensor<To>& grad, Sink<From> dx) { convert_into(grad, dx.gather()); };
}

}  // namespace detail

/// An op of one operand can be called like a layer: Tanh()(x).
template <class Op>
struct Unary {
  template <Floating T> Tensor<T> operator()(const Tensor<T>& x) const { return detail::unary(static_cast<const Op&>(*this), x); }
};

}
}  // namespace tricycle
