// Models and optimisers in files, and back, to the bit.
#pragma once
#include "tricycle/io/safetensors.hpp"
#include "tricycle/nn/gpt.hpp"
#include "tricycle/train/configs.hpp"
#include "tricycle/train/loss_scale.hpp"
#include "tricycle/train/optimisers.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace detail {

template <Element T>
SafeTensor as_safetensor(std::string name, const Tensor<T>& x) {
  auto here = std::make_shared<const Tensor<T>>(x.detach().from_gpu());
  return {std::move(name), safetensors_dtype<T>(), x.shape(), {reinterpret_cast<const char*>(here->data()), static_cast<std::size_t>(x.size()) * sizeof(T)}, here};
}

[[noreturn]] inline void refuse_type(const SafeTensorsFile& file, const SafeTensor& entry, const char* wanted) {
  fail("load: ", file.name(), ": tensor \"", entry.name, "\" is ", entry.dtype, ", where ", wanted, " is wanted");
}

inline constexpr const char* floating_types = "F32, F64, BF16 or F16";

/// Throws when a file's tensor does not hold floating numbers.
inline void check_floating(const SafeTensorsFile& file, const SafeTensor& entry) {
  for (const char* floating : {"F32", "F64", "BF16", "F16"})
    if (entry.dtype == floating) return;
  refuse_type(file, entry, floating_types);
}

/// f(numbers) with the type that a file's tensor has. Throws when that is none of Ts, which are called `wanted`.
template <Element... Ts, class F>
void with_type(const SafeTensorsFile& file, const SafeTensor& entry, const char* wanted, F f) {
  auto as = [&]<class T>(T) {
    if (entry.dtype != safetensors_dtype<T>()) return false;
    Tensor<T> x(entry.shape);
    std::memcpy(x.mutable_data(), entry.bytes.data(), entry.bytes.size());
    f(x);
    return true;
  };
  if (!(as(Ts{}) || ...)) refuse_type(file, entry, wanted);
}
template <class F>
void with_floating(const SafeTensorsFile& file, const SafeTensor& entry, F f) {
  with_type<float, double, bf16, half>(file, entry, floating_types, f);
}

}  // namespace detail

/// Every parameter of a model as an entry of a file, under its name behind a prefix. On the CPU the bytes stay the model's;
/// from a GPU they are copied, and what a kernel has found wrong is thrown.
template <class Model>
std::vector<SafeTensor> model_entries(const Model& model, const std::string& prefix = "") {
  std::vector<SafeTensor> entries;
  model.each_parameter([&](const std::string& name, const Parameter& parameter) {
    parameter.visit([&](auto& x) { entries.push_back(detail::as_safetensor(prefix + name, x)); });
  });
  return entries;
}

/// Reads every parameter of a model from a file's entries with a prefix. Throws, with the model as it was, when one is
/// missing, of another shape or one too many.
template <class Model>
void load_model(Model& model, const SafeTensorsFile& file, const std::string& prefix = "") {
  std::vector<std::pair<Parameter*, const SafeTensor*>> found;
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    const SafeTensor& entry = file[prefix + name];
    check(entry.shape == parameter.shape(), "load: ", file.name(), ": tensor \"", entry.name, "\" has shape ", entry.shape, ", but the model's has ", parameter.shape());
    detail::check_floating(file, entry);
    found.emplace_back(&parameter, &entry);
  });
  for (const SafeTensor& entry : file.all())
    check(!entry.name.starts_with(prefix) || std::any_of(found.begin(), found.end(), [&](auto& pair) { return pair.second == &entry; }),
          "load: ", file.name(), ": the model has no parameter \"", entry.name, "\"");
  for (auto [parameter, entry] : found) detail::with_floating(file, *entry, [p = parameter](auto& numbers) { p->assign(numbers); });
}

/// Writes a model: whole, or not at all.
template <class Model>
void save_model(const Model& model, const std::string& path) { save_safetensors(path, model_entries(model)); }
template <class Model>
void load_model(Model& model, const std::string& path) { load_model(model, SafeTensorsFile(path)); }

template <class Derived> void Layer<Derived>::save(const std::string& path) const { save_model(self(), path); }
template <class Derived> void Layer<Derived>::load(const std::string& path) { load_model(self(), path); }

/// What an optimiser remembers of each parameter, as entries "NAME#0", "NAME#1", … and "NAME#t": how often it was moved.
inline std::vector<SafeTensor> memory_entries(const Memory& memory, const std::string& prefix = "") {
  std::vector<SafeTensor> entries;
  for (const auto& [name, moments] : memory) {
    for (std::size_t i = 0; i < moments.numbers.size(); ++i)
      std::visit([&, &name = name](auto& x) { entries.push_back(detail::as_safetensor(prefix + name + "#" + std::to_string(i), x)); }, moments.numbers[i]);
    entries.push_back(detail::as_safetensor(prefix + name + "#t", moments.t));
  }
  return entries;
}

