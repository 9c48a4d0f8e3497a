// Tools for gradients: gradcheck, clipping on every edge, anomaly mode, and graphs explained.
#include <thread>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tricycle.hpp"

using namespace tricycle;
using Catch::Matchers::Contains;

namespace {

using Numbers = std::vector<float>;
constexpr float infinite = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// x², whose gradient is wrong at `where` by a factor.
Tensor<double> square(const Tensor<double>& x, Index where = -1, double factor = 1) {
  Tensor<double> y(x.shape());
  for (Index i = 0; i < x.size(); ++i) y.mutable_data()[i] = x.data()[i] * x.data()[i];
  return record("square", y, {{x, [=, x = Saved<double>(x)](const Tensor<double>& grad, Sink<double> dx) {
    auto to = dx.gather();
    for (Index i = 0; i < grad.size(); ++i) to[i] = grad.data()[i] * 2 * x.data()[i] * (i == where ? factor : 1);
  }}});
}

}  // namespace

// ---------------------------------------------------------------- gradcheck

TEST_CASE("gradcheck passes what is right, and leaves what it was given as it was") {
  seed(1);
  auto a = normal<double>({2, 3}), b = normal<double>({3});
  auto numbers = a.to_vector();
  auto worst = gradcheck([](auto& x, auto& y) { return square(x) * y; }, {a, b});
  CHECK(worst.error <= 1);
  CHECK(worst.backward == Approx(worst.differences).epsilon(1e-6));
  CHECK(a.to_vector() == numbers);
  CHECK_FALSE(a.has_grad());
  CHECK(gradcheck([](auto& in) { return in[0] * in[1]; }, std::vector{a, b}).error <= 1);
  CHECK(gradcheck([](auto& x) { return x; }, {Tensor<double>(Shape{0, 2})}).error < 0);
}

TEST_CASE("gradcheck names the worst number: a factor of 1.001 in one of six is found") {
  auto x = to_tensor<double>({{1, 2, 3}, {4, 5, 6}}), y = to_tensor<double>(7);
  auto wrong = [](double factor) { return [=](auto& a, auto& b) { return square(b, 4, factor) * a; }; };
  CHECK(gradcheck(wrong(1), {y, x}).error <= 1);
  for (double factor : {1.001, 0.0, -1.0, std::nan("")}) {
    auto said = refusal([&] { gradcheck(wrong(factor), {y, x}); });
    CHECK_THAT(said, Contains("gradcheck: argument 1: the gradient at (1, 1) is ") && Contains(" by backward(), but ") && Contains(" by finite differences"));
  }
  auto exact = [](auto& a) { return square(a, 0, 2) * 1.0; };                        // the numbers that are named are the two gradients
  auto said = refusal([&] { gradcheck(exact, {to_tensor<double>(3)}); });
  auto number_behind = [&](const std::string& words) { return std::stod(said.substr(said.find(words) + words.size())); };
  CHECK(number_behind(" is ") == Approx(2 * number_behind("but ")).epsilon(1e-6));
}

TEST_CASE("gradcheck finds a gradient that never came, and what is random") {
  auto x = to_tensor<double>({1, 2});
  CHECK_THAT(refusal([&] { gradcheck([](auto& a) { return a.detach() * a; }, {x}); }), Contains("argument 0"));
  CHECK_THAT(refusal([&] { gradcheck([](auto& a) { return square(a.detach()); }, {x}); }), Contains("is 0 by backward()"));
  CHECK_THAT(refusal([&] { gradcheck([](auto& a) { return dropout(a, 0.5f); }, {normal<double>({50})}); }), Contains("eval()"));
}

