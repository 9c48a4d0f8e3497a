// Text from a model, one token at a time.
#pragma once
#include <algorithm>
#include <functional>
#include <numeric>
#include "tricycle/kernel/random.hpp"
#include "tricycle/nn/gpt.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

struct GenerateOptions {
  Index tokens = 200;
  double temperature = 0.8;                              // 0 is greedy: always the likeliest
  Index top_k = 0;                                       // choose among that many at most; 0: no limit
  double top_p = 1;                                      // choose among the likeliest that together have this probability
};

/// A token drawn from one row of logits. Throws when an option is out of range, or no logit is finite.
inline int sample(std::span<const float> logits, const GenerateOptions& options) {
  check(options.temperature >= 0 && options.top_k >= 0 && options.top_p > 0 && options.top_p <= 1, "sample: temperature ", options.temperature, ", top-k ",
        options.top_k, " and top-p ", options.top_p, " must be at least 0, at least 0, and above 0 up to 1");
  check(!logits.empty(), "sample: there are no logits");
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  auto likelier = [&](int a, int b) {
    float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  auto best = *std::min_element(order.begin(), order.end(), likelier);
  double top = static_cast<double>(logits[static_cast<std::size_t>(best)]);
  check(std::all_of(logits.begin(), logits.end(), [](float x) { return !math::isnan(x); }) && math::isfinite(top), "sample: the logits are not finite");
  if (options.temperature == 0) return best;

  std::sort(order.begin(), order.end(), likelier);
  if (options.top_k > 0) order.resize((std::min)(order.size(), static_cast<std::size_t>(options.top_k)));
  std::vector<double> share(order.size());
  std::transform(order.begin(), order.end(), share.begin(), [&](int id) { return std::exp((static_cast<double>(logits[static_cast<std::size_t>(id)]) - top) / options.temperature); });
  double all = std::accumulate(share.begin(), share.end(), 0.0), kept = 0;
  std::size_t n = 0;
  while (n < share.size() && kept < options.top_p * all) kept += share[n++];
  double where = random_uniform() * kept;
  std::size_t i = 0;
  while (i + 1 < n && where >= share[i]) where -= share[i++];
  return order[i];
}

/// `tokens` ids that continue a prompt; each is handed to `emit` as it comes, which may end it by returning false. Keys and
/// values are cached; a full context drops its first half and goes on. Throws for an empty prompt.
template <Floating T>
std::vector<int> generate(const GPT<T>& model, std::vector<int> ids, const GenerateOptions& options, const std::function<bool(int)>& emit = nullptr) {
  check(!ids.empty(), "generate: an empty prompt");
  NoGrad guard;
  std::size_t context = static_cast<std::size_t>(model.config.context_window), prompt = ids.size(), read = ids.size() - (std::min)(ids.size(), context);
  auto cache = model.cache();
  for (Index i = 0; i < options.tokens; ++i) {
    if (static_cast<std::size_t>(cache.front().length()) + ids.size() - read > context) {
      cache = model.cache();
      read = ids.size() - (context + 1) / 2;
    }
    std::span<const int> fresh(ids.data() + read, ids.size() - read);
    auto logits = cast<float>(model(to_tensor<int>(fresh, {1, static_cast<Index>(fresh.size())}).to(model.device()), &cache)).from_gpu();
    read = ids.size();
    auto vocabulary = static_cast<std::size_t>(model.config.vocab_size);
    ids.push_back(sample(logits.span().last(vocabulary), options));
    if (emit && !emit(ids.back())) break;
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(prompt), ids.end()};
}

}
}  // namespace tricycle
