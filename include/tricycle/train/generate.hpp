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
  Index tokens = 200;                                    // after each prompt, at most
  double temperature = 0.8;                              // 0 is greedy: always the likeliest
  Index top_k = 0;                                       // choose among that many at most; 0: no limit
  double top_p = 1;                                      // choose among the likeliest that together have this probability
  double repetition_penalty = 1;                         // above 1 makes less likely what is there already (Keskar et al., arXiv:1909.05858)
  std::optional<int> stop{};                             // the token that ends a text, and is no part of it
  std::optional<std::uint64_t> seed{};                   // of the choices; without one they come from this thread's generator
};

namespace detail {

/// What may come next, from the likeliest down: put in order only as far as it is asked for, which is seldom far.
class Candidates {
 public:
  struct Candidate {
    double share;                                        // how likely it is, times whatever all have in common
    float logit;
    int id;
  };

  /// At most `most` of them, the likeliest. Of equals the first comes first.
  Candidates(std::span<const float> logits, float top, double temperature, Index most) {
    all_.reserve(logits.size());
    for (float x : logits) all_.push_back({0, x, static_cast<int>(all_.size())});
    if (most < static_cast<Index>(all_.size())) {
      std::nth_element(all_.begin(), all_.begin() + most, all_.end(), likelier);
      all_.resize(static_cast<std::size_t>(most));
    }
    for (auto& c : all_) c.share = std::exp((static_cast<double>(c.logit) - static_cast<double>(top)) / temperature);
  }

  std::size_t size() const { return all_.size(); }
  double total() const { return std::accumulate(all_.begin(), all_.end(), 0.0, [](double sum, const Candidate& c) { return sum + c.share; }); }

  const Candidate& operator[](std::size_t i) {
    while (i >= sorted_) {
      const std::size_t end = (std::min)(all_.size(), (std::max)(std::size_t{64}, 4 * sorted_));
      auto at = [&](std::size_t n) { return all_.begin() + static_cast<std::ptrdiff_t>(n); };
      if (end < all_.size()) std::nth_element(at(sorted_), at(end), all_.end(), likelier);
      std::sort(at(sorted_), at(end), likelier);
      sorted_ = end;
    }
    return all_[i];
  }

