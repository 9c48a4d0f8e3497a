// Fuzzes the safetensors reader: any bytes are refused, or are a file whose tensors cover its data once and lie within it.
// Each input is read twice: as it is, and with the header's length set to end at its last }, so that mutations get past it.
#include <cstddef>
#include <cstdint>
#include "tricycle/io/safetensors.hpp"

namespace {

void read(const std::string& bytes) {
  std::string copy = bytes;
  try {
    tricycle::SafeTensorsFile file(std::move(copy), "fuzzed");
    std::size_t covered = 0;
    unsigned sum = 0;
    for (const tricycle::SafeTensor& tensor : file.all()) {
      if (tensor.shape.size() * tricycle::safetensors_width(tensor.dtype) != static_cast<tricycle::Index>(tensor.bytes.size())) __builtin_trap();
      if (file.find(tensor.name)->bytes.data() != tensor.bytes.data()) __builtin_trap();
      for (char byte : tensor.bytes) sum += static_cast<unsigned char>(byte);
      covered += tensor.bytes.size();
    }
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    if (covered + header + 8 != bytes.size() || sum > 255 * covered) __builtin_trap();
  } catch (const tricycle::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  std::size_t brace = bytes.rfind('}');
  if (brace == bytes.npos || brace < 8) return 0;
  std::uint64_t header = brace - 7;
  std::memcpy(bytes.data(), &header, 8);
  read(bytes);
  return 0;
}
