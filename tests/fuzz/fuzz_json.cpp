// Fuzzes the JSON reader: any bytes are read or refused, and what is read is written so that it reads back as the same.
#include <cstddef>
#include <cstdint>
#include "tricycle/io/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  tricycle::Json json;
  try {
    json = tricycle::Json::parse(text);
  } catch (const tricycle::Error&) {
    return 0;
  }
  std::string written = json.dump();
  if (tricycle::Json::parse(written).dump() != written) __builtin_trap();
  if (tricycle::Json::parse(json.dump(2)).dump() != written) __builtin_trap();
  return 0;
}
