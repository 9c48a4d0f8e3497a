// How the library says no: one exception, one form ("op: what is wrong, with the shapes").
#pragma once
#include <initializer_list>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What every refusal of this library throws: one sentence that names the op, what it was given and why not.
struct Error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// f(out) as text.
template <class F>
std::string written(F f) {
  std::ostringstream out;
  out.imbue(std::locale::classic());                     // a user's may group digits: (1,000, 2)
  f(out);
  return out.str();
}

namespace detail {

/// A part of a sentence: text, or anything that can be written. How is found once for each type, which compiles faster than for
/// each sentence.
struct Word {
  const void* at;
  void (*write)(std::ostream& out, const void* at);
  Word(const char* text) : at(text), write([](std::ostream& out, const void* from) { out << static_cast<const char*>(from); }) {}
  template <class T> Word(const T& x) : at(&x), write([](std::ostream& out, const void* from) { out << *static_cast<const T*>(from); }) {}
};

[[noreturn]] inline void throw_error(std::initializer_list<Word> words) {
  throw Error(written([&](std::ostream& out) {
    for (const Word& word : words) word.write(out, word.at);
  }));
}

}  // namespace detail

/// Throw an Error whose sentence is `says`, written one after the other.
template <class... Says>
[[noreturn]] void fail(const Says&... says) { detail::throw_error({says...}); }

/// Throw an Error made of `says` unless `holds`. In a constant expression: refuse to compile.
template <class... Says>
constexpr void check(bool holds, const Says&... says) {
  if (!holds) [[unlikely]] fail(says...);
}

/// Throw an Error because `word` is none of `choices`, "a|b|c".
[[noreturn]] inline void fail_none_of(const char* what, const std::string& word, const std::string& choices) {
  fail(what, ": there is no \"", word, "\": it is one of ", choices);
}

/// Throws unless `word` is one of `choices`, "a|b|c".
inline void check_one_of(const char* what, const std::string& word, const std::string& choices) {
  if (word.find('|') != word.npos || ('|' + choices + '|').find('|' + word + '|') == choices.npos) fail_none_of(what, word, choices);
}

/// Things by name, and their names, "a|b|c".
template <class Thing> using Named = std::vector<std::pair<std::string, Thing>>;
template <class Thing>
std::string names_of(const Named<Thing>& all) {
  std::string names;
  for (auto& [name, thing] : all) names += (names.empty() ? "" : "|") + name;
  return names;
}

/// The thing of that name. Throws when there is none.
template <class Thing>
const Thing& find_named(const char* what, const std::string& wanted, const Named<Thing>& all) {
  for (auto& [name, thing] : all)
    if (name == wanted) return thing;
  fail_none_of(what, wanted, names_of(all));
}

/// work(); the sentence of an Error that it throws then begins with `where: `.
template <class Work>
auto about(const std::string& where, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    fail(where, ": ", error.what());
  }
}

}
}  // namespace tricycle
