// The tape: gradients reach every leaf once, whatever the graph.
#include <chrono>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/reduce.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"
#include "watched.hpp"

using namespace std::string_literals;
using tricycle::einsum;
using tricycle::Index;
using tricycle::Shape;
using tricycle::Sink;
using tricycle::Tensor;
using tricycle::to_tensor;
using Catch::Matchers::Contains;

namespace {

using Numbers = std::vector<float>;

}  // namespace

// ---------------------------------------------------------------- graphs

TEST_CASE("the same tensor twice in an op") {
  auto x = to_tensor({2, 3});
  (x * x).backward();
  CHECK(x.grad().to_vector() == Numbers{4, 6});
  x.zero_grad();
  (x + x).backward();
  CHECK(x.grad().to_vector() == Numbers{2, 2});
  x.zero_grad();
  (x - x).backward();
  CHECK(x.grad().to_vector() == Numbers{0, 0});
  auto m = to_tensor({{1, 2}, {3, 4}});
  einsum<"ij,jk->ik">(m, m).backward();
  CHECK(m.grad().to_vector() == Numbers{7, 11, 9, 13});
}

TEST_CASE("diamonds in both orders") {
  for (bool long_way_first : {false, true}) {
    auto x = to_tensor({2, 3});
    auto shared = x * x, branch = same(same(shared * 3.0)) * shared;         // 3 x^4
    auto y = long_way_first ? branch + shared : shared + branch;            // 3 x^4 + x^2
    y.backward();
    CHECK(x.grad().to_vector() == Numbers{12 * 8 + 4, 12 * 27 + 6});
  }
}

TEST_CASE("a gradient that two arguments are given is nobody's to change") {
  auto a = to_tensor({5, 5}), b = to_tensor({7, 7});
  auto c = a + b, d = c + a;
  d.backward();
  CHECK(a.grad().to_vector() == Numbers{2, 2});
  CHECK(b.grad().to_vector() == Numbers{1, 1});

  auto e = to_tensor({5, 5}), f = to_tensor({7, 7}), seed = to_tensor({3, 4}, {.requires_grad = false});
  (e + f).backward(seed);
  CHECK(e.grad().data() != f.grad().data());
  CHECK(e.grad().data() != seed.data());
  CHECK(f.grad().data() != seed.data());
  seed.mutable_data()[0] = 100;
  CHECK(e.grad().to_vector() == Numbers{3, 4});

  auto before = e.grad();                                    // what the user holds does not change under their eyes
  (e + f).backward();
  CHECK(before.to_vector() == Numbers{3, 4});
  CHECK(e.grad().to_vector() == Numbers{4, 5});
}

TEST_CASE("a layer used twice") {
  auto w = to_tensor({{1, 2}, {3, 4}}), x = to_tensor({{1, 1}});
  auto layer = [&](const Tensor<float>& in) { return einsum<"ij,jk->ik">(in, w); };
  layer(layer(x)).backward();                                // d sum(x w w) / dw = xᵀ (1 wᵀ) + (x w)ᵀ 1
  CHECK(w.grad().to_vector() == Numbers{3 + 4, 7 + 4, 3 + 6, 7 + 6});
}

