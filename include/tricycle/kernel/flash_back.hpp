// The way back through flash attention: the weights are worked out again, some at a time.
#pragma once
#include "tricycle/kernel/flash.hpp"
#include "tricycle/kernel/rows.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

namespace detail {

/// inner = the sum of grad out over each head of each token: what softmax's derivative takes off.
template <class T>
struct FlashInner {
  static constexpr bool wide = true;
  static constexpr int team = 8;
  const T *grad, *out; float* inner;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Row<const T> g{grad + row.index * row.n}, y{out + row.index * row.n};
    float sum = row.sum([&](auto i) { return g[i] * y[i]; });
    row.once([&] { inner[row.index] = sum; });
  }
  bool aligned(Index n) const { return tricycle::detail::rows_are_aligned(grad, n) && tricycle::detail::rows_are_aligned(out, n); }
};

/// What is known of a query on the way back: nothing weighs anything for one that is not there.
struct alignas(16) QueryBack {
  RowTotal total{0, 0};
  float inner = 0;
  /// Begin to read it into shared memory.
  TRICYCLE_HD static void begin(QueryBack* to, const Attention& a, const RowTotal* totals, const float* inners, Attention::Part part, int query) {
    const bool is_there = query < a.queries;
    const Index row = is_there ? a.row(part.batch, part.head, query) : 0;
    gpu::begin_copy<8>(&to->total, totals + row, is_there);
    gpu::begin_copy<4>(&to->inner, inners + row, is_there);
  }
};

/// A score and the gradient of its weight become its weight after dropout and the gradient of scale score. seen: does the query
/// see the key? kept: dropout's factor.
TRICYCLE_HD inline void weigh_back(const Attention& a, const QueryBack& query, float& score, float& grad, bool seen, float kept) {
  const float p = seen ? a.weight(score, query.total.top) * query.total.share : 0.f;
  score = p * kept;
  grad = p * (grad * kept - query.inner);
}

/// weigh_back of all that a warp has; query(p) and key(p) are where they stand, known(p) what is known of the query.
template <class KeysInColumns, class Sums, class Query, class Key, class Known>
TRICYCLE_HD void weigh_all_back(KeysInColumns keys_in_columns, const Attention& a, Attention::Part part, Sums& scores, Sums& grads, bool is_plain, Query query, Key key, Known known) {
  if (is_plain) return grads.each([&](float& x, Place p, float& score) { weigh_back(a, known(p), score, x, true, 1.f); }, scores);
  const Kept<Sums> kept(a, part, keys_in_columns, query, key);
  grads.each([&](float& x, Place p, float& score) { weigh_back(a, known(p), score, x, a.sees(query(p), key(p)), kept[p]); }, scores);
}

/// dq = scale ds k. A block has some queries, and walks over the keys that they see.
template <class T, int size>
struct FlashBackQueries : Warps<T, size> {
  using Of = Warps<T, size>;
  static constexpr int step = 32, together = size <= 64 ? 4 : 2;
  static constexpr std::size_t panels = Of::panel_bytes(2 * Of::rows + 2 * Of::stages * step), shared_bytes = panels + Of::rows * sizeof(QueryBack);
  Attention a; Heads<const T> q, k, v, grad; const RowTotal* totals; const float* inner; float scale; GatherHeads<T> dq;

  TRICYCLE_HD void operator()() const {
    using Weights = Sums<step>;
    const auto part = a.part(a.queries, Of::rows, a.causal);
    Panel<T, size> queries{gpu::shared<T>()}, grads = queries.from(Of::rows), keys = grads.from(Of::rows), values = keys.from(Of::stages * step);
    auto* of_queries = gpu::shared<QueryBack>(panels);
    Of::template read<Of::rows>(queries, a, part, q, part.first, a.queries);
    Of::template read<Of::rows>(grads, a, part, grad, part.first, a.queries);
    if (gpu::thread() < Of::rows) QueryBack::begin(of_queries + gpu::thread(), a, totals, inner, part, part.first + gpu::thread());
    const int mine = Of::first_row(), first = part.first + mine, end = a.seen(part.first + Of::rows - 1), my_end = a.seen(first + 15);
    Sums<size> sum;
    auto begin = [&](int from, int stage) {
      Of::template read<step>(keys.from(stage * step), a, part, k, from, a.keys);
      Of::template read<step>(values.from(stage * step), a, part, v, from, a.keys);
    };
    Of::template walk<step>(0, end, begin, [&](int from, int stage) {
      if (from >= my_end) return;
      Weights scores, ds;
      rows_dot(scores, queries.from(mine), keys.from(stage * step));
      rows_dot(ds, grads.from(mine), values.from(stage * step));
      weigh_all_back(std::true_type(), a, part, scores, ds, a.is_plain(first, from + step - 1), [=](Place p) { return first + Weights::row(p.which); }, [=](Place p) { return from + p.column; },
                     [=](Place p) { return of_queries[mine + Weights::row(p.which)]; });
      mix(sum, ds, keys.from(stage * step));
    });
    sum.each([&](float& x, Place) { x *= scale; });
    Of::write_out(sum, part, dq, a.queries, a.size);
  }
};

