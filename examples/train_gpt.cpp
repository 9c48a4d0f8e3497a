// train_gpt: a GPT learns to write as its text does. Trains, measures, saves as it goes, resumes, and prints a sample.
#include "train_options.hpp"

namespace {
using namespace tricycle;
using examples::Run;

/// The token files of a run. What made them is in tokeniser.json beside them, or else is GPT-2's.
examples::Text map_text(const Run& run) {
  const std::string &folder = run.config.data, beside = folder + "/tokeniser.json";
  auto tokeniser = run.resume ? run.folder.read_tokeniser(run.config) : run.from ? run.from->tokeniser() : file_exists(beside) ? Tokeniser::load(beside) : Tokeniser(examples::load_gpt2(run.tokeniser_files));
  return {tokeniser, examples::map_tokens(folder + "/train.bin", tokeniser.vocab_size()), examples::map_tokens(folder + "/val.bin", tokeniser.vocab_size())};
}

/// The text of a run, whose tokeniser is made for it unless the run has one already.
examples::Text read_text(const Run& run) {
  if (examples::is_token_folder(run.config.data)) return map_text(run);
  std::string text = examples::read_corpus(run.config.data);
  const Index usual = run.config.training.model.vocab_size;
  auto make = [&]() -> Tokeniser {
    if (run.resume) return run.folder.read_tokeniser(run.config);
    if (run.from) return run.from->tokeniser();
    if (run.config.tokeniser == "character") return CharacterTokeniser::train(text);
    if (run.config.tokeniser == "gpt2") return examples::load_gpt2(run.tokeniser_files);
    return BPETokeniser::train(text, run.vocab.value_or(usual > 256 ? static_cast<int>(usual) : 1024));
  };
  Tokeniser tokeniser = make();
  auto parts = split(tokeniser.encode(text), 0.9);
  return {tokeniser, Tokens(std::move(parts.train)), Tokens(std::move(parts.validation))};
}

template <class T>
int train(Run run, const examples::Text& text) {
  auto from = std::exchange(run.from, nullptr);
  examples::Trainer<T> trainer(run, text);
  if (run.resume) {
    trainer.load();
  } else {                                               // from its first moment on there is something to resume
    if (from) trainer.load(*std::exchange(from, nullptr));         // and then gone from memory
    trainer.save();
    text.tokeniser.save(run.folder.tokeniser());
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
  if (!run.quiet) std::printf("%s\n", trainer.sample({.tokens = 500}).c_str());
  return examples::interrupted() ? 130 : 0;
}

int program(examples::CommandLine& line) {
  Run run = examples::read_command_line(line);
  TrainingConfig& config = run.config.training;
  set_threads(run.n_threads);
  Tensor<float>(Shape{1}, run.device);                   // throws at once if there is no such GPU
#ifdef TRICYCLE_CUDA
  gpu::product_options().tuned = run.tune;
#endif
  examples::catch_interrupts();
  auto text = read_text(run);
  run.config.tokeniser = text.tokeniser.kind();
  config.model.vocab_size = text.tokeniser.vocab_size();
  const char* part = examples::is_token_folder(run.config.data) ? "val.bin" : "its last tenth";
  check(text.validation.size() > config.model.context_window, run.config.data, " is too short: ", part, ", ", text.validation.size(),
        " tokens to validate with, must be longer than the context of ", config.model.context_window);
  if (run.budget == "chinchilla") config.steps = optimal_n_steps(config);
  config.warm_up = (std::min)(config.warm_up, config.steps / 10);          // a short run has a short one
  if (!run.quiet) {
    std::string n_tokens = as_quantity(static_cast<double>(text.training.size() + text.validation.size()));
    std::puts((n_tokens + " tokens of " + run.config.data + ", " + std::to_string(config.model.vocab_size) + " different; " +
               std::to_string(config.model.n_layers) + " layers, width " + std::to_string(config.model.embedding_dim) + ", context " +
               std::to_string(config.model.context_window)).c_str());
  }
  if (config.precision == "bf16") return train<bf16>(std::move(run), text);
  if (config.precision == "half") return train<tricycle::half>(std::move(run), text);
  return train<float>(std::move(run), text);
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
