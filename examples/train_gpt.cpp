// train_gpt: a GPT learns to write as its text does. Trains, measures, saves as it goes, resumes, and prints a sample.
#include <chrono>
#include <numeric>
#include "command_line.hpp"
#include "corpus.hpp"
#include "terminal.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// What one run is told, beside how it trains.
struct Run {
  TrainingConfig config;
  std::string data, out, tokeniser = "char";
  std::optional<Index> stop_at;
  int n_threads = threads();
  bool resume = false, quiet = false;

  std::string file(const std::string& name) const { return out + "/" + name; }
};

/// A folder that no run is in yet: out, or out-2, out-3, …
std::string free_folder() {
  std::string folder = "out";
  for (int i = 2; file_exists(folder); ++i) folder = "out-" + std::to_string(i);
  return folder;
}

Run read_command_line(examples::CommandLine& line) {
  Run run;
  std::string name = "nanogpt_cpu", resumed;
  if (auto folder = line.peek("--resume")) {
    run.resume = true;
    run.out = *folder;
    Json saved = Json::parse(read_file(run.file("config.json")));
    run.config = training_config(saved["training"]);
    run.data = saved.get<std::string>("data");
  } else if (auto given = line.peek("--config")) {
    run.config = named_config(*given);
  }
  TrainingConfig& c = run.config;
  GPTConfig &model = c.model, saved_model = model;
  constexpr double most = 1e9;
  line.about("Trains a GPT on text, from the first step or from where an earlier run stopped, and prints a sample of what it writes.");
  line.choice("--config nanogpt_cpu|debug", name, "where the defaults below come from");
  line.option("--data FILE|FOLDER", run.data, "the text, or a folder whose text files are read one after the other");
  line.choice("--tokeniser char", run.tokeniser, "what a token is: a character");
  line.option("--steps N", c.steps, "updates of the weights", {.least = 1, .most = most});
  line.option("--batch N", c.batch, "windows of text in a pass", {.least = 1, .most = most});
  line.option("--context N", model.context_window, "tokens in a window", {.least = 1, .most = most});
  line.option("--layers N", model.n_layers, "transformer blocks", {.least = 1, .most = most});
  line.option("--heads N", model.n_heads, "heads of attention, a divisor of the width", {.least = 1, .most = most});
  line.option("--width N", model.embedding_dim, "numbers that stand for a token", {.least = 1, .most = most});
  line.option("--lr F", c.learning_rate, "learning rate at its highest", {.above = 0});
  line.option("--accumulate N", c.accumulate, "passes whose gradients make one step", {.least = 1, .most = most});
  line.option("--dropout F", model.dropout, "probability that an activation is dropped", {.least = 0, .below = 1});
  line.option("--eval-every N", c.eval_every, "steps between evaluations", {.least = 1, .most = most});
  line.option("--out FOLDER", run.out, "where the model goes (without it: out, or the first free of out-2, out-3, ...)");
  line.option("--resume FOLDER", resumed, "go on with the run that is saved there, as it would have gone on");
  line.option("--stop-at N", run.stop_at, "save and stop after this step, for a later --resume", {.least = 1, .most = most});
  line.option("--seed N", c.seed, "of the weights, the order of the text, dropout and the sample", {.least = 0, .most = 4294967295.0});
  line.option("--threads N", run.n_threads, "threads; results do not depend on it", {.least = 1, .most = 1024});
  line.choice("--precision float|bf16", c.precision, "what activations are held in");
  line.flag("--quiet", run.quiet, "print results alone");
  line.parse();

  if (run.resume) {
    if (line.peek("--out") && run.out != resumed) throw examples::UsageError("--resume goes on in its own folder: leave --out away");
    check(to_json(model).dump() == to_json(saved_model).dump(), "the model saved in ", run.out, " is ", to_json(saved_model).dump(), ", not ", to_json(model).dump());
  } else {
    if (run.out.empty()) run.out = free_folder();
    check(!file_exists(run.file("config.json")), run.out, " already holds a run: go on with --resume ", run.out, ", or name another folder with --out");
  }
  if (run.data.empty()) throw examples::UsageError("--data FILE|FOLDER is needed: what to learn from");
  return run;
}

