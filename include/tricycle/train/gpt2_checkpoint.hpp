// GPT-2 as Hugging Face keeps it: a folder with config.json and model.safetensors, read into a GPT and written from one.
#pragma once
#include <algorithm>
#include <list>
#include <map>
#include <set>
#include "tricycle/op/layout.hpp"
#include "tricycle/train/checkpoint.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace gpt2 {

inline constexpr std::string_view prefix = "transformer.";       // before all names but the head's, in some files

/// f(our name, theirs, their shape, is theirs transposed) for every parameter of a GPT-2: the one table of what is what.
/// Weights within a block are (from, to) there too, which they call Conv1D.
template <class F>
void each_tensor(const GPTConfig& c, F f) {
  const Index n = c.embedding_dim;
  f("token_embedding.weights", "wte.weight", Shape{c.vocab_size, n}, false);
  f("position_embedding.weights", "wpe.weight", Shape{c.context_window, n}, false);
  for (Index i = 0; i < c.n_layers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + '.', h = "h." + std::to_string(i) + '.';
    auto part = [&](const char* ours, const char* theirs, const Shape& shape) { f(block + ours, h + theirs, shape, false); };
    part("norm_1.gamma", "ln_1.weight", {n});
    part("norm_1.beta", "ln_1.bias", {n});
    part("attention.in.weights", "attn.c_attn.weight", {n, 3 * n});
    part("attention.in.bias", "attn.c_attn.bias", {3 * n});
    part("attention.out.weights", "attn.c_proj.weight", {n, n});
    part("attention.out.bias", "attn.c_proj.bias", {n});
    part("norm_2.gamma", "ln_2.weight", {n});
    part("norm_2.beta", "ln_2.bias", {n});
    part("mlp.in.weights", "mlp.c_fc.weight", {n, 4 * n});
    part("mlp.in.bias", "mlp.c_fc.bias", {4 * n});
    part("mlp.out.weights", "mlp.c_proj.weight", {4 * n, n});
    part("mlp.out.bias", "mlp.c_proj.bias", {n});
  }
  f("norm.gamma", "ln_f.weight", Shape{n}, false);
  f("norm.beta", "ln_f.bias", Shape{n}, false);
  if (!c.tied) f("head.weights", "lm_head.weight", Shape{c.vocab_size, n}, true);
}

inline std::string config_path(const std::string& folder) { return folder + "/config.json"; }
inline std::string model_path(const std::string& folder) { return folder + "/model.safetensors"; }
inline std::string index_path(const std::string& folder) { return model_path(folder) + ".index.json"; }

/// use(json) of a file; what it says is about that file.
template <class Use>
auto use_json(const std::string& path, Use use) {
  const std::string text = read_file(path);
  return about(path, [&] { return use(Json::parse(text)); });
}

/// The files that an index names: {"weight_map": {"wte.weight": "model-00001-of-00002.safetensors", ...}, "metadata": ...}.
inline std::set<std::string> parts_of(const Json& index) {
  std::set<std::string> parts;
  for (const auto& [name, file] : index.get<Json::Object>("weight_map")) {
    const auto& part = file.as<std::string>("key \"" + name + "\": ");
    check(part.ends_with(".safetensors") && part.find('/') == part.npos, "key \"", name, "\": \"", part, "\" is no safetensors file in this folder");
    parts.insert(part);
  }
  return parts;
}

}  // namespace gpt2

