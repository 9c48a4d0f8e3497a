// JSON (RFC 8259), strictly read into a value and written without loss.
#pragma once
#include "tricycle/io/json_value.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// Reads one JSON text from left to right; at_ is the byte that every refusal names.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Json document() {
    Json json = value(0);
    if (!at_end()) refuse("something after the value");
    return json;
  }

 private:
  static constexpr int max_depth = 128;

  [[noreturn]] void refuse(std::string_view what) const { fail("json: ", what, " at byte ", at_); }

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) { return !at_end() && text_[at_] == c && ++at_; }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  void skip_space() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  bool take_word(std::string_view word) {
    bool there = text_.substr(at_, word.size()) == word;
    if (there) at_ += word.size();
    return there;
  }

  Json value(int depth) {
    if (depth > max_depth) refuse("more than 128 levels");
    skip_space();
    Json json = bare_value(depth);
    skip_space();
    return json;
  }

  Json bare_value(int depth) {
    char c = peek();
    if (c == '{') return object(depth);
    if (c == '[') return array(depth);
    if (c == '"') return string();
    if (c == '-' || is_digit(c)) return number();
    if (take_word("true")) return true;
    if (take_word("false")) return false;
    if (take_word("null")) return Json();
    refuse(at_end() ? "the text ends where a value should be" : "no value");
  }

  Json array(int depth) {
    Json::Array items;
    ++at_;
    skip_space();
    if (take(']')) return items;
    do items.push_back(value(depth + 1)); while (take(','));
    if (!take(']')) refuse("no , or ] after an item");
    return items;
  }

  Json object(int depth) {
    Json::Object members;
    ++at_;
    skip_space();
    if (take('}')) return Json::object();
    do {
      skip_space();
      if (peek() != '"') refuse("no key");
      std::string key = string();
      skip_space();
      if (!take(':')) refuse("no : after a key");
      members.emplace_back(std::move(key), value(depth + 1));
    } while (take(','));
    if (!take('}')) refuse("no , or } after a member");
    if (auto* twice = Json::first_duplicate(members)) refuse("key \"" + *twice + "\" stands twice in the object that ends");
    return Json(std::move(members), Json::Checked{});
  }

  std::string string() {
    std::string out;
    ++at_;
    while (true) {
      std::size_t run = at_;
      while (!at_end() && is_plain(text_[at_])) ++at_;
      out.append(text_, run, at_ - run);
      if (at_end()) refuse("the text ends in a string");
      if (take('"')) return out;
      if (take('\\')) escape(out);
      else if (static_cast<unsigned char>(text_[at_]) < 0x20) refuse("a control character in a string");
      else character(out);
    }
  }

  static bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

  void character(std::string& out) {
    std::size_t bytes = utf8::read(text_, at_).bytes;
    if (bytes == 0) refuse("no UTF-8");
    out.append(text_, at_, bytes);
    at_ += bytes;
  }

  void escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    std::size_t which = at_end() ? letters.npos : letters.find(text_[at_]);
    if (which != letters.npos) {
      ++at_;
      out += meanings[which];
    } else if (take('u')) {
      char32_t code = hex4();
      if (code >= 0xd800 && code < 0xdc00) {
        char32_t low = take_word("\\u") ? hex4() : 0;
        if (low < 0xdc00 || low > 0xdfff) refuse("half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      } else if (code >= 0xdc00 && code < 0xe000) refuse("half a surrogate pair");
      utf8::append(out, code);
    } else refuse("an unknown escape");
  }

  char32_t hex4() {
    unsigned code = 0;
    const char* from = text_.data() + at_;
    if (text_.size() - at_ < 4 || std::from_chars(from, from + 4, code, 16).ptr != from + 4) refuse("no four hexadecimal digits");
    at_ += 4;
    return code;
  }

  void digits() {
    if (!is_digit(peek())) refuse("no digit");
    while (is_digit(peek())) ++at_;
  }

  Json number() {
    std::size_t start = at_;
    bool negative = take('-');
    if (!take('0')) digits();
    else if (is_digit(peek())) refuse("a number with a leading 0");
    bool whole = peek() != '.' && peek() != 'e' && peek() != 'E';
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('-')) take('+');
      digits();
    }
    const char *first = text_.data() + start, *last = text_.data() + at_;
    std::int64_t n = 0;
    double x = 0;
    bool exact = whole && std::from_chars(first, last, n).ec == std::errc() && !(negative && n == 0);   // -0 has a sign
    if (exact) return n;
    if (std::from_chars(first, last, x).ec == std::errc()) return x;
    at_ = start;
    refuse("a number that no double can hold");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline Json Json::parse(std::string_view text) { return JsonReader(text).document(); }

}
}  // namespace tricycle
