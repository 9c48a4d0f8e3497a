// What tokenisers share: how ids become text, and how their files are read.
#pragma once
#include <span>
#include <vector>
#include "tricycle/io/file.hpp"
#include "tricycle/io/json.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

namespace detail {

/// The texts of these ids, one after the other. Error: an id that is not below texts.size().
inline std::string texts_of(std::span<const int> ids, const std::vector<std::string>& texts) {
  std::string text;
  text.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    check(ids[i] >= 0 && static_cast<std::size_t>(ids[i]) < texts.size(), "tokeniser: id ", ids[i], " at position ", i, " is not in [0, ", texts.size(), ")");
    text += texts[static_cast<std::size_t>(ids[i])];
  }
  return text;
}

/// Error: the file is another kind of tokeniser's.
inline void check_kind(const Json& json, std::string_view wanted) {
  const auto& kind = json.get<std::string>("tokeniser");
  check(kind == wanted, "this is a \"", kind, "\" tokeniser, not a \"", wanted, "\" one");
}

}  // namespace detail

/// use(text) of a file. Error: "tokeniser: PATH: " and what `use` says.
template <class Use>
auto use_tokeniser_file(const std::string& path, Use use) {
  std::string text = read_file(path);
  return about("tokeniser: " + path, [&] { return use(std::string_view(text)); });
}

/// The same for one that is JSON.
template <class Kind>
Kind load_tokeniser(const std::string& path) {
  return use_tokeniser_file(path, [](std::string_view text) { return Kind::from_json(Json::parse(text)); });
}

/// Writes to_json(), whole or not at all.
template <class Kind>
void save_tokeniser(const std::string& path, const Kind& tokeniser) {
  write_file(path, tokeniser.to_json().dump(2) + "\n");
}

}
}  // namespace tricycle
