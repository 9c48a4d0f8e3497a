// Token files: what nanoGPT writes is mapped, what is not such a file is refused, and nothing is half written.
#include <numeric>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/token_file.hpp"

using tricycle::TokenFile;
using tricycle::TokenFileWriter;

TEMPLATE_TEST_CASE("token files: ids come back as they were written", "[token_file]", std::uint16_t, std::uint32_t) {
  ScratchFolder folder;
  std::string path = folder / "train.bin";
  std::vector<int> ids(70000);
  std::iota(ids.begin(), ids.end(), 0);
  for (int& id : ids) id %= 50257;
  TokenFileWriter<TestType> writer(path);
  writer.write(ids);
  writer.write({});
  writer.write(std::vector<int>{65535});
  REQUIRE(!tricycle::file_exists(path));
  writer.commit();
  ids.push_back(65535);
  TokenFile<TestType> file(path, 65536), copy = file;
  REQUIRE(std::equal(ids.begin(), ids.end(), file.ids().begin(), file.ids().end(), [](int a, TestType b) { return a == static_cast<int>(b); }));
  REQUIRE(copy.ids().data() == file.ids().data());

  // The ids outlive the file object, and the file's being replaced.
  auto kept = std::make_unique<TokenFile<TestType>>(path, 65536);
  auto there = kept->ids();
  auto owner = kept->owner();
  kept.reset();
  tricycle::write_file(path, "abcdefgh");
  REQUIRE(there.size() == ids.size());
  REQUIRE(there[50256] == 50256);
}

TEST_CASE("token files: the bytes are nanoGPT's", "[token_file]") {
  ScratchFolder folder;
  auto written = [&](auto id) {
    TokenFileWriter<decltype(id)> writer(folder / "val.bin");
    writer.write(std::vector<int>{1, 50256});
    writer.commit();
    return tricycle::read_file(folder / "val.bin");
  };
  REQUIRE(written(std::uint16_t{}) == std::string("\x01\x00\x50\xc4", 4));           // np.array([1, 50256], np.uint16).tobytes()
  REQUIRE(written(std::uint32_t{}) == std::string("\x01\x00\x00\x00\x50\xc4\x00\x00", 8));
}

TEST_CASE("token files: what is no token file is refused", "[token_file]") {
  ScratchFolder folder;
  std::string path = folder / "train.bin", start = "token file: " + path;
  auto says = [&]<class Id>(Id, const std::string& bytes, int vocab_size) {
    tricycle::write_file(path, bytes);
    return refusal([&] { TokenFile<Id>(path, vocab_size); });
  };
  const std::uint16_t narrow{};
  const std::uint32_t wide{};
  REQUIRE(says(narrow, "", 10) == start + " is empty");
  REQUIRE(says(narrow, "abc", 1 << 16) == start + " has 3 bytes, which are no whole number of 16-bit ids");
  REQUIRE(says(wide, "abcdef", 1 << 16) == start + " has 6 bytes, which are no whole number of 32-bit ids");
  REQUIRE(says(narrow, {"\x01\x00\x09\x00", 4}, 10).empty());
  REQUIRE(says(narrow, {"\x01\x00\x0a\x00\x0b\x00", 6}, 10) == start + ": id 10 at byte 2 is not in [0, 10)");
  REQUIRE(says(wide, {"\x01\x00\x00\x00\xff\xff\xff\xff", 8}, 1 << 30) == start + ": id 4294967295 at byte 4 is not in [0, 1073741824)");
  REQUIRE(refusal([&] { TokenFile<std::uint16_t>(folder / "none", 10); }) == "file: cannot read " + (folder / "none") + ": No such file or directory");
  REQUIRE(refusal([&] { TokenFile<std::uint16_t>(folder.path(), 10); }) == "token file: " + folder.path() + " is not a regular file");
}

TEST_CASE("token files: what does not fit is not written", "[token_file]") {
  ScratchFolder folder;
  std::string path = folder / "train.bin";
  tricycle::write_file(path, "old");
  auto says = [&](const std::vector<int>& ids) {
    return refusal([&] {
      TokenFileWriter<std::uint16_t> writer(path);
      writer.write({ids.data(), ids.size() / 2});
      writer.write({ids.data() + ids.size() / 2, ids.size() - ids.size() / 2});
      writer.commit();
    });
  };
  REQUIRE(says({1, 65536}) == "token file: " + path + ": id 65536 at position 1 does not fit in 16 bits");
  REQUIRE(says({-1}) == "token file: " + path + ": id -1 at position 0 does not fit in 16 bits");
  REQUIRE(says({}) == "token file: there is nothing to write into " + path);
  REQUIRE(tricycle::read_file(path) == "old");
  REQUIRE(folder.n_files() == 1);
  REQUIRE(says({1, 2, 3}).empty());
  REQUIRE(tricycle::read_file(path) == std::string("\x01\x00\x02\x00\x03\x00", 6));
}
