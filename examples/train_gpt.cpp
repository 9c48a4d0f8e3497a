// train_gpt: a GPT learns to write as its text does. Trains, measures, saves as it goes, resumes, and prints a sample.
#include <chrono>
#include "command_line.hpp"
#include "corpus.hpp"
#include "run_folder.hpp"
#include "terminal.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// What one run is told.
struct Run {
  examples::RunFolder folder;
  examples::RunConfig config;
  std::optional<Index> stop_at;
  int n_threads = threads();
  Device device = Device::cpu;
  std::string capture = "on";
  bool tune = false;
  bool resume = false, quiet = false;
};

/// A folder that no run is in yet: out, or out-2, out-3, …
std::string free_folder() {
  std::string folder = "out";
  for (int i = 2; file_exists(folder); ++i) folder = "out-" + std::to_string(i);
  return folder;
}

/// Throws unless the options ask for what the saved run is: another model or configuration is another run.
void check_same(const examples::RunConfig& saved, const examples::RunConfig& asked, const std::string& folder) {
  const GPTConfig &before = saved.training.model, &now = asked.training.model;
  if (asked.name != saved.name) throw examples::UsageError("the run in " + folder + " began with --config " + saved.name + ", not " + asked.name);
  for (auto [option, had, wanted] : {std::tuple("--context", before.context_window, now.context_window), {"--layers", before.n_layers, now.n_layers},
                                     {"--heads", before.n_heads, now.n_heads}, {"--width", before.embedding_dim, now.embedding_dim}})
    check(had == wanted, "the model in ", folder, " has ", option, ' ', had, ", not ", wanted);
}

Run read_command_line(examples::CommandLine& line) {
  Run run;
  std::string out, resumed;
  examples::RunConfig& config = run.config;
  TrainingConfig& c = config.training;
  GPTConfig& model = c.model;
  constexpr double most = 1e9;
  line.about("Trains a GPT on text, from the first step or from where an earlier run stopped, and prints a sample of what it writes.");
  line.choice("--config nanogpt_cpu|debug", config.name, "where the values of all options below come from that are not given");
  line.option("--data FILE|FOLDER", config.data, "the text, or a folder whose text files are read one after the other");
  line.choice("--tokeniser char", config.tokeniser, "what a token is: a character");
  line.option("--steps N", c.steps, "updates of the weights", {.least = 1, .most = most});
  line.option("--batch N", c.batch, "windows of text in a pass", {.least = 1, .most = most});
  line.option("--context N", model.context_window, "tokens in a window", {.least = 1, .most = most});
  line.option("--layers N", model.n_layers, "transformer blocks", {.least = 1, .most = most});
  line.option("--heads N", model.n_heads, "heads of attention, a divisor of the width", {.least = 1, .most = most});
  line.option("--width N", model.embedding_dim, "numbers that stand for a token", {.least = 1, .most = most});
  line.option("--lr F", c.learning_rate, "learning rate at its highest; it ends at a tenth of it", {.above = 0});
  line.option("--accumulate N", c.accumulate, "passes whose gradients make one step", {.least = 1, .most = most});
  line.option("--dropout F", model.dropout, "probability that an activation is dropped", {.least = 0, .below = 1});
  line.option("--eval-every N", c.eval_every, "steps between evaluations", {.least = 1, .most = most});
  line.option("--out FOLDER", out, "where the model goes (without it: out, or the first free of out-2, out-3, ...)");
  line.option("--resume FOLDER", resumed, "go on with the run that is saved there, as it would have gone on");
  line.option("--stop-at N", run.stop_at, "save and stop after this step, for a later --resume", {.least = 1, .most = most});
  line.option("--seed N", c.seed, "of the weights, the order of the text, dropout and the sample", {.least = 0, .most = 4294967295.0});
  line.option("--threads N", run.n_threads, "threads; results do not depend on it", {.least = 1, .most = 1024});
  line.option("--device cpu|cuda[:N]", run.device, "where to compute");
  line.choice("--capture on|off", run.capture, "on a GPU, record a step once and then run it as a whole");
  line.flag("--tune", run.tune, "on a GPU, time several algorithms for each product, and keep the fastest");
  line.choice("--precision float|bf16", c.precision, "what activations are held in");
  line.flag("--quiet", run.quiet, "print results alone");
  line.parse();                                          // once to learn --config and --resume, and once over the values that these bring

  run.resume = !resumed.empty();
  if (run.resume && !out.empty() && out != resumed) throw examples::UsageError("--resume goes on in its own folder: leave --out away");
  run.folder.path = run.resume ? resumed : out.empty() ? free_folder() : out;
  auto before = run.resume ? run.folder.read_config() : examples::RunConfig{.name = config.name, .training = named_config(config.name)};
  config = before;
  line.parse();
  if (run.resume) check_same(before, config, run.folder.path);
  c.warm_up = (std::min)(c.warm_up, c.steps / 10);       // a short run has a short one
  if (line.peek("--lr")) c.least_learning_rate = c.learning_rate / 10;
  if (config.data.empty()) throw examples::UsageError("--data FILE|FOLDER is needed: what to learn from");
  config.data = std::filesystem::absolute(config.data).string();          // so that resuming finds it from anywhere
  const std::string& path = run.folder.path;
  check(run.resume || !run.folder.holds_run(), path, " already holds a run: go on with --resume ", path, ", or name another folder with --out");
  return run;
}

