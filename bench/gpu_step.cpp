// The time of a GPT training step on a GPU, as peers/gpu_step.py does it in PyTorch: GPT-2 124M, or nanoGPT's small model
// for a GPU. A step is all that training does: draw a batch, forward, backward, clip, AdamW. nvcc makes it a program for
// GPUs; any C++ compiler makes one of the same source that rehearses on the CPU. One line of JSON a round.
#include <cstdio>
#include "../examples/command_line.hpp"
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// What is timed, and how.
struct Task {
  std::string config = "gpt2_124m", data, precision = "bf16", capture = "on";
  Device device = Device::cpu;
  GPTConfig model;
  double learning_rate = 6e-4, beta_2 = 0.95;
  Index batch = 64;
  int rounds = 5, steps = 10, warm_up = 10;
  bool tune = false;
};

void set_config(Task& task) {
  if (task.config == "gpt2_124m") {                      // Radford et al., 2019; the vocabulary is a multiple of 64, as in nanoGPT and llm.c
    task.model = {.vocab_size = 50304, .context_window = 1024, .embedding_dim = 768, .n_heads = 12, .n_layers = 12, .bias = true};
  } else if (task.config == "nanogpt_gpu") {             // its config/train_shakespeare_char.py
    task.model = {.vocab_size = 65, .context_window = 256, .embedding_dim = 384, .n_heads = 6, .n_layers = 6, .dropout = 0.2f};
    task.learning_rate = 1e-3, task.beta_2 = 0.99;
  } else {
    auto small = debug_config();
    task.model = small.model, task.batch = small.batch;
    task.learning_rate = small.learning_rate, task.beta_2 = small.beta_2;
  }
}

/// Tokens of real text, as peers/gpu_step.py makes them: its characters where the vocabulary is small, else pairs of bytes,
/// which spread over the vocabulary somewhat as words do. Zeros would be quicker, and measure nothing.
std::vector<int> tokens(const std::string& text, Index vocabulary) {
  if (vocabulary <= 256) return CharacterTokeniser::train(text).encode(text);
  std::vector<int> ids;
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    ids.push_back(static_cast<int>((Index{static_cast<unsigned char>(text[i])} * 256 + static_cast<unsigned char>(text[i + 1])) % vocabulary));
  return ids;
}

/// Floating-point operations for a token, forward and backward, as nanoGPT counts them (PaLM, appendix B): 6 for each
/// parameter but the positions', and 12 layers width context for attention, without what a causal mask saves.
double flops_per_token(const GPTConfig& c, Index parameters) {
  return 6 * static_cast<double>(parameters - c.context_window * c.embedding_dim) + 12 * static_cast<double>(c.n_layers * c.embedding_dim * c.context_window);
}

/// Bytes of a GPU that are in use, whoever uses them. 0 on the CPU.
std::size_t device_bytes([[maybe_unused]] Device device) {
  std::size_t left = 0, all = 0;
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) {
    gpu::Use on(device);
    gpu::check(cudaMemGetInfo(&left, &all), "cudaMemGetInfo");
  }
#endif
  return all - left;
}

/// What tensors hold and what is kept for those to come, which never shrinks while memory lasts: so it is the peak.
std::size_t pool_bytes([[maybe_unused]] Device device) {
#ifdef TRICYCLE_CUDA
  if (!device.is_cpu()) return gpu::Pool::of(device)->held() + gpu::Pool::of(device)->cached();
#endif
  return 0;
}

