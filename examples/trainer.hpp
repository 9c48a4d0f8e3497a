// One training run: everything that a step changes, and how it gets to disk and back.
#pragma once
#include <chrono>
#include "command_line.hpp"
#include "flops.hpp"
#include "model_folder.hpp"
#include "report.hpp"
#include "run_folder.hpp"
#include "terminal.hpp"
#include "tricycle/tricycle.hpp"

namespace examples {
using namespace tricycle;

/// What one run is told.
struct Run {
  RunFolder folder;
  RunConfig config;
  std::optional<Index> stop_at;
  std::optional<int> vocab;
  std::string tokeniser_files;
  std::shared_ptr<const ModelFolder> from;               // what a new run begins with, if not with random weights
  int n_threads = threads();
  Device device = Device::cpu;
  std::string budget = "steps", capture = "on";
  bool tune = false;
  bool resume = false, quiet = false;
};

/// Trains a GPT<T> on a text. What is lost when it stops at any moment is what came after its last checkpoint.
template <class T>
class Trainer {
 public:
  Trainer(const Run& run, const Text& text)
      : run_(run), config_(run.config.training), tokeniser_(text.tokeniser),
        model_((tricycle::seed(static_cast<std::uint64_t>(config_.seed)), config_.model)),
        optimiser_{.learning_rate = config_.learning_rate, .beta_1 = config_.beta_1, .beta_2 = config_.beta_2, .weight_decay = config_.weight_decay,
                   .decays = matrices_only},
        training_(CausalLMDataset(text.training, config_.model.context_window).batch(config_.batch).shuffle(static_cast<std::uint64_t>(config_.seed))),
        validation_(text.validation, config_.model.context_window),
        losses_(full<double>({}, 0, {.requires_grad = false, .device = run.device})) {
    model_.to(run.device);
    if (std::same_as<T, tricycle::half>) scale_.emplace(run.device);
    for (Index i = 0; i < config_.accumulate; ++i) {
      Tensor<int> ids(Shape{config_.batch, config_.model.context_window}, run.device);
      passes_.push_back({ids, ids.clone()});
    }
  }

