// The time of a GPT training step: nanoGPT's configuration for a CPU, as peers/gpt_step.py does it in PyTorch.
// A step is all that training does: draw a batch, forward, backward, clip, AdamW. One line of JSON a round.
#include <sys/resource.h>
#include <cstdio>
#include "../examples/command_line.hpp"
#include "measure.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// The most memory that this process has had so far.
double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

template <class T>
int run(const std::string& data, int rounds, int steps) {
  std::string text = read_file(data);
  auto tokeniser = CharacterTokeniser::train(text);
  TrainingConfig c = nanogpt_cpu_config();
  c.model.vocab_size = tokeniser.vocab_size();
  const double before_mb = peak_mb();
  seed(1337);
  GPT<T> model(c.model);
  AdamW optimiser{.learning_rate = c.learning_rate, .beta_1 = c.beta_1, .beta_2 = c.beta_2, .weight_decay = c.weight_decay, .decays = matrices_only};
  auto dataset = CausalLMDataset(tokeniser.encode(text), c.model.context_window).batch(c.batch).shuffle(1337);
  double loss = 0;
  auto step = [&] {
    auto [inputs, targets] = dataset.next();
    auto l = model.loss(inputs, targets);
    l.backward();
    clip_gradients(model, c.clip);
    model.update(optimiser);
    loss = static_cast<double>(l.item());
  };
  for (int i = 0; i < 20; ++i) step();
  for (int round = 0; round < rounds; ++round) {
    std::vector<double> times;
    for (int i = 0; i < steps; ++i) times.push_back(1e3 * bench::seconds(step));
    std::printf("{\"peer\": \"tricycle %s\", \"threads\": %d, \"parameters\": %lld, \"round\": %d, \"steps\": %d, \"ms_per_step\": %.2f, \"fastest_ms\": %.2f, \"loss\": %.4f, \"before_mb\": %.1f, \"peak_mb\": %.1f}\n",
                dtype_name<T>(), threads(), static_cast<long long>(model.parameter_count()), round, steps, bench::median(times), *std::min_element(times.begin(), times.end()), loss, before_mb, peak_mb());
  }
  return 0;
}

int program(examples::CommandLine& line) {
  std::string data, precision = "float";
  int rounds = 5, steps = 50, n_threads = threads();
  line.about("Times the training step of nanoGPT's configuration for a CPU.");
  line.option("--data FILE", data, "the text to learn from");
  line.option("--threads N", n_threads, "threads", {.least = 1});
  line.option("--rounds N", rounds, "rounds, each of which gives a median", {.least = 1});
  line.option("--steps N", steps, "steps a round", {.least = 1});
  line.choice("--precision float|bf16", precision, "what activations are held in");
  line.parse();
  set_threads(n_threads);
  return precision == "float" ? run<float>(data, rounds, steps) : run<bf16>(data, rounds, steps);
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
