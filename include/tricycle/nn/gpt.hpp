// GPT-2, the whole of it.
#pragma once
#include "tricycle/nn/blocks.hpp"
#include "tricycle/nn/loss.hpp"
#include "tricycle/op/classify.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What a GPT is made of. `tied`: the head is the token embedding, read the other way round.
struct GPTConfig {
  Index vocab_size = 65, context_window = 64, embedding_dim = 128, n_heads = 4, n_layers = 4;
  float dropout = 0;
  bool tied = true, bias = false;
  std::string activation = "gelu";                       // one of activation_names()
  std::string norm = "layer_norm";                       // one of norm_names
  std::string positions = "learned";                     // one of position_names
};

inline constexpr const char* position_names = "learned|rotary";

/// Throws when the names in a configuration are none.
inline void check_names(const GPTConfig& c) {
  check_one_of("activation", c.activation, activation_names());
  check_one_of("norm", c.norm, norm_names);
  check_one_of("positions", c.positions, position_names);
}

/// A language model: for every token, how likely each token of the vocabulary is to come next. Activations are held as T
/// (float, double, bf16 or half), parameters and their gradients in full precision.
///   ids (batch, tokens) -> logits (batch, tokens, vocab_size)
/// Weights begin as GPT-2's: normal with a deviation of 0.02, those that write into the residual stream / √(2 n_layers).
template <Floating T = float>
struct GPT : Layer<GPT<T>> {
  GPTConfig config;
  Embedding token_embedding;                             // (vocab_size, n)
  std::optional<Embedding> position_embedding;           // (context_window, n), unless positions are rotary
  Dropout dropout;
  std::vector<GPT2TransformerBlock> blocks;
  Norm norm;
  std::optional<Dense> head;                             // (n, vocab_size), unless tied

  explicit GPT(const GPTConfig& c) : GPT(c, normal_initialiser(0.02), residual_initialiser(0.02, c.n_layers)) {}
  /// With weights that begin otherwise: `residual` for those that write into the residual stream.
  GPT(const GPTConfig& c, const Initialiser& usual, const Initialiser& residual)
      : config(c), token_embedding(c.vocab_size, c.embedding_dim, usual), dropout(c.dropout), norm(named_norm(c.norm, c.embedding_dim, c.bias)) {
    check(c.vocab_size > 0 && c.context_window > 0 && c.embedding_dim > 0 && c.n_layers > 0, "gpt: vocabulary ", c.vocab_size, ", context ", c.context_window,
          ", width ", c.embedding_dim, " and layers ", c.n_layers, " must be above 0");
    check_names(c);
    const bool rotary = c.positions == "rotary";
    if (!rotary) position_embedding.emplace(c.context_window, c.embedding_dim, usual);
    for (Index i = 0; i < c.n_layers; ++i)
      blocks.emplace_back(AttentionConfig{c.embedding_dim, c.n_heads, c.context_window, c.dropout, c.dropout, c.bias, usual, residual, rotary},
                          MLPConfig{c.embedding_dim, 4, c.dropout, c.bias, usual, residual, named_activation(c.activation)}, c.norm);
    if (!c.tied) head.emplace(c.embedding_dim, c.vocab_size, DenseOptions{c.bias, usual});
  }

  /// What attention has seen so far, for generating token by token.
  using Cache = std::vector<KeyValueCache<T>>;
  Cache cache(Index batch = 1) const {
    Cache layers;
    for (std::size_t i = 0; i < blocks.size(); ++i)
      layers.emplace_back(config.context_window, batch, config.n_heads, config.embedding_dim / config.n_heads, device());
    return layers;
  }

  /// With a cache, `ids` follow those that it has seen. Throws for ids outside the vocabulary, too many tokens, and a cache that
  /// does not fit the model or the batch.
  Tensor<T> operator()(const Tensor<int>& ids, Cache* cache = nullptr) const {
    auto x = hidden(ids, cache);
    return head ? (*head)(x) : einsum<"...i,oi->...o">(x, token_embedding.weights.as<T>());
  }

  /// The mean surprise at the targets, which are the inputs one token on, but for those that are `ignore_index`, as padding may be.
  /// Logits are not held as a whole.   (batch, tokens) twice -> ()
  Tensor<compute<T>> loss(const Tensor<int>& inputs, const Tensor<int>& targets, std::optional<Index> ignore_index = std::nullopt) const {
    const auto x = hidden(inputs);
    if (!head) return classify(targets, x, token_embedding.weights.template as<T>(), true, ignore_index);
    std::optional<Tensor<T>> bias;
    if (head->bias) bias = head->bias->template as<T>();
    return classify(targets, x, head->weights.template as<T>(), false, ignore_index, bias ? &*bias : nullptr);
  }

  /// What the head sees of each token.   (batch, tokens) -> (batch, tokens, n)
  Tensor<T> hidden(const Tensor<int>& ids, Cache* cache = nullptr) const {
    check(ids.rank() == 2, "gpt: ids of shape ", ids.shape(), " are not (batch, tokens)");
    if (cache) check(cache->size() == blocks.size(), "gpt: a cache of ", cache->size(), " layers for a model of ", blocks.size());
    Index seen = cache ? cache->front().length() : 0, t = ids.shape()[1];
    check(seen + t <= config.context_window, "gpt: ", seen + t, " tokens exceed the context of ", config.context_window);
    using R = compute<T>;                                // the sum of embeddings is made before it is rounded
    auto x = token_embedding.operator()<R>(ids);
    if (position_embedding) x += position_embedding->operator()<R>(arange<int>(static_cast<double>(seen), static_cast<double>(seen + t), 1, {.device = ids.device()}));
    Residual<T> stream{dropout(cast<T>(x))};
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i](stream, cache ? &(*cache)[i] : nullptr);
    return norm(stream);
  }

  Device device() const { return token_embedding.weights.device(); }

  static void parts(auto& self, auto&& part) {
    part("token_embedding", self.token_embedding), part("position_embedding", self.position_embedding), part("dropout", self.dropout);
    part("blocks", self.blocks), part("norm", self.norm), part("head", self.head);
  }
};

}
}  // namespace tricycle
