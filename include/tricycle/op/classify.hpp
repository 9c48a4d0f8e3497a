// The loss of a classifier whose logits are never held as a whole: the product that makes them, and cross-entropy, in one.
#pragma once
#include "tricycle/kernel/gemm.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/lookup.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// How many rows of logits are made at a time: so many that a GPU is busy, whole tiles of its products, in a fraction of the memory
/// that all would take.
template <class T>
Index rows_at_a_time(Index classes) {
  const Index rows = (Index{1} << 29) / static_cast<Index>(sizeof(T)) / (std::max)(Index{1}, classes);
  return rows > 128 ? rows / 128 * 128 : (std::max)(Index{1}, rows);
}

/// Where the weights of a classifier lie: from one class to the next, and from one number of x to the next.
struct ClassStrides { Index of_class, of_number; };

/// The share of one position of so many in the mean. In 16 bits a gradient could vanish by it, so it comes in late. (Where labels are
/// ignored, MeanOfKept has it.)
template <class R>
struct Shares {
  R early = 1, late = 1;
  template <class T>
  static Shares of(Index count, Ignored ignored) {
    if (ignored.is_any) return {};
    const R share = 1 / static_cast<R>((std::max)(count, Index{1}));     // of none there is no gradient, but it must not be NaN
    return Short<T> ? Shares{1, share} : Shares{share, 1};
  }
};

template <class R>
struct ScaledProduct {
  R scale;
  TRICYCLE_HD auto operator()(auto a, auto b) const { return a * b * decltype(a * b)(scale); }
};

/// The mean of cross_entropy(truth, x W + bias). With `dx`, `dw` and `dbias` also its gradients, but for the late share: what the
/// logits of some rows were becomes their gradient in place, is multiplied by what it was made of, and makes room for the next rows.
template <class T, class Id>
MeanOfKept<compute<T>> classify_rows(const Tensor<Id>& truth, const Tensor<T>& x, const Tensor<T>& weights, const Tensor<T>* bias, Index classes, ClassStrides w, Ignored ignored,
                                     Tensor<T>* dx, Tensor<compute<T>>* dw, Tensor<compute<T>>* dbias) {
  using R = compute<T>;
  const Device device = x.device();
  const Index count = truth.size(), n = x.shape()[-1], most = (std::min)(rows_at_a_time<T>(classes), (std::max)(count, Index{1}));
  Tensor<R> losses(Shape{count}, device), one = filled(Shape{}, R(1), device);
  const Index stride = device.is_cpu() ? classes : kernel::split(classes, 64) * 64;      // rows that a GPU reads 16 bytes at once
  Tensor<T> logits(Shape{most, stride}, device);
  for (auto* sums : {dw, dbias})
    if (sums && count == 0) *sums = filled(sums->shape(), R(0), device);
  for (Index from = 0; from < count; from += most) {
    const Index rows = (std::min)(most, count - from);
    const T* some = x.data() + from * n;
    const Id* labels = truth.data() + from;
    if (bias) kernel::map(device, kernel::Walk<2>(Shape{rows, classes}, {{{stride, 1}, {0, 1}}}), kernel::Same{}, Gather<T>{logits.mutable_data(), false}, bias->data());
    kernel::gemm(device, kernel::Gemm{.m = rows, .n = classes, .k = n, .a = {0, 0, n, 1}, .b = {0, 0, w.of_number, w.of_class}, .c = {0, 0, stride, 1}, .accumulate = bias != nullptr},
                 some, weights.data(), logits.mutable_data());
    const CrossEntropyForward<T, Id> forward{labels, logits.data(), stride, losses.mutable_data() + from, ignored};
    if (!dx && !dw && !dbias) {
      kernel::rows(device, rows, classes, forward);
      continue;
    }
    const R share = Shares<R>::template of<T>(count, ignored).early;
    kernel::rows(device, rows, classes, CrossEntropyInPlace<T, Id>{forward, {labels, logits.data(), stride, one.data(), share, {logits.mutable_data(), false}, ignored}});
    if (dx)
      kernel::gemm(device, kernel::Gemm{.m = rows, .n = n, .k = classes, .a = {0, 0, stride, 1}, .b = {0, 0, w.of_class, w.of_number}, .c = {0, 0, n, 1}},
                   logits.data(), weights.data(), dx->mutable_data() + from * n);
    if (dw)
      kernel::gemm(device, kernel::Gemm{.m = classes, .n = n, .k = rows, .a = {0, 0, 1, stride}, .b = {0, 0, n, 1}, .c = {0, 0, w.of_class, w.of_number}, .accumulate = from > 0},
                   logits.data(), some, dw->mutable_data());
    if (dbias) kernel::columns<R>(device, 1, rows, classes, ScaledRow<T>{logits.data(), stride, 1}, Gather<R>{dbias->mutable_data(), from > 0});
  }
  return MeanOfKept<R>(truth, losses, ignored);
}

}  // namespace detail