/// An optimiser's memory from a file's entries with a prefix; that it fits the model shows at the next update. Throws when
/// the entries are not of that kind.
inline Memory load_memory(const SafeTensorsFile& file, const std::string& prefix = "") {
  Memory memory;
  std::size_t known = 0;
  for (const SafeTensor& entry : file.all()) {
    if (!entry.name.starts_with(prefix) || !entry.name.ends_with("#t")) continue;
    check(entry.dtype == "I64" && entry.shape == Shape{}, "load: ", file.name(), ": tensor \"", entry.name, "\" is not one I64");
    std::string name = entry.name.substr(prefix.size(), entry.name.size() - prefix.size() - 2);
    Moments& moments = memory[name];
    std::memcpy(moments.t.mutable_data(), entry.bytes.data(), sizeof(Index));
    check(moments.t.item() >= 0, "load: ", file.name(), ": tensor \"", entry.name, "\" is ", moments.t.item(), ", which counts nothing");
    for (++known; const SafeTensor* numbers = file.find(prefix + name + "#" + std::to_string(moments.numbers.size())); ++known)
      detail::with_type<float, double>(file, *numbers, "F32 or F64", [&](auto& x) { moments.numbers.emplace_back(x); });
  }
  auto mine = [&](const SafeTensor& entry) { return entry.name.starts_with(prefix); };
  check(std::cmp_equal(known, std::count_if(file.all().begin(), file.all().end(), mine)), "load: ", file.name(), " holds tensors that are no optimiser's memory");
  return memory;
}

/// The state of a loss scale as one entry of a file, and back. Throws for an entry that is none.
inline SafeTensor loss_scale_entry(const LossScale& scale, std::string name = "loss_scale") { return detail::as_safetensor(std::move(name), scale.saved()); }
inline void load_loss_scale(LossScale& scale, const SafeTensorsFile& file, const std::string& name = "loss_scale") {
  detail::with_type<double>(file, file[name], "F64", [&](auto& saved) { scale.restore(saved); });
}

/// A GPT's configuration as JSON, and back. Throws for a key that is missing, unknown or of another type; the last three may be
/// missing, as from older files.
inline Json to_json(const GPTConfig& c) {
  return Json::object({{"vocab_size", c.vocab_size}, {"context_window", c.context_window}, {"embedding_dim", c.embedding_dim}, {"n_heads", c.n_heads},
                       {"n_layers", c.n_layers}, {"dropout", c.dropout}, {"tied", c.tied}, {"bias", c.bias},
                       {"activation", c.activation}, {"norm", c.norm}, {"positions", c.positions}});
}
inline GPTConfig gpt_config(const Json& json) {
  json.allow_only({"vocab_size", "context_window", "embedding_dim", "n_heads", "n_layers", "dropout", "tied", "bias", "activation", "norm", "positions"});
  const GPTConfig usual;
  GPTConfig c{.vocab_size = json.get<Index>("vocab_size"), .context_window = json.get<Index>("context_window"), .embedding_dim = json.get<Index>("embedding_dim"),
          .n_heads = json.get<Index>("n_heads"), .n_layers = json.get<Index>("n_layers"), .dropout = json.get<float>("dropout"),
          .tied = json.get<bool>("tied"), .bias = json.get<bool>("bias"),
          .activation = json.get<std::string>("activation", usual.activation), .norm = json.get<std::string>("norm", usual.norm),
          .positions = json.get<std::string>("positions", usual.positions)};
  check_names(c);
  return c;
}

/// How a GPT is trained, as JSON and back; with the model's configuration under "model".
inline Json to_json(const TrainingConfig& c) {
  return Json::object({{"model", to_json(c.model)}, {"steps", c.steps}, {"batch", c.batch}, {"accumulate", c.accumulate}, {"warm_up", c.warm_up},
                       {"eval_every", c.eval_every}, {"learning_rate", c.learning_rate}, {"least_learning_rate", c.least_learning_rate}, {"beta_1", c.beta_1},
                       {"beta_2", c.beta_2}, {"weight_decay", c.weight_decay}, {"clip", c.clip}, {"seed", c.seed}, {"precision", c.precision}});
}
inline TrainingConfig training_config(const Json& json) {
  json.allow_only({"model", "steps", "batch", "accumulate", "warm_up", "eval_every", "learning_rate", "least_learning_rate", "beta_1", "beta_2", "weight_decay", "clip", "seed", "precision"});
  return {.model = gpt_config(json["model"]), .steps = json.get<Index>("steps"), .batch = json.get<Index>("batch"), .accumulate = json.get<Index>("accumulate"),
          .warm_up = json.get<Index>("warm_up"), .eval_every = json.get<Index>("eval_every"), .learning_rate = json.get<double>("learning_rate"),
          .least_learning_rate = json.get<double>("least_learning_rate"), .beta_1 = json.get<double>("beta_1"), .beta_2 = json.get<double>("beta_2"),
          .weight_decay = json.get<double>("weight_decay"), .clip = json.get<double>("clip"), .seed = json.get<Index>("seed"), .precision = json.get<std::string>("precision")};
}

}
}  // namespace tricycle
