// Optimisers, half's loss scale and the tools for gradients on a GPU: what they do on the CPU, captured or not, without waiting for anything.
#include "../catch.hpp"
#include "../refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

const GPTConfig tiny{.vocab_size = 13, .context_window = 8, .embedding_dim = 16, .n_heads = 2, .n_layers = 2, .bias = true};

auto muon_and_adam() { return ParameterGroups{ParameterGroup{hidden_matrices, Muon{.learning_rate = 0.01, .weight_decay = 0.01}}, ParameterGroup{every_parameter, AdamW{.learning_rate = 3e-3}}}; }

enum class How { eager, captured };

template <class T>
struct Run {
  GPT<T> model{(seed(9), tiny)};
  decltype(muon_and_adam()) optimiser = muon_and_adam();
  Device device;
  LossScale scale;
  Tensor<int> inputs = to_tensor<int>({{1, 2, 3, 4, 5, 6, 7, 8}, {3, 1, 4, 1, 5, 9, 2, 6}}), targets = to_tensor<int>({{2, 3, 4, 5, 6, 7, 8, 9}, {1, 4, 1, 5, 9, 2, 6, 5}});
  Tensor<float> loss_now;
  std::optional<CapturedStep> captured;

  explicit Run(Device where, LossScaleOptions options = {}) : device(where), scale(where, options), loss_now(full({}, 0, {.requires_grad = false, .device = where})) {
    model.to(device);
    inputs = inputs.to(device), targets = targets.to(device);
  }
  void step() {
    auto loss = model.loss(inputs, targets);
    loss.backward(scale.seed());
    scale.clip_gradients(model, 1);
    model.update(scale.guard(optimiser));
    loss_now.assign(loss.detach());
  }
  std::vector<double> train(int steps, How how) {
    std::vector<double> losses;
    for (int i = 0; i < steps; ++i) {
      optimiser.template get<0>().learning_rate = 0.01 / (1 + 0.1 * i);
      if (how == How::captured && i == 2) captured.emplace(device, [&] { step(); });
      if (captured) captured->run();
      else step();
      losses.push_back(static_cast<double>(loss_now.item()));
    }
    return losses;
  }
  std::vector<float> weights() const {
    std::vector<float> all;
    model.each_parameter([&](auto&, const Parameter& p) { for (float w : p.as<float>().detach().to_vector()) all.push_back(w); });
    return all;
  }
};

}  // namespace

TEST_CASE("Muon and AdamW on a GPU do what they do on the CPU, captured or not", "[optimisers]") {
  Run<float> cpu(Device::cpu), gpu(Device::cuda()), captured(Device::cuda());
  auto there = cpu.train(12, How::eager), here = gpu.train(12, How::eager);
  CHECK(there.back() < 0.9 * there.front());
  for (std::size_t i = 0; i < 12; ++i) CHECK(here[i] == Approx(there[i]).epsilon(1e-4));
  CHECK(captured.train(12, How::captured) == here);
  CHECK(captured.weights() == gpu.weights());
}

TEST_CASE("half with a loss scale learns on a GPU as on the CPU, and an overflow moves nothing", "[optimisers]") {
  const LossScaleOptions options{.scale = 0x1p24, .grow_after = 6};
  Run<tricycle::half> cpu(Device::cpu, options), gpu(Device::cuda(), options), captured(Device::cuda(), options);
  auto there = cpu.train(20, How::eager), here = gpu.train(20, How::eager);
  CHECK(there[1] == there[0]);                           // that was one overflow at least
  CHECK(there.back() < 0.9 * there.front());
  CHECK(here[1] == here[0]);
  CHECK(here.back() == Approx(there.back()).epsilon(0.1));
  CHECK((gpu.scale.skipped() > 1 && gpu.scale.skipped() < 20 && gpu.scale.scale() < 0x1p23));
  CHECK(captured.train(20, How::captured) == here);
  CHECK(captured.weights() == gpu.weights());
  CHECK(captured.scale.saved().to_vector() == gpu.scale.saved().to_vector());
}

