// Layers, optimisers and schedules.
#include "catch.hpp"
#include "pair.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

struct TwoTimes : Layer<TwoTimes> {
  Dense dense{3, 3};
  template <Floating T> Tensor<T> operator()(const Tensor<T>& x) const { return dense(dense(x)); }
  static void parts(auto& self, auto&& part) { part("dense", self.dense); }
};

template <class Model>
std::vector<std::string> names(const Model& model) {
  std::vector<std::string> all;
  model.each_parameter([&](const std::string& name, const Parameter&) { all.push_back(name); });
  return all;
}

}  // namespace

TEST_CASE("the gradients of layers and blocks, of several shapes") {
  seed(11);
  auto check = [](const std::vector<Shape>& shapes, auto make) {
    for (const Shape& shape : shapes) {
      INFO(shape);
      auto model = make(shape[-1]);
      to<double>(model);
      CHECK_NOTHROW(gradcheck(model, {uniform<double>(shape, -1, 1)}));
    }
  };
  const std::vector<Shape> any{{3}, {1}, {2, 5}, {0, 3}, {2, 3, 4}, {2, 1, 7}};
  check(any, [](Index n) { return Dense(n, 4, {.bias = true}); });
  check(any, [](Index n) { return Dense(n, 1); });
  check(any, [](Index n) { return LayerNorm(n); });
  check(any, [](Index n) { return LayerNorm(n, false); });
  check(any, [](Index n) { return RMSNorm(n); });
  check(any, [](Index n) { return GLU(n); });
  check(any, [](Index n) { return SwiGLU(n, 3, {.bias = true}); });
  check(any, [](Index n) { return Sequential{Dense(n, 3), Tanh(), Dense(3, 4), Sigmoid(), GeLU(), Swish(), Softmax(), LogSoftmax()}; });
  check({{3}, {2, 3}, {0, 3}, {1, 2, 3}, {4, 3}}, [](Index) { return TwoTimes(); });
  for (auto& [name, activation] : named_activations())
    check(any, [&, f = activation](Index n) { return FeedForward({.embedding_dim = n, .hidden_dim = 3, .bias = true, .activation = f}); });
  check(any, [](Index n) { return MLPBlock({.embedding_dim = n, .expansion = 2, .activation = Gated<Swish>()}); });
  const std::vector<Shape> tokens{{2, 5, 6}, {1, 1, 2}, {0, 3, 6}, {2, 3, 10}, {1, 4, 4}};
  check(tokens, [](Index n) { return MultiHeadSelfAttention({.embedding_dim = n, .n_heads = 2, .context_window = 5, .bias = true}); });
  check(tokens, [](Index n) { return MultiHeadSelfAttention({.embedding_dim = n, .n_heads = n % 4 ? 1 : 2, .context_window = 5, .rotary = true}); });
  check(tokens, [](Index n) { return GPT2TransformerBlock({.embedding_dim = n, .n_heads = 2, .context_window = 5}, {.embedding_dim = n}); });
  check(tokens, [](Index n) {
    return GPT2TransformerBlock({.embedding_dim = n, .n_heads = 1, .context_window = 5, .bias = true, .rotary = true}, {.embedding_dim = n, .bias = true, .activation = Gated<Sigmoid>()}, "rms_norm");
  });
  for (const Shape& shape : {Shape{2, 3, 2, 4}, {1, 1, 1, 2}, {0, 2, 1, 4}, {1, 5, 3, 6}, {3, 2, 1, 10}})
    CHECK_NOTHROW(gradcheck(RotaryEncode(shape[2] * shape[3], shape[2], 8), {uniform<double>(shape, -1, 1)}));
  for (const Shape& shape : {Shape{}, {1}, {5}, {2, 3}, {0}, {2, 1, 3}}) {
    Embedding embedding(4, 3);
    to<double>(embedding);
    Tensor<int> ids(shape);
    for (Index i = 0; i < ids.size(); ++i) ids.mutable_data()[i] = static_cast<int>(i * i % 4);
    CHECK_NOTHROW(gradcheck(embedding, [&] { return embedding.operator()<double>(ids); }));
  }
}

