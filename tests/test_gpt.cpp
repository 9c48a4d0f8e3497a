// GPT against a float64 reference that was written independently (golden/reference.py), and against itself.
#include <cstring>
#include <limits>
#include "catch.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

/// One case of the golden file: tensors by name, as double.
struct Golden {
  SafeTensorsFile file{TRICYCLE_GOLDEN "/gpt.safetensors"};
  std::string prefix;

  Tensor<double> operator[](const std::string& name) const {
    const SafeTensor& entry = file[prefix + name];
    REQUIRE(entry.dtype == "F64");
    Tensor<double> x(entry.shape);
    std::memcpy(x.mutable_data(), entry.bytes.data(), entry.bytes.size());
    return x;
  }
  Tensor<int> ids(const std::string& name) const {
    const SafeTensor& entry = file[prefix + name];
    REQUIRE(entry.dtype == "I32");
    Tensor<int> x(entry.shape);
    std::memcpy(x.mutable_data(), entry.bytes.data(), entry.bytes.size());
    return x;
  }
};

/// The distance from what is expected, in terms of its norm. `skip`: a range of elements that is not looked at.
template <class T>
double relative_error(const Tensor<T>& got, const Tensor<double>& wanted, std::pair<Index, Index> skip = {0, 0}) {
  REQUIRE(got.shape() == wanted.shape());
  double difference = 0, norm = 0;
  for (Index i = 0; i < got.size(); ++i) {
    if (i >= skip.first && i < skip.second) continue;
    double x = convert<double>(got.data()[i]), y = wanted.data()[i];
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(difference / norm);
}

/// A key's bias has no true gradient, and Adam makes whole steps of its rounding errors: it is left out.
std::pair<Index, Index> untrue(const std::string& name, Index width) {
  return name.ends_with("attention.in.bias") ? std::pair{width, 2 * width} : std::pair{Index{0}, Index{0}};
}

template <class T>
void compare(const std::string& kind, double tolerance) {
  Golden golden{.prefix = kind + "."};
  const Index width = 12;
  GPTConfig config{.vocab_size = 11, .context_window = 8, .embedding_dim = width, .n_heads = 3, .n_layers = 2, .tied = kind == "tied", .bias = kind == "untied"};
  if (kind == "modern") config.activation = "swiglu", config.norm = "rms_norm", config.positions = "rotary";
  GPT<T> model(config);
  if constexpr (std::same_as<T, double>) to<double>(model);
  std::size_t n_parameters = 0;
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    parameter.assign(golden["parameter." + name]);
    ++n_parameters;
  });
  CHECK(n_parameters == (config.bias ? 30u : 15u));
  auto inputs = golden.ids("inputs"), targets = golden.ids("targets");

  CHECK(relative_error(model(inputs), golden["logits"]) < tolerance);
  auto loss = model.loss(inputs, targets);
  CHECK(relative_error(loss, golden["loss"]) < tolerance);
  loss.backward();
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    INFO(name);
    parameter.visit([&](auto& x) { CHECK(relative_error(x.grad(), golden["gradient." + name], untrue(name, width)) < tolerance); });
  });

  model.zero_grad();
  AdamW optimiser{.learning_rate = 1e-2, .beta_1 = 0.9, .beta_2 = 0.99, .weight_decay = 0.1, .decays = matrices_only};
  Tensor<double> losses = golden["losses"];
  for (Index step = 0; step < 20; ++step) {
    auto now = model.loss(inputs, targets);
    CHECK(std::abs(static_cast<double>(now.item()) / losses.at(step) - 1) < tolerance);
    now.backward();
    model.each_parameter([&](const std::string& name, Parameter& parameter) {           // as the reference does
      auto [from, to] = untrue(name, width);
      parameter.visit([&, from = from, to = to]<class M>(Tensor<M>& x) { std::fill(x.node()->grad->mutable_data() + from, x.node()->grad->mutable_data() + to, M(0)); });
    });
    clip_gradients(model, 1.0);
    model.update(optimiser);
  }
  model.each_parameter([&](const std::string& name, Parameter& parameter) {
    INFO(name);
    parameter.visit([&](auto& x) { CHECK(relative_error(x, golden["after_20." + name], untrue(name, width)) < tolerance); });
  });
}

const GPTConfig small{.vocab_size = 13, .context_window = 256, .embedding_dim = 32, .n_heads = 4, .n_layers = 2};

std::vector<int> some_ids(Index n) {
  std::vector<int> ids;
  for (Index i = 0; i < n; ++i) ids.push_back(static_cast<int>(random_bits() % 13));
  return ids;
}

}  // namespace

TEST_CASE("a GPT in double equals the reference to 1e-9") {
  for (auto kind : {"untied", "tied", "modern"}) compare<double>(kind, 1e-9);
}

