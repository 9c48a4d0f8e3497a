// Models and optimisers in files, and back, to the bit.
#pragma once
#include "tricycle/io/safetensors.hpp"
#include "tricycle/nn/gpt.hpp"
#include "tricycle/train/optimisers.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <Element T>
SafeTensor as_safetensor(std::string name, const Tensor<T>& x) {
  return {std::move(name), safetensors_dtype<T>(), x.shape(), {reinterpret_cast<const char*>(x.data()), static_cast<std::size_t>(x.size()) * sizeof(T)}};
}

/// f(numbers) with the type that a file's tensor has. Throws when that is not a floating type.
template <class F>
decltype(auto) with_floating(const SafeTensor& entry, F f) {
  auto as = [&]<class T>(T) {
    Tensor<T> x(entry.shape);
    std::memcpy(x.mutable_data(), entry.bytes.data(), entry.bytes.size());
    return f(x);
  };
  if (entry.dtype == "F32") return as(float{});
  if (entry.dtype == "F64") return as(double{});
  if (entry.dtype == "BF16") return as(bf16{});
  fail("safetensors: tensor \"", entry.name, "\" is ", entry.dtype, ", where F32, F64 or BF16 is wanted");
}

}  // namespace detail

/// Writes every parameter of a model under its name: whole, or not at all.
template <class Model>
void save_model(const Model& model, const std::string& path) {
  std::vector<SafeTensor> entries;
  model.each_parameter([&](const std::string& name, const Parameter& parameter) {
    parameter.visit([&](auto& x) { entries.push_back(detail::as_safetensor(name, x)); });
  });
  save_safetensors(path, entries);
}

/// Reads every parameter of a model. Throws, with the model as it was, when one is missing, of another shape or too many.
template <class Model>
void load_model(Model& model, const std::string& path) {
  SafeTensorsFile file(path);
  std::size_t known = 0;
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    const SafeTensor& entry = file[name];
    check(entry.shape == parameter.shape(), "load: ", path, ": tensor \"", name, "\" has shape ", entry.shape, ", but the model's has ", parameter.shape());
    check(entry.dtype == "F32" || entry.dtype == "F64" || entry.dtype == "BF16", "load: ", path, ": tensor \"", name, "\" is ", entry.dtype, ", where F32, F64 or BF16 is wanted");
    ++known;
  });
  for (const SafeTensor& entry : file.all()) {
    bool wanted = false;
    if (known != file.all().size()) model.each_parameter([&](const std::string& name, const Parameter&) { wanted = wanted || name == entry.name; });
    check(wanted || known == file.all().size(), "load: ", path, ": the model has no parameter \"", entry.name, "\"");
  }
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    detail::with_floating(file[name], [&](auto& numbers) { parameter.assign(numbers); });
  });
}

/// What an optimiser remembers, as entries of a file: "NAME#0", "NAME#1", … and how often each was moved in "NAME#t".
inline std::vector<SafeTensor> memory_entries(const Memory& memory) {
  std::vector<SafeTensor> entries;
  for (const auto& [name, moments] : memory) {
    for (std::size_t i = 0; i < moments.numbers.size(); ++i)
      std::visit([&](auto& x) { entries.push_back(detail::as_safetensor(name + "#" + std::to_string(i), x)); }, moments.numbers[i]);
    entries.push_back({name + "#t", "I64", Shape{}, {reinterpret_cast<const char*>(&moments.t), sizeof moments.t}});
  }
  return entries;
}

inline void save_memory(const Memory& memory, const std::string& path) { save_safetensors(path, memory_entries(memory)); }

/// Throws when the file does not hold an optimiser's memory; that it fits the model shows at the next update.
inline Memory load_memory(const std::string& path) {
  SafeTensorsFile file(path);
  Memory memory;
  for (const SafeTensor& entry : file.all())
    if (entry.name.ends_with("#t")) {
      check(entry.dtype == "I64" && entry.shape == Shape{}, "load: ", path, ": tensor \"", entry.name, "\" is not one I64");
      std::memcpy(&memory[entry.name.substr(0, entry.name.size() - 2)].t, entry.bytes.data(), sizeof(Index));
    }
  std::size_t known = memory.size();
  for (auto& [name, moments] : memory)
    for (std::size_t i = 0; const SafeTensor* entry = file.find(name + "#" + std::to_string(i)); ++i, ++known)
      detail::with_floating(*entry, [&]<class T>(const Tensor<T>& x) {
        if constexpr (!std::same_as<T, bf16>) moments.numbers.emplace_back(x);
        else fail("load: ", path, ": tensor \"", entry->name, "\" is BF16, where F32 or F64 is wanted");
      });
  check(known == file.all().size(), "load: ", path, " holds tensors that are no optimiser's memory");
  return memory;
}

/// A GPT's configuration as JSON, and back. Throws for a key that is missing, unknown or of another type.
inline Json to_json(const GPTConfig& c) {
  return Json::object({{"vocab_size", c.vocab_size}, {"context_window", c.context_window}, {"embedding_dim", c.embedding_dim}, {"n_heads", c.n_heads},
                       {"n_layers", c.n_layers}, {"dropout", c.dropout}, {"tied", c.tied}, {"bias", c.bias}});
}
inline GPTConfig gpt_config(const Json& json) {
  json.allow_only({"vocab_size", "context_window", "embedding_dim", "n_heads", "n_layers", "dropout", "tied", "bias"});
  return {.vocab_size = json.get<Index>("vocab_size"), .context_window = json.get<Index>("context_window"), .embedding_dim = json.get<Index>("embedding_dim"),
          .n_heads = json.get<Index>("n_heads"), .n_layers = json.get<Index>("n_layers"), .dropout = json.get<float>("dropout"),
          .tied = json.get<bool>("tied"), .bias = json.get<bool>("bias")};
}

}
}  // namespace tricycle