TEST_CASE("gradcheck of a layer, of its parameters, and of a loss") {
  seed(2);
  Dense layer(3, 2, {.bias = true});
  CHECK(refusal([&] { gradcheck(layer, {normal<double>({4, 3})}); }) == "gradcheck: parameter weights is float32: hold it as double, to<double>(model)");
  to<double>(layer);
  auto before = layer.weights.as<double>().to_vector();
  CHECK(gradcheck(layer, {normal<double>({4, 3})}).error <= 1);
  CHECK(layer.weights.as<double>().to_vector() == before);
  CHECK_FALSE(layer.weights.has_grad());

  auto off = [&] { return square(layer.bias->as<double>(), 1, 0.5) + sum(layer.weights.as<double>()); };
  layer.bias->assign(to_tensor<double>({1, 2}));
  CHECK_THAT(refusal([&] { gradcheck(layer, off); }), Contains("gradcheck: parameter bias: the gradient at (1,)"));
  auto throws = [&] { return layer(to_tensor<double>({1})); };
  CHECK_THAT(refusal([&] { gradcheck(layer, throws); }), Contains("dense"));
  CHECK(layer.weights.as<double>().to_vector() == before);

  auto labels = to_tensor<int>({0, 2, 1});
  CHECK(gradcheck([&](auto& logits) { return CrossEntropy()(labels, logits); }, {normal<double>({3, 4})}).error <= 1);
}

// ---------------------------------------------------------------- backward({.clip = c})

TEST_CASE("backward clips what each op sends to each operand, before it is added up") {
  auto x = to_tensor({1, -1, 2});
  auto y = x * 3.0 + x * -0.25;                            // each branch is sent 1, clipped to .5; x is sent 1.5, clipped, and -.125
  y.backward({.retain_graph = true, .clip = 0.5});
  CHECK(x.grad().to_vector() == Numbers{0.375, 0.375, 0.375});
  y.backward({.retain_graph = true, .clip = 0.5});         // what the leaf has already is not clipped
  CHECK(x.grad().to_vector() == Numbers{0.75, 0.75, 0.75});
  x.zero_grad();
  y.backward(to_tensor({-100, 0.25, 0}), {.retain_graph = true, .clip = 0.5});
  CHECK(x.grad().to_vector() == Numbers{-0.5 + 0.125, 0.5 - 0.0625, 0});
  x.zero_grad();
  y.backward({.retain_graph = true, .clip = 1000});
  CHECK(x.grad().to_vector() == Numbers{2.75, 2.75, 2.75});
  CHECK_THAT(refusal([&] { y.backward({.clip = -1}); }), Contains("clipped to -1"));
  y.backward({.clip = 0});
  CHECK(x.grad().to_vector() == Numbers{2.75, 2.75, 2.75});
  CHECK_THAT(refusal([&] { y.backward(); }), Contains("freed"));

  auto z = x * x;
  x.mutable_data()[0] = 7;                               // which the gradient needs as it was
  CHECK_THAT(refusal([&] { z.backward({.clip = 1}); }), Contains("overwritten"));
  CHECK(x.grad().to_vector() == Numbers{2.75, 2.75, 2.75});                      // what the leaf had is still there
}

TEST_CASE("clipping where gradients come jointly, twice to one tensor, and through several results") {
  auto a = to_tensor({2, 3}), b = to_tensor({-5, 0.25});
  (a * b).backward({.clip = 1});
  CHECK(a.grad().to_vector() == Numbers{-1, 0.25});
  CHECK(b.grad().to_vector() == Numbers{1, 1});
  a.zero_grad();
  (a * a).backward({.clip = 2.5});
  CHECK(a.grad().to_vector() == Numbers{4, 5});            // each of the two is cut by itself
  auto x = to_tensor({1, 2, 3, 4});
  auto parts = split(x, 2);
  (parts[0] * 3.0 + parts[0] + parts[1] * -9.0).backward({.clip = 2});
  CHECK(x.grad().to_vector() == Numbers{2, 2, -2, -2});    // 2 + 1 comes to the first part, and is cut on its way to x
  auto c = to_tensor({1, 1}), d = c + c;
  d.backward(to_tensor({3, not_a_number}), {.clip = 1});
  CHECK(c.grad().at(0) == 2);
  CHECK(std::isnan(c.grad().at(1)));                       // as np.clip has it
}

