// The safetensors format: what is read back, and all that is refused.
#include <algorithm>
#include <random>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/safetensors.hpp"

using tricycle::Index;
using tricycle::Json;
using tricycle::read_file;
using tricycle::SafeTensor;
using tricycle::SafeTensorsFile;
using tricycle::Shape;
using tricycle::write_file;

namespace {

std::string little_endian(std::uint64_t n) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<unsigned char>(n >> 8 * i));
  return bytes;
}

/// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  return little_endian(header.size()) + header + std::string(data, 'x');
}

std::string refusal_of(const std::string& bytes) {
  return refusal([&] { SafeTensorsFile(bytes, "m"); });
}

/// What is said of a file with one F32 tensor "w" described by `about`.
std::string refusal_of_w(const std::string& about, std::size_t data) {
  return refusal_of(file_of("{\"w\":{" + about + "}}", data));
}

std::string bytes_of(std::initializer_list<float> numbers) {
  return std::string(reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(float));
}

const std::string golden_header = R"({"__metadata__":{"step":"10"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                                  R"("empty":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},"flag":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}})";

std::string golden() {
  std::string padding((8 - golden_header.size() % 8) % 8, ' ');
  return little_endian(golden_header.size() + padding.size()) + golden_header + padding + bytes_of({1, -2}) + '\1';
}

}  // namespace

TEST_CASE("safetensors: the bytes are the format's", "[safetensors]") {
  ScratchFolder folder;
  std::string path = folder / "model.safetensors", w = bytes_of({1, -2}), flag = "\1";
  std::vector<SafeTensor> tensors{{"flag", "BOOL", {}, flag}, {"w", "F32", {2, 1}, w}, {"empty", "F32", {0, 3}, {}}};
  tricycle::save_safetensors(path, tensors, {{"step", "10"}});
  REQUIRE(read_file(path) == golden());
  REQUIRE(golden().size() % 8 == 1);                     // so the data begins at a multiple of 8

  SafeTensorsFile file(path), copy = file;
  file = SafeTensorsFile(file_of("{}", 0), "other");
  REQUIRE(copy.all().size() == 3);
  REQUIRE(copy.all()[0].name == "w");
  REQUIRE(copy["w"].shape == Shape{2, 1});
  REQUIRE(copy["w"].bytes == w);
  REQUIRE(copy["flag"].shape == Shape{});
  REQUIRE(copy["flag"].dtype == "BOOL");
  REQUIRE(copy["empty"].bytes.empty());
  REQUIRE(copy.metadata().at(0).second.as<std::string>() == "10");
  REQUIRE(copy.find("v") == nullptr);
  REQUIRE(refusal([&] { copy["v"]; }) == "safetensors: " + path + ": no tensor \"v\"");
  REQUIRE(file.all().empty());
  REQUIRE(file.metadata().empty());
}

TEST_CASE("safetensors: element types have their names", "[safetensors]") {
  REQUIRE(std::string(tricycle::safetensors_dtype<tricycle::bf16>()) == "BF16");
  REQUIRE(std::string(tricycle::safetensors_dtype<tricycle::half>()) == "F16");
  REQUIRE(std::string(tricycle::safetensors_dtype<std::uint16_t>()) == "U16");
  auto same = [](auto x) { return tricycle::safetensors_width(tricycle::safetensors_dtype<decltype(x)>()) == sizeof x; };
  REQUIRE((same(1.f) && same(1.) && same(true) && same(tricycle::bf16()) && same(tricycle::half()) && same(std::int8_t()) && same(std::int64_t()) && same(0u)));
}

TEST_CASE("safetensors: cut anywhere it is refused", "[safetensors]") {
  std::string whole = golden();
  REQUIRE(refusal_of(whole).empty());
  for (std::size_t n = 0; n < whole.size(); ++n) REQUIRE_FALSE(refusal_of(whole.substr(0, n)).empty());
  std::string from = std::to_string(whole.size()), to = std::to_string(whole.size() + 1);
  REQUIRE(refusal_of(whole + 'x') == "safetensors: m: the bytes from " + from + " to " + to + " belong to no tensor");
}

TEST_CASE("safetensors: a flipped bit is refused, or changes only a name, a type of the same width or text", "[safetensors]") {
  std::string whole = golden();
  std::size_t header_end = whole.size() - 9;
  for (std::size_t bit = 0; bit < 8 * header_end; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    if (!refusal_of(flipped).empty()) continue;
    SafeTensorsFile file(flipped, "m");
    Index bytes = 0;
    for (const SafeTensor& t : file.all()) bytes += tricycle::safetensors_width(t.dtype) * t.shape.size();
    REQUIRE((bytes == 9 && bit >= 64));
  }
}

