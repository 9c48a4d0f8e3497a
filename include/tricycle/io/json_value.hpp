// A JSON value: made, looked into and written. Include json.hpp, which reads them too.
#pragma once
#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <utility>
#include <vector>
#include "tricycle/core/dtype.hpp"
#include "tricycle/core/error.hpp"
#include "tricycle/io/utf8.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// null, a bool, a number, a string, an array or an object that keeps its order. A number written without fraction or
/// exponent that fits in 64 bits is exact; every other is a double.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;                                      // null
  explicit(false) Json(const char* text) : Json(std::string(text)) {}
  explicit(false) Json(std::string text) : kind_(Kind::string), text_(std::move(text)) {}
  explicit(false) Json(Array items) : kind_(Kind::array), items_(std::move(items)) {}
  template <std::integral I> explicit(false) Json(I n);
  template <std::floating_point F> explicit(false) Json(F x);

  /// Json::object({{"step", 250}, {"val_loss", 1.9f}}). Error: a key that stands twice.
  static Json object(Object members = {});

  /// The value that is written in `text`, and nothing after it. Error: "json: <what> at byte N". Refused beyond the
  /// grammar: keys that stand twice, text that is not UTF-8, lone surrogates, numbers past a double, more than 128 levels.
  static Json parse(std::string_view text);

  /// In one line and without spaces; with an indent, each member of the outermost objects on a line of its own.
  /// A number is the shortest text that reads back as the same. Error: a string that is not UTF-8.
  std::string dump(int indent = 0) const;

  bool is_null() const { return kind_ == Kind::null; }
  bool is_string() const { return kind_ == Kind::string; }

  /// This value as a T: bool, an integer, a floating number, std::string, Json::Array or Json::Object; the last three
  /// by reference. Error: it is another kind, or outside T's range; `where` says which value that was.
  template <class T> decltype(auto) as(std::string_view where = "") const;

  /// The member `key` of an object: null when there is none, or an Error.
  const Json* find(std::string_view key) const;
  const Json& operator[](std::string_view key) const;

  /// The member `key` as a T. Error: json: key "n_layers": expected a whole number, found "abc".
  template <class T> decltype(auto) get(std::string_view key) const {
    return (*this)[key].template as<T>(std::string("key \"").append(key).append("\": "));
  }
  template <class T> T get(std::string_view key, T otherwise) const { return find(key) ? get<T>(key) : otherwise; }

  /// Error: a member with a key other than these, which is a misspelling or from a later version.
  void allow_only(std::initializer_list<std::string_view> keys) const;

  /// Adds the member `key`, or replaces it.
  void set(std::string_view key, Json value);

 private:
  friend class JsonReader;                               // in json.hpp, and so is parse

  struct Checked {};                                     // no key stands twice: two values under one name hide one of them
  Json(Object members, Checked) : kind_(Kind::object), members_(std::move(members)) {}
  static const std::string* first_duplicate(const Object& members);
  template <class... Says> [[noreturn]] void refuse(std::string_view where, const Says&... expected) const;
  void write(std::string& out, int indent, int level) const;
  static void write_string(std::string& out, std::string_view text);
  template <class Number> static void write_number(std::string& out, Number x);

  // Not a std::variant: g++ 12 takes moving one for a read of what was never written, and warns in the user's unit.
  enum class Kind { null, boolean, whole, real, string, array, object };
  Kind kind_ = Kind::null;
  std::int64_t whole_ = 0;                               // of a bool too
  double real_ = 0;                                      // of a whole number too
  std::string text_;
  Array items_;
  Object members_;
};

// Values

template <std::integral I> Json::Json(I n) : kind_(std::same_as<I, bool> ? Kind::boolean : Kind::whole) {
  if constexpr (!std::same_as<I, bool>) check(std::in_range<std::int64_t>(n), "json: ", n, " does not fit in 64 bits with a sign");
  whole_ = static_cast<std::int64_t>(n);
  real_ = static_cast<double>(n);
}

template <std::floating_point F> Json::Json(F x) : kind_(Kind::real), real_(static_cast<double>(x)) {
  // By its bits: -ffast-math takes every number for finite.
  bool finite = (__builtin_bit_cast(std::uint64_t, real_) >> 52 & 0x7ff) != 0x7ff;
  check(finite, "json: ", x, " cannot be written, only finite numbers can");
  if constexpr (std::same_as<F, float>) {                // 0.1f is written 0.1, not 0.10000000149011612
    char text[32];
    double shortest = 0;
    std::from_chars(text, std::to_chars(text, text + sizeof text, x).ptr, shortest);
    if (static_cast<float>(shortest) == x) real_ = shortest;
  }
}

inline Json Json::object(Object members) {
  const std::string* twice = first_duplicate(members);
  if (twice) fail("json: key \"", *twice, "\" stands twice");
  return Json(std::move(members), Checked{});
}

