// Models and their training, by name.
#pragma once
#include <string>
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
  std::string precision = "float";                       // or bf16
};

inline TrainingConfig nanogpt_cpu_config() { return {}; }

/// Small enough to see every number.
inline TrainingConfig debug_config() {
  TrainingConfig c;
  c.model = {.vocab_size = 65, .context_window = 16, .embedding_dim = 16, .n_heads = 2, .n_layers = 2};
  c.steps = 100, c.batch = 4, c.warm_up = 10, c.eval_every = 50;
  return c;
}

/// The configuration of that name. Throws for a name that is none.
inline TrainingConfig named_config(const std::string& name) {
  if (name == "nanogpt_cpu") return nanogpt_cpu_config();
  if (name == "debug") return debug_config();
  fail("config: there is no \"", name, "\": it is nanogpt_cpu or debug");
}

}
}  // namespace tricycle
