// What a transformer is built of: attention, a small network, and the block that joins them.
#pragma once
#include <variant>
#include "tricycle/nn/layers.hpp"
#include "tricycle/op/attention.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The keys and values that one attention layer has seen, so that a new token need not compute them again. Time is the
/// outermost axis: what has been filled is the front of the storage, and is read without a copy.
template <Floating T>
class KeyValueCache {
 public:
  /// Room for `context` tokens of a batch of sequences.
  KeyValueCache(Index context, Index batch, Index n_heads, Index head_size, Device device = Device::cpu)
      : keys_(Shape{context, batch, n_heads, head_size}, device), values_(keys_.shape(), device) {}

  /// Append keys and values (batch, tokens, heads, size). Throws when the context is full, and for another batch, other heads or
  /// another device than the cache was made for.
  void append(const Tensor<T>& keys, const Tensor<T>& values) {
    const Shape& room = keys_.shape();                   // (context, batch, heads, size)
    const bool fits = keys.rank() == 4 && keys.shape() == Shape{room[1], keys.shape()[1], room[2], room[3]};
    check(fits && values.shape() == keys.shape(), "cache: keys of shape ", keys.shape(), " and values of shape ", values.shape(), " do not fit into one of (context, batch, heads, size) ", room);
    check_together("cache", "it is", keys_, "keys are", keys);
    check_together("cache", "it is", keys_, "values are", values);
    const Index tokens = keys.shape()[1];
    check(length_ + tokens <= room[0], "cache: ", tokens, " tokens more than the ", length_, " seen exceed the context of ", room[0]);
    for (auto [from, to] : {std::pair{&keys, &keys_}, std::pair{&values, &values_}})
      detail::permute_into(*from, {1, 0, 2, 3}, Gather<T>{to->mutable_data() + length_ * to->shape().product(1, 4), false});
    length_ += tokens;
  }
  Tensor<T> keys() const { return keys_.view(keys_.shape().with(0, length_)); }       // (time, batch, heads, size)
  Tensor<T> values() const { return values_.view(values_.shape().with(0, length_)); }
  Index length() const { return length_; }

 private:
  Owned<T> keys_, values_;                               // of a copy, too: two ways in which one text may go on
  Index length_ = 0;
};

struct AttentionConfig {
  Index embedding_dim, n_heads, context_window;
  float attention_dropout = 0, residual_dropout = 0;
  bool bias = false;
  Initialiser initialiser = xavier, residual_initialiser = xavier;
  bool rotary = false;                                   // are queries and keys turned by where their tokens stand?
};

/// Every token looks at itself and at those before it, in n_heads ways at once (Vaswani et al., arXiv:1706.03762).
///   softmax(q kᵀ / √head_size) v, for each head   (batch, tokens, embedding_dim) -> (batch, tokens, embedding_dim)
struct MultiHeadSelfAttention : Layer<MultiHeadSelfAttention> {
  Index n_heads, context_window;
  Dense in, out;                                         // (n, 3 n): queries, keys, values; (n, n)
  Dropout attention_dropout, residual_dropout;
  std::optional<RotaryEncode> rotary;

  explicit MultiHeadSelfAttention(const AttentionConfig& c)
      : n_heads(c.n_heads), context_window(c.context_window),
        in(c.embedding_dim, 3 * c.embedding_dim, {c.bias, c.initialiser}), out(c.embedding_dim, c.embedding_dim, {c.bias, c.residual_initialiser}),
        attention_dropout(c.attention_dropout), residual_dropout(c.residual_dropout) {
    check(n_heads > 0 && c.embedding_dim % n_heads == 0, "attention: ", c.embedding_dim, " dimensions do not divide into ", n_heads, " heads");
    if (c.rotary) rotary.emplace(c.embedding_dim, n_heads, context_window);
  }

  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x, KeyValueCache<T>* cache = nullptr) const {
    check(x.rank() == 3 && x.shape()[1] <= context_window, "attention: ", x.shape(), " is not (batch, tokens, embedding_dim) of at most ", context_window, " tokens");
    Index b = x.shape()[0], t = x.shape()[1], n = x.shape()[2], h = n / n_heads;
    auto qkv = in(x);                                                               // (b, t, 3 n)
    if (rotary) qkv = (*rotary)(qkv.reshape({b, t, 3 * n_heads, h}), cache ? cache->length() : 0, 2 * n_heads).reshape(qkv.shape());
    const float p = attention_dropout.training ? attention_dropout.probability : 0;
    if (!cache) return residual_dropout(out(attention(qkv, n_heads, {.dropout = p})));
    check(!recording() || !qkv.requires_grad(), "attention: gradients do not reach into a cache: generate under NoGrad");
    auto parts = split(qkv, 3);                                                     // 3 times (b, t, n)
    for (auto& part : parts) part = part.reshape({b, t, n_heads, h});
    cache->append(parts[1], parts[2]);
    return residual_dropout(out(attention(parts[0], cache->keys(), cache->values(), {.dropout = p, .time_first = true}).reshape(x.shape())));
  }
  static void parts(auto& self, auto&& part) {
    part("in", self.in), part("out", self.out), part("attention_dropout", self.attention_dropout), part("residual_dropout", self.residual_dropout);
    part("rotary", self.rotary);
  }
};

