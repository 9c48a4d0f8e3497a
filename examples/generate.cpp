// generate: a GPT that train_gpt has trained goes on with a prompt, printing as it thinks.
#include "command_line.hpp"
#include "run_folder.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// At once, so that it streams. False when nobody can read it any more.
bool show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0;
}

int program(examples::CommandLine& line) {
  examples::RunFolder folder;
  std::string prompt;
  GenerateOptions options;
  Index seed_number = 1337;
  bool greedy = false;
  Device device = Device::cpu;
  line.about("Goes on with a prompt as the text would that a model of train_gpt has learnt from.");
  line.option("--model FOLDER", folder.path, "what train_gpt --out has written");
  line.option("--prompt TEXT", prompt, "what to go on with, in characters that the model knows (without it: the first of them)");
  line.option("--tokens N", options.tokens, "how many tokens to write", {.least = 0, .most = 1e9});
  line.option("--temperature F", options.temperature, "below 1 plays safe, above 1 dares", {.least = 0});
  line.option("--top-k N", options.top_k, "choose among the likeliest N (0: among all)", {.least = 0});
  line.option("--top-p F", options.top_p, "choose among the likeliest that have this probability together", {.most = 1, .above = 0});
  line.option("--seed N", seed_number, "of the choices", {.least = 0, .most = 4294967295.0});
  line.option("--device cpu|cuda[:N]", device, "where to compute");
  line.flag("--greedy", greedy, "always the likeliest token");
  line.parse();
  if (folder.path.empty()) throw examples::UsageError("--model FOLDER is needed: what train_gpt has written");
  if (greedy) options.temperature = 0;

  GPTConfig config = folder.read_config().training.model;
  auto tokeniser = folder.read_tokeniser(config);
  auto ids = prompt.empty() ? std::vector<int>{0} : tokeniser.encode(prompt);
  GPT<float> model(config);
  load_model(model, folder.model());
  model.eval();
  model.to(device);
  seed(static_cast<std::uint64_t>(seed_number));
  show(prompt);
  generate(model, ids, options, [&](int id) { return show(tokeniser.decode({&id, 1})); });
  show("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
