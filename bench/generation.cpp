// What the key-value cache saves: generating token by token with it, and without.
#include <cstdio>
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

int main() {
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
