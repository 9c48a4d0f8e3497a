// Rows of the op table: ops that move numbers.
#pragma once
#include "row.hpp"
#include "tricycle/op/layout.hpp"

template <class T>
Rows<T> layout_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  return {
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
  };
}
