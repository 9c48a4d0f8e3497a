// Ops where numbers run out: infinities, NaN, logits of 10,000, rows that are all the same, and sums of ten million.
#include <numeric>
#include "catch.hpp"
#include "tricycle/op/choose.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/loss.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/reduce_rows.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"

using tricycle::Index;
using tricycle::Tensor;
using tricycle::to_tensor;
namespace tc = tricycle;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity(), NaN = std::numeric_limits<double>::quiet_NaN();

/// Are all numbers as they should be, NaN where NaN is expected?
template <class T>
bool are(const Tensor<T>& x, const std::vector<double>& expected, double rtol = 1e-6) {
  return close_to(x, to_tensor<T>(expected, x.shape()), rtol, 5e-6, true);
}

/// The gradient of the sum of y weighted by 1, 2, ...
template <class T>
Tensor<T> gradient(const Tensor<T>& y, const Tensor<T>& x) {
  Tensor<T> weights(y.shape());
  std::iota(weights.mutable_data(), weights.mutable_data() + weights.size(), T(1));
  y.backward(weights);
  return x.grad();
}

}  // namespace

TEMPLATE_TEST_CASE("elementwise ops go to their limits", "[ops]", float, double) {
  using Op = Tensor<TestType> (*)(const Tensor<TestType>&);
  struct Limit {
    const char* name;
    Op op;
    double x, y, slope;
  };
  const Op exact = [](const Tensor<TestType>& x) { return tc::gelu(x, {.exact = true}); };
  const Op at_least = [](const Tensor<TestType>& x) { return tc::max(x, 2); }, at_most = [](const Tensor<TestType>& x) { return tc::min(2, x); };
  const Op to_0 = [](const Tensor<TestType>& x) { return tc::pow(x, 0); }, of_2 = [](const Tensor<TestType>& x) { return tc::pow(2, x); };
  const std::vector<Limit> limits{
      {"exp", tc::exp, -inf, 0, 0},       {"exp", tc::exp, inf, inf, inf},       {"exp", tc::exp, -1e4, 0, 0},
      {"log", tc::log, 0, -inf, inf},     {"log", tc::log, inf, inf, 0},         {"log", tc::log, -1, NaN, -1},
      {"sqrt", tc::sqrt, 0, 0, inf},      {"sqrt", tc::sqrt, inf, inf, 0},       {"sqrt", tc::sqrt, -1, NaN, NaN},
      {"sin", tc::sin, inf, NaN, NaN},    {"cos", tc::cos, -inf, NaN, NaN},
      {"abs", tc::abs, -inf, inf, -1},    {"abs", tc::abs, inf, inf, 1},         {"abs", tc::abs, 0, 0, 0},
      {"tanh", tc::tanh, -inf, -1, 0},    {"tanh", tc::tanh, inf, 1, 0},         {"tanh", tc::tanh, 1e4, 1, 0},
      {"sigmoid", tc::sigmoid, -inf, 0, 0}, {"sigmoid", tc::sigmoid, inf, 1, 0}, {"sigmoid", tc::sigmoid, -1e4, 0, 0}, {"sigmoid", tc::sigmoid, 1e4, 1, 0},
      {"relu", tc::relu, -inf, 0, 0},     {"relu", tc::relu, inf, inf, 1},       {"relu", tc::relu, 0, 0, 0},
      {"gelu", tc::gelu, -inf, 0, 0},     {"gelu", tc::gelu, inf, inf, 1},       {"gelu", tc::gelu, -1e4, 0, 0}, {"gelu", tc::gelu, 1e4, 1e4, 1}, {"gelu", tc::gelu, 1e30, 1e30, 1},
      {"swish", tc::swish, -inf, 0, 0},   {"swish", tc::swish, inf, inf, 1},     {"swish", tc::swish, -1e4, 0, 0}, {"swish", tc::swish, 1e4, 1e4, 1},
      {"erf", tc::erf, -inf, -1, 0},      {"erf", tc::erf, inf, 1, 0},           {"erf", tc::erf, 1e4, 1, 0},         {"erf", tc::erf, NaN, NaN, NaN},
      {"exact", exact, -inf, 0, 0},       {"exact", exact, inf, inf, 1},         {"exact", exact, -1e4, 0, 0},        {"exact", exact, 1e4, 1e4, 1},   {"exact", exact, 1e30, 1e30, 1}, {"exact", exact, NaN, NaN, NaN},
      {"max 2", at_least, -inf, 2, 0},    {"max 2", at_least, inf, inf, 1},      {"max 2", at_least, 2, 2, 0},        {"max 2", at_least, NaN, NaN, NaN},
      {"min 2", at_most, -inf, -inf, 1},  {"min 2", at_most, inf, 2, 0},         {"min 2", at_most, 2, 2, 0},         {"min 2", at_most, NaN, NaN, NaN},
      {"pow 0", to_0, inf, 1, 0},         {"pow 0", to_0, NaN, 1, NaN},          {"pow 0", to_0, 0, 1, 0},
      {"2^", of_2, -inf, 0, 0},           {"2^", of_2, inf, inf, inf},           {"2^", of_2, NaN, NaN, NaN},
      {"exp", tc::exp, NaN, NaN, NaN},    {"log", tc::log, NaN, NaN, NaN},       {"sqrt", tc::sqrt, NaN, NaN, NaN}, {"sin", tc::sin, NaN, NaN, NaN},
      {"cos", tc::cos, NaN, NaN, NaN},    {"abs", tc::abs, NaN, NaN, NaN},       {"tanh", tc::tanh, NaN, NaN, NaN}, {"sigmoid", tc::sigmoid, NaN, NaN, NaN},
      {"relu", tc::relu, NaN, NaN, NaN},  {"gelu", tc::gelu, NaN, NaN, NaN},     {"swish", tc::swish, NaN, NaN, NaN},
  };
  for (const Limit& limit : limits) {
    INFO(limit.name << " at " << limit.x);
    auto x = tc::full<TestType>({19}, limit.x);          // some packs and a short one
    auto y = limit.op(x);
    CHECK(are(y, std::vector<double>(19, limit.y)));
    y.backward();
    CHECK(are(x.grad(), std::vector<double>(19, limit.slope)));
  }
}

