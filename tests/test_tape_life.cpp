// The tape: nothing is kept too long, freed too early, or left behind by an exception; threads do not disturb each other.
#include <random>
#include <thread>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/op/einsum.hpp"
#include "tricycle/op/elementwise.hpp"
#include "tricycle/op/reduce.hpp"
#include "tricycle/op/rowwise.hpp"
#include "tricycle/op/slice.hpp"
#include "tricycle/tensor/create.hpp"
#include "watched.hpp"

using tricycle::einsum;
using tricycle::Index;
using tricycle::NoGrad;
using tricycle::Shape;
using tricycle::Tensor;
using tricycle::to_tensor;

#if defined(__SANITIZE_THREAD__)
constexpr int chain = 200'000;                               // a sanitizer's shadows would take gigabytes
#else
constexpr int chain = tricycle::memory::caching ? 1'000'000 : 200'000;
#endif

namespace {

using Numbers = std::vector<float>;

/// Stands for whatever may go wrong in an op that the library knows nothing about.
struct Trouble : std::runtime_error { using std::runtime_error::runtime_error; };

Tensor<float> troubled(const Tensor<float>& x, bool& on) {
  return watched(x, [&on](auto&) { if (on) throw Trouble("trouble"); });
}

}  // namespace

// ---------------------------------------------------------------- long graphs, and when things are freed

TEST_CASE("a chain of 1,000,000 nodes backs up, and is freed") {
  auto x = to_tensor(1);
  std::weak_ptr<tricycle::AnyNode> first, middle;
  for (bool back_up : {true, false}) {
    auto y = same(x);
    first = y.node();
    for (int i = 0; i < chain; ++i) {
      y = same(y);
      if (i == chain / 2) middle = y.node();
    }
    CHECK_FALSE(middle.expired());
    if (back_up) {
      y.backward();
      CHECK(x.grad().item() == 1);
      CHECK(middle.expired());                               // although y is still there
    }
  }
  CHECK(first.expired());
  CHECK(middle.expired());
}