/// A GPT's configuration from a GPT-2's config.json, whose resid_pdrop is our one dropout. Error: a key is missing or of another
/// type, or asks for what OpenAI's GPT-2 does not do.
inline GPTConfig gpt2_config(const Json& json) {
  auto is = [&]<class T>(const char* key, const T& usual) {      // where the key is missing, it is
    if (const Json* value = json.find(key); value && !value->is_null() && value->as<T>(std::string("key \"") + key + "\": ") != usual)
      fail("key \"", key, "\": ", value->dump(), " is not GPT-2's ", Json(usual).dump());
  };
  auto size = [&](const char* key) {
    const int n = json.get<int>(key);
    check(n > 0, "key \"", key, "\": ", n, " is not above 0");
    return Index{n};
  };
  check(json.get<std::string>("model_type") == "gpt2", "key \"model_type\": ", json["model_type"].dump(), " is not \"gpt2\"");
  GPTConfig c{.vocab_size = size("vocab_size"), .context_window = size("n_positions"), .embedding_dim = size("n_embd"), .n_heads = size("n_head"),
              .n_layers = size("n_layer"), .dropout = json.get<float>("resid_pdrop", 0.1f), .tied = json.get<bool>("tie_word_embeddings", true), .bias = true};
  check(c.embedding_dim % c.n_heads == 0, "key \"n_head\": ", c.embedding_dim, " numbers do not divide into ", c.n_heads, " heads");
  check(c.dropout >= 0 && c.dropout < 1, "key \"resid_pdrop\": a probability of ", c.dropout);
  is("n_inner", 4 * c.embedding_dim);
  is("activation_function", std::string("gelu_new"));
  is("layer_norm_epsilon", 1e-5);
  is("scale_attn_weights", true);
  is("scale_attn_by_inverse_layer_idx", false);
  is("add_cross_attention", false);
  return c;
}

/// And back, for transformers' GPT2LMHeadModel.
inline Json to_gpt2_json(const GPTConfig& c) {
  return Json::object({{"model_type", "gpt2"}, {"architectures", Json::Array{"GPT2LMHeadModel"}}, {"vocab_size", c.vocab_size}, {"n_positions", c.context_window},
                       {"n_embd", c.embedding_dim}, {"n_head", c.n_heads}, {"n_layer", c.n_layers}, {"n_inner", Json()}, {"activation_function", "gelu_new"},
                       {"layer_norm_epsilon", 1e-5}, {"embd_pdrop", c.dropout}, {"resid_pdrop", c.dropout}, {"attn_pdrop", c.dropout},
                       {"tie_word_embeddings", c.tied}, {"bos_token_id", Json()}, {"eos_token_id", Json()}});
}

/// Does a folder hold a model that transformers would know, rather than one of our runs?
inline bool holds_gpt2(const std::string& folder) {
  const std::string path = gpt2::config_path(folder);
  return file_exists(path) && gpt2::use_json(path, [](const Json& json) { return json.find("model_type") != nullptr; });
}

/// A GPT-2 in memory, from a folder with config.json and model.safetensors, or the parts of model.safetensors.index.json.
///
///     GPT2Checkpoint checkpoint("gpt2");
///     GPT<float> model(checkpoint.config());
///     checkpoint.load(model);
class GPT2Checkpoint {
 public:
  /// Error: a file is missing or malformed, or a tensor is missing, of a shape or type that does not fit, or one too many.
  explicit GPT2Checkpoint(const std::string& folder) : folder_(folder) {
    const std::string whole = gpt2::model_path(folder), index = gpt2::index_path(folder);
    config_ = gpt2::use_json(gpt2::config_path(folder), gpt2_config);
    check(file_exists(whole) || file_exists(index), "load: ", folder, " holds no weights: there is no ", whole);
    if (file_exists(whole)) files_.emplace_back(whole);
    else for (const std::string& part : gpt2::use_json(index, gpt2::parts_of)) files_.emplace_back(folder + '/' + part);
    match();
  }
  GPT2Checkpoint(GPT2Checkpoint&&) = default;
  GPT2Checkpoint& operator=(GPT2Checkpoint&&) = default;

  const GPTConfig& config() const { return config_; }

  /// Gives a model these weights. A head of its own gets a bias of 0, since GPT-2's has none. Error, with the model as it was: it
  /// is of another shape.
  template <Floating T>
  void load(GPT<T>& model) const {
    GPTConfig mine = model.config;
    mine.dropout = config_.dropout;
    check(to_json(mine).dump() == to_json(config_).dump(), "load: ", folder_, " holds a GPT of ", to_json(config_).dump(), ", not of ", to_json(mine).dump());
    model.each_parameter([&](const std::string& name, Parameter& parameter) {
      auto there = entries_.find(name);
      if (there == entries_.end()) return parameter.assign(zeros(parameter.shape()));
      const Entry& entry = there->second;
      detail::with_floating(*entry.file, *entry.tensor, [&](auto& numbers) { parameter.assign(entry.is_transposed ? transpose(numbers) : numbers); });
    });
  }

