// The layers that everything else is built of.
#pragma once
#include <tuple>
#include "tricycle/nn/initialisers.hpp"
#include "tricycle/nn/layer.hpp"
#include "tricycle/op/dense.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/norm.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

struct DenseOptions {
  bool bias = false;
  Initialiser initialiser = xavier;
};

/// y = x W, plus a bias (0 at first) by option.   (..., from) -> (..., to)
struct Dense : Layer<Dense> {
  Parameter weights;                                     // (from, to)
  std::optional<Parameter> bias;                         // (to)

  Dense(Index from, Index to, const DenseOptions& options = {}) : weights(options.initialiser({from, to})) {
    if (options.bias) bias.emplace(zeros({to}));
  }
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    if (!bias) return dense(x, weights.as<T>());
    auto shift = bias->as<T>();
    return dense(x, weights.as<T>(), &shift);
  }
  static void parts(auto& self, auto&& part) { part("weights", self.weights), part("bias", self.bias); }
};

/// What flows past a transformer's layers: x, and what the last of them has yet to add to it.
template <Floating T>
struct Residual {
  Tensor<T> x;
  std::optional<Tensor<T>> added{};
};

/// Every row with mean 0 and population variance 1, times gamma, plus beta unless told otherwise.   (..., n) -> (..., n)
struct LayerNorm : Layer<LayerNorm> {
  Parameter gamma;                                       // (n), 1 at first
  std::optional<Parameter> beta;                         // (n), 0 at first
  double eps = 1e-5;                                     // inside the root

  explicit LayerNorm(Index n, bool shift = true) : gamma(ones({n})) {
    if (shift) beta.emplace(zeros({n}));
  }
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    return beta ? layer_norm(x, gamma.as<T>(), beta->as<T>(), eps) : layer_norm(x, gamma.as<T>(), eps);
  }
  /// Of the sum, which becomes the stream's x.
  template <Floating T>
  Tensor<T> operator()(Residual<T>& stream) const {
    if (!stream.added) return (*this)(stream.x);
    auto [sum, y] = beta ? add_layer_norm(stream.x, *stream.added, gamma.as<T>(), beta->as<T>(), eps) : add_layer_norm(stream.x, *stream.added, gamma.as<T>(), eps);
    stream = {sum};
    return y;
  }
  static void parts(auto& self, auto&& part) { part("gamma", self.gamma), part("beta", self.beta); }
};

/// While training, each number is 0 with the given probability and the others grow to make up for it.
struct Dropout : Layer<Dropout> {
  float probability;
  bool training = true;

  explicit Dropout(float p) : probability(p) { check(p >= 0 && p < 1, "dropout: a probability of ", p); }
  template <Floating T> Tensor<T> operator()(const Tensor<T>& x) const { return training ? dropout(x, probability) : x; }
};

/// A vector for each id. Throws for ids outside the vocabulary.   (...) -> (..., n)
struct Embedding : Layer<Embedding> {
  Parameter weights;                                     // (vocabulary, n)

  Embedding(Index vocabulary, Index n, const Initialiser& initialiser = xavier) : weights(initialiser({vocabulary, n})) {}
  template <Floating T = float, std::integral Id>
  Tensor<T> operator()(const Tensor<Id>& ids) const { return embed(ids, weights.as<T>()); }
  static void parts(auto& self, auto&& part) { part("weights", self.weights); }
};

/// One layer after the other: Sequential model{Dense(4, 16), ReLU(), Dense(16, 3)}. In braces C++ makes them from left to
/// right, so their weights are drawn in that order; in parentheses the order is the compiler's choice.
template <class... Layers>
struct Sequential : Layer<Sequential<Layers...>> {
  std::tuple<Layers...> layers;

  explicit Sequential(Layers... l) : layers(std::move(l)...) {}
  template <Floating T>
  auto operator()(const Tensor<T>& x) const { return from<0>(x); }
  static void parts(auto& self, auto&& part) {
    [&]<std::size_t... i>(std::index_sequence<i...>) { (part(std::to_string(i), std::get<i>(self.layers)), ...); }(std::index_sequence_for<Layers...>{});
  }

 private:
  template <std::size_t i, class X>
  auto from(const X& x) const {
    if constexpr (i == sizeof...(Layers)) return x;
    else return from<i + 1>(std::get<i>(layers)(x));
  }
};

}
}  // namespace tricycle