/// One training run: everything that a step changes, and how it gets to disk and back.
template <class T>
class Trainer {
 public:
  Trainer(const Run& run, CausalLMDataset training, CausalLMDataset validation)
      : run_(run), config_(run.config), model_((tricycle::seed(static_cast<std::uint64_t>(config_.seed)), config_.model)),
        optimiser_{.learning_rate = config_.learning_rate, .beta_1 = config_.beta_1, .beta_2 = config_.beta_2, .weight_decay = config_.weight_decay, .decays = matrices_only},
        training_(std::move(training)), validation_(std::move(validation)) {
    training_.batch(config_.batch).shuffle(static_cast<std::uint64_t>(config_.seed));
    if (run_.resume) load();
  }

  /// Train to the last step, or until told to stop. Returns false after Ctrl-C.
  bool train() {
    examples::Terminal terminal;
    Progress progress(config_.steps, config_.accumulate * config_.batch * config_.model.context_window, step_);
    Index last = (std::min)(config_.steps, run_.stop_at.value_or(config_.steps));
    while (step_ < last && !examples::interrupted()) {
      double loss = take_step();
      progress.step(step_, clock());
      if (!run_.quiet) terminal.redraw([&](int width) { return progress.bar(loss, width); });
      if (step_ % config_.eval_every == 0 || step_ == config_.steps) {
        double validation = report(progress.tokens_per_second());
        progress.pause(clock());
        terminal.line("step " + std::to_string(step_) + "  training loss " + as_fixed(training_loss_, 4) + "  validation loss " + as_fixed(validation, 4) + "  " +
                      as_quantity(progress.tokens_per_second()) + " tokens/s  " + as_clock(seconds_before_ + clock()));
      }
    }
    terminal.clear();
    save();
    return step_ >= last;
  }

  double validation_loss() {
    NoGrad guard;
    model_.eval();
    double sum = 0;
    for (Index i = 0; i < validation_.n_windows();) {
      auto [inputs, targets] = validation_.windows(i, 32);
      sum += static_cast<double>(model_.loss(inputs, targets).item()) * static_cast<double>(inputs.shape()[0]);
      i += inputs.shape()[0];
    }
    model_.train();
    return sum / static_cast<double>(validation_.n_windows());
  }

  std::string sample(const CharacterTokeniser& tokeniser) {
    model_.eval();
    return tokeniser.decode(generate(model_, {0}, {.tokens = 500}));
  }

  Index step() const { return step_; }

 private:
  /// One update of the weights. Throws, before anything is changed, when a loss or gradient is not finite.
  double take_step() {
    double loss = 0;
    for (Index i = 0; i < config_.accumulate; ++i) {
      auto [inputs, targets] = training_.next();
      auto part = model_.loss(inputs, targets);
      part.backward(full<compute<T>>(Shape{}, 1 / static_cast<double>(config_.accumulate)).detach());
      loss += static_cast<double>(part.item()) / static_cast<double>(config_.accumulate);
    }
    double norm = clip_gradients(model_, config_.clip);
    check(std::isfinite(loss) && std::isfinite(norm), "step ", step_ + 1, ": the ", std::isfinite(loss) ? "gradient" : "loss", " is not finite; the last checkpoint, in ",
          run_.file("last"), ", is from before");
    optimiser_.learning_rate = CosineSchedule{{config_.learning_rate, config_.least_learning_rate, config_.warm_up, config_.steps}}(step_);
    model_.update(optimiser_);
    ++step_;
    losses_ += loss;
    ++n_losses_;
    return loss;
  }

  /// Evaluate, write a line of metrics, and keep the model if it is the best so far.
  double report(double tokens_per_s) {
    double validation = validation_loss();
    check(std::isfinite(validation), "step ", step_, ": the validation loss is not finite; the last checkpoint, in ", run_.file("last"), ", is from before");
    training_loss_ = losses_ / static_cast<double>(n_losses_);
    losses_ = 0, n_losses_ = 0;
    append_line(run_.file("metrics.jsonl"), Json::object({{"step", step_}, {"train_loss", training_loss_}, {"val_loss", validation}, {"tokens_per_s", tokens_per_s},
                                                          {"seconds", seconds_before_ + clock()}, {"learning_rate", optimiser_.learning_rate}}).dump());
    if (validation < best_) {
      best_ = validation;
      save_model(model_, run_.file("model.safetensors"));
    }
    save();
    return validation;
  }

