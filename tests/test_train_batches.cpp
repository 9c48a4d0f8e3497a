// Datasets of pairs, epochs, tokens that lie elsewhere, and a thread that reads ahead.
#include <algorithm>
#include <set>
#include "catch.hpp"
#include "refusal.hpp"
#include "tricycle/tensor/create.hpp"
#include "tricycle/train/dataset.hpp"
#include "tricycle/train/prefetch.hpp"

using namespace tricycle;

namespace {

/// n examples: the input is (i, -i), the output 10 i.
Dataset<float, int> pairs(Index n) {
  Tensor<float> inputs(Shape{n, 2});
  Tensor<int> outputs(Shape{n});
  for (Index i = 0; i < n; ++i) {
    inputs.mutable_data()[2 * i] = static_cast<float>(i), inputs.mutable_data()[2 * i + 1] = -static_cast<float>(i);
    outputs.mutable_data()[i] = static_cast<int>(10 * i);
  }
  return Dataset(inputs, outputs);
}

std::vector<int> count_up(int n) {
  std::vector<int> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(i);
  return tokens;
}

}  // namespace

TEST_CASE("an output stays with its input", "[data]") {
  auto data = pairs(7).batch(3).shuffle(5).to_tensor();
  std::multiset<int> seen;
  for (int i = 0; i < 7; ++i) {                                                  // three epochs
    auto [inputs, outputs] = data.next();
    REQUIRE((inputs.shape() == Shape{3, 2} && outputs.shape() == Shape{3}));
    for (Index row = 0; row < 3; ++row) {
      int y = outputs.data()[row];
      CHECK((inputs.at(row, 0) * 10 == static_cast<float>(y) && inputs.at(row, 1) == -inputs.at(row, 0)));
      seen.insert(y);
    }
  }
  for (int i = 0; i < 7; ++i) CHECK(seen.count(10 * i) == 3);

  auto [input, output] = data[2];
  CHECK((input.to_vector() == std::vector<float>{2, -2} && output.item() == 20));
  CHECK_THROWS_WITH(data[7], "dataset: there is no example 7 of 7");
  CHECK_THROWS_WITH(Dataset(zeros({3, 2}), zeros({2})), "dataset: outputs of shape (2,) for inputs of shape (3, 2)");
  CHECK_THROWS_WITH(Dataset(zeros({0, 2}), zeros({0})), "dataset: it is empty");
}

TEST_CASE("a loop over a dataset is an epoch, whose last batch may be shorter", "[data]") {
  auto data = pairs(7).batch(3).shuffle(5);
  std::vector<std::vector<int>> epochs;
  for (Index epoch = 0; epoch < 3; ++epoch) {
    CHECK(data.epoch() == epoch);
    std::vector<Index> sizes;
    epochs.emplace_back();
    for (auto [inputs, outputs] : data) {
      sizes.push_back(inputs.shape()[0]);
      for (int y : outputs.to_vector()) epochs.back().push_back(y);
    }
    CHECK(sizes == std::vector<Index>{3, 3, 1});
    CHECK(std::set(epochs.back().begin(), epochs.back().end()).size() == 7);
  }
  CHECK((epochs[0] != epochs[1] && epochs[1] != epochs[2]));
  CHECK_THROWS_WITH(data.seek((std::numeric_limits<Index>::max)()), "dataset: there is no position 9223372036854775807");
  data.seek(7 + 5);
  std::vector<int> rest;
  for (auto [inputs, outputs] : data)
    for (int y : outputs.to_vector()) rest.push_back(y);
  CHECK(rest == std::vector<int>(epochs[1].begin() + 5, epochs[1].end()));

  std::vector<int> in_order;
  for (auto [inputs, outputs] : pairs(7).batch(2).to_tensor().seek(1))           // one that has no name is alive as long as the loop
    for (int y : outputs.to_vector()) in_order.push_back(y);
  CHECK(in_order == std::vector<int>{10, 20, 30, 40, 50, 60});
  Index windows = 0;
  for (auto [inputs, targets] : CausalLMDataset(count_up(9), {.vocab_size = 9, .batch_size = 2, .context_window = 4}).batch().shuffle(1)) windows += inputs.shape()[0];
  CHECK(windows == 5);

  seed(3);
  auto drawn = pairs(50).shuffle().batch(50).next().outputs.to_vector();
  seed(3);
  CHECK(pairs(50).shuffle().batch(50).next().outputs.to_vector() == drawn);
  CHECK(pairs(50).shuffle().batch(50).next().outputs.to_vector() != drawn);
}

