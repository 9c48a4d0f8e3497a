// Rows of the op table: ops over axes.
#pragma once
#include "row.hpp"
#include "tricycle/op/reduce.hpp"

template <class T>
Rows<T> reduce_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  return {
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
  };
}
