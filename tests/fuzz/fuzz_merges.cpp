// Fuzzes merges.txt with a vocabulary of bytes and of strings of a, b and c: any bytes are refused, or are merges with which
// any bytes come back.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <unistd.h>
#include "tricycle/train/gpt2_tokeniser.hpp"

namespace {
using namespace tricycle;

const std::string vocab_path = (std::filesystem::temp_directory_path() / ("fuzz_merges_vocab_" + std::to_string(::getpid()))).string();
const std::string merges_path = (std::filesystem::temp_directory_path() / ("fuzz_merges_" + std::to_string(::getpid()))).string();

struct Files {
  Files() {
    std::vector<std::string> tokens, strings{""};
    for (char32_t code : gpt2::visible) utf8::append(tokens.emplace_back(), code);
    for (std::size_t i = 0; i < strings.size(); ++i) {
      if (strings[i].size() > 1) tokens.push_back(strings[i]);
      for (char letter : {'a', 'b', 'c'})
        if (strings[i].size() < 3) strings.push_back(strings[i] + letter);
    }
    Json vocab = Json::object();
    for (std::size_t id = 0; id < tokens.size(); ++id) vocab.set(tokens[id], id);
    std::ofstream(vocab_path) << vocab.dump();
  }
  ~Files() {
    std::filesystem::remove(vocab_path);
    std::filesystem::remove(merges_path);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Files files;
  std::string text(reinterpret_cast<const char*>(data), size);
  std::ofstream(merges_path, std::ios::binary) << text;
  try {
    auto tokeniser = GPT2Tokeniser::load(vocab_path, merges_path);
    text += std::string(50, 'a') + "abcabcabc<cab";
    if (tokeniser.decode(tokeniser.encode(text)) != text) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