TEST_CASE("a dataset is split into its first part and the rest", "[data]") {
  auto [training, validation] = pairs(10).split(0.75);
  CHECK((training.size() == 7 && validation.size() == 3));
  CHECK(training.batch(7).next().outputs.to_vector() == std::vector<int>{0, 10, 20, 30, 40, 50, 60});
  CHECK(validation.batch(3).next().inputs.to_vector() == std::vector<float>{7, -7, 8, -8, 9, -9});
  CHECK_THROWS_WITH(pairs(10).split(1), "dataset: it is empty");
  CHECK_THROWS_AS(pairs(10).split(-0.1), Error);
}

TEST_CASE("an infinite dataset draws each example alike, and batch i is always the same", "[data]") {
  auto all = pairs(5);
  auto whole = all.batch(5).next();
  InfiniteBatchDataset data(whole.inputs, whole.outputs, 8, 3);
  std::array<int, 5> times{};
  std::vector<std::vector<int>> batches;
  for (auto [inputs, outputs] : data) {
    for (int y : outputs.to_vector()) ++times[static_cast<std::size_t>(y / 10)];
    batches.push_back(outputs.to_vector());
    if (batches.size() == 1000) break;
  }
  for (int n : times) CHECK((n > 1460 && n < 1740));                             // 1600 expected, sigma 36
  CHECK(data.seek(8 * 17).next().outputs.to_vector() == batches[17]);
  CHECK(InfiniteBatchDataset(whole.inputs, whole.outputs, 8, 4).next().outputs.to_vector() != batches[0]);
}

TEST_CASE("the Python original's way to make a dataset", "[data]") {
  auto data = CausalLMDataset(count_up(100), {.vocab_size = 100, .batch_size = 6, .context_window = 10}).batch().shuffle().to_tensor();
  CHECK(data.next().inputs.shape() == Shape{6, 10});
  CHECK(CausalLMDataset(count_up(100), {.vocab_size = 100, .batch_size = 6, .context_window = 10}).next().targets.shape() == Shape{1, 10});
  CHECK_THROWS_WITH(CausalLMDataset(count_up(9), {8, 1, 4}), "dataset: token 8 at position 8 is not in [0, 8)");
  CHECK_THROWS_WITH(CausalLMDataset({1, -1, 0}, {8, 1, 2}), "dataset: token -1 at position 1 is not in [0, 8)");
  CHECK_THROWS_WITH(CausalLMDataset(count_up(9), {9, 0, 4}), "dataset: a batch of 0");
}

