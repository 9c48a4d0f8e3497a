// What a run learns from: text, as the numbers that a tokeniser makes of it.
#pragma once
#include <optional>
#include <string>
#include <vector>
#include "command_line.hpp"
#include "corpus.hpp"
#include "tricycle/io/token_file.hpp"
#include "tricycle/train/dataset.hpp"
#include "tricycle/train/tokeniser.hpp"

namespace examples {

inline constexpr const char* tokenisers = "character|bpe|gpt2";

/// A kind as it is called now: characters were once "char".
inline std::string tokeniser_kind(const std::string& name) { return name == "char" ? "character" : name; }

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

/// Does a folder hold token files, as nanoGPT makes them: train.bin and val.bin?
inline bool is_token_folder(const std::string& path) { return tricycle::file_exists(path + "/train.bin") && tricycle::file_exists(path + "/val.bin"); }

/// Ids from a file: of 16 bits, or of 32 where the vocabulary does not fit in 16.
inline tricycle::Tokens map_tokens(const std::string& path, int vocab_size) {
  auto map = [&]<class Id>(Id) {
    tricycle::TokenFile<Id> file(path, vocab_size);
    return tricycle::Tokens(file.ids(), file.owner());
  };
  return vocab_size <= 65536 ? map(std::uint16_t{}) : map(std::uint32_t{});
}

/// A text, cut into what is trained on and what is validated with.
struct Text {
  tricycle::Tokeniser tokeniser;
  tricycle::Tokens training, validation;
};

}  // namespace examples
