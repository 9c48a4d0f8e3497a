// The op table: a row for every way to call an op. One row has an op's values, gradients, precision and threads tested,
// by test_ops_*.cpp; ops_have_rows.py fails when an op has none.
//
// To add an op, add a row: its name (": how", if there are several), the shapes it is called with, the numbers it is
// given, the call, and what it ought to be as plain loops. All that returns floating numbers must have a gradient.
#pragma once
#include <cctype>
#include <cmath>
#include <random>
#include "op_reference.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/lookup.hpp"

using reference::Numbers;
using reference::Operands;
using reference::Place;
using reference::Real;
using tricycle::Index;
using tricycle::Shape;
using tricycle::Tensor;

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

/// op(a), op(a, b) or op(a, b, c), as many as it takes.
template <class T, class Op>
auto spread(Op op, const std::vector<Tensor<T>>& x) {
  if constexpr (std::is_invocable_v<Op, const std::vector<Tensor<T>>&> && !std::is_invocable_v<Op, const Tensor<T>&>) return op(x);
  else if constexpr (std::is_invocable_v<Op, const Tensor<T>&>) return op(x[0]);
  else if constexpr (std::is_invocable_v<Op, const Tensor<T>&, const Tensor<T>&>) return op(x[0], x[1]);
  else return op(x[0], x[1], x[2]);
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
Tensor<Id> some_ids(const Shape& shape, Index count) {
  Tensor<Id> ids(shape);
  for (Index i = 0; i < ids.size(); ++i) ids.mutable_data()[i] = static_cast<Id>((i * i + 2 * i + 1) % count);
  return ids;
}

/// An einsum read by the compiler, its text, and shapes to try it on.
struct Product {
  tricycle::Einsum einsum;
  const char* shapes;
};
const std::vector<Product>& products();

template <class T>
std::vector<Row<T>> op_table() {
  namespace tc = tricycle;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };

  const auto any = "[] | [0] | [1] | [5] | [37] | [3 0 2] | [3 4] | [1 1 1] | [2 3 17] | [300 401]";
  const auto pairs = "[] [] | [] [5] | [5] [] | [1] [1] | [7] [1] | [1] [7] | [0] [1] | [1] [3 0] | [37] [37] | [4 1] [1 3] | [2 1 3] [4 1] | [3 37] [37] |"
                     "[37] [3 37] | [5 1] [5 37] | [5 37] [5 1] | [2 3 4 5] [3 1 5] | [2 1 2 1 2 1 2 1] [1 2 1 2 1 2 1 2] |"
                     "[300 401] [300 401] | [300 401] [401] | [300 1] [300 401] | [300 401] [] | [1 401] [300 1]";
  const auto rows = "[1] | [5] | [37] | [0 4] | [2 0] | [3 1] | [4 8] | [2 3 17] | [2 1 3 70] | [300 401] | [3 40000]";
  const auto blocks = "[1 1 1] | [2 3 4] | [0 3 4] | [2 0 4] | [2 3 0] | [1 5 1] | [3 1 37] | [2 37 3] | [60 50 41] | [3 40001 1] | [2 400 150] | [1 1 130000]";
  const auto full = "[1 1 1] | [2 3 4] | [1 5 1] | [3 1 37] | [2 37 3] | [60 50 41] | [3 40001 1]";
  const Domain numbers{}, positive{.low = 0.2, .high = 3}, off_0{.away_from_0 = 0.2}, steps{.low = -2, .high = 2, .step = 1};
  using std::exp, std::sqrt;

  std::vector<Row<T>> table{
      // ------------------------------------------------ one operand
      row("exp", any, numbers, [](auto& x) { return tc::exp(x); }, reference::each([](Real x) { return std::exp(x); })),
      row("log", any, positive, [](auto& x) { return tc::log(x); }, reference::each([](Real x) { return std::log(x); })),
      row("sqrt", any, positive, [](auto& x) { return tc::sqrt(x); }, reference::each([](Real x) { return std::sqrt(x); })),
      row("sin", any, Domain{.low = -30, .high = 30}, [](auto& x) { return tc::sin(x); }, reference::each([](Real x) { return std::sin(x); })),
      row("cos", any, Domain{.low = -30, .high = 30}, [](auto& x) { return tc::cos(x); }, reference::each([](Real x) { return std::cos(x); })),
      row("abs", any, off_0, [](auto& x) { return tc::abs(x); }, reference::each([](Real x) { return x < 0 ? -x : x; })),
      row("tanh", any, numbers, [](auto& x) { return tc::tanh(x); }, reference::each([](Real x) { return std::tanh(x); })),
      row("sigmoid", any, numbers, [](auto& x) { return tc::sigmoid(x); }, reference::each([](Real x) { return 1 / (1 + std::exp(-x)); })),
      row("relu", any, off_0, [](auto& x) { return tc::relu(x); }, reference::each([](Real x) { return x < 0 ? 0 : x; })),
      row("gelu", any, numbers, [](auto& x) { return tc::gelu(x); },
          reference::each([](Real x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(Real(-1))) * (x + Real(0.044715L) * x * x * x))); })),
      row("swish", any, numbers, [](auto& x) { return tc::swish(x); }, reference::each([](Real x) { return x / (1 + std::exp(-x)); })),
      row("pow: 0", any, numbers, [](auto& x) { return tc::pow(x, 0); }, reference::each([](Real) { return 1; })),
      row("pow: 1", any, numbers, [](auto& x) { return tc::pow(x, 1); }, reference::each([](Real x) { return x; })),
      row("pow: 2", any, numbers, [](auto& x) { return tc::pow(x, 2); }, reference::each([](Real x) { return x * x; })),
      row("pow: 3", any, numbers, [](auto& x) { return tc::pow(x, 3); }, reference::each([](Real x) { return x * x * x; })),
      row("pow: -1", any, off_0, [](auto& x) { return tc::pow(x, -1); }, reference::each([](Real x) { return 1 / x; })),
      row("pow: 2.5", any, positive, [](auto& x) { return tc::pow(x, 2.5); }, reference::each([](Real x) { return x * x * std::sqrt(x); })),

      // ------------------------------------------------ an operand and a number
      row("-a", any, numbers, [](auto& a) { return -a; }, reference::each([](Real a) { return -a; })),
      row("a + c", any, numbers, [](auto& a) { return a + 1.5; }, reference::each([](Real a) { return a + 1.5L; })),
      row("c + a", any, numbers, [](auto& a) { return 1.5 + a; }, reference::each([](Real a) { return a + 1.5L; })),
      row("a - c", any, numbers, [](auto& a) { return a - 1.5; }, reference::each([](Real a) { return a - 1.5L; })),
      row("c - a", any, numbers, [](auto& a) { return 1.5 - a; }, reference::each([](Real a) { return 1.5L - a; })),
      row("a * c", any, numbers, [](auto& a) { return a * -2.5; }, reference::each([](Real a) { return a * -2.5L; })),
      row("c * a", any, numbers, [](auto& a) { return -2.5 * a; }, reference::each([](Real a) { return a * -2.5L; })),
      row("a / c", any, numbers, [](auto& a) { return a / 3; }, reference::each([](Real a) { return a / 3; })),
      row("c / a", any, off_0, [](auto& a) { return 2.5 / a; }, reference::each([](Real a) { return 2.5L / a; })),

      // ------------------------------------------------ two operands, which broadcast
      row("a + b", pairs, numbers, [](auto& a, auto& b) { return a + b; }, reference::each([](Real a, Real b) { return a + b; })),
      row("a - b", pairs, numbers, [](auto& a, auto& b) { return a - b; }, reference::each([](Real a, Real b) { return a - b; })),
      row("a * b", pairs, numbers, [](auto& a, auto& b) { return a * b; }, reference::each([](Real a, Real b) { return a * b; })),
      row("a / b", pairs, off_0, [](auto& a, auto& b) { return a / b; }, reference::each([](Real a, Real b) { return a / b; })),
      row("a += b", pairs, numbers, [](auto a, auto& b) { return a += b; }, reference::each([](Real a, Real b) { return a + b; })),
      row("a -= b", pairs, numbers, [](auto a, auto& b) { return a -= b; }, reference::each([](Real a, Real b) { return a - b; })),
      row("a *= b", pairs, numbers, [](auto a, auto& b) { return a *= b; }, reference::each([](Real a, Real b) { return a * b; })),
      row("a < b", pairs, steps, [](auto& a, auto& b) { return a < b; }, reference::each([](Real a, Real b) { return a < b; })),
      row("a > b", pairs, steps, [](auto& a, auto& b) { return a > b; }, reference::each([](Real a, Real b) { return a > b; })),
      row("a <= b", pairs, steps, [](auto& a, auto& b) { return a <= b; }, reference::each([](Real a, Real b) { return a <= b; })),
      row("a >= b", pairs, steps, [](auto& a, auto& b) { return a >= b; }, reference::each([](Real a, Real b) { return a >= b; })),
      row("a == b", pairs, steps, [](auto& a, auto& b) { return a == b; }, reference::each([](Real a, Real b) { return a == b; })),
      row("a != b", pairs, steps, [](auto& a, auto& b) { return a != b; }, reference::each([](Real a, Real b) { return a != b; })),
      row("cast: to double and back", any, numbers, [](auto& x) { return tc::cast<double>(x); }, reference::each([](Real x) { return x; })),
      row("cast: to int", any, numbers, [](auto& x) { return tc::cast<int>(x); }, reference::each([](Real x) { return std::trunc(x); })),
      row("cast: to bool", any, steps, [](auto& x) { return tc::cast<bool>(x); }, reference::each([](Real x) { return x != 0; })),

      // ------------------------------------------------ over axes
      row("sum", any, numbers, [](auto& x) { return tc::sum(x); }, reference::over({}, reference::sum)),
      row("sum: kept", any, numbers, [](auto& x) { return tc::sum(x, {{}, true}); }, reference::over({}, reference::sum, true)),
      row("sum: first axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{0}}); }, reference::over({0}, reference::sum)),
      row("sum: middle axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{-2}}); }, reference::over({1}, reference::sum)),
      row("sum: last axis, kept", blocks, numbers, [](auto& x) { return tc::sum(x, {{2}, true}); }, reference::over({2}, reference::sum, true)),
      row("sum: first and last axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{-1, 0}}); }, reference::over({0, 2}, reference::sum)),
      row("sum: first two axes, kept", blocks, numbers, [](auto& x) { return tc::sum(x, {{0, 1}, true}); }, reference::over({0, 1}, reference::sum, true)),
      row("mean", any, numbers, [](auto& x) { return tc::mean(x); }, reference::over({}, reference::mean)),
      row("mean: first axis", blocks, numbers, [](auto& x) { return tc::mean(x, {{0}}); }, reference::over({0}, reference::mean)),
      row("mean: last two axes, kept", blocks, numbers, [](auto& x) { return tc::mean(x, {{1, 2}, true}); }, reference::over({1, 2}, reference::mean, true)),
      row("max", "[] | [1] | [5] | [37] | [3 4] | [300 401]", numbers, [](auto& x) { return tc::max(x); }, reference::over({}, reference::largest)),
      row("max: last axis", rows + 0, numbers, [](auto& x) { return tc::max(x.shape()[-1] ? x : tc::cast<T>(Tensor<int>(Shape{2, 1})), {{-1}}); },
          reference::over({-1}, reference::largest)),
      row("max: first axis, kept", full, numbers, [](auto& x) { return tc::max(x, {{0}, true}); }, reference::over({0}, reference::largest, true)),
      row("max: first and last axis", full, numbers, [](auto& x) { return tc::max(x, {{0, 2}}); }, reference::over({0, 2}, reference::largest)),
      row("argmax", full, numbers, [](auto& x) { return tc::argmax(x); }, reference::over({-1}, reference::where_largest)),
      row("argmax: of equals", full, steps, [](auto& x) { return tc::argmax(x, 1); }, reference::over({1}, reference::where_largest)),
  };
  return table;
}
