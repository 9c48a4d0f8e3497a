// What the tape records, and what may be seen of it: args and back_fns.
#include <thread>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/op/dense.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/lookup.hpp"
#include "tricycle/op/norm.hpp"
#include "tricycle/op/reduce.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"

using tricycle::bf16;
using tricycle::NoGrad;
using tricycle::Tensor;
using tricycle::to_tensor;
using Catch::Matchers::Contains;

namespace {

using Numbers = std::vector<float>;

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

}  // namespace

TEST_CASE("under NoGrad nothing is recorded, on this thread") {
  auto x = to_tensor({1, 2});
  {
    NoGrad outer;
    {
      NoGrad inner;
      CHECK_FALSE((x * x).requires_grad());
    }
    CHECK_FALSE((x * x).requires_grad());
    CHECK_FALSE((x * 2.0).requires_grad());
    CHECK_FALSE(tricycle::split(x, 2)[0].requires_grad());
    CHECK_FALSE(tricycle::layer_norm(x, x).requires_grad());
    bool elsewhere = false;
    std::thread([&] { elsewhere = (x * x).requires_grad(); }).join();
    CHECK(elsewhere);
  }
  CHECK((x * x).requires_grad());
  auto constant = to_tensor({1, 2}, {.requires_grad = false});
  CHECK_FALSE((constant * constant).requires_grad());
  CHECK((constant * x).requires_grad());
}

TEST_CASE("detach forgets") {
  auto x = to_tensor({2, 3});
  auto y = x * x;
  auto d = y.detach();
  CHECK(d.data() == y.data());
  CHECK_FALSE(d.requires_grad());
  (d * x).backward();
  CHECK(x.grad().to_vector() == Numbers{4, 9});
}

TEST_CASE("results have the names that their ops are called by") {
  using namespace tricycle;
  auto x = to_tensor({{1, -2}, {3, 4}}), w = to_tensor({{1, 0}, {0, 1}});
  auto name = [](const auto& y) { return std::string(y.name()); };
  CHECK((name(x + 4.0) == "+ 4" && name(x + w) == "badd" && name(x * w) == "bmul" && name(relu(x)) == "> 0" && name(softmax(x)) == "softmax" && name(dense(x, w)) == "dense"));
  CHECK((name(cross_entropy(to_tensor<int>({0, 1}), x)) == "cross_entropy" && name(einsum<"ij->ji">(x)) == "einsum ij->ji"));
}

TEST_CASE("args and back_fns are paired, and can be printed") {
  auto a = to_tensor({2, 3}), b = to_tensor({5, 7}), constant = to_tensor({1, 1}, {.requires_grad = false});
  CHECK(a.args().empty());
  CHECK(a.back_fns().empty());
  auto y = a * b;
  REQUIRE(y.args().size() == 2);
  REQUIRE(y.back_fns().size() == 2);
  CHECK(y.args()[0] == a.node());
  CHECK(y.args()[1] == b.node());
  CHECK(printed(*y.args()[0]) == "leaf (2,) float32");
  CHECK(printed(*(y + a).args()[0]) == std::string(y.name()) + " (2,) float32");
  CHECK(printed(y.back_fns()[1]) == "back_fn 1 of " + std::string(y.name()));

  y.back_fns()[1](to_tensor({10, 100}));                     // to b alone
  CHECK(b.grad().to_vector() == Numbers{20, 300});
  CHECK_FALSE(a.has_grad());
  y.back_fns()[0](to_tensor({1, 2}));
  CHECK(a.grad().to_vector() == Numbers{5, 14});
  CHECK_THAT(refusal([&] { y.back_fns()[0](to_tensor(1)); }), Contains("()") && Contains("(2,)"));

  auto z = constant * a;                                     // an argument without a gradient has its place
  REQUIRE(z.args().size() == 2);
  CHECK(z.args()[0] == nullptr);
  CHECK(z.args()[1] == a.node());
  z.back_fns()[0](to_tensor({1, 1}));

  auto spare = y.back_fns()[0];
  y.backward();
  CHECK_THAT(refusal([&] { spare(to_tensor({1, 1})); }), Contains("freed"));
}

TEST_CASE("a gradient sent by hand to the middle of a graph is not taken for backward's") {
  auto x = to_tensor({2, 3});
  auto y = x * x, z = y * 2.0;
  z.back_fns()[0](to_tensor({100, 100}));
  CHECK(y.grad().to_vector() == Numbers{200, 200});
  z.backward();
  CHECK(x.grad().to_vector() == Numbers{8, 12});
}

TEST_CASE("args and back_fns between element types") {
  auto x = to_tensor({2, 3});
  auto half = tricycle::cast<bf16>(x);
  auto y = half * half;
  auto z = tricycle::cast<float>(y);
  REQUIRE(half.args().size() == 1);
  CHECK(printed(*half.args()[0]) == "leaf (2,) float32");
  CHECK(printed(*z.args()[0]) == std::string(y.name()) + " (2,) bfloat16");
  z.back_fns()[0](to_tensor({1, 2}));
  CHECK(y.grad().at(1) == 2.f);
  half.back_fns()[0](to_tensor<bf16>({3, 4}));
  CHECK(x.grad().to_vector() == Numbers{3, 4});
  x.zero_grad();
  z.backward();
  CHECK(x.grad().to_vector() == Numbers{4, 6});
}

TEST_CASE("the gradient of a cast is in the type that was cast") {
  auto x = to_tensor<float>({1.001f, -2, 3});
  auto y = tricycle::cast<bf16>(x);
  CHECK(y.to_vector()[0] == 1.0f);
  y.backward(to_tensor<bf16>({0.5f, 2, -4}));
  CHECK(x.grad().to_vector() == std::vector<float>{0.5f, 2, -4});
  CHECK(tricycle::cast<int>(x).to_vector() == std::vector<int>{1, -2, 3});
}

TEST_CASE("each back_fn of a joint one sends to its argument alone") {
  auto x = tricycle::normal({3, 4}), gamma = to_tensor({1, 2, 3, 4}), beta = to_tensor({1, 1, 1, 1}), seed = tricycle::normal({3, 4}).detach();
  auto y = tricycle::layer_norm(x, gamma, beta);
  y.backward(seed, {.retain_graph = true});
  Tensor<float>* args[] = {&x, &gamma, &beta};
  REQUIRE(y.back_fns().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    auto expected = args[i]->grad().to_vector();
    for (auto* arg : args) arg->zero_grad();
    y.back_fns()[i](seed);
    for (std::size_t j = 0; j < 3; ++j) CHECK(args[j]->has_grad() == (i == j));
    CHECK(args[i]->grad().to_vector() == expected);
    y.backward(seed, {.retain_graph = true});
    for (auto* arg : args) arg->zero_grad();
    y.backward(seed, {.retain_graph = true});
  }
}
