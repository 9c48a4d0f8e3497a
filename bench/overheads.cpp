// What Tricycle costs where there is little to compute: a chain of ops on one number, and generating token by token.
#include <cstdio>
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

int main() {
  for (int length : {1000, 10000, 100000}) {
    double ns = 1e9 / length * bench::median_seconds(15, [&] {
      auto x = to_tensor({1.f});
      auto y = x;
      for (int i = 0; i < length / 4; ++i) y = sin(y * 0.999 + x) * x;
      y.backward();
    });
    std::printf("a chain of %d ops on one number, forward and backward: %.0f ns an op\n", length, ns);
  }

  seed(1337);
  GPT<float> model({.vocab_size = 65, .context_window = 256});
  model.eval();
  NoGrad guard;
  double cached = bench::median_seconds(5, [&] { generate(model, {0}, {.tokens = 255, .temperature = 0}); });
  double uncached = bench::median_seconds(3, [&] {
    std::vector<int> text{0};
    while (text.size() < 256) {
      auto logits = model(to_tensor<int>(text, {1, static_cast<Index>(text.size())}));
      text.push_back(sample(logits.span().last(65), {.temperature = 0}));
    }
  });
  std::printf("255 tokens, width 128, 4 layers, context 256, %d threads: %.1f ms with a cache, %.1f ms without: %.1f times\n", threads(), 1e3 * cached, 1e3 * uncached, uncached / cached);
}
