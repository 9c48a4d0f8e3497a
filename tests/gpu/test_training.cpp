// A GPT that learns on a GPU: what it learns on the CPU, step by step or captured, and what keeps it from learning nonsense.
#include "../catch.hpp"
#include "../refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

const GPTConfig tiny{.vocab_size = 19, .context_window = 9, .embedding_dim = 24, .n_heads = 3, .n_layers = 2};

/// A text that can be learnt: each token follows from the two before it.
std::vector<int> some_text() {
  std::vector<int> text{1, 2};
  while (text.size() < 2000) text.push_back((3 * text[text.size() - 1] + text[text.size() - 2] + 1) % 19);
  return text;
}

/// What a training run leaves behind.
struct Trained {
  std::vector<double> losses;
  std::vector<float> weights;
};

enum class How { eager, captured };

template <class T>
struct Run {
  GPT<T> model;
  AdamW optimiser{.learning_rate = 3e-3, .weight_decay = 0.1, .decays = matrices_only};
  CausalLMDataset data{some_text(), tiny.context_window};
  Device device;
  Tensor<int> inputs, targets;
  Tensor<float> sum;

  Run(Device where, const GPTConfig& config)
      : model((seed(7), config)), device(where), inputs(Shape{4, tiny.context_window}, where), targets(inputs.shape(), where), sum(full({}, 0, {.requires_grad = false, .device = where})) {
    model.to(device);
    data.batch(4).shuffle(3);
  }
  void next_batch() {
    auto batch = data.next();
    inputs.assign(batch.inputs), targets.assign(batch.targets);
  }
  void step() {
    auto loss = model.loss(inputs, targets);
    loss.backward();
    clip_gradients(model, 0.5);
    model.update(optimiser);
    sum.assign(loss.detach());
  }
  Trained train(int steps, How how) {
    Trained result;
    std::optional<CapturedStep> captured;
    for (int i = 0; i < steps; ++i) {
      next_batch();
      optimiser.learning_rate = 3e-3 / (1 + 0.1 * i);
      if (how == How::captured && i == 2) captured.emplace(device, [&] { step(); });
      if (captured) captured->run();
      else step();
      result.losses.push_back(static_cast<double>(sum.item()));
    }
    model.each_parameter([&](auto&, const Parameter& p) {
      p.visit([&](auto& x) { for (auto w : x.to_vector()) result.weights.push_back(static_cast<float>(w)); });
    });
    return result;
  }
};

template <class T>
Trained trained(Device device, How how = How::eager, GPTConfig config = tiny, int steps = 20) { return Run<T>(device, config).train(steps, how); }

/// What the alarm counts: every update that this thread has asked of a GPU.
Index updates_so_far(Device device) {
  gpu::Alarm alarm;
  gpu::download(&alarm, gpu::context(device).alarm, sizeof alarm, device);
  return alarm.steps;
}

void check_close(const Trained& a, const Trained& b, double within) {
  REQUIRE(a.losses.size() == b.losses.size());
  for (std::size_t i = 0; i < a.losses.size(); ++i) {
    INFO("step " << i);
    CHECK(a.losses[i] == Approx(b.losses[i]).epsilon(within));
  }
}

}  // namespace

TEST_CASE("a GPU learns what the CPU learns, captured or not", "[training]") {
  auto config = tiny;
  config.tied = GENERATE(true, false);
  config.bias = !config.tied;
  auto cpu = trained<float>(Device::cpu, How::eager, config), gpu = trained<float>(Device::cuda(), How::eager, config), captured = trained<float>(Device::cuda(), How::captured, config);
  CHECK(cpu.losses.back() < 0.9 * cpu.losses.front());
  check_close(gpu, cpu, 1e-5);
  CHECK(captured.losses == gpu.losses);
  CHECK(captured.weights == gpu.weights);
  CHECK(trained<float>(Device::cuda(), How::eager, config).weights == gpu.weights);
}