/// dv = wᵀ grad, dk = scale dsᵀ q. A block has some keys, and walks over the queries that see them.
template <class T, int size>
struct FlashBackKeys : Warps<T, size> {
  using Of = Warps<T, size>;
  static constexpr int step = size > 64 ? 16 : 32, together = size <= 64 && sizeof(T) == 2 ? 3 : 2;
  static constexpr std::size_t panels = Of::panel_bytes(2 * Of::rows + 2 * Of::stages * step), shared_bytes = panels + Of::stages * step * sizeof(QueryBack);
  Attention a; Heads<const T> q, k, v, grad; const RowTotal* totals; const float* inner; float scale; GatherHeads<T> dk, dv;

  TRICYCLE_HD void operator()() const {
    using Weights = Sums<step>;
    const auto part = a.part(a.keys, Of::rows, false);
    Panel<T, size> keys{gpu::shared<T>()}, values = keys.from(Of::rows), queries = values.from(Of::rows), grads = queries.from(Of::stages * step);
    auto* of_queries = gpu::shared<QueryBack>(panels);
    Of::template read<Of::rows>(keys, a, part, k, part.first, a.keys);
    Of::template read<Of::rows>(values, a, part, v, part.first, a.keys);
    const int mine = Of::first_row(), first = part.first + mine, my_begin = a.first_to_see(first);
    Sums<size> for_keys, for_values;
    auto begin = [&](int from, int stage) {
      Of::template read<step>(queries.from(stage * step), a, part, q, from, a.queries);
      Of::template read<step>(grads.from(stage * step), a, part, grad, from, a.queries);
      if (gpu::thread() < step) QueryBack::begin(of_queries + stage * step + gpu::thread(), a, totals, inner, part, from + gpu::thread());
    };
    Of::template walk<step>(a.first_to_see(part.first), a.queries, begin, [&](int from, int stage) {
      if (from + step <= my_begin) return;
      Weights weights, ds;
      rows_dot(weights, keys.from(mine), queries.from(stage * step));
      rows_dot(ds, values.from(mine), grads.from(stage * step));
      weigh_all_back(std::false_type(), a, part, weights, ds, a.is_plain(from, first + 15), [=](Place p) { return from + p.column; }, [=](Place p) { return first + Weights::row(p.which); },
                     [=](Place p) { return of_queries[stage * step + p.column]; });
      mix(for_values, weights, grads.from(stage * step));
      mix(for_keys, ds, queries.from(stage * step));
    });
    for_keys.each([&](float& x, Place) { x *= scale; });
    if (dk.at) Of::write_out(for_keys, part, dk, a.keys, a.size);
    if (dv.at) Of::write_out(for_values, part, dv, a.keys, a.size);
  }
};

}  // namespace detail

/// The gradients of q, k and v, where they are wanted. `out` and `grad` are contiguous, and `totals` are what flash() left.
template <class T>
struct FlashBack {
  Device device; Attention a; Heads<const T> q, k, v; const T *out, *grad; const RowTotal* totals; float scale;

  FlashBack(Device on, const Attention& attention, Heads<const T> queries, Heads<const T> keys, Heads<const T> values, const T* output, const T* gradient, const RowTotal* kept, float scale_of_scores)
      : device(on), a(attention), q(queries), k(keys), v(values), out(output), grad(gradient), totals(kept), scale(scale_of_scores), inner_(a.batch * a.queries * a.heads, on) {
    rows(device, a.batch * a.queries * a.heads, a.size, detail::FlashInner<T>{grad, out, inner_.data()});
    a.wide = detail::wide_access(a.size, q) && detail::wide_access(a.size, k) && detail::wide_access(a.size, v) && detail::wide_access(a.size, grads());
  }
  void queries(GatherHeads<T> dq) const {
    detail::with_size(a.size, [&]<int size>() {
      detail::launch_flash<detail::FlashBackQueries<T, size>>(device, a, a.queries, q, k, v, grads(), totals, static_cast<const float*>(inner_.data()), scale, dq);
    });
  }
  void keys_and_values(GatherHeads<T> dk, GatherHeads<T> dv) const {
    detail::with_size(a.size, [&]<int size>() {
      detail::launch_flash<detail::FlashBackKeys<T, size>>(device, a, a.keys, q, k, v, grads(), totals, static_cast<const float*>(inner_.data()), scale, dk, dv);
    });
  }

 private:
  Heads<const T> grads() const { return {grad, a.queries * a.heads * a.size, a.heads * a.size, a.size}; }
  gpu::Scratch<float> inner_;
};

}  // namespace kernel
}
}  // namespace tricycle
#endif
