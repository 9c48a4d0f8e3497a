// Losses that compare number with number: squared errors, and the surprise at a yes or no.
#pragma once
#include "tricycle/op/elementwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// The surprise at a truth t, of 0 or 1 or between them, when 1 was said to have the probability 1 / (1 + e^-x).
///   y = -t ln p - (1 - t) ln(1 - p) = (x > 0 ? 1 - t : -t) x + ln(1 + e^-|x|)
///   dt = -x   dx = p - t
struct SurpriseAtLogit {
  static constexpr auto name = "binary_cross_entropy";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R t, R x) const {
    R z = math::exp(-math::abs(x)), w = R(1) + z;        // what w has lost of a small z, the factor gives back (Goldberg, 1991, theorem 4)
    return math::select(x > R(0), R(1) - t, -t) * x + math::select(w == R(1), z, math::log(w) * (z / (w - R(1))));
  }
  template <class R> TRICYCLE_HD R da(R, R x) const { return -x; }
  template <class R> TRICYCLE_HD R db(R t, R x) const { return math::sigmoid(x) - t; }
};

/// The same when 1 was said to have the probability p. No logarithm is below -100, so that p = 0 and p = 1 are no catastrophe.
///   y = -t ln p - (1 - t) ln(1 - p)   dt = ln(1 - p) - ln p   dp = (p - t) / (p (1 - p))
struct SurpriseAtProbability {
  static constexpr auto name = "binary_cross_entropy";
  static constexpr auto saves = Saves::x;
  template <class R> TRICYCLE_HD R f(R t, R p) const { return R(0) - t * log(p) - (R(1) - t) * log(R(1) - p); }
  template <class R> TRICYCLE_HD R da(R, R p) const { return log(R(1) - p) - log(p); }
  template <class R> TRICYCLE_HD R db(R t, R p) const { return (p - t) / math::max(p * (R(1) - p), R(1e-12)); }

 private:
  template <class R> TRICYCLE_HD static R log(R x) { return math::max(math::log(x), R(-100)); }
};

template <Element L, Floating T>
void check_pairs(const char* op, const Tensor<L>& truth, const Tensor<T>& predicted) {
  check(truth.shape() == predicted.shape(), op, ": the truth has shape ", truth.shape(), ", but what was predicted ", predicted.shape());
  check_together(op, "the truth is", truth, "what was predicted", predicted);
}

}  // namespace detail

/// (truth - predicted)², added up and divided by the extent of the last axis; or, if `mean`, by how many there are.
///   (..., n), (..., n) -> ()
///   dpredicted = 2 (predicted - truth) grad / n
template <Element L, Floating T>
Tensor<compute<T>> mean_squared_error(const Tensor<L>& truth, const Tensor<T>& predicted, bool mean = false) {
  detail::check_pairs("mean_squared_error", truth, predicted);
  const Shape& shape = predicted.shape();
  return sum(pow(cast<compute<T>>(truth) - cast<compute<T>>(predicted), 2)) / static_cast<double>(mean ? shape.size() : shape.rank() ? shape[-1] : 1);
}

/// The mean surprise at truths, 0 or 1 or between them, where `predicted` are logits, x for a probability of 1 / (1 + e^-x), or, if
/// told so, the probabilities themselves: logits lose no digits.   (...), (...) -> ()
///   dlogits = (1 / (1 + e^-x) - truth) grad / positions
template <Element L, Floating T>
Tensor<compute<T>> binary_cross_entropy(const Tensor<L>& truth, const Tensor<T>& predicted, bool from_logits = true) {
  detail::check_pairs("binary_cross_entropy", truth, predicted);
  const auto t = cast<compute<T>>(truth), x = cast<compute<T>>(predicted);
  return mean(from_logits ? detail::binary(detail::SurpriseAtLogit{}, t, x) : detail::binary(detail::SurpriseAtProbability{}, t, x));
}

}
}  // namespace tricycle