TEST_CASE("a GPT with rotary positions, RMSNorm and SwiGLU learns on a GPU what it learns on the CPU, and writes the same", "[training]") {
  auto config = tiny;
  config.tied = false, config.activation = "swiglu", config.norm = "rms_norm", config.positions = "rotary";
  auto cpu = trained<float>(Device::cpu, How::eager, config, 8), gpu = trained<float>(Device::cuda(), How::eager, config, 8), captured = trained<float>(Device::cuda(), How::captured, config, 8);
  check_close(gpu, cpu, 1e-5);
  CHECK(captured.losses == gpu.losses);
  CHECK(captured.weights == gpu.weights);
  seed(7);
  GPT<float> model(config, xavier, xavier);
  auto there = generate(model, {1, 2, 3}, {.tokens = 12, .temperature = 0});
  model.to_gpu();
  CHECK(generate(model, {1, 2, 3}, {.tokens = 12, .temperature = 0}) == there);
}

TEST_CASE("layers and losses on a GPU are what they are on the CPU", "[training]") {
  seed(5);
  Sequential model{GLU(6), RMSNorm(6), Sigmoid(), SwiGLU(6, 4), LogSoftmax()};
  auto x = uniform({3, 5, 6}, -1, 1), y = uniform({3, 5, 4});
  auto labels = to_tensor<int>({{0, 1, 2, 3, 0}, {1, 1, 1, 1, 1}, {3, 2, 1, 0, 3}});
  auto losses = [&](Device device) {
    auto out = model(x.to(device));
    auto total = CrossEntropy{.ignore_index = 1}(labels.to(device), out) + MeanSquaredError()(y.to(device), out) + BinaryCrossEntropy()(y.to(device), out);
    total.backward();
    std::vector<Tensor<float>> all{total.detach().from_gpu()};
    for (auto& [name, parameter] : model.parameters()) parameter->visit([&](auto& p) { all.push_back(cast<float>(p.grad()).from_gpu()); });
    model.zero_grad();
    return all;
  };
  auto cpu = losses(Device::cpu);
  model.to_gpu();
  auto gpu = losses(Device::cuda());
  for (std::size_t i = 0; i < cpu.size(); ++i) CHECK(close_to(gpu[i], cpu[i], 1e-4, 1e-6));
}

TEMPLATE_TEST_CASE("16 bits learn on a GPU as on the CPU", "[training]", tricycle::bf16, tricycle::half) {
  auto cpu = trained<TestType>(Device::cpu), gpu = trained<TestType>(Device::cuda()), captured = trained<TestType>(Device::cuda(), How::captured);
  check_close(gpu, cpu, 1e-2);
  CHECK(captured.losses == gpu.losses);
  CHECK(captured.weights == gpu.weights);
}

TEST_CASE("dropout drops the same on a GPU, and anew at each run of a captured step", "[training]") {
  auto config = tiny;
  config.dropout = 0.2f;
  auto cpu = trained<float>(Device::cpu, How::eager, config, 8), gpu = trained<float>(Device::cuda(), How::eager, config, 8), captured = trained<float>(Device::cuda(), How::captured, config, 8);
  check_close(gpu, cpu, 1e-5);
  CHECK(captured.losses == gpu.losses);
}

TEST_CASE("a host that is far ahead of a GPU feeds each run of a captured step its own numbers", "[training]") {
  const LeafOptions there{.requires_grad = false, .device = Device::cuda()};
  const auto x = ones({64}, there);
  auto sum = zeros({64}, there);
  auto step = [&] { sum.assign(sum + dropout(x, 0.5f)); };
  auto after_200 = [&](auto run) {
    seed(5);
    sum.assign(zeros({64}, there));
    for (int i = 0; i < 200; ++i) run();
    return sum.to_vector();
  };
  const auto eager = after_200(step);
  CapturedStep captured(there.device, step);
  CHECK(after_200([&] { captured.run(); }) == eager);
}

