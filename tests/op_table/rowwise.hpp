// Rows of the op table: ops that treat every row alike, and dropout.
#pragma once
#include "row.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/slice.hpp"

template <class T>
Rows<T> rowwise_rows() {
  using namespace usual_shapes;
  using namespace domains;
  auto row = [](auto&&... cells) { return make_row<T>(cells...); };
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
      row("add_layer_norm: only the norm, shifted", "[5] [5] [5] [5] [5] | [3 4] [3 4] [4] [4] [4] | [2 3 17] [2 3 17] [17] [17] [17] | [30 401] [30 401] [401] [401] [401] | [0 4] [0 4] [4] [4] [4]", numbers,
          [](auto& a, auto& b, auto& gamma, auto& beta, auto& c) { return tc::add_layer_norm(a, b, gamma, beta, 0.1).second * c; },
          [](auto& in) {
            const auto sum = reference::each([](Real a, Real b) { return a + b; })({in[0], in[1]});
            const auto y = first_operand(normalised(0.1L), reference::each([](Real x, Real gamma, Real beta) { return x * gamma + beta; }))({sum, in[2], in[3]});
            return reference::each([](Real x, Real c) { return x * c; })({y, in[4]});
          }),

      // ------------------------------------------------ dropout
      row("dropout", any, numbers,
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
