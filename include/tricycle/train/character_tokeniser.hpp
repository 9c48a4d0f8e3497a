// A tokeniser whose tokens are characters.
#pragma once
#include <iomanip>
#include <span>
#include <string>
#include <vector>
#include "tricycle/core/error.hpp"
#include "tricycle/io/utf8.hpp"
#include "tricycle/train/tokeniser_file.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// One token for each character of the text that it was trained on. A byte that is no UTF-8 is a character too, so that
/// decode(encode(text)) == text for every text made of these characters, whatever its bytes.
class CharacterTokeniser {
 public:
  static constexpr std::string_view kind = "character";

  /// The characters of `text`: code points in ascending order, then stray bytes. Error: an empty text.
  static CharacterTokeniser train(std::string_view text) {
    std::vector<bool> seen(n_symbols);
    for (std::size_t at = 0; at < text.size();) {
      Symbol symbol = read(text, at);
      seen[symbol.number] = true;
      at += symbol.bytes;
    }
    CharacterTokeniser tokeniser;
    for (std::size_t code = 0; code < n_symbols; ++code)
      if (seen[code] && !is_stray(code)) tokeniser.add(code);
    for (std::size_t stray = first_stray; stray < end_stray; ++stray)
      if (seen[stray]) tokeniser.add(stray);
    check(tokeniser.vocab_size() > 0, "tokeniser: there is no text to train on");
    return tokeniser;
  }

  int vocab_size() const { return static_cast<int>(text_of_.size()); }

  /// One id for each character. Error: a character that the training text did not have, named with its byte.
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    ids.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      Symbol symbol = read(text, at);
      int id = symbol.number < id_of_.size() ? id_of_[symbol.number] : none;
      if (id == none) fail("tokeniser: ", describe(symbol, text.substr(at, symbol.bytes)), " at byte ", at, " is not in the alphabet");
      ids.push_back(id);
      at += symbol.bytes;
    }
    return ids;
  }

  /// The characters that these ids stand for. Error: an id outside [0, vocab_size()).
  std::string decode(std::span<const int> ids) const { return detail::texts_of(ids, text_of_); }

  /// {"tokeniser": "character", "alphabet": "\n !$&…", "stray_bytes": [255]}, in the order of the ids.
  void save(const std::string& path) const { save_tokeniser(path, *this); }
  Json to_json() const {
    std::string alphabet;
    Json::Array stray_bytes;
    for (const std::string& text : text_of_) {
      if (utf8::read(text, 0).bytes) alphabet += text;
      else stray_bytes.push_back(static_cast<unsigned char>(text[0]));
    }
    return Json::object({{"tokeniser", std::string(kind)}, {"alphabet", alphabet}, {"stray_bytes", stray_bytes}});
  }

  /// What save wrote. Error: it is malformed, another kind of tokeniser's, or its characters are not in order.
  static CharacterTokeniser load(const std::string& path) { return load_tokeniser<CharacterTokeniser>(path); }
  static CharacterTokeniser from_json(const Json& json) {
    json.allow_only({"tokeniser", "alphabet", "stray_bytes"});
    detail::check_kind(json, kind);
    CharacterTokeniser tokeniser;
    const auto& alphabet = json.get<std::string>("alphabet");
    for (std::size_t at = 0, least = 0; at < alphabet.size();) {
      Symbol symbol = read(alphabet, at);
      check(symbol.number >= least, "key \"alphabet\": its characters are not in ascending order at byte ", at);
      tokeniser.add(symbol.number);
      at += symbol.bytes, least = symbol.number + 1;
    }
    std::size_t least = first_stray;
    for (const Json& item : json.get<Json::Array>("stray_bytes")) {
      std::size_t stray = 0xdc00u + item.as<std::uint8_t>("key \"stray_bytes\": ");
      check(stray >= least, "key \"stray_bytes\": not ascending from 128");
      tokeniser.add(stray);
      least = stray + 1;
    }
    check(tokeniser.vocab_size() > 0, "it has no characters");
    return tokeniser;
  }

 private:
  struct Symbol {
    std::size_t number, bytes;
  };
  // A stray byte is numbered as the surrogate U+DC00 + byte, which no valid text holds.
  static constexpr std::size_t n_symbols = 0x110000, first_stray = 0xdc80, end_stray = 0xdd00;
  static constexpr int none = -1;

  static bool is_stray(std::size_t number) { return number >= first_stray && number < end_stray; }

  static Symbol read(std::string_view text, std::size_t at) {
    utf8::Character c = utf8::read(text, at);
    if (c.bytes) return {c.code, c.bytes};
    return {0xdc00u + static_cast<unsigned char>(text[at]), 1};
  }

  /// the character "é" (U+00E9), or its number alone where it has no shape of its own.
  static std::string describe(Symbol symbol, std::string_view text) {
    return written([&](std::ostream& out) {
      out << std::hex << std::uppercase;
      if (is_stray(symbol.number)) {
        out << "the stray byte 0x" << symbol.number - 0xdc00;
      } else {
        bool printable = symbol.number > 0x20 && (symbol.number < 0x7f || symbol.number > 0xa0);
        out << "the character ";
        if (printable) out << '"' << text << "\" (";
        out << "U+" << std::setfill('0') << std::setw(4) << symbol.number << (printable ? ")" : "");
      }
    });
  }

  void add(std::size_t number) {
    std::string text;
    if (is_stray(number)) text = static_cast<char>(static_cast<unsigned char>(number - 0xdc00));
    else utf8::append(text, static_cast<char32_t>(number));
    if (id_of_.size() <= number) id_of_.resize(number + 1, none);
    id_of_[number] = vocab_size();
    text_of_.push_back(std::move(text));
  }

  std::vector<std::string> text_of_;                     // by id
  std::vector<int> id_of_;                               // by symbol, as far as the largest that there is
};

}
}  // namespace tricycle