TEMPLATE_TEST_CASE("softmax and its relatives bear logits of 10,000 and rows of equals", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1e4, -1e4, 0}, {-1e4, -1e4, -1e4}, {1e4, 1e4, 1e4}});
  const double third = 1 / 3.0, ln3 = std::log(3.0);
  CHECK(are(tc::softmax(x), {1, 0, 0, third, third, third, third, third, third}));
  CHECK(are(tc::log_softmax(x), {0, -2e4, -1e4, -ln3, -ln3, -ln3, -ln3, -ln3, -ln3}));
  CHECK(are(tc::causal_softmax(x), {1, 0, 0, 0.5, 0.5, 0, third, third, third}));
  CHECK(are(gradient(tc::softmax(x), x), {0, 0, 0, -third, 0, third, -third, 0, third}));
  x.zero_grad();
  CHECK(are(gradient(tc::log_softmax(x), x), {-5, 2, 3, -1, 0, 1, -1, 0, 1}));
  x.zero_grad();
  auto loss = tc::cross_entropy(to_tensor<int>({1, 0, 2}), x);
  CHECK(loss.item() == Approx((2e4 + 2 * ln3) / 3));
  loss.backward();
  CHECK(are(x.grad(), {third, -third, 0, -2 * third / 3, third / 3, third / 3, third / 3, third / 3, -2 * third / 3}));
}

TEMPLATE_TEST_CASE("softmax leaves out what is -infinity, be it a whole row; no sum holds infinity or NaN", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{-inf, 0, 0, -inf, 0}, {-inf, -inf, -inf, -inf, -inf}, {inf, 0, 0, 0, 0}, {0, NaN, 0, 0, 0}, {7, 7, 7, 7, 7}});
  const double third = 1 / 3.0, fifth = 0.2, ln3 = std::log(3.0), ln5 = std::log(5.0);
  auto rows_of_nan = [](std::vector<double> first, std::vector<double> last, double masked = 0) {
    first.insert(first.end(), 5, masked);
    first.insert(first.end(), 10, NaN);
    first.insert(first.end(), last.begin(), last.end());
    return first;
  };
  CHECK(are(tc::softmax(x), rows_of_nan({0, third, third, 0, third}, {fifth, fifth, fifth, fifth, fifth})));
  CHECK(are(tc::log_softmax(x), rows_of_nan({-inf, -ln3, -ln3, -inf, -ln3}, {-ln5, -ln5, -ln5, -ln5, -ln5}, -inf)));
  CHECK(are(gradient(tc::softmax(x), x), rows_of_nan({0, -4 * third / 3, -third / 3, 0, 5 * third / 3}, {-0.4, -0.2, 0, 0.2, 0.4}), 1e-5));
}