/// One training run: everything that a step changes, and how it gets to disk and back.
template <class T>
class Trainer {
 public:
  Trainer(const Run& run, const SplitTokens& text)
      : run_(run), config_(run.config.training), model_((tricycle::seed(static_cast<std::uint64_t>(config_.seed)), config_.model)),
        optimiser_{.learning_rate = config_.learning_rate, .beta_1 = config_.beta_1, .beta_2 = config_.beta_2, .weight_decay = config_.weight_decay,
                   .decays = matrices_only},
        training_(text.train, config_.model.context_window), validation_(text.validation, config_.model.context_window),
        losses_(full<double>({}, 0, {.requires_grad = false, .device = run.device})) {
    model_.to(run.device);
    training_.batch(config_.batch).shuffle(static_cast<std::uint64_t>(config_.seed));
    for (Index i = 0; i < config_.accumulate; ++i) {
      Tensor<int> ids(Shape{config_.batch, config_.model.context_window}, run.device);
      passes_.push_back({ids, ids.clone()});
    }
  }

  /// Train to the last step, until told to stop, or until Ctrl-C, and save.
  void train() {
    examples::Terminal terminal;
    Progress progress(config_.steps, config_.accumulate * config_.batch * config_.model.context_window, step_);
    began_ = std::chrono::steady_clock::now();
    while (!is_done() && !examples::interrupted()) {
      if (evaluation_is_due()) {
        synchronise(run_.device);                        // else it is the speed of asking
        progress.step(step_, clock());
        std::string line = evaluate(progress.tokens_per_second());
        progress.pause(clock());
        if (!run_.quiet && !line.empty()) terminal.line(line);
      } else {
        take_step();
        progress.step(step_, clock());
        if (!run_.quiet) terminal.redraw([&](int width) { return progress.bar(training_loss(), width); });
      }
    }
    if (is_done()) validation_loss();                    // not finite: then nothing is saved
    if (!std::isfinite(best_)) save_model(model_, run_.folder.model());   // one to try, until an evaluation finds the best
    save();
  }

  /// Has it come as far as it was told to?
  bool is_done() const { return step_ >= (std::min)(config_.steps, run_.stop_at.value_or(config_.steps)) && !evaluation_is_due(); }
  Index step() const { return step_; }

  /// The mean over the windows of the validation text; nothing when Ctrl-C cut it short. Throws when it is not finite.
  std::optional<double> validation_loss() {
    if (validated_at_ == step_) return validation_loss_;
    NoGrad guard;
    model_.eval();
    double sum = 0;
    for (Index i = 0; i < validation_.n_windows() && !examples::interrupted();) {
      auto [inputs, targets] = validation_.windows(i, 32);       // few enough that their activations stay in the cache
      sum += static_cast<double>(model_.loss(inputs.to(run_.device), targets.to(run_.device)).item()) * static_cast<double>(inputs.shape()[0]);
      i += inputs.shape()[0];
    }
    model_.train();
    if (examples::interrupted()) return std::nullopt;
    check_finite(sum, "validation loss", step_);
    validated_at_ = step_;
    return validation_loss_ = sum / static_cast<double>(validation_.n_windows());
  }

  /// What the model writes now; Ctrl-C cuts it short.
  std::string sample(const CharacterTokeniser& tokeniser) {
    model_.eval();
    return tokeniser.decode(generate(model_, {0}, {.tokens = 500}, [](int) { return !examples::interrupted(); }));
  }