/// cross_entropy(truth, x W + bias, ignore_index) in a fraction of the memory: logits are made some rows at a time, and while a
/// gradient is wanted theirs is worked out then and there. `by_class`: do the weights lie class by class, (classes, n), as an
/// embedding's do, or as a Dense's, (n, classes)?   (...), (..., n), weights, (classes) -> ()
///   dx = dlogits Wᵀ, dW = xᵀ dlogits, dbias = the sum of dlogits         (dlogits: see cross_entropy)
template <std::integral Id, Floating T>
Tensor<compute<T>> classify(const Tensor<Id>& truth, const Tensor<T>& x, const Tensor<T>& weights, bool by_class, std::optional<Index> ignore_index = std::nullopt, const std::type_identity_t<Tensor<T>>* bias = nullptr) {
  using R = compute<T>;
  check(x.rank() > 0 && weights.rank() == 2 && weights.shape()[by_class ? 1 : 0] == x.shape()[-1], "classify: weights of shape ", weights.shape(), " for numbers of shape ", x.shape());
  check(truth.shape() == x.shape().slice(0, x.rank() - 1), "classify: labels of shape ", truth.shape(), " for numbers of shape ", x.shape());
  check_together("classify", "labels are", truth, "numbers", x);
  check_together("classify", "numbers are", x, "weights", weights);
  const Index n = x.shape()[-1], classes = weights.shape()[by_class ? 0 : 1];
  if (bias) {
    check(bias->shape() == Shape{classes}, "classify: a bias of shape ", bias->shape(), " for ", classes, " classes");
    check_together("classify", "numbers are", x, "the bias", *bias);
  }
  const detail::Ignored ignored(ignore_index);
  detail::check_ids("classify", truth, classes, ignored);
  const auto w = by_class ? detail::ClassStrides{n, 1} : detail::ClassStrides{1, classes};
  const bool wants_x = detail::any_wanted({x.node().get()}), wants_weights = detail::any_wanted({weights.node().get()}), wants_bias = bias && detail::any_wanted({bias->node().get()});
  Tensor<T> dx(wants_x ? x.shape() : Shape{0}, x.device());
  Tensor<R> dw(wants_weights ? weights.shape() : Shape{0}, x.device()), dbias(wants_bias ? bias->shape() : Shape{0}, x.device());
  const auto of_kept = detail::classify_rows(truth, x, weights, bias, classes, w, ignored, wants_x ? &dx : nullptr, wants_weights ? &dw : nullptr, wants_bias ? &dbias : nullptr);
  auto back = [dx, dw, dbias, of_kept, late = detail::Shares<R>::template of<T>(truth.size(), ignored).late](const Tensor<R>& grad, Sink<T> to_x, Sink<T> to_weights, Sink<T> to_bias) {
    const Tensor<R> share = of_kept.shared(grad);
    if (to_x) detail::broadcast_map(dx.shape(), detail::ScaledProduct<R>{late}, to_x.gather(), dx, share);
    if (to_weights) detail::broadcast_map(dw.shape(), detail::ScaledProduct<R>{late}, to_weights.gather(), dw, share);
    if (to_bias) detail::broadcast_map(dbias.shape(), detail::ScaledProduct<R>{late}, to_bias.gather(), dbias, share);
  };
  if (bias) return record_joint<R, T, T, T>("classify", of_kept.mean, {x, weights, *bias}, back);
  return record_joint<R, T, T>("classify", of_kept.mean, {x, weights}, [back](const Tensor<R>& grad, Sink<T> to_x, Sink<T> to_weights) { back(grad, to_x, to_weights, Sink<T>(nullptr)); });
}
template <std::integral Id, Element A, Element B> requires detail::MustCast<A, B>
Tensor<A> classify(const Tensor<Id>&, const Tensor<A>& x, const Tensor<B>&, bool, const auto&...) { return detail::must_cast<B>(x); }
template <std::integral Id, Floating A, Element B> requires detail::MustCast<A, B>
Tensor<A> classify(const Tensor<Id>&, const Tensor<A>& x, const Tensor<A>&, bool, std::optional<Index>, const Tensor<B>*) { return detail::must_cast<B>(x); }

}
}  // namespace tricycle
