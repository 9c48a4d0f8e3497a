// The original's tokeniser: byte pairs over the whole text, the most frequent pair first.
#pragma once
#include <queue>
#include "tricycle/train/byte_pairs.hpp"
#include "tricycle/train/special_tokens.hpp"
#include "tricycle/train/tokeniser_file.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Which pairs of a text to merge: a linked list of tokens, and for each pair how often and where it stands.
class BytePairTrainer {
 public:
  /// Adds a stretch of text; pairs do not reach across its ends.
  void add(std::string_view text) {
    check(text.size() < end - tokens_.size(), "a text of 2^32 bytes or more is too long to train on");
    for (char byte : text) append(static_cast<unsigned char>(byte));
    append(nothing);
  }

  struct Pair {
    Index count;
    int left, right;
    /// Comes later: is rarer or, where both are equally frequent, larger.
    friend bool operator<(const Pair& a, const Pair& b) {
      if (a.count != b.count) return a.count < b.count;
      return a.left != b.left ? a.left > b.left : a.right > b.right;
    }
  };

  /// Calls merge(left, right) for the most frequent pair, the smallest of several, puts the id that this returns in its
  /// places, and goes on with the next; until merge returns -1 or no pair stands twice.
  template <class Merge>
  void run(Merge merge) {
    for (std::uint32_t at = 0; at + 1 < tokens_.size(); ++at) count(at, +1);
    pairs_.each([&](int left, int right, const Places& places) { queue(left, right, places); });
    while (!queue_.empty()) {
      Pair pair = queue_.top();
      queue_.pop();
      Places& places = pairs_(pair.left, pair.right);
      if (places.count != pair.count) {                  // it has become rarer since it was queued, as it may once it is whole
        queue(pair.left, pair.right, places);
        continue;
      }
      int made = merge(pair.left, pair.right);
      if (made < 0) return;
      replace(pair, std::move(places.at), made);
    }
  }

 private:
  static constexpr int nothing = -1;                     // the id of what parts stretches, and of a token's later bytes
  static constexpr std::uint32_t end = 0xffffffff;
  struct Token {
    int id;
    std::uint32_t before, after;
  };
  struct Places {
    Index count = 0;
    std::vector<std::uint32_t> at{};                     // of the left tokens in ascending order; some hold the pair no more
  };

  void append(int id) {
    auto at = static_cast<std::uint32_t>(tokens_.size());
    tokens_.push_back({id, at - 1, at + 1});             // there is nothing before the first: at - 1 is `end`
  }

  void queue(int left, int right, const Places& places) {
    if (places.count > 1) queue_.push({places.count, left, right});
  }

  /// Counts the pair whose left token is at `at` once more or less.
  void count(std::uint32_t at, int by) {
    if (at == end || tokens_[at].id == nothing || tokens_[tokens_[at].after].id == nothing) return;
    int left = tokens_[at].id, right = tokens_[tokens_[at].after].id;
    Places& places = pairs_(left, right);
    if (by > 0 && places.count == 0 && places.at.empty()) fresh_.push_back({0, left, right});
    places.count += by;
    if (by > 0) places.at.push_back(at);
  }

  void replace(const Pair& pair, std::vector<std::uint32_t> places, int made) {
    fresh_.clear();
    for (std::uint32_t at : places) {
      Token& token = tokens_[at];
      if (token.id != pair.left || tokens_[token.after].id != pair.right) continue;
      Token& gone = tokens_[token.after];
      count(token.before, -1);
      count(token.after, -1);
      token = {made, token.before, gone.after};
      gone.id = nothing;
      tokens_[token.after].before = at;
      count(token.before, +1);
      count(at, +1);
    }
    pairs_(pair.left, pair.right).count = 0;
    for (const Pair& made_now : fresh_) queue(made_now.left, made_now.right, pairs_(made_now.left, made_now.right));
  }

  std::vector<Token> tokens_;                            // by their first byte; each stretch ends in `nothing`
  PairMap<Places> pairs_;
  std::priority_queue<Pair> queue_;
  std::vector<Pair> fresh_;                              // what the last merge brought about
};