/// What stands between the two layers of a small network. A gated one halves what it gets.
using Activation = std::variant<GeLU, ExactGeLU, ReLU, Swish, Sigmoid, Tanh, Gated<Sigmoid>, Gated<Swish>>;

inline const Named<Activation>& named_activations() {
  static const Named<Activation> all{{"gelu", GeLU{}}, {"gelu_exact", ExactGeLU{}}, {"relu", ReLU{}}, {"swish", Swish{}}, {"sigmoid", Sigmoid{}}, {"tanh", Tanh{}},
                                     {"glu", Gated<Sigmoid>{}}, {"swiglu", Gated<Swish>{}}};
  return all;
}
inline Activation named_activation(const std::string& name) { return find_named("activation", name, named_activations()); }
inline std::string activation_names() { return names_of(named_activations()); }

inline bool is_gated(const Activation& activation) { return std::holds_alternative<Gated<Sigmoid>>(activation) || std::holds_alternative<Gated<Swish>>(activation); }

struct FeedForwardConfig {
  Index embedding_dim, hidden_dim;
  float dropout = 0;
  bool bias = false;
  Initialiser initialiser = xavier, residual_initialiser = xavier;
  Activation activation = GeLU{};
};

/// Two layers with an activation between them; a gated one makes the first of them a GLU.   (..., n) -> (..., n)
struct FeedForward : Layer<FeedForward> {
  Dense in, out;                                         // (n, hidden_dim, twice that if gated), (hidden_dim, n)
  Dropout dropout;
  Activation activation;

  explicit FeedForward(const FeedForwardConfig& c)
      : in(c.embedding_dim, (is_gated(c.activation) ? 2 : 1) * c.hidden_dim, {c.bias, c.initialiser}), out(c.hidden_dim, c.embedding_dim, {c.bias, c.residual_initialiser}),
        dropout(c.dropout), activation(c.activation) {}
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    if (!std::holds_alternative<GeLU>(activation)) return dropout(out(std::visit([&](auto& f) { return f(in(x)); }, activation)));
    if (!in.bias) return dropout(mlp<T>(x, in.weights.as<T>(), nullptr, out.weights.as<T>(), nullptr));
    auto b_1 = in.bias->as<T>(), b_2 = out.bias->as<T>();
    return dropout(mlp(x, in.weights.as<T>(), &b_1, out.weights.as<T>(), &b_2));
  }
  static void parts(auto& self, auto&& part) { part("in", self.in), part("out", self.out), part("dropout", self.dropout); }
};

struct MLPConfig {
  Index embedding_dim, expansion = 4;
  float dropout = 0;
  bool bias = false;
  Initialiser initialiser = xavier, residual_initialiser = xavier;
  Activation activation = GeLU{};
};

/// A transformer's small network, `expansion` times as wide inside.   (..., n) -> (..., n)
struct MLPBlock : FeedForward {
  explicit MLPBlock(const MLPConfig& c)
      : FeedForward({c.embedding_dim, c.expansion * c.embedding_dim, c.dropout, c.bias, c.initialiser, c.residual_initialiser, c.activation}) {}
};

/// GPT-2's block: attention and a small network, each behind a norm and beside a way around (Radford et al., 2019).
/// `norm`: layer_norm, or rms_norm, which has no beta.
struct GPT2TransformerBlock : Layer<GPT2TransformerBlock> {
  Norm norm_1, norm_2;
  MultiHeadSelfAttention attention;
  MLPBlock mlp;

  GPT2TransformerBlock(const AttentionConfig& a, const MLPConfig& m, const std::string& norm = "layer_norm")
      : norm_1(named_norm(norm, a.embedding_dim, a.bias)), norm_2(named_norm(norm, a.embedding_dim, a.bias)), attention(a), mlp(m) {}
  template <Floating T>
  void operator()(Residual<T>& stream, KeyValueCache<T>* cache = nullptr) const {
    stream.added = attention(norm_1(stream), cache);
    stream.added = mlp(norm_2(stream));
  }
  template <Floating T>
  Tensor<T> operator()(const Tensor<T>& x) const {
    Residual<T> stream{x};
    (*this)(stream);
    return stream.x + *stream.added;
  }
  static void parts(auto& self, auto&& part) {
    part("norm_1", self.norm_1), part("attention", self.attention), part("norm_2", self.norm_2), part("mlp", self.mlp);
  }
};

}
}  // namespace tricycle
