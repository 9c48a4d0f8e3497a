// The folder of a training run: train_gpt writes it, generate reads it.
#pragma once
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include "command_line.hpp"
#include "text.hpp"
#include "tricycle/train/checkpoint.hpp"

namespace examples {

inline constexpr const char* precisions = "float|bf16|half";

/// What config.json holds: what the run learns from, and how.
struct RunConfig {
  std::string name = "nanogpt_cpu", data{}, tokeniser = "character";
  tricycle::Index sample_every = 0, eval_windows = 0;    // steps; 0: no samples as it trains. 0: the whole validation text
  tricycle::TrainingConfig training{};
};

/// Where each thing lies in the folder, and the small ones read and written.
struct RunFolder {
  std::string path;

  std::string model() const { return path + "/model.safetensors"; }               // the best so far by validation
  std::string last() const { return path + "/last/checkpoint.safetensors"; }      // all that resuming needs, so always of one step
  std::string metrics() const { return path + "/metrics.jsonl"; }
  std::string picture() const { return path + "/loss.svg"; }
  std::string events() const { return path + "/events"; }                         // a folder, for TensorBoard
  std::string config() const { return path + "/config.json"; }
  std::string tokeniser() const { return path + "/tokeniser.json"; }

  /// config.json is written last, so without it there is no run.
  bool holds_run() const { return tricycle::file_exists(config()); }

  void write(const RunConfig& run) const {
    auto training = tricycle::to_json(run.training);
    auto json = tricycle::Json::object({{"config", run.name}, {"data", run.data}, {"tokeniser", run.tokeniser}, {"sample_every", run.sample_every},
                                        {"eval_windows", run.eval_windows}, {"training", training}});
    tricycle::write_file(config(), json.dump(2) + "\n");
  }

  /// Throws for a folder without a run, and for a key that is missing, unknown, of another type or out of range.
  RunConfig read_config() const {
    using tricycle::about, tricycle::check, tricycle::Index;
    check(holds_run(), path, " holds no run: there is no ", config());
    return about(config(), [&] {
      auto json = tricycle::Json::parse(tricycle::read_file(config()));
      json.allow_only({"config", "data", "tokeniser", "sample_every", "eval_windows", "training"});
      RunConfig run{json.get<std::string>("config"), json.get<std::string>("data"), json.get<std::string>("tokeniser"),
                    json.get<Index>("sample_every", 0), json.get<Index>("eval_windows", 0), tricycle::training_config(json["training"])};    // older runs have neither
      run.tokeniser = tokeniser_kind(run.tokeniser);
      const tricycle::TrainingConfig& c = run.training;
      for (auto [key, n] : {std::pair("steps", c.steps), {"batch", c.batch}, {"accumulate", c.accumulate}, {"eval_every", c.eval_every}})
        check(n > 0, "key \"", key, "\": ", n, " is not above 0");
      for (auto [key, n] : {std::pair("sample_every", run.sample_every), {"eval_windows", run.eval_windows}}) check(n >= 0, "key \"", key, "\": ", n, " is below 0");
      check(is_one_of(c.precision, precisions), "key \"precision\": it is one of ", precisions, ", not \"", c.precision, '"');
      check(is_one_of(run.tokeniser, tokenisers), "key \"tokeniser\": it is one of ", tokenisers, ", not \"", run.tokeniser, '"');
      return run;
    });
  }

  tricycle::Tokeniser read_tokeniser(const RunConfig& run) const { return fitting(run.training.model, tricycle::Tokeniser::load(tokeniser()), tokeniser()); }

  /// The tokens that a file or folder holds. Throws when they are not those of the model.
  tricycle::Tokeniser fitting(const tricycle::GPTConfig& model, tricycle::Tokeniser tokens, const std::string& path_of_tokens) const {
    tricycle::check(tokens.vocab_size() == model.vocab_size, path_of_tokens, " has ", tokens.vocab_size(), " tokens, but the model in ", config(), " has ", model.vocab_size);
    return tokens;
  }

  /// What a run that was killed while it wrote a file has left beside that file.
  void remove_temporaries() const {
    std::error_code problem;
    for (const std::string& file : {model(), last(), metrics(), picture(), config(), tokeniser()})
      for (int n = 0; std::filesystem::remove(file + ".tmp" + std::to_string(n), problem);) ++n;
  }
};

}  // namespace examples
