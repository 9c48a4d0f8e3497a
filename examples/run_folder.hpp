// The folder of a training run: train_gpt writes it, generate reads it.
#pragma once
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include "tricycle/train/checkpoint.hpp"
#include "tricycle/train/tokeniser.hpp"

namespace examples {

/// work(), whose errors are told to be about this file.
template <class Work>
auto about(const std::string& file, Work work) {
  try {
    return work();
  } catch (const tricycle::Error& error) {
    tricycle::fail(file, ": ", error.what());
  }
}

/// What config.json holds: what the run learns from, and how.
struct RunConfig {
  std::string name = "nanogpt_cpu", data{}, tokeniser = "char";
  tricycle::TrainingConfig training{};
};

/// Where each thing lies in the folder, and the small ones read and written.
struct RunFolder {
  std::string path;

  std::string model() const { return path + "/model.safetensors"; }               // the best so far by validation
  std::string last() const { return path + "/last/checkpoint.safetensors"; }      // all that resuming needs, so always of one step
  std::string metrics() const { return path + "/metrics.jsonl"; }
  std::string config() const { return path + "/config.json"; }
  std::string tokeniser() const { return path + "/tokeniser.json"; }

  /// config.json is written last, so without it there is no run.
  bool holds_run() const { return tricycle::file_exists(config()); }

  void write(const RunConfig& run) const {
    auto training = tricycle::to_json(run.training);
    auto json = tricycle::Json::object({{"config", run.name}, {"data", run.data}, {"tokeniser", run.tokeniser}, {"training", training}});
    tricycle::write_file(config(), json.dump(2) + "\n");
  }

  /// Throws for a folder without a run, and for a key that is missing, unknown, of another type or out of range.
  RunConfig read_config() const {
    using tricycle::check;
    check(holds_run(), path, " holds no run: there is no ", config());
    return about(config(), [&] {
      auto json = tricycle::Json::parse(tricycle::read_file(config()));
      json.allow_only({"config", "data", "tokeniser", "training"});
      RunConfig run{json.get<std::string>("config"), json.get<std::string>("data"), json.get<std::string>("tokeniser"),
                    tricycle::training_config(json["training"])};
      const tricycle::TrainingConfig& c = run.training;
      for (auto [key, n] : {std::pair("steps", c.steps), {"batch", c.batch}, {"accumulate", c.accumulate}, {"eval_every", c.eval_every}})
        check(n > 0, "key \"", key, "\": ", n, " is not above 0");
      check(c.precision == "float" || c.precision == "bf16", "key \"precision\": it is float or bf16, not \"", c.precision, '"');
      check(run.tokeniser == "char", "key \"tokeniser\": it is char, not \"", run.tokeniser, '"');
      return run;
    });
  }

  /// Throws when the tokens are not those of the model.
  tricycle::CharacterTokeniser read_tokeniser(const tricycle::GPTConfig& model) const {
    auto tokens = tricycle::CharacterTokeniser::load(tokeniser());
    int n = tokens.vocab_size();
    tricycle::check(n == model.vocab_size, tokeniser(), " has ", n, " characters, but the model in ", config(), " has ", model.vocab_size);
    return tokens;
  }

  /// What a run that was killed while it wrote a file has left beside that file.
  void remove_temporaries() const {
    std::error_code problem;
    for (const std::string& file : {model(), last(), metrics(), config(), tokeniser()})
      for (int n = 0; std::filesystem::remove(file + ".tmp" + std::to_string(n), problem);) ++n;
  }
};

}  // namespace examples
