// Models in files, and back.
#include <cstring>
#include <numeric>
#include "catch.hpp"
#include "pair.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

TEMPLATE_TEST_CASE("a file of 16-bit numbers comes back to the bit, into masters and not into an optimiser's memory", "", bf16, half) {
  using tricycle::detail::as_safetensor, tricycle::detail::with_floating;
  using Entries = std::vector<SafeTensor>;
  ScratchFolder folder;
  const std::string path = folder / "weights.safetensors", dtype = safetensors_dtype<TestType>();
  std::vector<std::uint16_t> all(0x10000);
  std::iota(all.begin(), all.end(), std::uint16_t{0});
  Tensor<TestType> every(Shape{0x10000}), some = to_tensor<TestType>({0.1f, 5e-6f});
  std::memcpy(static_cast<void*>(every.mutable_data()), all.data(), 0x20000);
  save_safetensors(path, Entries{as_safetensor("every", every)});
  SafeTensorsFile file(path);
  CHECK(file["every"].dtype == dtype);
  with_floating(file, file["every"], [&]<class T>(const Tensor<T>& back) {
    CHECK((std::same_as<T, TestType> && std::memcmp(back.data(), all.data(), 0x20000) == 0));
  });

  Pair layer;
  save_safetensors(path, Entries{as_safetensor("a", some), as_safetensor("b", some)});
  load_model(layer, path);
  CHECK(layer.a.as<float>().to_vector() == std::vector<float>{some.at(0), some.at(1)});
  const std::int64_t t = 1;
  save_safetensors(path, Entries{as_safetensor("a#0", some), {"a#t", "I64", Shape{}, {reinterpret_cast<const char*>(&t), sizeof t}}});
  CHECK(refusal([&] { load_memory(SafeTensorsFile(path)); }).find("tensor \"a#0\" is " + dtype + ", where F32 or F64 is wanted") != std::string::npos);
}

TEST_CASE("a checkpoint holds all of a model and of its optimiser, and nothing else fits") {
  ScratchFolder folder;
  std::string path = folder / "model.safetensors";
  seed(6);
  const GPTConfig config{.vocab_size = 7, .context_window = 4, .embedding_dim = 8, .n_heads = 2, .n_layers = 1};
  GPT<float> model(config), other(config);
  AdamW optimiser;
  model.loss(to_tensor<int>({{1, 2}}), to_tensor<int>({{2, 3}})).backward();
  model.update(optimiser);

  save_model(model, path);
  load_model(other, path);
  CHECK(model(to_tensor<int>({{1, 2, 3}})).to_vector() == other(to_tensor<int>({{1, 2, 3}})).to_vector());

  auto entries = model_entries(model, "model.");
  for (auto& entry : memory_entries(optimiser.memory, "optimiser.")) entries.push_back(entry);
  save_safetensors(path, entries);
  SafeTensorsFile both(path);
  load_model(other, both, "model.");
  Memory memory = load_memory(both, "optimiser.");
  CHECK(memory.size() == optimiser.memory.size());
  for (auto& [name, moments] : optimiser.memory) {
    CHECK(memory[name].t.item() == 1);
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(std::get<Owned<float>>(memory[name].numbers.at(i)).to_vector() == std::get<Owned<float>>(moments.numbers[i]).to_vector());
  }

  GPT<float> wider({.vocab_size = 8, .context_window = 4, .embedding_dim = 8, .n_heads = 2, .n_layers = 1});
  auto before = wider.token_embedding.weights.as<float>().to_vector();
  CHECK(refusal([&] { load_model(wider, both, "model."); }).find("tensor \"model.token_embedding.weights\" has shape (7, 8), but the model's has (8, 8)") != std::string::npos);
  CHECK(wider.token_embedding.weights.as<float>().to_vector() == before);
  CHECK(refusal([&] { load_model(other, both); }).find("no tensor \"token_embedding.weights\"") != std::string::npos);
  GPT<float> deeper({.vocab_size = 7, .context_window = 4, .embedding_dim = 8, .n_heads = 2, .n_layers = 2});
  save_model(deeper, path);
  CHECK(refusal([&] { load_model(other, path); }).find("the model has no parameter \"blocks.1.") != std::string::npos);
  CHECK_FALSE(refusal([&] { load_memory(SafeTensorsFile(path)); }).empty());

  CHECK(to_json(gpt_config(to_json(config))).dump() == to_json(config).dump());
  const GPTConfig modern{.bias = false, .activation = "swiglu", .norm = "rms_norm", .positions = "rotary"};
  CHECK(to_json(gpt_config(to_json(modern))).dump() == to_json(modern).dump());
  const auto older = gpt_config(Json::parse(R"({"vocab_size": 7, "context_window": 4, "embedding_dim": 8, "n_heads": 2, "n_layers": 1, "dropout": 0, "tied": true, "bias": false})"));
  CHECK(to_json(older).dump() == to_json(config).dump());
  CHECK(to_json(training_config(to_json(debug_config()))).dump() == to_json(debug_config()).dump());
  CHECK(refusal([&] { gpt_config(Json::parse(R"({"vocab_size": "many"})")); }).find("vocab_size") != std::string::npos);
  CHECK_THROWS_AS(named_config("huge"), Error);
}
