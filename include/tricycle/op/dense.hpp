// Dense layers as one op: the product, and what is done with its numbers on their way out.
#pragma once
#include "tricycle/kernel/gemm.hpp"
#include "tricycle/op/elementwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// An op of two operands, then one of its result.
template <class First, class Then>
struct Chain {
  template <class R> TRICYCLE_HD R f(R a, R b) const { return Then{}.f(First{}.f(a, b)); }
};

/// y = x W + bias, if there is one, then GELU, if asked for; `before`, if not null, is y without GELU.   (m, k), (k, n) -> (m, n)
template <class T>
void dense_forward(Device device, Index m, Index k, Index n, const T* x, const T* w, const T* bias, bool gelu, T* before, T* y) {
  kernel::Gemm g{.m = m, .n = n, .k = k, .a = {0, 0, k, 1}, .b = {0, 0, n, 1}, .c = {0, 0, n, 1}};
  if (!bias && !gelu) return kernel::gemm(device, g, x, w, y);
  if (kernel::gemm_with_epilogue(device, g, x, w, y, {.bias = bias, .before = before, .gelu = gelu})) return;
  Shape shape{m, n};
  kernel::Walk<3> with_bias(shape, {kernel::contiguous(shape), kernel::contiguous(shape), kernel::broadcast_strides(Shape{n}, shape)});
  T* sums = before ? before : y;
  kernel::gemm(device, g, x, w, sums);
  if (bias && gelu && !before) return kernel::map(device, with_bias, Forward<Chain<Add, GeLU>>{}, Gather<T>{y, false}, y, bias);
  if (bias) kernel::map(device, with_bias, Forward<Add>{}, Gather<T>{sums, false}, static_cast<const T*>(sums), bias);
  if (gelu) kernel::map(device, m * n, Forward<GeLU>{}, Gather<T>{y, false}, static_cast<const T*>(sums));
}

/// dx = or += dy Wᵀ, times the derivative of GELU at `before` if that is not null.   (m, n), (k, n) -> (m, k)
template <class T>
void dense_back(Device device, Index m, Index k, Index n, const T* dy, const T* w, const T* before, Gather<T> dx) {
  kernel::Gemm g{.m = m, .n = k, .k = n, .a = {0, 0, n, 1}, .b = {0, 0, 1, n}, .c = {0, 0, k, 1}, .accumulate = dx.add};
  if (!before) return kernel::gemm(device, g, dy, w, dx.at);
  if (kernel::gemm_with_epilogue(device, g, dy, w, dx.at, {.gelu_back = before})) return;
  kernel::gemm(device, g, dy, w, dx.at);
  kernel::map(device, m * k, Backward<GeLU>{}, Gather<T>{dx.at, false}, static_cast<const T*>(dx.at), before);
}

/// dW = or += xᵀ dy, and dbias = or += the sums of dy's columns.   (m, k), (m, n) -> (k, n), (n)
template <class T>
void dense_back_weights(Device device, Index m, Index k, Index n, const T* x, const T* dy, Sink<T> dw, Sink<T> dbias) {
  kernel::Gemm g{.m = k, .n = n, .k = m, .a = {0, 0, 1, k}, .b = {0, 0, n, 1}, .c = {0, 0, n, 1}};
  if (dw) {
    auto to = dw.gather();
    g.accumulate = to.add;
    kernel::gemm(device, g, x, dy, to.at);
  }
  if (dbias) sum_middle<T, T>(device, 1, m, n, dy, 1, dbias.gather());
}

/// What every dense op demands of an operand's weights and bias.
template <Floating T>
void check_dense(const char* op, const Shape& x, const Tensor<T>& weights, const Tensor<T>* bias, Device device) {
  check(x.rank() > 0 && weights.rank() == 2 && weights.shape()[0] == x[-1], op, ": weights of shape ", weights.shape(), " for numbers of shape ", x);
  check(!bias || bias->shape() == Shape{weights.shape()[1]}, op, ": a bias of shape ", bias ? bias->shape() : Shape{}, " for weights of shape ", weights.shape());
  check(weights.device() == device && (!bias || bias->device() == device), op, ": numbers are on ", device, ", but weights on ", weights.device());
}

}  // namespace detail

