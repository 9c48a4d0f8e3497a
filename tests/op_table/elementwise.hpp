// Rows of the op table: ops that treat every element alike.
#pragma once
#include "row.hpp"

template <class T>
Rows<T> elementwise_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  const auto gelu = reference::each([](Real x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(Real(-1))) * (x + Real(0.044715L) * x * x * x))); });
  return {
      // ------------------------------------------------ one operand
      row("exp", any_shape, numbers, [](auto& x) { return tc::exp(x); }, reference::each([](Real x) { return std::exp(x); })),
      row("log", any_shape, positive, [](auto& x) { return tc::log(x); }, reference::each([](Real x) { return std::log(x); })),
      row("sqrt", any_shape, positive, [](auto& x) { return tc::sqrt(x); }, reference::each([](Real x) { return std::sqrt(x); })),
      row("sin", any_shape, Domain{.low = -30, .high = 30}, [](auto& x) { return tc::sin(x); }, reference::each([](Real x) { return std::sin(x); })),
      row("cos", any_shape, Domain{.low = -30, .high = 30}, [](auto& x) { return tc::cos(x); }, reference::each([](Real x) { return std::cos(x); })),
      row("abs", any_shape, off_0, [](auto& x) { return tc::abs(x); }, reference::each([](Real x) { return x < 0 ? -x : x; })),
      row("tanh", any_shape, numbers, [](auto& x) { return tc::tanh(x); }, reference::each([](Real x) { return std::tanh(x); })),
      row("sigmoid", any_shape, numbers, [](auto& x) { return tc::sigmoid(x); }, reference::each([](Real x) { return 1 / (1 + std::exp(-x)); })),
      row("relu", any_shape, off_0, [](auto& x) { return tc::relu(x); }, reference::each([](Real x) { return x < 0 ? 0 : x; })),
      row("erf", any_shape, numbers, [](auto& x) { return tc::erf(x); }, reference::each([](Real x) { return std::erf(x); })),
      row("gelu", any_shape, numbers, [](auto& x) { return tc::gelu(x); },
          gelu),
      row("gelu: exact", any_shape, numbers, [](auto& x) { return tc::gelu(x, {.exact = true}); }, reference::each([](Real x) { return x / 2 * (1 + std::erf(x / std::sqrt(Real(2)))); })),
      row("swish", any_shape, numbers, [](auto& x) { return tc::swish(x); }, reference::each([](Real x) { return x / (1 + std::exp(-x)); })),
      row("pow: 0", any_shape, numbers, [](auto& x) { return tc::pow(x, 0); }, reference::each([](Real) { return 1; })),
      row("pow: 1", any_shape, numbers, [](auto& x) { return tc::pow(x, 1); }, reference::each([](Real x) { return x; })),
      row("pow: 2", any_shape, numbers, [](auto& x) { return tc::pow(x, 2); }, reference::each([](Real x) { return x * x; })),
      row("pow: 3", any_shape, numbers, [](auto& x) { return tc::pow(x, 3); }, reference::each([](Real x) { return x * x * x; })),
      row("pow: -1", any_shape, off_0, [](auto& x) { return tc::pow(x, -1); }, reference::each([](Real x) { return 1 / x; })),
      row("pow: 2.5", any_shape, positive, [](auto& x) { return tc::pow(x, 2.5); }, reference::each([](Real x) { return x * x * std::sqrt(x); })),

      // ------------------------------------------------ an operand and a number
      row("pow: of a number", few, numbers, [](auto& x) { return tc::pow(1.5, x) + tc::pow(0, x * x + 1); }, reference::each([](Real x) { return std::pow(Real(1.5L), x); })),
      row("max: and a number", few, off_0, [](auto& x) { return tc::max(x, 0.1) + tc::max(-1, x); }, reference::each([](Real x) { return std::max(x, Real(0.1L)) + std::max(x, Real(-1)); })),
      row("min: and a number", few, off_0, [](auto& x) { return tc::min(x, 0.1) + tc::min(-1, x); }, reference::each([](Real x) { return std::min(x, Real(0.1L)) + std::min(x, Real(-1)); })),
      row("a += c", few, numbers, [](auto a) { return a += 1.5; }, reference::each([](Real a) { return a + 1.5L; })),
      row("a -= c", few, numbers, [](auto a) { return a -= 1.5; }, reference::each([](Real a) { return a - 1.5L; })),
      row("a *= c", few, numbers, [](auto a) { return a *= 1.5; }, reference::each([](Real a) { return a * 1.5L; })),
      row("a /= c", few, numbers, [](auto a) { return a /= 1.5; }, reference::each([](Real a) { return a / 1.5L; })),
      row("-a", any_shape, numbers, [](auto& a) { return -a; }, reference::each([](Real a) { return -a; })),
      row("a + c", any_shape, numbers, [](auto& a) { return a + 1.5; }, reference::each([](Real a) { return a + 1.5L; })),
      row("c + a", any_shape, numbers, [](auto& a) { return 1.5 + a; }, reference::each([](Real a) { return a + 1.5L; })),
      row("a - c", any_shape, numbers, [](auto& a) { return a - 1.5; }, reference::each([](Real a) { return a - 1.5L; })),
      row("c - a", any_shape, numbers, [](auto& a) { return 1.5 - a; }, reference::each([](Real a) { return 1.5L - a; })),
      row("a * c", any_shape, numbers, [](auto& a) { return a * -2.5; }, reference::each([](Real a) { return a * -2.5L; })),
      row("c * a", any_shape, numbers, [](auto& a) { return -2.5 * a; }, reference::each([](Real a) { return a * -2.5L; })),
      row("a / c", any_shape, numbers, [](auto& a) { return a / 3; }, reference::each([](Real a) { return a / 3; })),
      row("c / a", any_shape, off_0, [](auto& a) { return 2.5 / a; }, reference::each([](Real a) { return 2.5L / a; })),
  };
}
