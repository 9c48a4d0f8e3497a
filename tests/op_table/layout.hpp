// Rows of the op table: ops that move numbers.
#pragma once
#include "row.hpp"
#include "tricycle/op/slice.hpp"

template <class T>
Rows<T> layout_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  auto turned_round = [](int rank) {
    std::vector<int> axes;
    while (rank > 0) axes.push_back(--rank);
    return axes;
  };
  return {
      row("reshape", "[2 3 4] | [1 24] | [24 1 1] | [24] | [4 2 3]", numbers, [](auto& x) { return x.reshape({4, -1, 3}); },
          [](auto& in) { return reference::reshaped(in[0], {4, 2, 3}); }),
      row("reshape: of one number", "[] | [1] | [1 1] | [1 1 1] | [1 1 1 1]", numbers, [](auto& x) { return x.reshape(Shape{1, 1, 1}); }, [](auto& in) { return reference::reshaped(in[0], {1, 1, 1}); }),
      row("reshape: of none", "[0] | [3 0] | [0 3] | [2 0 3] | [0 0]", numbers, [](auto& x) { return x.reshape({-1, 3}); }, [](auto& in) { return reference::reshaped(in[0], {0, 3}); }),
      row("permute", blocks, numbers, [](auto& x) { return tc::permute(x, {2, 0, 1}); }, [](auto& in) { return reference::permuted(in[0], {2, 0, 1}); }),
      row("permute: four axes", "[2 3 4 5] | [2 0 4 5] | [1 3 1 5] | [1 1 1 1] | [3 2 1 7] | [3 37 17 2]", numbers, [](auto& x) { return tc::permute(x, {0, -2, 1, -1}); },
          [](auto& in) { return reference::permuted(in[0], {0, 2, 1, 3}); }),
      row("permute: all axes turned round", "[] | [5] | [2 7] | [3 1 4] | [2 0 3] | [2 3 1 2 2] | [30 41]", numbers, [=](auto& x) { return tc::permute(x, turned_round(x.rank())); },
          [=](auto& in) { return reference::permuted(in[0], turned_round(in[0].shape.rank())); }),
      row("transpose", blocks, numbers, [](auto& x) { return tc::transpose(x); }, [](auto& in) { return reference::permuted(in[0], {0, 2, 1}); }),
      row("transpose: of a matrix", "[3 4] | [1 5] | [5 1] | [17 9] | [0 3] | [37 17] | [300 401]", numbers, [](auto& x) { return tc::transpose(x); },
          [](auto& in) { return reference::permuted(in[0], {1, 0}); }),
      row("split", "[3] | [0] | [2 6] | [0 6] | [2 3 9] | [2 5 111] | [300 402]", numbers,
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
      row("split: a part is left out", "[1 6 1] | [2 6 3] | [5 9] | [2 6 0] | [0 3 2] | [5 60 401]", numbers, [](auto& x) { return tc::split(x, 3, 1)[1]; },
          [](auto& in) { return reference::part(in[0], 1, in[0].shape[1] / 3, in[0].shape[1] / 3 * 2); }),
      row("concatenate", "[1] [1] | [3] [5] | [0] [2] | [2] [0] | [2 3] [4 3] | [2 0] [4 0] | [37 1] [5 1] | [150 401] [151 401]", numbers,
          [](auto& a, auto& b) { return tc::concatenate(a, b); }, [](auto& in) { return reference::joined(in[0], in[1], 0); }),
      row("concatenate: last axis", "[3 2] [3 4] | [5] [1] | [3 0] [3 4] | [0 2] [0 4] | [2 3 17] [2 3 5] | [300 150] [300 250]", numbers,
          [](auto& a, auto& b) { return tc::concatenate(a, b, -1); }, [](auto& in) { return reference::joined(in[0], in[1], in[0].shape.rank() - 1); }),
      row("concatenate: three", "[1] [1] [1] | [2 3] [2 1] [2 0] | [2 3 17] [2 5 17] [2 1 17] | [0 2] [0 3] [0 1] | [5 2] [5 2] [5 2] | [3 40 41] [3 60 41] [3 1 41]", numbers,
          [](auto& a, auto& b, auto& c) { return tc::concatenate({a, b, c}, 1 - (a.rank() == 1)); },
          [](auto& in) {
            const int axis = in[0].shape.rank() > 1;
            return reference::joined(reference::joined(in[0], in[1], axis), in[2], axis);
          }),
      row("concatenate: ten, one of them twice",
          "[2 1] [2 3] [2 0] [2 2] [2 1] [2 4] [2 1] [2 1] [2 5] | [1 1] [1 1] [1 1] [1 1] [1 1] [1 1] [1 1] [1 1] [1 1] | [0 2] [0 1] [0 1] [0 3] [0 1] [0 1] [0 1] [0 1] [0 3] |"
          "[7 1] [7 2] [7 1] [7 3] [7 1] [7 1] [7 1] [7 2] [7 1] | [3 0] [3 0] [3 1] [3 0] [3 0] [3 0] [3 0] [3 0] [3 0] | [30 41] [30 1] [30 17] [30 8] [30 33] [30 2] [30 3] [30 5] [30 40]", numbers,
          [](const std::vector<Tensor<T>>& xs) {
            auto all = xs;
            all.push_back(xs[1]);
            return tc::concatenate(all, 1);
          },
          [](auto& in) {
            Numbers all = in[0];
            for (std::size_t i = 1; i < in.size(); ++i) all = reference::joined(all, in[i], 1);
            return reference::joined(all, in[1], 1);
          }),
      row("stack", "[] [] | [5] [5] | [0] [0] | [3 4] [3 4] | [2 3 17] [2 3 17] | [60 41] [60 41]", numbers, [](auto& a, auto& b) { return tc::stack({a, b}); },
          [](auto& in) {
            Numbers both = in[0];
            both.at.insert(both.at.end(), in[1].at.begin(), in[1].at.end());
            return reference::reshaped(both, Shape{2}.followed_by(in[0].shape));
          }),
      row("repeat", "[] | [0] | [1] | [5] | [3 0 2] | [2 3 17] | [30 41]", numbers, [](auto& x) { return x.repeat(37); },
          [](auto& in) { return reference::build(in[0].shape.followed_by({37}), [&](const Place& p) { return in[0][Place(p.begin(), p.end() - 1)]; }); }),
      row("repeat: not at all", "[] | [1] | [5] | [2 3] | [0]", numbers, [](auto& x) { return x.repeat(0); }, [](auto& in) { return Numbers{in[0].shape.followed_by({0}), {}}; }),
      row("stack: last axis", "[] [] [] | [5] [5] [5] | [2 0] [2 0] [2 0] | [2 3 17] [2 3 17] [2 3 17] | [3 4] [3 4] [3 4] | [60 41] [60 41] [60 41]", numbers, [](auto& a, auto& b, auto& c) { return tc::stack({a, b, c}, -1); },
          [](auto& in) {
            const Shape shape = in[0].shape;
            return reference::build(shape.followed_by({3}), [&](const Place& p) { return in[static_cast<std::size_t>(p.back())][Place(p.begin(), p.end() - 1)]; });
          }),

      // ------------------------------------------------ parts
      row("slice: first axis", "[6] | [7 3] | [6 0] | [3 1 2] | [9 17 3] | [300 401]", numbers, [](auto& x) { return x.slice(0, 1, -2); },
          [](auto& in) { return reference::part(in[0], 0, 1, in[0].shape[0] - 2); }),
      row("slice: middle axis", "[1 3 1] | [2 6 3] | [5 3] | [0 4 2] | [2 4 0] | [2 37 17] | [3 300 40]", numbers, [](auto& x) { return x.slice(1, 2); },
          [](auto& in) { return reference::part(in[0], 1, 2, in[0].shape[1]); }),
      row("slice: in steps, of the last axis", "[5] | [1] | [3 8] | [0 4] | [2 3 37] | [300 401]", numbers, [](auto& x) { return x.slice(-1, 0, {}, 3); },
          [](auto& in) { return reference::every(in[0], in[0].shape.rank() - 1, 0, (in[0].shape[-1] + 2) / 3, 3); }),
      row("slice: backwards", "[5 1] | [5 3] | [6] | [2 3 4] | [0 4] | [37 17] | [300 41]", numbers, [](auto& x) { return x.slice(0, -1, {}, -1); },
          [](auto& in) { return reference::every(in[0], 0, in[0].shape[0] - 1, in[0].shape[0], -1); }),
      row("slice: of nothing", "[5] | [2] | [3 4] | [3 0] | [4 3 17] | [30 41]", numbers, [](auto& x) { return x.slice(0, 2, 2) + 1; }, [](auto& in) { return reference::part(in[0], 0, 2, 2); }),
      row("slice: two that overlap", "[6] | [4 1] | [4 17] | [4 0] | [5 3 2] | [40 300]", numbers, [](auto& x) { return x.slice(0, 0, 3) * x.slice(0, 1, 4); },
          [](auto& in) { return reference::each([](Real a, Real b) { return a * b; })({reference::part(in[0], 0, 0, 3), reference::part(in[0], 0, 1, 4)}); }),
      row("slice: x[i]", "[2] | [3 4] | [1 5] | [2 0] | [4 3 17] | [30 401]", numbers, [](auto& x) { return x[-1] * x[0]; },
          [](auto& in) {
            const Shape rest = in[0].shape.slice(1, in[0].shape.rank());
            const Index n = in[0].shape[0];
            return reference::each([](Real a, Real b) { return a * b; })({reference::reshaped(reference::part(in[0], 0, n - 1, n), rest), reference::reshaped(reference::part(in[0], 0, 0, 1), rest)});
          }),
      row("split: by sizes", "[2 6 3] | [3 6] | [2 6 0] | [0 6 3] | [1 6 1] | [30 6 41]", numbers,
          [](auto& x) {
            auto parts = tc::split(x, {1, 3, 2}, 1);
            return tc::concatenate({parts[2], parts[1], parts[1]}, 1);
          },
          [](auto& in) {
            auto middle = reference::part(in[0], 1, 1, 4);
            return reference::joined(reference::joined(reference::part(in[0], 1, 4, 6), middle, 1), middle, 1);
          }),
      row("split: of the first axis", "[6] | [4 3] | [2 1 5] | [2 0] | [2 3 17] | [300 41]", numbers, [](auto& x) { return tc::split(x, 2, 0)[1]; },
          [](auto& in) { return reference::part(in[0], 0, in[0].shape[0] / 2, in[0].shape[0]); }),
  };
}
