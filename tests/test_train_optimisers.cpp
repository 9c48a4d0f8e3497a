// Optimisers beyond one step of one number: Muon, groups of parameters, passes that make one step, and what a checkpoint brings back.
#include <numeric>
#include <thread>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

struct Matrix : Layer<Matrix> {
  Parameter w;
  explicit Matrix(const Shape& shape) : w(zeros(shape)) {}
  static void parts(auto& self, auto&& part) { part("w", self.w); }
};

Tensor<double> numbers(const Shape& shape, auto f) {
  std::vector<double> all;
  for (Index i = 0; i < shape.size(); ++i) all.push_back(f(i));
  return to_tensor<double>(all, shape, {.requires_grad = false});
}

const GPTConfig tiny{.vocab_size = 13, .context_window = 8, .embedding_dim = 16, .n_heads = 2, .n_layers = 2, .bias = true};

/// `n` windows of a text in which each token follows from the two before it, from window `from` on.
std::pair<Tensor<int>, Tensor<int>> windows(Index from, Index n) {
  std::vector<int> text{1, 2};
  while (text.size() < 500) text.push_back((3 * text[text.size() - 1] + text[text.size() - 2] + 1) % 13);
  std::vector<int> inputs, targets;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < 8; ++j) {
      auto at = static_cast<std::size_t>((7 * (from + i)) % 400 + j);
      inputs.push_back(text[at]), targets.push_back(text[at + 1]);
    }
  return {to_tensor<int>(inputs, {n, 8}), to_tensor<int>(targets, {n, 8})};
}

template <class Model>
std::vector<double> weights(const Model& model) {
  std::vector<double> all;
  model.each_parameter([&](auto&, const Parameter& p) { p.visit([&](auto& x) { for (auto w : x.to_vector()) all.push_back(static_cast<double>(w)); }); });
  return all;
}

auto muon_and_adam() {
  return ParameterGroups{ParameterGroup{hidden_matrices, Muon{.learning_rate = 0.02, .weight_decay = 0.01}},
                         ParameterGroup{matrices_only, AdamW{.learning_rate = 3e-3}}, ParameterGroup{every_parameter, AdamW{.learning_rate = 1e-3, .weight_decay = 0}}};
}

template <class T>
double step(GPT<T>& model, auto&& optimiser, Index at) {
  auto [inputs, targets] = windows(4 * at, 4);
  auto loss = model.loss(inputs, targets);
  loss.backward();
  model.update(optimiser);
  return static_cast<double>(loss.item());
}

/// A matrix and two vectors.
struct Three : Layer<Three> {
  Parameter a{ones({2, 2})}, b{ones({2})}, c{ones({2})};
  static void parts(auto& self, auto&& part) { part("a", self.a), part("b", self.b), part("c", self.c); }
};

}  // namespace

// The numbers are of a NumPy program in float64 that follows github.com/KellerJordan/Muon at 00ba60d, where a weight is (to, from).
TEST_CASE("three steps of Muon are its author's, for tall and for wide matrices", "[muon]") {
  const std::map<Index, std::vector<double>> expected{{3, {-0.574376319438, 0.59119328714, -0.0471448408667, -0.484420891176, 0.827482295182, 0.154426439429}},
                                                      {2, {-0.547095011083, 0.441864969615, -0.167496857856, -0.493201174833, 1.04942713586, 0.294213984268}}};
  for (auto& [from, after] : expected) {
    const Shape shape{from, 6 / from};
    const std::vector<double>& golden = after;           // clang 14 captures no structured binding
    auto run = [&](auto M, double tolerance) {
      Matrix model(shape);
      to<decltype(M)>(model);
      model.w.assign(numbers(shape, [](Index i) { return static_cast<double>(i * 5 % 7 - 3) / 4; }));
      Muon optimiser{.learning_rate = 0.1, .momentum = 0.95, .weight_decay = 0.01};
      for (Index t = 0; t < 3; ++t) {
        sum(model.w.as<decltype(M)>() * cast<decltype(M)>(numbers(shape, [&](Index i) { return static_cast<double>((i * 3 + t * 2) % 11 - 5) / 8; }))).backward();
        model.update(optimiser);
      }
      auto got = weights(model);
      for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(got[i] - golden[i]) < tolerance);
      CHECK(optimiser.memory.at("w").t.item() == 3);
    };
    run(double{}, 1e-11);
    run(float{}, 2e-6);
  }
}

