// Text as numbers and back: a tokeniser of any kind.
#pragma once
#include <variant>
#include "tricycle/train/bpe.hpp"
#include "tricycle/train/character_tokeniser.hpp"
#include "tricycle/train/gpt2_tokeniser.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// A CharacterTokeniser, a BPETokeniser or a GPT2Tokeniser: what a run that can use any of them holds.
///
///     Tokeniser tokeniser = BPETokeniser::train(text, 1024);
///     tokeniser.save("tokeniser.json");
///     Tokeniser same = Tokeniser::load("tokeniser.json");      // same.kind() == "bpe"
class Tokeniser {
 public:
  explicit(false) Tokeniser(CharacterTokeniser tokeniser) : any_(std::move(tokeniser)) {}
  explicit(false) Tokeniser(BPETokeniser tokeniser) : any_(std::move(tokeniser)) {}
  explicit(false) Tokeniser(GPT2Tokeniser tokeniser) : any_(std::move(tokeniser)) {}

  /// "character", "bpe" or "gpt2".
  std::string_view kind() const {
    return std::visit([](const auto& t) { return t.kind; }, any_);
  }

  int vocab_size() const {
    return std::visit([](const auto& t) { return t.vocab_size(); }, any_);
  }
  std::vector<int> encode(std::string_view text) const {
    return std::visit([&](const auto& t) { return t.encode(text); }, any_);
  }
  std::string decode(std::span<const int> ids) const {
    return std::visit([&](const auto& t) { return t.decode(ids); }, any_);
  }
  void save(const std::string& path) const { save_tokeniser(path, *this); }
  Json to_json() const {
    return std::visit([](const auto& t) { return t.to_json(); }, any_);
  }

  /// What save of any kind wrote. A file that does not say its kind is a `tokenizer.json` from elsewhere: GPT-2's.
  static Tokeniser load(const std::string& path) { return load_tokeniser<Tokeniser>(path); }
  static Tokeniser from_json(const Json& json) {
    if (!json.find("tokeniser")) return GPT2Tokeniser::from_json(json);
    const auto& kind = json.get<std::string>("tokeniser");
    if (kind == CharacterTokeniser::kind) return CharacterTokeniser::from_json(json);
    if (kind == BPETokeniser::kind) return BPETokeniser::from_json(json);
    fail("key \"tokeniser\": \"", kind, "\" is neither \"character\" nor \"bpe\"");
  }

 private:
  std::variant<CharacterTokeniser, BPETokeniser, GPT2Tokeniser> any_;
};

}
}  // namespace tricycle