TEMPLATE_TEST_CASE("layer_norm bears rows of equals and rows far from 0", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1e4, 1e4, 1e4}, {0, 0, 0}, {1e4, -1e4, 0}, {9999, 10000, 10001}, {0, NaN, 0}});
  auto gamma = tc::ones<TestType>({3}), beta = tc::full<TestType>({3}, 2);
  const double r = std::sqrt(1.5);
  auto y = tc::layer_norm(x, gamma, beta);
  CHECK(are(y, {2, 2, 2, 2, 2, 2, 2 + r, 2 - r, 2, 2 - r, 2, 2 + r, NaN, NaN, NaN}, 1e-4));
  auto slopes = gradient(y, x).to_vector();
  CHECK(std::all_of(slopes.begin(), slopes.end() - 3, [](TestType slope) { return std::isfinite(slope); }));
}

TEMPLATE_TEST_CASE("rms_norm bears rows of 0 and large ones", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{0, 0, 0}, {1e4, 1e4, 1e4}, {-1e9, 0, 0}, {0, NaN, 0}}), gamma = tc::full<TestType>({3}, 2);
  auto y = tc::rms_norm(x, gamma);
  CHECK(are(y, {0, 0, 0, 2, 2, 2, -2 * std::sqrt(3.0), 0, 0, NaN, NaN, NaN}, 1e-4));
  auto slopes = gradient(y, x).to_vector();
  CHECK(std::all_of(slopes.begin(), slopes.end() - 3, [](TestType slope) { return std::isfinite(slope); }));
}

TEMPLATE_TEST_CASE("binary_cross_entropy bears logits of 10,000, probabilities of 0 and 1, and loses no small surprise", "[ops]", float, double) {
  for (auto [truth, logit, surprise, slope] : {std::array{1.0, 1e4, 0.0, 0.0}, {0.0, 1e4, 1e4, 1.0}, {1.0, -1e4, 1e4, -1.0}, {0.0, -1e4, 0.0, 0.0}, {1.0, 30.0, std::exp(-30.0), -std::exp(-30.0)}}) {
    auto x = tc::full<TestType>({9}, logit);
    auto loss = tc::binary_cross_entropy(tc::full<tricycle::Index>({9}, truth), x);
    CHECK(static_cast<double>(loss.item()) == Approx(surprise).epsilon(1e-5));
    loss.backward();
    CHECK(are(x.grad() * 9.0, std::vector<double>(9, slope), 1e-6));
  }
  auto p = to_tensor<TestType>({0, 1, 0, 1});
  auto loss = tc::binary_cross_entropy(to_tensor<bool>({0, 1, 1, 0}), p, false);
  CHECK(loss.item() == 50);
  CHECK(are(gradient(loss, p), {0, 0, -2.5e11, 2.5e11}));
}

TEMPLATE_TEST_CASE("cross_entropy leaves out a label: all of them, none of them, and what no class has", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1, 2, 3}, {0, 0, 0}, {5, 1, 1}});
  auto loss = tc::cross_entropy(to_tensor<int>({-100, 2, -100}), x, -100);
  CHECK(static_cast<double>(loss.item()) == Approx(std::log(3.0)));
  loss.backward();
  const double third = 1 / 3.0;
  CHECK(are(x.grad(), {0, 0, 0, third, third, third - 1, 0, 0, 0}));
  auto labels = to_tensor<tricycle::Index>({0, 1, 2});
  CHECK(tc::cross_entropy(labels, x, 7).item() == Approx(tc::cross_entropy(labels, x).item()));
  x.zero_grad();
  auto none = tc::cross_entropy(to_tensor<int>({1, 1, 1}), x, 1);
  CHECK(std::isnan(none.item()));
  none.backward();
  CHECK(are(x.grad(), std::vector<double>(9, 0)));
  CHECK(tc::cross_entropy(to_tensor<int>(1), to_tensor<TestType>({0, 0})).item() == Approx(std::log(2.0)));
}