  // All that resuming needs is one file, so that it is always of one step.
  static constexpr const char* last_file = "last/checkpoint.safetensors";

  void save() const {
    make_folders(run_.file("last"));
    auto entries = model_entries(model_, "model.");
    for (SafeTensor& entry : memory_entries(optimiser_.memory, "optimiser.")) entries.push_back(std::move(entry));
    Json state = Json::object({{"step", step_}, {"position", training_.position()}, {"losses", losses_}, {"n_losses", n_losses_}, {"best", std::isfinite(best_) ? Json(best_) : Json()},
                               {"seconds", seconds_before_ + clock()}, {"generator", generator().state()}});
    save_safetensors(run_.file(last_file), entries, {{"state", state.dump()}});
  }

  void load() {
    SafeTensorsFile file(run_.file(last_file));
    load_model(model_, file, "model.");
    optimiser_.memory = load_memory(file, "optimiser.");
    const Json* text = nullptr;
    for (const auto& [key, value] : file.metadata())
      if (key == "state") text = &value;
    check(text != nullptr, run_.file(last_file), ": no \"state\" in its metadata");
    Json state = Json::parse(text->as<std::string>());
    step_ = state.get<Index>("step");
    losses_ = state.get<double>("losses");
    n_losses_ = state.get<Index>("n_losses");
    if (!state["best"].is_null()) best_ = state.get<double>("best");
    seconds_before_ = state.get<double>("seconds");
    training_.seek(state.get<Index>("position"));
    generator().restore(state.get<std::string>("generator"));
    check(step_ <= config_.steps, "the run in ", run_.out, " is at step ", step_, " already, past --steps ", config_.steps);
    keep_lines(run_.file("metrics.jsonl"), [&](std::string_view line) { return Json::parse(line).get<Index>("step") <= step_; });
  }

  double clock() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

  Run run_;
  TrainingConfig config_;
  GPT<T> model_;
  AdamW optimiser_;
  CausalLMDataset training_, validation_;
  Index step_ = 0, n_losses_ = 0;
  double losses_ = 0, training_loss_ = 0;                // since the last evaluation: their sum; at it: their mean
  double best_ = std::numeric_limits<double>::infinity(), seconds_before_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

template <class T>
int train(const Run& run, const CharacterTokeniser& tokeniser, const SplitTokens& text) {
  const TrainingConfig& c = run.config;
  Trainer<T> trainer(run, CausalLMDataset(text.train, c.model.context_window), CausalLMDataset(text.validation, c.model.context_window));
  if (!trainer.train()) {
    std::printf("stopped after step %lld: go on with --resume %s\n", static_cast<long long>(trainer.step()), run.out.c_str());
    return 130;
  }
  std::printf("saved in %s\nvalidation loss %s\n", run.out.c_str(), as_fixed(trainer.validation_loss(), 4).c_str());
  if (!run.quiet) std::printf("%s\n", trainer.sample(tokeniser).c_str());
  return 0;
}

int program(examples::CommandLine& line) {
  Run run = read_command_line(line);
  set_threads(run.n_threads);
  examples::catch_interrupts();
  std::string text = examples::read_corpus(run.data);
  auto tokeniser = run.resume ? CharacterTokeniser::load(run.file("tokeniser.json")) : CharacterTokeniser::train(text);
  run.config.model.vocab_size = tokeniser.vocab_size();
  auto parts = split(tokeniser.encode(text), 0.9);
  CausalLMDataset(parts.validation, run.config.model.context_window);       // too short a text is refused before anything is written

  make_folders(run.out);
  tokeniser.save(run.file("tokeniser.json"));
  write_file(run.file("config.json"), Json::object({{"tokeniser", run.tokeniser}, {"data", run.data}, {"training", to_json(run.config)}}).dump(2) + "\n");
  if (!run.quiet)
    std::printf("%s tokens of %s, %d different; %lld layers, width %lld, context %lld\n", as_quantity(static_cast<double>(parts.train.size() + parts.validation.size())).c_str(), run.data.c_str(),
                tokeniser.vocab_size(), static_cast<long long>(run.config.model.n_layers), static_cast<long long>(run.config.model.embedding_dim), static_cast<long long>(run.config.model.context_window));
  return run.config.precision == "bf16" ? train<bf16>(run, tokeniser, parts) : train<float>(run, tokeniser, parts);
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
