// The grammar of einsum: "ij,jk->ik", read by the compiler or at run time, and refused by either in the same words.
#pragma once
#include <algorithm>
#include <string_view>
#include "tricycle/core/shape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// A string that may be a template argument.
template <std::size_t n>
struct FixedString {
  char text[n]{};
  constexpr explicit(false) FixedString(const char (&from)[n]) { std::copy_n(from, n, text); }
  constexpr explicit(false) operator std::string_view() const { return {text, n - 1}; }
};

namespace detail {

/// The indices of one operand, in order. An ellipsis is '.', and stands for any number of axes until shapes are known;
/// then they become '0', '1', ... counted from the last.
struct Labels {
  std::array<char, Shape::max_rank> at{};
  int count = 0;

  constexpr void push_back(char c) {
    check(count < Shape::max_rank, "einsum: more than ", Shape::max_rank, " indices in one operand");
    at[static_cast<std::size_t>(count++)] = c;
  }
  constexpr const char* begin() const { return at.data(); }
  constexpr const char* end() const { return at.data() + count; }
  constexpr int find(char c) const {
    for (int i = 0; i < count; ++i)
      if (at[static_cast<std::size_t>(i)] == c) return i;
    return -1;
  }
  constexpr bool has(char c) const { return find(c) >= 0; }
  constexpr bool operator==(const Labels&) const = default;

  /// With an axis for each that the ellipsis stands for in a tensor of this rank.
  constexpr Labels expanded(int rank) const {
    Labels all;
    for (char c : *this)
      if (c != '.') all.push_back(c);
      else for (int i = rank - count + 1; i-- > 0;) all.push_back(static_cast<char>('0' + i));
    return all;
  }
};

/// "ij,jk->ik" as written: the labels of one or two operands and of the result.
struct Subscript {
  static constexpr int max_operands = 2;
  std::array<Labels, max_operands> in{};
  Labels out;
  int operands = 1;
  std::array<char, 80> text{};

  constexpr explicit Subscript(std::string_view s) {
    check(s.size() < text.size(), "einsum: a subscript of more than ", text.size() - 1, " characters");
    std::copy(s.begin(), s.end(), text.begin());
    bool arrow = false;
    for (std::size_t i = 0; i < s.size(); ++i) {
      char c = s[i];
      if (c == ' ') continue;
      Labels& labels = arrow ? out : in[static_cast<std::size_t>(operands - 1)];
      if (c == ',') {
        check(!arrow, "einsum \"", s, "\": ',' behind '->'");
        check(operands < max_operands, "einsum \"", s, "\": more than two operands");
        ++operands;
      } else if (c == '-') {
        check(!arrow && s.substr(i, 2) == "->", "einsum \"", s, "\": '-' is not the one '->'");
        arrow = true;
        ++i;
      } else if (c == '.') {
        check(s.substr(i, 3) == "..." && !labels.has('.'), "einsum \"", s, "\": '.' is not the operand's one '...'");
        labels.push_back(c);
        i += 2;
      } else {
        check((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), "einsum \"", s, "\": '", c, "' is not a letter");
        check(!labels.has(c), "einsum \"", s, "\": index ", c, arrow ? " appears twice in the result" : " appears twice in one operand");
        labels.push_back(c);
      }
    }
    if (!arrow) imply_out();
    for (char c : out) check(in[0].has(c) || in[1].has(c), "einsum \"", s, "\": index ", c == '.' ? std::string_view("...") : std::string_view(&c, 1), " of the result is in no operand");
    for (const Labels& labels : in) check(!labels.has('.') || out.has('.'), "einsum \"", s, "\": '...' is missing from the result");
  }

  constexpr std::string_view view() const { return text.data(); }
  friend std::ostream& operator<<(std::ostream& to, const Subscript& s) { return to << "einsum \"" << s.view() << '"'; }

 private:
  /// NumPy's implicit form: the ellipsis, then the letters that appear once, by alphabet ('A' before 'a').
  constexpr void imply_out() {
    if (in[0].has('.') || in[1].has('.')) out.push_back('.');
    for (char c = 'A'; c <= 'z'; ++c)
      if (in[0].has(c) != in[1].has(c)) out.push_back(c);
  }
};

}  // namespace detail
}
}  // namespace tricycle
