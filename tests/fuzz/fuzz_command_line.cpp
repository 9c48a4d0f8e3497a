// Fuzzes command lines, one word to each line: any words are refused in one sentence, ask for help, or set what they name to
// values within the limits, which are then shown so that they read back as the same.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include "../../examples/command_line.hpp"

namespace {

struct Settings {
  std::int64_t steps = 2000;
  int batch = 12;
  std::uint64_t seed = 1337;
  float rate = 1e-3f;
  double dropout = 0;
  std::optional<std::int64_t> stop_at;
  std::string data, precision = "float";
  tricycle::Device device = tricycle::Device::cpu;
  bool quiet = false;

  void tie(examples::CommandLine& line) {
    line.option("--steps N", steps, "updates of the weights", {.least = 1, .most = 1e9});
    line.option("--batch N", batch, "windows a step");
    line.option("--seed N", seed, "where all randomness starts", {.most = 4294967295});
    line.option("--lr F", rate, "learning rate", {.above = 0});
    line.option("--dropout F", dropout, "share of activations left out", {.least = 0, .below = 1});
    line.option("--stop-at N", stop_at, "stop early, after this step");
    line.option("--data FILE|FOLDER", data, "text to learn from");
    line.choice("--precision float|bf16", precision, "what the layers compute in");
    line.option("--device cpu|cuda[:N]", device, "where to compute");
    line.flag("--quiet", quiet, "print results alone");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words{"program"};
  for (std::size_t i = 0; i < size; ++i) {
    if (i == 0 || data[i - 1] == '\n') words.emplace_back();
    if (data[i] != '\n') words.back() += static_cast<char>(data[i]);
  }
  examples::CommandLine line(words);
  Settings settings;
  settings.tie(line);
  try {
    line.parse();
  } catch (const examples::UsageError& error) {
    if (std::string_view(error.what()).empty()) __builtin_trap();
    return 0;
  } catch (const examples::HelpRequest& help) {
    if (!std::string_view(help.what()).starts_with("usage: program ")) __builtin_trap();
    return 0;
  }
  const Settings& s = settings;
  if (s.steps < 1 || s.steps > 1'000'000'000 || s.seed > 4294967295 || !(s.rate > 0) || std::isinf(s.rate) || !(s.dropout >= 0 && s.dropout < 1)) __builtin_trap();
  if (s.precision != "float" && s.precision != "bf16") __builtin_trap();
  if (auto last = line.peek("--data"); last && *last != s.data) __builtin_trap();

  // What --help shows as defaults reads back.
  auto written = [](auto x) {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, x).ptr);
  };
  examples::CommandLine again({"program", "--steps=" + written(s.steps), "--batch=" + written(s.batch), "--seed=" + written(s.seed), "--lr=" + written(s.rate), "--dropout=" + written(s.dropout)});
  Settings read;
  read.tie(again);
  again.parse();
  if (read.steps != s.steps || read.batch != s.batch || read.seed != s.seed || read.rate != s.rate || read.dropout != s.dropout) __builtin_trap();
  return 0;
}
