// GPT-2's tokeniser, from the files that OpenAI and Hugging Face give out.
#pragma once
#include <optional>
#include <unordered_map>
#include "tricycle/train/byte_pairs.hpp"
#include "tricycle/train/gpt2_words.hpp"
#include "tricycle/train/special_tokens.hpp"
#include "tricycle/train/tokeniser_file.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Byte pairs within words, with the ids of any vocabulary in GPT-2's format: those that Hugging Face's `tokenizers` gives.
class GPT2Tokeniser {
 public:
  static constexpr std::string_view kind = "gpt2";

  /// From `tokenizer.json`, which save writes too. Error: it is malformed, or asks for what GPT-2 does not do.
  static GPT2Tokeniser load(const std::string& path) { return load_tokeniser<GPT2Tokeniser>(path); }

  /// From `vocab.json` and `merges.txt`. Tokens that no merge makes, and that are
  /// written as they are, are special: <|endoftext|>.
  /// Error: a file is malformed, or they do not fit each other.
  static GPT2Tokeniser load(const std::string& vocab, const std::string& merges) {
    auto tokeniser = use_tokeniser_file(vocab, [](std::string_view file) { return GPT2Tokeniser(Json::parse(file)); });
    use_tokeniser_file(merges, [&](std::string_view file) { tokeniser.read_merges(file); });
    tokeniser.unmade_are_special();
    return tokeniser;
  }

  int vocab_size() const { return pairs_.vocab_size(); }

  /// The id of a token as the vocabulary writes it ("Ġthe", "<|endoftext|>"), if it has it.
  std::optional<int> id_of(const std::string& token) const {
    auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// The ids of any bytes. Special tokens stand for themselves.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    auto words = [&](std::string_view plain) { encode_words(plain, ids); };
    auto special = [&](int id) { ids.push_back(id); };
    // As Hugging Face has it: tokens that are "normalized" are looked for between the others.
    special_.cut(text, [&](std::string_view plain) { normalised_.cut(plain, words, special); }, special);
    return ids;
  }

  /// The same without special tokens, which are text as any other: for a corpus that is not to be trusted.
  std::vector<int> encode_ordinary(std::string_view text) const {
    std::vector<int> ids;
    encode_words(text, ids);
    return ids;
  }

  /// The bytes that these ids stand for, special tokens too. Error: an id outside [0, vocab_size()).
  std::string decode(std::span<const int> ids) const { return pairs_.decode(ids); }

  /// A `tokenizer.json` as Hugging Face's `tokenizers` reads it, in which every added token is special.
  void save(const std::string& path) const { save_tokeniser(path, *this); }
  Json to_json() const {
    Json::Object vocab;
    for (const std::string& name : names_) vocab.emplace_back(name, static_cast<int>(vocab.size()));
    Json::Array merges, added;
    for (auto [left, right, made] : pairs_.merges()) merges.push_back(Json::Array{name(left), name(right)});
    for (const SpecialTokens* tokens : {&special_, &normalised_})
      for (const auto& [text, id] : tokens->all())
        added.push_back(Json::object({{"id", id}, {"content", text}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                                      {"normalized", tokens == &normalised_}, {"special", true}}));
    Json bytes = Json::object({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}});
    Json model = Json::object({{"type", "BPE"}, {"dropout", Json()}, {"unk_token", Json()}, {"continuing_subword_prefix", Json()},
                               {"end_of_word_suffix", Json()}, {"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false},
                               {"vocab", Json::object(std::move(vocab))}, {"merges", std::move(merges)}});
    return Json::object({{"version", "1.0"}, {"truncation", Json()}, {"padding", Json()}, {"added_tokens", std::move(added)}, {"normalizer", Json()},
                         {"pre_tokenizer", bytes}, {"post_processor", Json()}, {"decoder", bytes}, {"model", std::move(model)}});
  }

  static GPT2Tokeniser from_json(const Json& json) {
    json.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"});
    for (std::string_view key : {"truncation", "padding", "normalizer"})
      check(!json.find(key) || json[key].is_null(), "key \"", key, "\": GPT-2 has none");
    const Json& splits = json["pre_tokenizer"];
    for (const Json* part : {&splits, &json["decoder"]}) check(is_byte_level(*part), "its pre_tokenizer and its decoder are not both ByteLevel, as GPT-2's are");
    check(!splits.get<bool>("add_prefix_space", true), "key \"add_prefix_space\": GPT-2 adds none");
    check(splits.get<bool>("use_regex", true), "key \"use_regex\": GPT-2 splits words");
    const Json* post = json.find("post_processor");
    check(!post || post->is_null() || is_byte_level(*post) || adds_nothing(*post), "key \"post_processor\": it is not ByteLevel, as GPT-2's is, and adds something");

    const Json& model = json["model"];
    model.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
    check(model.get<std::string>("type", "BPE") == "BPE", "key \"type\": the model is not BPE");
    check(!model.find("dropout") || model["dropout"].is_null(), "key \"dropout\": GPT-2 has none");
    check(!model.get<bool>("ignore_merges", false), "key \"ignore_merges\": GPT-2 does not");
    for (std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const Json* affix = model.find(key)) check(affix->is_null() || affix->as<std::string>().empty(), "key \"", key, "\": GPT-2 has none");

    const auto& added = json.get<Json::Array>("added_tokens");
    GPT2Tokeniser tokeniser(model["vocab"], added);
    tokeniser.read_merges(model.get<Json::Array>("merges"));
    for (const Json& token : added) tokeniser.add_special(token);
    return tokeniser;
  }

