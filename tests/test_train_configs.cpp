// Configurations against what is published of them, schedules at their corners, and what weights are at first.
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

struct Moment { double mean, deviation, largest; };

Moment moment(const Tensor<float>& x) {
  double n = static_cast<double>(x.size()), sum = 0, squares = 0, largest = 0;
  for (float w : x.to_vector()) sum += static_cast<double>(w), squares += static_cast<double>(w) * static_cast<double>(w), largest = (std::max)(largest, std::abs(static_cast<double>(w)));
  return {sum / n, std::sqrt(squares / n - sum / n * sum / n), largest};
}

}  // namespace

TEST_CASE("GPT-2's four sizes have as many parameters as the published ones", "[configs]") {
  CHECK(parameter_count(gpt2_124m_config().model) == 124'439'808);
  CHECK(parameter_count(gpt2_355m_config().model) == 354'823'168);
  CHECK(parameter_count(gpt2_774m_config().model) == 774'030'080);
  CHECK(parameter_count(gpt2_1558m_config().model) == 1'557'611'200);
  CHECK((gpt2_124m_config().model.n_heads == 12 && gpt2_355m_config().model.n_heads == 16 && gpt2_774m_config().model.n_heads == 20 && gpt2_1558m_config().model.n_heads == 25));
  for (auto config : {gpt2_124m_config(), gpt2_355m_config(), gpt2_774m_config(), gpt2_1558m_config()}) {
    CHECK((config.model.context_window == 1024 && config.model.tied && config.model.dropout == 0));
    CHECK(config.batch * config.accumulate * config.model.context_window == 491'520);
  }
}

TEST_CASE("the other configurations, by hand", "[configs]") {
  auto count = [](Index v, Index t, Index d, Index layers) { return (v + t) * d + layers * (12 * d * d + 2 * d) + d; };
  CHECK(parameter_count(SmolGPTConfig().model) == count(100276, 256, 384, 6));
  CHECK(parameter_count(SmolGPTConfig().model) / 1'000'000 == 49);
  CHECK(parameter_count(ShakespeareConfig().model) == count(1024, 256, 384, 6));
  CHECK(parameter_count(nanogpt_gpu_config().model) == count(65, 256, 384, 6));
  CHECK(parameter_count(nanogpt_cpu_config().model) == count(65, 64, 128, 4));
  CHECK(GPT<float>(DebugConfig().model).parameter_count() == parameter_count(debug_config().model));
  const ShakespeareConfig c;
  CHECK((c.model.n_heads == 6 && c.model.dropout == 0.2f && c.learning_rate == 1e-3 && c.least_learning_rate == 1e-4 && c.warm_up == 100 && c.weight_decay == 0.1));
  CHECK((c.beta_1 == 0.9 && c.beta_2 == 0.99 && c.steps == 5000 && c.batch == 32));
  const SmolGPTConfig smol;
  CHECK((smol.model.n_heads == 6 && smol.model.n_layers == 6 && smol.model.dropout == 0.2f && smol.batch == 20 && smol.accumulate == 4));
  const auto gpu = nanogpt_gpu_config(), cpu = nanogpt_cpu_config();         // train_shakespeare_char.py, and what nanoGPT's README says for a CPU
  CHECK((gpu.model.n_heads == 6 && gpu.model.dropout == 0.2f && gpu.batch == 64 && gpu.steps == 5000 && gpu.learning_rate == 1e-3));
  CHECK((cpu.model.n_heads == 4 && cpu.model.dropout == 0 && cpu.batch == 12 && cpu.steps == 2000 && cpu.learning_rate == 1e-3));
  for (auto& [name, config] : named_configs()) CHECK(to_json(named_config(name)).dump() == to_json(config()).dump());
  CHECK(config_names() == "nanogpt_cpu|nanogpt_gpu|debug|shakespeare|smol_gpt|gpt2_124m|gpt2_355m|gpt2_774m|gpt2_1558m");
  CHECK(refusal([] { named_config("gpt3"); }) == "config: there is no \"gpt3\": it is one of " + config_names());
}

// The numbers are those of the Python original, whose NumPy fits the same line.
TEST_CASE("how many tokens are best for a model", "[configs]") {
  for (auto [parameters, tokens] : std::map<Index, double>{{49'226'112, 876585954}, {124'439'808, 2301609131}, {1'557'611'200, 31946233463}, {70'000'000'000, 1677461300686}})
    CHECK(static_cast<double>(optimal_n_tokens(parameters)) == Approx(tokens).epsilon(1e-8));
  CHECK(static_cast<double>(optimal_n_tokens(400'000'000)) == Approx(7.7e9).epsilon(0.01));        // table A3 itself
  CHECK(SmolGPTConfig().steps == optimal_n_tokens(parameter_count(SmolGPTConfig().model)) / (20 * 4 * 256));
  CHECK_THROWS_AS(optimal_n_tokens(0), Error);
}

TEST_CASE("schedules at their corners", "[schedules]") {
  const Schedule base{.most = 1, .least = 0.1, .warm_up = 4, .total = 10};
  const LinearSchedule linear{base};
  const CosineSchedule cosine{base};
  const ConstantSchedule constant{base};
  const WarmupStableDecaySchedule stable{base, 3};
  for (Index step = 0; step < 4; ++step)
    for (double rate : {linear(step), cosine(step), constant(step), stable(step)}) CHECK(rate == static_cast<double>(step + 1) / 4);
  CHECK((linear(4) == Approx(0.85) && linear(8) == Approx(0.25)));
  CHECK((stable(4) == 1 && stable(6) == 1 && stable(7) == Approx(0.7) && stable(8) == Approx(0.4)));
  CHECK((cosine(4) < 1 && cosine(4) > linear(4) && cosine(8) < linear(8) && cosine(8) > 0.1));
  for (Index step : {Index{9}, Index{10}, Index{1'000'000'000'000}}) CHECK((linear(step) == 0.1 && cosine(step) == 0.1 && stable(step) == 0.1 && constant(step) == 1));

  CHECK(LinearSchedule{{.most = 1, .least = 0, .warm_up = 0, .total = 4}}(0) == Approx(0.75));     // no warm-up
  CHECK(ConstantSchedule{{.most = 0.5}}(0) == 0.5);
  CHECK((WarmupStableDecaySchedule{{.most = 1, .total = 4}}(2) == 1 && WarmupStableDecaySchedule{{.most = 1, .total = 4}}(3) == 0));   // no decay
  CHECK(WarmupStableDecaySchedule{base, 6}(5) == linear(5));                                       // nothing but decay
  CHECK(LinearSchedule{{.most = 1, .least = 0.1, .warm_up = 20, .total = 10}}(8) == Approx(0.45)); // the end comes before the top
  CHECK_THROWS_AS(linear(-1), Error);
  CHECK_THROWS_AS((LinearSchedule{{.total = 0}}(0)), Error);
  CHECK_THROWS_AS((WarmupStableDecaySchedule{base, 7}(0)), Error);
}

TEST_CASE("what weights are at first", "[initialisers]") {
  seed(1);
  const Shape shape{300, 200};
  auto x = moment(xavier(shape)), kaiming = moment(kaiming_uniform(shape)), normally = moment(kaiming_normal(shape)), residual = moment(residual_initialiser(0.02, 8)(shape));
  CHECK(x.deviation == Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK((x.largest < std::sqrt(6.0 / 500) && x.largest > 0.99 * std::sqrt(6.0 / 500)));
  CHECK(kaiming.deviation == Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK((kaiming.largest < std::sqrt(6.0 / 300) && kaiming.largest > 0.99 * std::sqrt(6.0 / 300)));
  CHECK(normally.deviation == Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK(normally.largest > 3 * normally.deviation);
  CHECK(residual.deviation == Approx(0.02 / 4).epsilon(0.02));
  for (auto& m : {x, kaiming, normally, residual}) CHECK(std::abs(m.mean) < 0.02 * m.deviation);

  CHECK(Dense(2, 3, {.initialiser = constant_initialiser(1)}).weights.as<float>().to_vector() == std::vector<float>(6, 1));
  CHECK(Embedding(2, 3, constant_initialiser(0)).weights.as<float>().to_vector() == std::vector<float>(6, 0));
  seed(7);
  auto wanted = kaiming_normal({3, 4});
  seed(7);
  CHECK(Dense(3, 4, {.initialiser = kaiming_normal}).weights.as<float>().to_vector() == wanted.to_vector());
}

TEST_CASE("a GPT begins as GPT-2's, or as one likes", "[initialisers]") {
  seed(2);
  GPT<float> model({.vocab_size = 50, .context_window = 8, .embedding_dim = 96, .n_heads = 3, .n_layers = 8, .tied = false});
  auto& block = model.blocks[5];
  for (auto* usual : {&block.attention.in, &block.mlp.in, &*model.head}) CHECK(moment(usual->weights.as<float>()).deviation == Approx(0.02).epsilon(0.03));
  for (auto* residual : {&block.attention.out, &block.mlp.out}) CHECK(moment(residual->weights.as<float>()).deviation == Approx(0.005).epsilon(0.03));
  GPT<float> other(model.config, xavier, constant_initialiser(0));
  auto ids = to_tensor<int>({{1, 2, 3}});
  Residual<float> stream{model.token_embedding(ids)};
  const auto before = stream.x.to_vector();
  other.blocks[0](stream);
  CHECK((stream.x + *stream.added).to_vector() == before);                       // a block that says nothing at first
  CHECK(moment(other.blocks[0].mlp.in.weights.as<float>()).deviation == Approx(std::sqrt(2.0 / 480)).epsilon(0.03));
}