TEST_CASE("a training step on a GPU waits for nothing, and soon asks for no memory", "[training]") {
  Run<float> run(Device::cuda(), tiny);
  for (int i = 0; i < 3; ++i) run.next_batch(), run.step();
  gpu::synchronise(run.device);
#ifdef TRICYCLE_EMULATED
  auto before = emulator::counts();
  for (int i = 0; i < 3; ++i) run.next_batch(), run.step();
  auto after = emulator::counts();
  CHECK(after.synchronisations == before.synchronisations);
  CHECK(after.allocations == before.allocations);
  CapturedStep captured(run.device, [&] { run.step(); });
  before = emulator::counts();
  for (int i = 0; i < 3; ++i) run.next_batch(), captured.run();
  after = emulator::counts();
  CHECK(after.synchronisations == before.synchronisations);
  CHECK(after.allocations == before.allocations);
  CHECK(after.launches == before.launches + 3);
#endif
}

TEST_CASE("an id that is out of range stops the update, and is told of at the next reading", "[training]") {
  const bool capture = GENERATE(false, true);
  Run<float> run(Device::cuda(), tiny);
  for (int i = 0; i < 3; ++i) run.next_batch(), run.step();
  const Index updates = updates_so_far(run.device);
  std::optional<CapturedStep> captured;
  if (capture) captured.emplace(run.device, [&] { run.step(); });
  auto step = [&] { capture ? captured->run() : run.step(); };
  auto read = [&] {
    std::vector<float> all;
    run.model.each_parameter([&](auto&, const Parameter& p) { p.visit([&](auto& x) { for (auto w : x.to_vector()) all.push_back(static_cast<float>(w)); }); });
    return all;
  };
  const auto weights = read();
  auto bad = run.inputs.from_gpu();
  bad.mutable_data()[5] = 19;
  run.inputs.assign(bad);
  step();
  step();
  auto said = refusal([&] { run.sum.item(); });
  CHECK(said.find("embed: id 19 at position 5 is not below 19") == 0);
  CHECK(said.find(" (found on cuda:0 after " + std::to_string(updates) + " updates)") != std::string::npos);
  CHECK(read() == weights);
  run.next_batch();
  step();
  CHECK(std::isfinite(run.sum.item()));
  CHECK(read() != weights);
}

TEST_CASE("a gradient that is not finite stops the update", "[training]") {
  Run<float> run(Device::cuda(), tiny);
  for (int i = 0; i < 3; ++i) run.next_batch(), run.step();
  run.next_batch();
  run.model.norm.gamma.assign(full({24}, std::numeric_limits<double>::infinity()));
  run.step();
  const auto said = refusal([&] { run.sum.item(); });
  CHECK(said == "clip_gradients: the numbers are not finite (found on cuda:0 after " + std::to_string(updates_so_far(run.device) - 1) + " updates)");
}

TEST_CASE("what cannot be captured is refused in words, and capturing can be tried again", "[training]") {
  Run<float> run(Device::cuda(), tiny);
  run.next_batch();
  CHECK(refusal([&] { CapturedStep(run.device, [&] { run.step(); }); }).find("optimiser: a step is captured before the optimiser has moved") == 0);
  run.model.zero_grad();
  run.step();
  CHECK(refusal([&] { CapturedStep(run.device, [&] { run.sum.item(); }); }) == "cuda: nothing can be waited for, or read back, while a step is captured");
  CapturedStep captured(run.device, [&] { run.step(); });
  captured.run();
  CHECK(std::isfinite(run.sum.item()));
}

TEST_CASE("a model moves between devices with its optimiser, and answers alike", "[training]") {
  const int last = gpu::count() - 1;                     // another than the first, if there is one
  Run<float> run(Device::cuda(last), tiny);
  for (int i = 0; i < 3; ++i) run.next_batch(), run.step();
  auto ids = to_tensor<int>({{1, 2, 3}});
  NoGrad guard;
  auto there = run.model(ids.to_gpu(last)).from_gpu();
  run.model.from_gpu();
  CHECK(close_to(there, run.model(ids), 1e-4, 1e-5));
  auto tokens = generate(run.model, {1, 2, 3}, {.tokens = 20, .temperature = 0});
  run.model.to_gpu();
  CHECK(generate(run.model, {1, 2, 3}, {.tokens = 20, .temperature = 0}) == tokens);
  CHECK(refusal([&] { run.model(ids); }).find("embed: ids are on cpu, but weights on cuda:0") == 0);
}