TEST_CASE("y = y + y 60 times is 2^60, in no time") {
  auto start = std::chrono::steady_clock::now();
  auto x = tricycle::to_tensor<double>(1);
  auto y = x;
  for (int i = 0; i < 60; ++i) y = y + y;
  y.backward();
  CHECK(y.item() == std::ldexp(1.0, 60));
  CHECK(x.grad().item() == std::ldexp(1.0, 60));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("several results of one op") {
  auto x = to_tensor({1, 2, 3, 4, 5, 6});
  auto parts = tricycle::split(x, 3);
  (parts[0] * parts[2]).backward();                          // the one in the middle is not used
  CHECK(x.grad().to_vector() == Numbers{5, 6, 0, 0, 1, 2});
  x.zero_grad();
  parts = tricycle::split(x, 3);
  parts[1].backward();
  CHECK(x.grad().to_vector() == Numbers{0, 0, 1, 1, 0, 0});
  parts = tricycle::split(x, 3);
  (parts[0] + parts[0] * parts[1]).backward();
  CHECK(x.grad().to_vector() == Numbers{4, 5, 2, 3, 0, 0});
  CHECK(parts[0].name() == "split");
}

// ---------------------------------------------------------------- backward() again

TEST_CASE("backward twice throws, or is right if the graph is retained") {
  auto x = to_tensor({2, 3});
  auto y = x * x * x;
  y.backward({.retain_graph = true});
  CHECK(x.grad().to_vector() == Numbers{12, 27});
  y.backward({.retain_graph = true});
  y.backward();
  CHECK(x.grad().to_vector() == Numbers{36, 81});
  CHECK_THAT(refusal([&] { y.backward(); }), Contains("was freed by an earlier backward()") && Contains("retain_graph"));
  CHECK(x.grad().to_vector() == Numbers{36, 81});

  auto z = tricycle::sum(x);
  for (int i = 0; i < 2; ++i) CHECK(refusal([&] { z.backward(); }).empty() == (i == 0));
}

TEST_CASE("a graph of which a part was freed is refused before anything has changed") {
  auto x = to_tensor({2, 3});
  auto y = x * x;
  auto z = y * 2.0, w = y * 3.0 + x;
  z.backward();
  CHECK_THAT(refusal([&] { w.backward(); }), Contains("\""s + std::string(y.name()) + "\"") && Contains("freed"));
  CHECK(x.grad().to_vector() == Numbers{8, 12});
  (x * x).backward();                                        // the leaves are as good as new
  CHECK(x.grad().to_vector() == Numbers{12, 18});
}

TEST_CASE("backward twice through several results") {
  auto x = to_tensor({1, 2, 3, 4});
  auto parts = tricycle::split(x, 2);
  auto y = parts[0] * parts[1], z = parts[1] * 2.0;
  y.backward({.retain_graph = true});
  CHECK(x.grad().to_vector() == Numbers{3, 4, 1, 2});
  z.backward({.retain_graph = true});                        // another part alone: the first's gradient is forgotten
  CHECK(x.grad().to_vector() == Numbers{3, 4, 3, 4});
  y.backward();
  CHECK(x.grad().to_vector() == Numbers{6, 8, 4, 6});
  CHECK_THAT(refusal([&] { z.backward(); }), Contains("freed"));
  CHECK_THAT(refusal([&] { y.backward(); }), Contains("freed"));
}

// ---------------------------------------------------------------- gradients

TEST_CASE("leaves add up over calls, until zero_grad") {
  auto x = to_tensor({1, 2});
  CHECK_FALSE(x.has_grad());
  CHECK(refusal([&] { x.grad(); }) == "grad: no backward() has reached this tensor of shape (2,)");
  CHECK(refusal([&] { (x * 2).grad(); }) == "grad: only leaves keep their gradient, and this tensor of shape (2,) was made by \"* 2\"");
  (x * 3.0).backward();
  (x * 4.0).backward();
  CHECK(x.grad().to_vector() == Numbers{7, 7});
  x.zero_grad();
  CHECK_FALSE(x.has_grad());
  (x * 5.0).backward();
  CHECK(x.grad().to_vector() == Numbers{5, 5});
  x.zero_grad();
  x.backward();                                              // a leaf is its own derivative
  x.backward(to_tensor({2, 3}));
  CHECK(x.grad().to_vector() == Numbers{3, 4});
}

TEST_CASE("backward is seeded with ones, or with what it is given") {
  auto x = to_tensor({{1, 2}, {3, 4}});
  auto y = x * x;
  y.backward({.retain_graph = true});
  CHECK(x.grad().to_vector() == Numbers{2, 4, 6, 8});
  x.zero_grad();
  y.backward(to_tensor({{1, 0}, {0, -1}}));
  CHECK(x.grad().to_vector() == Numbers{2, 0, 0, -8});
  CHECK(refusal([&] { y.backward(to_tensor({1, 2})); }) == "backward: a gradient of shape (2,) for a tensor of shape (2, 2)");
  CHECK(refusal([&] { x.detach().backward(); }) == "backward: nothing was recorded for this tensor of shape (2, 2)");
  CHECK_FALSE(y.has_grad());                                 // only leaves keep theirs
}

TEST_CASE("a gradient of another shape than its argument is refused") {
  auto x = to_tensor({1, 2});
  auto y = tricycle::record("odd", x.view(Shape{2}), {{x, [](const Tensor<float>& grad) { return grad.view(Shape{1}); }}});
  CHECK_THAT(refusal([&] { y.backward(); }), Contains("odd") && Contains("(1,)") && Contains("(2,)"));
}

TEST_CASE("a compound assignment writes to no tensor that there was") {
  auto x = to_tensor({1, 2}), y = x, z = to_tensor({4, 4});
  y += z, y -= 1, y *= x, y /= z;
  CHECK(x.to_vector() == Numbers{1, 2});
  CHECK(z.to_vector() == Numbers{4, 4});
  CHECK(y.to_vector() == Numbers{1, 2.5});                   // (x + z - 1) x / z
  y.backward();
  CHECK(x.grad().to_vector() == Numbers{1.25, 1.75});        // (2 x + z - 1) / z
}

TEST_CASE("a product adds to its gradient in place") {
  auto w = to_tensor({{1, 2}, {3, 4}}), x = to_tensor({{1, 1}}, {.requires_grad = false});
  auto product = [&] { return einsum<"ij,jk->ik">(x, w); };
  product().backward();
  const float* where = w.grad().data();
  std::uint64_t writes = w.grad().version();
  (product() + product() + product()).backward();
  CHECK(w.grad().data() == where);
  CHECK(w.grad().version() == writes + 3);
  CHECK(w.grad().to_vector() == Numbers{4, 4, 4, 4});

  std::vector<std::pair<const float*, bool>> gathered;       // what a sink says: overwrite the first time, then add
  auto op = [&](const Tensor<float>& a) {
    return tricycle::record("op", a.view(a.shape()), {{a, [&](const Tensor<float>& grad, Sink<float> to) {
      auto out = to.gather();
      gathered.emplace_back(out.at, out.add);
      for (Index i = 0; i < grad.size(); ++i) out[i] = grad.data()[i];
    }}});
  };
  auto middle = w * 1.0;
  (op(middle) + op(middle)).backward();
  REQUIRE(gathered.size() == 2);
  CHECK(gathered[0].first == gathered[1].first);
  CHECK((!gathered[0].second && gathered[1].second));
}

TEST_CASE("writing in place to a tensor that a gradient needs throws, and says which") {
  auto a = to_tensor({1, 2, 3}), b = to_tensor({4, 5, 6});
  auto y = a * b;
  b.mutable_data()[0] = 0;
  auto said = refusal([&] { y.backward(); });
  CHECK_THAT(said, Contains(std::string(y.name())) && Contains("(3,)") && Contains("overwritten in place"));

  auto z = tricycle::exp(a);                                 // needs its result
  z.mutable_data()[0] = 0;
  CHECK_THAT(refusal([&] { z.backward(); }), Contains("exp") && Contains("overwritten in place"));

  a.zero_grad();
  auto sum = a + b;                                          // needs nothing
  a.mutable_data()[0] = 0;
  sum.mutable_data()[0] = 0;
  sum.backward();
  CHECK(a.grad().to_vector() == Numbers{1, 1, 1});
}
