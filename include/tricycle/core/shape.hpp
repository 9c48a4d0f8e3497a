// The extents of a tensor, outermost first. Every tensor is contiguous and row-major.
#pragma once
#include <array>
#include <initializer_list>
#include <limits>
#include <ostream>
#include "tricycle/core/error.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

class Shape {
 public:
  static constexpr int max_rank = 8;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<Index> extents) {
    for (Index n : extents) push_back(n);
  }
  template <class Iterator>
  constexpr Shape(Iterator first, Iterator last) {
    for (; first != last; ++first) push_back(static_cast<Index>(*first));
  }

  constexpr int rank() const { return rank_; }
  constexpr const Index* begin() const { return extent_.data(); }
  constexpr const Index* end() const { return extent_.data() + rank_; }

  /// The extent of an axis; negative axes count from the last. Throws when there is no such axis.
  constexpr Index operator[](int axis) const { return extent_[static_cast<std::size_t>(this->axis(axis))]; }

  /// `axis` counted from the first, where negative ones count from the last. Throws when there is no such axis.
  constexpr int axis(int axis) const {
    check(axis >= -rank_ && axis < rank_, "shape: no axis ", axis, " in ", *this);
    return axis < 0 ? axis + rank_ : axis;
  }

  constexpr void push_back(Index n) {
    check(rank_ < max_rank, "shape: more than ", max_rank, " axes");
    check(n >= 0, "shape: an extent of ", n);
    extent_[static_cast<std::size_t>(rank_++)] = n;
  }

  /// How many numbers there are. Throws rather than overflow, also where an extent of 0 would hide it.
  constexpr Index size() const {
    Index n = 1;
    bool empty = false;
    for (Index extent : *this) {
      empty = empty || extent == 0;
      n = times(n, extent == 0 ? 1 : extent);
    }
    return empty ? 0 : n;
  }

  /// The product of the extents of axes [first, last).
  constexpr Index product(int first, int last) const {
    Index n = 1;
    for (int i = first; i < last; ++i) n = times(n, extent_[static_cast<std::size_t>(i)]);
    return n;
  }

  /// Axes [first, last), as a shape of their own.
  constexpr Shape slice(int first, int last) const { return Shape(extent_.data() + first, extent_.data() + last); }

  /// These axes, then those of another shape.
  constexpr Shape followed_by(const Shape& more) const {
    Shape all = *this;
    for (Index n : more) all.push_back(n);
    return all;
  }

  /// The same shape with another extent at `axis`.
  constexpr Shape with(int axis, Index n) const {
    Shape changed = *this;
    changed.extent_[static_cast<std::size_t>(this->axis(axis))] = n;
    return changed;
  }

  constexpr bool operator==(const Shape&) const = default;

  /// As Python prints a tuple: (2, 3), (4,), ().
  friend std::ostream& operator<<(std::ostream& out, const Shape& s) {
    out << '(';
    for (int i = 0; i < s.rank_; ++i) out << (i ? ", " : "") << s.extent_[static_cast<std::size_t>(i)];
    return out << (s.rank_ == 1 ? ",)" : ")");
  }

 private:
  constexpr Index times(Index n, Index extent) const {
    check(extent == 0 || n <= (std::numeric_limits<Index>::max)() / extent, "shape: ", *this, " has more elements than 64 bits can count");
    return n * extent;
  }

  std::array<Index, max_rank> extent_{};
  int rank_ = 0;
};

/// What NumPy's broadcasting makes of two shapes: axes are matched from the last, and an extent of 1 stretches.
constexpr Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  int rank = a.rank() > b.rank() ? a.rank() : b.rank();
  Shape out;
  for (int i = rank; i >= 1; --i) {
    Index in_a = i <= a.rank() ? a[-i] : 1, in_b = i <= b.rank() ? b[-i] : 1;
    check(in_a == in_b || in_a == 1 || in_b == 1, op, ": shapes ", a, " and ", b, " do not broadcast");
    out.push_back(in_a == 1 ? in_b : in_a);
  }
  return out;
}

}
}  // namespace tricycle
