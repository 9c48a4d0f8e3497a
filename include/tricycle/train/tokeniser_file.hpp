// How a tokeniser's file is read: what is wrong with it is said with its name.
#pragma once
#include "tricycle/io/file.hpp"
#include "tricycle/io/json.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// use(text) of a file. Error: "tokeniser: PATH: " and what `use` says.
template <class Use>
auto use_tokeniser_file(const std::string& path, Use use) {
  std::string text = read_file(path);
  try {
    return use(std::string_view(text));
  } catch (const Error& error) {
    fail("tokeniser: ", path, ": ", error.what());
  }
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
