// A model that is there already, to go on with: one of train_gpt's, or a GPT-2 that Hugging Face's transformers saved.
#pragma once
#include <optional>
#include <string>
#include "run_folder.hpp"
#include "tricycle/train/gpt2_checkpoint.hpp"

namespace examples {

class ModelFolder {
 public:
  /// Reads all but the weights of a run; of a GPT-2 the weights too, since its config.json may promise anything. Throws for what
  /// is missing, malformed, or does not fit together.
  explicit ModelFolder(const std::string& path) : run_{path} {
    if (tricycle::holds_gpt2(path)) checkpoint_.emplace(path);
    config_ = checkpoint_ ? checkpoint_->config() : run_.read_config().training.model;
    tokeniser_ = run_.fitting(config_, checkpoint_ ? load_gpt2(path) : tricycle::Tokeniser::load(run_.tokeniser()), checkpoint_ ? path : run_.tokeniser());
  }

  const std::string& path() const { return run_.path; }
  const tricycle::GPTConfig& config() const { return config_; }
  const tricycle::Tokeniser& tokeniser() const { return *tokeniser_; }

  /// Gives a model of that configuration these weights. Throws when they do not fit.
  template <class T>
  void load(tricycle::GPT<T>& model) const {
    if (checkpoint_) checkpoint_->load(model);
    else tricycle::load_model(model, run_.model());
  }

 private:
  RunFolder run_;
  std::optional<tricycle::GPT2Checkpoint> checkpoint_;
  tricycle::GPTConfig config_;
  std::optional<tricycle::Tokeniser> tokeniser_;         // always there
};

}  // namespace examples