TEST_CASE("tokens may be of 16 or 32 bits, in memory that somebody keeps", "[data]") {
  auto check_same = [](auto id, int largest) {
    using Id = decltype(id);
    std::vector<int> ids(200);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = i % 3 ? static_cast<int>(i) : largest;
    auto kept = std::make_shared<std::vector<Id>>(ids.begin(), ids.end());
    std::weak_ptr alive = kept;
    {
      std::span<const Id> there(*kept);
      CausalLMDataset data(Tokens(there, std::move(kept)), 16);
      data.batch(4).shuffle(1);
      auto expected = CausalLMDataset(ids, 16).batch(4).shuffle(1);
      for (int i = 0; i < 60; ++i) REQUIRE(data.next().targets.to_vector() == expected.next().targets.to_vector());
      CHECK(!alive.expired());
    }
    CHECK(alive.expired());
  };
  auto kept = std::make_shared<std::vector<std::uint16_t>>(100);
  std::iota(kept->begin(), kept->end(), std::uint16_t{0});
  const auto parts = split(Tokens(std::span<const std::uint16_t>(*kept), kept), 0.9);
  kept.reset();                                                                  // both parts keep the numbers
  CHECK((parts.train.size() == 90 && parts.validation.size() == 10));
  std::vector<int> some(3);
  parts.validation.part(2, 5).copy(2, 3, some.data());
  CHECK(some == std::vector<int>{94, 95, 96});
  CHECK(refusal([&] { parts.validation.part(2, 9); }) == "tokens: 9 from number 2 on, of 10");
  CHECK(refusal([&] { parts.validation.copy(8, 3, some.data()); }) == "tokens: 3 from number 8 on, of 10");

  check_same(std::uint16_t{}, 65535);
  check_same(std::uint32_t{}, 2147483647);
  int none = 0;
  CHECK(refusal([&] { Tokens(count_up(5)).copy(4, 2, &none); }) == "tokens: 2 from number 4 on, of 5");
}

TEST_CASE("what is read ahead is what would be read", "[data]") {
  auto fresh = [] { return CausalLMDataset(count_up(500), 16).batch(7).shuffle(3); };
  auto data = fresh();
  for (std::size_t ahead : {1u, 2u, 5u}) {
    data.seek(0);
    Prefetch early(fresh(), ahead);
    for (int i = 0; i < 150; ++i) {
      auto batch = early.next();
      REQUIRE(batch.inputs.to_vector() == data.next().inputs.to_vector());
      REQUIRE(early.position() == data.position());
    }
    early.seek(21);
    data.seek(21);
    CHECK(early.next().targets.to_vector() == data.next().targets.to_vector());
    CHECK(early.position() == 28);
    CHECK(refusal([&] { early.seek(-1); }) == "dataset: there is no position -1");
    CHECK(early.next().targets.to_vector() == data.next().targets.to_vector());
  }
  CHECK_THROWS_AS(Prefetch(fresh(), 0), Error);
}

namespace {

/// A dataset on a disk that fails.
struct Broken {
  struct Batch {
    Tensor<int> inputs;
  };
  Index at = 0;
  Index position() const { return at; }
  Index batch_size() const { return 1; }
  void seek(Index position) { at = position; }
  Batch empty_batch(Index rows) const { return {Tensor<int>(Shape{rows})}; }
  void read(Batch& batch) {
    check(at != 3, "disk: gone");
    batch.inputs.mutable_data()[0] = static_cast<int>(at++);
  }
};

/// One for whose batches there is no memory, at times.
struct NoRoom : Broken {
  const bool* fails;
  Batch empty_batch(Index rows) const {
    check(!*fails, "no room");
    return Broken::empty_batch(rows);
  }
};

}  // namespace

TEST_CASE("what reading ahead throws comes when its turn does", "[data]") {
  Prefetch data(Broken{}, 2);
  for (int i = 0; i < 3; ++i) CHECK(data.next().inputs.item() == i);
  CHECK_THROWS_WITH(data.next(), "disk: gone");
  CHECK_THROWS_WITH(data.next(), "disk: gone");
  data.seek(4);
  CHECK(data.next().inputs.item() == 4);
}

TEST_CASE("what could not begin to read ahead says so each time, until it can", "[data]") {
  bool fails = false;
  Prefetch data(NoRoom{{}, &fails}, 2);
  CHECK(data.next().inputs.item() == 0);
  fails = true;
  CHECK_THROWS_WITH(data.seek(1), "no room");
  fails = false;
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH(data.next(), "no room");
  data.seek(1);
  CHECK(data.next().inputs.item() == 1);
}
