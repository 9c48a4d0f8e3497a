// Byte-pair encoding (Sennrich, Haddow and Birch 2016), the part that all its tokenisers share: tokens, merges, text to ids and back.
#pragma once
#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "tricycle/core/error.hpp"
#include "tricycle/train/pair_map.hpp"
#include "tricycle/train/tokeniser_file.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Tokens, which are strings of bytes, and merges, which make of two neighbours one token. Encoding begins with single
/// bytes, and as long as there is a merge for any two neighbours carries out the earliest, at its leftmost place first.
class BytePairs {
 public:
  struct Merge {
    int left, right, made;
  };

  int vocab_size() const { return static_cast<int>(texts_.size()); }
  const std::string& text(int id) const { return texts_[static_cast<std::size_t>(id)]; }
  const std::vector<Merge>& merges() const { return merges_; }

  /// Adds a token, whose id is the next. Error: the tokens hold more bytes than a file of merges should be able to ask for.
  int add(std::string text) {
    n_bytes_ += text.size();
    check(n_bytes_ <= most_bytes, "the texts of its tokens are longer than ", most_bytes, " bytes together");
    texts_.push_back(std::move(text));
    return vocab_size() - 1;
  }

  /// Says which token a single byte is. All 256 must be said before anything is encoded.
  void set_byte(int byte, int id) { byte_ids_[static_cast<std::size_t>(byte)] = id; }

  /// Adds a merge, which comes after those that there are. Error: the pair has one.
  void add_merge(Merge merge) {
    Rank& rank = ranks_(merge.left, merge.right);
    check(rank.made < 0, "the tokens ", merge.left, " and ", merge.right, " are merged twice");
    rank = {static_cast<std::uint32_t>(merges_.size()), merge.made};
    merges_.push_back(merge);
    joins_[joint(text(merge.left).back(), text(merge.right).front())] = true;
  }

  /// Appends the ids of `text`. O(n log n) in its bytes, whatever they are.
  void encode(std::string_view text, std::vector<int>& ids) const {
    // No merge reaches across two bytes that no merge puts side by side, so that what is between such places is short.
    for (std::size_t begin = 0, end = 1; end <= text.size(); ++end) {
      if (end < text.size() && joins_[joint(text[end - 1], text[end])]) continue;
      encode_run(text.substr(begin, end - begin), ids);
      begin = end;
    }
  }

  /// The bytes that these ids stand for. Error: an id outside [0, vocab_size()).
  std::string decode(std::span<const int> ids) const { return detail::texts_of(ids, texts_); }

 private:
  static constexpr std::size_t most_bytes = std::size_t{1} << 26, short_run = 32;
  static constexpr std::uint32_t no_rank = 0xffffffff;
  struct Rank {
    std::uint32_t rank = no_rank;
    int made = -1;
  };

  static std::size_t joint(char left, char right) { return static_cast<std::size_t>(static_cast<unsigned char>(left) << 8 | static_cast<unsigned char>(right)); }
  int byte_id(char byte) const { return byte_ids_[static_cast<unsigned char>(byte)]; }
  Rank rank_of(int left, int right) const {
    const Rank* rank = ranks_.find(left, right);
    return rank ? *rank : Rank{};
  }

  void encode_run(std::string_view run, std::vector<int>& ids) const {
    if (run.size() == 1) ids.push_back(byte_id(run[0]));
    else if (run.size() <= short_run) encode_short(run, ids);
    else encode_long(run, ids);
  }

  /// Looks through all neighbours for the earliest merge, again and again: for a word that is quicker than any bookkeeping.
  void encode_short(std::string_view run, std::vector<int>& out) const {
    std::array<int, short_run> ids;
    std::array<Rank, short_run> ranks;                   // of i and i + 1
    std::size_t n = run.size();
    for (std::size_t i = 0; i < n; ++i) ids[i] = byte_id(run[i]);
    for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_of(ids[i], ids[i + 1]);
    while (n > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < n; ++i)
        if (ranks[i].rank < ranks[best].rank) best = i;
      if (ranks[best].rank == no_rank) break;
      ids[best] = ranks[best].made;
      for (std::size_t i = best + 1; i + 1 < n; ++i) ids[i] = ids[i + 1], ranks[i - 1] = ranks[i];
      --n;
      if (best > 0) ranks[best - 1] = rank_of(ids[best - 1], ids[best]);
      if (best + 1 < n) ranks[best] = rank_of(ids[best], ids[best + 1]);
    }
    out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
  }

  /// The same with a heap of (rank, place), whose entries are stale when the token at the place has another rank by now.
  void encode_long(std::string_view run, std::vector<int>& out) const {
    check(run.size() < no_rank, "tokeniser: a text of ", run.size(), " bytes without a place to cut it at");
    struct Token {
      int id;
      std::uint32_t before, after;
      Rank rank;                                         // of this token and the one after it
    };
    auto n = static_cast<std::uint32_t>(run.size());
    std::vector<Token> tokens(n);
    std::vector<std::uint64_t> heap;
    auto look_up = [&](std::uint32_t at) {
      std::uint32_t after = tokens[at].after;
      tokens[at].rank = after < n ? rank_of(tokens[at].id, tokens[after].id) : Rank{};
      bool can_merge = tokens[at].rank.rank != no_rank;
      if (can_merge) heap.push_back(static_cast<std::uint64_t>(tokens[at].rank.rank) << 32 | at);
      return can_merge;
    };
    auto push = [&](std::uint32_t at) {
      if (look_up(at)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    };

    for (std::uint32_t i = 0; i < n; ++i) tokens[i] = {byte_id(run[i]), i - 1, i + 1, {}};
    for (std::uint32_t i = 0; i < n; ++i) look_up(i);
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      std::uint64_t best = heap.back();
      heap.pop_back();
      auto at = static_cast<std::uint32_t>(best);
      Token& token = tokens[at];
      if (token.rank.rank != best >> 32) continue;
      Token& gone = tokens[token.after];
      token.id = token.rank.made;
      token.after = gone.after;
      gone.rank = {};
      if (token.after < n) tokens[token.after].before = at;
      push(at);
      if (at > 0) push(token.before);
    }
    for (std::uint32_t i = 0; i < n; i = tokens[i].after) out.push_back(tokens[i].id);
  }

  std::vector<std::string> texts_;                       // by id
  std::size_t n_bytes_ = 0;
  std::array<int, 256> byte_ids_{};
  std::vector<Merge> merges_;                            // the earliest first
  PairMap<Rank> ranks_;
  std::vector<bool> joins_ = std::vector<bool>(std::size_t{1} << 16);   // is there a merge with this byte before that one where its parts meet?
};

}
}  // namespace tricycle
