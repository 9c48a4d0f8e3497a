// generate: a GPT that train_gpt has trained, or a GPT-2 from elsewhere, goes on with a prompt, printing as it thinks.
#include "command_line.hpp"
#include "model_folder.hpp"
#include "tricycle/tricycle.hpp"

namespace {
using namespace tricycle;

/// At once, so that it streams. False when nobody can read it any more.
bool show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0;
}

/// The one token that a text is. Throws where it is none or several.
int one_token(const Tokeniser& tokeniser, const std::string& text) {
  auto ids = tokeniser.encode(text);
  check(ids.size() == 1, "--stop: \"", text, "\" is ", ids.size(), " tokens, not one");
  return ids[0];
}

/// The prompt, or each line of the file of prompts, so many times.
std::vector<std::string> all_prompts(const std::string& prompt, const std::string& file, Index samples) {
  std::vector<std::string> lines{prompt}, all;
  if (!file.empty()) {
    lines.clear();
    each_line(read_file(file), [&](std::string_view line, std::size_t) { lines.emplace_back(line.substr(0, line.size() - line.ends_with('\r'))); });
    check(!lines.empty(), "--prompts: there is no line in ", file);
  }
  for (auto& line : lines) all.insert(all.end(), static_cast<std::size_t>(samples), line);
  return all;
}

int program(examples::CommandLine& line) {
  std::string path, prompt, prompts_file, stop;
  GenerateOptions options;
  Index seed_number = 1337, samples = 1;
  bool greedy = false;
  Device device = Device::cpu;
  line.about("Goes on with a prompt as the text would that a model of train_gpt has learnt from.");
  line.option("--model FOLDER", path, "what train_gpt --out has written, or a GPT-2 with its tokeniser as Hugging Face's transformers saves them");
  line.option("--prompt TEXT", prompt, "what to go on with, in characters that the model knows (without it: a new line, or the first of them)");
  line.option("--prompts FILE", prompts_file, "a prompt in each line instead: all are gone on with at a time, and shown when they are done");
  line.option("--samples N", samples, "how often to go on with each", {.least = 1, .most = 1e6});
  line.option("--tokens N", options.tokens, "how many tokens to write", {.least = 0, .most = 1e9});
  line.option("--temperature F", options.temperature, "below 1 plays safe, above 1 dares", {.least = 0});
  line.option("--top-k N", options.top_k, "choose among the likeliest N (0: among all)", {.least = 0});
  line.option("--top-p F", options.top_p, "choose among the likeliest that have this probability together", {.most = 1, .above = 0});
  line.option("--repetition-penalty F", options.repetition_penalty, "above 1, what is there already comes less often again", {.above = 0});
  line.option("--stop TEXT", stop, "the token that ends a text, and is not shown");
  line.option("--seed N", seed_number, "of the choices", {.least = 0, .most = 4294967295.0});
  line.option("--device cpu|cuda[:N]", device, "where to compute");
  line.flag("--greedy", greedy, "always the likeliest token");
  line.parse();
  if (path.empty()) throw examples::UsageError("--model FOLDER is needed: what train_gpt has written");
  if (!prompt.empty() && !prompts_file.empty()) throw examples::UsageError("--prompt or --prompts, not both");
  if (greedy) options.temperature = 0;
  options.seed = static_cast<std::uint64_t>(seed_number);

  examples::ModelFolder folder(path);
  auto& tokeniser = folder.tokeniser();
  if (!stop.empty()) options.stop = one_token(tokeniser, stop);
  auto prompts = all_prompts(prompt, prompts_file, samples);
  std::vector<std::vector<int>> ids;
  for (auto& text : prompts) ids.push_back(text.empty() ? examples::beginning(tokeniser) : tokeniser.encode(text));
  auto undrawn = [](const Shape& shape) { return Tensor<float>(shape); };
  GPT<float> model(folder.config(), undrawn, undrawn);
  folder.load(model);
  model.eval();
  model.to(device);
  if (prompts.size() == 1) {
    show(prompts[0]);
    generate(model, ids[0], options, [&](int id) { return show(tokeniser.decode({&id, 1})); });
    show("\n");
    return 0;
  }
  auto continued = generate(model, ids, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) show((i ? "\n" : "") + prompts[i] + tokeniser.decode(continued[i]) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_main(argc, argv, program); }
