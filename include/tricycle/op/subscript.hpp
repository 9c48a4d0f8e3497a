// The grammar of einsum: "ij,jk->ik", read by the compiler or at run time, and refused by either in the same words.
#pragma once
#include <bit>
#include "tricycle/core/fixed_string.hpp"
#include "tricycle/core/shape.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

/// Every label has a number: letters, then the axes that an ellipsis stands for ('0' is the last one, '1' that before it).
inline constexpr int n_labels = 52 + Shape::max_rank;
constexpr int number_of(char label) { return label >= 'a' ? label - 'a' : label >= 'A' ? 26 + label - 'A' : 52 + label - '0'; }

constexpr char label_of(std::size_t number) { return static_cast<char>(number < 26 ? 'a' + number : number < 52 ? 'A' + (number - 26) : '0' + (number - 52)); }

/// Labels without an order, a bit for each.
using LabelSet = std::uint64_t;
static_assert(n_labels <= 64);
constexpr LabelSet set_of(char label) { return LabelSet{1} << number_of(label); }

/// f(number) for each label of a set, by number.
template <class F>
constexpr void for_each(LabelSet set, F f) {
  for (; set != 0; set &= set - 1) f(static_cast<std::size_t>(std::countr_zero(set)));
}

/// The indices of one tensor, in order. An ellipsis is '.', until the shapes are known.
struct Labels {
  std::array<char, n_labels> at{};
  int count = 0;

  constexpr char& operator[](int i) { return at[static_cast<std::size_t>(i)]; }
  constexpr char operator[](int i) const { return at[static_cast<std::size_t>(i)]; }
  constexpr void push_back(char c) { (*this)[count++] = c; }
  constexpr const char* begin() const { return at.data(); }
  constexpr const char* end() const { return at.data() + count; }
  constexpr bool operator==(const Labels&) const = default;

  constexpr LabelSet set() const {
    LabelSet all = 0;
    for (char c : *this) all |= set_of(c);
    return all;
  }
  /// Does a label stand here twice, as in ii?
  constexpr bool repeats() const { return std::popcount(set()) != count; }
  /// Those of a set, in this order, each once.
  constexpr Labels of(LabelSet wanted) const {
    Labels some;
    for (char c : *this) {
      if (wanted & set_of(c)) some.push_back(c);
      wanted &= ~set_of(c);
    }
    return some;
  }
};

/// "ij,jk->ik" as written, and its terms: those of the operands, then that of the result, which may be implied.
class Subscript {
 public:
  static constexpr int max_operands = 32;

  constexpr explicit Subscript(std::string_view s) {
    check(s.size() <= longest, "einsum: a subscript of more than ", longest, " characters");
    std::copy(s.begin(), s.end(), text_.begin());
    LabelSet once = 0, twice = 0, in_result = 0;         // letters of the operands: all, and those that come back
    bool arrow = false, dots = false, any_dots = false;  // '...': in this term, in any operand
    int indices = 0;                                     // of this term
    auto end_term = [&] {
      put(',');
      dots = false;
      indices = 0;
    };
    for (std::size_t i = 0; i < s.size(); ++i) {
      const char c = s[i];
      if (c == ' ') continue;
      if (c == ',') {
        check(!arrow, "einsum \"", s, "\": ',' behind '->'");
        check(operands_ < max_operands, "einsum \"", s, "\": more than ", max_operands, " operands");
        ++operands_;
        end_term();
      } else if (c == '-') {
        check(!arrow && s.substr(i, 2) == "->", "einsum \"", s, "\": '-' is not the one '->'");
        arrow = true;
        end_term();
        ++i;
      } else if (c == '.') {
        check(s.substr(i, 3) == "..." && !dots, "einsum \"", s, "\": '.' is not the operand's one '...'");
        dots = true;
        any_dots = any_dots || !arrow;
        put('.');
        i += 2;
      } else {
        check((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), "einsum \"", s, "\": '", c, "' is not a letter");
        check(++indices <= Shape::max_rank, "einsum \"", s, "\": index ", c, " is one more than the ", Shape::max_rank, " that a tensor may have");
        const LabelSet letter = set_of(c);
        if (arrow) {
          check(!(in_result & letter), "einsum \"", s, "\": index ", c, " appears twice in the result");
          check(once & letter, "einsum \"", s, "\": index ", c, " of the result is in no operand");
          in_result |= letter;
        } else {
          twice |= once & letter;
          once |= letter;
        }
        put(c);
      }
    }
    if (!arrow) {                                        // NumPy's implicit form: the ellipsis, then what appears once, by alphabet ('A' before 'a')
      end_term();
      if (any_dots) put('.');
      for (char c = 'A'; c <= 'z'; c = c == 'Z' ? 'a' : static_cast<char>(c + 1)) {
        if (!(once & ~twice & set_of(c))) continue;
        check(++indices <= Shape::max_rank, "einsum \"", s, "\": index ", c, " is one more than the ", Shape::max_rank, " that a tensor may have");
        put(c);
      }
    }
  }

  constexpr int operands() const { return operands_; }
  constexpr std::string_view view() const { return text_.data(); }
  /// The terms, as they are separated by ',': the last one is the result's.
  constexpr std::string_view terms() const { return {terms_.data(), size_}; }
  friend std::ostream& operator<<(std::ostream& to, const Subscript& s) { return to << "einsum \"" << s.view() << '"'; }

 private:
  static constexpr std::size_t longest = max_operands * (Shape::max_rank + 2);

  constexpr void put(char c) { terms_[size_++] = c; }

  std::array<char, longest + 1> text_{};
  std::array<char, longest + Shape::max_rank + 2> terms_{};
  std::size_t size_ = 0;
  int operands_ = 1;
};

}  // namespace detail
}
}  // namespace tricycle
