// GPT-2 in Hugging Face's naming: what `transformers` saved (golden/gpt2.py) is written back the same, comes in any of the ways
// such files are kept, and is refused where it does not fit. What it then says is in test_gpt.cpp.
#include <filesystem>
#include <list>
#include <map>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/train/gpt2_checkpoint.hpp"

using namespace tricycle;

namespace {

const std::string golden = TRICYCLE_GOLDEN "/gpt2";

/// The golden folder's tensors, to be kept otherwise or broken.
struct Kept {
  SafeTensorsFile file{golden + "/model.safetensors"};
  std::list<std::string> made;
  std::vector<SafeTensor> tensors = file.all();

  SafeTensor& operator[](std::string_view name) {
    for (auto& tensor : tensors)
      if (tensor.name == name) return tensor;
    throw std::runtime_error("no such tensor");
  }
  void erase(std::string_view name) { std::erase_if(tensors, [=](auto& tensor) { return tensor.name == name; }); }
  void add(const std::string& name, const char* dtype, const Shape& shape) {
    made.emplace_back(static_cast<std::size_t>(shape.size() * safetensors_width(dtype)), '\1');
    tensors.push_back({name, dtype, shape, made.back()});
  }
  void save(const ScratchFolder& folder) const {
    save_safetensors(folder / "model.safetensors", tensors);
    if (!file_exists(folder / "config.json")) std::filesystem::copy(golden + "/config.json", folder / "config.json");
  }
};

using Parameters = std::map<std::string, std::vector<float>>;

Parameters parameters(const GPT<float>& model) {
  Parameters all;
  model.each_parameter([&](const std::string& name, const Parameter& parameter) { all[name] = parameter.as<float>().to_vector(); });
  return all;
}
Parameters parameters(const std::string& folder) {
  GPT2Checkpoint checkpoint(folder);
  GPT<float> model(checkpoint.config());
  checkpoint.load(model);
  return parameters(model);
}

/// How far one is from another that has the same names.
float largest_difference(const Parameters& a, const Parameters& b) {
  REQUIRE(a.size() == b.size());
  float largest = 0;
  for (const auto& [name, numbers] : a)
    for (std::size_t i = 0; i < numbers.size(); ++i) largest = (std::max)(largest, std::abs(numbers[i] - b.at(name).at(i)));
  return largest;
}

/// A small model with weights to tell apart.
GPT<float> drawn(const GPTConfig& config) {
  seed(5);
  return GPT<float>(config, normal_initialiser(0.3), normal_initialiser(0.3));
}

std::string refusal_of(const std::string& folder) {
  return refusal([&] { GPT2Checkpoint checkpoint(folder); });
}

}  // namespace

TEST_CASE("GPT-2: what is saved is what was loaded, under the same names", "[gpt2]") {
  ScratchFolder folder;
  GPT2Checkpoint checkpoint(golden);
  GPT<float> model(checkpoint.config());
  checkpoint.load(model);
  save_gpt2(model, folder / "saved");
  SafeTensorsFile was(golden + "/model.safetensors"), is(folder / "saved/model.safetensors");
  REQUIRE(is.all().size() == was.all().size());
  for (const SafeTensor& tensor : was.all()) {
    INFO(tensor.name);
    REQUIRE((is[tensor.name].shape == tensor.shape && is[tensor.name].dtype == tensor.dtype && is[tensor.name].bytes == tensor.bytes));
  }
  REQUIRE(Json::object(is.metadata()).get<std::string>("format") == "pt");
  save_gpt2(model, folder / "saved");                    // again, over what is there
  REQUIRE(parameters(folder / "saved") == parameters(golden));
}

TEST_CASE("GPT-2: a head of its own is transposed, and has no bias", "[gpt2]") {
  ScratchFolder folder;
  auto model = drawn({.vocab_size = 260, .context_window = 12, .embedding_dim = 12, .n_heads = 3, .n_layers = 1, .tied = false, .bias = true});
  save_gpt2(model, folder.path());
  SafeTensorsFile file(folder / "model.safetensors");
  REQUIRE(file["lm_head.weight"].shape == Shape{260, 12});
  REQUIRE(file["lm_head.weight"].bytes.substr(0, 4) == std::string_view(reinterpret_cast<const char*>(model.head->weights.as<float>().data()), 4));
  REQUIRE(parameters(folder.path()) == parameters(model));
  model.head->bias->assign(ones({260}));
  REQUIRE(refusal([&] { save_gpt2(model, folder.path()); }) == "save: the head has a bias, for which there is no place in a GPT-2");
  auto rotary = drawn({.vocab_size = 5, .context_window = 4, .embedding_dim = 4, .n_heads = 1, .n_layers = 1, .positions = "rotary"});
  REQUIRE(refusal([&] { save_gpt2(rotary, folder.path()); }).ends_with("\"positions\":\"rotary\"} is no GPT-2"));
}