TEST_CASE("a model is displayed as a tree, read by name and saved, whatever it is") {
  Sequential model{Dense(4, 3, {.bias = true}), ReLU(), RMSNorm(3), Dropout(0.5f), SwiGLU(3, 2)};
  CHECK(model.display() ==
        "Sequential, 30\n"
        "  0: Dense, 15\n"
        "    weights (4, 3), 12\n"
        "    bias (3,), 3\n"
        "  1: ReLU\n"
        "  2: RMSNorm, 3\n"
        "    gamma (3,), 3\n"
        "  3: Dropout\n"
        "  4: SwiGLU, 12\n"
        "    linear: Dense, 12\n"
        "      weights (3, 4), 12\n");
  CHECK(GLU(4).display() == "GLU, 32\n  linear: Dense, 32\n    weights (4, 8), 32\n");
  const GPT<bf16> gpt({.vocab_size = 7, .context_window = 4, .embedding_dim = 8, .n_heads = 2, .n_layers = 2, .norm = "rms_norm"});
  const std::string tree = gpt.display();
  CHECK(tree.find("GPT, " + std::to_string(gpt.parameter_count()) + "\n  token_embedding: Embedding, 56\n    weights (7, 8), 56\n  position_embedding: Embedding, 32\n") == 0);
  CHECK(tree.find("\n  blocks.1: GPT2TransformerBlock, 784\n    norm_1: RMSNorm, 8\n      gamma (8,), 8\n    attention: MultiHeadSelfAttention, 256\n") != std::string::npos);

  const auto& fixed = model;
  std::vector<std::string> all;
  for (auto& [name, parameter] : fixed.parameters()) all.push_back(name);
  CHECK(all == std::vector<std::string>{"0.weights", "0.bias", "2.gamma", "4.linear.weights"});
  for (auto& [name, parameter] : model.parameters())
    if (name == "2.gamma") parameter->assign(full({3}, 7));
  ScratchFolder folder;
  model.save(folder / "model.safetensors");
  Sequential other{Dense(4, 3, {.bias = true}), ReLU(), RMSNorm(3), Dropout(0.5f), SwiGLU(3, 2)};
  other.load(folder / "model.safetensors");
  other.eval(), model.eval();
  auto x = normal({2, 4});
  CHECK(other(x).to_vector() == model(x).to_vector());
}

TEST_CASE("a layer names its parts once, and all follows from it") {
  MultiHeadSelfAttention attention({.embedding_dim = 32, .n_heads = 2, .context_window = 32});
  CHECK(names(attention) == std::vector<std::string>{"in.weights", "out.weights"});
  CHECK(attention.parameter_count() == 4 * 32 * 32);
  auto input = ones({4, 32, 32});
  attention(input).backward();
  CHECK(input.grad().shape() == Shape{4, 32, 32});

  Sequential model{Dense(4, 16, {.bias = true}), ReLU(), Dense(16, 3)};
  CHECK(names(model) == std::vector<std::string>{"0.weights", "0.bias", "2.weights"});
  model(ones({2, 4})).backward();
  model.zero_grad();
  model.each_parameter([](auto&, Parameter& p) { CHECK_FALSE(p.has_grad()); });
  static_assert(!std::is_copy_constructible_v<Dense> && std::is_move_constructible_v<Dense>);
}

TEST_CASE("attention looks back and never ahead") {
  seed(2);
  MultiHeadSelfAttention attention({.embedding_dim = 8, .n_heads = 2, .context_window = 6});
  auto x = normal({1, 6, 8}), y = x.clone();
  for (Index i = 0; i < 8; ++i) y.mutable_data()[4 * 8 + i] += 1;                 // another token 4
  auto a = attention(x), b = attention(y);
  for (Index i = 0; i < 4 * 8; ++i) CHECK(a.data()[i] == b.data()[i]);
  CHECK_FALSE(close_to(a, b));
}