TEST_CASE("an op with several results and several operands sends to all of them, whoever looks on") {
  auto gradients = [](auto backward) {
    seed(2);
    auto a = normal({3, 4}), b = normal({3, 4}), gamma = normal({4}), beta = normal({4});
    auto [together, y] = add_layer_norm(a, b, gamma, beta);
    backward(sum(y * y + together * 0.5));
    return std::vector{a.grad().to_vector(), b.grad().to_vector(), gamma.grad().to_vector(), beta.grad().to_vector()};
  };
  const auto plain = gradients([](auto loss) { loss.backward(); });
  CHECK(gradients([](auto loss) { loss.backward({.clip = 1e9}); }) == plain);
  CHECK(gradients([](auto loss) {
    DetectAnomaly here;
    loss.backward();
  }) == plain);
}

// ---------------------------------------------------------------- anomaly mode

TEST_CASE("anomaly mode names the op that makes a NaN or an infinity, and how its operands were made") {
  auto x = to_tensor({{1, 2}, {3, -4}}).named("x"), y = to_tensor({{1, 1}, {0, 1}});
  CHECK((x / y).at(1, 0) == infinite);                     // otherwise it goes unseen
  DetectAnomaly here;
  CHECK(refusal([&] { log(x * 2.0); }) == "log: nan at (1, 1) of its result (2, 2) float32, made of [* 2 (2, 2) float32 of [leaf x (2, 2) float32]]");
  CHECK(refusal([&] { x / y; }) == "bdiv: inf at (1, 0) of its result (2, 2) float32, made of [leaf x (2, 2) float32, leaf (2, 2) float32]");
  CHECK_THAT(refusal([&] { log(x.detach()); }), Contains("made of [a constant (2, 2) float32]"));
  CHECK_THAT(refusal([&] { exp(cast<half>(x) * 100.f); }), Contains("exp: inf at (0, 0)") && Contains("float16 of [cast (2, 2) float16 of [leaf x"));
  CHECK_THAT(refusal([&] { exp(split(x, 2)[0] * 100.0); }), Contains("of [split (2, 1) float32 of [leaf x (2, 2) float32]]"));
  auto deep = x;
  for (int i = 0; i < 1000; ++i) deep = deep * 1.0 + x;
  CHECK_THAT(refusal([&] { exp(deep); }), Contains("...") && !Contains(std::string(2000, '.')));
  CHECK(refusal([&] { exp(deep); }).size() < 1000);
}

TEST_CASE("anomaly mode: an infinity that was there before is no overflow, a NaN is one always") {
  DetectAnomaly here;
  auto masked = to_tensor({1, 2, -infinite}), other = to_tensor({0, 1, infinite});
  CHECK(refusal([&] { softmax(masked + 1.0); }).empty());
  CHECK_THAT(refusal([&] { masked + other; }), Contains("nan at (2,)") && Contains("leaf (3,) float32 with -inf, leaf (3,) float32 with inf"));
  CHECK_THAT(refusal([&] { to_tensor({not_a_number}) * 2.0; }), Contains("made of [leaf (1,) float32 with nan]"));
}

TEST_CASE("anomaly mode in backward: the op, the operand and the place") {
  auto x = to_tensor({4, 0}).named("x");
  auto y = sqrt(x * 3.0), z = sum(y * y);
  y.backward({.retain_graph = true});                      // 1/0, unseen
  CHECK(x.grad().at(1) == infinite);
  DetectAnomaly here;
  CHECK(refusal([&] { y.backward(); }) == "backward of \"sqrt\": inf at (1,) of the gradient of its operand 0, as it made sqrt (2,) float32 of [* 3 (2,) float32 of [leaf x (2,) float32]]");
  auto a = to_tensor({3e30}), b = to_tensor({1e-30}), product = a * b;
  CHECK_THAT(refusal([&] { product.backward(to_tensor({1e20})); }), Contains("backward of \"bmul\": inf at (0,) of the gradient of its operand 1"));
  x.zero_grad();
  (x * x).backward();                                      // where all is well gradients are as ever
  (x * x).backward();
  CHECK(x.grad().to_vector() == Numbers{16, 0});
}

