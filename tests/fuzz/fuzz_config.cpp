// Fuzzes the config.json of a run, of a GPT-2, and the index of a GPT-2's files: any JSON is refused, or is a configuration that
// is written as it was read.
#include <cstddef>
#include <cstdint>
#include "tricycle/train/gpt2_checkpoint.hpp"

namespace {
using namespace tricycle;

template <class Read>
void read(Read read_and_check) {
  try {
    read_and_check();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Json json;
  read([&] { json = Json::parse({reinterpret_cast<const char*>(data), size}); });
  read([&] {
    auto config = training_config(json);
    std::string written = to_json(config).dump();
    if (to_json(training_config(Json::parse(written))).dump() != written) __builtin_trap();
  });
  read([&] {
    auto config = gpt2_config(json);
    if (config.embedding_dim % config.n_heads != 0 || config.n_layers < 1) __builtin_trap();
    if (to_json(gpt2_config(to_gpt2_json(config))).dump() != to_json(config).dump()) __builtin_trap();
  });
  read([&] {
    for (const std::string& part : gpt2::parts_of(json))
      if (part.find('/') != part.npos || !part.ends_with(".safetensors")) __builtin_trap();
  });
  return 0;
}
