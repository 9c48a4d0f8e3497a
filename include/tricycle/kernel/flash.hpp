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

/// Where results of this kind are gathered; nowhere if `at` is null.
template <class T>
struct GatherHeads : Heads<T> {
  bool add;
};

/// What of attention's softmax is kept of each query: its highest score, as the power of 2 that it weighs, and 1 / the sum of all
/// weights relative to that.
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
  /// Do these and all later queries see these and all earlier keys, and is none dropped? Most are asked for such, which need no care.
  TRICYCLE_HD bool is_plain(int first_query, int last_key) const { return dropout == 0 && sees(first_query, last_key); }
  /// How many keys a query sees; and which query is the first to see a key.
  TRICYCLE_HD int seen(int query) const { return !causal || query >= queries ? keys : query + 1 + keys - queries; }
  TRICYCLE_HD int first_to_see(int at) const { return causal && at > keys - queries ? at - (keys - queries) : 0; }

  /// The weight of a score relative to 2^top. (What top was rounded by, all weights of a row and their sum have in common.)
  TRICYCLE_HD float weight(float score, float top) const { return gpu::power_of_2(gpu::fused(score, log2_scale, -top)); }

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
    TRICYCLE_HD Index index(int query, int at) const { return first + Index{query} * keys + at; }
    TRICYCLE_HD bool keeps(int query, int at) const { return uniform_at(key, index(query, at)) >= probability; }
    /// A bit for each of four keys, of which the first has an index that is a multiple of 4.
    TRICYCLE_HD std::uint32_t keeps_of_four(int query, int at) const {
      float four[4];
      detail::four_uniforms(key, static_cast<std::uint64_t>(index(query, at)) / 4, four);
      std::uint32_t bits = 0;
      for (int i = 0; i < 4; ++i) bits |= static_cast<std::uint32_t>(four[i] >= probability) << i;
      return bits;
    }
  };
  TRICYCLE_HD Drop drop(Part part) const { return {key.get(), (part.batch * heads + part.head) * queries * keys, keys, dropout}; }
};

namespace detail {

struct Greater {
  TRICYCLE_HD float operator()(float a, float b) const { return gpu::larger(a, b); }
};

/// Softmax of a row whose scores come some at a time: what was added up relative to a highest score shrinks when a higher
/// one comes. (Milakov and Gimelshein, arXiv:1805.02867)
struct RunningTotal {
  static constexpr float lowest = -__builtin_huge_valf();
  float top = lowest, sum = 0;                           // top: see RowTotal; sum: this lane's part

  /// Scores up to `highest` come: the factor by which all before them shrinks.
  TRICYCLE_HD float raise(const Attention& a, float highest) {
    const float before = top;
    top = Greater{}(top, highest == lowest ? lowest : highest * a.log2_scale);            // which no scale of 0 makes NaN
    const float factor = before == lowest ? 0.f : gpu::power_of_2(before - top);
    sum *= factor;
    return factor;
  }
  /// Of a row that saw no key the share is 0, and so is what is mixed by it.
  TRICYCLE_HD RowTotal close() const {
    float all = among_row(sum, Plus{});
    return {top, all == 0 ? 0.f : 1 / all};
  }
};

/// Which of a warp's weights dropout keeps: a bit for each that a lane has. query(place) and key(place) say where one stands.
template <class Sums>
struct Kept {
  static_assert(Sums::each_lane <= 32);
  std::uint32_t bits = ~std::uint32_t{0};
  float stretch = 1;

  template <bool keys_in_columns, class Query, class Key>
  TRICYCLE_HD Kept(const Attention& a, Attention::Part part, std::bool_constant<keys_in_columns>, Query query, Key key) {
    if (a.dropout == 0) return;
    const auto drop = a.drop(part);
    bits = 0, stretch = 1 / (1 - drop.probability);
    if (a.keys % 4 != 0) {
      for (int n = 0; n < Sums::each_lane; ++n) bits |= std::uint32_t{drop.keeps(query(Sums::place(n)), key(Sums::place(n)))} << n;
      return;
    }
    // Random numbers are made for four keys at a time, which are those of two lanes, or of four: each makes as many as it needs,
    // and they change.
    constexpr std::uint32_t ones = 0x11111111, pairs = 0x33333333;
    const int own = keys_in_columns ? Sums::lane() % 2 * 2 : Sums::lane() / 4 % 4;
    for (int n = own; n < Sums::each_lane; n += 4) bits |= drop.keeps_of_four(query(Sums::place(n)), key(Sums::place(n)) / 4 * 4) << (n - own);
    if constexpr (keys_in_columns) bits = (bits >> own & pairs) << own | (gpu::from_lane_across(bits, 1) >> own & pairs) << (2 - own);
    else {
      std::uint32_t all = 0;
      for (int other = 0; other < 4; ++other) all |= (gpu::from_lane_across(bits, 4 * other) >> own & ones) << (own ^ other);
      bits = all;
    }
  }
  /// What to multiply the weight there with.
  TRICYCLE_HD float operator[](Place p) const { return bits >> p.number & 1 ? stretch : 0; }
};

/// How the blocks of these kernels are laid out: each warp has 16 rows, and all walk over `step` tokens at a time, of which the next
/// come while they are at some.
template <class T, int size>
struct Warps {
  static constexpr int threads = 128, rows = threads / gpu::warp * 16, stages = sizeof(T) == 2 ? 2 : 1;
  TRICYCLE_HD static int first_row() { return gpu::thread() / gpu::warp * 16; }
  static constexpr std::size_t panel_bytes(int tokens) { return static_cast<std::size_t>(tokens * Panel<T, size>::stride) * sizeof(T); }

