// Text from a model: with a cache and without, one prompt and several at a time, and how the next token is chosen.
#include <numeric>
#include "catch.hpp"
#include "tricycle/train/generate.hpp"

using namespace tricycle;

namespace {

const GPTConfig small{.vocab_size = 13, .context_window = 256, .embedding_dim = 32, .n_heads = 4, .n_layers = 2};

std::vector<int> some_ids(Index n) {
  std::vector<int> ids;
  for (Index i = 0; i < n; ++i) ids.push_back(static_cast<int>(random_bits() % 13));
  return ids;
}

/// A small model whose attention is not even.
GPT<float> with_large_weights(std::uint64_t s, const GPTConfig& config = small) {
  seed(s);
  GPT<float> model(config);
  model.each_parameter([](auto&, Parameter& p) { p.visit([]<class M>(Tensor<M>& x) {
    for (Index i = 0; i < x.size(); ++i) x.mutable_data()[i] *= M(5);
  }); });
  model.eval();
  return model;
}

}  // namespace

TEST_CASE("generation with a cache gives the logits and the text of generation without") {
  GPT<float> model = with_large_weights(5);
  NoGrad guard;
  auto ids = some_ids(256);
  auto whole = model(to_tensor<int>(ids, {1, 256}));
  auto cache = model.cache();
  Index at = 0;
  for (Index n : {1, 1, 7, 100, 1, 146}) {
    auto part = model(to_tensor<int>(std::vector<int>(ids.begin() + at, ids.begin() + at + n), {1, n}), &cache);
    double difference = 0, norm = 0;
    for (Index i = 0; i < part.size(); ++i) {
      double x = static_cast<double>(part.data()[i]), y = static_cast<double>(whole.data()[at * 13 + i]);
      difference += (x - y) * (x - y), norm += y * y;
    }
    CHECK(std::sqrt(difference / norm) < 1e-5);
    at += n;
  }
  CHECK_THROWS_WITH(model(to_tensor<int>({{1}}), &cache), Catch::Contains("257 tokens exceed the context of 256"));

  std::vector<int> text{1, 2, 3}, prompt = text;
  for (int i = 0; i < 200; ++i) {
    auto logits = model(to_tensor<int>(text, {1, static_cast<Index>(text.size())}));
    text.push_back(sample(logits.span().last(13), {.temperature = 0}));
  }
  auto cached = generate(model, prompt, {.tokens = 200, .temperature = 0});
  CHECK(std::vector<int>(text.begin() + 3, text.end()) == cached);
  CHECK(generate(model, prompt, {.tokens = 600}).size() == 600);                 // past the context
}

TEST_CASE("so does generation with rotary positions, which a cache holds turned") {
  GPT<float> model = with_large_weights(6, {.vocab_size = 13, .context_window = 24, .embedding_dim = 32, .n_heads = 4, .n_layers = 2, .activation = "swiglu", .norm = "rms_norm", .positions = "rotary"});
  NoGrad guard;
  auto ids = some_ids(24);
  auto whole = model(to_tensor<int>(ids, {1, 24}));
  auto cache = model.cache();
  for (Index at = 0, n = 1; at < 24; at += n, n = at == 1 ? 7 : at == 8 ? 1 : 15) {
    auto part = model(to_tensor<int>(std::vector<int>(ids.begin() + at, ids.begin() + at + n), {1, n}), &cache);
    CHECK(close_to(part, whole.view(part.shape(), at * 13), 1e-4, 1e-5));
  }
  std::vector<int> text{1, 2, 3};
  while (text.size() < 24) text.push_back(sample(model(to_tensor<int>(text, {1, static_cast<Index>(text.size())})).span().last(13), {.temperature = 0}));
  CHECK(generate(model, {1, 2, 3}, {.tokens = 21, .temperature = 0}) == std::vector<int>(text.begin() + 3, text.end()));
  CHECK(generate(model, {1, 2, 3}, {.tokens = 60}).size() == 60);                // past the context
}

