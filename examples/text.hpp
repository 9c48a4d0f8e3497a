// What a run learns from: text, as the numbers that a tokeniser makes of it.
#pragma once
#include <optional>
#include <string>
#include <vector>
#include "command_line.hpp"
#include "corpus.hpp"
#include "tricycle/train/dataset.hpp"
#include "tricycle/train/tokeniser.hpp"

namespace examples {

inline constexpr const char* tokenisers = "character|bpe|gpt2";

/// The kind that fits a configuration's vocabulary: GPT-2's, characters, or pieces of words.
inline std::string tokeniser_for(tricycle::Index vocab_size) { return vocab_size == 50257 ? "gpt2" : vocab_size <= 256 ? "character" : "bpe"; }

/// GPT-2's, from a tokenizer.json or from a folder that has one, or vocab.json and merges.txt.
inline tricycle::GPT2Tokeniser load_gpt2(const std::string& path) {
  using tricycle::GPT2Tokeniser;
  if (path.empty()) throw UsageError("--tokeniser gpt2 needs --tokeniser-files PATH: tokenizer.json, or the folder of vocab.json and merges.txt");
  if (!tricycle::is_folder(path)) return GPT2Tokeniser::load(path);
  return tricycle::file_exists(path + "/tokenizer.json") ? GPT2Tokeniser::load(path + "/tokenizer.json") : GPT2Tokeniser::load(path + "/vocab.json", path + "/merges.txt");
}

/// What a text is begun with that has no prompt: a new line or, of characters, the first that there is, which it often is.
inline std::vector<int> beginning(const tricycle::Tokeniser& tokeniser) { return tokeniser.kind() == "character" ? std::vector<int>{0} : tokeniser.encode("\n"); }

/// A text, cut into what is trained on and what is validated with.
struct Text {
  tricycle::Tokeniser tokeniser;
  tricycle::Tokens training, validation;
};

}  // namespace examples
