// Dropout: the one op that is random.
#pragma once
#include "tricycle/kernel/feed.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/op/apply.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Whether a number is dropped depends on a key and on where it stands, so the way back needs no mask: it drops again.
template <class T>
struct Drop {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  kernel::Fed<std::uint64_t> key; float probability; Row<const T> x; Gather<T> y;
  template <class I> TRICYCLE_HD void operator()(I i) const {
    using R = Number<T, I>;
    auto dropped = kernel::uniform_at(key.get(), i) < Number<float, I>(probability);
    y[i] = math::select(dropped, R(0), x[i] * R(1 / (1 - compute<T>(probability))));
  }
};

}  // namespace detail

/// Each number is 0 with the given probability, and else divided by what is left of 1, so that the mean stays. The draw
/// comes from the generator that seed() seeds. Throws unless 0 <= probability < 1. (Srivastava et al., 2014)
template <Floating T>
Tensor<T> dropout(const Tensor<T>& x, float probability) {
  check(probability >= 0 && probability < 1, "dropout: a probability of ", probability);
  if (probability == 0) return x;
  auto drop = [key = kernel::feed(x.device(), [] { return random_bits(); }), probability](const Tensor<T>& from, Gather<T> to) {
    kernel::each(from.device(), from.size(), detail::Drop<T>{key, probability, {from.data()}, to});
  };
  Tensor<T> y(x.shape(), x.device());
  drop(x, {y.mutable_data(), false});
  return record("dropout", y, {{x, [drop](const Tensor<T>& grad, Sink<T> dx) { drop(grad, dx.gather()); }}});
}

}
}  // namespace tricycle
