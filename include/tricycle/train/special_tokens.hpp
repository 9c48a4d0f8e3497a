// Special tokens: strings that stand for one id wherever they are in a text, such as <|endoftext|>.
#pragma once
#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include "tricycle/core/error.hpp"
#include "tricycle/io/utf8.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Cuts texts at special tokens: the leftmost first, and of several at one place the longest.
class SpecialTokens {
 public:
  using Ids = std::map<std::string, int, std::less<>>;                   // of each special token

  /// Error: it is empty, no UTF-8, or there already.
  void add(std::string text, int id) {
    check(!text.empty(), "a special token is empty");
    check(utf8::first_invalid(text) == text.size(), "special token ", tokens_.size(), " is not UTF-8");
    const auto [token, is_new] = tokens_.emplace(std::move(text), id);
    check(is_new, "the special token \"", token->first, "\" stands twice");
    begins_[static_cast<unsigned char>(token->first[0])] = true;
  }

  bool empty() const { return tokens_.empty(); }
  const Ids& all() const { return tokens_; }

  /// plain(text) for what is between special tokens, where that is not empty, and special(id) for each of these.
  template <class Plain, class Special>
  void cut(std::string_view text, Plain plain, Special special) const {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size() && !empty();) {
      const Ids::value_type* token = begins_[static_cast<unsigned char>(text[at])] ? token_at(text.substr(at)) : nullptr;
      if (!token) {
        ++at;
        continue;
      }
      if (begin < at) plain(text.substr(begin, at - begin));
      special(token->second);
      begin = at += token->first.size();
    }
    if (begin < text.size()) plain(text.substr(begin));
  }

 private:
  /// The longest that the text begins with. Of those not behind the text by alphabet it is the last, or else no longer than what
  /// that one and the text have in common: then it is looked for there.
  const Ids::value_type* token_at(std::string_view text) const {
    for (auto behind = tokens_.upper_bound(text); behind != tokens_.begin(); behind = tokens_.upper_bound(text)) {
      const auto before = std::prev(behind);
      const auto parts = std::mismatch(before->first.begin(), before->first.end(), text.begin(), text.end());
      if (parts.first == before->first.end()) return &*before;
      text = text.substr(0, static_cast<std::size_t>(parts.second - text.begin()));
    }
    return nullptr;
  }

  Ids tokens_;
  std::array<bool, 256> begins_{};                       // does any begin with this byte?
};

}
}  // namespace tricycle
