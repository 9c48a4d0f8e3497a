// How GPT-2 cuts a text into words before it merges bytes (Radford et al. 2019, `encoder.py`):
//
//     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// by hand, and how it writes bytes as characters that can be seen.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include "tricycle/core/error.hpp"
#include "tricycle/io/unicode_classes.hpp"
#include "tricycle/io/utf8.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpt2 {

struct Character {
  unicode::Class is;
  std::size_t bytes;
};

/// The character at text[at]; a byte that is no UTF-8 is one of class other.
inline Character read(std::string_view text, std::size_t at) {
  static constexpr auto ascii = [] {
    std::array<unicode::Class, 128> classes{};
    for (char32_t code = 0; code < 128; ++code) classes[code] = unicode::class_of(code);
    return classes;
  }();
  auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return {ascii[byte], 1};
  utf8::Character c = utf8::read(text, at);
  return c.bytes ? Character{unicode::class_of(c.code), c.bytes} : Character{unicode::Class::other, 1};
}

/// The end of the contraction that begins with the ' at text[at], or `at` where there is none.
inline std::size_t contraction_end(std::string_view text, std::size_t at) {
  for (std::string_view ending : {"s", "t", "re", "ve", "m", "ll", "d"})
    if (text.substr(at + 1, ending.size()) == ending) return at + 1 + ending.size();
  return at;
}

/// The end of the word that begins at text[at].
inline std::size_t word_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    std::size_t end = contraction_end(text, at);
    if (end != at) return end;
  }
  std::size_t begin = at;
  if (text[at] == ' ' && at + 1 < text.size() && read(text, at + 1).is != unicode::Class::space) ++begin;   // it leads the word
  unicode::Class is = read(text, begin).is;
  std::size_t end = begin, last = begin;                 // of the word, and where its last character begins
  while (end < text.size()) {
    Character c = read(text, end);
    if (c.is != is) break;
    last = end;
    end += c.bytes;
  }
  // Of white space before a word the last character is left: a space leads that word, any other is a word of its own.
  bool leaves_one = is == unicode::Class::space && end < text.size() && last > begin;
  return leaves_one ? last : end;
}

/// Bytes as characters: those that print stand for themselves, the others in turn are U+0100, U+0101, … U+0143.
inline constexpr auto visible = [] {
  std::array<char32_t, 256> codes{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    bool prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
    codes[byte] = prints ? byte : next++;
  }
  return codes;
}();

/// The bytes of a token that is written in these characters. Text with any other character stands for itself.
inline std::string bytes_of(const std::string& token) {
  static constexpr auto byte_of = [] {
    std::array<int, 0x144> bytes{};
    bytes.fill(-1);
    for (int byte = 0; byte < 256; ++byte) bytes[visible[static_cast<std::size_t>(byte)]] = byte;
    return bytes;
  }();
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    utf8::Character c = utf8::read(token, at);
    int byte = c.code < byte_of.size() ? byte_of[c.code] : -1;
    if (byte < 0) return token;
    bytes += static_cast<char>(byte);
    at += c.bytes;
  }
  return bytes;
}

}  // namespace gpt2
}
}  // namespace tricycle
