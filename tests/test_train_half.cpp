// Half with a loss scale: when it doubles, when it is halved, that an overflow moves nothing, and that a GPT learns.
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;

namespace {

const GPTConfig tiny{.vocab_size = 13, .context_window = 8, .embedding_dim = 16, .n_heads = 2, .n_layers = 2};

struct Run {
  GPT<half> model{(seed(4), tiny)};
  AdamW optimiser{.learning_rate = 3e-3, .weight_decay = 0.1, .decays = matrices_only};
  LossScale scale;
  Tensor<int> inputs = to_tensor<int>({{1, 2, 3, 4, 5, 6, 7, 8}, {3, 1, 4, 1, 5, 9, 2, 6}}), targets = to_tensor<int>({{2, 3, 4, 5, 6, 7, 8, 9}, {1, 4, 1, 5, 9, 2, 6, 5}});

  explicit Run(LossScaleOptions options) : scale(Device::cpu, options) {}
  /// The norm of the gradients.
  double step(double most = 1) {
    model.loss(inputs, targets).backward(scale.seed());
    double norm = scale.clip_gradients(model, most).item();
    model.update(scale.guard(optimiser));
    return norm;
  }
  double loss() const { return static_cast<double>(model.loss(inputs, targets).item()); }
  std::vector<float> weights() const {
    std::vector<float> all;
    model.each_parameter([&](auto&, const Parameter& p) { for (float w : p.as<float>().to_vector()) all.push_back(w); });
    return all;
  }
};

struct One : Layer<One> {
  Parameter w{ones({2})};
  static void parts(auto& self, auto&& part) { part("w", self.w); }
};

}  // namespace

TEST_CASE("a scale doubles after enough good steps and is halved after a bad one", "[loss_scale]") {
  One model;
  StochasticGradientDescent sgd{.learning_rate = 0.125};
  LossScale scale(Device::cpu, {.scale = 4, .grow_after = 3});
  auto step = [&](double gradient) {
    sum(model.w.as<float>() * gradient).backward(scale.seed(0.5));
    double norm = scale.clip_gradients(model).item();
    model.update(scale.guard(sgd));
    return norm;
  };
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  struct { double gradient, scale, w; Index skipped; } const steps[]{
      {2, 4, 0.875, 0}, {2, 4, 0.75, 0}, {infinity, 2, 0.75, 1}, {2, 2, 0.625, 1}, {2, 2, 0.5, 1}, {2, 4, 0.375, 1}, {2, 4, 0.25, 1}, {nan, 2, 0.25, 2}, {-infinity, 1, 0.25, 3}, {2, 1, 0.125, 3}};
  for (auto& [gradient, after, w, skipped] : steps) {
    double norm = step(gradient);
    if (gradient == 2) CHECK(norm == Approx(std::sqrt(2.0)));                      // of the loss itself, whatever the scale
    CHECK(scale.scale() == after);
    CHECK(scale.skipped() == skipped);
    CHECK(model.w.as<float>().to_vector() == std::vector<float>(2, static_cast<float>(w)));
    CHECK_FALSE(model.w.has_grad());
  }
  CHECK(sgd.memory.at("w").t.item() == 7);
  CHECK(refusal([&] { step(nan); }) == "loss scale: gradients are not finite, although the scale is down to 1");
  CHECK(model.w.as<float>().at(0) == 0.125f);
}

TEST_CASE("gradients are clipped by the norm that they have without the scale", "[loss_scale]") {
  One model;
  LossScale scale;
  sum(model.w.as<float>() * 3).backward(scale.seed());
  CHECK(scale.clip_gradients(model, 1).item() == Approx(3 * std::sqrt(2.0)));
  CHECK(model.w.as<float>().grad().at(0) == Approx(std::sqrt(0.5)).epsilon(1e-5));
}

TEST_CASE("after overflows a run is to the bit what it had been without them", "[loss_scale]") {
  Run high({.scale = 0x1p40});
  const auto before = high.weights();
  Index bad = 0;
  for (; !std::isfinite(high.step()); ++bad) CHECK(high.weights() == before);
  CHECK((bad > 10 && bad < 40 && high.scale.skipped() == bad && high.scale.scale() == std::exp2(40 - static_cast<double>(bad))));
  Run low({.scale = high.scale.scale()});
  low.step();
  CHECK(low.weights() == high.weights());
  high.step(), low.step();
  CHECK(low.weights() == high.weights());
}

TEST_CASE("small gradients vanish in half, unless the loss is scaled", "[loss_scale]") {
  GPT<half> model((seed(6), tiny));
  GPT<float> exact((seed(6), tiny));
  Run run({});
  LossScale scale;
  auto gradient = [](auto& of) { return of.blocks[0].attention.in.weights.template as<float>().grad().to_vector(); };
  auto distance = [&](const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference += std::pow(static_cast<double>(a[i] - b[i]), 2), norm += std::pow(static_cast<double>(b[i]), 2);
    return std::sqrt(difference / norm);
  };
  const double share = 1e-5;                             // as of a pass among many, or a position in a large batch
  exact.loss(run.inputs, run.targets).backward(full({}, share, {.requires_grad = false}));
  model.loss(run.inputs, run.targets).backward(full({}, share, {.requires_grad = false}));
  CHECK(distance(gradient(model), gradient(exact)) > 0.3);
  model.zero_grad();
  model.loss(run.inputs, run.targets).backward(scale.seed(share));
  scale.clip_gradients(model);
  CHECK(distance(gradient(model), gradient(exact)) < 0.01);
}

TEST_CASE("a GPT in half learns, and its scale finds its height", "[loss_scale]") {
  Run run({.scale = 0x1p30, .grow_after = 10});
  const double first = run.loss();
  for (int i = 0; i < 120; ++i) run.step();
  CHECK(run.loss() < 0.3 * first);
  CHECK((run.scale.skipped() > 3 && run.scale.skipped() < 40));
  CHECK((run.scale.scale() > 256 && run.scale.scale() < 0x1p28));
}

TEST_CASE("a scale that is no power of 2 ends at 1 all the same, and can be saved there", "[loss_scale]") {
  One model;
  LossScale scale(Device::cpu, {.scale = 3});
  for (double after : {1.5, 1.0}) {
    sum(model.w.as<float>() * std::numeric_limits<double>::infinity()).backward(scale.seed());
    scale.clip_gradients(model);
    model.zero_grad();
    CHECK(scale.scale() == after);
  }
  LossScale again;
  again.restore(scale.saved());
  CHECK(again.scale() == 1);
  LossScale copy = again, assigned;
  assigned = copy;
  copy.restore(LossScale().saved());
  CHECK((copy.scale() == 65536 && again.scale() == 1 && assigned.scale() == 1));
}

TEST_CASE("a loss scale refuses what is none", "[loss_scale]") {
  CHECK_THROWS_AS(LossScale(Device::cpu, {.scale = 0.5}), Error);
  CHECK_THROWS_AS(LossScale(Device::cpu, {.grow_after = 0}), Error);
  LossScale scale;
  CHECK(refusal([&] { scale.restore(to_tensor<double>({1, 2})); }) == "loss scale: a state of shape (2,), not (4,)");
  CHECK(refusal([&] { scale.restore(to_tensor<double>({0, 0, 0, 0})); }) == "loss scale: a saved scale of 0 after 0 good steps and 0 bad ones");
  CHECK(scale.scale() == 65536);
}