  void save() const {
    make_folders(run_.folder.path + "/last");
    auto entries = model_entries(model_, "model.");
    for (SafeTensor& entry : memory_entries(optimiser_.memory, "optimiser.")) entries.push_back(std::move(entry));
    Json state = Json::object({{"step", step_}, {"position", training_.position()}, {"losses", losses_.item()}, {"n_losses", n_losses_},
                               {"best", std::isfinite(best_) ? Json(best_) : Json()}, {"seconds", seconds_before_ + clock()},
                               {"generator", generator().state()}, {"products", products()}});
    save_safetensors(run_.folder.last(), entries, {{"state", state.dump()}});
  }

  /// Go on from what save() wrote.
  void load() {
    SafeTensorsFile file(run_.folder.last());
    load_model(model_, file, "model.");
    optimiser_.memory = load_memory(file, "optimiser.");
    examples::about(file.name(), [&] {
      Json state = Json::parse(Json::object(file.metadata()).get<std::string>("state"));
      step_ = state.get<Index>("step");
      losses_.assign(full<double>({}, state.get<double>("losses")));
      n_losses_ = state.get<Index>("n_losses");
      if (!state["best"].is_null()) best_ = state.get<double>("best");
      seconds_before_ = state.get<double>("seconds");
      training_.seek(state.get<Index>("position"));
      generator().restore(state.get<std::string>("generator"));
      if (auto* products = state.find("products")) restore_products(*products);
    });
    check(step_ <= config_.steps, "the run in ", run_.folder.path, " is at step ", step_, " already, past --steps ", config_.steps);
    examples::about(run_.folder.metrics(), [&] {
      keep_lines(run_.folder.metrics(), [&](std::string_view line) {
        Index of = Json::parse(line).get<Index>("step");
        return of < step_ || (of == step_ && n_losses_ == 0);      // else the evaluation of this step is still to come
      });
    });
  }

 private:
  /// One update of the weights. On a GPU it is asked for, not waited for; after two of them a step is captured.
  void take_step() {
    for (auto& [inputs, targets] : passes_) {
      auto next = training_.next();
      inputs.assign(next.inputs), targets.assign(next.targets);
    }
    optimiser_.learning_rate = learning_rate(step_);
#ifdef TRICYCLE_CUDA
    if (!captured_ && warm_steps_ == 2 && !run_.device.is_cpu() && run_.capture == "on") captured_.emplace(run_.device, [this] { update(); });
    if (captured_) captured_->run();
    else
#endif
      update();
    ++step_, ++n_losses_, ++warm_steps_;
  }

  /// What a step does between reading the text and counting itself. Throws, with the weights as they were, when the loss or a
  /// gradient is not finite; on a GPU the weights stay as they were, and whoever reads a number back next throws.
  void update() {
    const double share = 1 / static_cast<double>(config_.accumulate);
    for (auto& [inputs, targets] : passes_) {
      auto loss = model_.loss(inputs, targets);
      loss.backward(full<compute<T>>(Shape{}, share, {.requires_grad = false, .device = run_.device}));
      if (run_.device.is_cpu()) check_finite(static_cast<double>(loss.item()), "loss", step_ + 1);
      losses_.assign(losses_ + cast<double>(loss.detach()) * share);
    }
    auto norm = clip_gradients(model_, config_.clip);
    if (run_.device.is_cpu()) check_finite(norm.item(), "gradient", step_ + 1);
    model_.update(optimiser_);
  }

  /// The mean since the last evaluation.
  double training_loss() const { return losses_.item() / static_cast<double>(n_losses_); }

  /// Which algorithms a GPU's products use, where they were chosen by time.
  Json products() const {
    Json::Object choices;
#ifdef TRICYCLE_CUDA
    for (auto& [product, choice] : gpu::product_choices()) choices.emplace_back(product, Json(Index{choice}));
#endif
    return Json::object(choices);
  }
  void restore_products(const Json& choices) {
#ifdef TRICYCLE_CUDA
    for (auto& [product, choice] : choices.template as<Json::Object>()) gpu::product_choices()[product] = static_cast<int>(choice.template as<Index>());
#endif
    (void)choices;
  }

  /// After Ctrl-C an evaluation may still be missing: then there are losses, and it is the first thing on resuming.
  bool evaluation_is_due() const { return n_losses_ > 0 && (step_ % config_.eval_every == 0 || step_ == config_.steps); }

