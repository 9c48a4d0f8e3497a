// Tensors as text, to the letter as NumPy (2.3 and later) prints arrays: the fewest digits that tell a number from its
// neighbours, columns aligned, long rows wrapped, large tensors summarised.
#pragma once
#include <charconv>
#include <ostream>
#include <string>
#include "tricycle/core/math.hpp"
#include "tricycle/tensor/tensor.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail::text {

// NumPy's default options: digits behind the point, columns, and what is left of an axis once there are too many numbers.
inline constexpr int precision = 8;
inline constexpr std::size_t line_width = 75;
inline constexpr Index threshold = 1000, edge_items = 3;

inline constexpr std::string_view opening = "Tensor(";

/// Whatever the locale and the flags of any stream.
template <class N, class... How>
std::string characters(N x, How... how) {
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, x, how...).ptr};
}

/// A number in decimal: -1.5e-05 is "-1", "5" and "e-05". What is not finite is a word, in `whole`.
struct Decimal {
  std::string whole, fraction, exponent;

  explicit Decimal(const std::string& written) {
    std::size_t e = (std::min)(written.find('e'), written.size()), point = (std::min)(written.find('.'), e);
    whole = written.substr(0, point);
    if (point < e) fraction = written.substr(point + 1, e - point - 1);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    exponent = written.substr(e);
  }

  /// Move the point to where it is without an exponent. The whole must be one digit.
  void drop_exponent() {
    if (exponent.empty()) return;
    int e = std::stoi(exponent.substr(1));
    auto places = static_cast<std::size_t>(std::abs(e));
    if (e < 0) {
      fraction.insert(0, 1, whole.back());
      fraction.insert(0, places - 1, '0');
      whole.back() = '0';
    } else {
      fraction.resize((std::max)(fraction.size(), places), '0');
      whole.append(fraction, 0, places);
      fraction.erase(0, places);
    }
    exponent.clear();
  }
};

/// The fewest digits that tell x from its neighbours; if those are more than `places` behind the point, x rounded there.
template <class R>
Decimal decimal(R x, bool scientific, int places) {
  if (math::isnan(x)) return Decimal("nan");             // to_chars would show its sign
  Decimal d(characters(x, std::chars_format::scientific));
  if (!scientific) d.drop_exponent();                    // to_chars' own way would show digits of large ones that mean nothing
  if (d.fraction.size() <= static_cast<std::size_t>(places)) return d;
  return Decimal(characters(x, scientific ? std::chars_format::scientific : std::chars_format::fixed, places));
}

/// A number alone, as Python's repr: 14.0, 1e-05.
template <Element T>
std::string scalar(T number) {
  if constexpr (std::same_as<T, bool>) return number ? "True" : "False";
  else if constexpr (std::integral<T>) return characters(number);
  else {
    compute<T> x = number;
    if (!math::isfinite(x)) return decimal(x, true, 0).whole;
    double magnitude = std::abs(static_cast<double>(x)), too_large = std::same_as<T, double> ? 1e16 : 1e6;
    bool scientific = magnitude >= too_large || (magnitude > 0 && magnitude < 1e-4);
    Decimal d = decimal(x, scientific, (std::numeric_limits<int>::max)());
    if (d.fraction.empty() && !scientific) d.fraction = "0";
    return d.whole + (d.fraction.empty() ? "" : ".") + d.fraction + d.exponent;
  }
}

/// Do numbers that stand together need exponents: are some large, some small, or some a thousand times others?
template <class R>
bool need_exponents(const std::vector<R>& numbers) {
  R largest = 0, smallest = (std::numeric_limits<R>::max)();
  for (R x : numbers) {
    if (!math::isfinite(x) || x == 0) continue;
    largest = (std::max)(largest, std::abs(x));
    smallest = (std::min)(smallest, std::abs(x));
  }
  R too_large = std::numeric_limits<R>::digits10 < 8 ? R(1e6) : R(1e8);
  return largest > 0 && (largest >= too_large || smallest < R(1e-4) || largest / smallest > R(1000));
}

