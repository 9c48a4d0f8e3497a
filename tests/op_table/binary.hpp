// Rows of the op table: ops of two operands, which broadcast, and of element types.
#pragma once
#include "row.hpp"

template <class T>
Rows<T> binary_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  return {
      row("a + b", pairs, numbers, [](auto& a, auto& b) { return a + b; }, reference::each([](Real a, Real b) { return a + b; })),
      row("a - b", pairs, numbers, [](auto& a, auto& b) { return a - b; }, reference::each([](Real a, Real b) { return a - b; })),
      row("a * b", pairs, numbers, [](auto& a, auto& b) { return a * b; }, reference::each([](Real a, Real b) { return a * b; })),
      row("a / b", pairs, off_0, [](auto& a, auto& b) { return a / b; }, reference::each([](Real a, Real b) { return a / b; })),
      row("a += b", pairs, numbers, [](auto a, auto& b) { return a += b; }, reference::each([](Real a, Real b) { return a + b; })),
      row("a -= b", pairs, numbers, [](auto a, auto& b) { return a -= b; }, reference::each([](Real a, Real b) { return a - b; })),
      row("a /= b", pairs, off_0, [](auto a, auto& b) { return a /= b; }, reference::each([](Real a, Real b) { return a / b; })),
      row("a *= b", pairs, numbers, [](auto a, auto& b) { return a *= b; }, reference::each([](Real a, Real b) { return a * b; })),

      // ------------------------------------------------ comparisons
      row("a < b", pairs, steps, [](auto& a, auto& b) { return a < b; }, reference::each([](Real a, Real b) { return a < b; })),
      row("a > b", pairs, steps, [](auto& a, auto& b) { return a > b; }, reference::each([](Real a, Real b) { return a > b; })),
      row("a <= b", pairs, steps, [](auto& a, auto& b) { return a <= b; }, reference::each([](Real a, Real b) { return a <= b; })),
      row("a >= b", pairs, steps, [](auto& a, auto& b) { return a >= b; }, reference::each([](Real a, Real b) { return a >= b; })),
      row("a == b", pairs, steps, [](auto& a, auto& b) { return a == b; }, reference::each([](Real a, Real b) { return a == b; })),
      row("a != b", pairs, steps, [](auto& a, auto& b) { return a != b; }, reference::each([](Real a, Real b) { return a != b; })),

      // ------------------------------------------------ between element types
      row("cast: to double and back", any, numbers, [](auto& x) { return tc::cast<double>(x); }, reference::each([](Real x) { return x; })),
      row("cast: to int", any, numbers, [](auto& x) { return tc::cast<int>(x); }, reference::each([](Real x) { return std::trunc(x); })),
      row("cast: to bool", any, steps, [](auto& x) { return tc::cast<bool>(x); }, reference::each([](Real x) { return x != 0; })),
  };
}