TEST_CASE("what Muon makes of a matrix neither stretches nor shrinks much, also among others of its shape", "[muon]") {
  seed(5);
  auto x = normal<double>({3, 40, 12}, 0, 0.03, {.requires_grad = false}), u = zeros<double>(x.shape(), {.requires_grad = false});
  tricycle::detail::orthogonalise((x * (1 / std::sqrt(sum(x * x).item()))).detach(), u);
  for (int i = 0; i < 100; ++i) {
    auto v = normal<double>({12}, 0, 1, {.requires_grad = false});
    auto y = Einsum("bij,j->bi")(u, v);
    for (double length : sum(y * y, {.over = {1}}).to_vector()) {
      const double stretched = std::sqrt(length / sum(v * v).item());
      CHECK((stretched > 0.68 && stretched < 1.14));
    }
  }
}

TEST_CASE("Muon is for matrices, and says so", "[muon]") {
  GPT<float> model(tiny);
  CHECK(refusal([&] { step(model, Muon{}, 0); }) == "muon: \"blocks.0.norm_1.gamma\" of shape (16,) is not a matrix: leave it to another optimiser by ParameterGroups");
  std::vector<std::string> hidden;
  model.each_parameter([&](const std::string& name, const Parameter& p) {
    if (hidden_matrices(name, p.shape())) hidden.push_back(name);
    CHECK(matrices_only(name, p.shape()) == (name.ends_with("weights")));            // so decay spares all norms and biases
  });
  CHECK(hidden == std::vector<std::string>{"blocks.0.attention.in.weights", "blocks.0.attention.out.weights", "blocks.0.mlp.in.weights", "blocks.0.mlp.out.weights",
                                           "blocks.1.attention.in.weights", "blocks.1.attention.out.weights", "blocks.1.mlp.in.weights", "blocks.1.mlp.out.weights"});
  CHECK_FALSE(hidden_matrices("head.weights", {16, 13}));
}

TEST_CASE("an optimiser that refuses has moved nothing") {
  Three model;
  sum(model.a.as<float>() + model.b.as<float>()).backward();
  auto refuses = [&](auto optimiser, const std::string& sentence) {
    CHECK(refusal([&] { optimiser(model.parameters()); }) == sentence);
    for (auto& [name, moments] : optimiser.memory) CHECK(moments.t.item() == 0);
    CHECK(weights(model) == std::vector<double>(8, 1));
  };
  const std::string no_gradient = "optimiser: \"c\" of shape (2,) has no gradient";
  refuses(AdamW{}, no_gradient);
  refuses(StochasticGradientDescent{}, no_gradient);
  refuses(ParameterGroups{ParameterGroup{matrices_only, Muon{}}, ParameterGroup{every_parameter, AdamW{}}}, no_gradient);
  sum(model.c.as<float>()).backward();
  refuses(ParameterGroups{ParameterGroup{[](const std::string& name, const Shape&) { return name != "b"; }, AdamW{}}, ParameterGroup{every_parameter, Muon{}}},
          "muon: \"b\" of shape (2,) is not a matrix: leave it to another optimiser by ParameterGroups");
  refuses(Muon{}, "muon: \"b\" of shape (2,) is not a matrix: leave it to another optimiser by ParameterGroups");
}

TEST_CASE("each parameter is moved by the first group that takes it, at the rate of that group", "[groups]") {
  Three model;
  auto backward = [&] { (sum(model.a.as<float>()) + sum(model.b.as<float>()) + sum(model.c.as<float>())).backward(); };
  auto is_b = [](const std::string& name, const Shape&) { return name == "b"; };
  ParameterGroups optimiser{ParameterGroup{is_b, StochasticGradientDescent{.learning_rate = 0.5}}, ParameterGroup{matrices_only, StochasticGradientDescent{.learning_rate = 0.25, .weight_decay = 1}}};
  backward();
  CHECK(refusal([&] { model.update(optimiser); }) == "optimiser: no group takes \"c\"");
  CHECK(model.a.as<float>().at(0, 0) == 1);
  model.zero_grad();
  auto both = [&](Parameter& p) { return std::vector<float>{p.as<float>().to_vector().front(), p.as<float>().to_vector().back()}; };
  ParameterGroups all{ParameterGroup{is_b, StochasticGradientDescent{.learning_rate = 0.5}}, ParameterGroup{matrices_only, StochasticGradientDescent{.learning_rate = 0.25, .weight_decay = 1}},
                      ParameterGroup{every_parameter, StochasticGradientDescent{.learning_rate = 0.125}}};
  backward();
  model.update(all);
  CHECK((both(model.a) == std::vector<float>{0.5f, 0.5f} && both(model.b) == std::vector<float>{0.5f, 0.5f} && both(model.c) == std::vector<float>{0.875f, 0.875f}));
  all.get<2>().learning_rate = 0;
  backward();
  model.update(all);
  CHECK((both(model.b) == std::vector<float>{0, 0} && both(model.c) == std::vector<float>{0.875f, 0.875f}));
  CHECK(all.memory.size() == 3);
  backward();
  all("b", model.b);                                     // one by its name
  CHECK((both(model.b) == std::vector<float>{-0.5f, -0.5f} && both(model.a) != both(model.b) && model.b.has_grad()));
}