 private:
  using Ids = std::unordered_map<std::string, int>;

  /// The vocabulary without merges: every id from 0 on once, all bytes among them. Added tokens may be missing from it.
  explicit GPT2Tokeniser(const Json& vocab, const Json::Array& added = {}) {
    auto insert = [&](const std::string& token, int id) {
      auto [place, is_new] = ids_.emplace(token, id);
      check(place->second == id, "the token \"", token, "\" is ", place->second, " and ", id);
    };
    for (const auto& [token, id] : vocab.as<Json::Object>("key \"vocab\": ")) insert(token, id.as<int>("token \"" + token + "\": "));
    for (const Json& token : added) insert(token.get<std::string>("content"), token.get<int>("id"));
    names_.resize(ids_.size());
    std::vector<bool> taken(ids_.size());
    for (const auto& [token, id] : ids_) {
      auto place = static_cast<std::size_t>(id);
      check(id >= 0 && place < taken.size(), "token \"", token, "\": its id ", id, " is not in [0, ", taken.size(), "), which is how many there are");
      check(!taken[place], "token \"", token, "\": its id ", id, " is another token's too");
      taken[place] = true;
      names_[place] = token;
    }
    for (const std::string& name : names_) pairs_.add(gpt2::bytes_of(name));
    for (int byte = 0; byte < 256; ++byte) {
      std::string token;
      utf8::append(token, gpt2::visible[static_cast<std::size_t>(byte)]);
      auto id = id_of(token);
      check(id.has_value(), "the byte ", byte, ", written \"", token, "\", is not in the vocabulary");
      pairs_.set_byte(byte, *id);
    }
  }

  static bool is_byte_level(const Json& json) { return !json.is_null() && json.get<std::string>("type") == "ByteLevel"; }

  /// A template of the text alone, which is what newer files have: {"single": [{"Sequence": ...}]}.
  static bool adds_nothing(const Json& post) {
    if (post.get<std::string>("type") != "TemplateProcessing") return false;
    const auto& single = post.get<Json::Array>("single");
    return single.size() == 1 && single[0].find("Sequence");
  }

  /// A line for each merge; the first may say "#version: 0.2".
  void read_merges(std::string_view file) {
    each_line(file, [&](std::string_view line, std::size_t at) {
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (at > 0 || !line.starts_with("#version")) add_merge(line, "the line at byte ", at);
    });
  }

  /// The same as Hugging Face writes it: "Ġ t" or, newer, ["Ġ", "t"].
  void read_merges(const Json::Array& merges) {
    for (const Json& merge : merges) {
      std::size_t n = pairs_.merges().size();
      if (merge.is_string()) {
        add_merge(merge.as<std::string>(), "key \"merges\": merge ", n);
        continue;
      }
      const auto& pair = merge.as<Json::Array>("key \"merges\": ");
      check(pair.size() == 2, "key \"merges\": merge ", n, " has ", pair.size(), " tokens, not 2");
      add_merge(pair[0].as<std::string>("key \"merges\": "), pair[1].as<std::string>("key \"merges\": "));
    }
  }

  void add_merge(std::string_view line, std::string_view what, std::size_t number) {
    std::size_t space = line.find(' ');
    check(space != line.npos && line.find(' ', space + 1) == line.npos, what, number, " is not two tokens with a space between");
    add_merge(std::string(line.substr(0, space)), std::string(line.substr(space + 1)));
  }

  void add_merge(const std::string& left, const std::string& right) {
    auto id = [&](const std::string& token) {
      auto found = id_of(token);
      if (!found) fail("merge ", pairs_.merges().size(), ", \"", left, "\" and \"", right, "\": \"", token, "\" is not in the vocabulary");
      return *found;
    };
    check(!left.empty() && !right.empty(), "merge ", pairs_.merges().size(), " has an empty token");
    pairs_.add_merge({id(left), id(right), id(left + right)});
  }

  void add_special(const Json& token) {
    token.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    const auto& text = token.get<std::string>("content");
    for (std::string_view key : {"single_word", "lstrip", "rstrip"}) check(!token.get<bool>(key, false), "special token \"", text, "\": \"", key, "\" is not for GPT-2");
    int id = token.get<int>("id");
    check(pairs_.text(id) == text, "special token \"", text, "\": it is written like ordinary ones, in characters that stand for other bytes");
    (token.get<bool>("normalized") ? normalised_ : special_).add(text, id);
  }

  void unmade_are_special() {                            // those that stand for themselves; others are only decoded
    std::vector<bool> made(names_.size());
    for (const auto& merge : pairs_.merges()) made[static_cast<std::size_t>(merge.made)] = true;
    for (int id = 0; id < vocab_size(); ++id)
      if (!made[static_cast<std::size_t>(id)] && pairs_.text(id).size() > 1 && pairs_.text(id) == name(id)) special_.add(name(id), id);
  }

  void encode_words(std::string_view text, std::vector<int>& ids) const {
    for (std::size_t at = 0, end; at < text.size(); at = end) {
      end = gpt2::word_end(text, at);
      pairs_.encode(text.substr(at, end - at), ids);
    }
  }

  const std::string& name(int id) const { return names_[static_cast<std::size_t>(id)]; }

  BytePairs pairs_;
  std::vector<std::string> names_;                       // tokens by id, as the vocabulary writes them
  Ids ids_;                                              // and the other way
  SpecialTokens special_, normalised_;
};

}
}  // namespace tricycle
