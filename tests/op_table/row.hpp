// What a row of the op table is.
#pragma once
#include <cctype>
#include <random>
#include "../op_reference.hpp"
#include "tricycle/op/choose.hpp"
#include "tricycle/op/elementwise.hpp"

namespace tc = tricycle;
using reference::Numbers;
using reference::Operands;
using reference::Place;
using reference::Real;
using tricycle::Index;
using tricycle::Shape;
using tricycle::Tensor;
using reference::first_operand, reference::normalised;

/// The shapes of an op's operands, several times: "[3 4] [4] | [] []" is two cases of two operands.
inline std::vector<std::vector<Shape>> cases(const std::string& text) {
  std::vector<std::vector<Shape>> all(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '|') all.emplace_back();
    else if (text[i] == '[') all.back().emplace_back();
    else if (std::isdigit(static_cast<unsigned char>(text[i]))) {
      std::size_t digits = 0;
      all.back().back().push_back(std::stoll(text.substr(i), &digits));
      i += digits - 1;
    }
  }
  return all;
}

/// The numbers that an op is given: between low and high, no closer to 0 than away_from_0, and multiples of step if not 0.
struct Domain {
  double low = -3, high = 3, away_from_0 = 0, step = 0;

  double draw(std::mt19937_64& random) const {
    for (;;) {
      double x = std::uniform_real_distribution<double>(low, high)(random);
      if (step != 0) x = std::round(x / step) * step;
      if (std::abs(x) >= away_from_0) return x;
    }
  }
};

template <class T>
struct Row {
  std::string name;
  std::vector<std::vector<Shape>> cases;
  Domain domain;
  std::function<Tensor<T>(const std::vector<Tensor<T>>&)> call;
  reference::Function expected;
  bool differentiable;
};

template <class T> using Rows = std::vector<Row<T>>;

/// op(a), op(a, b), op(a, b, c) or one of five, as many as it takes; op({a, ...}) if its operator() is no template.
template <class T, class Op>
auto spread(Op op, const std::vector<Tensor<T>>& x) {
  if constexpr (requires { &Op::operator(); }) return op(x);
  else if constexpr (std::is_invocable_v<Op, const Tensor<T>&>) return op(x[0]);
  else if constexpr (std::is_invocable_v<Op, const Tensor<T>&, const Tensor<T>&>) return op(x[0], x[1]);
  else if constexpr (std::is_invocable_v<Op, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&>) return op(x[0], x[1], x[2]);
  else return op(x[0], x[1], x[2], x[3], x[4]);
}

/// A row of the table. Results that are bools, indices or of another precision are compared as T.
template <class T, class Op>
Row<T> make_row(const std::string& name, const std::string& shapes, Domain domain, Op op, reference::Function expected) {
  using Result = typename decltype(spread<T>(op, std::vector<Tensor<T>>()))::value_type;
  auto call = [op](const std::vector<Tensor<T>>& x) { return tricycle::cast<T>(spread<T>(op, x)); };
  return {name, cases(shapes), domain, call, expected, tricycle::Floating<Result>};
}

/// Ids below `count`, some of them twice.
template <class Id>
Tensor<Id> some_ids(const Shape& shape, Index count, tricycle::Device device = tricycle::Device::cpu) {
  Tensor<Id> ids(shape);
  for (Index i = 0; i < ids.size(); ++i) ids.mutable_data()[i] = static_cast<Id>((i * i + 2 * i + 1) % count);
  return ids.to(device);
}

/// The shapes that most rows are called with.
namespace usual_shapes {
inline constexpr auto any_shape = "[] | [0] | [1] | [5] | [37] | [3 0 2] | [3 4] | [1 1 1] | [2 3 17] | [300 401]";
inline constexpr auto few = "[] | [0] | [5] | [3 0 2] | [2 3 17] | [30 41]";
inline constexpr auto pairs = "[] [] | [] [5] | [5] [] | [1] [1] | [7] [1] | [1] [7] | [0] [1] | [1] [3 0] | [37] [37] | [4 1] [1 3] | [2 1 3] [4 1] | [3 37] [37] |"
                              "[37] [3 37] | [5 1] [5 37] | [5 37] [5 1] | [2 3 4 5] [3 1 5] | [2 1 2 1 2 1 2 1] [1 2 1 2 1 2 1 2] |"
                              "[300 401] [300 401] | [300 401] [401] | [300 1] [300 401] | [300 401] [] | [1 401] [300 1]";
inline constexpr auto few_pairs = "[] [] | [5] [] | [0] [1] | [37] [37] | [4 1] [1 3] | [2 3 4 5] [3 1 5] | [30 41] [41]";
inline constexpr auto rows = "[1] | [5] | [37] | [0 4] | [2 0] | [3 1] | [4 8] | [2 3 17] | [2 1 3 70] | [300 401] | [3 40000]";
inline constexpr auto blocks = "[1 1 1] | [2 3 4] | [0 3 4] | [2 0 4] | [2 3 0] | [1 5 1] | [3 1 37] | [2 37 3] | [60 50 41] | [3 40001 1] | [2 400 150] | [1 1 130000]";
inline constexpr auto few_blocks = "[1 1 1] | [2 3 4] | [0 3 4] | [2 0 4] | [2 3 0] | [3 1 37] | [2 37 3] | [4 50 41]";
inline constexpr auto few_full = "[1 1 1] | [2 3 4] | [1 5 1] | [3 1 37] | [2 37 3] | [4 50 41]";
inline constexpr auto full = "[1 1 1] | [2 3 4] | [1 5 1] | [3 1 37] | [2 37 3] | [60 50 41] | [3 40001 1]";
}  // namespace usual_shapes

/// And the numbers.
namespace domains {
inline constexpr Domain numbers{}, positive{.low = 0.2, .high = 3}, off_0{.away_from_0 = 0.2}, steps{.low = -2, .high = 2, .step = 1}, small{.low = -1, .high = 1}, near_1{.low = 0.8, .high = 1.25};
}  // namespace domains