TEST_CASE("a cache of another batch, of another model, or elsewhere is refused") {
  GPT<float> model = with_large_weights(5);
  NoGrad guard;
  auto cache = model.cache(2);
  CHECK_THROWS_WITH(model(to_tensor<int>({{1}, {2}, {3}}), &cache),
                    "cache: keys of shape (3, 1, 4, 8) and values of shape (3, 1, 4, 8) do not fit into one of (context, batch, heads, size) (256, 2, 4, 8)");
  CHECK(cache.front().length() == 0);
  model(to_tensor<int>({{1}, {2}}), &cache);
  auto copy = cache;                                     // which the other's next token does not reach
  auto logits = model(to_tensor<int>({{3}, {4}}), &copy).to_vector();
  model(to_tensor<int>({{5}, {6}}), &cache);
  CHECK(copy.front().keys().to_vector() != cache.front().keys().to_vector());
  copy.front() = copy.back() = cache.front();
  CHECK(copy.front().keys().data() != cache.front().keys().data());
  CHECK(logits.size() == 2 * 13);
  GPT<float>::Cache none;
  CHECK_THROWS_WITH(model(to_tensor<int>({{1}}), &none), "gpt: a cache of 0 layers for a model of 2");
  KeyValueCache<float> layer(8, 1, 2, 4);
  CHECK_THROWS_WITH(layer.append(zeros({1, 3, 2, 4}), zeros({1, 2, 2, 4})), Catch::Contains("values of shape (1, 2, 2, 4) do not fit"));
  CHECK_THROWS_WITH(layer.append(zeros({3, 2, 4}), zeros({3, 2, 4})), Catch::Contains("keys of shape (3, 2, 4)"));
  CHECK_THROWS_WITH(layer.append(zeros({1, 9, 2, 4}), zeros({1, 9, 2, 4})), "cache: 9 tokens more than the 0 seen exceed the context of 8");
}

TEST_CASE("a large vocabulary is drawn from as if it were sorted, the first of equals first") {
  std::vector<float> logits(5000);
  Generator random(4);
  const double steps = GENERATE(1000.0, 2.0);            // to one: hardly any are equal, or most
  for (float& x : logits) x = static_cast<float>(std::round(random.normal() * steps) / steps);
  std::vector<int> order(logits.size());                 // all of it sorted: what sampling is defined by
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)]; });
  for (double top_p : {1.0, 0.9, 0.3, 1e-9})
    for (std::size_t top_k : {5000u, 700u, 3u})
      for (std::uint64_t s = 0; s < 20; ++s) {
        std::vector<double> share;
        for (std::size_t i = 0; i < top_k; ++i) share.push_back(std::exp(static_cast<double>(logits[static_cast<std::size_t>(order[i])]) - static_cast<double>(logits[static_cast<std::size_t>(order[0])])));
        const double all = std::accumulate(share.begin(), share.end(), 0.0);
        std::size_t n = 0, i = 0;
        double kept = 0;
        while (n < share.size() && kept < top_p * all) kept += share[n++];
        Generator draws(s);
        for (double at = draws.uniform() * kept; i + 1 < n && at >= share[i]; ++i) at -= share[i];
        Generator drawn(s);
        CHECK(sample(logits, {.temperature = 1, .top_k = static_cast<Index>(top_k), .top_p = top_p}, {}, drawn) == order[i]);
      }
}

TEST_CASE("sampling keeps to what it is told") {
  std::vector<float> logits{0.f, 3.f, 2.f, -1.f};
  seed(1);
  std::array<int, 4> drawn{}, two{}, most{};
  for (int i = 0; i < 4000; ++i) {
    ++drawn[static_cast<std::size_t>(sample(logits, {.temperature = 1}))];
    ++two[static_cast<std::size_t>(sample(logits, {.temperature = 1, .top_k = 2}))];
    ++most[static_cast<std::size_t>(sample(logits, {.temperature = 1, .top_p = 0.6}))];
    CHECK(sample(logits, {.temperature = 0}) == 1);
  }
  double total = 1 + std::exp(3) + std::exp(2) + std::exp(-1);
  CHECK(drawn[1] / 4000.0 == Approx(std::exp(3) / total).margin(0.03));
  CHECK(drawn[3] > 0);
  CHECK(two[0] + two[3] == 0);
  CHECK(two[2] / 4000.0 == Approx(1 / (1 + std::exp(1))).margin(0.03));
  CHECK(most[1] == 4000);
  CHECK_THROWS_AS(sample(logits, {.temperature = -1}), Error);
  CHECK_THROWS_AS(sample(logits, {.temperature = HUGE_VAL}), Error);
  logits[2] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(sample(logits, {}), Catch::Contains("not finite"));
}

TEST_CASE("sampling is at a temperature of 0.8 unless told otherwise") {
  const std::vector<float> logits{1, 0.5f, 0, 2, -1};
  for (std::uint64_t s = 0; s < 200; ++s) {
    auto drawn = [&](const GenerateOptions& options) {
      seed(s);
      return sample(logits, options);
    };
    CHECK(drawn({}) == drawn({.temperature = 0.8}));
  }
  CHECK(GenerateOptions{}.temperature == 0.8);
}

