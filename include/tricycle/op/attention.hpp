// Attention: every query mixes the values, by how well their keys match it.
#pragma once
#include <cmath>
#include "tricycle/kernel/attention_cudnn.hpp"
#include "tricycle/kernel/flash_back.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/rowwise.hpp"
#include "tricycle/op/slice.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// How queries attend to keys.
struct AttentionOptions {
  bool causal = true;                                    // the last query sees every key, the one before it all but the last, ...
  std::optional<double> scale = std::nullopt;            // of the scores; without one 1 / √head_size
  float dropout = 0;                                     // the probability with which a weight becomes 0
  bool time_first = false;                               // keys and values are (keys, batch, heads, head_size), as in a cache
};

namespace detail {

/// What attention's operands agree on.
struct AttentionShape {
  Index batch, queries, keys, heads, size;
  double scale;
  AttentionOptions options;

  AttentionShape(const Shape& q, const Shape& k, const Shape& v, const AttentionOptions& o) : options(o) {
    check(q.rank() == 4, "attention: queries of shape ", q, " are not (batch, tokens, heads, head_size)");
    const int time = o.time_first ? 0 : 1;
    check(k.rank() == 4 && k[1 - time] == q[0] && k[2] == q[2] && k[3] == q[3], "attention: keys of shape ", k, " do not fit queries of shape ", q);
    check(v == k, "attention: keys of shape ", k, " need values of that shape, not ", v);
    batch = q[0], queries = q[1], keys = k[time], heads = q[2], size = q[3];
    check(!o.causal || queries <= keys, "attention: queries of shape ", q, " are more than the keys of shape ", k, ", so that the first would see none");
    check(o.dropout >= 0 && o.dropout < 1, "attention: a dropout of ", o.dropout);
    scale = o.scale ? *o.scale : 1 / std::sqrt(static_cast<double>(size));
    check(scale >= 0, "attention: a scale of ", scale);
  }
};

/// Attention as it is defined. What takes its place on a GPU is tested against this.
template <Floating T>
Tensor<T> composed_attention(const AttentionShape& shape, const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v) {
  const bool time_first = shape.options.time_first;
  auto scores = (time_first ? einsum<"bqnh,kbnh->bnqk"> : einsum<"bqnh,bknh->bnqk">)(q, k);
  auto weights = shape.options.causal ? causal_softmax(scores, shape.scale) : Softmax(shape.scale)(scores);        // (batch, heads, queries, keys)
  return (time_first ? einsum<"bnqk,kbnh->bqnh"> : einsum<"bnqk,bknh->bqnh">)(dropout(weights, shape.options.dropout), v);
}

#ifdef TRICYCLE_CUDA
/// Is this work for kernel/flash.hpp?
inline bool is_flash(Device device, const AttentionShape& s) {
  return !device.is_cpu() && s.size > 0 && s.size <= kernel::flash_size && (std::max)(s.queries, s.keys) <= kernel::flash_tokens && kernel::has_flash(device);
}

/// One call of flash attention: what the way back knows of the way there, but for tensors that may be overwritten. cuDNN does
/// it for who links that, in training: for each new shape it takes a second, and prompts have many shapes.
template <Floating T>
struct FlashCall {
  using From = kernel::Heads<const T>;
  using To = kernel::GatherHeads<T>;
  kernel::Attention a;
  float scale;
  Tensor<float> totals;                                  // a kernel::RowTotal of each query of each head

  FlashCall(const AttentionShape& s, Device device)
      : a{s.batch, s.heads, static_cast<int>(s.queries), static_cast<int>(s.keys), static_cast<int>(s.size), s.options.causal, false,
          static_cast<float>(s.scale * 1.4426950408889634), s.options.dropout, {}},                               // log2 e
        scale(static_cast<float>(s.scale)), totals(Shape{s.batch, s.queries, s.heads, 2}, device) {
    if (a.dropout > 0) a.key = kernel::feed(device, [] { return random_bits(); });
  }
  Tensor<T> forward(From q, From k, From v) {
    Tensor<T> y(Shape{a.batch, a.queries, a.heads, a.size}, totals.device());
    auto* kept = reinterpret_cast<kernel::RowTotal*>(totals.mutable_data());
#ifdef TRICYCLE_CUDNN
    if (recording() && kernel::flash_by_cudnn(y.device(), a, scale, q, k, v, result(y.mutable_data()), kept)) return y;
#endif
    kernel::flash(y.device(), a, q, k, v, result(y.mutable_data()), kept);
    return y;
  }
  /// The gradients that are wanted. What they are added to may be one tensor.
  void back(From q, From k, From v, const T* y, const Tensor<T>& grad, To dq, To dk, To dv) const {
    auto* kept = reinterpret_cast<const kernel::RowTotal*>(totals.data());
#ifdef TRICYCLE_CUDNN
    if (kernel::flash_back_by_cudnn(grad.device(), a, scale, q, k, v, result(y), result(grad.data()), kept, dq, dk, dv)) return;
#endif
    const kernel::FlashBack<T> send(grad.device(), a, q, k, v, y, grad.data(), kept, scale);
    if (dq.at) send.queries(dq);
    if (dk.at || dv.at) send.keys_and_values(dk, dv);
  }