TEST_CASE("optimisers do what their formulas say") {
  Dense layer(1, 1);
  auto at = [&] { return static_cast<double>(layer.weights.as<float>().item()); };
  auto step = [&](auto& optimiser, double gradient) {
    sum(layer(ones({1, 1})) * gradient).backward();
    layer.update(optimiser);
  };
  layer.weights.assign(full({1, 1}, 2));
  StochasticGradientDescent sgd{.learning_rate = 0.1, .weight_decay = 0.5, .momentum = 0.9};
  step(sgd, 3);
  double u = 0.1 * 3 + 0.1 * 0.5 * 2, x = 2 - u;
  CHECK(at() == Approx(x));
  step(sgd, -1);
  u = 0.1 * -1 + 0.1 * 0.5 * x + 0.9 * u;
  CHECK(at() == Approx(x - u));

  layer.weights.assign(full({1, 1}, 2));
  AdamW adam{.learning_rate = 0.1, .beta_1 = 0.9, .beta_2 = 0.99, .eps = 1e-8, .weight_decay = 0.2};
  double m = 0, v = 0;
  x = 2;
  for (int t = 1; t <= 3; ++t) {
    double g = t * 0.7 - 1;
    step(adam, g);
    m = 0.9 * m + 0.1 * g, v = 0.99 * v + 0.01 * g * g;
    x -= 0.1 * (m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.99, t))) + 1e-8) + 0.2 * x);
    CHECK(at() == Approx(x));
  }
  AdamW still{.learning_rate = 0.1, .weight_decay = 0.2, .decays = [](const std::string&, const Shape&) { return false; }};
  layer.weights.assign(full({1, 1}, 2));
  step(still, 0);
  CHECK(at() == 2);
}

TEST_CASE("an optimiser is a function of a name and a parameter, too") {
  auto moved = [](auto update) {
    Pair pair;
    (pair.a.as<float>() * 2.0 + pair.b.as<float>() * pair.b.as<float>()).backward();
    update(pair);
    return std::pair(pair.a.as<float>().to_vector(), pair.b.as<float>().to_vector());
  };
  for (double momentum : {0.0, 0.9}) {
    StochasticGradientDescent all{.momentum = momentum}, one = all;
    CHECK(moved([&](Pair& pair) { pair.update(all); }) == moved([&](Pair& pair) { one("a", pair.a), one("b", pair.b); }));
  }
  AdamW all, one;
  CHECK(moved([&](Pair& pair) { pair.update(all); }) == moved([&](Pair& pair) { one("a", pair.a), one("b", pair.b); }));

  // One that a user writes need not know of lists, and is not asked about a parameter without a gradient.
  std::vector<std::string> asked;
  moved([&](Pair& pair) {
    pair.b.zero_grad();
    pair.update([&](const std::string& name, Parameter& parameter) { asked.push_back(name), parameter.assign(zeros({2})); });
    CHECK((pair.a.as<float>().to_vector() == std::vector<float>{0, 0} && pair.b.as<float>().to_vector() == std::vector<float>{1, 1}));
    CHECK_FALSE(pair.a.has_grad());
  });
  CHECK(asked == std::vector<std::string>{"a"});
}

TEST_CASE("an optimiser that is copied goes on by itself") {
  auto twice = [](auto first) {
    Pair pair;
    auto step = [&](auto& optimiser) {
      (pair.a.as<float>() * 3.0 + pair.b.as<float>()).backward();
      pair.update(optimiser);
      return pair.a.as<float>().to_vector();
    };
    step(first);
    const auto copy = first;
    auto one = first, other = first;
    other = copy;
    pair.a.assign(ones({2})), pair.b.assign(ones({2}));
    const auto moved = step(one);
    pair.a.assign(ones({2})), pair.b.assign(ones({2}));
    CHECK(step(other) == moved);
    CHECK((copy.memory.at("a").t.item() == 1 && one.memory.at("a").t.item() == 2 && other.memory.at("b").t.item() == 2));
  };
  twice(AdamW{});
  twice(StochasticGradientDescent{.momentum = 0.9});
  twice(ParameterGroups{ParameterGroup{every_parameter, AdamW{}}});
}

