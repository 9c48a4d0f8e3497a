// Operands that one op cannot take together: they do not compile, and are told what to do about it.
#pragma once
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Of different types, or of one that has no arithmetic.
template <class A, class B> concept MustCast = !(std::same_as<A, B> && Floating<A>);
template <class B, class A>
Tensor<A> must_cast(const Tensor<A>& a) {
  static_assert(!MustCast<A, B>, "an op takes floating numbers of one type: cast an operand, as in x + cast<float>(y)");
  return a;
}

/// Of different types, where any one would do.
template <class A, class B> concept Differ = !std::same_as<A, B>;
template <class B, class A>
Tensor<bool> must_cast_to_compare(const Tensor<A>& a) {
  static_assert(!Differ<A, B>, "numbers of different types are not compared: cast an operand, as in x < cast<float>(y)");
  return Tensor<bool>(a.shape());
}
template <class B, class A>
Tensor<A> must_cast_to_join(const Tensor<A>& a) {
  static_assert(!Differ<A, B>, "numbers of different types do not come into one tensor: cast an operand, as in concatenate(x, cast<float>(y))");
  return a;
}

}  // namespace detail
}
}  // namespace tricycle
