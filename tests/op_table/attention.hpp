// Rows of the op table: attention.
#pragma once
#include "row.hpp"
#include "tricycle/op/attention.hpp"

template <class T>
Rows<T> attention_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  return {
      row("attention", "[1 1 1 1] [1 1 1 1] [1 1 1 1] | [2 3 2 4] [2 5 2 4] [2 5 2 4] | [1 5 1 9] [1 5 1 9] [1 5 1 9] | [2 31 2 8] [2 31 2 8] [2 31 2 8] | [1 33 1 32] [1 33 1 32] [1 33 1 32] | [1 5 2 80] [1 64 2 80] [1 64 2 80] |"
          "[1 2 1 128] [1 130 1 128] [1 130 1 128] | [1 64 1 64] [1 64 1 64] [1 64 1 64] | [1 2 1 130] [1 3 1 130] [1 3 1 130] | [0 3 2 4] [0 3 2 4] [0 3 2 4] | [2 0 2 4] [2 3 2 4] [2 3 2 4]",
          Domain{.low = -1, .high = 1}, [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v); }, reference::attention(true)),
      row("attention: of all keys", "[1 1 1 1] [1 1 1 1] [1 1 1 1] | [2 31 2 8] [2 7 2 8] [2 7 2 8] | [1 3 2 64] [1 130 2 64] [1 130 2 64] | [2 3 2 4] [2 5 2 4] [2 5 2 4] | [1 5 1 9] [1 2 1 9] [1 2 1 9] | [2 3 2 4] [2 0 2 4] [2 0 2 4] | [0 3 2 4] [0 5 2 4] [0 5 2 4]",
          Domain{.low = -1, .high = 1},
          [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v, {.causal = false, .scale = 0.25}); }, reference::attention(false, 0.25L)),
      row("attention: time first", "[2 3 2 5] [4 2 2 5] [4 2 2 5] | [3 1 2 16] [33 3 2 16] [33 3 2 16] | [1 1 1 1] [1 1 1 1] [1 1 1 1] | [2 2 1 64] [40 2 1 64] [40 2 1 64] | [1 5 1 9] [5 1 1 9] [5 1 1 9] | [3 2 2 4] [5 3 2 4] [5 3 2 4] | [0 3 2 4] [4 0 2 4] [4 0 2 4]",
          Domain{.low = -1, .high = 1},
          [](auto& q, auto& k, auto& v) { return tc::attention(q, k, v, {.time_first = true}); }, reference::attention(true, 0, true)),
      row("attention: in one tensor", "[1 1 6] | [2 3 30] | [1 7 12] | [1 33 96] | [0 3 12] | [2 0 12]", Domain{.low = -1, .high = 1}, [](auto& qkv) { return tc::attention(qkv, 2); },
          [](auto& in) {
            const Index b = in[0].shape[0], t = in[0].shape[1], n = in[0].shape[2] / 3;
            auto third = [&](Index i) { return reference::reshaped(reference::part(in[0], 2, i * n, (i + 1) * n), {b, t, 2, n / 2}); };
            return reference::reshaped(reference::attention(true)({third(0), third(1), third(2)}), {b, t, n});
          }),
  };
}
