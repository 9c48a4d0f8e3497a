// Rows of the op table: ops that treat every row alike, and dropout.
#pragma once
#include "row.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/glu.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/rotary.hpp"
#include "tricycle/op/slice.hpp"

template <class T>
Rows<T> rowwise_rows() {
  using namespace usual_shapes;
  using namespace domains;
  using reference::rms_normalised;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
  const auto times = reference::each([](Real x, Real gamma) { return x * gamma; });
  auto gated = [](auto gate) {
    return [gate](const Operands& in) {
      const Numbers& x = in[0];
      const Index n = x.shape[-1] / 2;
      return reference::build(x.shape.with(-1, n), [&](Place p) {
        const Real left = x[p];
        p.back() += n;
        return left * gate(x[p]);
      });
    };
  };
  auto rotated = [](Real theta, Index from, Index heads) {
    return [=](const Operands& in) {
      const Numbers& x = in[0];
      return reference::build(x.shape, [&](const Place& p) {
        const Index i = p[3] / 2 * 2;
        const Real angle = p[2] < heads ? static_cast<Real>(from + p[1]) / std::pow(theta, static_cast<Real>(i) / static_cast<Real>(x.shape[3])) : 0;
        const Real a = x[{p[0], p[1], p[2], i}], b = x[{p[0], p[1], p[2], i + 1}];
        return p[3] == i ? a * std::cos(angle) - b * std::sin(angle) : a * std::sin(angle) + b * std::cos(angle);
      });
    };
  };
  return {
      // ------------------------------------------------ softmax
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

      // ------------------------------------------------ norms
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
      row("add_layer_norm: only the norm, shifted", "[5] [5] [5] [5] [5] | [3 4] [3 4] [4] [4] [4] | [2 3 17] [2 3 17] [17] [17] [17] | [30 401] [30 401] [401] [401] [401] | [1 37] [1 37] [37] [37] [37] | [0 4] [0 4] [4] [4] [4]", numbers,
          [](auto& a, auto& b, auto& gamma, auto& beta, auto& c) { return tc::add_layer_norm(a, b, gamma, beta, 0.1).second * c; },
          [](auto& in) {
            const auto sum = reference::each([](Real a, Real b) { return a + b; })({in[0], in[1]});
            const auto y = first_operand(normalised(0.1L), reference::each([](Real x, Real gamma, Real beta) { return x * gamma + beta; }))({sum, in[2], in[3]});
            return reference::each([](Real x, Real c) { return x * c; })({y, in[4]});
          }),

      row("rms_norm", "[5] [5] | [1] [1] | [3 4] [4] | [37] [37] | [0 4] [4] | [2 0] [0] | [2 3 17] [17] | [300 401] [401] | [3 40000] [40000]", numbers,
          [](auto& x, auto& gamma) { return tc::rms_norm(x, gamma, 0.1); }, first_operand(rms_normalised(0.1L), times)),
      row("add_rms_norm", "[5] [5] [5] | [3 4] [3 4] [4] | [0 4] [0 4] [4] | [2 0] [2 0] [0] | [2 3 17] [2 3 17] [17] | [30 401] [30 401] [401]", numbers,
          [](auto& a, auto& b, auto& gamma) {
            auto [sum, y] = tc::add_rms_norm(a, b, gamma);
            return tc::concatenate(sum, y);
          },
          [=](auto& in) {
            const auto sum = reference::each([](Real a, Real b) { return a + b; })({in[0], in[1]});
            return reference::joined(sum, first_operand(rms_normalised(1e-5L), times)({sum, in[2]}), 0);
          }),

      // ------------------------------------------------ gates
      row("glu", "[2] | [10] | [37 2] | [0 4] | [2 0] | [3 74] | [2 3 34] | [300 402] | [3 40000]", numbers, [](auto& x) { return tc::glu(x); },
          gated([](Real x) { return 1 / (1 + std::exp(-x)); })),
      row("swiglu", "[2] | [10] | [0 4] | [2 0] | [3 74] | [2 3 34] | [30 402]", numbers, [](auto& x) { return tc::swiglu(x); },
          gated([](Real x) { return x / (1 + std::exp(-x)); })),

      // ------------------------------------------------ rotary positions
      row("rotary_encode", "[1 1 1 2] | [2 5 3 6] | [0 3 1 4] | [2 0 1 4] | [2 3 0 4] | [2 3 1 0] | [1 3 2 34] | [1 70 2 64] | [3 17 5 10]", numbers,
          [](auto& x) { return tc::rotary_encode(x); }, rotated(1e4L, 0, 100)),
      row("rotary_encode: some heads, later on", "[2 5 3 6] | [1 1 2 4] | [1 7 2 10] | [2 3 5 2] | [0 3 2 4] | [2 7 5 10] | [2 3 4 38]", numbers,
          [](auto& x) { return tc::rotary_encode(x, {.theta = 100, .from = 1000, .heads = 2}); }, rotated(100, 1000, 2)),

      // ------------------------------------------------ dropout
      row("dropout", any_shape, numbers,
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
  };
}