TEST_CASE("a chain of 100,000 nodes with random skips backs up, and is freed") {
  auto x = tricycle::to_tensor<double>(1);
  std::weak_ptr<tricycle::AnyNode> first;
  for (bool back_up : {true, false}) {
    std::mt19937 random(1);
    std::vector<Tensor<double>> all{x * 1.0};
    first = all[0].node();
    while (all.size() < 100'000) all.push_back((all.back() + all[random() % all.size()]) * 0.5);
    if (back_up) {
      all.back().backward();
      CHECK(std::abs(x.grad().item() - 1) < 1e-9);
    }
  }
  CHECK(first.expired());
}

TEST_CASE("what a back_fn holds is freed as the walk passes it") {
  auto token = std::make_shared<int>();
  std::weak_ptr<int> held = token;
  bool freed_in_time = false;
  auto x = to_tensor({1, 2});
  auto y = watched(x, [&](auto&) { freed_in_time = held.expired(); });
  auto z = watched(y, [token](auto&) {});
  token.reset();
  CHECK_FALSE(held.expired());
  z.backward({.retain_graph = true});
  CHECK_FALSE(freed_in_time);
  z.backward();
  CHECK(freed_in_time);
}

TEST_CASE("a tensor outlives the graph that it was in") {
  Tensor<float> y(Shape{});
  {
    auto x = to_tensor({1, 2});
    y = tricycle::sum(x * x);
  }
  y.backward();                                              // its leaves are gone but for the graph
  CHECK(y.item() == 5);
}

// ---------------------------------------------------------------- exceptions

TEST_CASE("after an exception in a back_fn the next graph is right") {
  auto x = to_tensor({2, 3});
  bool trouble = true;
  auto shared = x * x;
  auto left = same(shared), right = same(shared);
  auto y = troubled(left, trouble) * 2.0 + right;            // broken off while gradients are on their way
  auto z = right + troubled(left, trouble) * 2.0;            // the other order
  for (auto& broken : {y, z}) {
    CHECK_THROWS_AS(broken.backward({.retain_graph = true}), Trouble);
    x.zero_grad();
    (x * 3.0).backward();                                    // shares the leaf
    CHECK(x.grad().to_vector() == Numbers{3, 3});
    x.zero_grad();
    (left * right).backward({.retain_graph = true});         // shares nodes: d x^4
    CHECK(x.grad().to_vector() == Numbers{32, 108});
    x.zero_grad();
  }
  trouble = false;
  y.backward({.retain_graph = true});
  z.backward();
  CHECK(x.grad().to_vector() == Numbers{2 * 3 * 4, 2 * 3 * 6});
}

TEST_CASE("after an exception between several results the next walk is right") {
  auto x = to_tensor({1, 2, 3, 4});
  bool trouble = true;
  auto parts = tricycle::split(x, 2);
  for (bool first : {false, true}) {
    auto fine = parts[0] * 2.0, bad = troubled(parts[1], trouble);
    auto y = first ? fine + bad : bad + fine;
    CHECK_THROWS_AS(y.backward({.retain_graph = true}), Trouble);
    x.zero_grad();
    parts[1].backward({.retain_graph = true});
    CHECK(x.grad().to_vector() == Numbers{0, 0, 1, 1});
  }
}

TEST_CASE("an Error in a back_fn says in which op's") {
  auto x = to_tensor({1, 2});
  CHECK(refusal([&] { watched(x, [](auto&) { tricycle::fail("the reason"); }).backward(); }) == "backward of \"watched\": the reason");
}

TEST_CASE("an exception does not leave recording switched off") {
  auto x = to_tensor({1, 2});
  bool trouble = true;
  CHECK_THROWS_AS(troubled(x, trouble).backward(), Trouble);
  CHECK((x * x).requires_grad());
}

// ---------------------------------------------------------------- threads

TEST_CASE("8 threads train models of their own") {
  auto train = [](int seed) {
    auto start = [seed](Index rows, Index columns) {
      Tensor<float> w(Shape{rows, columns});
      for (Index i = 0; i < w.size(); ++i) w.mutable_data()[i] = std::sin(static_cast<float>(i * 7 + seed));
      return w.require_grad();
    };
    auto w = start(4, 16), v = start(16, 4), x = start(8, 4).detach();
    for (int step = 0; step < 20; ++step) {
      auto y = einsum<"ij,jk->ik">(tricycle::tanh(einsum<"ij,jk->ik">(x, w)), v);
      auto parts = tricycle::split(tricycle::softmax(y), 2);
      tricycle::sum(parts[0] * parts[1]).backward();
      for (auto* p : {&w, &v}) {
        for (Index i = 0; i < p->size(); ++i) p->mutable_data()[i] += p->grad().data()[i];
        p->zero_grad();
      }
    }
    return w.to_vector();
  };
  Index before = std::exchange(tricycle::kernel::serial_below(), 1);       // let their kernels fight for the pool as well
  std::vector<Numbers> results(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) threads.emplace_back([&, i] { results[i] = train(static_cast<int>(i % 2)); });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 8; ++i) CHECK(results[i] == train(static_cast<int>(i % 2)));
  tricycle::kernel::serial_below() = before;
}

TEST_CASE("one model serves several threads under NoGrad") {
  auto w = to_tensor({{1, 2}, {3, 4}}), x = to_tensor({{1, 1}});
  std::vector<Numbers> results(8);
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&] {
      NoGrad guard;
      for (int i = 0; i < 100; ++i) result = einsum<"ij,jk->ik">(x, w).to_vector();
    });
  for (auto& thread : threads) thread.join();
  for (auto& result : results) CHECK(result == Numbers{4, 6});
}

TEST_CASE("a graph made in a thread that is gone backs up in another") {
  auto x = to_tensor({2, 3});
  Tensor<float> y(Shape{});
  std::thread([&] { y = tricycle::sum(x * x * x); }).join();
  y.backward();
  CHECK(x.grad().to_vector() == Numbers{12, 27});
}
