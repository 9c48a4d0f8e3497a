// NumPy's .npy format: one array of numbers in a file, strictly read and written whole or not at all.
//
// 6 bytes "\x93NUMPY", the version's 2 bytes, the header's length in 2 bytes (4 from version 2 on), little-endian. The header,
// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, is a Python dict that ends in spaces and a new line. Then the
// numbers, row after row or, if fortran_order, column after column. (numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include "tricycle/io/file.hpp"
#include "tricycle/tensor/create.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

static_assert(std::endian::native == std::endian::little, ".npy files are written as numbers lie in memory");

namespace npy {

inline constexpr std::string_view magic = "\x93NUMPY";
inline constexpr std::size_t version_1_start = 10;       // where the header of version 1 begins

/// NumPy's letter for an element type, and how many bytes a number has: f4. bfloat16 has none.
template <Element T>
std::string kind() {
  static_assert(!std::same_as<T, bf16>, "the .npy format has no bfloat16: cast<float>(x) has one");
  const char letter = std::same_as<T, bool> ? 'b' : Floating<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
  return letter + std::to_string(sizeof(T));
}

/// What a header says.
struct Header {
  std::string kind;                                      // f4
  bool big_endian = false, fortran_order = false;
  Shape shape;
};

/// Reads a header, from left to right; at_ is the byte of the file that every refusal names.
class HeaderReader {
 public:
  /// The header is bytes [begin, end) of a file.
  HeaderReader(std::string_view file, std::size_t begin, std::size_t end) : text_(file.substr(0, end)), at_(begin) {}

  Header header() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<Shape> shape;
    auto set = [&](auto& field, auto value) {
      if (field) refuse("a key that stands twice, before its value");
      field = std::move(value);
    };
    expect('{', "no { where the header begins");
    while (!take('}')) {
      std::string key = string("no key");
      expect(':', "no : after a key");
      skip_space();
      if (key == "descr") set(descr, string("'descr' is no string, so this is no array of plain numbers,"));
      else if (key == "fortran_order") set(fortran_order, boolean());
      else if (key == "shape") set(shape, tuple());
      else refuse("an unknown key '" + key + "', before its value");
      if (take(',')) continue;
      expect('}', "no , or } after a value");
      break;
    }
    for (auto [key, is_there] : {std::pair("descr", descr.has_value()), {"fortran_order", fortran_order.has_value()}, {"shape", shape.has_value()}})
      if (!is_there) refuse("no key '" + std::string(key) + "' in the header that ends");
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    if (at_ + 1 != text_.size() || text_[at_] != '\n') refuse("something other than spaces and a new line after the header");
    return {kind_of(*descr), descr->starts_with('>'), *fortran_order, *shape};
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const { fail(what, " at byte ", at_); }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c && ++at_;
  }
  void expect(char c, const char* otherwise) {
    if (!take(c)) refuse(otherwise);
  }
  bool take_word(std::string_view word) {
    bool there = text_.substr(at_, word.size()) == word;
    if (there) at_ += word.size();
    return there;
  }

  /// In quotes of either kind. What a header says in them needs no escapes.
  std::string string(const char* otherwise) {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') refuse(otherwise);
    std::size_t end = text_.find(quote, at_ + 1), other = text_.find_first_of("\\\n", at_ + 1);
    if (end == text_.npos || other < end) refuse("a string without end, or with a \\,");
    std::string inside(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return inside;
  }

  bool boolean() {
    if (take_word("True")) return true;
    if (!take_word("False")) refuse("'fortran_order' is neither True nor False");
    return false;
  }

  /// (), (2,), (2, 3); Python 2 wrote (2L, 3L).
  Shape tuple() {
    Shape shape;
    bool ends_in_comma = true;                           // (2) is a number in parentheses
    expect('(', "'shape' is no tuple");
    while (!take(')')) {
      if (!ends_in_comma) refuse("no , or ) after an extent");
      Index extent = 0;
      auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error == std::errc::result_out_of_range) refuse("an extent that 64 bits cannot hold");
      if (error != std::errc() || extent < 0) refuse("'shape' holds what is no extent");
      if (shape.rank() == Shape::max_rank) refuse("'shape' has more than " + std::to_string(Shape::max_rank) + " axes");
      shape.push_back(extent);
      at_ = static_cast<std::size_t>(end - text_.data());
      take_word("L");
      ends_in_comma = take(',');
    }
    if (shape.rank() == 1 && !ends_in_comma) refuse("'shape' is no tuple, which has a comma, but ends");
    return shape;
  }

  /// f4 of <f4, >f4 or, where there is but one byte to order, |i1.
  std::string kind_of(const std::string& descr) const {
    const std::string kind = descr.substr((std::min)(descr.size(), std::size_t{1}));
    constexpr std::string_view known = " f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 ";
    bool has_order = descr.starts_with('<') || descr.starts_with('>') || (descr.starts_with('|') && kind.ends_with('1'));
    check(has_order && kind.size() == 2 && known.find(' ' + kind + ' ') != known.npos, "'descr' is '", descr, "', which is none of f2, f4, f8, i1 to i8, u1 to u8 and b1");
    return kind;
  }

  std::string_view text_;
  std::size_t at_;
};

