// Fuzzes token files: any bytes are refused, or are whole numbers within the vocabulary, which is 1000.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <unistd.h>
#include "tricycle/io/token_file.hpp"

namespace {

struct Path {
  std::string name = (std::filesystem::temp_directory_path() / ("fuzz_token_file_" + std::to_string(::getpid()))).string();
  ~Path() { std::filesystem::remove(name); }
};

template <class Id>
void read(const std::string& path, std::string_view bytes) {
  bool is_fine = !bytes.empty() && bytes.size() % sizeof(Id) == 0;
  for (std::size_t i = 0; is_fine && i < bytes.size(); i += sizeof(Id)) {
    Id id;
    std::memcpy(&id, bytes.data() + i, sizeof id);
    is_fine = id < 1000;
  }
  try {
    tricycle::TokenFile<Id> file(path, 1000);
    if (!is_fine || std::memcmp(file.ids().data(), bytes.data(), bytes.size()) != 0) __builtin_trap();
  } catch (const tricycle::Error&) {
    if (is_fine) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Path path;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::ofstream(path.name, std::ios::binary) << bytes;
  read<std::uint16_t>(path.name, bytes);
  read<std::uint32_t>(path.name, bytes);
  return 0;
}
