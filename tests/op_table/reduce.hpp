// Rows of the op table: ops over axes.
#pragma once
#include "row.hpp"
#include "tricycle/op/reduce_rows.hpp"

template <class T>
Rows<T> reduce_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  return {
      row("sum", any_shape, numbers, [](auto& x) { return tc::sum(x); }, reference::over({}, reference::sum)),
      row("sum: kept", any_shape, numbers, [](auto& x) { return tc::sum(x, {{}, true}); }, reference::over({}, reference::sum, true)),
      row("sum: first axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{0}}); }, reference::over({0}, reference::sum)),
      row("sum: middle axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{-2}}); }, reference::over({1}, reference::sum)),
      row("sum: last axis, kept", blocks, numbers, [](auto& x) { return tc::sum(x, {{2}, true}); }, reference::over({2}, reference::sum, true)),
      row("sum: first and last axis", blocks, numbers, [](auto& x) { return tc::sum(x, {{-1, 0}}); }, reference::over({0, 2}, reference::sum)),
      row("sum: first two axes, kept", blocks, numbers, [](auto& x) { return tc::sum(x, {{0, 1}, true}); }, reference::over({0, 1}, reference::sum, true)),
      row("mean", any_shape, numbers, [](auto& x) { return tc::mean(x); }, reference::over({}, reference::mean)),
      row("mean: first axis", blocks, numbers, [](auto& x) { return tc::mean(x, {{0}}); }, reference::over({0}, reference::mean)),
      row("mean: first and last axis", blocks, numbers, [](auto& x) { return tc::mean(x, {{0, 2}}); }, reference::over({0, 2}, reference::mean)),
      row("mean: last two axes, kept", blocks, numbers, [](auto& x) { return tc::mean(x, {{1, 2}, true}); }, reference::over({1, 2}, reference::mean, true)),
      row("max", "[] | [1] | [5] | [37] | [3 4] | [300 401]", numbers, [](auto& x) { return tc::max(x); }, reference::over({}, reference::largest)),
      row("max: last axis", full, numbers, [](auto& x) { return tc::max(x, {{-1}}); }, reference::over({2}, reference::largest)),
      row("max: first axis, kept", full, numbers, [](auto& x) { return tc::max(x, {{0}, true}); }, reference::over({0}, reference::largest, true)),
      row("max: first and last axis", full, numbers, [](auto& x) { return tc::max(x, {{0, 2}}); }, reference::over({0, 2}, reference::largest)),
      row("argmax", full, numbers, [](auto& x) { return tc::argmax(x); }, reference::over({-1}, reference::where_largest)),
      row("argmax: of equals", full, steps, [](auto& x) { return tc::argmax(x, 1); }, reference::over({1}, reference::where_largest)),
      row("argmax: over all axes, kept", full, steps, [](auto& x) { return tc::argmax(x, {{}, true}); }, reference::over({}, reference::where_largest, true)),
      row("min", few_full, numbers, [](auto& x) { return tc::min(x, {{0, 2}}); }, reference::over({0, 2}, reference::smallest)),
      row("min: all axes, kept", few_full, numbers, [](auto& x) { return tc::min(x, {{}, true}); }, reference::over({}, reference::smallest, true)),
      row("argmin", few_full, steps, [](auto& x) { return tc::argmin(x, 1); }, reference::over({1}, reference::where_smallest)),
      row("argmin: over two axes", few_full, numbers, [](auto& x) { return tc::argmin(x, {{1, 2}}); }, reference::over({1, 2}, reference::where_smallest)),
      row("ReduceMax", few_full, numbers, [](auto& x) { return tc::ReduceMax("ijk->ik")(x); }, reference::over({1}, reference::largest)),
      row("ReduceMax: turned", few_full, numbers, [](auto& x) { return tc::ReduceMax("...ik->k...")(x); },
          [](auto& in) { return reference::permuted(reference::over({1}, reference::largest)(in), {1, 0}); }),
      row("ReduceMin", few_full, numbers, [](auto& x) { return tc::ReduceMin("a...->...")(x); }, reference::over({0}, reference::smallest)),
      row("ReduceMin: nothing", few_full, numbers, [](auto& x) { return tc::ReduceMin("abc")(x) + 1; }, reference::each([](Real x) { return x + 1; })),
      row("prod", "[] | [0] | [1] | [5] | [37] | [3 4] | [3 0 2]", near_1, [](auto& x) { return tc::prod(x); }, reference::over({}, reference::product)),
      row("prod: middle axis, with zeros", few_blocks, Domain{.low = -2, .high = 2, .step = 0.5}, [](auto& x) { return tc::prod(x, {{1}}); }, reference::over({1}, reference::product)),
      row("prod: first and last axis, kept", "[1 1 1] | [2 3 4] | [0 3 4] | [2 0 4] | [3 5 9]", near_1, [](auto& x) { return tc::prod(x, {{0, 2}, true}); }, reference::over({0, 2}, reference::product, true)),
      row("var", "[5] | [1] | [37] | [3 4] | [2 3 17] | [300 401]", numbers, [](auto& x) { return tc::var(x); }, reference::over({}, reference::variance)),
      row("var: last axis, kept", "[1 1 1] | [2 3 4] | [0 3 4] | [2 0 4] | [3 1 37] | [4 50 41]", numbers, [](auto& x) { return tc::var(x, {{2}, true}); }, reference::over({2}, reference::variance, true)),
      row("var: of a sample, first axis", "[2 3 4] | [2 3 0] | [5 1 1] | [9 2 5] | [37 2 3] | [60 5 41]", numbers, [](auto& x) { return tc::var(x, {{0}}, 1); },
          [](auto& in) {
            const Real n = static_cast<Real>(in[0].shape[0]);
            return reference::each([=](Real v) { return v * n / (n - 1); })({reference::over({0}, reference::variance)(in)});
          }),
      row("logsumexp", "[] | [1] | [5] | [37] | [3 4] | [300 401]", numbers, [](auto& x) { return tc::logsumexp(x); }, reference::over({}, reference::log_sum_exp)),
      row("logsumexp: last axis", few_full, numbers, [](auto& x) { return tc::logsumexp(x, {{-1}}); }, reference::over({2}, reference::log_sum_exp)),
      row("logsumexp: first and middle axis, kept", few_full, numbers, [](auto& x) { return tc::logsumexp(x, {{0, 1}, true}); }, reference::over({0, 1}, reference::log_sum_exp, true)),
  };
}
