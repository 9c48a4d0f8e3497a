// Special tokens: strings that stand for one id wherever they are in a text, such as <|endoftext|>.
#pragma once
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>
#include "tricycle/core/error.hpp"
#include "tricycle/io/utf8.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Cuts texts at special tokens: the leftmost first, and of several at one place the longest.
class SpecialTokens {
 public:
  struct Token {
    std::string text;
    int id;
  };

  /// Error: it is empty, no UTF-8, or there already.
  void add(std::string text, int id) {
    check(!text.empty(), "a special token is empty");
    check(utf8::first_invalid(text) == text.size(), "special token ", tokens_.size(), " is not UTF-8");
    for (const Token& token : tokens_) check(token.text != text, "the special token \"", text, "\" stands twice");
    begins_[static_cast<unsigned char>(text[0])] = true;
    auto shorter = std::find_if(tokens_.begin(), tokens_.end(), [&](const Token& token) { return token.text.size() < text.size(); });
    tokens_.insert(shorter, {std::move(text), id});
  }

  bool empty() const { return tokens_.empty(); }
  const std::vector<Token>& all() const { return tokens_; }

  /// plain(text) for what is between special tokens, where that is not empty, and special(id) for each of these.
  template <class Plain, class Special>
  void cut(std::string_view text, Plain plain, Special special) const {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size() && !empty();) {
      const Token* token = begins_[static_cast<unsigned char>(text[at])] ? token_at(text.substr(at)) : nullptr;
      if (!token) {
        ++at;
        continue;
      }
      if (begin < at) plain(text.substr(begin, at - begin));
      special(token->id);
      begin = at += token->text.size();
    }
    if (begin < text.size()) plain(text.substr(begin));
  }

 private:
  const Token* token_at(std::string_view text) const {
    for (const Token& token : tokens_)
      if (text.starts_with(token.text)) return &token;
    return nullptr;
  }

  std::vector<Token> tokens_;                            // the longest first
  std::array<bool, 256> begins_{};                       // does any begin with this byte?
};

}
}  // namespace tricycle