TEST_CASE("a GPT in float equals the reference to 1e-4") {
  for (auto kind : {"untied", "tied", "modern"}) compare<float>(kind, 1e-4);
}

TEST_CASE("a GPT-2 of transformers says here what it says there", "[gpt2]") {
  GPT2Checkpoint checkpoint(TRICYCLE_GOLDEN "/gpt2");
  GPT<float> model(checkpoint.config());
  checkpoint.load(model);
  model.eval();
  auto ids = cast<int>(load_npy<std::int64_t>(TRICYCLE_GOLDEN "/gpt2/ids.npy"));
  CHECK(relative_error(model(ids), cast<double>(load_npy(TRICYCLE_GOLDEN "/gpt2/logits.npy"))) < 1e-5);
}

TEMPLATE_TEST_CASE("a GPT in 16 bits is a rounded one: its gradients arrive in float, and it learns", "", bf16, half) {
  seed(3);
  GPT<float> exact(small);
  seed(3);
  GPT<TestType> rounded(small);
  auto ids = some_ids(4 * 33);
  auto inputs = to_tensor<int>(std::vector<int>(ids.begin(), ids.end() - 4), {4, 32}), targets = to_tensor<int>(std::vector<int>(ids.begin() + 4, ids.end()), {4, 32});
  double first = static_cast<double>(exact.loss(inputs, targets).item());
  CHECK(static_cast<double>(rounded.loss(inputs, targets).item()) == Approx(first).epsilon(2e-3));
  AdamW optimiser{.learning_rate = 3e-3};
  for (int step = 0; step < 30; ++step) {
    rounded.loss(inputs, targets).backward();
    rounded.each_parameter([](auto&, Parameter& p) { p.visit([](auto& x) { CHECK(std::string(x.grad().node() ? "" : dtype_name<typename std::remove_cvref_t<decltype(x)>::value_type>()) == "float32"); }); });
    rounded.update(optimiser);
  }
  CHECK(static_cast<double>(rounded.loss(inputs, targets).item()) < 0.7 * first);
}

TEST_CASE("targets can be ignored, whatever the head") {
  GPTConfig config = small;
  for (int kind = 0; kind < 3; ++kind) {
    config.tied = kind == 0, config.bias = kind == 2;
    GPT<float> model(config);
    const auto inputs = to_tensor<int>(some_ids(32), {2, 16}), targets = where(inputs < 4, -100, to_tensor<int>(some_ids(32), {2, 16}));
    auto fused = model.loss(inputs, targets, -100);
    auto plain = CrossEntropy{.ignore_index = -100}(targets, model(inputs));
    CHECK(fused.item() == Approx(plain.item()));
    fused.backward();
    const auto gradient = model.token_embedding.weights.as<float>().grad();
    model.zero_grad();
    plain.backward();
    CHECK(relative_error(gradient, cast<double>(model.token_embedding.weights.as<float>().grad())) < 1e-5);
  }
}