template <class T>
int run(const Task& task) {
  const GPTConfig& c = task.model;
  const Device device = task.device;
  Tensor<float> present(Shape{1}, device);               // throws at once if there is no such GPU
  const std::size_t before = device_bytes(device);
  seed(1337);
  GPT<T> model(c);
  model.to(device);
  AdamW optimiser{.learning_rate = task.learning_rate, .beta_1 = 0.9, .beta_2 = task.beta_2, .weight_decay = 0.1, .decays = matrices_only};
  auto text = tokens(read_file(task.data), c.vocab_size);
  check(std::all_of(text.begin(), text.end(), [&](int id) { return id < c.vocab_size; }), task.data, " has more characters than the vocabulary of ", c.vocab_size);
  auto dataset = CausalLMDataset(std::move(text), c.context_window).batch(task.batch).shuffle(1337);

  Tensor<int> inputs(Shape{task.batch, c.context_window}, device), targets(inputs.shape(), device);
  auto loss = full<compute<T>>({}, 0, {.requires_grad = false, .device = device});
  auto next_batch = [&] {
    auto batch = dataset.next();
    inputs.assign(batch.inputs), targets.assign(batch.targets);
  };
  auto update = [&] {
    auto l = model.loss(inputs, targets);
    l.backward();
    clip_gradients(model, 1);
    model.update(optimiser);
    loss.assign(l.detach());
  };
  std::function<void()> step = update;
  for (int i = 0; i < (std::min)(2, task.warm_up); ++i) next_batch(), step();       // the optimiser makes its memory, products are tuned
#ifdef TRICYCLE_CUDA
  std::optional<CapturedStep> captured;
  if (!device.is_cpu() && task.capture == "on") {
    next_batch();
    captured.emplace(device, update);
    step = [&] { captured->run(); };
  }
#endif
  for (int i = 2; i < task.warm_up; ++i) next_batch(), step();
  double last = static_cast<double>(loss.item());        // waits for the GPU

  const Index parameters = model.parameter_count();
  const bool is_captured = !device.is_cpu() && task.capture == "on";
  std::ostringstream name;
  name << device;
  for (int round = 0; round < task.rounds; ++round) {
    double s = bench::seconds([&] {
      for (int i = 0; i < task.steps; ++i) next_batch(), step();
      last = static_cast<double>(loss.item());           // waits for the GPU, once a round
    }) / task.steps;
    check(std::isfinite(last), "the loss is not finite");
    double tokens_per_s = static_cast<double>(task.batch * c.context_window) / s;
    std::printf("{\"peer\": \"tricycle%s%s\", \"device\": \"%s\", \"config\": \"%s\", \"batch\": %lld, \"precision\": \"%s\", \"captured\": %s, \"tuned\": %s, "
                "\"parameters\": %lld, \"round\": %d, \"steps\": %d, \"ms_per_step\": %.3f, \"tokens_per_s\": %.0f, \"mfu\": %.4f, \"pool_mb\": %.0f, "
                "\"device_mb\": %.0f, \"loss\": %.4f}\n",
                device.is_cpu() ? "" : is_captured ? " captured" : " eager", task.tune ? " tuned" : "", name.str().c_str(), task.config.c_str(), static_cast<long long>(task.batch), task.precision.c_str(),
                is_captured ? "true" : "false", task.tune ? "true" : "false", static_cast<long long>(parameters), round, task.steps, 1e3 * s, tokens_per_s,
                flops_per_token(c, parameters) * tokens_per_s / 989e12,         // an H100 SXM's dense bf16
                static_cast<double>(pool_bytes(device)) / 1e6, static_cast<double>(device_bytes(device) - before) / 1e6, last);
    std::fflush(stdout);
  }
  return 0;
}

int program(examples::CommandLine& line) {
  Task task;
  int n_threads = threads();
  line.about("Times the training step of a GPT on a GPU, or, as a rehearsal, on the CPU.");
  line.choice("--config gpt2_124m|nanogpt_gpu|debug", task.config, "the model, and where the other values come from");
  line.option("--device cpu|cuda[:N]", task.device, "where to compute");
  line.option("--data FILE", task.data, "the text to learn from");
  line.option("--batch N", task.batch, "windows of text in a step", {.least = 1});
  line.option("--context N", task.model.context_window, "tokens in a window (for rehearsals, as the next three)", {.least = 1});
  line.option("--layers N", task.model.n_layers, "transformer blocks", {.least = 1});
  line.option("--width N", task.model.embedding_dim, "numbers that stand for a token", {.least = 1});
  line.option("--vocabulary N", task.model.vocab_size, "tokens that there are", {.least = 1});
  line.choice("--precision float|bf16", task.precision, "what activations are held in");
  line.choice("--capture on|off", task.capture, "on a GPU, run a step as one CUDA graph");
  line.flag("--tune", task.tune, "on a GPU, time several algorithms for each product, and keep the fastest");
  line.option("--rounds N", task.rounds, "rounds, each of which gives a mean", {.least = 1});
  line.option("--steps N", task.steps, "steps a round", {.least = 1});
  line.option("--warm-up N", task.warm_up, "steps before the first round", {.least = 2});
  line.option("--threads N", n_threads, "threads of the CPU", {.least = 1});
  line.parse();                                          // once to learn --config, and once over the values that it brings
  set_config(task);
  line.parse();
  set_threads(n_threads);
#ifdef TRICYCLE_CUDA
  gpu::product_options().tuned = task.tune;
#endif
  return task.precision == "float" ? run<float>(task) : run<bf16>(task);
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