/// Byte-pair encoding of any bytes. Ids 0 to 255 are the bytes, then come the merges in the order in which they were
/// found, then the special tokens.
class BPETokeniser {
 public:
  static constexpr std::string_view kind = "bpe";

  /// Merges the most frequent pair of neighbours, of several the smallest, until there are vocab_size tokens or no pair
  /// stands twice. Error: the vocabulary has no room for the bytes and the special tokens.
  static BPETokeniser train(std::string_view text, int vocab_size, const std::vector<std::string>& special_tokens = {}) {
    return about("tokeniser", [&] {
      SpecialTokens special;
      for (const std::string& token : special_tokens) special.add(token, 0);
      int n_special = static_cast<int>(special_tokens.size()), n_merges = vocab_size > 0 ? vocab_size - 256 - n_special : -1;
      check(n_merges >= 0, "a vocabulary of ", vocab_size, " has no room for the 256 bytes and ", n_special, " special tokens");
      BytePairTrainer trainer;
      special.cut(text, [&](std::string_view plain) { trainer.add(plain); }, [](int) {});
      BPETokeniser tokeniser;
      trainer.run([&](int left, int right) { return n_merges-- > 0 ? tokeniser.merge(left, right) : -1; });
      for (const std::string& token : special_tokens) tokeniser.add_special(token);
      return tokeniser;
    });
  }

  int vocab_size() const { return pairs_.vocab_size(); }

  /// The ids of any bytes: merges in their order, each from left to right.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    special_.cut(text, [&](std::string_view plain) { pairs_.encode(plain, ids); }, [&](int id) { ids.push_back(id); });
    return ids;
  }

  /// The bytes that these ids stand for. Error: an id outside [0, vocab_size()).
  std::string decode(std::span<const int> ids) const { return pairs_.decode(ids); }

  /// {"tokeniser": "bpe", "merges": [[101,32], [116,104], …], "special_tokens": ["<|endoftext|>"]}, in the order of the ids.
  void save(const std::string& path) const { save_tokeniser(path, *this); }
  Json to_json() const {
    Json::Array merges, special;
    for (auto [left, right, made] : pairs_.merges()) merges.push_back(Json::Array{left, right});
    for (int id = 256 + static_cast<int>(merges.size()); id < vocab_size(); ++id) special.push_back(pairs_.text(id));
    return Json::object({{"tokeniser", std::string(kind)}, {"merges", merges}, {"special_tokens", special}});
  }

  /// What save wrote. Error: it is malformed, another kind of tokeniser's, or merges what is not there yet.
  static BPETokeniser load(const std::string& path) { return load_tokeniser<BPETokeniser>(path); }
  static BPETokeniser from_json(const Json& json) {
    json.allow_only({"tokeniser", "merges", "special_tokens"});
    detail::check_kind(json, kind);
    BPETokeniser tokeniser;
    for (const Json& item : json.get<Json::Array>("merges")) {
      int n = tokeniser.vocab_size();
      const auto& pair = item.as<Json::Array>("key \"merges\": ");
      check(pair.size() == 2, "key \"merges\": merge ", n - 256, " has ", pair.size(), " tokens, not 2");
      int left = pair[0].as<int>("key \"merges\": "), right = pair[1].as<int>("key \"merges\": ");
      for (int id : {left, right}) check(id >= 0 && id < n, "key \"merges\": merge ", n - 256, " has token ", id, ", which is not in [0, ", n, ")");
      tokeniser.merge(left, right);
    }
    for (const Json& item : json.get<Json::Array>("special_tokens")) tokeniser.add_special(item.as<std::string>("key \"special_tokens\": "));
    return tokeniser;
  }

 private:
  BPETokeniser() {
    for (int byte = 0; byte < 256; ++byte) pairs_.set_byte(byte, pairs_.add(std::string(1, static_cast<char>(byte))));
  }

  int merge(int left, int right) {
    int made = pairs_.add(pairs_.text(left) + pairs_.text(right));
    pairs_.add_merge({left, right, made});
    return made;
  }

  void add_special(const std::string& text) { special_.add(text, pairs_.add(text)); }

  BytePairs pairs_;
  SpecialTokens special_;
};

}
}  // namespace tricycle
