// Models and their training, by name.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>
#include "tricycle/nn/gpt.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// What makes a training run, but for the text. The defaults are nanoGPT's configuration for a CPU, which learns to write
/// something like Shakespeare from 1 MB of it in minutes.
struct TrainingConfig {
  GPTConfig model;
  Index steps = 2000, batch = 12, accumulate = 1;        // windows a pass; passes a step
  Index warm_up = 100, eval_every = 250;                 // steps
  double learning_rate = 1e-3, least_learning_rate = 1e-4;
  double beta_1 = 0.9, beta_2 = 0.99, weight_decay = 0.1, clip = 1;
  Index seed = 1337;
  std::string precision = "float";                       // or bf16, or half
};

inline TrainingConfig nanogpt_cpu_config() { return {}; }

/// nanoGPT's configuration for a GPU, for characters too.
inline TrainingConfig nanogpt_gpu_config() {
  TrainingConfig c;
  c.model = {.vocab_size = 65, .context_window = 256, .embedding_dim = 384, .n_heads = 6, .n_layers = 6, .dropout = 0.2f};
  c.steps = 5000, c.batch = 64;
  return c;
}

/// Small enough to see every number.
inline TrainingConfig debug_config() {
  TrainingConfig c;
  c.model = {.vocab_size = 65, .context_window = 16, .embedding_dim = 16, .n_heads = 2, .n_layers = 2};
  c.steps = 100, c.batch = 4, c.warm_up = 10, c.eval_every = 50;
  return c;
}

/// The Python original's, for Shakespeare in pieces of words.
inline TrainingConfig shakespeare_config() {
  TrainingConfig c = nanogpt_gpu_config();
  c.model.vocab_size = 1024;
  c.batch = 32;
  return c;
}

/// How many parameters such a GPT has. It is built for that, but no weight is drawn.
inline Index parameter_count(const GPTConfig& config) {
  auto nothing = [](const Shape& shape) { return Tensor<float>(shape); };
  return GPT<float>(config, nothing, nothing).parameter_count();
}

/// On how many tokens a model of so many parameters is best trained, given the computing that takes: some 20 for each
/// parameter. A straight line through the logarithms of table A3 of Hoffmann et al. ("Chinchilla", arXiv:2203.15556), as in the
/// Python original, tokens = e^a flops^b, is solved for tokens where flops = 6 tokens parameters.
inline Index optimal_n_tokens(Index n_parameters) {
  check(n_parameters > 0, "optimal_n_tokens: a model of ", n_parameters, " parameters");
  constexpr std::pair<double, double> best[]{{1.84e19, 7.7e9}, {1.20e20, 20e9}, {1.32e22, 219.5e9}, {6.88e23, 1.7e12}, {4.54e24, 4.3e12},
                                             {1.18e25, 7.1e12}, {4.19e25, 13.4e12}, {1.59e26, 26.5e12}, {1.75e28, 292e12}};   // flops, tokens
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (auto [flops, tokens] : best) n += 1, x += std::log(flops), y += std::log(tokens), xx += std::log(flops) * std::log(flops), xy += std::log(flops) * std::log(tokens);
  const double b = (n * xy - x * y) / (n * xx - x * x), a = (y - b * x) / n;
  return static_cast<Index>(std::exp((a + b * std::log(6 * static_cast<double>(n_parameters))) / (1 - b)));
}

/// How many tokens a step learns from. Throws for none, and for more than can be counted.
inline Index tokens_per_step(const TrainingConfig& c) {
  const Index n = Shape{c.batch, c.accumulate, c.model.context_window}.size();
  check(n > 0, "config: a step of ", c.accumulate, " batches of ", c.batch, " windows of ", c.model.context_window, " tokens");
  return n;
}

/// How many steps that is.
inline Index optimal_n_steps(const TrainingConfig& c) { return (std::max)(Index{1}, optimal_n_tokens(parameter_count(c.model)) / tokens_per_step(c)); }

/// The Python original's language model: 49 million parameters, for the 100,276 tokens of cl100k, and as many steps as are best.
inline TrainingConfig smol_gpt_config() {
  TrainingConfig c = shakespeare_config();
  c.model.vocab_size = 100276;
  c.batch = 20, c.accumulate = 4;
  c.steps = optimal_n_steps(c);
  return c;
}

namespace detail {

/// GPT-2 (Radford et al., 2019), in steps of half a million tokens as in nanoGPT, at GPT-3's learning rate for its size
/// (Brown et al., arXiv:2005.14165, table 2.1).
inline TrainingConfig gpt2_config(Index embedding_dim, Index n_heads, Index n_layers, double learning_rate) {
  TrainingConfig c;
  c.model = {.vocab_size = 50257, .context_window = 1024, .embedding_dim = embedding_dim, .n_heads = n_heads, .n_layers = n_layers, .bias = true};
  c.steps = 600000, c.batch = 12, c.accumulate = 40, c.warm_up = 2000, c.eval_every = 1000;
  c.learning_rate = learning_rate, c.least_learning_rate = learning_rate / 10, c.beta_2 = 0.95;
  return c;
}

}  // namespace detail

inline TrainingConfig gpt2_124m_config() { return detail::gpt2_config(768, 12, 12, 6e-4); }
inline TrainingConfig gpt2_355m_config() { return detail::gpt2_config(1024, 16, 24, 3e-4); }
inline TrainingConfig gpt2_774m_config() { return detail::gpt2_config(1280, 20, 36, 2.5e-4); }
inline TrainingConfig gpt2_1558m_config() { return detail::gpt2_config(1600, 25, 48, 2e-4); }

/// Under the Python original's names: ShakespeareConfig config; config.steps = 1000;
struct DebugConfig : TrainingConfig { DebugConfig() : TrainingConfig(debug_config()) {} };
struct ShakespeareConfig : TrainingConfig { ShakespeareConfig() : TrainingConfig(shakespeare_config()) {} };
struct SmolGPTConfig : TrainingConfig { SmolGPTConfig() : TrainingConfig(smol_gpt_config()) {} };

/// All configurations by name.
inline const Named<TrainingConfig (*)()>& named_configs() {
  static const Named<TrainingConfig (*)()> all{
      {"nanogpt_cpu", nanogpt_cpu_config}, {"nanogpt_gpu", nanogpt_gpu_config}, {"debug", debug_config}, {"shakespeare", shakespeare_config},
      {"smol_gpt", smol_gpt_config}, {"gpt2_124m", gpt2_124m_config}, {"gpt2_355m", gpt2_355m_config}, {"gpt2_774m", gpt2_774m_config},
      {"gpt2_1558m", gpt2_1558m_config}};
  return all;
}
inline TrainingConfig named_config(const std::string& name) { return find_named("config", name, named_configs())(); }
inline std::string config_names() { return names_of(named_configs()); }

}
}  // namespace tricycle