TEST_CASE("GPT-2: a model without biases is one whose biases are 0", "[gpt2]") {
  ScratchFolder folder;
  for (bool tied : {true, false}) {
    auto model = drawn({.vocab_size = 260, .context_window = 12, .embedding_dim = 12, .n_heads = 3, .n_layers = 2, .dropout = 0.25f, .tied = tied});
    save_gpt2(model, folder.path());
    auto mine = parameters(model);
    for (const auto& [name, numbers] : parameters(folder.path())) {
      INFO(name);
      REQUIRE(numbers == (mine.contains(name) ? mine[name] : std::vector<float>(numbers.size(), 0)));
      mine.erase(name);
    }
    REQUIRE(mine.empty());
    auto config = GPT2Checkpoint(folder.path()).config();
    REQUIRE((config.tied == tied && config.bias && config.dropout == 0.25f && config.n_heads == 3));
  }
}

TEST_CASE("GPT-2: names may lack their prefix, and masks and the head may be there", "[gpt2]") {
  ScratchFolder folder;
  Kept kept;
  for (auto& tensor : kept.tensors) tensor.name.erase(0, std::string_view("transformer.").size());
  for (const char* layer : {"h.0", "h.1"}) {
    kept.add(std::string(layer) + ".attn.bias", "F32", {1, 1, 16, 16});
    kept.add(std::string(layer) + ".attn.masked_bias", "F32", {});
  }
  kept.add("lm_head.weight", "F32", {260, 8});
  kept["lm_head.weight"].bytes = kept["wte.weight"].bytes;
  kept.save(folder);
  REQUIRE(parameters(folder.path()) == parameters(golden));
}

TEST_CASE("GPT-2: a model may lie in several files, in other precisions", "[gpt2]") {
  ScratchFolder folder;
  Kept kept, halves;
  std::erase_if(kept.tensors, [](auto& tensor) { return tensor.name.ends_with("weight"); });
  std::erase_if(halves.tensors, [](auto& tensor) { return !tensor.name.ends_with("weight"); });
  for (auto& tensor : halves.tensors) {
    Tensor<float> x(tensor.shape);
    std::memcpy(x.mutable_data(), tensor.bytes.data(), tensor.bytes.size());
    tensor = detail::as_safetensor(tensor.name, cast<half>(x));
  }
  save_safetensors(folder / "a.safetensors", kept.tensors);
  save_safetensors(folder / "b.safetensors", halves.tensors);
  std::filesystem::copy(golden + "/config.json", folder / "config.json");
  Json map = Json::object();
  for (const auto& tensor : kept.file.all()) map.set(tensor.name, tensor.name.ends_with("weight") ? "b.safetensors" : "a.safetensors");
  auto write_index = [&] { write_file(folder / "model.safetensors.index.json", Json::object({{"metadata", Json::object()}, {"weight_map", map}}).dump()); };
  write_index();
  const float difference = largest_difference(parameters(folder.path()), parameters(golden));
  REQUIRE((difference > 0 && difference < 2e-3f));

  const std::string index = folder / "model.safetensors.index.json";
  for (const char* elsewhere : {"../a.safetensors", "/etc/passwd", "a.bin"}) {
    map.set("x", elsewhere), write_index();
    REQUIRE(refusal_of(folder.path()) == index + ": key \"x\": \"" + elsewhere + "\" is no safetensors file in this folder");
  }
  map.set("x", "c.safetensors"), write_index();
  REQUIRE(refusal_of(folder.path()) == "file: cannot read " + folder / "c.safetensors: No such file or directory");
  map.set("x", 1), write_index();
  REQUIRE(refusal_of(folder.path()) == index + ": json: key \"x\": expected a string, found 1");
}

