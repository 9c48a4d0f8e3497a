// Flash attention: softmax(scale q kᵀ) v, some keys at a time, so that the weights are never kept. (Dao, arXiv:2307.08691)
#pragma once
#include "tricycle/kernel/feed.hpp"
#include "tricycle/kernel/mma.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/kernel/team.hpp"
#ifdef TRICYCLE_CUDA

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel {

/// The largest head, and the most tokens, that these kernels can do.
inline constexpr Index flash_size = 128, flash_tokens = Index{1} << 30;

/// Are they for this GPU? Before compute capability 8.0 the instructions and much of the shared memory are lacking.
inline bool has_flash(Device device) {
  int major = 0;
  gpu::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device.gpu), "cudaDeviceGetAttribute");
  return major >= 8;
}

/// Numbers of (batch, tokens, heads, size) anywhere in memory; those of one head of one token are neighbours.
template <class T>
struct Heads {
  T* at;
  Index batch, token, head;                              // how far apart neighbours are
  TRICYCLE_HD T* of(Index b, Index h, Index t) const { return at + b * batch + h * head + t * token; }
};

/// What of attention's softmax is kept of each query: its highest score, and 1 / the sum of all weights relative to that.
struct RowTotal { float top, share; };

/// What all kernels of attention agree on: who sees whom, what a score weighs, and what is dropped.
struct Attention {
  Index batch, heads;
  int queries, keys, size;
  bool causal;                                           // the last query sees every key, the one before it all but the last, ...
  bool wide;                                             // may all that is read be read 16 bytes at once?
  float log2_scale;                                      // a score's weight is 2^(log2_scale score)
  float dropout;
  Fed<std::uint64_t> key;                                // of dropout

  TRICYCLE_HD bool sees(int query, int at) const { return at < keys && (!causal || at - query <= keys - queries); }
  /// How many keys a query sees; and which query is the first to see a key.
  TRICYCLE_HD int seen(int query) const { return !causal || query >= queries ? keys : query + 1 + keys - queries; }
  TRICYCLE_HD int first_to_see(int at) const { return causal && at > keys - queries ? at - (keys - queries) : 0; }

  /// The weight of a score relative to that of a score `top`.
  TRICYCLE_HD float weight(float score, float top) const { return gpu::power_of_2((score - top) * log2_scale); }

  /// Where the one number stands that there is of each query of each head.
  TRICYCLE_HD Index row(Index b, Index h, int query) const { return (b * queries + query) * heads + h; }

  /// What a block works on: some tokens of one head.
  struct Part { int batch, head, first; };
  /// Those of this block, if each has `rows` of `tokens`. The last tokens come first if they have the most to do.
  TRICYCLE_HD Part part(int tokens, int rows, bool last_first) const {
    Index pieces = split(tokens, rows), of = gpu::block() / pieces, piece = gpu::block() % pieces;
    return {static_cast<int>(of / heads), static_cast<int>(of % heads), static_cast<int>(last_first ? pieces - 1 - piece : piece) * rows};
  }

  /// Dropout of the weights of one head. It counts them as the op does, in a tensor of (batch, heads, queries, keys).
  struct Drop {
    std::uint64_t key;
    Index first;
    int keys;
    float probability;
    TRICYCLE_HD bool keeps(int query, int at) const { return uniform_at(key, first + Index{query} * keys + at) >= probability; }
  };
  TRICYCLE_HD Drop drop(Part part) const { return {key.get(), (part.batch * heads + part.head) * queries * keys, keys, dropout}; }
};

namespace detail {

struct Greater {
  TRICYCLE_HD float operator()(float a, float b) const { return a > b ? a : b; }
};

/// Softmax of a row whose scores come some at a time: what was added up relative to a highest score shrinks when a higher
/// one comes. (Milakov and Gimelshein, arXiv:1805.02867)
struct RunningTotal {
  float top = -__builtin_huge_valf(), sum = 0;           // sum: this lane's part

  /// Scores up to `highest` come: the factor by which all before them shrinks.
  TRICYCLE_HD float raise(const Attention& a, float highest) {
    float before = top;
    top = Greater{}(top, highest);
    float factor = before == -__builtin_huge_valf() ? 0.f : a.weight(before, top);        // which no scale of 0 makes NaN
    sum *= factor;
    return factor;
  }
  /// Of a row that saw no key the share is 0, and so is what is mixed by it.
  TRICYCLE_HD RowTotal close() const {
    float all = among_row(sum, Plus{});
    return {top, all == 0 ? 0.f : 1 / all};
  }
};

/// Which of a warp's weights dropout keeps: a bit for each that a lane has. They are found by a loop, since what it does
/// would be too much to be written out for all of them.
template <int columns>
struct Kept {
  static_assert(columns <= 64);
  std::uint32_t bits = ~std::uint32_t{0};
  float stretch = 1;

