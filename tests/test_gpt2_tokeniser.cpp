// GPT-2's tokeniser gives the ids that Hugging Face's tokenizers gives (golden/tokeniser.py), and reads its files strictly.
#include <random>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/train/tokeniser.hpp"

using tricycle::GPT2Tokeniser;
using tricycle::Json;

namespace {

const Json& golden() {
  static const Json json = Json::parse(tricycle::read_file(TRICYCLE_GOLDEN "/tokeniser.json"));
  return json;
}

GPT2Tokeniser tokeniser() { return GPT2Tokeniser::from_json(golden()["tokenizer"]); }

/// Each string of the golden file and its ids.
template <class Use>
void each_case(Use use) {
  for (const Json& item : golden().get<Json::Array>("cases")) {
    const auto& pair = item.as<Json::Array>();
    std::vector<int> ids;
    for (const Json& id : pair[1].as<Json::Array>()) ids.push_back(id.as<int>());
    use(pair[0].as<std::string>(), ids);
  }
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0, end; at < text.size(); at = end) {
    end = tricycle::gpt2::word_end(text, at);
    words.push_back(text.substr(at, end - at));
  }
  return words;
}

bool holds_special(const std::string& text) {
  for (const Json& token : golden()["tokenizer"].get<Json::Array>("added_tokens"))
    if (text.find(token.get<std::string>("content")) != text.npos) return true;
  return false;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("gpt2: the ids are those of tokenizers", "[gpt2_tokeniser]") {
  auto tokens = tokeniser();
  REQUIRE(tokens.vocab_size() == 704);
  int n = 0;
  each_case([&](const std::string& text, const std::vector<int>& ids) {
    CAPTURE(text);
    REQUIRE(tokens.encode(text) == ids);
    REQUIRE(tokens.decode(ids) == text);
    if (!holds_special(text)) REQUIRE(tokens.encode_ordinary(text) == ids);
    ++n;
  });
  REQUIRE(n > 300);
  REQUIRE(tokens.encode("<|endoftext|>") == std::vector<int>{0});
  REQUIRE(tokens.encode_ordinary("<|endoftext|>").size() > 1);
  REQUIRE(tokens.decode(tokens.encode_ordinary("a<|endoftext|>")) == "a<|endoftext|>");
  REQUIRE(tokens.id_of("<|endoftext|>") == 0);
  REQUIRE(!tokens.id_of("<|nothing|>"));
}

TEST_CASE("gpt2: words are cut where the pattern cuts them", "[gpt2_tokeniser]") {
  REQUIRE(words("Hello world's 12x,  ok\n\n ") == Words{"Hello", " world", "'s", " 12", "x", ",", " ", " ok", "\n\n "});
  REQUIRE(words("we'll 'tis 'S ''s") == Words{"we", "'ll", " '", "tis", " '", "S", " ''", "s"});
  REQUIRE(words("'l'lll") == Words{"'", "l", "'ll", "l"});
  REQUIRE(words("a\n\nb\tc \n d") == Words{"a", "\n", "\n", "b", "\t", "c", " \n", " d"});
  REQUIRE(words("\u00a0x\u3000\u3000y") == Words{"\u00a0", "x", "\u3000", "\u3000", "y"});
  REQUIRE(words("é²½x 日本٣") == Words{"é", "²½", "x", " 日本", "٣"});
  REQUIRE(words("e\u0301a") == Words{"e", "\u0301", "a"});                             // a combining mark is no letter
  REQUIRE(words("a\xff\xe2\x82 b\xc3") == Words{"a", "\xff\xe2\x82", " b", "\xc3"});   // and neither is a byte that is no UTF-8
  REQUIRE(words(" ") == Words{" "});
  REQUIRE(words("").empty());
}

TEST_CASE("gpt2: any bytes come back", "[gpt2_tokeniser]") {
  auto tokens = tokeniser();
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string text(random() % 300, ' ');
    for (char& c : text) c = round % 2 ? static_cast<char>(random() % 256) : "a '\n\xc3\xa9\xe2\x80\xa8"[random() % 9];
    REQUIRE(tokens.decode(tokens.encode(text)) == text);
    REQUIRE(tokens.decode(tokens.encode_ordinary(text)) == text);
  }
  for (char c : {'a', ' ', '\n', '\'', '\xe2'}) REQUIRE(tokens.decode(tokens.encode(std::string(300000, c))) == std::string(300000, c));
  REQUIRE(refusal([&] { tokens.decode(std::vector<int>{0, 704}); }) == "tokeniser: id 704 at position 1 is not in [0, 704)");
}