TEST_CASE("two groups of AdamW are one AdamW", "[groups]") {
  seed(1);
  GPT<float> one(tiny);
  seed(1);
  GPT<float> two(tiny);
  AdamW whole{.weight_decay = 0.1, .decays = matrices_only};
  ParameterGroups parts{ParameterGroup{matrices_only, AdamW{.weight_decay = 0.1}}, ParameterGroup{every_parameter, AdamW{.weight_decay = 0}}};
  for (Index i = 0; i < 3; ++i) CHECK(step(one, whole, i) == step(two, parts, i));
  CHECK(weights(one) == weights(two));
}

TEST_CASE("the gradients of several passes are those of one large batch to 1e-6", "[accumulation]") {
  seed(2);
  GPT<float> model(tiny);
  auto gradients = [&](Index passes) {
    model.zero_grad();
    for (Index i = 0; i < passes; ++i) {
      auto [inputs, targets] = windows(i * 12 / passes, 12 / passes);
      model.loss(inputs, targets).backward(full({}, 1.0 / static_cast<double>(passes), {.requires_grad = false}));
    }
    std::vector<double> all;
    model.each_parameter([&](auto&, Parameter& p) { p.visit([&](auto& x) { for (auto g : x.grad().to_vector()) all.push_back(static_cast<double>(g)); }); });
    return all;
  };
  auto whole = gradients(1);
  for (Index passes : {2, 4, 12}) {
    auto parts = gradients(passes);
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) difference += (parts[i] - whole[i]) * (parts[i] - whole[i]), norm += whole[i] * whole[i];
    CHECK(std::sqrt(difference / norm) < 1e-6);
  }
}

TEST_CASE("a run that is resumed goes on to the bit, with Muon, AdamW and a loss scale", "[checkpoint]") {
  ScratchFolder folder;
  const std::string path = folder / "last.safetensors";
  auto train = [](auto& model, auto& optimiser, LossScale& scale, Index from, Index to) {
    for (Index i = from; i < to; ++i) {
      auto [inputs, targets] = windows(4 * i, 4);
      model.loss(inputs, targets).backward(scale.seed());
      scale.clip_gradients(model, 1);
      model.update(scale.guard(optimiser));
    }
  };
  const LossScaleOptions options{.scale = 0x1p30, .grow_after = 4};
  seed(3);
  GPT<half> model(tiny);
  auto optimiser = muon_and_adam();
  LossScale scale(Device::cpu, options);
  train(model, optimiser, scale, 0, 25);
  auto entries = model_entries(model, "model.");
  for (auto& entry : memory_entries(optimiser.memory, "optimiser.")) entries.push_back(entry);
  entries.push_back(loss_scale_entry(scale));
  save_safetensors(path, entries);
  train(model, optimiser, scale, 25, 40);

  GPT<half> again(tiny);
  auto optimiser_again = muon_and_adam();
  LossScale scale_again(Device::cpu, options);
  SafeTensorsFile file(path);
  load_model(again, file, "model.");
  optimiser_again.memory = load_memory(file, "optimiser.");
  load_loss_scale(scale_again, file);
  train(again, optimiser_again, scale_again, 25, 40);
  CHECK(weights(again) == weights(model));
  CHECK(scale_again.saved().to_vector() == scale.saved().to_vector());
  CHECK((scale.skipped() > 3 && scale.skipped() < 25));

  AdamW other{};
  other.memory = load_memory(file, "optimiser.");
  CHECK(refusal([&] { step(again, other, 0); }) == "optimiser: its memory of \"blocks.0.attention.in.weights\" is another optimiser's: 1 tensors, not 2");
}

// Learns once more while it is destroyed: after main, or after its thread. A fault would end the program with another status.
namespace {
struct Late {
  Matrix model{Shape{20, 30}};
  AdamW optimiser{};
  Tensor<float> loss = zeros({});
  void learn() {
    loss = sum(exp(model.w.as<float>()));
    loss.backward({.retain_graph = true});
    model.update(optimiser);
  }
  ~Late() { learn(); }
} late;
}  // namespace

TEST_CASE("a model and its optimiser with static storage, or a thread's, survive its end") {
  auto losses = [](Late& learner) {
    learner.learn();
    const float first = learner.loss.item();
    learner.learn();
    return std::pair(first, learner.loss.item());
  };
  auto [first, second] = losses(late);
  CHECK(first == 600);
  CHECK(second < first);
  std::thread([&] {
    thread_local Late of_thread;
    of_thread.learn();
  }).join();
}