TEST_CASE("dropout drops while training and not otherwise, the same for the same seed") {
  GPTConfig config = small;
  config.dropout = 0.2f;
  seed(9);
  GPT<float> model(config);
  auto ids = to_tensor<int>(some_ids(32), {1, 32});
  auto draw = [&](std::uint64_t s) {
    seed(s);
    return model(ids).to_vector();
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
  model.eval();
  CHECK(draw(1) == draw(2));
  model.train();
  CHECK(draw(1) != draw(2));
}

TEST_CASE("each dropout of a GPT drops") {
  GPTConfig config = small;
  config.n_layers = 2, config.dropout = 0.3f;
  auto ids = to_tensor<int>(some_ids(32), {1, 32});
  for (const char* activation : {"gelu", "swiglu"})
    for (bool bias : {false, true}) {
      config.activation = activation, config.bias = bias;
      seed(9);
      GPT<float> model(config);
      std::vector<std::pair<std::string, Dropout*>> all;
      auto find = [&](const std::string& name, auto& part) {
        if constexpr (requires { part.probability; }) all.push_back({name, &part});
      };
      detail::walk_parts(model, find, "");
      REQUIRE(all.size() == 1 + 2 * 3);                  // of the embeddings; in each block attention's two and the small network's
      const auto without = (model.eval(), model(ids).to_vector());
      for (auto& [name, dropout] : all) {
        INFO(activation << ' ' << name);
        CHECK(dropout->probability == 0.3f);
        dropout->training = true;
        CHECK(model(ids).to_vector() != without);
        dropout->training = false;
      }
    }
}

TEST_CASE("the gradients of a GPT of every kind") {
  seed(21);
  auto inputs = to_tensor<int>({{1, 0, 2}, {4, 4, 3}}), targets = to_tensor<int>({{0, 2, 2}, {4, 3, 1}});
  for (std::string activation : {"gelu", "gelu_exact", "relu", "swish", "sigmoid", "tanh", "glu", "swiglu"})
    for (bool modern : {false, true}) {
      INFO(activation);
      GPTConfig config{.vocab_size = 5, .context_window = 4, .embedding_dim = 4, .n_heads = 2, .n_layers = 1, .tied = modern, .bias = !modern, .activation = activation};
      if (modern) config.norm = "rms_norm", config.positions = "rotary";
      GPT<double> model(config, xavier, xavier);
      to<double>(model);
      CHECK_NOTHROW(gradcheck(model, [&] { return model.loss(inputs, targets); }));
    }
}

TEST_CASE("rotary positions say how far tokens stand apart, and not where") {
  seed(3);
  RotaryEncode rotary(8, 2, 100);
  auto q = normal<double>({1, 1, 2, 4}), k = normal<double>({1, 1, 2, 4});
  auto match = [&](Index at_q, Index at_k) { return sum(rotary(q, at_q) * rotary(k, at_k)).item(); };
  CHECK(match(7, 3) == Approx(match(99, 95)).epsilon(1e-12));
  CHECK(std::abs(match(7, 3) - match(7, 4)) > 1e-3);
  CHECK(match(5, 5) == Approx(sum(q * k).item()));
  CHECK(rotary(q, 0).to_vector() == q.to_vector());
  CHECK_THROWS_WITH(rotary(q, 100), Catch::Contains("(1, 1, 2, 4)") && Catch::Contains("100 tokens from 100 on"));
  CHECK_THROWS_WITH(RotaryEncode(6, 2, 8), Catch::Contains("6 dimensions do not divide into pairs for 2 heads"));
}

TEST_CASE("a GPT refuses what it cannot read") {
  GPT<float> model(small);
  CHECK_THROWS_WITH(model(to_tensor<int>({{1, 13}})), Catch::Contains("id 13 at position 1 is not below 13"));
  CHECK_THROWS_WITH(model(to_tensor<int>({{1, -1}})), Catch::Contains("id -1"));
  CHECK_THROWS_WITH(model(Tensor<int>(Shape{1, 257})), Catch::Contains("257 tokens exceed the context of 256"));
  CHECK_THROWS_WITH(GPT<float>({.embedding_dim = 30, .n_heads = 4}), Catch::Contains("30 dimensions do not divide into 4 heads"));
  CHECK_THROWS_WITH(GPT<float>({.activation = "sine"}), Catch::Contains("no \"sine\": it is one of gelu|gelu_exact|relu|swish|sigmoid|tanh|glu|swiglu"));
  CHECK_THROWS_WITH(GPT<float>({.norm = "batch"}), Catch::Contains("no \"batch\": it is one of layer_norm|rms_norm"));
  CHECK_THROWS_WITH(GPT<float>({.positions = "none"}), Catch::Contains("no \"none\": it is one of learned|rotary"));
  CHECK_THROWS_WITH(GPT<float>({.embedding_dim = 12, .n_heads = 4, .positions = "rotary"}), Catch::Contains("12 dimensions do not divide into pairs for 4 heads"));
}

TEST_CASE("a GPT's parameters are drawn in the order in which it is built, and counted") {
  GPT<float> model(GPTConfig{});
  CHECK(model.parameter_count() == 65 * 128 + 64 * 128 + 4 * (12 * 128 * 128 + 2 * 128) + 128);
  seed(42);
  auto first = normal({11, 12}, 0, 0.02), second = normal({8, 12}, 0, 0.02), third = normal({12, 36}, 0, 0.02);
  seed(42);
  GPT<float> tiny({.vocab_size = 11, .context_window = 8, .embedding_dim = 12, .n_heads = 3, .n_layers = 2});
  CHECK(tiny.token_embedding.weights.as<float>().to_vector() == first.to_vector());
  CHECK(tiny.position_embedding->weights.as<float>().to_vector() == second.to_vector());
  CHECK(tiny.blocks[0].attention.in.weights.as<float>().to_vector() == third.to_vector());
}

TEST_CASE("anomaly mode names a GPT's parameters, and lets training be where all is well") {
  GPT<float> model({.vocab_size = 7, .context_window = 4, .embedding_dim = 8, .n_heads = 2, .n_layers = 2});
  model.name_parameters();
  const float NaN = std::numeric_limits<float>::quiet_NaN();
  const auto ids = to_tensor<int>({{1, 2, 3}});
  DetectAnomaly here;
  model.loss(ids, ids).backward();
  model.blocks[1].mlp.in.weights.assign(full({8, 32}, NaN));
  CHECK_THROWS_WITH([&] { NoGrad guard; classify(ids, full({1, 3, 8}, NaN), ones({7, 8}), true); }(), Catch::Contains("classify: nan at ()"));
  CHECK_THROWS_WITH(model(ids), Catch::Contains("mlp: nan at (0, 0, 0)") && Catch::Contains("leaf blocks.1.mlp.in.weights (8, 32) float32 with nan"));
}