TEMPLATE_TEST_CASE("a number divided by itself is 1, and a division does not overflow on its way", "[ops]", float, double) {
  for (int n = 1; n <= 1000; ++n) CHECK((to_tensor<TestType>({n}) / n).item() == 1);
  const double tiny = sizeof(TestType) == 4 ? 1e-40 : 1e-310;
  CHECK((tc::full<TestType>({3}, tiny) / tiny).at(2) == 1);
}

TEMPLATE_TEST_CASE("NaN travels, and stays in its row", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1, NaN, 2}, {3, 5, 4}});
  auto one = tc::ones<TestType>({2, 3});
  for (auto y : {x + one, one - x, x * one, one / x, -x, x * 0.0, x + 1.0}) CHECK(std::isnan(y.at(0, 1)));
  for (auto y : {tc::sum(x, {{-1}}), tc::mean(x, {{-1}}), tc::max(x, {{-1}}), tc::einsum<"ij,j->i">(x, to_tensor<TestType>({0, 0, 1})) + 1}) {
    CHECK(std::isnan(y.at(0)));
    CHECK(y.at(1) >= 4);
  }
  CHECK(tc::argmax(x).to_vector() == std::vector<Index>{1, 1});
  CHECK(are(tc::cast<TestType>(x == x), {1, 0, 1, 1, 1, 1}));
  CHECK(are(gradient(tc::max(x, {{-1}}), x), {0, 1, 0, 0, 2, 0}));
  CHECK(std::isnan(tc::sum(to_tensor<TestType>({inf, -inf})).item()));
  CHECK(tc::max(to_tensor<TestType>({-inf, -inf})).item() == -inf);
}

TEMPLATE_TEST_CASE("the larger and the smaller of two: ties go to the second, NaN to both", "[ops]", float, double) {
  for (bool larger : {true, false}) {
    auto a = to_tensor<TestType>({1, 2, NaN, 1, inf, -inf}), b = to_tensor<TestType>({1, 1, 1, NaN, -inf, inf});
    auto y = larger ? tc::max(a, b) : tc::min(a, b);
    CHECK(are(y, larger ? std::vector<double>{1, 2, NaN, NaN, inf, inf} : std::vector<double>{1, 1, NaN, NaN, -inf, -inf}));
    y.backward();
    CHECK(are(a.grad(), larger ? std::vector<double>{0, 1, NaN, NaN, 1, 0} : std::vector<double>{0, 0, NaN, NaN, 0, 1}));
    CHECK(are(b.grad(), larger ? std::vector<double>{1, 0, NaN, NaN, 0, 1} : std::vector<double>{1, 1, NaN, NaN, 1, 0}));
  }
  auto a = to_tensor<TestType>({0, 0, 0, -2, 2}), b = to_tensor<TestType>({0, 2, -1, 3, 0});
  auto y = tc::pow(a, b);
  CHECK(are(y, {1, 0, inf, -8, 1}));
  y.backward();
  CHECK(are(a.grad(), {0, 0, -inf, 12, 0}));
  CHECK(are(b.grad(), {0, 0, 0, NaN, std::log(2.0)}));
}

TEMPLATE_TEST_CASE("the gradient of a maximum or minimum goes to the first of equals", "[ops]", float, double) {
  for (double sign : {1.0, -1.0}) {
    auto x = to_tensor<TestType>({{3, 5, 5}, {5, 0, 0}, {0, 0, 0}});
    auto best = [&](const tc::Axes& over) { return sign > 0 ? tc::max(x * sign, over) : tc::min(x * sign, over); };
    (best({{1}}) * to_tensor<TestType>({1, 10, 100})).backward();
    CHECK(are(x.grad(), {0, sign, 0, 10 * sign, 0, 0, 100 * sign, 0, 0}));
    x.zero_grad();
    best({}).backward();
    CHECK(are(x.grad(), {0, sign, 0, 0, 0, 0, 0, 0, 0}));
  }
}

TEMPLATE_TEST_CASE("a truth that is masked is an infinite surprise, of a finite gradient", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{-inf, -inf, -inf}, {-inf, 0, 0}});
  auto loss = tc::cross_entropy(to_tensor<int>({2, 0}), x);
  CHECK(loss.item() == inf);
  loss.backward();
  CHECK(are(x.grad(), {0, 0, -0.5, -0.5, 0.25, 0.25}));
}

