// Losses: their gradients, what they are by hand, and classifiers that make their logits some positions at a time.
#include "catch.hpp"
#include "tricycle/nn/gradcheck.hpp"
#include "tricycle/nn/loss.hpp"
#include "tricycle/op/classify.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"

using namespace tricycle;

TEST_CASE("the gradients of losses, of several shapes") {
  seed(12);
  for (const Shape& shape : {Shape{4}, {1}, {2, 3}, {2, 3, 5}, {3, 1, 2}}) {
    INFO(shape);
    auto x = uniform<double>(shape, -3, 3), y = uniform<double>(shape, 0.1, 0.9), p = uniform<double>(shape, 0.1, 0.9);
    CHECK_NOTHROW(gradcheck(MeanSquaredError(), {y, x}));
    CHECK_NOTHROW(gradcheck(MeanSquaredError{.mean = true}, {y, x}));
    CHECK_NOTHROW(gradcheck(BinaryCrossEntropy(), {y, x}));
    CHECK_NOTHROW(gradcheck(BinaryCrossEntropy{.from_logits = false}, {y, p}));
    Tensor<int> labels(shape.slice(0, shape.rank() - 1));
    for (Index i = 0; i < labels.size(); ++i) labels.mutable_data()[i] = static_cast<int>(i % shape[-1]);
    CHECK_NOTHROW(gradcheck([&](auto& logits) { return CrossEntropy()(labels, logits); }, {x}));
    CHECK_NOTHROW(gradcheck([&](auto& logits) { return CrossEntropy{.ignore_index = 1}(labels, logits); }, {x}));
  }
}

TEST_CASE("losses of a few numbers, by hand") {
  auto y = to_tensor({{1, 2}, {3, 4}}), x = to_tensor({{1, 4}, {0, 4}});
  CHECK(MeanSquaredError()(y, x).item() == 6.5f);                                // (4 + 9) / 2
  CHECK(MeanSquaredError{.mean = true}(y, x).item() == 3.25f);
  CHECK(MeanSquaredError()(to_tensor(3), to_tensor(1)).item() == 4);
  CHECK(BinaryCrossEntropy()(to_tensor<int>({1, 0}), to_tensor({0, 0})).item() == Approx(std::log(2)));
  CHECK(BinaryCrossEntropy{.from_logits = false}(to_tensor<bool>({1, 0}), to_tensor({0.25f, 0.5f})).item() == Approx((std::log(4) + std::log(2)) / 2));
  auto loss = CrossEntropy{.ignore_index = 0}(to_tensor<int>({0, 1, 2}), to_tensor({{0, 0, 1}, {0, 0, 1}, {0, 0, 1}}));
  const double all = std::log(2 + std::exp(1.0));
  CHECK(loss.item() == Approx((all + all - 1) / 2));
  CHECK(CrossEntropy()(to_tensor<int>({0, 1, 2}), to_tensor({{0, 0, 1}, {0, 0, 1}, {0, 0, 1}})).item() == Approx(1.2181114));
  CHECK(static_cast<float>(MeanSquaredError()(cast<bf16>(y), cast<bf16>(x)).item()) == 6.5f);      // in float, whatever is compared
}

TEST_CASE("a classifier of more positions than are taken at once is the sum of its parts") {
  const Index classes = Index{1} << 20, positions = 130;           // of 512 MiB of logits: 128 positions, and then 2
  seed(4);
  auto x = normal({positions, 2}), w = normal({2, classes}), bias = normal({classes});
  std::vector<int> labels;
  for (Index i = 0; i < positions; ++i) labels.push_back(static_cast<int>(random_bits() % classes));
  const auto truth = to_tensor<int>(labels, {positions});
  classify(truth, x, w, false, {}, &bias).backward();
  const std::vector<Tensor<float>> gradients{x.grad(), w.grad(), bias.grad()};
  for (auto* operand : {&x, &w, &bias}) operand->zero_grad();
  for (auto [from, to] : {std::pair<Index, Index>{0, 128}, {128, positions}})
    (classify(truth.slice(0, from, to), x.slice(0, from, to), w, false, {}, &bias) * (static_cast<double>(to - from) / static_cast<double>(positions))).backward();
  CHECK(close_to(gradients[0], x.grad(), 1e-5, 1e-8));
  CHECK(close_to(gradients[1], w.grad(), 1e-5, 1e-8));
  CHECK(close_to(gradients[2], bias.grad(), 1e-5, 1e-8));
}

TEMPLATE_TEST_CASE("a classifier of no positions has gradients of 0", "[ops]", float, double, bf16) {
  auto x = zeros<TestType>({0, 3}), w = ones<TestType>({5, 3});
  classify(Tensor<int>(Shape{0}), x, w, true).backward();
  for (auto g : w.grad().to_vector()) CHECK(static_cast<double>(g) == 0);
}

TEMPLATE_TEST_CASE("a classifier whose labels are all ignored has no loss, and gradients of 0", "[ops]", float, double, bf16) {
  auto x = ones<TestType>({2, 3}), w = ones<TestType>({3, 4}), bias = ones<TestType>({4});
  auto loss = classify(to_tensor<int>({-1, -1}), x, w, false, -1, &bias);
  CHECK(std::isnan(loss.item()));
  loss.backward();
  for (auto* operand : {&x, &w, &bias})
    for (auto g : operand->grad().to_vector()) CHECK(static_cast<double>(g) == 0);
}