 private:
  struct Entry {
    const SafeTensorsFile* file;
    const SafeTensor* tensor;
    bool is_transposed = false;
  };

  /// Finds each parameter's tensor; nothing may be left but causal masks, which older files hold, and the embedding as a head.
  void match() {
    std::map<std::string, Entry> left;                   // by name without the prefix
    for (const SafeTensorsFile& file : files_)
      for (const SafeTensor& tensor : file.all()) {
        const std::size_t skipped = tensor.name.starts_with(gpt2::prefix) ? gpt2::prefix.size() : 0;
        bool is_new = left.emplace(tensor.name.substr(skipped), Entry{&file, &tensor}).second;
        check(is_new, "load: ", file.name(), ": tensor \"", tensor.name, "\" stands twice in ", folder_);
      }
    const auto head = left.find("lm_head.weight"), embedding = left.find("wte.weight");
    const bool same = head != left.end() && embedding != left.end() && head->second.tensor->bytes == embedding->second.tensor->bytes;
    if (config_.tied && same) left.erase(head);
    std::erase_if(left, [](auto& item) { return item.first.ends_with(".attn.bias") || item.first.ends_with(".attn.masked_bias"); });

    gpt2::each_tensor(config_, [&](const std::string& ours, const std::string& theirs, const Shape& shape, bool is_transposed) {
      auto found = left.find(theirs);
      check(found != left.end(), "load: ", folder_, " has no tensor \"", theirs, "\"");
      auto [file, tensor, unset] = found->second;
      check(tensor->shape == shape, "load: ", file->name(), ": tensor \"", tensor->name, "\" has shape ", tensor->shape, ", but by config.json it is ", shape);
      detail::check_floating(*file, *tensor);
      entries_[ours] = {file, tensor, is_transposed};
      left.erase(found);
    });
    if (!left.empty()) fail("load: ", left.begin()->second.file->name(), ": tensor \"", left.begin()->second.tensor->name, "\" is none of this GPT-2's");
  }

  std::string folder_;
  GPTConfig config_;
  std::list<SafeTensorsFile> files_;                     // a list: entries point into it, also when this is moved
  std::map<std::string, Entry> entries_;                 // by our name
};

/// Writes a model for transformers: folder/model.safetensors and then folder/config.json. Where it has no biases, they are 0.
/// Error: the model is no GPT-2, for which a head's bias that is not 0 is enough, or the folder holds another kind of model.
template <Floating T>
void save_gpt2(const GPT<T>& model, const std::string& folder) {
  const Json config = to_gpt2_json(model.config);
  GPTConfig read = gpt2_config(config);
  read.bias = model.config.bias;
  check(to_json(read).dump() == to_json(model.config).dump(), "save: a GPT of ", to_json(model.config).dump(), " is no GPT-2");
  std::map<std::string, const Parameter*> parameters;
  model.each_parameter([&](const std::string& name, const Parameter& parameter) { parameters[name] = &parameter; });
  if (model.head && model.head->bias) {
    const auto bias = model.head->bias->template as<double>().to_vector();
    check(std::all_of(bias.begin(), bias.end(), [](double x) { return x == 0; }), "save: the head has a bias, for which there is no place in a GPT-2");
  }
  check(!file_exists(gpt2::config_path(folder)) || holds_gpt2(folder), "save: ", folder, " holds another model: ", gpt2::config_path(folder), " is not GPT-2's");

  NoGrad guard;
  std::vector<SafeTensor> entries;
  gpt2::each_tensor(model.config, [&](const std::string& ours, const std::string& theirs, const Shape& shape, bool is_transposed) {
    const std::string name = theirs.starts_with("lm_head") ? theirs : std::string(gpt2::prefix) + theirs;
    auto found = parameters.find(ours);
    if (found == parameters.end()) entries.push_back(detail::as_safetensor(name, zeros(shape)));
    else found->second->visit([&](auto& x) { entries.push_back(detail::as_safetensor(name, is_transposed ? transpose(x) : x)); });
  });
  make_folders(folder);
  save_safetensors(gpt2::model_path(folder), entries, {{"format", "pt"}});
  write_file(gpt2::config_path(folder), config.dump(2) + "\n");
}

}
}  // namespace tricycle