 private:
  template <class U>
  kernel::Heads<U> result(U* at) const { return {at, a.queries * a.heads * a.size, a.heads * a.size, a.size}; }
};

/// Where attention finds the numbers of a tensor; of one third of qkv, (batch, tokens, 3 heads head_size).
template <Floating T>
kernel::Heads<const T> heads_of(const Tensor<T>& x, bool time_first = false) {
  const Index token = x.shape()[2] * x.shape()[3], outer = x.shape()[1] * token;
  return {x.data(), time_first ? token : outer, time_first ? outer : token, x.shape()[3]};
}
template <Floating T>
std::array<kernel::Heads<const T>, 3> heads_of(const kernel::Attention& a, const T* qkv) {
  const Index n = a.heads * a.size;
  auto third = [&](Index i) { return kernel::Heads<const T>{qkv + i * n, 3 * n * a.queries, 3 * n, a.size}; };
  return {third(0), third(1), third(2)};
}

/// Where the gradient of such numbers goes: `to` is that of the first of them.
template <Floating T>
kernel::GatherHeads<T> gather_heads(Gather<T> to, const kernel::Heads<const T>& like) { return {{to.at, like.batch, like.token, like.head}, to.add}; }

template <Floating T>
Tensor<T> flash_attention(const AttentionShape& s, const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v) {
  const bool time_first = s.options.time_first;
  FlashCall<T> call(s, q.device());
  auto y = call.forward(heads_of(q), heads_of(k, time_first), heads_of(v, time_first));
  auto back = [=, q = Saved<T>(q), k = Saved<T>(k), v = Saved<T>(v), y = Saved<T>(y)](const Tensor<T>& grad, Sink<T> dq, Sink<T> dk, Sink<T> dv) {
    auto from_q = heads_of(*q), from_k = heads_of(*k, time_first), from_v = heads_of(*v, time_first);
    auto gather = [](Sink<T>& sink, const kernel::Heads<const T>& like) { return gather_heads(sink ? sink.gather() : Gather<T>{nullptr, false}, like); };
    auto to_q = gather(dq, from_q), to_k = gather(dk, from_k), to_v = gather(dv, from_v);        // in the order in which they are written: they may be one
    call.back(from_q, from_k, from_v, y.data(), grad, to_q, to_k, to_v);
  };
  return record_joint<T, T, T, T>("attention", y, {q, k, v}, back);
}

template <Floating T>
Tensor<T> flash_attention(const AttentionShape& s, const Tensor<T>& qkv) {
  FlashCall<T> call(s, qkv.device());
  auto [q, k, v] = heads_of(call.a, qkv.data());
  auto y = call.forward(q, k, v).view(qkv.shape().with(2, s.heads * s.size));
  return record("attention", y, {{qkv, [call, qkv = Saved<T>(qkv), y = Saved<T>(y)](const Tensor<T>& grad, Sink<T> sink) {
    auto from = heads_of(call.a, qkv.data());
    const auto whole = sink.gather();
    auto part = [&](std::size_t i) { return gather_heads(Gather<T>{whole.at + (from[i].at - from[0].at), whole.add}, from[i]); };
    call.back(from[0], from[1], from[2], y.data(), grad, part(0), part(1), part(2));
  }}});
}
#endif

}  // namespace detail

/// Every query's mean of the values, weighted by how well their keys match it (Vaswani et al., arXiv:1706.03762):
///   softmax(scale q kᵀ) v, for each head   (batch, queries, heads, head_size), (batch, keys, heads, head_size) twice -> (batch, queries, heads, head_size)
/// On a GPU no weight is kept, so that memory grows with the tokens and not with their square. Throws when shapes do not fit.
template <Floating T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v, const AttentionOptions& options = {}) {
  const detail::AttentionShape shape(q.shape(), k.shape(), v.shape(), options);
#ifdef TRICYCLE_CUDA
  if constexpr (std::same_as<compute<T>, float>)
    if (detail::is_flash(q.device(), shape)) return detail::flash_attention(shape, q, k, v);
#endif
  return detail::composed_attention(shape, q, k, v);
}

template <Element A, Element B, Element C> requires (detail::MustCast<A, B> || detail::MustCast<A, C>)
Tensor<A> attention(const Tensor<A>& q, const Tensor<B>&, const Tensor<C>&, const AttentionOptions& = {}) {
  detail::must_cast<B>(q);
  return detail::must_cast<C>(q);
}

/// The same of tokens that attend to each other: their queries, keys and values, of all heads each, stand in one row.
///   (batch, tokens, 3 heads head_size) -> (batch, tokens, heads head_size)
template <Floating T>
Tensor<T> attention(const Tensor<T>& qkv, Index n_heads, const AttentionOptions& options = {}) {
  check(n_heads > 0 && qkv.rank() == 3 && qkv.shape()[2] % (3 * n_heads) == 0, "attention: ", qkv.shape(), " is not (batch, tokens, 3 heads head_size) of ", n_heads, " heads");
  check(!options.time_first, "attention: queries, keys and values in one tensor do not have time first");
  const Shape one{qkv.shape()[0], qkv.shape()[1], n_heads, qkv.shape()[2] / (3 * n_heads)};
  const detail::AttentionShape shape(one, one, one, options);
#ifdef TRICYCLE_CUDA
  if constexpr (std::same_as<compute<T>, float>)
    if (detail::is_flash(qkv.device(), shape)) return detail::flash_attention(shape, qkv);
#endif
  auto parts = split(qkv, 3);
  return detail::composed_attention(shape, parts[0].reshape(one), parts[1].reshape(one), parts[2].reshape(one)).reshape(qkv.shape().with(2, qkv.shape()[2] / 3));
}

}
}  // namespace tricycle
