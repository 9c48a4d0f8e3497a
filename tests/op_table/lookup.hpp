// Rows of the op table: ops that read ids.
#pragma once
#include "row.hpp"
#include "tricycle/op/classify.hpp"
#include "tricycle/op/loss.hpp"

template <class T>
Rows<T> lookup_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  auto embedded = [](const Shape& shape) {
    return [shape](const Operands& in) {
      const Numbers& weights = in[0];
      const auto ids = some_ids<Index>(shape, weights.shape[0]);
      Shape result = shape;
      result.push_back(weights.shape[1]);
      return reference::build(result, [&](const Place& p) { return weights[{ids.data()[reference::offset(shape, Place(p.begin(), p.end() - 1))], p.back()}]; });
    };
  };
  auto taken = [](const Shape& shape, int axis) {
    return [=](const Operands& in) {
      const Shape from = in[0].shape;
      const int at = from.axis(axis), rank = shape.rank();
      const auto ids = some_ids<Index>(shape, from[at]);
      return reference::build(from.slice(0, at).followed_by(shape).followed_by(from.slice(at + 1, from.rank())), [&](const Place& p) {
        const auto first = p.begin() + at, last = first + rank;
        Place place(p.begin(), first);
        place.push_back(ids.data()[reference::offset(shape, Place(first, last))]);
        place.insert(place.end(), last, p.end());
        return in[0][place];
      });
    };
  };
  auto gathered = [](Index k, int axis) {
    return [=](const Operands& in) {
      const int at = in[0].shape.axis(axis);
      const Shape shape = in[0].shape.with(at, k);
      const auto ids = some_ids<Index>(shape, in[0].shape[at]);
      return reference::build(shape, [&](Place p) {
        p[static_cast<std::size_t>(at)] = ids.data()[reference::offset(shape, p)];
        return in[0][p];
      });
    };
  };
  auto mean_surprise = [](const Numbers& logits, std::optional<Index> ignored = {}) {
    const Index n = logits.shape[-1];
    const auto truth = some_ids<Index>(logits.shape.slice(0, logits.shape.rank() - 1), n);
    std::vector<Real> losses;
    for (Index r = 0; r < truth.size(); ++r)
      if (truth.data()[r] != ignored) losses.push_back(reference::surprise({logits.at.begin() + r * n, logits.at.begin() + (r + 1) * n}, truth.data()[r]));
    return Numbers{Shape{}, {reference::mean(losses)}};
  };
  auto surprise_of_product = [=](const std::string& product) { return [=](const Operands& in) { return mean_surprise(reference::einsum(product)(in)); }; };
  auto classified = [](bool by_class, std::optional<Index> ignored = {}) {
    return [=](auto& x, auto& w) {
      return tc::classify(some_ids<int>(x.shape().slice(0, x.rank() - 1), w.shape()[by_class ? 0 : 1], x.device()), x, w, by_class, ignored);
    };
  };
  auto squares = [](const Operands& in) { return reference::each([](Real t, Real x) { return (t - x) * (t - x); })({in[0], in[1]}); };
  auto surprise_at = [](const Operands& in, auto probability) {
    const auto each = reference::each([&](Real t, Real x) {
      const Real p = probability(x), truth = 1 / (1 + std::exp(-t));
      return -truth * std::log(p) - (1 - truth) * std::log(1 - p);
    })(in);
    return Numbers{Shape{}, {reference::mean(each.at)}};
  };
  return {
      row("classify: by class", "[1 1] [1 1] | [4 3] [5 3] | [2 3 17] [19 17] | [30 40] [401 40] | [3 2] [4 2] | [2 2 5] [3 5]", small, classified(true), surprise_of_product("...i,oi->...o")),
      row("classify: as a Dense", "[1 1] [1 1] | [4 3] [3 5] | [2 3 17] [17 19] | [30 40] [40 401] | [3 2] [2 4] | [2 2 5] [5 3]", small, classified(false), surprise_of_product("...i,io->...o")),
      row("classify: with a bias", "[1 1] [1 1] [1] | [4 3] [3 5] [5] | [2 3 17] [17 19] [19] | [30 40] [40 401] [401] | [3 2] [2 4] [4] | [2 2 5] [5 3] [3]", small,
          [](auto& x, auto& w, auto& bias) { return tc::classify(some_ids<int>(x.shape().slice(0, x.rank() - 1), w.shape()[1], x.device()), x, w, false, {}, &bias); },
          [=](const Operands& in) { return mean_surprise(reference::each([](Real a, Real b) { return a + b; })({reference::einsum("...i,io->...o")({in[0], in[1]}), in[2]})); }),
      row("classify: without a label", "[5 3] [4 3] | [7 1] [3 1] | [2 2 5] [3 5] | [4 1] [2 1] | [2 3 17] [19 17] | [30 40] [401 40] | [37 2] [9 2]", small, classified(true, 1),
          [=](const Operands& in) { return mean_surprise(reference::einsum("...i,oi->...o")(in), 1); }),
      row("take", "[1] | [5] | [3 4] | [6 0] | [37 2 3] | [100 130]", numbers, [](auto& x) { return tc::take(x, some_ids<int>({2, 3}, x.shape()[0], x.device())); }, taken({2, 3}, 0)),
      row("take: middle axis", "[1 1 1] | [2 3 4] | [5 2] | [0 3 4] | [2 3 0] | [2 37 17] | [3 60 41]", numbers, [](auto& x) { return tc::take(x, some_ids<unsigned char>({7}, x.shape()[1], x.device()), 1); }, taken({7}, 1)),
      row("take: last axis, one id", "[1] | [4] | [3 37] | [0 3] | [2 3 5]", numbers, [](auto& x) { return tc::take(x, some_ids<Index>({}, x.shape()[-1], x.device()), -1); }, taken({}, -1)),
      row("take: none", "[1 1] | [3 4] | [5] | [6 0] | [2 3 17]", numbers, [](auto& x) { return tc::take(x, Tensor<int>(Shape{0}, x.device())); }, taken({0}, 0)),
      row("gather", "[1] | [5] | [3 37] | [0 4] | [2 3 17] | [30 401]", numbers,
          [](auto& x) { return tc::gather(x, some_ids<int>(x.shape().with(-1, 3), x.shape()[-1], x.device())); }, gathered(3, -1)),
      row("gather: middle axis", "[1 1 1] | [2 3 4] | [5 2] | [3 7 2] | [2 3 0] | [3 37 17] | [2 60 41]", numbers,
          [](auto& x) { return tc::gather(x, some_ids<Index>(x.shape().with(1, 50), x.shape()[1], x.device()), 1); }, gathered(50, 1)),
      row("embed", "[1 1] | [3 4] | [7 2] | [6 0] | [5 37] | [100 130]", numbers, [](auto& w) { return tc::embed(some_ids<int>({2, 3}, w.shape()[0], w.device()), w); }, embedded({2, 3})),
      row("embed: many", "[1 1] | [3 4] | [50 5] | [300 1] | [7 0] | [2 401] | [300 130]", numbers, [](auto& w) { return tc::embed(some_ids<Index>({40, 25}, w.shape()[0], w.device()), w); }, embedded({40, 25})),
      row("embed: one id", "[1 1] | [3 4] | [7 2] | [6 0] | [5 37] | [100 130]", numbers, [](auto& w) { return tc::embed(some_ids<unsigned char>({}, w.shape()[0], w.device()), w); }, embedded({})),
      row("embed: no ids", "[1 1] | [3 4] | [7 2] | [6 0] | [5 37] | [100 130]", numbers, [](auto& w) { return tc::embed(Tensor<int>(Shape{0}, w.device()), w); }, embedded({0})),
      row("cross_entropy", "[1] | [4] | [1 1] | [5 4] | [0 4] | [2 3 17] | [2 0 3] | [300 401] | [3 40000]", numbers,
          [](auto& x) { return tc::cross_entropy(some_ids<int>(x.shape().slice(0, x.rank() - 1), x.shape()[-1], x.device()), x); },
          [=](auto& in) { return mean_surprise(in[0]); }),
      row("cross_entropy: without a label", "[5 4] | [4 2] | [37 9] | [2 3 17] | [300 401] | [12 1 3]", numbers,
          [](auto& x) { return tc::cross_entropy(some_ids<int>(x.shape().slice(0, x.rank() - 1), x.shape()[-1], x.device()), x, 1); },
          [=](auto& in) { return mean_surprise(in[0], 1); }),

      // ------------------------------------------------ losses of numbers
      row("mean_squared_error", "[] [] | [1] [1] | [5] [5] | [3 4] [3 4] | [2 3 17] [2 3 17] | [0 4] [0 4] | [3 0] [3 0] | [300 401] [300 401]", numbers,
          [](auto& t, auto& x) { return tc::mean_squared_error(t, x); },
          [=](auto& in) {
            const Shape& shape = in[0].shape;
            return Numbers{Shape{}, {reference::sum(squares(in).at) / static_cast<Real>(shape.rank() ? shape[-1] : 1)}};
          }),
      row("mean_squared_error: of all", "[] [] | [5] [5] | [3 4] [3 4] | [2 3 17] [2 3 17] | [0] [0] | [30 41] [30 41]", numbers, [](auto& t, auto& x) { return tc::mean_squared_error(t, x, true); },
          [=](auto& in) { return Numbers{Shape{}, {reference::mean(squares(in).at)}}; }),
      row("binary_cross_entropy", "[] [] | [5] [5] | [3 4] [3 4] | [0] [0] | [2 3 17] [2 3 17] | [300 401] [300 401]", Domain{.low = -20, .high = 20},
          [](auto& t, auto& x) { return tc::binary_cross_entropy(tc::sigmoid(t), x); },
          [=](auto& in) { return surprise_at(in, [](Real x) { return 1 / (1 + std::exp(-x)); }); }),
      row("binary_cross_entropy: of probabilities", "[] [] | [5] [5] | [3 4] [3 4] | [0] [0] | [2 3 17] [2 3 17]", Domain{.low = 0.1, .high = 0.9},
          [](auto& t, auto& p) { return tc::binary_cross_entropy(tc::sigmoid(t), p, false); }, [=](auto& in) { return surprise_at(in, [](Real p) { return p; }); }),
  };
}
