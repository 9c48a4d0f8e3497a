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

      row("pow: of two tensors", few_pairs, positive, [](auto& a, auto& b) { return tc::pow(a, b); }, reference::each([](Real a, Real b) { return std::pow(a, b); })),
      row("max: of two tensors", few_pairs, numbers, [](auto& a, auto& b) { return tc::max(a, b); }, reference::each([](Real a, Real b) { return std::max(a, b); })),
      row("min: of two tensors", few_pairs, numbers, [](auto& a, auto& b) { return tc::min(a, b); }, reference::each([](Real a, Real b) { return std::min(a, b); })),

      // ------------------------------------------------ comparisons
      row("a < b", pairs, steps, [](auto& a, auto& b) { return a < b; }, reference::each([](Real a, Real b) { return a < b; })),
      row("a > b", pairs, steps, [](auto& a, auto& b) { return a > b; }, reference::each([](Real a, Real b) { return a > b; })),
      row("a <= b", pairs, steps, [](auto& a, auto& b) { return a <= b; }, reference::each([](Real a, Real b) { return a <= b; })),
      row("a >= b", pairs, steps, [](auto& a, auto& b) { return a >= b; }, reference::each([](Real a, Real b) { return a >= b; })),
      row("a == b", pairs, steps, [](auto& a, auto& b) { return a == b; }, reference::each([](Real a, Real b) { return a == b; })),
      row("a != b", pairs, steps, [](auto& a, auto& b) { return a != b; }, reference::each([](Real a, Real b) { return a != b; })),
      row("a < c", few, steps, [](auto& a) { return a < 1; }, reference::each([](Real a) { return a < 1; })),
      row("c < a", few, steps, [](auto& a) { return 1 < a; }, reference::each([](Real a) { return 1 < a; })),
      row("a > c", few, steps, [](auto& a) { return a > 1; }, reference::each([](Real a) { return a > 1; })),
      row("c > a", few, steps, [](auto& a) { return 1 > a; }, reference::each([](Real a) { return 1 > a; })),
      row("a <= c", few, steps, [](auto& a) { return a <= 1; }, reference::each([](Real a) { return a <= 1; })),
      row("c <= a", few, steps, [](auto& a) { return 1 <= a; }, reference::each([](Real a) { return 1 <= a; })),
      row("a >= c", few, steps, [](auto& a) { return a >= 1; }, reference::each([](Real a) { return a >= 1; })),
      row("c >= a", few, steps, [](auto& a) { return 1 >= a; }, reference::each([](Real a) { return 1 >= a; })),
      row("a == c", few, steps, [](auto& a) { return a == 1; }, reference::each([](Real a) { return a == 1; })),
      row("c == a", few, steps, [](auto& a) { return -1 == a; }, reference::each([](Real a) { return a == -1; })),
      row("a != c", few, steps, [](auto& a) { return a != 1; }, reference::each([](Real a) { return a != 1; })),
      row("c != a", few, steps, [](auto& a) { return -1 != a; }, reference::each([](Real a) { return a != -1; })),

      row("a && b", few_pairs, steps, [](auto& a, auto& b) { return tc::cast<bool>(a) && tc::cast<bool>(b); }, reference::each([](Real a, Real b) { return a != 0 && b != 0; })),
      row("a || b", few_pairs, steps, [](auto& a, auto& b) { return tc::cast<bool>(a) || tc::cast<bool>(b); }, reference::each([](Real a, Real b) { return a != 0 || b != 0; })),
      row("!a", few, steps, [](auto& a) { return !tc::cast<bool>(a); }, reference::each([](Real a) { return a == 0; })),

      // ------------------------------------------------ one or the other
      row("where", "[] [] | [5] [] | [1] [7] | [0] [1] | [37] [37] | [4 1] [1 3] | [2 3 4 5] [3 1 5] | [300 401] [401]", numbers, [](auto& a, auto& b) { return tc::where(a < b, a * a, b + 1); },
          reference::each([](Real a, Real b) { return a < b ? a * a : b + 1; })),
      row("where: the condition broadcasts", "[3 1] [4] | [2 1 5] [2 3 1] | [] [5] | [0] [1] | [2 2] [1 2]", numbers, [](auto& a, auto& b) { return tc::where(a + b > a * b, tc::sum(a), b); },
          [](auto& in) {
            const auto total = reference::over({}, reference::sum)({in[0]});
            return reference::each([&](Real a, Real b) { return a + b > a * b ? total.at[0] : b; })(in);
          }),
      row("where: a number", few, off_0, [](auto& x) { return tc::where(x > x * 0, x, 0.5) + tc::where(x < x * 0, -1.5, x); },
          reference::each([](Real x) { return (x > 0 ? x : 0.5L) + (x < 0 ? -1.5L : x); })),
      row("masked_fill", "[5] [5] | [2 3 17] [3 1] | [30 41] [] | [3 4] [] | [2 0] [] | [7 1 3] [7 1 3]", numbers, [](auto& x, auto& y) { return tc::masked_fill(x, x > y, 7) * y; }, reference::each([](Real x, Real y) { return (x > y ? 7 : x) * y; })),

      // ------------------------------------------------ between element types
      row("cast: to double and back", any_shape, numbers, [](auto& x) { return tc::cast<double>(x); }, reference::each([](Real x) { return x; })),
      row("cast: to int", any_shape, numbers, [](auto& x) { return tc::cast<int>(x); }, reference::each([](Real x) { return std::trunc(x); })),
      row("cast: to bool", any_shape, steps, [](auto& x) { return tc::cast<bool>(x); }, reference::each([](Real x) { return x != 0; })),
  };
}
