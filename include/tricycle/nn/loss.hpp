// Losses: functions of what is true and what was predicted.
#pragma once
#include "tricycle/op/lookup.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The mean surprise at the truth: -ln(softmax(predicted)[label]), over all positions.   (...), (..., classes) -> ()
struct CrossEntropy {
  template <std::integral Id, Floating T>
  Tensor<compute<T>> operator()(const Tensor<Id>& y_true, const Tensor<T>& y_pred) const { return cross_entropy(y_true, y_pred); }
};

}
}  // namespace tricycle