TEST_CASE("gradients are clipped by their common norm, even where two share a buffer") {
  Pair pair;
  auto backward = [&] {
    pair.zero_grad();
    (pair.a.as<float>() + pair.b.as<float>()).backward(full({2}, 3).detach());
  };
  backward();
  CHECK(clip_gradients(pair, 1).item() == Approx(6));                                   // √(4 · 9)
  CHECK(pair.a.as<float>().grad().at(0) == Approx(0.5));
  CHECK(pair.b.as<float>().grad().at(1) == Approx(0.5));
  backward();
  CHECK(clip_gradients(pair, 7).item() == Approx(6));
  CHECK(refusal([&] { clip_gradients(pair, -1); }) == "clip_gradients: gradients cannot be clipped to -1");
  CHECK(pair.a.as<float>().grad().at(0) == 3);
  pair.a.as<float>().node()->grad->mutable_data()[1] = -std::numeric_limits<float>::infinity();
  CHECK(refusal([&] { clip_gradients(pair, 1); }) == "clip_gradients: the gradients' norm of inf is not finite");
  CHECK(pair.a.as<float>().grad().at(0) == 3);
}

TEST_CASE("a sequence may begin with an embedding") {
  Sequential model{Embedding(5, 4), Dense(4, 2)};
  CHECK(model(to_tensor<int>({{1, 4, 0}})).shape() == Shape{1, 3, 2});
}

TEST_CASE("several passes make the step of one large batch") {
  auto run = [](Index passes) {
    seed(4);
    Dense layer(3, 2);
    auto x = normal({8, 3}, 0, 1, {.requires_grad = false});
    auto labels = to_tensor<int>({0, 1, 1, 0, 1, 0, 0, 1});
    for (Index i = 0; i < passes; ++i) {
      Index n = 8 / passes;
      cross_entropy(labels.view({n}, i * n), layer(x.view({n, 3}, i * n * 3))).backward(full({}, 1.0 / static_cast<double>(passes)).detach());
    }
    AdamW optimiser;
    layer.update(optimiser);
    return layer.weights.as<float>().clone();
  };
  CHECK(close_to(run(1), run(4), 1e-6, 1e-7));
}

TEST_CASE("schedules rise, fall and stay") {
  LinearSchedule linear{{.most = 1, .least = 0.1, .warm_up = 4, .total = 10}};
  CHECK(linear(0) == Approx(0.25));
  CHECK(linear(3) == Approx(1));
  CHECK(linear(6) == Approx(0.55));
  CHECK(linear(9) == Approx(0.1));
  CHECK(linear(50) == Approx(0.1));
  CosineSchedule cosine{{.most = 1, .least = 0.1, .warm_up = 4, .total = 10}};
  CHECK(cosine(3) == Approx(1));
  CHECK(cosine(4) == Approx(0.1 + 0.9 * 0.5 * (1 + std::cos(3.14159265358979 / 6))));
  CHECK(cosine(6) == Approx(0.55));
  CHECK(cosine(9) == Approx(0.1));
  CHECK_THROWS_AS(cosine(-1), Error);
}

TEMPLATE_TEST_CASE("the precision of a master: 16 bits are a cast that is kept until the numbers change", "", bf16, half) {
  Dense layer(2, 2);
  auto first = layer.weights.as<TestType>(), second = layer.weights.as<TestType>();
  CHECK(first.data() == second.data());
  layer.weights.assign(full({2, 2}, 3));
  CHECK(layer.weights.as<TestType>().data() != first.data());
  CHECK(static_cast<float>(layer.weights.as<TestType>().at(0, 0)) == 3.f);
  auto mine = layer.weights.as<TestType>();
  mine.mutable_data()[0] = TestType(5.f);                // the layer's numbers are still 3
  CHECK(static_cast<float>(layer.weights.as<TestType>().at(0, 0)) == 3.f);
  sum(layer(ones<TestType>({1, 2})) + layer(ones<TestType>({1, 2}))).backward();
  CHECK(layer.weights.as<float>().grad().to_vector() == std::vector<float>{2, 2, 2, 2});
}

TEST_CASE("the precision of a master: one 16-bit type is not taken for the other") {
  Dense layer(1, 1);
  layer.weights.assign(full({1, 1}, 1.001));
  for (int i = 0; i < 2; ++i) {
    CHECK(static_cast<float>(layer.weights.as<bf16>().item()) == 1.f);
    CHECK(static_cast<float>(layer.weights.as<half>().item()) == 1.0009765625f);
  }
}
