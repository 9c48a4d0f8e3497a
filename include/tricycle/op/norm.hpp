// Layer and RMS normalisation, alone and together with the addition before it.
#pragma once
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/rowwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Mean 0 and variance 1, then stretched and shifted: layer normalisation (Ba et al., arXiv:1607.06450).
///   n  = (x - mean x) r             r = 1 / sqrt(var x + eps)
///   y  = n gamma + beta
///   dx = r (g - mean g - n mean(g n))             g = grad gamma
/// Not centred, what stands for means is 0, so that the mean of the squares becomes 1: RMS normalisation (Zhang and Sennrich,
/// arXiv:1910.07467).
///   n  = x r                        r = 1 / sqrt(mean(x²) + eps)
///   dx = r (g - n mean(g n))
struct Normalise {
  double eps = 1e-5;
  bool centred = true;

  template <class R> struct Moments { R mean, r; };
  TRICYCLE_HD auto moments(auto row, auto x) const {
    using R = decltype(x[Index{}] + x[Index{}]);
    R n = static_cast<R>(row.n), mean = centred ? row.sum([&](auto i) { return x[i]; }) / n : R(0);
    R variance = row.sum([&](auto i) { return (x[i] - mean) * (x[i] - mean); }) / n;
    return Moments<R>{mean, 1 / math::sqrt(variance + R(eps))};
  }
  TRICYCLE_HD static auto normal(auto m, auto x) { return (x - m.mean) * m.r; }
  TRICYCLE_HD void df(auto row, auto m, auto x, auto g, auto dx) const {
    using R = decltype(g(Index{}));
    R n = static_cast<R>(row.n), mean_g = centred ? row.sum([&](auto i) { return g(i); }) / n : R(0);
    R mean_gn = row.sum([&](auto i) { return g(i) * normal(m, x[i]); }) / n;
    row.each([&](auto i) { dx[i] = (g(i) - mean_g - normal(m, x[i]) * mean_gn) * m.r; });
  }
};

namespace detail {

template <class T>
struct NormRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  using M = Normalise::Moments<compute<T>>;
  Normalise op; const T *x, *gamma, *beta; T* y; M* moments;    // beta: null where there is none
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    Row<const T> in{x + at}, stretch{gamma}, shift{beta};
    Row<T> out{y + at};
    auto m = op.moments(row, in);
    row.once([&] { moments[row.index] = m; });
    if (beta) row.each([&](auto i) { out[i] = op.normal(m, in[i]) * stretch[i] + shift[i]; });
    else row.each([&](auto i) { out[i] = op.normal(m, in[i]) * stretch[i]; });
  }
  bool aligned(Index n) const { return rows_are_aligned(x, n) && rows_are_aligned(y, n) && is_aligned(gamma) && is_aligned(beta); }
};
/// Two rows added up into a third, which is then normalised.
template <class T>
struct AddNormRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T *a, *b; T* sum; NormRows<T> norm;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    Row<const T> x{a + at}, y{b + at};
    Row<T> to{sum + at};
    row.each([&](auto i) { to[i] = Add{}.f(x[i], y[i]); });
    norm(row);
  }
  bool aligned(Index n) const { return norm.aligned(n) && rows_are_aligned(a, n) && rows_are_aligned(b, n); }
};
/// A row to be written, where what is written is first added to another row.
template <class T>
struct Onto {
  Gather<T> to;
  Row<const T> base;
  template <class I>
  struct Cell {
    Onto row;
    I i;
    TRICYCLE_HD void operator=(Number<T, I> x) const { row.to[i] = x + row.base[i]; }
  };
  template <class I> TRICYCLE_HD Cell<I> operator[](I i) const { return {*this, i}; }
};
template <class T>
struct NormRowsBack {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Normalise op; const T *x, *gamma, *grad; const Normalise::Moments<compute<T>>* moments; Gather<T> dx; const T* base = nullptr;      // base: null where there is none
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Index at = row.index * row.n;
    Row<const T> in{x + at}, stretch{gamma}, g{grad + at};
    auto stretched = [&](auto i) { return g[i] * stretch[i]; };
    Gather<T> to{dx.at + at, dx.add};
    if (base) op.df(row, moments[row.index], in, stretched, Onto<T>{to, {base + at}});
    else op.df(row, moments[row.index], in, stretched, to);
  }
  bool aligned(Index n) const { return rows_are_aligned(x, n) && rows_are_aligned(grad, n) && rows_are_aligned(dx.at, n) && is_aligned(gamma) && rows_are_aligned(base, n); }
};
/// What a number of grad adds to the gradient of gamma.
template <class T>
struct NormGamma {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Index n; const T *x, *grad; const Normalise::Moments<compute<T>>* moments;
  TRICYCLE_HD auto operator()(Index row, auto i) const {
    return Row<const T>{grad + row * n}[i] * Normalise::normal(moments[row], Row<const T>{x + row * n}[i]);
  }
  TRICYCLE_HD bool aligned() const { return rows_are_aligned(x, n) && rows_are_aligned(grad, n); }
};

