// The way back through flash attention: the weights are worked out again, some at a time.
#pragma once
#include "tricycle/kernel/flash.hpp"
#include "tricycle/kernel/rows.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// Where the gradient of queries, keys or values is gathered; nowhere if `at` is null.
template <class T>
struct GatherHeads : Heads<T> {
  bool add;
};

namespace detail {

/// inner = the sum of grad out over each head of each token: what softmax's derivative takes off.
template <class T>
struct FlashInner {
  static constexpr bool wide = true;
  const T *grad, *out; float* inner;
  template <class Team> TRICYCLE_HD void operator()(Team row) const {
    Row<const T> g{grad + row.index * row.n}, y{out + row.index * row.n};
    float sum = row.sum([&](auto i) { return g[i] * y[i]; });
    row.once([&] { inner[row.index] = sum; });
  }
};

/// What is known of a query on the way back.
struct QueryBack {
  RowTotal total;
  float inner;
  TRICYCLE_HD QueryBack(const Attention& a, const RowTotal* totals, const float* inners, Attention::Part part, int query) : total{0, 0}, inner(0) {
    if (query >= a.queries) return;                      // its weights shall be 0
    Index row = a.row(part.batch, part.head, query);
    total = totals[row], inner = inners[row];
  }
};

/// What a score weighs after dropout, and the gradient of scale score, from that of the weight. kept: dropout's factor.
struct WeightBack {
  float weight, grad;
  TRICYCLE_HD WeightBack(const Attention& a, const QueryBack& known, float score, float grad_weight, float kept, int query, int key) {
    float p = a.sees(query, key) ? a.weight(score, known.total.top) * known.total.share : 0.f;
    weight = p * kept;
    grad = p * (grad_weight * kept - known.inner);
  }
};

/// dq = scale ds k. A block has some queries, and walks over the keys that they see.
template <class T, int size>
struct FlashBackQueries : Warps {
  static constexpr int step = 32, together = size <= 64 ? 3 : 2;
  static constexpr std::size_t shared_bytes = 2 * (rows + step) * Panel<T, size>::stride * sizeof(T);
  Attention a; Heads<const T> q, k, v, grad; const RowTotal* totals; const float* inner; float scale; GatherHeads<T> dq;

  TRICYCLE_HD void operator()() const {
    const auto part = a.part(a.queries, rows, a.causal);
    Panel<T, size> queries{gpu::shared<T>()}, grads = queries.from(rows), keys = grads.from(rows), values = keys.from(step);
    read<rows>(queries, a, part, q, part.first, a.queries);
    read<rows>(grads, a, part, grad, part.first, a.queries);
    const int first = part.first + first_row(), end = a.seen(part.first + rows - 1), my_end = a.seen(first + 15);
    Sums<size> sum;
    const auto query = [=](Place p) { return first + Sums<size>::row(p.which); };
    const QueryBack known[] = {{a, totals, inner, part, first + sum.row(0)}, {a, totals, inner, part, first + sum.row(1)}};
    for (int from = 0; from < end; from += step) {
      gpu::barrier();                                    // nobody is at the last keys any more
      read<step>(keys, a, part, k, from, a.keys);
      read<step>(values, a, part, v, from, a.keys);
      gpu::barrier();
      if (from >= my_end) continue;
      const auto key = [=](Place p) { return from + p.column; };
      const Kept<step> kept(a, part, query, key);
      Sums<step> scores, ds;
      rows_dot(scores, queries.from(first_row()), keys);
      rows_dot(ds, grads.from(first_row()), values);
      ds.each([&](float& x, Place p, float score) { x = WeightBack(a, known[p.which], score, x, kept[p], query(p), key(p)).grad; }, scores);
      mix(sum, ds, keys);
    }
    sum.each([&](float& x, Place) { x *= scale; });
    gpu::barrier();                                      // what was read is over, and its memory free
    write(sum, gpu::shared<float>() + first_row() * Panel<float, size>::stride, Gather<T>{dq.of(part.batch, part.head, first), dq.add}, dq.token, a.queries - first, a.size);
  }
};

/// dv = wᵀ grad, dk = scale dsᵀ q. A block has some keys, and walks over the queries that see them.
template <class T, int size>
struct FlashBackKeys : Warps {
  static constexpr int step = size > 64 ? 16 : 32, together = 2;
  static constexpr std::size_t panels = 2 * (rows + step) * Panel<T, size>::stride * sizeof(T), shared_bytes = panels + step * sizeof(QueryBack);
  Attention a; Heads<const T> q, k, v, grad; const RowTotal* totals; const float* inner; float scale; GatherHeads<T> dk, dv;

  TRICYCLE_HD void operator()() const {
    const auto part = a.part(a.keys, rows, false);
    Panel<T, size> keys{gpu::shared<T>()}, values = keys.from(rows), queries = values.from(rows), grads = queries.from(step);
    auto* known = gpu::shared<QueryBack>(panels);
    read<rows>(keys, a, part, k, part.first, a.keys);
    read<rows>(values, a, part, v, part.first, a.keys);
    const int first = part.first + first_row(), my_begin = a.first_to_see(first);
    Sums<size> for_keys, for_values;
    const auto key = [=](Place p) { return first + Sums<size>::row(p.which); };
    for (int from = a.first_to_see(part.first); from < a.queries; from += step) {
      gpu::barrier();                                    // nobody is at the last queries any more
      read<step>(queries, a, part, q, from, a.queries);
      read<step>(grads, a, part, grad, from, a.queries);
      if (gpu::thread() < step) known[gpu::thread()] = QueryBack(a, totals, inner, part, from + gpu::thread());
      gpu::barrier();
      if (from + step <= my_begin) continue;
      const auto query = [=](Place p) { return from + p.column; };
      const Kept<step> kept(a, part, query, key);
      Sums<step> weights, ds;
      rows_dot(weights, keys.from(first_row()), queries);
      rows_dot(ds, values.from(first_row()), grads);
      ds.each([&](float& x, Place p, float& score) {
        WeightBack back(a, known[p.column], score, x, kept[p], query(p), key(p));
        score = back.weight, x = back.grad;
      }, weights);
      mix(for_values, weights, grads);
      mix(for_keys, ds, queries);
    }
    for_keys.each([&](float& x, Place) { x *= scale; });
    gpu::barrier();                                      // what was read is over, and its memory free
    auto* mine = gpu::shared<float>() + first_row() * Panel<float, size>::stride;
    if (dk.at) write(for_keys, mine, Gather<T>{dk.of(part.batch, part.head, first), dk.add}, dk.token, a.keys - first, a.size);
    if (dv.at) write(for_values, mine, Gather<T>{dv.of(part.batch, part.head, first), dv.add}, dv.token, a.keys - first, a.size);
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