TEST_CASE("GPT-2: what does not fit is named", "[gpt2]") {
  ScratchFolder folder;
  const std::string file = "load: " + folder / "model.safetensors: tensor ";
  Kept kept;
  std::string expected;
  SECTION("missing") { kept.erase("transformer.h.1.ln_2.bias"), expected = "load: " + folder.path() + " has no tensor \"h.1.ln_2.bias\""; }
  SECTION("of another shape") {
    kept.erase("transformer.h.0.attn.c_attn.weight"), kept.add("transformer.h.0.attn.c_attn.weight", "F32", {24, 8});
    expected = file + "\"transformer.h.0.attn.c_attn.weight\" has shape (24, 8), but by config.json it is (8, 24)";
  }
  SECTION("of another type") {
    kept.erase("transformer.ln_f.bias"), kept.add("transformer.ln_f.bias", "I64", {8});
    expected = file + "\"transformer.ln_f.bias\" is I64, where F32, F64, BF16 or F16 is wanted";
  }
  SECTION("one too many") { kept.add("transformer.h.2.ln_1.bias", "F32", {8}), expected = file + "\"transformer.h.2.ln_1.bias\" is none of this GPT-2's"; }
  SECTION("another head") { kept.add("lm_head.weight", "F32", {260, 8}), expected = file + "\"lm_head.weight\" is none of this GPT-2's"; }
  SECTION("twice") { kept.add("wte.weight", "F32", {260, 8}), expected = file + "\"wte.weight\" stands twice in " + folder.path(); }
  kept.save(folder);
  REQUIRE(refusal_of(folder.path()) == expected);
}

TEST_CASE("GPT-2: a config.json that asks for what GPT-2 does not do is refused, and so is one of another size, before anything is allocated", "[gpt2]") {
  ScratchFolder folder;
  Kept().save(folder);
  const Json good = Json::parse(read_file(golden + "/config.json"));
  auto refusal_with = [&](const char* key, const Json& value) {
    Json config = good;
    config.set(key, value);
    write_file(folder / "config.json", config.dump());
    return refusal_of(folder.path());
  };
  const std::string path = folder / "config.json: ", lacks = "load: " + folder.path() + " has no tensor ";
  REQUIRE(refusal_with("n_inner", 32).empty());
  REQUIRE(refusal_with("n_inner", 16) == path + "key \"n_inner\": 16 is not GPT-2's 32");
  REQUIRE(refusal_with("model_type", "llama") == path + "key \"model_type\": \"llama\" is not \"gpt2\"");
  REQUIRE(refusal_with("activation_function", "relu") == path + "key \"activation_function\": \"relu\" is not GPT-2's \"gelu_new\"");
  REQUIRE(refusal_with("layer_norm_epsilon", 1e-6) == path + "key \"layer_norm_epsilon\": 1e-06 is not GPT-2's 1e-05");
  REQUIRE(refusal_with("scale_attn_by_inverse_layer_idx", true) == path + "key \"scale_attn_by_inverse_layer_idx\": true is not GPT-2's false");
  REQUIRE(refusal_with("n_head", 0) == path + "key \"n_head\": 0 is not above 0");
  REQUIRE(refusal_with("n_head", 3) == path + "key \"n_head\": 8 numbers do not divide into 3 heads");
  REQUIRE(refusal_with("n_embd", "8") == path + "json: key \"n_embd\": expected a whole number, found \"8\"");
  REQUIRE(refusal_with("resid_pdrop", 1) == path + "key \"resid_pdrop\": a probability of 1");
  REQUIRE(refusal_with("n_layer", 2147483647) == lacks + "\"h.2.ln_1.weight\"");
  REQUIRE(refusal_with("tie_word_embeddings", false) == lacks + "\"lm_head.weight\"");
  REQUIRE(refusal_with("n_embd", 2147483646).find("has shape (260, 8), but by config.json it is (260, 2147483646)") != std::string::npos);
  REQUIRE(refusal_with("n_layer", 1).find("\"transformer.h.1.attn.c_attn.bias\" is none of this GPT-2's") != std::string::npos);

  write_file(folder / "config.json", good.dump());
  GPT<float> model({.vocab_size = 260, .context_window = 16, .embedding_dim = 8, .n_heads = 4, .n_layers = 2, .bias = true});
  REQUIRE(refusal([&] { GPT2Checkpoint(folder.path()).load(model); }).find("holds a GPT of {") != std::string::npos);
  std::filesystem::remove(folder / "model.safetensors");
  REQUIRE(refusal_of(folder.path()) == "load: " + folder.path() + " holds no weights: there is no " + folder / "model.safetensors");
  write_file(folder / "config.json", "{\"training\":{}}");
  REQUIRE_FALSE(holds_gpt2(folder.path()));
  REQUIRE(refusal([&] { save_gpt2(model, folder.path()); }) == "save: " + folder.path() + " holds another model: " + folder / "config.json is not GPT-2's");
}