TEST_CASE("gpt2: what is saved is the same", "[gpt2_tokeniser]") {
  ScratchFolder folder;
  auto tokens = tokeniser();
  tokens.save(folder / "a.json");
  auto again = tricycle::Tokeniser::load(folder / "a.json");
  REQUIRE(again.kind() == "gpt2");
  REQUIRE(again.vocab_size() == 704);
  again.save(folder / "b.json");
  REQUIRE(tricycle::read_file(folder / "a.json") == tricycle::read_file(folder / "b.json"));
  each_case([&](const std::string& text, const std::vector<int>& ids) { REQUIRE(again.encode(text) == ids); });
}

TEST_CASE("gpt2: vocab.json and merges.txt", "[gpt2_tokeniser]") {
  ScratchFolder folder;
  const Json& model = golden()["tokenizer"]["model"];
  std::string vocab = folder / "vocab.json", merges = folder / "merges.txt", lines;
  for (const Json& merge : model.get<Json::Array>("merges")) {
    const auto& pair = merge.as<Json::Array>();
    lines += pair[0].as<std::string>() + " " + pair[1].as<std::string>() + "\n";
  }
  tricycle::write_file(vocab, model["vocab"].dump());
  for (const std::string& text : {"#version: 0.2\n" + lines, lines, lines.substr(0, lines.size() - 1)}) {
    tricycle::write_file(merges, text);
    auto tokens = GPT2Tokeniser::load(vocab, merges);
    REQUIRE(tokens.vocab_size() == 700);                   // four of the special tokens are in tokenizer.json alone
    REQUIRE(tokens.encode("x<|endoftext|>y<|end|><|end").size() > 6);
    REQUIRE(tokens.encode("<|endoftext|><|end|>") == std::vector<int>{0, 1});
    each_case([&](const std::string& string, const std::vector<int>& ids) {
      if (!holds_special(string)) REQUIRE(tokens.encode(string) == ids);
    });
  }

  // What no merge makes and what does not stand for itself is decoded, but a text does not hold it.
  Json more = model["vocab"];
  more.set("Ġunmade", 700);
  tricycle::write_file(vocab, more.dump());
  auto tokens = GPT2Tokeniser::load(vocab, merges);
  REQUIRE(tokens.decode(std::vector<int>{700}) == " unmade");
  REQUIRE(tokens.decode(tokens.encode("Ġunmade")) == "Ġunmade");
  tricycle::write_file(vocab, model["vocab"].dump());

  auto says = [&](const std::string& text) {
    tricycle::write_file(merges, text);
    std::string sentence = refusal([&] { GPT2Tokeniser::load(vocab, merges); }), start = "tokeniser: " + merges + ": ";
    return sentence.starts_with(start) ? sentence.substr(start.size()) : sentence;
  };
  REQUIRE(says("e r\n\n") == "the line at byte 4 is not two tokens with a space between");
  REQUIRE(says("e r\ner\n") == "the line at byte 4 is not two tokens with a space between");
  REQUIRE(says("e r i\n") == "the line at byte 0 is not two tokens with a space between");
  REQUIRE(says("e r\n r\n") == "merge 1 has an empty token");
  REQUIRE(says("e r\ne r\n").find("are merged twice") != std::string::npos);
  REQUIRE(says("e r\nz qqq\n") == "merge 1, \"z\" and \"qqq\": \"qqq\" is not in the vocabulary");
  REQUIRE(says("e q\n") == "merge 0, \"e\" and \"q\": \"eq\" is not in the vocabulary");
  tricycle::write_file(vocab, R"({"a":0})");
  REQUIRE(refusal([&] { GPT2Tokeniser::load(vocab, merges); }) == "tokeniser: " + vocab + ": the byte 0, written \"Ā\", is not in the vocabulary");
}