  /// Train to the last step, until told to stop, or until Ctrl-C, and save.
  void train() {
    Terminal terminal;
    Progress progress(config_.steps, tokens_per_step(config_), step_);
    Report report(run_.folder, run_.config.name + ": loss by step", step_, evaluation_is_due());
    if (!run_.quiet && terminal.interactive()) progress.measure_use(flops_per_token(config_.model, model_.parameter_count()), product_flops<T>(run_.device));
    began_ = std::chrono::steady_clock::now();
    while (!is_done() && !interrupted()) {
      if (sample_is_due()) {
        std::string written = sample({.tokens = 200, .seed = static_cast<std::uint64_t>(config_.seed)});
        if (interrupted()) break;
        sampled_at_ = step_;
        report.add_sample(written, step_);
        progress.pause(clock());
        if (!run_.quiet) terminal.line("step " + std::to_string(step_) + "  writes:\n" + written + '\n');
      } else if (evaluation_is_due()) {
        synchronise(run_.device);                        // else it is the speed of asking
        progress.step(step_, clock());
        std::string line = evaluate(report, progress.tokens_per_second());
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
  bool is_done() const { return step_ >= (std::min)(config_.steps, run_.stop_at.value_or(config_.steps)) && !evaluation_is_due() && !sample_is_due(); }
  Index step() const { return step_; }

  /// The mean over windows of the validation text, all of them unless told otherwise; nothing when Ctrl-C cut it short. Throws when it is not finite.
  std::optional<double> validation_loss() {
    if (validated_at_ == step_) return validation_loss_;
    NoGrad guard;
    model_.eval();
    double sum = 0;
    const Index n = run_.config.eval_windows > 0 ? (std::min)(validation_.n_windows(), run_.config.eval_windows) : validation_.n_windows();
    for (Index i = 0; i < n && !interrupted();) {
      auto [inputs, targets] = validation_.windows(i, (std::min)(Index{32}, n - i));       // few enough that their activations stay in the cache
      sum += static_cast<double>(model_.loss(inputs.to(run_.device), targets.to(run_.device)).item()) * static_cast<double>(inputs.shape()[0]);
      i += inputs.shape()[0];
    }
    model_.train();
    if (interrupted()) return std::nullopt;
    check_finite(sum, "validation loss", step_);
    validated_at_ = step_;
    return validation_loss_ = sum / static_cast<double>(n);
  }

  /// What the model writes now; Ctrl-C cuts it short.
  std::string sample(const GenerateOptions& options) {
    model_.eval();
    auto ids = generate(model_, beginning(tokeniser_), options, [](int) { return !interrupted(); });
    model_.train();
    return tokeniser_.decode(ids);
  }

  void save() const {
    make_folders(run_.folder.path + "/last");
    auto entries = model_entries(model_, "model.");
    for (SafeTensor& entry : memory_entries(optimiser_.memory, "optimiser.")) entries.push_back(std::move(entry));
    if (scale_) entries.push_back(loss_scale_entry(*scale_));
    const double losses = losses_.item();
    check_finite(losses, "training loss", step_);
    Json state = Json::object({{"step", step_}, {"sample_is_due", sample_is_due()}, {"position", training_.position()}, {"losses", losses}, {"n_losses", n_losses_},
                               {"best", std::isfinite(best_) ? Json(best_) : Json()}, {"seconds", seconds_before_ + clock()},
                               {"generator", generator().state()}, {"products", products()}});
    save_safetensors(run_.folder.last(), entries, {{"state", state.dump()}});
  }

  /// Begin with these weights.
  void load(const ModelFolder& from) { from.load(model_); }

  /// Go on from what save() wrote.
  void load() {
    SafeTensorsFile file(run_.folder.last());
    load_model(model_, file, "model.");
    optimiser_.memory = load_memory(file, "optimiser.");
    if (scale_ && file.find("loss_scale")) load_loss_scale(*scale_, file);         // a run may go on in another precision
    about(file.name(), [&] {
      Json state = Json::parse(Json::object(file.metadata()).get<std::string>("state"));
      step_ = state.get<Index>("step");
      losses_.assign(full<double>({}, state.get<double>("losses")));
      n_losses_ = state.get<Index>("n_losses");
      sampled_at_ = evaluation_is_due() || state.get<bool>("sample_is_due", false) ? -1 : step_;      // with an evaluation all of its step is told anew
      if (!state["best"].is_null()) best_ = state.get<double>("best");
      seconds_before_ = state.get<double>("seconds");
      training_.seek(state.get<Index>("position"));
      generator().restore(state.get<std::string>("generator"));
      if (auto* products = state.find("products")) restore_products(*products);
    });
    check(step_ <= config_.steps, "the run in ", run_.folder.path, " is at step ", step_, " already, past --steps ", config_.steps);
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
      loss.backward(scale_ ? scale_->template seed<compute<T>>(share) : full<compute<T>>(Shape{}, share, {.requires_grad = false, .device = run_.device}));
      if (run_.device.is_cpu()) check_finite(static_cast<double>(loss.item()), "loss", step_ + 1);
      losses_.assign(losses_ + cast<double>(loss.detach()) * share);
    }
    if (scale_) {                                        // which takes gradients that are not finite for a scale too large
      scale_->clip_gradients(model_, config_.clip);
      model_.update(scale_->guard(optimiser_));
    } else {
      clip_gradients(model_, config_.clip);
      model_.update(optimiser_);
    }
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
  bool sample_is_due() const { return run_.config.sample_every > 0 && step_ > 0 && step_ % run_.config.sample_every == 0 && sampled_at_ != step_; }

  /// Measure, tell, keep the model if it is the best so far, and save. Returns a line for people, or nothing when Ctrl-C cut
  /// it short.
  std::string evaluate(Report& report, double tokens_per_s) {
    auto measured = validation_loss();
    if (!measured) return "";
    double validation = *measured, training = training_loss();
    check_finite(training, "training loss", step_);
    losses_.assign(full<double>({}, 0)), n_losses_ = 0;
    report.add({step_, training, validation, tokens_per_s, seconds_before_ + clock(), learning_rate(step_ - 1)});
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
  Tokeniser tokeniser_;
  GPT<T> model_;
  AdamW optimiser_;
  std::optional<LossScale> scale_;                       // for half alone
  Prefetch<CausalLMDataset> training_;
  CausalLMDataset validation_;
  std::vector<CausalLMDataset::Batch> passes_;           // what a step reads, where it is computed
  Tensor<double> losses_;                                // the sum of n_losses_ since the last evaluation
  Index step_ = 0, n_losses_ = 0, validated_at_ = -1, sampled_at_ = -1, warm_steps_ = 0;
  double validation_loss_ = 0;                           // of step validated_at_
  double best_ = std::numeric_limits<double>::infinity(), seconds_before_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
#ifdef TRICYCLE_CUDA
  std::optional<CapturedStep> captured_;
#endif
};

}  // namespace examples