TEST_CASE("safetensors: what is wrong is named with its byte or tensor", "[safetensors]") {
  REQUIRE(refusal_of("1234567") == "safetensors: m: it has 7 bytes, too few for the header's length");
  REQUIRE(refusal_of(little_endian(99999) + std::string(112, ' ')) == "safetensors: m: header length 99999 at byte 0 exceeds the file's 120 bytes");
  REQUIRE(refusal_of(little_endian(~0ull) + "{}") == "safetensors: m: header length 18446744073709551615 at byte 0 exceeds the format's 100000000 bytes");
  REQUIRE(refusal_of(file_of("", 9)) == "safetensors: m: no { at byte 8, where the header begins");
  REQUIRE(refusal_of(file_of(" {}", 0)) == "safetensors: m: no { at byte 8, where the header begins");
  REQUIRE(refusal_of(file_of("{}x", 0)) == "safetensors: m: header, from byte 8: json: something after the value at byte 2");
  REQUIRE(refusal_of(file_of("{}   ", 0)).empty());
  REQUIRE(refusal_of(file_of("{}", 1)) == "safetensors: m: the bytes from 10 to 11 belong to no tensor");
  REQUIRE(refusal_of(file_of(R"({"__metadata__":{"a":1}})", 0)) == "safetensors: m: __metadata__: json: key \"a\": expected a string, found 1");
  REQUIRE(refusal_of(file_of(R"({"__metadata__":[]})", 0)) == "safetensors: m: __metadata__: json: expected an object, found an array");
  REQUIRE(refusal_of(file_of(R"({"a":{},"a":{}})", 0)).find("key \"a\" stands twice") != std::string::npos);

  std::string w = "safetensors: m: tensor \"w\": ";
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 8).empty());
  REQUIRE(refusal_of_w(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])", 8) == w + "dtype \"F31\" is unknown");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", 8) == w + "F32 (3,) has 12 bytes, but data_offsets [0, 8] hold 8");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[3],"data_offsets":[0,12])", 8) == w + "data_offsets [0, 12] exceed the file's 8 bytes of data");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", 8) == w + "data_offsets [8, 0] are not in order");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])", 8) == w + "data_offsets [-8, 0] are not in order");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[0])", 8) == w + "data_offsets has 1 numbers, not 2");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[0,8.5])", 8) == w + "json: key \"data_offsets\": expected a whole number, found 8.5");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", 8) == w + "shape: an extent of -2");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])", 8) == w + "shape: more than 8 axes");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])", 8).find("more elements than 64 bits") != std::string::npos);
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])", 0).find("more bytes than 64 bits") != std::string::npos);
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2])", 8) == w + "json: key \"data_offsets\" is missing");
  REQUIRE(refusal_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"order":"F")", 8) == w + "json: key \"order\" is unknown");

  auto pair = [](const char* second, std::size_t data) {
    std::string a = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":)";
    return refusal_of(file_of(a + second + "}}", data));
  };
  REQUIRE(pair("[4,8]", 8).empty());
  REQUIRE(pair("[5,9]", 9) == "safetensors: m: tensor \"b\" begins at byte 118, not 117: it leaves a hole before it");
  REQUIRE(pair("[2,6]", 6) == "safetensors: m: tensor \"b\" begins at byte 115, not 117: it overlaps the one before it");
}

TEST_CASE("safetensors: what cannot be saved is refused and nothing is written", "[safetensors]") {
  ScratchFolder folder;
  std::string path = folder / "m", bytes(8, 'x');
  auto save = [&](std::vector<SafeTensor> tensors, Json::Object metadata = {}) {
    return refusal([&] { tricycle::save_safetensors(path, tensors, metadata); });
  };
  std::string start = "safetensors: " + path + ": ";
  REQUIRE(save({{"w", "F32", {3}, bytes}}) == start + "tensor \"w\": F32 (3,) has 12 bytes, not 8");
  REQUIRE(save({{"w", "F31", {2}, bytes}}) == start + "tensor \"w\": dtype \"F31\" is unknown");
  REQUIRE(save({{"w", "F32", {2}, bytes}, {"w", "F64", {1}, bytes}}) == start + "header: json: key \"w\" stands twice");
  REQUIRE(save({{"w\xff", "F32", {2}, bytes}}) == start + "header: json: a string is not UTF-8 at its byte 1");
  REQUIRE(save({{"__metadata__", "F32", {2}, bytes}}) == start + "tensor \"__metadata__\": the format keeps this name for the metadata");
  REQUIRE(save({}, {{"step", 10}}) == start + "__metadata__: json: key \"step\": expected a string, found 10");
  REQUIRE(folder.n_files() == 0);
}

TEST_CASE("safetensors: random files come back whole, each tensor aligned", "[safetensors]") {
  ScratchFolder folder;
  std::mt19937 random(1);
  auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  const char* dtypes[] = {"F64", "F32", "BF16", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"};
  for (int round = 0; round < 20; ++round) {
    std::vector<SafeTensor> tensors;
    std::vector<std::string> data(static_cast<std::size_t>(below(12)));
    for (std::string& bytes : data) {
      const char* dtype = dtypes[below(13)];
      Shape shape;
      for (int rank = below(5); rank > 0; --rank) shape.push_back(below(4));
      bytes.resize(static_cast<std::size_t>(tricycle::safetensors_width(dtype) * shape.size()));
      std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(below(256)); });
      tensors.push_back({"block." + std::to_string(tensors.size()) + "/\"é\n", dtype, shape, bytes});
    }
    tricycle::save_safetensors(folder / "m", tensors);
    SafeTensorsFile file(folder / "m");
    REQUIRE(file.all().size() == tensors.size());
    const char* start = file.all().empty() ? nullptr : file.all()[0].bytes.data();
    for (const SafeTensor& t : tensors) {
      const SafeTensor& back = file[t.name];
      REQUIRE((back.dtype == t.dtype && back.shape == t.shape && back.bytes == t.bytes));
      REQUIRE((back.bytes.data() - start) % tricycle::safetensors_width(t.dtype) == 0);
    }
  }
}
