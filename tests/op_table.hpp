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
#include "tricycle/op/classify.hpp"
#include "tricycle/op/dense.hpp"
#include "tricycle/op/attention.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/norm.hpp"

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

/// An einsum, read by the compiler, and the shapes that it is called with.
struct Product {
  tricycle::Einsum einsum;
  const char* shapes;
};

inline std::vector<Product> products() {
  using tricycle::einsum;
  return {
      // ------------------------------------------------ of one tensor
      {einsum<"->">, "[]"},
      {einsum<"i">, "[0] | [1] | [5]"},
      {einsum<"i->">, "[0] | [1] | [37] | [130000]"},
      {einsum<"ij->ji">, "[0 3] | [1 1] | [1 5] | [3 4] | [37 17] | [300 401]"},
      {einsum<"ba">, "[0 3] | [3 4]"},
      {einsum<"ij->i">, "[3 0] | [0 3] | [3 4] | [300 401]"},
      {einsum<"ij->j">, "[3 0] | [0 3] | [3 4] | [300 401]"},
      {einsum<"ijk->kij">, "[2 3 4] | [1 3 1] | [0 3 2] | [50 40 60]"},
      {einsum<"ijk->ki">, "[2 3 4] | [2 0 4] | [1 3 1] | [50 40 60]"},
      {einsum<"ijk->j">, "[2 3 4] | [2 0 4] | [0 3 4] | [50 40 60]"},
      {einsum<"abcd->db">, "[2 3 4 5] | [2 1 4 1]"},
      {einsum<"abcdefgh->hgfedcba">, "[2 1 3 2 1 2 2 1]"},
      {einsum<"...ij->...ji">, "[3 4] | [2 3 4] | [2 0 3 4]"},
      {einsum<"i...->...i">, "[3] | [3 4] | [2 3 4]"},
      {einsum<"...">, "[] | [3] | [2 3]"},
      {einsum<"...i->...">, "[3] | [2 3] | [2 3 0]"},

      // ------------------------------------------------ vectors and numbers
      {einsum<",->">, "[] []"},
      {einsum<",ij->ji">, "[] [3 4] | [] [0 4]"},
      {einsum<"ij,->ij">, "[3 4] [] | [1 1] []"},
      {einsum<"i,i->">, "[0] [0] | [1] [1] | [37] [37] | [130000] [130000]"},
      {einsum<"i,i->i">, "[0] [0] | [1] [1] | [37] [37] | [130000] [130000]"},
      {einsum<"i,j->ij">, "[3] [4] | [1] [1] | [0] [3] | [3] [0] | [300] [401]"},
      {einsum<"i,j->ji">, "[3] [4] | [1] [7] | [0] [3]"},
      {einsum<"i,j->">, "[3] [4] | [0] [3]"},

      // ------------------------------------------------ matrices
      {einsum<"ij,jk->ik">, "[2 3] [3 4] | [1 1] [1 1] | [0 3] [3 4] | [2 0] [0 4] | [2 3] [3 0] | [1 37] [37 1] | [33 17] [17 19] | [300 70] [70 401]"},
      {einsum<"ij,kj->ik">, "[2 3] [4 3] | [2 0] [4 0] | [1 3] [4 3] | [33 17] [19 17] | [300 70] [401 70]"},
      {einsum<"ji,jk->ik">, "[3 2] [3 4] | [0 2] [0 4] | [17 33] [17 19] | [3000 40] [3000 41]"},
      {einsum<"ji,kj->ki">, "[3 2] [4 3] | [3 0] [4 3] | [17 33] [19 17]"},
      {einsum<"ij,jk">, "[2 3] [3 4] | [1 3] [3 1]"},
      {einsum<" ij , jk -> ik ">, "[2 3] [3 4]"},
      {einsum<"ba,ca">, "[2 3] [4 3]"},
      {einsum<"Xa,aY->YX">, "[2 3] [3 4]"},
      {einsum<"ij,j->i">, "[3 4] [4] | [3 0] [0] | [0 4] [4] | [300 401] [401]"},
      {einsum<"i,ij->j">, "[3] [3 4] | [0] [0 4] | [300] [300 401]"},
      {einsum<"ij,ij->">, "[3 4] [3 4] | [0 4] [0 4] | [300 401] [300 401]"},
      {einsum<"ij,ij->ij">, "[3 4] [3 4] | [1 4] [1 4] | [0 4] [0 4]"},
      {einsum<"ij,ij->ji">, "[3 4] [3 4] | [300 401] [300 401]"},
      {einsum<"ij,ji->ij">, "[3 4] [4 3] | [3 0] [0 3]"},
      {einsum<"ij,ji->">, "[3 4] [4 3] | [3 0] [0 3]"},
      {einsum<"ij,ij->i">, "[3 4] [3 4] | [3 0] [3 0] | [300 401] [300 401]"},
      {einsum<"ij,ij->j">, "[3 4] [3 4] | [0 4] [0 4] | [300 401] [300 401]"},
      {einsum<"ab,bc->a">, "[2 3] [3 4] | [2 3] [3 0]"},
      {einsum<"ab,c->">, "[2 3] [4] | [2 3] [0]"},
      {einsum<"ab,cd->dcba">, "[2 3] [4 5] | [2 0] [4 5]"},

      // ------------------------------------------------ more axes
      {einsum<"bij,bjk->bik">, "[2 3 4] [2 4 5] | [1 3 4] [1 4 5] | [0 3 4] [0 4 5] | [2 3 0] [2 0 5] | [4 100 30] [4 30 301]"},
      {einsum<"bij,bkj->bik">, "[2 3 4] [2 5 4] | [2 0 4] [2 5 4]"},
      {einsum<"bij,bjk->ikb">, "[2 3 4] [2 4 5] | [2 1 4] [2 4 5]"},
      {einsum<"bij,jk->bik">, "[2 3 4] [4 5] | [2 3 1] [1 5] | [0 3 4] [4 5] | [20 60 30] [30 101]"},
      {einsum<"ij,bjk->bik">, "[3 4] [2 4 5] | [3 4] [2 4 0]"},
      {einsum<"bqnh,bknh->bnqk">, "[2 3 4 5] [2 6 4 5] | [1 3 1 5] [1 6 1 5] | [2 0 4 5] [2 6 4 5] | [2 64 8 16] [2 128 8 16]"},
      {einsum<"bnqk,bknh->bqnh">, "[2 4 3 6] [2 6 4 5] | [2 1 3 1] [2 1 1 5] | [2 4 3 0] [2 0 4 5]"},
      {einsum<"abc,abd->abcd">, "[2 3 4] [2 3 5] | [2 1 4] [2 1 5]"},
      {einsum<"abcd,efcd->abef">, "[2 3 4 5] [3 2 4 5] | [2 3 1 5] [3 2 1 5]"},
      {einsum<"abcd,dcef->feba">, "[2 3 4 5] [5 4 2 3] | [2 3 4 1] [1 4 2 3]"},
      {einsum<"abcd,cbea->de">, "[2 3 4 5] [4 3 6 2] | [2 3 4 5] [4 3 0 2]"},
      {einsum<"abc,cbe->e">, "[2 3 4] [4 3 5] | [0 3 4] [4 3 5]"},
      {einsum<"aebfcd,cafd->bfea">, "[2 3 2 3 2 3] [2 2 3 3]"},

      // ------------------------------------------------ any number of axes
      {einsum<"...i,io->...o">, "[3] [3 4] | [2 3] [3 4] | [5 2 3] [3 4] | [5 0 3] [3 4] | [40 60 30] [30 101]"},
      {einsum<"...ij,...jk->...ik">, "[2 3] [3 4] | [5 2 3] [5 3 4] | [6 5 2 3] [5 3 4] | [2 3] [5 3 4]"},
      {einsum<"...ij,jk">, "[2 3] [3 4] | [5 2 3] [3 4]"},
      {einsum<"i...,i->...">, "[3] [3] | [3 4] [3] | [3 4 5] [3]"},
      {einsum<"i...,j...->ij...">, "[2] [3] | [2 4] [3 4] | [2 4 5] [3 5]"},
      {einsum<"...,...">, "[] [] | [3] [3] | [2 3] [3] | [] [2 3]"},
  };
}

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
  using reference::first_operand, reference::normalised;
  auto embedded = [](const Shape& shape) {
    return [shape](const Operands& in) {
      const Numbers& weights = in[0];
      const auto ids = some_ids<Index>(shape, weights.shape[0]);
      Shape result = shape;
      result.push_back(weights.shape[1]);
      return reference::build(result, [&](const Place& p) { return weights[{ids.data()[reference::offset(shape, Place(p.begin(), p.end() - 1))], p.back()}]; });
    };
  };
  auto mean_surprise = [](const Numbers& logits) {
    const Shape shape = logits.shape.slice(0, logits.shape.rank() - 1);
    const auto truth = some_ids<Index>(shape, logits.shape[-1]);
    const auto losses = reference::by_row([&](const std::vector<Real>& x, Index r) {
      return std::vector<Real>(x.size(), reference::surprise(x, truth.data()[r]));
    })({logits});
    return reference::over({}, reference::mean)({losses});
  };
  auto surprise_of_product = [=](const std::string& product) { return [=](const Operands& in) { return mean_surprise(reference::einsum(product)(in)); }; };
  auto classified = [](bool by_class) {
    return [by_class](auto& x, auto& w) { return tc::classify(some_ids<int>(x.shape().slice(0, x.rank() - 1), w.shape()[by_class ? 0 : 1], x.device()), x, w, by_class); };
  };
  const auto gelu = reference::each([](Real x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(Real(-1))) * (x + Real(0.044715L) * x * x * x))); });
  const auto dense_with_bias = [](const Operands& in) {
    return reference::each([](Real y, Real b) { return y + b; })({reference::einsum("...i,io->...o")({in[0], in[1]}), in[2]});
  };
  const Domain small{.low = -1, .high = 1};
  const Domain numbers{}, positive{.low = 0.2, .high = 3}, off_0{.away_from_0 = 0.2}, steps{.low = -2, .high = 2, .step = 1};

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
          gelu),
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
      row("a /= b", pairs, off_0, [](auto a, auto& b) { return a /= b; }, reference::each([](Real a, Real b) { return a / b; })),
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
      row("mean: first and last axis", blocks, numbers, [](auto& x) { return tc::mean(x, {{0, 2}}); }, reference::over({0, 2}, reference::mean)),
      row("mean: last two axes, kept", blocks, numbers, [](auto& x) { return tc::mean(x, {{1, 2}, true}); }, reference::over({1, 2}, reference::mean, true)),
      row("max", "[] | [1] | [5] | [37] | [3 4] | [300 401]", numbers, [](auto& x) { return tc::max(x); }, reference::over({}, reference::largest)),
      row("max: last axis", full, numbers, [](auto& x) { return tc::max(x, {{-1}}); }, reference::over({2}, reference::largest)),
      row("max: first axis, kept", full, numbers, [](auto& x) { return tc::max(x, {{0}, true}); }, reference::over({0}, reference::largest, true)),
      row("max: first and last axis", full, numbers, [](auto& x) { return tc::max(x, {{0, 2}}); }, reference::over({0, 2}, reference::largest)),
      row("argmax", full, numbers, [](auto& x) { return tc::argmax(x); }, reference::over({-1}, reference::where_largest)),
      row("argmax: of equals", full, steps, [](auto& x) { return tc::argmax(x, 1); }, reference::over({1}, reference::where_largest)),

      // ------------------------------------------------ layout
      row("reshape", "[2 3 4] | [1 24] | [24 1 1] | [24]", numbers, [](auto& x) { return x.reshape({4, -1, 3}); },
          [](auto& in) { return reference::reshaped(in[0], {4, 2, 3}); }),
      row("reshape: of one number", "[] | [1] | [1 1]", numbers, [](auto& x) { return x.reshape(Shape{1, 1, 1}); }, [](auto& in) { return reference::reshaped(in[0], {1, 1, 1}); }),
      row("reshape: of none", "[0] | [3 0]", numbers, [](auto& x) { return x.reshape({-1, 3}); }, [](auto& in) { return reference::reshaped(in[0], {0, 3}); }),
      row("permute", blocks, numbers, [](auto& x) { return tc::permute(x, {2, 0, 1}); }, [](auto& in) { return reference::permuted(in[0], {2, 0, 1}); }),
      row("permute: four axes", "[2 3 4 5] | [2 0 4 5] | [1 3 1 5]", numbers, [](auto& x) { return tc::permute(x, {0, -2, 1, -1}); },
          [](auto& in) { return reference::permuted(in[0], {0, 2, 1, 3}); }),
      row("permute: no axes", "[]", numbers, [](auto& x) { return tc::permute(x, {}); }, [](auto& in) { return in[0]; }),
      row("transpose", blocks, numbers, [](auto& x) { return tc::transpose(x); }, [](auto& in) { return reference::permuted(in[0], {0, 2, 1}); }),
      row("transpose: of a matrix", "[3 4] | [1 5] | [0 3] | [37 17] | [300 401]", numbers, [](auto& x) { return tc::transpose(x); },
          [](auto& in) { return reference::permuted(in[0], {1, 0}); }),
      row("split", "[3] | [0] | [2 6] | [0 6] | [2 5 111] | [300 402]", numbers,
          [](auto& x) {
            auto parts = tc::split(x, 3);
            return parts[0] + parts[1] * parts[2];
          },
          [](auto& in) {
            const int last = in[0].shape.rank() - 1;
            const Index n = in[0].shape[last] / 3;
            auto at = [&](Index i) { return reference::part(in[0], last, i * n, (i + 1) * n); };
            return reference::each([](Real a, Real b, Real c) { return a + b * c; })({at(0), at(1), at(2)});
          }),
      row("split: a part is left out", "[1 6 1] | [2 6 3] | [2 6 0] | [5 60 401]", numbers, [](auto& x) { return tc::split(x, 3, 1)[1]; },
          [](auto& in) { return reference::part(in[0], 1, in[0].shape[1] / 3, in[0].shape[1] / 3 * 2); }),
      row("concatenate", "[1] [1] | [3] [5] | [0] [2] | [2] [0] | [2 3] [4 3] | [2 0] [4 0] | [37 1] [5 1] | [150 401] [151 401]", numbers,
          [](auto& a, auto& b) { return tc::concatenate(a, b); }, [](auto& in) { return reference::joined(in[0], in[1], 0); }),
      row("concatenate: last axis", "[3 2] [3 4] | [3 0] [3 4] | [0 2] [0 4] | [2 3 17] [2 3 5] | [300 150] [300 250]", numbers,
          [](auto& a, auto& b) { return tc::concatenate(a, b, -1); }, [](auto& in) { return reference::joined(in[0], in[1], in[0].shape.rank() - 1); }),

      // ------------------------------------------------ rows
      row("softmax", rows, numbers, [](auto& x) { return tc::softmax(x); }, reference::by_row(reference::softmax)),
      row("log_softmax", rows, numbers, [](auto& x) { return tc::log_softmax(x); },
          first_operand(reference::by_row(reference::softmax), reference::each([](Real share) { return std::log(share); }))),
      row("causal_softmax", "[1 1] | [5 5] | [3 7] | [2 4 4] | [0 4 4] | [2 0 3] | [2 3 17 37] | [2 250 260]", numbers,
          [](auto& x) { return tc::causal_softmax(x, 0.7); },
          [](auto& in) {
            const Index queries = in[0].shape[-2];
            return reference::by_row([=](std::vector<Real> x, Index r) {
              const std::size_t keys = x.size();
              x.resize(keys - static_cast<std::size_t>(queries - 1 - r % queries));
              for (Real& v : x) v *= 0.7L;
              x = reference::softmax(x);
              x.resize(keys, 0);
              return x;
            })(in);
          }),
      row("attention", "[1 1 1 1] [1 1 1 1] [1 1 1 1] | [2 31 2 8] [2 31 2 8] [2 31 2 8] | [1 33 1 32] [1 33 1 32] [1 33 1 32] | [1 5 2 80] [1 64 2 80] [1 64 2 80] |"
          "[1 2 1 128] [1 130 1 128] [1 130 1 128] | [1 64 1 64] [1 64 1 64] [1 64 1 64] | [1 2 1 130] [1 3 1 130] [1 3 1 130] | [0 3 2 4] [0 3 2 4] [0 3 2 4] | [2 0 2 4] [2 3 2 4] [2 3 2 4]",
          Domain{.low = -1, .high = 1}, [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v); }, reference::attention(true)),
      row("attention: of all keys", "[1 1 1 1] [1 1 1 1] [1 1 1 1] | [2 31 2 8] [2 7 2 8] [2 7 2 8] | [1 3 2 64] [1 130 2 64] [1 130 2 64] | [2 3 2 4] [2 0 2 4] [2 0 2 4]", Domain{.low = -1, .high = 1},
          [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v, {.causal = false, .scale = 0.25}); }, reference::attention(false, 0.25L)),
      row("attention: time first", "[2 3 2 5] [4 2 2 5] [4 2 2 5] | [3 1 2 16] [33 3 2 16] [33 3 2 16]", Domain{.low = -1, .high = 1},
          [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v, {.time_first = true}); }, reference::attention(true, 0, true)),
      row("attention: in one tensor", "[1 1 6] | [2 3 30] | [1 33 96] | [0 3 12] | [2 0 12]", Domain{.low = -1, .high = 1}, [](auto& qkv) { return tc::attention(qkv, 2); },
          [](auto& in) {
            const Index b = in[0].shape[0], t = in[0].shape[1], n = in[0].shape[2] / 3;
            auto third = [&](Index i) { return reference::reshaped(reference::part(in[0], 2, i * n, (i + 1) * n), {b, t, 2, n / 2}); };
            return reference::reshaped(reference::attention(true)({third(0), third(1), third(2)}), {b, t, n});
          }),
      row("layer_norm", "[5] [5] | [3 4] [4] | [37] [37] | [0 4] [4] | [2 0] [0] | [4 8] [8] | [2 3 17] [17] | [300 401] [401] | [3 40000] [40000]", numbers,
          [](auto& x, auto& gamma) { return tc::layer_norm(x, gamma); }, 
          first_operand(normalised(1e-5L), reference::each([](Real x, Real gamma) { return x * gamma; }))),
      row("layer_norm: shifted", "[5] [5] [5] | [1] [1] [1] | [37] [37] [37] | [0 4] [4] [4] | [2 0] [0] [0] | [4 8] [8] [8] | [2 3 17] [17] [17] | [900 140] [140] [140]", numbers,
          [](auto& x, auto& gamma, auto& beta) { return tc::layer_norm(x, gamma, beta, 0.1); },
          first_operand(normalised(0.1L), reference::each([](Real x, Real gamma, Real beta) { return x * gamma + beta; }))),
      row("add_layer_norm", "[5] [5] [5] | [3 4] [3 4] [4] | [0 4] [0 4] [4] | [2 0] [2 0] [0] | [2 3 17] [2 3 17] [17] | [30 401] [30 401] [401]", numbers,
          [](auto& a, auto& b, auto& gamma) {
            auto [sum, y] = tc::add_layer_norm(a, b, gamma);
            return tc::concatenate(sum, y);
          },
          [](auto& in) {
            const auto sum = reference::each([](Real a, Real b) { return a + b; })({in[0], in[1]});
            return reference::joined(sum, first_operand(normalised(1e-5L), reference::each([](Real x, Real gamma) { return x * gamma; }))({sum, in[2]}), 0);
          }),
      row("add_layer_norm: only the norm, shifted", "[5] [5] [5] [5] [5] | [3 4] [3 4] [4] [4] [4] | [2 3 17] [2 3 17] [17] [17] [17] | [30 401] [30 401] [401] [401] [401] | [0 4] [0 4] [4] [4] [4]", numbers,
          [](auto& a, auto& b, auto& gamma, auto& beta, auto& c) { return tc::add_layer_norm(a, b, gamma, beta, 0.1).second * c; },
          [](auto& in) {
            const auto sum = reference::each([](Real a, Real b) { return a + b; })({in[0], in[1]});
            const auto y = first_operand(normalised(0.1L), reference::each([](Real x, Real gamma, Real beta) { return x * gamma + beta; }))({sum, in[2], in[3]});
            return reference::each([](Real x, Real c) { return x * c; })({y, in[4]});
          }),
      row("dropout", any, numbers,
          [](auto& x) {
            tc::seed(5);
            return tc::dropout(x, 0.3f);
          },
          [](auto& in) {
            tc::seed(5);
            const auto key = tc::random_bits();
            Numbers y = in[0];
            for (std::size_t i = 0; i < y.at.size(); ++i)
              y.at[i] = tc::kernel::uniform_at(key, static_cast<Index>(i)) < 0.3f ? 0 : y.at[i] / (1 - Real(0.3f));
            return y;
          }),

      // ------------------------------------------------ dense layers
      row("dense", "[3] [3 4] | [1 1] [1 1] | [2 3] [3 4] | [2 5 33] [33 17] | [0 3] [3 4] | [2 0] [0 4] | [31 64] [64 40]", numbers,
          [](auto& x, auto& w) { return tc::dense(x, w); }, reference::einsum("...i,io->...o")),
      row("dense: with a bias", "[3] [3 4] [4] | [1 1] [1 1] [1] | [2 3] [3 4] [4] | [2 5 33] [33 17] [17] | [0 3] [3 4] [4] | [2 0] [0 4] [4] | [31 64] [64 40] [40]", numbers,
          [](auto& x, auto& w, auto& b) { return tc::dense(x, w, &b); }, dense_with_bias),
      row("mlp", "[3] [3 5] [5 4] | [2 3] [3 8] [8 3] | [2 5 17] [17 33] [33 9] | [0 3] [3 4] [4 2] | [31 16] [16 64] [64 16]", small,
          [](auto& x, auto& w_1, auto& w_2) { return tc::mlp<T>(x, w_1, nullptr, w_2, nullptr); },
          [=](auto& in) { return reference::einsum("...i,io->...o")({gelu({reference::einsum("...i,io->...o")({in[0], in[1]})}), in[2]}); }),
      row("mlp: with biases", "[3] [3 5] [5] [5 4] [4] | [2 3] [3 8] [8] [8 3] [3] | [2 5 17] [17 33] [33] [33 9] [9] | [0 3] [3 4] [4] [4 2] [2] | [31 16] [16 64] [64] [64 16] [16]", small,
          [](auto& x, auto& w_1, auto& b_1, auto& w_2, auto& b_2) { return tc::mlp(x, w_1, &b_1, w_2, &b_2); },
          [=](auto& in) { return dense_with_bias({gelu({dense_with_bias({in[0], in[1], in[2]})}), in[3], in[4]}); }),

      // ------------------------------------------------ ids
      row("classify: by class", "[1 1] [1 1] | [4 3] [5 3] | [2 3 17] [19 17] | [30 40] [401 40] | [3 2] [4 2]", small, classified(true), surprise_of_product("...i,oi->...o")),
      row("classify: as a Dense", "[1 1] [1 1] | [4 3] [3 5] | [2 3 17] [17 19] | [30 40] [40 401]", small, classified(false), surprise_of_product("...i,io->...o")),
      row("embed", "[1 1] | [3 4] | [6 0] | [5 37] | [100 130]", numbers, [](auto& w) { return tc::embed(some_ids<int>({2, 3}, w.shape()[0], w.device()), w); }, embedded({2, 3})),
      row("embed: many", "[300 130]", numbers, [](auto& w) { return tc::embed(some_ids<Index>({40, 25}, w.shape()[0], w.device()), w); }, embedded({40, 25})),
      row("embed: one id", "[1 1] | [3 4]", numbers, [](auto& w) { return tc::embed(some_ids<unsigned char>({}, w.shape()[0], w.device()), w); }, embedded({})),
      row("embed: no ids", "[1 1] | [3 4]", numbers, [](auto& w) { return tc::embed(Tensor<int>(Shape{0}, w.device()), w); }, embedded({0})),
      row("cross_entropy", "[1] | [4] | [1 1] | [5 4] | [0 4] | [2 3 17] | [2 0 3] | [300 401] | [3 40000]", numbers,
          [](auto& x) { return tc::cross_entropy(some_ids<int>(x.shape().slice(0, x.rank() - 1), x.shape()[-1], x.device()), x); },
          [=](auto& in) { return mean_surprise(in[0]); }),
  };

  for (const Product& product : products()) {
    auto call = [e = product.einsum](const std::vector<Tensor<T>>& in) { return in.size() == 1 ? e(in[0]) : e(in[0], in[1]); };
    table.push_back(row("Einsum: " + std::string(product.einsum.subscript()), product.shapes, Domain{.low = -1, .high = 1}, call,
                        reference::einsum(std::string(product.einsum.subscript()))));
  }
  return table;
}