TEMPLATE_TEST_CASE("logsumexp is what it is, however large or small: in rows of -infinity, too", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1e4, 1e4, -1e4}, {-1e4, -1e4, -1e4}, {-inf, -inf, -inf}, {-inf, 3, -inf}, {inf, 0, -inf}, {0, NaN, 0}});
  const double third = 1 / 3.0;
  auto y = tc::logsumexp(x, {{-1}});
  CHECK(are(y, {1e4 + std::log(2.0), -1e4 + std::log(3.0), -inf, 3, inf, NaN}));
  y.backward();
  CHECK(are(x.grad(), {0.5, 0.5, 0, third, third, third, 0, 0, 0, 0, 1, 0, NaN, 0, 0, NaN, NaN, NaN}, 1e-3));
  CHECK(tc::logsumexp(tc::zeros<TestType>({0})).item() == -inf);
  CHECK(static_cast<double>(tc::logsumexp(tc::zeros<TestType>({10'000'000}).detach()).item()) == Approx(std::log(1e7)).epsilon(1e-6));
}

TEMPLATE_TEST_CASE("a product has a gradient at zeros, and of no numbers is 1", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{2, 3, -4}, {2, 0, -4}, {0, 3, 0}, {NaN, 3, 1}});
  auto y = tc::prod(x, {{1}});
  CHECK(are(y, {-24, 0, 0, NaN}));
  CHECK(are(gradient(y, x), {-12, -8, 6, 0, -16, 0, 0, 0, 0, NaN, NaN, NaN}));
  CHECK(tc::prod(tc::zeros<TestType>({0})).item() == 1);
  CHECK(tc::prod(to_tensor<TestType>({inf, 2})).item() == inf);
}