  /// query(place) and key(place) say where a weight stands.
  template <class Query, class Key>
  TRICYCLE_HD Kept(const Attention& a, Attention::Part part, Query query, Key key) {
    if (a.dropout == 0) return;
    const auto drop = a.drop(part);
    bits = 0, stretch = 1 / (1 - drop.probability);
    for (int n = 0; n < Sums<columns>::each_lane; ++n) {
      Place p = Sums<columns>::place(n);
      bits |= static_cast<std::uint32_t>(drop.keeps(query(p), key(p))) << n;
    }
  }
  /// What to multiply the weight there with.
  TRICYCLE_HD float operator[](Place p) const { return bits >> p.number & 1 ? stretch : 0; }
};

/// How the blocks of these kernels are laid out: each warp has 16 rows, and all walk over `step` tokens at a time.
struct Warps {
  static constexpr int threads = 128, rows = threads / gpu::warp * 16;
  TRICYCLE_HD static int first_row() { return gpu::thread() / gpu::warp * 16; }

  /// panel = `count` tokens of the part's head from number `first` on; what lies behind the last of all `tokens` is 0.
  template <int count, class T, int size>
  TRICYCLE_HD static void read(Panel<T, size> panel, const Attention& a, Attention::Part part, Heads<const T> x, int first, int tokens) {
    fill<threads, count>(panel, x.of(part.batch, part.head, first), x.token, tokens - first, a.size, a.wide);
  }
};

/// out = softmax(scale q kᵀ) v. A block has some queries, and walks over the keys that they see.
template <class T, int size>
struct FlashForward : Warps {
  static constexpr int step = sizeof(T) == 2 ? 64 : 32, together = size <= 64 ? 3 : 2;
  static constexpr std::size_t shared_bytes = (rows + 2 * step) * Panel<T, size>::stride * sizeof(T);
  Attention a; Heads<const T> q, k, v; Heads<T> out; RowTotal* totals;

  TRICYCLE_HD void operator()() const {
    const auto part = a.part(a.queries, rows, a.causal);
    Panel<T, size> queries{gpu::shared<T>()}, keys = queries.from(rows), values = keys.from(step);
    read<rows>(queries, a, part, q, part.first, a.queries);
    const int first = part.first + first_row(), end = a.seen(part.first + rows - 1), my_end = a.seen(first + 15);
    Sums<size> sum;
    const auto query = [=](Place p) { return first + Sums<size>::row(p.which); };
    RunningTotal total[2];
    for (int from = 0; from < end; from += step) {
      gpu::barrier();                                    // nobody is at the last keys any more
      read<step>(keys, a, part, k, from, a.keys);
      read<step>(values, a, part, v, from, a.keys);
      gpu::barrier();
      if (from >= my_end) continue;
      Sums<step> weights;
      rows_dot(weights, queries.from(first_row()), keys);
      const auto key = [=](Place p) { return from + p.column; };
      float highest[] = {total[0].top, total[1].top}, factor[2];
      weights.each([&](float x, Place p) {
        if (a.sees(query(p), key(p))) highest[p.which] = Greater{}(highest[p.which], x);
      });
      for (int i = 0; i < 2; ++i) factor[i] = total[i].raise(a, among_row(highest[i], Greater{}));
      const Kept<step> kept(a, part, query, key);
      weights.each([&](float& x, Place p) {
        x = a.sees(query(p), key(p)) ? a.weight(x, total[p.which].top) : 0.f;
        total[p.which].sum += x;
        x *= kept[p];
      });
      sum.each([&](float& x, Place p) { x *= factor[p.which]; });
      mix(sum, weights, values);
    }
    const RowTotal all[] = {total[0].close(), total[1].close()};
    sum.each([&](float& x, Place p) { x *= all[p.which].share; });
    for (int i = 0; i < 2; ++i)
      if (int row = first + sum.row(i); sum.lane() % 4 == 0 && row < a.queries) totals[a.row(part.batch, part.head, row)] = all[i];
    gpu::barrier();                                      // what was read is over, and its memory free
    write(sum, gpu::shared<float>() + first_row() * Panel<float, size>::stride, Gather<T>{out.of(part.batch, part.head, first), false}, out.token, a.queries - first, a.size);
  }
};

template <class Kernel, class... Arguments>
void launch_flash(Device device, const Attention& a, int tokens, const Arguments&... arguments) {
  gpu::launch(device, split(tokens, Kernel::rows) * a.batch * a.heads, Kernel{{}, a, arguments...}, Kernel::shared_bytes);
}

/// f.operator()<size>() with the smallest size that there is a kernel for and that a head fits in.
template <class F>
void with_size(int size, F f) {
  if (size <= 32) f.template operator()<32>();
  else if (size <= 64) f.template operator()<64>();
  else if (size <= 96) f.template operator()<96>();
  else f.template operator()<128>();
}

template <class T>
bool wide_access(int size, const Heads<T>& x) {
  constexpr Index numbers = 16 / sizeof(T);
  return reinterpret_cast<std::uintptr_t>(x.at) % 16 == 0 && (size | x.batch | x.token | x.head) % numbers == 0;
}

}  // namespace detail

/// out = softmax(scale q kᵀ) v, and what flash_back needs of each query.
template <class T>
void flash(Device device, Attention a, Heads<const T> q, Heads<const T> k, Heads<const T> v, Heads<T> out, RowTotal* totals) {
  a.wide = detail::wide_access(a.size, q) && detail::wide_access(a.size, k) && detail::wide_access(a.size, v);
  detail::with_size(a.size, [&]<int size>() { detail::launch_flash<detail::FlashForward<T, size>>(device, a, a.queries, q, k, v, out, totals); });
}

}  // namespace kernel
}
}  // namespace tricycle
#endif