TEST_CASE("a repetition penalty divides what is above 0 and multiplies what is not, once") {
  std::vector<float> logits{2.f, -1.f, 1.5f, -1.2f};
  const std::vector<int> seen{0, 1, 0, 0};
  CHECK(sample(logits, {.temperature = 0, .repetition_penalty = 1.5}, seen) == 2);
  CHECK(sample(logits, {.temperature = 0, .repetition_penalty = 1.2}, seen) == 0);
  CHECK(sample(logits, {.temperature = 0, .repetition_penalty = 1.5}) == 0);
  Generator random(3);
  std::array<int, 4> drawn{};
  for (int i = 0; i < 4000; ++i) ++drawn[static_cast<std::size_t>(sample(logits, {.temperature = 1, .repetition_penalty = 2}, seen, random))];
  double total = std::exp(1) + std::exp(-2) + std::exp(1.5) + std::exp(-1.2);
  CHECK(drawn[0] / 4000.0 == Approx(std::exp(1) / total).margin(0.03));
  CHECK(drawn[1] / 4000.0 == Approx(std::exp(-2) / total).margin(0.015));
  CHECK_THROWS_WITH(sample(logits, {.repetition_penalty = 0}, seen), Catch::Contains("repetition penalty 0"));
  CHECK_THROWS_WITH(sample(logits, {.repetition_penalty = 2}, std::vector<int>{4}), Catch::Contains("id 4 was seen, but there are 4 logits"));
}

TEST_CASE("several prompts at a time give what each gives alone") {
  GPT<float> model = with_large_weights(5);
  NoGrad guard;
  auto ids = to_tensor<int>(some_ids(3 * 64), {3, 64});
  auto whole = model(ids);                                                       // (3, 64, 13)
  auto cache = model.cache(3);
  for (Index at = 0, n = 40; at < 64; at += n, n = 8) {
    Tensor<int> some(Shape{3, n});
    for (Index i = 0; i < 3 * n; ++i) some.mutable_data()[i] = ids.data()[i / n * 64 + at + i % n];
    auto part = model(some, &cache);
    double worst = 0;
    for (Index i = 0; i < part.size(); ++i) worst = (std::max)(worst, std::abs(static_cast<double>(part.data()[i] - whole.data()[(i / (n * 13) * 64 + at) * 13 + i % (n * 13)])));
    CHECK(worst < 1e-5);
  }

  const std::vector<std::vector<int>> prompts{{1, 2, 3, 4, 5}, {6}, {7, 8, 9}, some_ids(300)};
  for (const GenerateOptions& options : {GenerateOptions{.tokens = 300, .temperature = 0}, {.tokens = 30, .temperature = 1, .top_k = 5, .seed = 11}, {.tokens = 0}}) {
    auto together = generate(model, std::span(prompts).first(3), options);
    REQUIRE(together.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      GenerateOptions alone = options;
      if (options.seed) *alone.seed += i;
      CHECK(together[i] == generate(model, prompts[i], alone));
    }
  }
  auto long_and_short = generate(model, prompts, {.tokens = 5, .temperature = 0});
  CHECK(long_and_short[1] == generate(model, prompts[1], {.tokens = 5, .temperature = 0}));

  auto before = generator().state();
  auto text = generate(model, {1}, {.tokens = 40, .temperature = 1, .seed = 3});
  CHECK(generator().state() == before);                                          // a seed of its own leaves this thread's generator alone
  seed(3);
  CHECK(generate(model, {1}, {.tokens = 40, .temperature = 1}) == text);
}

TEST_CASE("a text ends at a stop token, when emit says so, or when it is long enough") {
  GPT<float> model = with_large_weights(5);
  auto text = generate(model, {1, 2}, {.tokens = 50, .temperature = 1, .seed = 1});
  const int stop = text[20];
  const auto length = std::find(text.begin(), text.end(), stop) - text.begin();
  std::vector<int> emitted;
  auto stopped = generate(model, {1, 2}, {.tokens = 50, .temperature = 1, .stop = stop, .seed = 1}, [&](int id) { return emitted.push_back(id), true; });
  CHECK(stopped == std::vector<int>(text.begin(), text.begin() + length));
  CHECK(emitted == stopped);

  std::array<int, 3> counts{};
  auto rows = generate(model, std::vector<std::vector<int>>{{1, 2}, {3}, {4, 5, 6}}, {.tokens = 9, .temperature = 1, .seed = 1}, [&](std::size_t row, int) { return ++counts[row] < 4 || row != 1; });
  CHECK((rows[0].size() == 9 && rows[1].size() == 4 && rows[2].size() == 9 && counts == std::array{9, 4, 9}));
  CHECK(rows[0] == std::vector<int>(text.begin(), text.begin() + 9));
  CHECK(generate(model, std::vector<std::vector<int>>{}, {}).empty());
  CHECK_THROWS_WITH(generate(model, std::vector<std::vector<int>>{{1}, {}}, {}), "generate: an empty prompt");
}
