// Byte pairs: training and encoding do what their definitions say, carried out word by word on small texts.
#include <map>
#include <random>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/train/tokeniser.hpp"

using tricycle::BPETokeniser;
using tricycle::BytePairs;

namespace {

using Ids = std::vector<int>;
using Pair = std::pair<int, int>;

Ids bytes_of(const std::string& text) {
  Ids ids;
  for (char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

Ids replaced(const Ids& ids, Pair pair, int made) {
  Ids out;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (i + 1 < ids.size() && Pair(ids[i], ids[i + 1]) == pair) out.push_back(made), ++i;
    else out.push_back(ids[i]);
  return out;
}

/// The pairs that training merges: count all, take the most frequent, of several the smallest, replace, begin again.
std::vector<Pair> slowly_trained(const std::string& text, std::size_t n_merges) {
  std::vector<Pair> merges;
  Ids ids = bytes_of(text);
  while (merges.size() < n_merges) {
    std::map<Pair, int> counts;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) ++counts[{ids[i], ids[i + 1]}];
    auto best = std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) { return a.second < b.second; });   // the first of equals
    if (best == counts.end() || best->second < 2) break;
    ids = replaced(ids, best->first, 256 + static_cast<int>(merges.size()));
    merges.push_back(best->first);
  }
  return merges;
}

/// The earliest merge of any two neighbours, where it is leftmost, until there is none.
Ids slowly_encoded(const std::vector<BytePairs::Merge>& merges, Ids ids) {
  while (true) {
    std::size_t best = merges.size(), place = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      for (std::size_t rank = 0; rank < best; ++rank)
        if (merges[rank].left == ids[i] && merges[rank].right == ids[i + 1]) best = rank, place = i;
    if (best == merges.size()) return ids;
    ids[place] = merges[best].made;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

std::string drawn(std::mt19937& random, std::size_t most, std::size_t n_letters) {
  std::string text(random() % most, ' ');
  for (char& c : text) c = static_cast<char>('a' + random() % n_letters);
  return text;
}

/// The merges that a tokeniser has, from what it saves.
std::vector<Pair> merges_of(const BPETokeniser& tokeniser) {
  ScratchFolder folder;
  tokeniser.save(folder / "tokeniser.json");
  std::vector<Pair> merges;
  auto json = tricycle::Json::parse(tricycle::read_file(folder / "tokeniser.json"));
  for (const auto& merge : json.get<tricycle::Json::Array>("merges")) {
    const auto& pair = merge.as<tricycle::Json::Array>();
    merges.emplace_back(pair[0].as<int>(), pair[1].as<int>());
  }
  return merges;
}

}  // namespace

TEST_CASE("bpe: training merges what the definition says", "[bpe]") {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    // Few letters make ties, runs of one letter and overlapping pairs.
    std::string text = drawn(random, round % 10 ? 60 : 600, 1 + random() % 5);
    auto n_merges = random() % 40;
    auto tokeniser = BPETokeniser::train(text, 256 + static_cast<int>(n_merges));
    auto merges = slowly_trained(text, n_merges);
    CAPTURE(text, n_merges);
    REQUIRE(merges_of(tokeniser) == merges);
    REQUIRE(tokeniser.vocab_size() == 256 + static_cast<int>(merges.size()));
    Ids ids = bytes_of(text);
    for (std::size_t i = 0; i < merges.size(); ++i) ids = replaced(ids, merges[i], 256 + static_cast<int>(i));
    REQUIRE(tokeniser.encode(text) == ids);
  }
  std::string prose = tricycle::read_file("README.md").substr(0, 20000);
  REQUIRE(merges_of(BPETokeniser::train(prose, 356)) == slowly_trained(prose, 100));
}

