// The order of windows, the batches made of them, and what is said of a run's progress.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>
#include "catch.hpp"
#include "tricycle/train/dataset.hpp"
#include "tricycle/train/progress.hpp"

using tricycle::CausalLMDataset;
using tricycle::EpochOrder;
using tricycle::Error;
using tricycle::Index;
using tricycle::KeyedPermutation;
using tricycle::Progress;

namespace {

std::vector<Index> order(Index size, std::uint64_t key) {
  KeyedPermutation permutation(size, key);
  std::vector<Index> places(static_cast<std::size_t>(size));
  for (Index i = 0; i < size; ++i) places[static_cast<std::size_t>(i)] = permutation(i);
  return places;
}

std::vector<Index> epoch(const EpochOrder& windows, Index number) {
  std::vector<Index> starts(static_cast<std::size_t>(windows.size()));
  for (Index i = 0; i < windows.size(); ++i) starts[static_cast<std::size_t>(i)] = windows.at(number * windows.size() + i);
  return starts;
}

std::vector<int> count_up(int n) {
  std::vector<int> tokens(static_cast<std::size_t>(n));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

bool holds_each_once(std::vector<Index> values) {
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != static_cast<Index>(i)) return false;
  return true;
}

}  // namespace

TEST_CASE("a keyed permutation holds each number once, at any size", "[data]") {
  for (Index size : {1, 2, 3, 7, 63, 64, 65, 255, 256, 257, 1000, 4096, 4097, 100003})
    for (std::uint64_t key : {0u, 1u, 1337u}) CHECK(holds_each_once(order(size, key)));
  KeyedPermutation huge(std::numeric_limits<Index>::max(), 1);
  CHECK((huge(0) != huge(1) && huge(0) >= 0 && huge(std::numeric_limits<Index>::max() - 1) >= 0));
  CHECK_THROWS_AS(KeyedPermutation(0, 1), Error);
}

TEST_CASE("a keyed permutation is the same on every platform", "[data]") {
  CHECK(order(10, 42) == std::vector<Index>{6, 0, 5, 4, 2, 9, 3, 1, 7, 8});
  CHECK(KeyedPermutation(1003790, 1337)(0) == 195202);
  CHECK(KeyedPermutation(Index{1} << 40, 1337)(123456789) == 622823473998);
}

TEST_CASE("keyed permutations look drawn by chance", "[data]") {
  std::map<std::vector<Index>, int> seen;
  for (std::uint64_t key = 0; key < 6000; ++key) ++seen[order(3, key)];
  CHECK(seen.size() == 6);
  for (auto& [places, times] : seen) CHECK((times > 880 && times < 1120));         // 1000 expected, sigma 29

  const Index n = 10000;                                                        // neighbours do not go together
  auto places = order(n, 7);
  double mean = 0.5 * static_cast<double>(n - 1), covariance = 0, variance = 0;
  int fixed = 0;
  for (std::size_t i = 0; i + 1 < places.size(); ++i) {
    double a = static_cast<double>(places[i]) - mean, b = static_cast<double>(places[i + 1]) - mean;
    covariance += a * b;
    variance += a * a;
    fixed += places[i] == static_cast<Index>(i);
  }
  CHECK(std::abs(covariance / variance) < 0.04);
  CHECK(fixed < 8);
}

TEST_CASE("each window comes once an epoch, in an order of its own", "[data]") {
  EpochOrder windows(1000 - 64);
  CHECK(windows.size() == 936);
  std::vector<Index> reading_order = epoch(windows, 0);
  CHECK(std::is_sorted(reading_order.begin(), reading_order.end()));
  CHECK((reading_order.front() == 0 && reading_order.back() == 1000 - 64 - 1));
  CHECK(epoch(windows, 3) == reading_order);

  windows.shuffle(1337);
  std::set<std::vector<Index>> orders{reading_order};
  for (Index number = 0; number < 20; ++number) {
    CHECK(holds_each_once(epoch(windows, number)));
    CHECK(orders.insert(epoch(windows, number)).second);
  }
  for (std::uint64_t seed : {0u, 1u, 1338u}) {
    windows.shuffle(seed);
    CHECK(orders.insert(epoch(windows, 0)).second);
  }
  windows.shuffle(1337);
  CHECK_FALSE(orders.insert(epoch(windows, 0)).second);
}

