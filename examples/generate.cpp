// generate: a GPT that train_gpt has trained goes on with a prompt, printing as it thinks.
#include "command_line.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

int program(examples::CommandLine& line) {
  std::string folder, prompt = "\n";
  GenerateOptions options;
  Index seed_number = 1337;
  int n_threads = threads();
  bool greedy = false;
  line.about("Goes on with a prompt as the text would that a model of train_gpt has learnt from.");
  line.option("--model FOLDER", folder, "what train_gpt --out has written");
  line.option("--prompt TEXT", prompt, "what to go on with, in characters that the model knows");
  line.option("--tokens N", options.tokens, "how many tokens to write", {.least = 0, .most = 1e9});
  line.option("--temperature F", options.temperature, "below 1 plays safe, above 1 dares", {.least = 0});
  line.option("--top-k N", options.top_k, "choose among the likeliest N (0: among all)", {.least = 0});
  line.option("--top-p F", options.top_p, "choose among the likeliest that have this probability together", {.most = 1, .above = 0});
  line.option("--seed N", seed_number, "of the choices", {.least = 0, .most = 4294967295.0});
  line.option("--threads N", n_threads, "threads; results do not depend on it", {.least = 1, .most = 1024});
  line.flag("--greedy", greedy, "always the likeliest token");
  line.parse();
  if (folder.empty()) throw examples::UsageError("--model FOLDER is needed: what train_gpt has written");
  if (greedy) options.temperature = 0;

  set_threads(n_threads);
  Json config = Json::parse(read_file(folder + "/config.json"));
  GPT<float> model(gpt_config(config["training"]["model"]));
  load_model(model, folder + "/model.safetensors");
  model.eval();
  auto tokeniser = CharacterTokeniser::load(folder + "/tokeniser.json");
  auto ids = tokeniser.encode(prompt);
  seed(static_cast<std::uint64_t>(seed_number));
  auto show = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  show(prompt);
  generate(model, ids, options, [&](int id) {
    show(tokeniser.decode({&id, 1}));
    return true;
  });
  show("\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