TEST_CASE("bpe: the smallest examples", "[bpe]") {
  auto abab = BPETokeniser::train("abababab", 1000);       // ab (twice ab = 256: 257), then the pair 257 257 stands once
  REQUIRE(merges_of(abab) == std::vector<Pair>{{'a', 'b'}, {256, 256}});
  REQUIRE(abab.encode("ababab") == Ids{257, 256});
  REQUIRE(abab.encode("a") == Ids{'a'});
  REQUIRE(abab.encode("").empty());
  REQUIRE(abab.decode(Ids{257, 'c', 256}) == "ababcab");
  REQUIRE(merges_of(BPETokeniser::train("cdab abcd", 257)) == std::vector<Pair>{{'a', 'b'}});    // of ab and cd the smaller
  REQUIRE(BPETokeniser::train("", 300).vocab_size() == 256);
  REQUIRE(refusal([&] { abab.decode(Ids{'a', 258}); }) == "tokeniser: id 258 at position 1 is not in [0, 258)");
  REQUIRE(refusal([&] { abab.decode(Ids{-1}); }) == "tokeniser: id -1 at position 0 is not in [0, 258)");
  REQUIRE(refusal([] { BPETokeniser::train("a", 255); }) == "tokeniser: a vocabulary of 255 has no room for the 256 bytes and 0 special tokens");
}

TEST_CASE("bpe: the earliest merge comes first, whatever the merges", "[bpe]") {
  std::mt19937 random(2);
  for (int round = 0; round < 400; ++round) {
    // Tokens whose merges are in any order, some made by two merges: also what training would not come up with.
    BytePairs pairs;
    std::vector<std::string> texts{"a", "b", "c"};
    for (int i = 0; i < 12; ++i) texts.push_back(texts[random() % texts.size()] + texts[random() % texts.size()]);
    std::sort(texts.begin() + 3, texts.end());
    texts.erase(std::unique(texts.begin() + 3, texts.end()), texts.end());
    for (auto& text : texts) pairs.add(text);
    for (int i = 0; i < 3; ++i) pairs.set_byte('a' + i, i);
    std::vector<BytePairs::Merge> merges;
    for (int left = 0; left < pairs.vocab_size(); ++left)
      for (int right = 0; right < pairs.vocab_size(); ++right)
        for (int made = 0; made < pairs.vocab_size(); ++made)
          if (pairs.text(left) + pairs.text(right) == pairs.text(made) && random() % 4) merges.push_back({left, right, made});
    std::shuffle(merges.begin(), merges.end(), random);
    for (auto merge : merges) pairs.add_merge(merge);
    std::string text = drawn(random, round % 4 ? 30 : 300, 3);
    Ids start, ids;
    for (char c : text) start.push_back(c - 'a');
    pairs.encode(text, ids);
    CAPTURE(text);
    REQUIRE(ids == slowly_encoded(merges, start));
  }
}

TEST_CASE("bpe: any bytes come back, and long runs take no long time", "[bpe]") {
  std::mt19937 random(3);
  std::string noise(100000, ' ');
  for (char& c : noise) c = static_cast<char>(random() % 256);
  for (auto& text : {noise, std::string(300000, 'a'), tricycle::read_file("README.md")}) {
    auto tokeniser = BPETokeniser::train(text, 600);
    for (auto& other : {text, noise, std::string("a"), std::string("\0\xff", 2)}) REQUIRE(tokeniser.decode(tokeniser.encode(other)) == other);
  }
  REQUIRE(BPETokeniser::train(std::string(1 << 18, 'a'), 600).encode(std::string(1 << 20, 'a')).size() == 8);   // the longest token is half its text
}

TEST_CASE("bpe: special tokens stand for themselves", "[bpe]") {
  auto tokeniser = BPETokeniser::train("abab<|e|>abab<|e|>", 300, {"<|e|>", "<|e|>!"});
  REQUIRE(merges_of(tokeniser) == std::vector<Pair>{{'a', 'b'}, {256, 256}});          // nothing of <|e|>, though it stands twice
  REQUIRE(tokeniser.vocab_size() == 260);
  REQUIRE(tokeniser.encode("ab<|e|>abab<|e|>!<|e|") == Ids{256, 258, 257, 259, '<', '|', 'e', '|'});
  REQUIRE(tokeniser.decode(Ids{258, 259}) == "<|e|><|e|>!");
  REQUIRE(refusal([] { BPETokeniser::train("a", 257, {"x", "y"}); }) == "tokeniser: a vocabulary of 257 has no room for the 256 bytes and 2 special tokens");
  REQUIRE(refusal([] { BPETokeniser::train("a", 300, {"x", "x"}); }) == "tokeniser: the special token \"x\" stands twice");
  REQUIRE(refusal([] { BPETokeniser::train("a", 300, {""}); }) == "tokeniser: a special token is empty");
  REQUIRE(refusal([] { BPETokeniser::train("a", 300, {"\xff"}); }) == "tokeniser: special token 0 is not UTF-8");
}

