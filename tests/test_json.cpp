// JSON: what RFC 8259 allows is read, all else is refused with its byte, and nothing is lost in writing.
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/io/json.hpp"

using tricycle::Json;

namespace {

std::string again(const std::string& text) { return Json::parse(text).dump(); }
std::string refusal_of(const std::string& text) {
  return refusal([&] { Json::parse(text); });
}

}  // namespace

TEST_CASE("json: what the grammar allows is read", "[json]") {
  REQUIRE(again(" null\n") == "null");
  REQUIRE(again("[true,false , null\r\n,\t-0.5e+1]") == "[true,false,null,-5]");
  REQUIRE(again(R"({ "b" : [ ] , "a" : { } , "" : "" })") == R"({"b":[],"a":{},"":""})");   // in the order written
  REQUIRE(again(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00")") == "\"\\\"\\\\/\\u0008\\u000c\\n\\u000d\\tAé€😀\"");
  REQUIRE(Json::parse(R"("a\u0000b")").as<std::string>() == std::string("a\0b", 3));
  REQUIRE(again("\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"") == "\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"");
  REQUIRE(again(std::string(129, '[') + std::string(129, ']')).size() == 258);
}

TEST_CASE("json: what the grammar does not allow is refused with its byte", "[json]") {
  auto at = [](const std::string& text, const char* what, std::size_t byte) {
    CAPTURE(text);
    REQUIRE(refusal_of(text) == "json: " + std::string(what) + " at byte " + std::to_string(byte));
  };
  at("", "the text ends where a value should be", 0);
  at("[1,", "the text ends where a value should be", 3);
  for (const char* word : {"nul", "True", "NaN", "Infinity", "+1", ".5", "'a'", "/**/1", "\xef\xbb\xbf" "1", "]", "\v1"}) at(word, "no value", 0);
  at(std::string("\0", 1), "no value", 0);
  at("nullx", "something after the value", 4);
  at("1 2", "something after the value", 2);
  at("[1,]", "no value", 3);
  at("[1 2]", "no , or ] after an item", 3);
  at("[1", "no , or ] after an item", 2);
  at("{\"a\":1,}", "no key", 7);
  at("{a:1}", "no key", 1);
  at("{\"a\" 1}", "no : after a key", 5);
  at("{\"a\":1 \"b\":2}", "no , or } after a member", 7);
  at(R"({"a":1,"b":2,"a":3})", "key \"a\" stands twice in the object that ends", 19);
  at("01", "a number with a leading 0", 1);
  at("-01", "a number with a leading 0", 2);
  for (const char* number : {"-", "1.", "1e", "1e+", "1.e5", "-x"}) REQUIRE(refusal_of(number).find("no digit at byte") != std::string::npos);
  at("1e309", "a number that no double can hold", 0);
  at("-1e999999999999999999999", "a number that no double can hold", 0);
  at("1e-400", "a number that no double can hold", 0);     // it would read as 0
  at("0x10", "something after the value", 1);
  at("\"a", "the text ends in a string", 2);
  at("\"a\n\"", "a control character in a string", 2);
  at(R"("\x")", "an unknown escape", 2);
  at(R"("\)", "an unknown escape", 2);
  at(R"("\u12g4")", "no four hexadecimal digits", 3);
  at(R"("\u-123")", "no four hexadecimal digits", 3);
  at(R"("\u12)", "no four hexadecimal digits", 3);
  for (const char* half : {R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")", R"("\udc00")"}) {
    REQUIRE(refusal_of(half).find("half a surrogate pair at byte") != std::string::npos);
  }
  // A lone continuation, overlong forms, a surrogate, past U+10FFFF, cut short.
  for (const char* bytes : {"\x80", "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82"}) {
    std::string text = "\"";
    at(text += bytes, "no UTF-8", 1);
    at(text += '"', "no UTF-8", 1);
  }
  at(std::string(200'000, '['), "more than 128 levels", 129);
}

TEST_CASE("json: numbers are exact", "[json]") {
  REQUIRE(Json::parse("9223372036854775807").as<std::int64_t>() == std::numeric_limits<std::int64_t>::max());
  REQUIRE(again("-9223372036854775808") == "-9223372036854775808");
  REQUIRE(Json::parse("9223372036854775808").as<double>() == 9223372036854775808.0);
  REQUIRE(std::signbit(Json::parse("-0").as<double>()));
  REQUIRE(again("-0") == "-0");
  REQUIRE(Json::parse("7").as<float>() == 7.0f);
  REQUIRE(Json(0.1).dump() == "0.1");
  REQUIRE(Json(5e-324).dump() == "5e-324");
  REQUIRE(Json(1e-3f).dump() == "0.001");                // not 0.0010000000474974513
  for (float most : {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()}) {
    REQUIRE(Json(most).as<float>() == most);             // written as 3.4028235e+38, which is a little more
    REQUIRE(Json::parse(Json(most).dump()).as<float>() == most);
  }
  REQUIRE(refusal([] { Json::parse("3.4028236e38").as<float>(); }) == "json: expected a number within float32, found 3.4028236e+38");
  REQUIRE(Json(std::numeric_limits<double>::max()).as<double>() == std::numeric_limits<double>::max());
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    auto x = std::bit_cast<double>(random());
    auto y = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(x)) REQUIRE(Json::parse(Json(x).dump()).as<double>() == x);
    if (std::isfinite(y)) REQUIRE(Json::parse(Json(y).dump()).as<float>() == y);
  }
  REQUIRE(refusal([] { Json(std::nan("")); }) == "json: nan cannot be written, only finite numbers can");
  REQUIRE(refusal([] { Json(-std::numeric_limits<float>::infinity()); }) == "json: -inf cannot be written, only finite numbers can");
  REQUIRE(refusal([] { Json(~0ull); }) == "json: 18446744073709551615 does not fit in 64 bits with a sign");
}

TEST_CASE("json: members are read as what they are, and named when they are something else", "[json]") {
  Json json = Json::parse(R"({"n_layers":"abc","width":128,"lr":1e-3,"tied":true,"name":"é","sizes":[1,2],"part":{"x":null}})");
  REQUIRE(json.get<int>("width") == 128);
  REQUIRE(json.get<float>("lr") == 1e-3f);
  REQUIRE(json.get<bool>("tied"));
  REQUIRE(json.get<std::string>("name") == "é");
  REQUIRE(json.get<Json::Array>("sizes")[1].as<int>() == 2);
  REQUIRE(json["part"]["x"].is_null());
  REQUIRE(&json.get<Json::Object>("part") == &json["part"].as<Json::Object>());
  REQUIRE(json.get<int>("depth", 7) == 7);
  REQUIRE(json.get<int>("width", 7) == 128);
  REQUIRE(json.find("depth") == nullptr);

  auto says = [&](auto attempt, const char* sentence) { REQUIRE(refusal(attempt) == sentence); };
  says([&] { json.get<int>("n_layers"); }, R"(json: key "n_layers": expected a whole number, found "abc")");
  says([&] { json.get<int>("n_layers", 3); }, R"(json: key "n_layers": expected a whole number, found "abc")");
  says([&] { json.get<int>("lr"); }, R"(json: key "lr": expected a whole number, found 0.001)");
  says([&] { json.get<std::int8_t>("width"); }, R"(json: key "width": expected a whole number from -128 to 127, found 128)");
  says([&] { json.get<double>("tied"); }, R"(json: key "tied": expected a number, found true)");
  says([&] { json.get<bool>("width"); }, R"(json: key "width": expected true or false, found 128)");
  says([&] { json.get<std::string>("sizes"); }, R"(json: key "sizes": expected a string, found an array)");
  says([&] { json.get<Json::Array>("part"); }, R"(json: key "part": expected an array, found an object)");
  says([&] { json.get<Json::Object>("name"); }, R"(json: key "name": expected an object, found "é")");
  says([&] { json.get<int>("depth"); }, R"(json: key "depth" is missing)");
  says([&] { json["sizes"]["x"]; }, "json: expected an object, found an array");
  says([&] { Json(-1).as<unsigned>(); }, "json: expected a whole number from 0 to 4294967295, found -1");
  says([&] { Json(1e300).as<float>(); }, "json: expected a number within float32, found 1e+300");
  says([&] { json.allow_only({"n_layers", "width", "lr", "tied", "name", "sizes"}); }, R"(json: key "part" is unknown)");

  std::string many(100, 'a');
  for (int i = 0; i < 100; ++i) many += "é";
  REQUIRE(refusal([&] { Json(many).as<int>(); }) == "json: expected a whole number, found \"" + many.substr(0, 59) + "...");
  REQUIRE(refusal([&] { Json(many.substr(100)).as<int>(); }) == "json: expected a whole number, found \"" + many.substr(100, 58) + "...");
}

TEST_CASE("json: values are made and written", "[json]") {
  Json part = Json::object({{"x", true}});
  Json::Array sizes{1, "two", Json()};
  Json json = Json::object({{"step", 250}, {"val_loss", 1.9075f}, {"sizes", sizes}, {"part", part}, {"none", Json::object()}});
  REQUIRE(json.dump() == R"({"step":250,"val_loss":1.9075,"sizes":[1,"two",null],"part":{"x":true},"none":{}})");
  REQUIRE(json.dump(2) == "{\n  \"step\": 250,\n  \"val_loss\": 1.9075,\n  \"sizes\": [1, \"two\", null],\n  \"part\": {\n    \"x\": true\n  },\n  \"none\": {}\n}");
  REQUIRE(again(json.dump(2)) == json.dump());
  json.set("step", "last");
  json.set("new", Json::Array());
  REQUIRE(json["step"].as<std::string>() == "last");
  REQUIRE(json.as<Json::Object>().back().first == "new");
  Json built;
  built.set("a", 1);
  REQUIRE(built.dump() == "{\"a\":1}");
  REQUIRE(refusal([] { Json(1).set("a", 1); }) == "json: expected an object, found 1");
  REQUIRE(refusal([] { Json::object({{"a", 1}, {"a", 2}}); }) == "json: key \"a\" stands twice");
  REQUIRE(refusal([] { Json("ab\xff").dump(); }) == "json: a string is not UTF-8 at its byte 2");
}

TEST_CASE("json: cut anywhere it is refused", "[json]") {
  std::string whole = R"({"a":[1.5e3,true,null,"é\n\ud83d\ude00"],"b":{"c":-0}})";
  REQUIRE(refusal_of(whole).empty());
  for (std::size_t n = 0; n < whole.size(); ++n) REQUIRE(refusal_of(whole.substr(0, n)).starts_with("json: "));
}