TEST_CASE("anomaly mode ends with its scope, and is one thread's") {
  auto x = to_tensor({-1});
  auto throws = [&] { return !refusal([&] { log(x); }).empty(); };
  {
    DetectAnomaly outer;
    { DetectAnomaly inner; }
    CHECK(throws());
    bool elsewhere = true;
    std::thread([&] { elsewhere = throws(); }).join();
    CHECK_FALSE(elsewhere);
    NoGrad guard;
    CHECK(throws());
  }
  CHECK_FALSE(throws());
}

// ---------------------------------------------------------------- explain

TEST_CASE("a graph is explained line by line, what is shared once") {
  auto x = to_tensor({{1, 2, 3}, {4, 5, 6}}).named("x"), y = to_tensor({1, 2, 3}), one = to_tensor(1, {.requires_grad = false});
  auto shared = exp(x * 2.0);
  auto loss = sum(shared * y + shared + one);
  CHECK(explain(loss) == R"(0  leaf x (2, 3) float32
1  * 2 (2, 3) float32 of 0
2  exp (2, 3) float32 of 1, keeps 24 bytes
3  leaf (3,) float32
4  bmul (2, 3) float32 of 2, 3, keeps 36 bytes
5  badd (2, 3) float32 of 4, 2
6  badd (2, 3) float32 of 5, a constant
7  sum () float32 of 6
leaves: 2, results of ops: 6, bytes kept: 36
)");                                                       // exp's result is kept once, for two
  CHECK(to_graphviz(loss) == R"(digraph {
  0 [label="x\n(2, 3) float32", shape=box];
  1 [label="* 2\n(2, 3) float32"];
  0 -> 1;
  2 [label="exp\n(2, 3) float32\n24 bytes"];
  1 -> 2;
  3 [label="(3,) float32", shape=box];
  4 [label="bmul\n(2, 3) float32\n36 bytes"];
  2 -> 4;
  3 -> 4;
  5 [label="badd\n(2, 3) float32"];
  4 -> 5;
  2 -> 5;
  6 [label="badd\n(2, 3) float32"];
  5 -> 6;
  7 [label="sum\n() float32"];
  6 -> 7;
}
)");
  CHECK(explain(x) == "0  leaf x (2, 3) float32\nleaves: 1, results of ops: 0, bytes kept: 0\n");
  loss.backward();
  CHECK(explain(loss) == "0  sum () float32, freed by backward()\nleaves: 0, results of ops: 1, bytes kept: 0\n");
  CHECK(refusal([&] { explain(one); }) == "explain: nothing was recorded for this tensor of shape ()");
}

TEST_CASE("several results, views, 16 bits and odd names explained") {
  auto x = to_tensor({1, 2, 3, 4}).named("a \"b\\");
  auto parts = split(x, 2);
  auto y = cast<bf16>(parts[0] * parts[0].reshape({2}));
  CHECK(explain(y) == R"(0  leaf a "b\ (4,) float32
1  split with several results of 0
2  split (2,) float32 of 1
3  reshape (2,) float32 of 2
4  bmul (2,) float32 of 2, 3, keeps 8 bytes
5  cast (2,) bfloat16 of 4
leaves: 1, results of ops: 4, bytes kept: 8
)");
  CHECK_THAT(to_graphviz(y), Contains(R"(0 [label="a \"b\\\n(4,) float32", shape=box];)") && Contains("1 [label=\"split\"];"));
  auto deep = x;
  for (int i = 0; i < 100'000; ++i) deep = deep + x;
  CHECK_THAT(explain(deep), Contains("leaves: 1, results of ops: 100000, bytes kept: 0"));
}

TEST_CASE("only leaves are named") {
  auto x = to_tensor({1}).named("x");
  CHECK(to_string(x) == "Tensor([1.], name=x)");
  CHECK(x.name() == "x");
  CHECK_THAT(refusal([&] { (x * x).named("y"); }), Contains("named: \"y\" is for a leaf, not for what an op made of shape (1,)"));
  CHECK_THAT(refusal([&] { x.detach().named("y"); }), Contains("not for a constant"));
}
