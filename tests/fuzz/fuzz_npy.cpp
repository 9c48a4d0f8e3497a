// Fuzzes the .npy reader: any bytes are refused, or are an array with one number for each width of bytes behind the header.
// Each input is read twice: as it is, and with the header's length set to end at its first new line, so that mutations get past it.
#include <cstddef>
#include <cstdint>
#include "tricycle/io/npy.hpp"

namespace {
using namespace tricycle;

template <class T>
void check_numbers(const NpyFile& file, std::string_view bytes) {
  if (file.kind() != npy::kind<T>()) return;
  auto x = file.tensor<T>();
  const auto n = static_cast<std::size_t>(x.size()) * sizeof(T);
  if (x.shape() != file.shape() || n > bytes.size()) __builtin_trap();
  // Whatever their order, the bytes are the file's.
  unsigned sum = 0, expected = 0;
  for (std::size_t i = 0; i < n; ++i) sum += reinterpret_cast<const unsigned char*>(x.data())[i];
  for (char byte : bytes.substr(bytes.size() - n)) expected += static_cast<unsigned char>(byte);
  if (sum != expected) __builtin_trap();
}

void read(const std::string& bytes) {
  try {
    NpyFile file(bytes, "fuzzed");
    auto as = [&]<class... T>(std::type_identity<std::tuple<T...>>) { (check_numbers<T>(file, bytes), ...); };
    as(std::type_identity<std::tuple<half, float, double, std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, bool>>{});
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  const std::size_t end = bytes.find('\n', npy::version_1_start), width = size > 6 && bytes[6] == 1 ? 2 : 4;
  if (end == bytes.npos || end + 1 < 8 + width) return 0;
  const auto header = static_cast<std::uint32_t>(end + 1 - 8 - width);
  std::memcpy(bytes.data() + 8, &header, width);
  read(bytes);
  return 0;
}