/// y = x W, plus `bias` if there is one.   (..., from), (from, to), (to) -> (..., to)
///   dx = grad Wᵀ   dW = xᵀ grad   dbias = the sum of grad over the leading axes
template <Floating T>
Tensor<T> dense(const Tensor<T>& x, const Tensor<T>& weights, const std::type_identity_t<Tensor<T>>* bias = nullptr) {
  detail::check_dense("dense", x.shape(), weights, bias, x.device());
  const Index k = x.shape()[-1], n = weights.shape()[1], m = x.shape().product(0, x.rank() - 1);
  Tensor<T> y(x.shape().with(-1, n), x.device());
  detail::dense_forward<T>(x.device(), m, k, n, x.data(), weights.data(), bias ? bias->data() : nullptr, false, nullptr, y.mutable_data());
  auto back = [m, k, n, x = Saved<T>(x), w = Saved<T>(weights)](const Tensor<T>& grad, Sink<T> dx, Sink<T> dw, Sink<T> dbias) {
    if (dx) detail::dense_back<T>(grad.device(), m, k, n, grad.data(), w.data(), nullptr, dx.gather());
    detail::dense_back_weights<T>(grad.device(), m, k, n, x.data(), grad.data(), dw, dbias);
  };
  if (bias) return record_joint<T, T, T, T>("dense", y, {x, weights, *bias}, back);
  return record_joint<T, T, T>("dense", y, {x, weights}, [back](const Tensor<T>& grad, Sink<T> dx, Sink<T> dw) { back(grad, dx, dw, Sink<T>(nullptr)); });
}

template <Element A, Element B, class... Bias> requires detail::MustCast<A, B>
Tensor<A> dense(const Tensor<A>& x, const Tensor<B>&, const Bias*...) { return detail::must_cast<B>(x); }
template <Floating A, Element B> requires detail::MustCast<A, B>
Tensor<A> dense(const Tensor<A>& x, const Tensor<A>&, const Tensor<B>*) { return detail::must_cast<B>(x); }

/// The transformer's small network, y = GELU(x W₁ + b₁) W₂ + b₂; both biases or neither.
///   (..., n), (n, h), (h), (h, o), (o) -> (..., o)
/// Its gradients are those of dense and GELU one after the other: what goes into GELU, and what comes out, is kept.
template <Floating T>
Tensor<T> mlp(const Tensor<T>& x, const Tensor<T>& w_1, const std::type_identity_t<Tensor<T>>* b_1, const Tensor<T>& w_2, const std::type_identity_t<Tensor<T>>* b_2) {
  check((b_1 == nullptr) == (b_2 == nullptr), "mlp: one of two biases");
  detail::check_dense("mlp", x.shape(), w_1, b_1, x.device());
  detail::check_dense("mlp", x.shape().with(-1, w_1.shape()[1]), w_2, b_2, x.device());
  const Index n = x.shape()[-1], hidden = w_1.shape()[1], out = w_2.shape()[1], m = x.shape().product(0, x.rank() - 1);
  const bool wanted = detail::any_wanted({x.node().get(), w_1.node().get(), w_2.node().get(), b_1 ? b_1->node().get() : nullptr, b_2 ? b_2->node().get() : nullptr});
  const Shape inside = x.shape().with(-1, hidden);
  Tensor<T> before(wanted ? inside : Shape{0}, x.device()), active(inside, x.device()), y(x.shape().with(-1, out), x.device());
  auto at = [](const Tensor<T>* t) { return t ? t->data() : nullptr; };
  detail::dense_forward<T>(x.device(), m, n, hidden, x.data(), w_1.data(), at(b_1), true, wanted ? before.mutable_data() : nullptr, active.mutable_data());
  detail::dense_forward<T>(x.device(), m, hidden, out, active.data(), w_2.data(), at(b_2), false, nullptr, y.mutable_data());
  auto back = [=, x = Saved<T>(x), w_1 = Saved<T>(w_1), w_2 = Saved<T>(w_2)](const Tensor<T>& grad, Sink<T> dx, Sink<T> dw_1, Sink<T> db_1, Sink<T> dw_2, Sink<T> db_2) {
    const Device device = grad.device();
    detail::dense_back_weights<T>(device, m, hidden, out, active.data(), grad.data(), dw_2, db_2);
    if (!dx && !dw_1 && !db_1) return;
    Tensor<T> dbefore(before.shape(), device);
    detail::dense_back<T>(device, m, hidden, out, grad.data(), w_2.data(), before.data(), {dbefore.mutable_data(), false});
    detail::dense_back_weights<T>(device, m, n, hidden, x.data(), dbefore.data(), dw_1, db_1);
    if (dx) detail::dense_back<T>(device, m, n, hidden, dbefore.data(), w_1.data(), nullptr, dx.gather());
  };
  if (b_1) return record_joint<T, T, T, T, T, T>("mlp", y, {x, w_1, *b_1, w_2, *b_2}, back);
  return record_joint<T, T, T, T>("mlp", y, {x, w_1, w_2}, [back](const Tensor<T>& grad, Sink<T> dx, Sink<T> dw_1, Sink<T> dw_2) {
    back(grad, dx, dw_1, Sink<T>(nullptr), dw_2, Sink<T>(nullptr));
  });
}
template <Element A, Element B, Element C> requires (detail::MustCast<A, B> || detail::MustCast<A, C>)
Tensor<A> mlp(const Tensor<A>& x, const Tensor<B>&, const auto&, const Tensor<C>&, const auto&) {
  detail::must_cast<B>(x);
  return detail::must_cast<C>(x);
}

}
}  // namespace tricycle
