// Gated linear units: one half of each row decides how much of the other passes.
#pragma once
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/rowwise.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// y_i = x_i gate(x_n+i), of rows of 2 n.
template <class Gate, class T>
struct GateRows {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T* x; T* y;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Row<const T> left{x + 2 * row.index * row.n}, right{left.at + row.n};
    Row<T> to{y + row.index * row.n};
    row.each([&](auto i) { to[i] = left[i] * Gate{}.f(right[i]); });
  }
};
template <class Gate, class T>
struct GateRowsBack {
  static constexpr bool wide = std::same_as<compute<T>, float>;
  const T *x, *grad; Gather<T> dx;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    const Index at = 2 * row.index * row.n;
    Row<const T> left{x + at}, right{left.at + row.n}, g{grad + row.index * row.n};
    Gather<T> dleft{dx.at + at, dx.add}, dright{dleft.at + row.n, dx.add};
    row.each([&](auto i) {
      auto gate = Gate{}.f(right[i]);
      dleft[i] = g[i] * gate;
      dright[i] = g[i] * left[i] * Gate{}.df(Gate::saves == Saves::x ? right[i] : gate);
    });
  }
};

}  // namespace detail

/// The left half of each row times Gate, an op of numbers, of the right.   (..., 2 n) -> (..., n)
///   dleft = grad gate(right)   dright = grad left gate'(right)
template <class Gate>
struct Gated {
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    auto [count, width] = detail::row_counts("gated", x);
    check(width % 2 == 0, "gated: rows of ", x.shape(), " do not divide into two halves");
    const Index n = width / 2;
    Tensor<T> y(x.shape().with(-1, n), x.device());
    kernel::rows(x.device(), count, n, detail::GateRows<Gate, T>{x.data(), y.mutable_data()});
    return record(std::string("gated ") + Gate::name, y, {{x, [count = count, n, x = Saved<T>(x)](const Tensor<T>& grad, Sink<T> dx) {
      kernel::rows(grad.device(), count, n, detail::GateRowsBack<Gate, T>{x.data(), grad.data(), dx.gather()});
    }}});
  }
};

/// Gated by a sigmoid (Dauphin et al., arXiv:1612.08083), or by Swish (Shazeer, arXiv:2002.05202).   (..., 2 n) -> (..., n)
template <Floating T> Tensor<T> glu(const Tensor<T>& x) { return Gated<Sigmoid>()(x); }
template <Floating T> Tensor<T> swiglu(const Tensor<T>& x) { return Gated<Swish>()(x); }

}
}  // namespace tricycle
