// Rotary positions: pairs of numbers, turned by an angle that grows with where their token stands.
#pragma once
#include "tricycle/kernel/rows.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

struct RotaryOptions {
  double theta = 1e4;
  Index from = 0;                                        // where the first token stands
  std::optional<Index> heads = std::nullopt;             // so many of the first heads are turned, the others left; without it all
};

namespace detail {

/// For each token the cosines of its angles, each twice, then their sines, each twice: negative, and as it is. In double, since
/// angles grow with the position.
template <class R>
struct RotaryAngles {
  Index n, from; double theta; R* to;
  TRICYCLE_HD void operator()(Index pair) const {
    const Index token = pair / (n / 2), i = 2 * (pair - token * (n / 2));
    const double angle = static_cast<double>(from + token) * math::pow(theta, -static_cast<double>(i) / static_cast<double>(n));
    R *cosines = to + token * 2 * n + i, *sines = cosines + n;
    cosines[0] = cosines[1] = static_cast<R>(math::cos(angle));
    sines[1] = static_cast<R>(math::sin(angle));
    sines[0] = -sines[1];
  }
};

/// The other number of each pair.
template <class T> TRICYCLE_HD auto partner(Row<const T> x, Index i) { return x[i ^ 1]; }
template <class T, class I> TRICYCLE_HD Pack partner(Row<const T> x, I i) { return swap_neighbours(x[i]); }

/// A row is what one head has of one token. sign: -1 turns it back.
template <class T>
struct RotateRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  Index tokens, heads, turned; const compute<T>* angles; compute<T> sign; const T* x; Gather<T> y;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    const Index outer = row.index / heads, at = row.index * row.n;
    Row<const T> from{x + at};
    Gather<T> to{y.at + at, y.add};
    if (row.index - outer * heads >= turned) return row.each([&](auto i) { to[i] = from[i]; });
    const compute<T>* of_token = angles + outer % tokens * 2 * row.n;
    Row<const compute<T>> cosine{of_token}, sine{of_token + row.n};
    row.each([&](auto i) { to[i] = from[i] * cosine[i] + partner(from, i) * (sine[i] * Number<T, decltype(i)>(sign)); });
  }
};

}  // namespace detail

/// Numbers 2 i and 2 i + 1 of every head, as a point in the plane, turned by p theta^(-2 i / head_size), where p is where the token
/// stands: what attention then makes of queries and keys depends on how far they stand apart (Su et al., arXiv:2104.09864).
///   y_2i = x_2i cos a - x_2i+1 sin a,  y_2i+1 = x_2i+1 cos a + x_2i sin a     (batch, tokens, heads, head_size) -> the same
///   dx   = grad, turned by -a
/// Throws for an odd head_size.
template <Floating T>
Tensor<T> rotary_encode(const Tensor<T>& x, const RotaryOptions& options = {}) {
  using R = compute<T>;
  const Shape& shape = x.shape();
  check(x.rank() == 4, "rotary_encode: shape ", shape, " is not (batch, tokens, heads, head_size)");
  const Index tokens = shape[1], heads = shape[2], n = shape[3], turned = options.heads.value_or(heads);
  check(n % 2 == 0, "rotary_encode: heads of ", n, " numbers, in ", shape, ", do not divide into pairs");
  check(turned >= 0 && turned <= heads, "rotary_encode: ", turned, " heads to turn of the ", heads, " in ", shape);
  check(options.theta > 0 && options.from >= 0, "rotary_encode: theta ", options.theta, " and the position ", options.from, " must be above 0, and at least 0");
  Tensor<R> angles(Shape{tokens, 2, n}, x.device());
  kernel::each(x.device(), tokens * n / 2, detail::RotaryAngles<R>{n, options.from, options.theta, angles.mutable_data()});
  auto turn = [=](const Tensor<T>& from, R sign, Gather<T> to) {
    kernel::rows(from.device(), shape.product(0, 3), n, detail::RotateRows<T>{tokens, heads, turned, angles.data(), sign, from.data(), to});
  };
  Tensor<T> y(shape, x.device());
  turn(x, 1, {y.mutable_data(), false});
  return record("rotary_encode", y, {{x, [turn](const Tensor<T>& grad, Sink<T> dx) { turn(grad, -1, dx.gather()); }}});
}

}
}  // namespace tricycle