TEST_CASE("after overflows a run on a GPU is to the bit what it had been without them", "[optimisers]") {
  Run<tricycle::half> high(Device::cuda(), {.scale = 0x1p40});
  const auto before = high.weights();
  while (high.step(), high.weights() == before) REQUIRE(high.scale.skipped() < 40);
  CHECK((high.scale.skipped() > 10 && high.scale.scale() == std::exp2(40 - static_cast<double>(high.scale.skipped()))));
  Run<tricycle::half> low(Device::cuda(), {.scale = high.scale.scale()});
  low.step();
  for (int i = 0; i < 2; ++i) low.step(), high.step();
  CHECK(low.weights() == high.weights());
}

TEST_CASE("gradients that are not finite at a scale of 1 either raise the alarm", "[optimisers]") {
  Run<tricycle::half> run(Device::cuda(), {.scale = 2});
  run.step();
  run.model.norm.gamma.assign(full({16}, std::numeric_limits<double>::infinity()));
  const auto before = run.weights();
  run.step();
  CHECK(run.scale.scale() == 1);
  CHECK(run.weights() == before);
  run.step();
  CHECK(refusal([&] { run.weights(); }).find("loss scale: the numbers are not finite (found on cuda:0 after ") == 0);
}

TEST_CASE("numbers of another device are refused before a kernel sees them", "[optimisers]") {
  Run<tricycle::half> run(Device::cuda());
  LossScale on_cpu;
  auto loss = run.model.loss(run.inputs, run.targets);
  CHECK(refusal([&] { loss.backward(on_cpu.seed()); }) == "backward: a gradient on cpu for a tensor on cuda:0");
  CHECK(refusal([&] { on_cpu.clip_gradients(run.model); }) == "loss scale: it is on cpu, but the model is on cuda:0");
  run.model.norm.from_gpu();
  CHECK(refusal([&] { clip_gradients(run.model, 1); }).find("clip_gradients: \"norm.gamma\" is on cpu, but others are on cuda:0") == 0);
}

TEST_CASE("stochastic gradient descent on a GPU is the CPU's", "[optimisers]") {
  auto trained = [](Device device) {
    seed(3);
    Dense layer(5, 3, {.bias = true});
    layer.to(device);
    StochasticGradientDescent optimiser{.learning_rate = 0.1, .weight_decay = 0.01, .momentum = 0.9};
    auto x = normal({8, 5}, 0, 1, {.requires_grad = false}).to(device);
    for (int i = 0; i < 5; ++i) {
      mean_squared_error(zeros({8, 3}, {.requires_grad = false, .device = device}), layer(x)).backward();
      layer.update(optimiser);
    }
    return layer.weights.as<float>().detach().from_gpu();
  };
  CHECK(close_to(trained(Device::cuda()), trained(Device::cpu), 1e-5, 1e-6));
}

TEST_CASE("gradients are cut, and held against finite differences, on a GPU, too", "[tape]") {
  auto x = to_tensor({3, -4, 0.25}, {.device = Device::cuda()});
  (x * x).backward({.clip = 1.0});
  CHECK(x.grad().to_vector() == std::vector<float>{2, -2, 0.5f});          // what comes by each of two edges is cut
  seed(2);
  MLPBlock block({.embedding_dim = 4, .bias = true});
  to<double>(block);
  block.to_gpu();
  CHECK_NOTHROW(gradcheck(block, {normal<double>({3, 4}, 0, 1, {.device = Device::cuda()})}));
}

TEST_CASE("anomaly mode looks at numbers of a GPU, too", "[anomaly]") {
  auto x = to_tensor({4, 1}).to(Device::cuda()).require_grad();
  DetectAnomaly here;
  sum(sqrt(x) * 3.0).backward();
  CHECK(x.grad().to_vector() == std::vector<float>{0.75f, 1.5f});
  CHECK(refusal([&] { log(x * -1.0); }).find("log: nan at (0,) of its result (2,) float32") == 0);
}

TEST_CASE("a step with Muon and a loss scale waits for nothing, and soon asks for no memory", "[optimisers]") {
  Run<tricycle::half> run(Device::cuda());
  for (int i = 0; i < 3; ++i) run.step();
  gpu::synchronise(run.device);
#ifdef TRICYCLE_EMULATED
  auto before = emulator::counts();
  for (int i = 0; i < 3; ++i) run.step();
  auto after = emulator::counts();
  CHECK(after.synchronisations == before.synchronisations);
  CHECK(after.allocations == before.allocations);
#endif
}
