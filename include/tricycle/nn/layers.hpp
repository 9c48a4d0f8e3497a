// The layers that everything else is built of.
#pragma once
#include <tuple>
#include "tricycle/nn/initialisers.hpp"
#include "tricycle/nn/layer.hpp"
#include "tricycle/op/dense.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/glu.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/rotary.hpp"

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

/// What LayerNorm and RMSNorm have in common.   (..., n) -> (..., n)
struct Norm : Layer<Norm> {
  Parameter gamma;                                       // (n), 1 at first
  std::optional<Parameter> beta;                         // (n), 0 at first
  double eps = 1e-5;                                     // inside the root
  bool centred;                                          // is it a LayerNorm?

  Norm(Index n, bool is_centred, bool shift) : gamma(ones({n})), centred(is_centred) {
    if (shift) beta.emplace(zeros({n}));
  }
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    if (!centred) return rms_norm(x, gamma.as<T>(), eps);
    return beta ? layer_norm(x, gamma.as<T>(), beta->as<T>(), eps) : layer_norm(x, gamma.as<T>(), eps);
  }
  /// Of the sum, which becomes the stream's x.
  template <Floating T>
  Tensor<T> operator()(Residual<T>& stream) const {
    if (!stream.added) return (*this)(stream.x);
    auto add = [&] {
      if (!centred) return add_rms_norm(stream.x, *stream.added, gamma.as<T>(), eps);
      return beta ? add_layer_norm(stream.x, *stream.added, gamma.as<T>(), beta->as<T>(), eps) : add_layer_norm(stream.x, *stream.added, gamma.as<T>(), eps);
    };
    auto [sum, y] = add();
    stream = {sum};
    return y;
  }
  const char* kind() const { return centred ? "LayerNorm" : "RMSNorm"; }
  static void parts(auto& self, auto&& part) { part("gamma", self.gamma), part("beta", self.beta); }
};

/// Every row with mean 0 and population variance 1, times gamma, plus beta unless told otherwise.   (..., n) -> (..., n)
struct LayerNorm : Norm {
  explicit LayerNorm(Index n, bool shift = true) : Norm(n, true, shift) {}
};

/// Every row with 1 as the mean of its squares, times gamma.   (..., n) -> (..., n)
struct RMSNorm : Norm {
  explicit RMSNorm(Index n) : Norm(n, false, false) {}
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

inline constexpr const char* norm_names = "layer_norm|rms_norm";

/// The norm of that name; a LayerNorm with a beta or without. Throws for a name that is none.
inline Norm named_norm(const std::string& name, Index n, bool shift) {
  check_one_of("norm", name, norm_names);
  if (name == "rms_norm") return RMSNorm(n);
  return LayerNorm(n, shift);
}

/// Turns what each head has of each token by where the token stands: what attention's queries and keys are, instead of a vector for
/// each position that is learnt.   (batch, tokens, n_heads, head_size) -> the same, head_size = embedding_dim / n_heads
struct RotaryEncode : Layer<RotaryEncode> {
  Index head_size, context_window;
  double theta;

  RotaryEncode(Index embedding_dim, Index n_heads, Index context, double base = 1e4) : head_size(n_heads > 0 ? embedding_dim / n_heads : 0), context_window(context), theta(base) {
    check(n_heads > 0 && embedding_dim % (2 * n_heads) == 0, "rotary: ", embedding_dim, " dimensions do not divide into pairs for ", n_heads, " heads");
  }
  /// The first token stands at `from`; of the heads the first `heads` are turned, without that all. Throws beyond the context.
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x, Index from = 0, std::optional<Index> heads = std::nullopt) const {
    check(x.rank() == 4 && x.shape()[3] == head_size && from + x.shape()[1] <= context_window, "rotary: ", x.shape(), " is not (batch, tokens, heads, ", head_size,
          ") of at most ", context_window, " tokens from ", from, " on");
    return rotary_encode(x, {.theta = theta, .from = from, .heads = heads});
  }
};

/// A gated linear unit: half of the numbers of x W, as Gate, an op of numbers, has it, decide how much of the others passes.
///   left gate(right), where left and right are the halves of x W   (..., from) -> (..., to)
template <class Derived, class Gate>
struct GatedLinear : Layer<Derived> {
  Dense linear;                                          // (from, 2 to)

  explicit GatedLinear(Index n) : GatedLinear(n, n) {}
  GatedLinear(Index from, Index to, const DenseOptions& options = {}) : linear(from, 2 * to, options) {}
  template <Floating T> Tensor<T> operator()(const Tensor<T>& x) const { return Gated<Gate>()(linear(x)); }
  static void parts(auto& self, auto&& part) { part("linear", self.linear); }
};
struct GLU : GatedLinear<GLU, Sigmoid> { using GatedLinear::GatedLinear; };
struct SwiGLU : GatedLinear<SwiGLU, Swish> { using GatedLinear::GatedLinear; };

/// One layer after the other: Sequential model{Dense(4, 16), ReLU(), Dense(16, 3)}. In braces C++ makes them from left to
/// right, so their weights are drawn in that order; in parentheses the order is the compiler's choice.
template <class... Layers>
struct Sequential : Layer<Sequential<Layers...>> {
  std::tuple<Layers...> layers;

  explicit Sequential(Layers... l) : layers(std::move(l)...) {}
  template <Element T>
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
