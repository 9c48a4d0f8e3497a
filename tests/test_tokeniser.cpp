// Tokenisers: text becomes numbers and the same text again, whatever its bytes.
#include <random>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/train/tokeniser.hpp"

using tricycle::CharacterTokeniser;

TEST_CASE("the alphabet is the training text's characters in order", "[tokeniser]") {
  auto tokeniser = CharacterTokeniser::train("banana\nsplit é");
  REQUIRE(tokeniser.vocab_size() == 11);
  REQUIRE(tokeniser.encode("\n abé") == std::vector<int>{0, 1, 2, 3, 10});
  REQUIRE(tokeniser.decode(std::vector<int>{10, 0, 3}) == "é\nb");
  REQUIRE(tokeniser.encode("").empty());
  REQUIRE(tokeniser.decode({}).empty());
}

TEST_CASE("what the alphabet lacks is named with its byte", "[tokeniser]") {
  auto tokeniser = CharacterTokeniser::train("abé");
  auto says = [&](const char* text) { return refusal([&] { tokeniser.encode(text); }); };
  REQUIRE(says("aéc") == "tokeniser: the character \"c\" (U+0063) at byte 3 is not in the alphabet");
  REQUIRE(says("€") == "tokeniser: the character \"€\" (U+20AC) at byte 0 is not in the alphabet");
  REQUIRE(says("a\n") == "tokeniser: the character U+000A at byte 1 is not in the alphabet");
  REQUIRE(says("\xf0\x9f\x98\x80") == "tokeniser: the character \"😀\" (U+1F600) at byte 0 is not in the alphabet");
  REQUIRE(says("b\xff") == "tokeniser: the stray byte 0xFF at byte 1 is not in the alphabet");
  REQUIRE(says("\xc3") == "tokeniser: the stray byte 0xC3 at byte 0 is not in the alphabet");
  for (int id : {-1, 3, 1 << 30}) {
    REQUIRE(refusal([&] { tokeniser.decode(std::vector<int>{0, id}); }) == "tokeniser: id " + std::to_string(id) + " at position 1 is not in [0, 3)");
  }
  REQUIRE(refusal([] { CharacterTokeniser::train(""); }) == "tokeniser: there is no text to train on");
}

TEST_CASE("any bytes come back, from a saved tokeniser too", "[tokeniser]") {
  ScratchFolder folder;
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    // Bytes drawn at random hold stray ones and every kind of broken UTF-8; surrogates must not be mistaken for stray bytes.
    std::string text = "\xed\xb2\x80\xed\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x90\x80\x80é€😀";
    for (int i = 0; i < 3000; ++i) text += static_cast<char>(random() % (round % 2 ? 256 : 8) + (round % 2 ? 0 : 0xc0));
    for (int i = 0; i < 3000; ++i) tricycle::utf8::append(text, static_cast<char32_t>(random() % 0xd800));
    auto tokeniser = CharacterTokeniser::train(text);
    auto ids = tokeniser.encode(text);
    REQUIRE(tokeniser.decode(ids) == text);
    tokeniser.save(folder / "tokeniser.json");
    auto loaded = CharacterTokeniser::load(folder / "tokeniser.json");
    REQUIRE(loaded.vocab_size() == tokeniser.vocab_size());
    REQUIRE(loaded.encode(text) == ids);
    REQUIRE(loaded.decode(ids) == text);
  }
}

TEST_CASE("a tokeniser's file is read strictly", "[tokeniser]") {
  ScratchFolder folder;
  std::string path = folder / "tokeniser.json";
  auto says = [&](const std::string& text) {
    tricycle::write_file(path, text);
    std::string sentence = refusal([&] { CharacterTokeniser::load(path); }), start = "tokeniser: " + path + ": ";
    return sentence.starts_with(start) ? sentence.substr(start.size()) : sentence;
  };
  CharacterTokeniser::train("b a\xff").save(path);
  std::string good = tricycle::read_file(path);
  REQUIRE(good == "{\n  \"tokeniser\": \"character\",\n  \"alphabet\": \" ab\",\n  \"stray_bytes\": [255]\n}\n");
  REQUIRE(says(good).empty());
  for (std::size_t n = 0; n + 2 < good.size(); ++n) REQUIRE(says(good.substr(0, n)).starts_with("json: "));
  REQUIRE(says(R"({"tokeniser":"bpe","alphabet":"ab","stray_bytes":[]})") == R"(this is a "bpe" tokeniser, not a "character" one)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"ba","stray_bytes":[]})") == R"(key "alphabet": its characters are not in ascending order at byte 1)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"aa","stray_bytes":[]})") == R"(key "alphabet": its characters are not in ascending order at byte 1)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"a","stray_bytes":[127]})") == R"(key "stray_bytes": not ascending from 128)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"a","stray_bytes":[256]})") == R"(json: key "stray_bytes": expected a whole number from 0 to 255, found 256)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"a"})") == R"(json: key "stray_bytes" is missing)");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"","stray_bytes":[]})") == "it has no characters");
  REQUIRE(says(R"({"tokeniser":"character","alphabet":"a","stray_bytes":[],"size":1})") == R"(json: key "size" is unknown)");
  std::filesystem::remove(path);
  REQUIRE(refusal([&] { CharacterTokeniser::load(path); }) == "file: cannot read " + path + ": No such file or directory");
}