TEST_CASE("bpe: a saved tokeniser is the same, and is read strictly", "[bpe]") {
  ScratchFolder folder;
  std::string path = folder / "tokeniser.json";
  auto tokeniser = BPETokeniser::train("ababab", 300, {"<|e|>"});
  tokeniser.save(path);
  std::string good = tricycle::read_file(path);
  REQUIRE(good == "{\n  \"tokeniser\": \"bpe\",\n  \"merges\": [[97,98], [256,256]],\n  \"special_tokens\": [\"<|e|>\"]\n}\n");
  REQUIRE(BPETokeniser::load(path).encode("ababab<|e|>") == tokeniser.encode("ababab<|e|>"));

  auto says = [&](const std::string& merges, const std::string& special = "") {
    tricycle::write_file(path, R"({"tokeniser":"bpe","merges":[)" + merges + R"(],"special_tokens":[)" + special + "]}");
    std::string sentence = refusal([&] { BPETokeniser::load(path); }), start = "tokeniser: " + path + ": ";
    return sentence.starts_with(start) ? sentence.substr(start.size()) : sentence;
  };
  REQUIRE(says("[97,98],[256,97]", "\"x\"").empty());
  REQUIRE(says("[97,256]") == "key \"merges\": merge 0 has token 256, which is not in [0, 256)");
  REQUIRE(says("[-1,97]") == "key \"merges\": merge 0 has token -1, which is not in [0, 256)");
  REQUIRE(says("[97,98],[97]") == "key \"merges\": merge 1 has 1 tokens, not 2");
  REQUIRE(says("97") == "json: key \"merges\": expected an array, found 97");
  REQUIRE(says("[97,98],[97,98]") == "the tokens 97 and 98 are merged twice");
  REQUIRE(says("", "\"x\",\"x\"") == "the special token \"x\" stands twice");
  REQUIRE(says("", "\"\"") == "a special token is empty");
  REQUIRE(says("", "1") == "json: key \"special_tokens\": expected a string, found 1");
  std::string doubling = "[97,97]";                        // a file of 400 bytes that asks for 2^40
  for (int id = 256; id < 296; ++id) doubling += ",[" + std::to_string(id) + "," + std::to_string(id) + "]";
  REQUIRE(says(doubling) == "the texts of its tokens are longer than 67108864 bytes together");
  tricycle::write_file(path, R"({"tokeniser":"character","merges":[],"special_tokens":[]})");
  REQUIRE(refusal([&] { BPETokeniser::load(path); }) == "tokeniser: " + path + ": this is a \"character\" tokeniser, not a \"bpe\" one");
}

TEST_CASE("a tokeniser of any kind is loaded as what it was", "[bpe]") {
  ScratchFolder folder;
  std::string path = folder / "tokeniser.json";
  for (tricycle::Tokeniser tokeniser : {tricycle::Tokeniser(BPETokeniser::train("abab", 300)), tricycle::Tokeniser(tricycle::CharacterTokeniser::train("abab"))}) {
    tokeniser.save(path);
    auto same = tricycle::Tokeniser::load(path);
    REQUIRE(same.kind() == tokeniser.kind());
    REQUIRE(same.vocab_size() == tokeniser.vocab_size());
    REQUIRE(same.encode("abba") == tokeniser.encode("abba"));
    REQUIRE(same.decode(same.encode("abba")) == "abba");
  }
  tricycle::write_file(path, R"({"tokeniser":"words"})");
  REQUIRE(refusal([&] { tricycle::Tokeniser::load(path); }) == "tokeniser: " + path + ": key \"tokeniser\": \"words\" is neither \"character\" nor \"bpe\"");
}