/// What a norm has worked out, and what it takes to go back.
template <Floating T>
struct NormCall {
  using M = Normalise::Moments<compute<T>>;
  Normalise op;
  Index count, n;
  Tensor<T> y;
  Tensor<compute<T>> moments;                            // (count, 2)

  NormCall(const char* name, Normalise normalise, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>* beta)
      : op(normalise), count(row_counts(name, x).first), n(x.shape()[-1]), y(x.shape(), x.device()), moments(Shape{count, 2}, x.device()) {
    check_together(name, "x is", x, "gamma", gamma);
    if (beta) check_together(name, "x is", x, "beta", *beta);
    check(gamma.shape() == Shape{n}, name, ": rows of ", x.shape(), " need gamma of shape ", Shape{n}, ", not ", gamma.shape());
    check(!beta || beta->shape() == Shape{n}, name, ": rows of ", x.shape(), " need beta of shape ", Shape{n}, ", not ", beta ? beta->shape() : Shape{});
  }
  NormRows<T> forward(const T* x, const Tensor<T>& gamma, const Tensor<T>* beta) {
    return {op, x, gamma.data(), beta ? beta->data() : nullptr, y.mutable_data(), reinterpret_cast<M*>(moments.mutable_data())};
  }
  NormRowsBack<T> backward(const T* x, const T* gamma, const T* grad, Gather<T> dx, const T* base = nullptr) const {
    return {op, x, gamma, grad, reinterpret_cast<const M*>(moments.data()), dx, base};
  }
  void backward_of_weights(const T* x, const Tensor<T>& grad, Sink<T> dgamma, Sink<T> dbeta) const {
    const NormGamma<T> gamma{n, x, grad.data(), reinterpret_cast<const M*>(moments.data())};
    if (dgamma) kernel::columns<compute<T>>(grad.device(), 1, count, n, gamma, dgamma.gather());
    if (dbeta) unbroadcast(grad, dbeta);
  }
};

template <Floating T>
Tensor<T> norm(const char* name, Normalise op, const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>* beta) {
  NormCall<T> call(name, op, x, gamma, beta);
  kernel::rows(x.device(), call.count, call.n, call.forward(x.data(), gamma, beta));
  auto back = [call, x = Saved<T>(x), gamma = Saved<T>(gamma)](const Tensor<T>& grad, Sink<T> dx, Sink<T> dgamma, Sink<T> dbeta) {
    if (dx) kernel::rows(grad.device(), call.count, call.n, call.backward(x.data(), gamma.data(), grad.data(), dx.gather()));
    call.backward_of_weights(x.data(), grad, dgamma, dbeta);
  };
  if (beta) return record_joint<T, T, T, T>(name, call.y, {x, gamma, *beta}, back);
  return record_joint<T, T, T>(name, call.y, {x, gamma}, [back](const Tensor<T>& grad, Sink<T> dx, Sink<T> dgamma) { back(grad, dx, dgamma, Sink<T>(nullptr)); });
}