TEMPLATE_TEST_CASE("variances far from 0 keep their digits, and of equals are 0", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{9999, 10000, 10001}, {0.1, 0.1, 0.1}, {-1e9, -1e9, -1e9}, {0, NaN, 0}});
  CHECK(are(tc::var(x, {{1}}), {2 / 3.0, 0, 0, NaN}));
  CHECK(are(tc::var(x, {{1}}, 1), {1, 0, 0, NaN}));
  CHECK(tc::var(tc::full<TestType>({100'003}, 0.1).detach()).item() < 1e-17);
  CHECK(std::isnan(tc::var(tc::ones<TestType>({1}), {}, 1).item()));
  CHECK(std::isnan(tc::var(tc::ones<TestType>({0})).item()));
  auto spike = tc::zeros<TestType>({1'000'000}).detach();
  spike.mutable_data()[7] = 1;
  CHECK(static_cast<double>(tc::var(spike).item()) == Approx(1e-6 * (1 - 1e-6)).epsilon(1e-5));
  CHECK(are(tc::var(tc::full<TestType>({2, 4, 2}, 1e6) + to_tensor<TestType>({{1}, {2}, {3}, {4}}), {{1}, true}), std::vector<double>(4, 1.25)));
}

TEMPLATE_TEST_CASE("NaN travels through reductions and choices as in NumPy", "[ops]", float, double) {
  auto x = to_tensor<TestType>({{1, NaN, NaN}, {3, 5, 4}});
  CHECK(are(tc::min(x, {{1}}), {NaN, 3}));
  CHECK(tc::argmin(x).to_vector() == std::vector<Index>{1, 0});
  CHECK(tc::argmax(x, {}).item() == 1);
  CHECK(are(gradient(tc::min(x, {{1}}), x), {0, 1, 0, 2, 0, 0}));
  for (auto y : {tc::prod(x, {{1}}), tc::var(x, {{1}}), tc::logsumexp(x, {{1}}), tc::sum(x, {{1}}), tc::mean(x, {{1}}), tc::max(x, {{1}}), tc::softmax(x)[-1 - 1], tc::log_softmax(x)[0], tc::ReduceMin("ij->i")(x)}) CHECK(std::isnan(y.at(0)));
  for (auto y : {tc::pow(x, x), tc::pow(x, 2), tc::pow(2, x), x - x, x / x, tc::max(x, 1), tc::min(x, 9), tc::erf(x), tc::gelu(x), tc::gelu(x, {.exact = true}), tc::where(x == x, x, x + 1),
                 tc::transpose(tc::transpose(x)), tc::concatenate(x, x), x.slice(1, 0), tc::take(x, to_tensor<int>({0})), tc::stack({x, x})[1], tc::cast<TestType>(tc::cast<tc::bf16>(x)), tc::cast<TestType>(tc::cast<tc::half>(x))})
    CHECK(std::isnan(y.at(0, 1)));
  CHECK(are(tc::cast<TestType>(x != x), {0, 1, 1, 0, 0, 0}));
  for (auto never : {x < x, x > x, tc::where(x <= x, x == x, x != x) && x < x}) CHECK_FALSE(never.at(0, 1));
  CHECK(are(tc::cast<TestType>(x >= x), {1, 0, 0, 1, 1, 1}));
  CHECK(are(tc::cast<double>(tc::cast<bool>(to_tensor<double>({0, 0.5, NaN}))), {0, 1, 1}));
}

TEST_CASE("denormals are numbers", "[ops]") {
  const float tiny = 1e-40f, least = std::numeric_limits<float>::denorm_min();
  const auto x = to_tensor({tiny, -tiny, 0.f, least});
  auto same = [&](const Tensor<float>& y, std::vector<float> expected, float rtol = 1e-4f) {
    const auto is = y.to_vector();
    for (std::size_t i = 0; i < is.size(); ++i) CHECK(std::abs(is[i] - expected[i]) <= rtol * std::abs(expected[i]) + least);
  };
  same(x + x, {2 * tiny, -2 * tiny, 0, 2 * least});
  same(x * 0.5, {tiny / 2, -tiny / 2, 0, 0});
  same(tc::relu(x), {tiny, 0, 0, least});
  same(tc::max(x, x * 2.0), {2 * tiny, -tiny, 0, 2 * least});
  same(tc::tanh(x), {tiny, -tiny, 0, least});
  same(tc::gelu(x), {tiny / 2, -tiny / 2, 0, 0});
  same(tc::swish(x), {tiny / 2, -tiny / 2, 0, 0});
  same(tc::exp(tc::full({2}, -100)), {3.783506e-44f, 3.783506e-44f}, 0.03f);
  same(tc::softmax(to_tensor({0, -100})), {1, 3.783506e-44f}, 0.03f);
  same(tc::softmax(x), {0.25f, 0.25f, 0.25f, 0.25f});
  same(tc::sum(x), {least});
  same(tc::max(x), {tiny});
  CHECK(tc::argmin(x).item() == 1);
  CHECK(tc::logsumexp(x).item() == Approx(std::log(4.0)));
  CHECK(tc::var(x).item() == 0);
  same(tc::layer_norm(x, tc::ones({4})), {tiny * 316.23f, -tiny * 316.23f, 0, least * 316.23f}, 0.01f);
}

TEST_CASE("long sums lose no digits", "[ops]") {
  const auto many = tc::full({10'000'000}, 0.1f).detach();
  const double exact = static_cast<double>(0.1f) * 1e7;
  CHECK(tc::sum(many).item() == Approx(exact).epsilon(1e-6));
  CHECK(tc::mean(many).item() == Approx(0.1f).epsilon(1e-6));
  CHECK(tc::einsum<"i,i->">(many, tc::ones({10'000'000})).item() == Approx(exact).epsilon(1e-6));
  for (const auto& sums : {tc::sum(many.reshape({-1, 10}), {{0}}), tc::sum(many.reshape({10, -1}), {{1}}), tc::sum(many.reshape({1000, 10, -1}), {{0, 2}})})
    for (float sum : sums.span()) CHECK(sum == Approx(exact / 10).epsilon(1e-6));
  CHECK(static_cast<float>(tc::sum(tc::ones<tc::bf16>({100, 1000})).item()) == Approx(1e5).epsilon(4e-3));
  CHECK(static_cast<float>(tc::mean(tc::ones<tc::half>({100, 1000})).item()) == 1.f);                   // the sum is a float's
  CHECK(static_cast<float>(tc::sum(tc::ones<tc::half>({65504})).item()) == 65504.f);
  CHECK(static_cast<float>(tc::sum(tc::ones<tc::half>({100, 1000})).item()) == std::numeric_limits<float>::infinity());
}