  /// panel = `count` tokens of the part's head from number `first` on, as soon as copies are waited for; what lies behind the last
  /// of all `tokens` is 0.
  template <int count>
  TRICYCLE_HD static void read(Panel<T, size> panel, const Attention& a, Attention::Part part, Heads<const T> x, int first, int tokens) {
    fill<threads, count>(panel, x.of(part.batch, part.head, first), x.token, tokens - first, a.size, a.wide);
  }

  /// use(from, stage) for every `step` tokens in turn, after begin(from, stage) has begun to read them into one of the stages.
  template <int step, class Begin, class Use>
  TRICYCLE_HD static void walk(int first, int end, Begin begin, Use use) {
    if (first < end) begin(first, 0);
    int stage = 0;
    for (int from = first; from < end; from += step) {
      gpu::wait_for_copies();
      gpu::barrier();                                    // these tokens are there for all, and nobody is at those before any more
      if (stages > 1 && from + step < end) begin(from + step, 1 - stage);
      use(from, stage);
      if (stages > 1) stage = 1 - stage;
      else {
        gpu::barrier();
        if (from + step < end) begin(from + step, 0);
      }
    }
    gpu::wait_for_copies();                              // of which there are some where no token is
    gpu::barrier();
  }

  /// Write a warp's sums, where no warp reads shared memory any more.
  TRICYCLE_HD static void write_out(const Sums<size>& sums, Attention::Part part, GatherHeads<T> to, int tokens, int n) {
    const int first = part.first + first_row();
    auto* mine = gpu::shared<float>() + first_row() * Panel<float, size>::stride;
    write(sums, mine, Gather<T>{to.of(part.batch, part.head, first), to.add}, to.token, tokens - first, n);
  }
};

/// out = softmax(scale q kᵀ) v. A block has some queries, and walks over the keys that they see.
template <class T, int size>
struct FlashForward : Warps<T, size> {
  using Of = Warps<T, size>;
  static constexpr int step = sizeof(T) == 2 ? 64 : 32, together = size <= 64 ? 3 : 2;
  static constexpr std::size_t shared_bytes = Of::panel_bytes(Of::rows + 2 * Of::stages * step);
  Attention a; Heads<const T> q, k, v; GatherHeads<T> out; RowTotal* totals;

  TRICYCLE_HD void operator()() const {
    using Weights = Sums<step>;
    const auto part = a.part(a.queries, Of::rows, a.causal);
    Panel<T, size> queries{gpu::shared<T>()}, keys = queries.from(Of::rows), values = keys.from(Of::stages * step);
    Of::template read<Of::rows>(queries, a, part, q, part.first, a.queries);
    const int first = part.first + Of::first_row(), end = a.seen(part.first + Of::rows - 1), my_end = a.seen(first + 15);
    Sums<size> sum;
    RunningTotal total[2];
    auto begin = [&](int from, int stage) {
      Of::template read<step>(keys.from(stage * step), a, part, k, from, a.keys);
      Of::template read<step>(values.from(stage * step), a, part, v, from, a.keys);
    };
    Of::template walk<step>(0, end, begin, [&](int from, int stage) {
      if (from >= my_end) return;
      Weights weights;
      rows_dot(weights, queries.from(Of::first_row()), keys.from(stage * step));
      // `sees` and `kept` say, of a place, whether the query sees the key, and by how much its weight is multiplied.
      auto soften = [&](auto sees, auto kept) {
        float highest[] = {RunningTotal::lowest, RunningTotal::lowest}, factor[2];
        weights.each([&](float x, Place p) {
          if (sees(p)) highest[p.which] = Greater{}(highest[p.which], x);
        });
        for (int i = 0; i < 2; ++i) factor[i] = total[i].raise(a, among_row(highest[i], Greater{}));
        weights.each([&](float& x, Place p) {
          x = sees(p) ? a.weight(x, total[p.which].top) : 0.f;
          total[p.which].sum += x;
          x *= kept(p);
        });
        sum.each([&](float& x, Place p) { x *= factor[p.which]; });
      };
      if (a.is_plain(first, from + step - 1)) soften([](Place) { return true; }, [](Place) { return 1.f; });
      else {
        const auto query = [=](Place p) { return first + Weights::row(p.which); };
        const auto key = [=](Place p) { return from + p.column; };
        const Kept<Weights> kept(a, part, std::true_type(), query, key);
        soften([&](Place p) { return a.sees(query(p), key(p)); }, [&](Place p) { return kept[p]; });
      }
      mix(sum, weights, values.from(stage * step));
    });
    const RowTotal all[] = {total[0].close(), total[1].close()};
    sum.each([&](float& x, Place p) { x *= all[p.which].share; });
    for (int i = 0; i < 2; ++i)
      if (int row = first + sum.row(i); sum.lane() % 4 == 0 && row < a.queries) totals[a.row(part.batch, part.head, row)] = all[i];
    Of::write_out(sum, part, out, a.queries, a.size);
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
  detail::with_size(a.size, [&]<int size>() { detail::launch_flash<detail::FlashForward<T, size>>(device, a, a.queries, q, k, v, GatherHeads<T>{out, false}, totals); });
}

}  // namespace kernel
}
}  // namespace tricycle
#endif