/// Floating numbers with their points and exponents in line. Where one needs fewer digits than another, it shows more of its
/// own if there are exponents, and spaces if there are none.
template <class R>
std::vector<std::string> with_points_aligned(const std::vector<R>& numbers) {
  bool scientific = need_exponents(numbers);
  std::size_t fraction = 0, exponent = 0;
  for (R x : numbers) {
    Decimal d = decimal(x, scientific, precision);
    fraction = (std::max)(fraction, d.fraction.size());
    exponent = (std::max)(exponent, d.exponent.size());
  }
  std::vector<std::string> cells;
  for (R x : numbers) {
    Decimal d = decimal(x, scientific, precision);
    if (math::isfinite(x)) {
      if (scientific && d.fraction.size() < fraction) d = Decimal(characters(x, std::chars_format::scientific, static_cast<int>(fraction)));
      if (scientific) d.exponent.insert(2, exponent - d.exponent.size(), '0');
      d.fraction.insert(0, ".").resize(1 + fraction, scientific ? '0' : ' ');
    }
    cells.push_back(d.whole + d.fraction + d.exponent);
  }
  return cells;
}

/// Numbers that stand together, all of one width.
template <Element T>
std::vector<std::string> aligned(const std::vector<T>& numbers) {
  std::vector<std::string> cells;
  if constexpr (Floating<T>) cells = with_points_aligned<compute<T>>({numbers.begin(), numbers.end()});
  else for (T x : numbers) cells.push_back(std::same_as<T, bool> && x ? " True" : scalar(x));
  std::size_t width = 0;
  for (const auto& cell : cells) width = (std::max)(width, cell.size());
  for (auto& cell : cells) cell.insert(0, width - cell.size(), ' ');
  return cells;
}

/// Writes the rows of a tensor that has any. An axis of which only the edges are shown has "..." between them.
template <Element T>
class Grid {
 public:
  explicit Grid(const Tensor<T>& t) : shape_(t.shape()), summarised_(t.size() > threshold) {
    gather(t.data(), 0);
    cells_ = aligned(numbers_);
    write(0);
  }
  const std::string& written() const { return text_; }

 private:
  Index next(Index i, int axis) const {
    Index n = shape_[axis];
    return summarised_ && n > 2 * edge_items && i == edge_items - 1 ? n - edge_items : i + 1;
  }

  /// Those that are shown. The others have no say in how.
  void gather(const T* from, int axis) {
    if (axis == shape_.rank()) return numbers_.push_back(*from);
    Index stride = shape_.product(axis + 1, shape_.rank());
    for (Index i = 0; i < shape_[axis]; i = next(i, axis)) gather(from + i * stride, axis + 1);
  }

  void write(int axis) {
    if (axis == shape_.rank()) return put(cells_[n_written_++]);
    text_ += '[';
    for (Index i = 0; i < shape_[axis]; i = next(i, axis)) {
      if (i > 0) separate(axis);
      write(axis + 1);
      if (next(i, axis) == i + 1) continue;
      separate(axis);
      put("...");
    }
    text_ += ']';
  }

  /// Numbers stand a space apart, rows a line, matrices two lines, and so on.
  void separate(int axis) {
    if (axis + 1 == shape_.rank()) text_ += ' ';
    else start_lines(shape_.rank() - 1 - axis, axis + 1);
  }
  void start_lines(int n, int brackets) {
    text_.append(static_cast<std::size_t>(n), '\n').append(opening.size() + static_cast<std::size_t>(brackets), ' ');
  }

  /// A word, on the next line if this one would not hold it and all the brackets that may close behind it.
  void put(std::string_view word) {
    std::size_t column = text_.size() - (text_.rfind('\n') + 1);
    if (column + word.size() + static_cast<std::size_t>(shape_.rank()) > line_width) {
      text_.erase(text_.find_last_not_of(' ') + 1);
      start_lines(1, shape_.rank());
    }
    text_ += word;
  }

  Shape shape_;
  bool summarised_;
  std::vector<T> numbers_;
  std::vector<std::string> cells_;
  std::size_t n_written_ = 0;
  std::string text_{opening};
};

}  // namespace detail::text

/// As NumPy prints an array, and how the tensor was made: Tensor([5. 7. 9.], name=badd). Of more than 1000 numbers the
/// first and last three along each axis are shown. A number of 16 bits is shown as the float that it stands for.
template <Element T>
std::string to_string(const Tensor<T>& t) {
  std::string text(detail::text::opening);
  if (t.rank() == 0) text += detail::text::scalar(t.item());
  else if (t.size() == 0) text += "[]";
  else text = detail::text::Grid<T>(t.detach().from_gpu()).written();
  if (!t.name().empty()) text.append(", name=").append(t.name());
  return text + ")";
}

template <Element T>
std::ostream& operator<<(std::ostream& out, const Tensor<T>& t) { return out << to_string(t); }

}
}  // namespace tricycle