  /// Measure, write a line of metrics, keep the model if it is the best so far, and save. Returns a line for people, or
  /// nothing when Ctrl-C cut it short.
  std::string evaluate(double tokens_per_s) {
    auto measured = validation_loss();
    if (!measured) return "";
    double validation = *measured, training = training_loss();
    losses_.assign(full<double>({}, 0)), n_losses_ = 0;
    Json record = Json::object({{"step", step_}, {"train_loss", training}, {"val_loss", validation}, {"tokens_per_s", tokens_per_s},
                                {"seconds", seconds_before_ + clock()}, {"learning_rate", learning_rate(step_ - 1)}});
    append_line(run_.folder.metrics(), record.dump());
    if (validation < best_) {
      best_ = validation;
      save_model(model_, run_.folder.model());
    }
    save();
    return "step " + std::to_string(step_) + "  training loss " + as_fixed(training, 4) + "  validation loss " + as_fixed(validation, 4) + "  " +
           as_quantity(tokens_per_s) + " tokens/s  " + as_clock(seconds_before_ + clock());
  }

  /// Of the update that is made after so many steps.
  double learning_rate(Index step) const {
    return CosineSchedule{{config_.learning_rate, config_.least_learning_rate, config_.warm_up, config_.steps}}(step);
  }

  void check_finite(double x, const char* what, Index step) const {
    check(std::isfinite(x), "step ", step, ": the ", what, " is not finite; ", run_.folder.last(), " is from before");
  }

  double clock() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

  Run run_;
  TrainingConfig config_;
  GPT<T> model_;
  AdamW optimiser_;
  CausalLMDataset training_, validation_;
  std::vector<CausalLMDataset::Batch> passes_;           // what a step reads, where it is computed
  Tensor<double> losses_;                                // the sum of n_losses_ since the last evaluation
  Index step_ = 0, n_losses_ = 0, validated_at_ = -1, warm_steps_ = 0;
  double validation_loss_ = 0;                           // of step validated_at_
  double best_ = std::numeric_limits<double>::infinity(), seconds_before_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
#ifdef TRICYCLE_CUDA
  std::optional<CapturedStep> captured_;
#endif
};

template <class T>
int train(const Run& run, const CharacterTokeniser& tokeniser, const SplitTokens& text) {
  Trainer<T> trainer(run, text);
  if (run.resume) {
    trainer.load();
  } else {                                               // from its first moment on there is something to resume
    trainer.save();
    tokeniser.save(run.folder.tokeniser());
  }
  run.folder.write(run.config);
  run.folder.remove_temporaries();

  trainer.train();
  auto loss = trainer.is_done() ? trainer.validation_loss() : std::nullopt;
  if (!loss) {
    std::printf("stopped after step %s: go on with --resume %s\n", std::to_string(trainer.step()).c_str(), run.folder.path.c_str());
    return 130;
  }
  std::printf("saved in %s\nvalidation loss %s\n", run.folder.path.c_str(), as_fixed(*loss, 4).c_str());
  if (!run.quiet) std::printf("%s\n", trainer.sample(tokeniser).c_str());
  return examples::interrupted() ? 130 : 0;
}

int program(examples::CommandLine& line) {
  Run run = read_command_line(line);
  GPTConfig& model = run.config.training.model;
  set_threads(run.n_threads);
  Tensor<float>(Shape{1}, run.device);                   // throws at once if there is no such GPU
#ifdef TRICYCLE_CUDA
  gpu::product_options().tuned = run.tune;
#endif
  examples::catch_interrupts();
  std::string text = examples::read_corpus(run.config.data);
  auto tokeniser = run.resume ? run.folder.read_tokeniser(model) : CharacterTokeniser::train(text);
  model.vocab_size = tokeniser.vocab_size();
  auto parts = split(tokeniser.encode(text), 0.9);
  check(std::cmp_greater(parts.validation.size(), model.context_window), run.config.data, " is too short: its last tenth, ", parts.validation.size(),
        " tokens to validate with, must be longer than the context of ", model.context_window);
  if (!run.quiet) {
    std::string n_tokens = as_quantity(static_cast<double>(parts.train.size() + parts.validation.size()));
    std::puts((n_tokens + " tokens of " + run.config.data + ", " + std::to_string(model.vocab_size) + " different; " +
               std::to_string(model.n_layers) + " layers, width " + std::to_string(model.embedding_dim) + ", context " +
               std::to_string(model.context_window)).c_str());
  }
  return run.config.training.precision == "bf16" ? train<bf16>(run, tokeniser, parts) : train<float>(run, tokeniser, parts);
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