TEST_CASE("targets are the inputs, one token on", "[data]") {
  auto data = CausalLMDataset(count_up(10), 4).batch(3);
  CHECK((data.size() == 6 && data.context() == 4));
  auto [inputs, targets] = data.next();
  CHECK((inputs.shape() == tricycle::Shape{3, 4} && targets.shape() == inputs.shape()));
  CHECK(inputs.to_vector() == std::vector<int>{0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5});
  CHECK(targets.to_vector() == std::vector<int>{1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6});

  data.batch(4).next();                                                         // 3 to 5, then the next epoch's 0
  CHECK(data.position() == 7);
  CHECK(data.batch(1).next().inputs.to_vector() == std::vector<int>{1, 2, 3, 4});

  auto smallest = CausalLMDataset({7, 8, 9}, 2);
  CHECK(smallest.next().targets.to_vector() == std::vector<int>{8, 9});
  CHECK(smallest.next().targets.to_vector() == std::vector<int>{8, 9});
}

TEST_CASE("a dataset continues exactly where it was left", "[data]") {
  auto fresh = [] { return CausalLMDataset(count_up(500), 16).batch(7).shuffle(3); };
  auto data = fresh();
  for (int step = 0; step < 100; ++step) data.next();                           // in the second epoch of 484 windows
  Index position = data.position();
  CHECK(position == 700);
  auto resumed = fresh();
  resumed.seek(position);
  auto copy = data;
  for (int step = 0; step < 100; ++step) {
    auto expected = data.next().inputs.to_vector();
    REQUIRE(resumed.next().inputs.to_vector() == expected);
    REQUIRE(copy.next().inputs.to_vector() == expected);
  }
  CHECK_THROWS_AS(data.seek(-1), Error);
}

TEST_CASE("evaluation windows lie side by side and cover the text", "[data]") {
  for (int n : {5, 8, 9, 10, 101}) {
    CausalLMDataset data(count_up(n), 4);
    CHECK(data.n_windows() == (n - 1) / 4);
    std::vector<int> inputs, targets;
    for (Index i = 0; i < data.n_windows(); i += 3) {
      auto batch = data.windows(i, 3);
      CHECK(batch.inputs.shape()[0] == std::min<Index>(3, data.n_windows() - i));
      for (int token : batch.inputs.to_vector()) inputs.push_back(token);
      for (int token : batch.targets.to_vector()) targets.push_back(token);
    }
    std::vector<int> expected = count_up((n - 1) / 4 * 4);
    CHECK(inputs == expected);
    for (int& token : expected) ++token;
    CHECK(targets == expected);
    CHECK_THROWS_AS(data.windows(data.n_windows(), 3), Error);
    CHECK_THROWS_AS(data.windows(-1, 3), Error);
    CHECK_THROWS_AS(data.windows(0, 0), Error);
  }
}

TEST_CASE("a dataset refuses what it cannot be", "[data]") {
  CHECK_THROWS_WITH(CausalLMDataset(count_up(64), 64), "dataset: a text of 64 tokens is too short for a context of 64, which needs one more");
  CHECK_THROWS_AS(CausalLMDataset({}, 1), Error);
  CHECK_THROWS_WITH(CausalLMDataset(count_up(9), 0), "dataset: a context of 0");
  CHECK_THROWS_AS(EpochOrder(0), Error);
  CHECK_THROWS_WITH(CausalLMDataset(count_up(9), 4).batch(0), "dataset: a batch of 0");
}

TEST_CASE("split holds the end of the text back", "[data]") {
  auto [train, validation] = tricycle::split(count_up(11), 0.9);
  CHECK(train == count_up(9));
  CHECK(validation == std::vector<int>{9, 10});
  CHECK(tricycle::split(count_up(3), 1).validation.empty());
  CHECK(tricycle::split({}, 0.9).train.empty());
  CHECK_THROWS_WITH(tricycle::split(count_up(3), 1.5), "split: a fraction of 1.5 is not between 0 and 1");
}

