// UTF-8, strictly: no overlong forms, no surrogates, nothing past U+10FFFF (Unicode 15, table 3-7).
#pragma once
#include <string>
#include <string_view>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace utf8 {

struct Character {
  char32_t code;
  std::size_t bytes;                                     // 0: no valid character begins here
};

/// The character that begins at text[at].
inline Character read(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  std::size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4 || text.size() - at < bytes) return {0, 0};
  char32_t code = lead & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  bool overlong = code < (bytes == 2 ? 0x80u : bytes == 3 ? 0x800u : 0x10000u);
  bool surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || code > 0x10ffff ? Character{0, 0} : Character{code, bytes};
}

inline void append(std::string& text, char32_t code) {
  auto add = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) add(0xc0 | code >> 6);
  else if (code < 0x10000) add(0xe0 | code >> 12), add(0x80 | (code >> 6 & 0x3f));
  else add(0xf0 | code >> 18), add(0x80 | (code >> 12 & 0x3f)), add(0x80 | (code >> 6 & 0x3f));
  add(0x80 | (code & 0x3f));
}

/// Where the first byte stands that is not UTF-8; text.size() when all is.
inline std::size_t first_invalid(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    Character c = read(text, at);
    if (c.bytes == 0) break;
    at += c.bytes;
  }
  return at;
}

/// The text with U+FFFD in the place of every byte that is not UTF-8.
inline std::string repaired(std::string_view text) {
  std::string whole;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t wrong = at + first_invalid(text.substr(at));
    whole.append(text, at, wrong - at);
    if (wrong < text.size()) append(whole, 0xfffd);
    at = wrong + 1;
  }
  return whole;
}

}  // namespace utf8
}
}  // namespace tricycle
