// What train_gpt is told on its command line.
#pragma once
#include <filesystem>
#include "trainer.hpp"

namespace examples {

/// A folder that no run is in yet: out, or out-2, out-3, …
inline std::string free_folder() {
  std::string folder = "out";
  for (int i = 2; file_exists(folder); ++i) folder = "out-" + std::to_string(i);
  return folder;
}

/// Throws unless the options ask for what the saved run is, or the model that a new one begins with: another model or
/// configuration is another run.
inline void check_same(const RunConfig& saved, const RunConfig& asked, const std::string& folder) {
  const GPTConfig &before = saved.training.model, &now = asked.training.model;
  for (auto [option, had, wanted] : {std::tuple("--config", saved.name, asked.name), {"--tokeniser", saved.tokeniser, asked.tokeniser}})
    if (had != wanted) throw UsageError("the run in " + folder + " began with " + option + ' ' + had + ", not " + wanted);
  for (auto [option, had, wanted] : {std::tuple("--context", before.context_window, now.context_window), {"--layers", before.n_layers, now.n_layers},
                                     {"--heads", before.n_heads, now.n_heads}, {"--width", before.embedding_dim, now.embedding_dim}})
    check(had == wanted, "the model in ", folder, " has ", option, ' ', had, ", not ", wanted);
  for (auto [option, had, wanted] : {std::tuple("--activation", before.activation, now.activation), {"--norm", before.norm, now.norm}, {"--positions", before.positions, now.positions}})
    check(had == wanted, "the model in ", folder, " has ", option, ' ', had, ", not ", wanted);
}

inline Run read_command_line(CommandLine& line) {
  Run run;
  std::string out, resumed, from;
  RunConfig& config = run.config;
  TrainingConfig& c = config.training;
  GPTConfig& model = c.model;
  constexpr double most = 1e9;
  line.about("Trains a GPT on text, from the first step or from where an earlier run stopped, and prints a sample of what it writes.");
  line.choice("--config NAME", config.name, "where the values of all options below come from that are not given: " + config_names(), config_names());
  line.option("--data FILE|FOLDER", config.data, "the text, or a folder whose text files are read one after the other, or that holds tokens: train.bin and val.bin, and tokeniser.json");
  line.choice("--tokeniser KIND", config.tokeniser, std::string("what a token is, ") + tokenisers + ": a character, a piece of a word of this text, or one of GPT-2's",
              std::string("char|") + tokenisers);
  line.option("--vocab N", run.vocab, "pieces of words to tell apart (without it: as many as the configuration says, or 1024)", {.least = 256, .most = most});
  line.option("--tokeniser-files PATH", run.tokeniser_files, "GPT-2's tokenizer.json, or the folder of its vocab.json and merges.txt");
  line.option("--from FOLDER", from, "a model to begin with: what train_gpt has written, or a GPT-2 with its tokeniser as Hugging Face's transformers saves them");
  line.option("--steps N", c.steps, "updates of the weights", {.least = 1, .most = most});
  line.choice("--budget steps|chinchilla", run.budget, "how long: so many steps, or until each parameter has had its some 20 tokens");
  line.option("--batch N", c.batch, "windows of text in a pass", {.least = 1, .most = most});
  line.option("--context N", model.context_window, "tokens in a window", {.least = 1, .most = most});
  line.option("--layers N", model.n_layers, "transformer blocks", {.least = 1, .most = most});
  line.option("--heads N", model.n_heads, "heads of attention, a divisor of the width", {.least = 1, .most = most});
  line.option("--width N", model.embedding_dim, "numbers that stand for a token", {.least = 1, .most = most});
  line.choice("--activation " + activation_names(), model.activation, "what stands between the layers of a block's small network");
  line.choice(std::string("--norm ") + norm_names, model.norm, "how what flows between blocks is normalised");
  line.choice(std::string("--positions ") + position_names, model.positions, "how a token knows where it stands");
  line.option("--lr F", c.learning_rate, "learning rate at its highest; it ends at a tenth of it", {.above = 0});
  line.option("--accumulate N", c.accumulate, "passes whose gradients make one step", {.least = 1, .most = most});
  line.option("--dropout F", model.dropout, "probability that an activation is dropped", {.least = 0, .below = 1});
  line.option("--eval-every N", c.eval_every, "steps between evaluations", {.least = 1, .most = most});
  line.option("--eval-windows N", config.eval_windows, "windows of the validation text to measure with (0: all)", {.least = 0, .most = most});
  line.option("--sample-every N", config.sample_every, "steps between samples of what it writes (0: only at the end)", {.least = 0, .most = most});
  line.option("--out FOLDER", out, "where the model goes (without it: out, or the first free of out-2, out-3, ...)");
  line.option("--resume FOLDER", resumed, "go on with the run that is saved there, as it would have gone on");
  line.option("--stop-at N", run.stop_at, "save and stop after this step, for a later --resume", {.least = 1, .most = most});
  line.option("--seed N", c.seed, "of the weights, the order of the text, dropout and the sample", {.least = 0, .most = 4294967295.0});
  line.option("--threads N", run.n_threads, "threads; results do not depend on it", {.least = 1, .most = 1024});
  line.option("--device cpu|cuda[:N]", run.device, "where to compute");
  line.choice("--capture on|off", run.capture, "on a GPU, record a step once and then run it as a whole");
  line.flag("--tune", run.tune, "on a GPU, time several algorithms for each product, and keep the fastest");
  line.choice(std::string("--precision ") + precisions, c.precision, "what activations are held in");
  line.flag("--quiet", run.quiet, "print results alone");
  line.parse();                                          // once to learn --config and --resume, and once over the values that these bring

  run.resume = !resumed.empty();
  if (run.resume && !out.empty() && out != resumed) throw UsageError("--resume goes on in its own folder: leave --out away");
  if (run.resume && !from.empty()) throw UsageError("--from is for a new run: --resume goes on with its own weights");
  run.folder.path = run.resume ? resumed : out.empty() ? free_folder() : out;
  auto before = run.resume ? run.folder.read_config() : RunConfig{.name = config.name, .training = named_config(config.name)};
  if (!from.empty()) {
    run.from = std::make_shared<const ModelFolder>(from);
    before.training.model = run.from->config();
    before.tokeniser = run.from->tokeniser().kind();
  } else if (!run.resume) {
    before.tokeniser = tokeniser_for(before.training.model.vocab_size);
  }
  config = before;
  line.parse();
  config.tokeniser = tokeniser_kind(config.tokeniser);
  if (run.resume || run.from) check_same(before, config, run.from ? from : run.folder.path);
  if (run.vocab && (run.resume || run.from || config.tokeniser != "bpe")) throw UsageError("--vocab is for a new run with --tokeniser bpe");
  if (run.budget == "chinchilla" && line.peek("--steps")) throw UsageError("--steps or --budget chinchilla, not both");
  if (line.peek("--lr")) c.least_learning_rate = c.learning_rate / 10;
  if (config.data.empty()) throw UsageError("--data FILE|FOLDER is needed: what to learn from");
  config.data = std::filesystem::absolute(config.data).string();          // so that resuming finds it from anywhere
  if (is_token_folder(config.data) && !run.resume && (run.vocab || line.peek("--tokeniser")))
    throw UsageError("--data " + config.data + " holds tokens: what they stand for is said by its tokeniser.json, or by --tokeniser-files");
  const std::string& path = run.folder.path;
  check(run.resume || !run.folder.holds_run(), path, " already holds a run: go on with --resume ", path, ", or name another folder with --out");
  return run;
}

}  // namespace examples