/// By sorting: a hostile file has a million keys.
inline const std::string* Json::first_duplicate(const Object& members) {
  std::vector<const std::string*> keys;
  keys.reserve(members.size());
  for (const Member& member : members) keys.push_back(&member.first);
  std::sort(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a < *b; });
  auto twice = std::adjacent_find(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a == *b; });
  return twice == keys.end() ? nullptr : *twice;
}

inline void Json::set(std::string_view key, Json value) {
  if (is_null()) kind_ = Kind::object;
  if (auto* there = const_cast<Json*>(find(key))) *there = std::move(value);
  else members_.emplace_back(key, std::move(value));
}

// Access

template <class... Says> void Json::refuse(std::string_view where, const Says&... expected) const {
  constexpr std::size_t shown = 60;
  std::string found = kind_ == Kind::array ? "an array" : kind_ == Kind::object ? "an object" : dump();
  if (found.size() > shown) found = found.substr(0, utf8::first_invalid(std::string_view(found).substr(0, shown))) + "...";
  fail("json: ", where, "expected ", expected..., ", found ", found);
}

template <class T> decltype(auto) Json::as(std::string_view where) const {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::same_as<T, bool>) {
    if (kind_ != Kind::boolean) refuse(where, "true or false");
    return whole_ != 0;
  } else if constexpr (std::integral<T>) {
    if (kind_ != Kind::whole) refuse(where, "a whole number");
    if (!std::in_range<T>(whole_)) refuse(where, "a whole number from ", +(Limits::min)(), " to ", +(Limits::max)());
    return static_cast<T>(whole_);
  } else if constexpr (std::floating_point<T>) {
    if (kind_ != Kind::whole && kind_ != Kind::real) refuse(where, "a number");
    const double most = static_cast<double>((Limits::max)());
    const double limit = sizeof(T) < sizeof(double) ? most * (1 + static_cast<double>(Limits::epsilon()) / 4) : most;       // what is still rounded to `most`, as 3.4028235e38 is
    if (real_ > limit || real_ < -limit) refuse(where, "a number within ", dtype_name<T>());
    return static_cast<T>(std::clamp(real_, -most, most));
  } else if constexpr (std::same_as<T, std::string>) {
    if (kind_ != Kind::string) refuse(where, "a string");
    return (text_);
  } else if constexpr (std::same_as<T, Array>) {
    if (kind_ != Kind::array) refuse(where, "an array");
    return (items_);
  } else {
    static_assert(std::same_as<T, Object>, "a JSON value is read as a bool, a number, a std::string, a Json::Array or a Json::Object");
    if (kind_ != Kind::object) refuse(where, "an object");
    return (members_);                                   // in parentheses: by reference
  }
}

inline const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : as<Object>())
    if (name == key) return &value;
  return nullptr;
}

inline const Json& Json::operator[](std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  fail("json: key \"", key, "\" is missing");
}

inline void Json::allow_only(std::initializer_list<std::string_view> keys) const {
  for (const auto& [name, value] : as<Object>())
    check(std::find(keys.begin(), keys.end(), name) != keys.end(), "json: key \"", name, "\" is unknown");
}

// Writing

inline std::string Json::dump(int indent) const {
  std::string out;
  write(out, indent, 1);
  return out;
}

template <class Number> void Json::write_number(std::string& out, Number x) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, x).ptr);
}

inline void Json::write_string(std::string& out, std::string_view text) {
  std::size_t wrong = utf8::first_invalid(text);
  check(wrong == text.size(), "json: a string is not UTF-8 at its byte ", wrong);
  constexpr const char* hex = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20) (((out += "\\u00") += hex[c >> 4]) += hex[c & 15]);
    else out += c;
  }
  out += '"';
}

inline void Json::write(std::string& out, int indent, int level) const {
  switch (kind_) {
    case Kind::null: out += "null"; break;
    case Kind::boolean: out += whole_ ? "true" : "false"; break;
    case Kind::whole: write_number(out, whole_); break;
    case Kind::real: write_number(out, real_); break;
    case Kind::string: write_string(out, text_); break;
    case Kind::array:
      out += '[';
      for (const Json& item : items_) {
        if (&item != items_.data()) out += indent ? ", " : ",";
        item.write(out, 0, 0);
      }
      out += ']';
      break;
    case Kind::object:
      auto line = [&](int depth) {
        if (indent) (out += '\n').append(static_cast<std::size_t>(indent * depth), ' ');
      };
      out += '{';
      for (const Member& member : members_) {
        if (&member != members_.data()) out += ',';
        line(level);
        write_string(out, member.first);
        out += indent ? ": " : ":";
        member.second.write(out, indent, level + 1);
      }
      if (!members_.empty()) line(level - 1);
      out += '}';
  }
}

}
}  // namespace tricycle
