// Which example comes when: orders that need no table and no state.
#pragma once
#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>
#include "tricycle/core/error.hpp"

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

/// In which order the examples of an endless training run come: each once an epoch, in reading order or, given a seed, in an
/// order that differs from epoch to epoch. There is no state to keep: seed and position say it all.
class EpochOrder {
 public:
  /// Of so many examples.
  explicit EpochOrder(Index size) : size_(size) { check(size > 0, "dataset: it is empty"); }
  void shuffle(std::uint64_t seed) { seed_ = seed; }
  /// From now on each example is drawn from all of them, so that there is one epoch without end.
  void draw(std::uint64_t seed) { seed_ = seed, draws_ = true; }

  Index size() const { return size_; }

  /// The example at a position, counted from the first of the first epoch.
  Index at(Index position) const {
    if (draws_) return static_cast<Index>(stir(stir(*seed_) ^ static_cast<std::uint64_t>(position)) % static_cast<std::uint64_t>(size_));
    Index i = position % size_;
    return seed_ ? KeyedPermutation(size_, stir(stir(*seed_) ^ static_cast<std::uint64_t>(epoch(position))))(i) : i;
  }

  Index epoch(Index position) const { return draws_ ? 0 : position / size_; }
  /// The first position of the next epoch.
  Index epoch_end(Index position) const { return draws_ ? (std::numeric_limits<Index>::max)() : (position / size_ + 1) * size_; }

 private:
  Index size_;
  std::optional<std::uint64_t> seed_;
  bool draws_ = false;
};

}
}  // namespace tricycle