TEST_CASE("gpt2: what GPT-2 does not do, tokenizer.json may not ask for", "[gpt2_tokeniser]") {
  const Json& good = golden()["tokenizer"];
  auto with = [](Json json, const char* key, const Json& value) { return json.set(key, value), json; };
  auto says = [&](const Json& json) { return refusal([&] { GPT2Tokeniser::from_json(json); }); };
  auto model_says = [&](const char* key, const Json& value) { return says(with(good, "model", with(good["model"], key, value))); };
  auto splits_says = [&](const char* key, const Json& value) { return says(with(good, "pre_tokenizer", with(good["pre_tokenizer"], key, value))); };
  auto token_says = [&](const char* key, const Json& value) {
    Json::Array tokens = good.get<Json::Array>("added_tokens");
    tokens.back() = with(tokens.back(), key, value);
    return says(with(good, "added_tokens", tokens));
  };
  REQUIRE(says(good).empty());
  REQUIRE(says(with(good, "normalizer", Json::object({{"type", "NFC"}}))) == "key \"normalizer\": GPT-2 has none");
  REQUIRE(says(with(good, "truncation", Json::object())) == "key \"truncation\": GPT-2 has none");
  REQUIRE(says(with(good, "decoder", Json())) == "its pre_tokenizer and its decoder are not both ByteLevel, as GPT-2's are");
  REQUIRE(says(with(good, "post_processor", Json::object({{"type", "Sequence"}}))) == "key \"post_processor\": it is not ByteLevel, as GPT-2's is, and adds something");
  auto the_text = Json::parse(R"({"Sequence": {"id": "A", "type_id": 0}})"), an_end = Json::parse(R"({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}})");
  auto template_says = [&](const Json::Array& parts) { return says(with(good, "post_processor", Json::object({{"type", "TemplateProcessing"}, {"single", parts}}))); };
  REQUIRE(template_says({the_text}).empty());
  for (const Json::Array& parts : {Json::Array{}, Json::Array{an_end}, Json::Array{the_text, an_end}}) REQUIRE(template_says(parts).find("adds something") != std::string::npos);
  REQUIRE(says(with(good, "post_processor", good["decoder"])).empty());
  REQUIRE(says(with(good, "more", 1)) == "json: key \"more\" is unknown");
  REQUIRE(splits_says("add_prefix_space", true) == "key \"add_prefix_space\": GPT-2 adds none");
  REQUIRE(splits_says("use_regex", false) == "key \"use_regex\": GPT-2 splits words");
  REQUIRE(splits_says("type", "Whitespace") == "its pre_tokenizer and its decoder are not both ByteLevel, as GPT-2's are");
  REQUIRE(model_says("type", "WordPiece") == "key \"type\": the model is not BPE");
  REQUIRE(model_says("dropout", 0.1) == "key \"dropout\": GPT-2 has none");
  REQUIRE(model_says("ignore_merges", true) == "key \"ignore_merges\": GPT-2 does not");
  REQUIRE(model_says("end_of_word_suffix", "</w>") == "key \"end_of_word_suffix\": GPT-2 has none");
  REQUIRE(model_says("end_of_word_suffix", "").empty());
  REQUIRE(model_says("merges", Json::Array{"e r", Json::Array{"Ġ", "t"}}).empty());           // both ways of writing them
  REQUIRE(model_says("merges", Json::Array{Json(Json::Array{"a"})}) == "key \"merges\": merge 0 has 1 tokens, not 2");
  REQUIRE(model_says("merges", Json::Array{"e r\nĠ t"}) == "key \"merges\": merge 0 is not two tokens with a space between");
  REQUIRE(model_says("merges", Json::Array{"e r", "er"}) == "key \"merges\": merge 1 is not two tokens with a space between");
  REQUIRE(model_says("vocab", with(good["model"]["vocab"], "e", 6)).find("is another token's too") != std::string::npos);
  REQUIRE(model_says("vocab", with(good["model"]["vocab"], "e", -1)) == "token \"e\": its id -1 is not in [0, 704), which is how many there are");
  REQUIRE(model_says("vocab", with(good["model"]["vocab"], "e", 704)) == "token \"e\": its id 704 is not in [0, 704), which is how many there are");
  REQUIRE(token_says("lstrip", true) == "special token \"ftext|>\": \"lstrip\" is not for GPT-2");
  REQUIRE(token_says("content", "<ÿ>") == "special token \"<ÿ>\": it is written like ordinary ones, in characters that stand for other bytes");
  REQUIRE(token_says("content", "<日>").empty());
  REQUIRE(token_says("id", 3).find("is another token's too") != std::string::npos);
  REQUIRE(token_says("content", "<|end") == "the token \"<|end\" is 700 and 703");
  REQUIRE(token_says("content", "<|endoftext|>") == "the token \"<|endoftext|>\" is 0 and 703");
}
