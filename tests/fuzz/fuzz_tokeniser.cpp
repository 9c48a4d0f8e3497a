// Fuzzes what reads tokenisers of all kinds: any JSON is refused, or is a tokeniser that is written as it was read and that
// gives any bytes back. The vocabulary of a tokenizer.json gets the 256 bytes, without which there is no way in.
#include <cstddef>
#include <cstdint>
#include "tricycle/train/tokeniser.hpp"

namespace {
using namespace tricycle;

void add_bytes(Json& json) {
  Json model = json["model"], vocab = model["vocab"];
  int n = static_cast<int>(vocab.as<Json::Object>().size());
  for (char32_t code : gpt2::visible) {
    std::string token;
    utf8::append(token, code);
    vocab.set(token, n++);
  }
  model.set("vocab", vocab);
  json.set("model", model);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    Json json = Json::parse(text);
    if (json.find("model")) add_bytes(json);
    auto tokeniser = Tokeniser::from_json(json);
    std::string written = tokeniser.to_json().dump();
    if (Tokeniser::from_json(Json::parse(written)).to_json().dump() != written) __builtin_trap();
    if (tokeniser.decode(tokeniser.encode(text)) != text) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