TEST_CASE("numbers as people read them", "[progress]") {
  CHECK((tricycle::as_fixed(1.90749, 4) == "1.9075" && tricycle::as_fixed(-1e300, 1).size() == 304));
  for (auto [x, text] : std::map<double, std::string>{{0, "0.00"}, {7.254, "7.25"}, {9.999, "10.0"}, {950, "950"}, {999.6, "1.00k"},
                                                     {25310, "25.3k"}, {1.25e6, "1.25M"}, {3e9, "3.00G"}, {5e15, "5000T"}})
    CHECK(tricycle::as_quantity(x) == text);
  for (auto [seconds, text] : std::map<double, std::string>{{-1, "0:00"}, {7.9, "0:07"}, {725, "12:05"}, {3600, "1:00:00"}, {97629, "27:07:09"}})
    CHECK(tricycle::as_clock(seconds) == text);
}

TEST_CASE("the bar says what there is room for", "[progress]") {
  Progress progress(2000, 768);
  CHECK(progress.bar(4.1744, 60) == "   0/2000 ─────────  loss 4.1744  ETA -:--  - tokens/s  0:00");
  progress.step(250, 10);
  progress.pause(11);
  CHECK(progress.bar(2.0113, 84) == " 250/2000 ━━━──────────────────────────  loss 2.0113  ETA 1:17  19.2k tokens/s  0:11");
  CHECK(progress.bar(2.0113, 60) == " 250/2000 ━──────────  loss 2.0113  ETA 1:17  19.2k tokens/s");
  CHECK(progress.bar(2.0113, 32) == " 250/2000 ━────────  loss 2.0113");
  CHECK(progress.bar(2.0113, 12) == " 250/2000 ──");
  CHECK(progress.bar(2.0113, 6) == " 250/2");
  CHECK(progress.bar(2.0113, -1).empty());
  for (int width = 0; width < 200; ++width) {
    std::string bar = progress.bar(2.0113, width);
    CHECK(static_cast<long>(bar.size()) - 2 * std::count(bar.begin(), bar.end(), '\xe2') == width);
  }
  progress.measure_use(1e6, 76.8e9);                                            // 19.2k tokens a second are 1.92e10 operations
  CHECK(progress.use() == Approx(0.25).epsilon(1e-6));
  CHECK(progress.bar(2.0113, 84) == " 250/2000 ━━──────────────────  loss 2.0113  ETA 1:17  19.2k tokens/s  25% MFU  0:11");
  CHECK_THROWS_AS(progress.measure_use(1, 0), Error);
  progress.step(2000, 100);
  CHECK(progress.bar(1.9, 32) == "2000/2000 ━━━━━━━━━  loss 1.9000");
  CHECK(progress.seconds_left() == 0);
  CHECK(Progress(0, 1).bar(0, 6) == "0/0 ━━");
}

TEST_CASE("progress follows a change of speed and knows what pauses cost", "[progress]") {
  Progress progress(1000, 100, 400);                                            // resumed: the first 400 took this run no time
  CHECK(progress.tokens_per_second() == 0);
  double seconds = 0;
  Index done = 400;
  for (; done < 500; seconds += 0.1) progress.step(++done, seconds + 0.1);
  CHECK(std::abs(progress.tokens_per_second() - 1000) < 1e-6);
  CHECK(std::abs(progress.seconds_left() - 50) < 1e-6);
  progress.pause(seconds += 10);                                                // as long again: the end is twice as far
  CHECK(std::abs(progress.tokens_per_second() - 1000) < 1e-6);
  CHECK((progress.seconds_left() > 95 && progress.seconds_left() < 110));
  for (; done < 600; seconds += 0.5) progress.step(++done, seconds + 0.5);
  CHECK(std::abs(progress.tokens_per_second() - 200) < 2);
  CHECK_THROWS_AS(Progress(10, 1, 11), Error);
}