template <Floating T>
std::pair<Tensor<T>, Tensor<T>> add_norm(const char* name, Normalise op, const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& gamma, const Tensor<T>* beta) {
  check(a.shape() == b.shape(), name, ": shapes ", a.shape(), " and ", b.shape(), " differ");
  check_together(name, "the left operand is", a, "the right one", b);
  NormCall<T> call(name, op, a, gamma, beta);
  Tensor<T> sum(a.shape(), a.device());
  T* to = sum.mutable_data();
  kernel::rows(a.device(), call.count, call.n, AddNormRows<T>{a.data(), b.data(), to, call.forward(to, gamma, beta)});
  auto back = [call, sum = Saved<T>(sum), gamma = Saved<T>(gamma)](const std::vector<std::optional<Tensor<T>>>& grads, Sink<T> da, Sink<T> db, Sink<T> dgamma, Sink<T> dbeta) {
    const auto& [of_sum, of_y] = std::tie(grads[0], grads[1]);
    auto total = of_sum;
    if (of_y) {
      if (da || db) {
        total.emplace(of_y->shape(), of_y->device());
        Gather<T> both{total->mutable_data(), false};
        kernel::rows(of_y->device(), call.count, call.n, call.backward(sum.data(), gamma.data(), of_y->data(), both, of_sum ? of_sum->data() : nullptr));
      }
      call.backward_of_weights(sum.data(), *of_y, dgamma, dbeta);
    }
    if (total && da) da.take(*total);
    if (total && db) db.take(*total);
  };
  std::vector<Tensor<T>> results{sum, call.y};
  if (beta) results = record_several(name, std::move(results), std::tie(a, b, gamma, *beta), back);
  else results = record_several(name, std::move(results), std::tie(a, b, gamma), [back](auto& grads, Sink<T> da, Sink<T> db, Sink<T> dgamma) { back(grads, da, db, dgamma, Sink<T>(nullptr)); });
  return {results[0], results[1]};
}

}  // namespace detail

/// Every row of x with mean 0 and variance 1, times gamma, plus beta if there is one.   (..., n), (n), (n) -> (..., n)
template <Floating T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& gamma, const Tensor<T>& beta, double eps = 1e-5) { return detail::norm("layer_norm", {eps}, x, gamma, &beta); }
template <Floating T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& gamma, double eps = 1e-5) { return detail::norm<T>("layer_norm", {eps}, x, gamma, nullptr); }

template <Element A, Element B, class... More> requires detail::MustCast<A, B>
Tensor<A> layer_norm(const Tensor<A>& x, const Tensor<B>&, const More&...) { return detail::must_cast<B>(x); }
template <Floating A, Element B> requires detail::MustCast<A, B>
Tensor<A> layer_norm(const Tensor<A>& x, const Tensor<A>&, const Tensor<B>&, double = 0) { return detail::must_cast<B>(x); }

/// Every row of x with 1 as the mean of its squares, times gamma.   (..., n), (n) -> (..., n)
template <Floating T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& gamma, double eps = 1e-5) { return detail::norm<T>("rms_norm", {eps, false}, x, gamma, nullptr); }
template <Element A, Element B> requires detail::MustCast<A, B>
Tensor<A> rms_norm(const Tensor<A>& x, const Tensor<B>&, double = 0) { return detail::must_cast<B>(x); }

/// a + b, and layer_norm of that, read and written once.   (..., n), (..., n), (n), (n) -> (..., n) and (..., n)
template <Floating T>
std::pair<Tensor<T>, Tensor<T>> add_layer_norm(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& gamma, const Tensor<T>& beta, double eps = 1e-5) {
  return detail::add_norm("add_layer_norm", {eps}, a, b, gamma, &beta);
}
template <Floating T>
std::pair<Tensor<T>, Tensor<T>> add_layer_norm(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& gamma, double eps = 1e-5) {
  return detail::add_norm<T>("add_layer_norm", {eps}, a, b, gamma, nullptr);
}
template <Element A, Element B, Element C, class... More> requires (detail::MustCast<A, B> || detail::MustCast<A, C>)
std::pair<Tensor<A>, Tensor<A>> add_layer_norm(const Tensor<A>& a, const Tensor<B>&, const Tensor<C>&, const More&...) { return {detail::must_cast<B>(a), detail::must_cast<C>(a)}; }

/// a + b, and rms_norm of that.   (..., n), (..., n), (n) -> (..., n) and (..., n)
template <Floating T>
std::pair<Tensor<T>, Tensor<T>> add_rms_norm(const Tensor<T>& a, const Tensor<T>& b, const Tensor<T>& gamma, double eps = 1e-5) {
  return detail::add_norm<T>("add_rms_norm", {eps, false}, a, b, gamma, nullptr);
}
template <Element A, Element B, Element C> requires (detail::MustCast<A, B> || detail::MustCast<A, C>)
std::pair<Tensor<A>, Tensor<A>> add_rms_norm(const Tensor<A>& a, const Tensor<B>&, const Tensor<C>&, double = 0) { return {detail::must_cast<B>(a), detail::must_cast<C>(a)}; }

}
}  // namespace tricycle
