// Losses: functions of what is true and what was predicted.
#pragma once
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/loss.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The mean surprise at the truth: -ln(softmax(predicted)[label]), over all positions whose label is not `ignore_index`.
///   (...), (..., classes) -> ()
struct CrossEntropy {
  std::optional<Index> ignore_index{};                   // a label that stands for no truth, as padding does
  template <Element L, Element T>
  Tensor<compute<T>> operator()(const Tensor<L>& y_true, const Tensor<T>& y_pred) const {
    static_assert(std::integral<L> && Floating<T>, "cross-entropy takes integers and then floating numbers: loss(labels, logits)");
    return cross_entropy(y_true, y_pred, ignore_index);
  }
};

/// The sum of (true - predicted)² divided by the last axis' extent, or the mean of all.   (..., n), (..., n) -> ()
struct MeanSquaredError {
  bool mean = false;
  template <Element L, Floating T>
  Tensor<compute<T>> operator()(const Tensor<L>& y_true, const Tensor<T>& y_pred) const { return mean_squared_error(y_true, y_pred, mean); }
};

/// The mean surprise at yes (1) or no (0), of any integer type, bool, or numbers between them; predicted are logits, or
/// probabilities by option.   (...), (...) -> ()
struct BinaryCrossEntropy {
  bool from_logits = true;
  template <Element L, Floating T>
  Tensor<compute<T>> operator()(const Tensor<L>& y_true, const Tensor<T>& y_pred) const { return binary_cross_entropy(y_true, y_pred, from_logits); }
};

}
}  // namespace tricycle