 private:
  static bool likelier(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

  std::vector<Candidate> all_;
  std::size_t sorted_ = 0;
};

}  // namespace detail

/// A token drawn from one row of logits, which follow the ids `seen`. Throws when an option is out of range, or no logit is finite.
inline int sample(std::span<const float> logits, const GenerateOptions& options, std::span<const int> seen = {}, Generator& random = generator()) {
  check(options.temperature >= 0 && math::isfinite(options.temperature) && options.top_k >= 0 && options.top_p > 0 && options.top_p <= 1 && options.repetition_penalty > 0, "sample: temperature ", options.temperature,
        ", top-k ", options.top_k, ", top-p ", options.top_p, " and repetition penalty ", options.repetition_penalty, " must be at least 0, at least 0, above 0 up to 1, and above 0");
  check(!logits.empty(), "sample: there are no logits");
  std::vector<float> penalised;
  if (options.repetition_penalty != 1) {
    penalised.assign(logits.begin(), logits.end());
    const auto penalty = static_cast<float>(options.repetition_penalty);
    for (int id : seen) {
      check(id >= 0 && static_cast<std::size_t>(id) < logits.size(), "sample: id ", id, " was seen, but there are ", logits.size(), " logits");
      float x = logits[static_cast<std::size_t>(id)];    // the same however often it was seen
      penalised[static_cast<std::size_t>(id)] = x > 0 ? x / penalty : x * penalty;
    }
    logits = penalised;
  }
  const auto best = std::max_element(logits.begin(), logits.end());
  check(std::all_of(logits.begin(), logits.end(), [](float x) { return !math::isnan(x); }) && math::isfinite(*best), "sample: the logits are not finite");
  if (options.temperature == 0) return static_cast<int>(best - logits.begin());

  detail::Candidates candidates(logits, *best, options.temperature, options.top_k > 0 ? options.top_k : static_cast<Index>(logits.size()));
  std::size_t n = candidates.size();
  double kept = candidates.total();
  if (options.top_p < 1) {
    const double enough = options.top_p * kept;
    kept = 0, n = 0;
    while (n < candidates.size() && kept < enough) kept += candidates[n++].share;
  }
  double where = random.uniform() * kept;
  std::size_t i = 0;
  while (i + 1 < n && where >= candidates[i].share && candidates[i + 1].share > 0) where -= candidates[i++].share;      // rounding leads to none that cannot be
  return candidates[i].id;
}

/// What continues each of several prompts, all of which the model reads at a time; `emit(row, id)` is handed each token as it
/// comes, and may end that row by returning false. With a seed, row i draws as a prompt alone would with seed + i, if it
/// fits into the context. Keys and values are cached; a full context drops its first half and goes on. Throws for an empty prompt.
template <Floating T>
std::vector<std::vector<int>> generate(const GPT<T>& model, std::span<const std::vector<int>> prompts, const GenerateOptions& options,
                                       const std::function<bool(std::size_t, int)>& emit = nullptr) {
  struct Row {
    std::vector<int> ids;
    std::optional<Generator> random;
    bool is_open;
  };
  std::vector<Row> rows;
  std::size_t have = prompts.empty() ? 0 : prompts.front().size();       // so many ids of each row there are for the model to read
  for (auto& prompt : prompts) {
    check(!prompt.empty(), "generate: an empty prompt");
    have = (std::min)(have, prompt.size());
    rows.push_back({prompt, std::nullopt, options.tokens > 0});
    if (options.seed) rows.back().random.emplace(*options.seed + rows.size() - 1);
  }
  NoGrad guard;
  const auto n_rows = static_cast<Index>(rows.size()), vocabulary = model.config.vocab_size;
  const auto context = static_cast<std::size_t>(model.config.context_window);
  std::size_t read = have - (std::min)(have, context);                   // and so many it has read
  auto cache = model.cache(n_rows);
  while (std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.is_open; })) {
    if (static_cast<std::size_t>(cache.front().length()) + have - read > context) {
      cache = model.cache(n_rows);
      read = have - (context + 1) / 2;
    }
    const auto fresh = static_cast<Index>(have - read);
    Tensor<int> ids(Shape{n_rows, fresh});
    int* to = ids.mutable_data();
    for (auto& row : rows)
      for (std::size_t i = read; i < have; ++i) *to++ = i < row.ids.size() ? row.ids[i] : 0;             // a row that has ended is read as something
    auto logits = model(ids.to(model.device()), &cache);                                                 // (rows, fresh, vocabulary)
    read = have++;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      Row& row = rows[r];
      if (!row.is_open || row.ids.size() >= have) continue;              // a longer prompt is not at its end yet
      auto last = cast<float>(logits.view(Shape{vocabulary}, ((static_cast<Index>(r) + 1) * fresh - 1) * vocabulary)).from_gpu();
      int id = sample(last.span(), options, row.ids, row.random ? *row.random : generator());
      row.is_open = id != options.stop;
      if (!row.is_open) continue;
      row.ids.push_back(id);
      row.is_open = (!emit || emit(r, id)) && row.ids.size() - prompts[r].size() < static_cast<std::size_t>(options.tokens);
    }
  }
  std::vector<std::vector<int>> continued;
  for (std::size_t r = 0; r < rows.size(); ++r) continued.emplace_back(rows[r].ids.begin() + static_cast<std::ptrdiff_t>(prompts[r].size()), rows[r].ids.end());
  return continued;
}

/// The same for one prompt.
template <Floating T>
std::vector<int> generate(const GPT<T>& model, const std::vector<int>& prompt, const GenerateOptions& options, const std::function<bool(int)>& emit = nullptr) {
  auto emit_from = [&](std::size_t, int id) { return !emit || emit(id); };
  return generate(model, std::span(&prompt, 1), options, emit_from).front();
}

}
}  // namespace tricycle