/// f(i) for the numbers in the order of rows, where i counts them in the order of columns.
template <class F>
void each_by_columns(const Shape& shape, F f) {
  std::array<Index, Shape::max_rank> index{};
  Index n = shape.size(), at = 0;
  while (n-- > 0) {
    f(at);
    for (int axis = shape.rank(); axis-- > 0;) {         // as a counter counts: the last digit first
      const Index step = shape.product(0, axis), extent = shape[axis];
      Index& digit = index[static_cast<std::size_t>(axis)];
      at += step;
      if (++digit < extent) break;
      at -= step * extent, digit = 0;
    }
  }
}

}  // namespace npy

/// An .npy file in memory. Whatever is wrong with it is refused at once: "npy: weights.npy: no , or } after a value at byte 25".
class NpyFile {
 public:
  explicit NpyFile(const std::string& path) : NpyFile(read_file(path), path) {}

  /// From bytes that were read already; `name` is what errors call them.
  NpyFile(std::string bytes, std::string name) : name_(std::move(name)), bytes_(std::move(bytes)) {
    about("npy: " + name_, [&] {
      read_header();
      check_data();
    });
  }

  /// NumPy's name of the element type, without the order of bytes: f4.
  const std::string& kind() const { return header_.kind; }
  const Shape& shape() const { return header_.shape; }

  /// The array, row after row however it lies in the file. Error: its numbers are of another type than T.
  template <Element T = float>
  Tensor<T> tensor(LeafOptions options = {}) const {
    const std::string wanted = npy::kind<T>();
    check(kind() == wanted, "npy: ", name_, " holds ", kind(), ", not ", wanted, ": read it as what it is, and cast()");
    Tensor<T> x(shape());
    T* to = x.mutable_data();
    auto put = [&](Index i) {
      char number[sizeof(T)];
      std::memcpy(number, bytes_.data() + data_at_ + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
      if (header_.big_endian) std::reverse(number, number + sizeof(T));
      std::memcpy(to++, number, sizeof(T));
    };
    if (header_.fortran_order) npy::each_by_columns(shape(), put);
    else if (header_.big_endian) for (Index i = 0; i < x.size(); ++i) put(i);
    else if (x.size() > 0) std::memcpy(to, bytes_.data() + data_at_, bytes_.size() - data_at_);
    return detail::leaf(std::move(x), options);
  }

 private:
  void read_header() {
    const std::size_t n = bytes_.size();
    check(std::string_view(bytes_).starts_with(npy::magic), "it does not begin with \\x93NUMPY at byte 0");
    check(n >= npy::version_1_start, "it has ", n, " bytes, too few for the header's length");
    const int major = static_cast<unsigned char>(bytes_[6]), minor = static_cast<unsigned char>(bytes_[7]);
    check(major >= 1 && major <= 3 && minor == 0, "version ", major, ".", minor, " at byte 6 is not 1.0, 2.0 or 3.0");
    const std::size_t width = major == 1 ? 2 : 4, begin = 8 + width;
    std::uint32_t length = 0;
    check(n >= begin, "it has ", n, " bytes, too few for the header's length");
    std::memcpy(&length, bytes_.data() + 8, width);
    check(length <= n - begin, "header length ", length, " at byte 8 exceeds the file's ", n, " bytes");
    data_at_ = begin + length;
    header_ = npy::HeaderReader(bytes_, begin, data_at_).header();
  }

  void check_data() const {
    const Index width = header_.kind.back() - '0', size = shape().size();
    const auto have = static_cast<Index>(bytes_.size() - data_at_);
    check(size <= have / width, shape(), " of ", kind(), " has more than the ", have, " bytes from byte ", data_at_, " on");
    check(size * width == have, shape(), " of ", kind(), " has ", size * width, " bytes, not the ", have, " from byte ", data_at_, " on");
    if (kind() != "b1") return;
    auto wrong = std::find_if(bytes_.begin() + static_cast<std::ptrdiff_t>(data_at_), bytes_.end(), [](char byte) { return byte != 0 && byte != 1; });
    check(wrong == bytes_.end(), "the byte ", wrong - bytes_.begin(), " is neither 0 nor 1, as a bool is");
  }

  std::string name_, bytes_;
  npy::Header header_;
  std::size_t data_at_ = 0;
};

/// The array in an .npy file: load_npy<double>("x.npy"). Error: it is malformed, or its numbers are of another type.
template <Element T = float>
Tensor<T> load_npy(const std::string& path, LeafOptions options = {}) { return NpyFile(path).tensor<T>(options); }

/// Writes a tensor, from wherever it is, as np.save does: to the byte, whole or not at all.
template <Element T>
void save_npy(const std::string& path, const Tensor<T>& x) {
  const auto here = x.detach().from_gpu();
  std::string header = std::string(npy::magic) + std::string("\1\0hl", 4) + "{'descr': '" + (sizeof(T) == 1 ? '|' : '<') + npy::kind<T>() +
                       "', 'fortran_order': False, 'shape': " + written([&](std::ostream& out) { out << x.shape(); }) + ", }";
  // Room for the first extent to grow in place, and then the numbers begin at a multiple of 64.
  constexpr std::size_t digits_to_come = 21;
  if (x.rank() > 0) header.append(digits_to_come - std::to_string(x.shape()[0]).size(), ' ');
  header.resize(((header.size() + 1) / 64 + 1) * 64 - 1, ' ');
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size() - npy::version_1_start);
  std::memcpy(header.data() + 8, &length, sizeof length);
  FileWriter writer(path);
  writer.write(header);
  writer.write({reinterpret_cast<const char*>(here.data()), static_cast<std::size_t>(x.size()) * sizeof(T)});
  writer.commit();
}

}
}  // namespace tricycle
