// What a run learns from: text, as the numbers that a tokeniser makes of it.
#pragma once
#include <string>
#include <variant>
#include <vector>
#include "tricycle/train/dataset.hpp"
#include "tricycle/train/tokeniser.hpp"

namespace examples {

inline constexpr const char* tokenisers = "char";

/// One of the library's tokenisers.
class AnyTokeniser {
 public:
  using Kind = std::variant<tricycle::CharacterTokeniser>;
  explicit(false) AnyTokeniser(Kind kind) : kind_(std::move(kind)) {}

  /// What save wrote, of the kind that the name says.
  static AnyTokeniser load(const std::string& name, const std::string& path) {
    (void)name;
    return Kind(tricycle::CharacterTokeniser::load(path));
  }

  tricycle::Index vocab_size() const {
    return std::visit([](auto& t) { return tricycle::Index{t.vocab_size()}; }, kind_);
  }
  std::vector<int> encode(std::string_view text) const {
    return std::visit([&](auto& t) { return t.encode(text); }, kind_);
  }
  std::string decode(std::span<const int> ids) const {
    return std::visit([&](auto& t) { return t.decode(ids); }, kind_);
  }
  void save(const std::string& path) const {
    std::visit([&](auto& t) { t.save(path); }, kind_);
  }

  /// What a text is begun with that has no prompt: a new line or, of characters, the first that there is, which it often is.
  std::vector<int> beginning() const { return kind_.index() == 0 ? std::vector<int>{0} : encode("\n"); }

 private:
  Kind kind_;
};

/// A text, cut into what is trained on and what is validated with.
struct Text {
  AnyTokeniser tokeniser;
  tricycle::Tokens training, validation;
};

}  // namespace examples
