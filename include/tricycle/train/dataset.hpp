// Text for language models: which window of the tokens comes when, and the tensors made of it.
#pragma once
#include <algorithm>
#include <bit>
#include <memory>
#include <optional>
#include <utility>
#include <vector>
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// 64 bits, stirred until each depends on all: a step of SplitMix64 (Steele, Lea and Flood 2014, with Stafford's "Mix13").
constexpr std::uint64_t stir(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The numbers 0 … size - 1 in an order that only the key knows, each found without a table: a Feistel network, which
/// permutes the next power of 4, walked until it lands below size (Black and Rogaway 2002, "cycle walking"). The same on
/// every platform.
class KeyedPermutation {
 public:
  constexpr KeyedPermutation(Index size, std::uint64_t key) : size_(static_cast<std::uint64_t>(size)), key_(key) {
    check(size > 0, "permutation: of ", size, " numbers");
    half_ = (std::max)(smallest_half, (static_cast<int>(std::bit_width(size_ - 1)) + 1) / 2);
  }

  /// The number at place i, 0 <= i < size.
  constexpr Index operator()(Index i) const {
    auto x = static_cast<std::uint64_t>(i);
    do x = feistel(x);                                   // ends: the cycle that i is on leads back to i at the latest
    while (x >= size_);
    return static_cast<Index>(x);
  }

 private:
  // Halves of fewer bits give too few permutations, and eight rounds are plenty for halves of any size.
  static constexpr int smallest_half = 3;
  static constexpr std::uint64_t rounds = 8;

  constexpr std::uint64_t feistel(std::uint64_t x) const {
    std::uint64_t mask = (std::uint64_t{1} << half_) - 1, left = x >> half_, right = x & mask;
    for (std::uint64_t round = 0; round < rounds; ++round)
      left = std::exchange(right, left ^ (stir(key_ ^ (round << 32 | right)) & mask));
    return left << half_ | right;
  }

  std::uint64_t size_, key_;
  int half_ = 0;                                         // bits in half a number
};

/// Where the windows of an endless training run begin. Each window of `context` + 1 tokens comes once an epoch, in
/// reading order or, given a seed, in an order that differs from epoch to epoch. There is no state to keep: seed and
/// position say it all.
class CausalLMWindows {
 public:
  /// Throws when not one window fits.
  CausalLMWindows(Index n_tokens, Index context) {
    check(context > 0, "dataset: a context of ", context);
    check(n_tokens > context, "dataset: a text of ", n_tokens, " tokens is too short for a context of ", context, ", which needs one more");
    size_ = n_tokens - context;
  }
  void shuffle(std::uint64_t seed) { seed_ = seed; }

  /// How many windows make an epoch.
  Index size() const { return size_; }

  /// The first token of the window at a position, counted from the first of the first epoch.
  Index start(Index position) const {
    Index epoch = position / size_, i = position % size_;
    return seed_ ? KeyedPermutation(size_, stir(stir(*seed_) ^ static_cast<std::uint64_t>(epoch)))(i) : i;
  }

 private:
  Index size_ = 0;
  std::optional<std::uint64_t> seed_;
};

/// Batches for learning to tell the next token: targets are the inputs, one token on.
///
///     auto data = CausalLMDataset(tokens, context).batch(12).shuffle(1337);
///     auto [inputs, targets] = data.next();
///
/// Copies share the tokens, and read on independently.
class CausalLMDataset {
 public:
  struct Batch {
    Tensor<int> inputs, targets;                         // (batch, context) each
  };

  /// Throws when the text is shorter than context + 1 tokens.
  CausalLMDataset(std::vector<int> tokens, Index context)
      : tokens_(std::make_shared<const std::vector<int>>(std::move(tokens))), context_(context), windows_(n_tokens(), context) {}

  /// How many windows next() gives at a time; 1 unless told.
  CausalLMDataset& batch(Index n) {
    check(n > 0, "dataset: a batch of ", n);
    batch_ = n;
    return *this;
  }

  /// From now on epochs come in an order drawn from the seed, without it in reading order.
  CausalLMDataset& shuffle(std::uint64_t seed) {
    windows_.shuffle(seed);
    return *this;
  }

  /// The next batch. There always is one: a new epoch begins where the last one ends, inside of a batch if need be.
  Batch next() {
    Index first = position_;
    position_ += batch_;
    return gather(batch_, [&](Index row) { return windows_.start(first + row); });
  }

  /// How many windows make an epoch: one at each token that has `context` tokens after it.
  Index size() const { return windows_.size(); }
  Index context() const { return context_; }

  /// How many windows next() has given so far. Seeking there, with the same tokens, context and seed, continues exactly.
  Index position() const { return position_; }
  void seek(Index position) {
    check(position >= 0, "dataset: there is no position ", position);
    position_ = position;
  }

  /// For measuring a loss over the whole text once: how many windows there are side by side, a last part window left out.
  Index n_windows() const { return (n_tokens() - 1) / context_; }

  /// Up to `count` of those windows from number `first` on; fewer at the end. Throws when there is none.
  ///
  ///     for (Index i = 0; i < data.n_windows(); i += 12) { auto [inputs, targets] = data.windows(i, 12); … }
  Batch windows(Index first, Index count) const {
    check(count > 0 && first >= 0 && first < n_windows(), "dataset: ", count, " windows from number ", first, " on, of ", n_windows());
    return gather((std::min)(count, n_windows() - first), [&](Index row) { return (first + row) * context_; });
  }

 private:
  Index n_tokens() const { return static_cast<Index>(tokens_->size()); }

  template <class Start>
  Batch gather(Index rows, Start start) const {
    Batch batch{Tensor<int>(Shape{rows, context_}), Tensor<int>(Shape{rows, context_})};
    int *inputs = batch.inputs.mutable_data(), *targets = batch.targets.mutable_data();
    for (Index row = 0; row < rows; ++row) {
      const int* window = tokens_->data() + start(row);
      inputs = std::copy_n(window, context_, inputs);
      targets = std::copy_n(window + 1, context_, targets);
    }
    return batch;
  }

  std::shared_ptr<const std::vector<int>> tokens_;
  Index context_;
  CausalLMWindows windows_;
  Index batch_ = 1, position_ = 0;
};

/// What is trained on, and what is held back to validate with.
struct SplitTokens {
  std::vector<int> train, validation;
};

/// The first `fraction` of the tokens, rounded down, and the rest.
inline SplitTokens split(const std::vector<int>& tokens, double fraction) {
  check(fraction >= 0 && fraction <= 1, "split: a fraction of ", fraction, " is not between 0 and 1");
  auto middle = tokens.begin() + static_cast<Index>(static_cast<double>(tokens.size()) * fraction);
  return {{tokens.begin(), middle}, {middle, tokens.end()}};
}

}
}  // namespace tricycle
