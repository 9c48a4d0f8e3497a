// Matrix products of any strides against their definition, and the threads that share them.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>
#include "catch.hpp"
#include "tricycle/kernel/gemm.hpp"

using tricycle::bf16;
using tricycle::half;
using tricycle::Device;
using tricycle::Index;
namespace kernel = tricycle::kernel;

namespace {

/// Sets the number of threads and the serial threshold for one test.
struct Threads {
  explicit Threads(int n) { tricycle::set_threads(n); }
  ~Threads() {
    tricycle::set_threads(before);
    kernel::serial_below() = serial_before;
  }
  int before = tricycle::threads();
  Index serial_before = kernel::serial_below();
};

/// How an operand lies in memory: the order of its four axes, whether some are broadcast, and padding between rows.
struct Layout {
  int order = 0;                            // of 4! orders of batch0, batch1, row, column
  bool broadcast0 = false, broadcast1 = false, broadcast_row = false, broadcast_column = false;
  Index gap = 0;
};

struct Placed { kernel::Strides strides; Index size; };

Placed place(Layout how, Index batch0, Index batch1, Index rows, Index columns) {
  Index extents[] = {batch0, batch1, rows, columns}, strides[4];
  const bool broadcast[] = {how.broadcast0, how.broadcast1, how.broadcast_row, how.broadcast_column};
  std::vector<int> order{0, 1, 2, 3};
  for (int i = 0; i < how.order; ++i) std::next_permutation(order.begin(), order.end());
  Index stride = 1;
  for (int i = 3; i >= 0; --i) {
    int axis = order[static_cast<std::size_t>(i)];
    strides[axis] = broadcast[axis] ? 0 : stride;
    if (!broadcast[axis]) stride *= extents[axis] + (i > 1 ? how.gap : 0);
  }
  return {{strides[0], strides[1], strides[2], strides[3]}, stride};
}

template <class T>
std::vector<T> random_numbers(std::mt19937_64& random, Index size) {
  std::vector<T> x(static_cast<std::size_t>(size));
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (T& v : x) {
    if constexpr (tricycle::Floating<T>) v = static_cast<T>(static_cast<tricycle::compute<T>>(uniform(random)));
    else v = static_cast<T>(random());
  }
  return x;
}

struct Case {
  Index batch0 = 1, batch1 = 1, m = 1, n = 1, k = 1;
  Layout a{}, b{}, c{};
  bool accumulate = false;
};

/// Runs the product with 1, 2 and 4 threads; returns the largest error relative to sum |a||b| (integers: how many are wrong).
template <class T>
double error_of(const Case& x, std::mt19937_64& random) {
  Placed a = place(x.a, x.batch0, x.batch1, x.m, x.k), b = place(x.b, x.batch0, x.batch1, x.k, x.n);
  Placed c = place(x.c, x.batch0, x.batch1, x.m, x.n);
  auto A = random_numbers<T>(random, a.size), B = random_numbers<T>(random, b.size), before = random_numbers<T>(random, c.size);
  kernel::Gemm g{x.batch0, x.batch1, x.m, x.n, x.k, a.strides, b.strides, c.strides, x.accumulate};
  std::vector<T> C;
  for (int n : {1, 2, 4}) {
    Threads with(n);
    std::vector<T> result = before;
    kernel::gemm(Device::cpu, g, A.data(), B.data(), result.data());
    if (n == 1) C = result;
    else if (!C.empty() && std::memcmp(static_cast<const void*>(C.data()), result.data(), C.size() * sizeof(T)) != 0) return 1e30;
  }
  auto at = [](kernel::Strides s, Index b0, Index b1, Index i, Index j) {
    return static_cast<std::size_t>(b0 * s.batch0 + b1 * s.batch1 + i * s.row + j * s.column);
  };
  double worst = 0;
  std::vector<bool> written(C.size());
  for (Index b0 = 0; b0 < x.batch0; ++b0)
    for (Index b1 = 0; b1 < x.batch1; ++b1)
      for (Index i = 0; i < x.m; ++i)
        for (Index j = 0; j < x.n; ++j) {
          std::size_t to = at(c.strides, b0, b1, i, j);
          written[to] = true;
          if constexpr (tricycle::Floating<T>) {
            double sum = x.accumulate ? static_cast<double>(before[to]) : 0, size = std::abs(sum);
            for (Index p = 0; p < x.k; ++p) {
              double term = static_cast<double>(A[at(a.strides, b0, b1, i, p)]) * static_cast<double>(B[at(b.strides, b0, b1, p, j)]);
              sum += term, size += std::abs(term);
            }
            double error = std::abs(static_cast<double>(C[to]) - sum);
            if (std::is_same_v<T, bf16>) error -= std::abs(sum) / 256;    // half a step of its 8 bits
            if (std::is_same_v<T, half>) error -= std::abs(sum) / 2048 + 0x1p-25;  // of its 11 bits, or near 0
            worst = (std::max)(worst, error / (size + 1e-30));
          } else {
            T sum = x.accumulate ? before[to] : T(0);
            for (Index p = 0; p < x.k; ++p)
              sum = static_cast<T>(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(A[at(a.strides, b0, b1, i, p)]) *
                                                                         static_cast<std::uint64_t>(B[at(b.strides, b0, b1, p, j)]));
            worst += C[to] != sum;
          }
        }
  for (std::size_t i = 0; i < C.size(); ++i)
    if (!written[i] && std::memcmp(&C[i], &before[i], sizeof(T)) != 0) return 1e30;   // it wrote between the rows
  return worst;
}

template <class T> double tolerance() { return std::is_same_v<T, double> ? 1e-14 : tricycle::Floating<T> ? 1e-6 : 0; }

Case random_case(std::mt19937_64& random) {
  auto any = [&](std::initializer_list<Index> of) { return of.begin()[random() % of.size()]; };
  auto layout = [&](bool may_broadcast) {
    Layout x{static_cast<int>(random() % 24)};
    x.gap = any({0, 0, 1, 5});
    if (may_broadcast && random() % 3 == 0) (random() % 2 ? x.broadcast0 : x.broadcast_column) = true;
    if (may_broadcast && random() % 3 == 0) (random() % 2 ? x.broadcast1 : x.broadcast_row) = true;
    return x;
  };
  auto size = [&] { return any({0, 1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 65, 100}); };
  return {any({0, 1, 1, 2, 3}), any({1, 1, 2}), size(), size(), size(), layout(true), layout(true), layout(false), random() % 2 == 0};
}

}  // namespace

TEMPLATE_TEST_CASE("gemm equals its definition over random shapes, strides and batches", "[gemm]", float, double, bf16, half, int,
                   std::uint8_t, std::int64_t) {
  std::mt19937_64 random(1337);
  for (int trial = 0; trial < 400; ++trial) {
    Case x = random_case(random);
    CAPTURE(trial, x.batch0, x.batch1, x.m, x.n, x.k, x.a.order, x.b.order, x.c.order, x.accumulate);
    REQUIRE(error_of<TestType>(x, random) <= tolerance<TestType>());
  }
}

#ifdef __SANITIZE_THREAD__                                // threads share the products of all types alike; watched, they take ten times as long
using Types = std::tuple<float>;
#else
using Types = std::tuple<float, double, bf16, half>;
#endif

TEMPLATE_LIST_TEST_CASE("gemm of large matrices is cut into tasks and panels, and right", "[gemm]", Types) {
  std::mt19937_64 random(7);
  const int row_major = 0, column_major = 1;
  const std::array<Index, 3> sizes[] = {{700, 65, 300}, {65, 300, 700}, {129, 515, 257}, {1, 1000, 600},
                                        {3, 600, 1000}, {1000, 1, 600}, {2, 3, 40000}, {1, 1, 100000}, {100, 140, 1024}};
  for (auto [m, n, k] : sizes)
    for (int a : {row_major, column_major})
      for (int b : {row_major, column_major})
        for (int c : {row_major, column_major}) {
          CAPTURE(m, n, k, a, b, c);
          REQUIRE(error_of<TestType>({1, 1, m, n, k, {a}, {b}, {c}, (m & 1) != 0}, random) <= tolerance<TestType>());
        }
}

TEST_CASE("gemm: attention's scores straight from (b, t, h, d), and its weighted sums", "[gemm]") {
  std::mt19937_64 random(3);
  const Index b = 3, h = 4, t = 64, d = 32;
  auto q = random_numbers<float>(random, b * t * 3 * h * d);
  std::vector<float> scores(static_cast<std::size_t>(b * h * t * t)), out(static_cast<std::size_t>(b * t * h * d));
  const float* keys = q.data() + h * d;
  const kernel::Strides part{t * 3 * h * d, d, 3 * h * d, 1}, turned{t * 3 * h * d, d, 1, 3 * h * d}, square{h * t * t, t * t, t, 1};
  kernel::gemm(Device::cpu, {b, h, t, t, d, part, turned, square}, q.data(), keys, scores.data());
  kernel::gemm(Device::cpu, {b, h, t, d, t, square, part, {t * h * d, d, h * d, 1}}, scores.data(), keys + h * d, out.data());
  auto qkv = [&](Index which, Index i, Index s, Index head, Index j) {
    return double(q[static_cast<std::size_t>(((i * t + s) * 3 + which) * h * d + head * d + j)]);
  };
  double worst = 0;
  for (Index i = 0; i < b; ++i)
    for (Index head = 0; head < h; ++head)
      for (Index s = 0; s < t; s += 7)
        for (Index j = 0; j < d; ++j) {
          double sum = 0;
          for (Index u = 0; u < t; ++u) {
            double score = 0;
            for (Index l = 0; l < d; ++l) score += qkv(0, i, s, head, l) * qkv(1, i, u, head, l);
            sum += score * qkv(2, i, u, head, j);
          }
          worst = (std::max)(worst, std::abs(sum - double(out[static_cast<std::size_t>(((i * t + s) * h + head) * d + j)])));
        }
  CHECK(worst < 1e-4);
}

TEST_CASE("gemm lets infinities and NaN through, and reads nothing beyond its operands", "[gemm]") {
  const float inf = std::numeric_limits<float>::infinity();
  for (Index n : {1, 3, 5, 33}) {
    std::vector<float> a{1, 0}, b(static_cast<std::size_t>(2 * n + 1), inf), c(static_cast<std::size_t>(n), 0.0f);
    for (Index j = 0; j < n; ++j) b[static_cast<std::size_t>(j)] = 2;     // row 0; row 1 is infinite: 0 * inf is NaN
    kernel::Gemm g{.m = 1, .n = n, .k = 2, .a = {0, 0, 2, 1}, .b = {0, 0, n, 1}, .c = {0, 0, n, 1}};
    kernel::gemm(Device::cpu, g, a.data(), b.data(), c.data());
    for (float x : c) CHECK((__builtin_bit_cast(std::uint32_t, x) & 0x7fffffffu) > 0x7f800000u);   // NaN, under -ffast-math too
    g.k = 1;
    kernel::gemm(Device::cpu, g, a.data(), b.data(), c.data());
    for (float x : c) CHECK(x == 2);
  }
}

TEST_CASE("gemm: a long sum stays accurate", "[gemm]") {
  const Index k = 10'000'000;
  std::vector<float> a(static_cast<std::size_t>(k), 0.1f);
  float one = 1, c = 0;
  kernel::gemm(Device::cpu, {.m = 1, .n = 1, .k = k, .a = {0, 0, 0, 1}, .b = {0, 0, 0, 0}, .c = {0, 0, 1, 1}}, a.data(), &one, &c);
  CHECK(std::abs(c / (double(k) * double(0.1f)) - 1) < 1e-6);
}

TEST_CASE("gemm refuses a device that this version has no products for", "[gemm]") {
  float x = 0;
  CHECK_THROWS_AS(kernel::gemm(Device::cuda(), {.m = 1, .n = 1, .k = 1, .a = {}, .b = {}, .c = {}}, &x, &x, &x), tricycle::Error);
}

TEST_CASE("parallel runs every task once, whatever the number of threads", "[threads]") {
  for (int n : {1, 2, 4, 9}) {
    Threads with(n);
    for (Index tasks : {0, 1, 2, 3, 100, 5000}) {
      std::vector<int> runs(static_cast<std::size_t>(tasks));
      kernel::parallel(tasks, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
      CHECK(std::all_of(runs.begin(), runs.end(), [](int r) { return r == 1; }));
    }
  }
}

TEST_CASE("parallel: an exception in a task comes out at the caller, and the pool lives on", "[threads]") {
  Threads with(4);
  for (int round = 0; round < 50; ++round) {
    CHECK_THROWS_WITH(kernel::parallel(100, [](Index i) { if (i == 42) throw std::runtime_error("task 42"); }), "task 42");
    std::atomic<Index> sum = 0;
    kernel::parallel(100, [&](Index i) { sum += i; });
    CHECK(sum == 4950);
  }
}

TEST_CASE("parallel inside parallel runs on the thread that calls it", "[threads]") {
  Threads with(4);
  std::atomic<Index> sum = 0, elsewhere = 0;
  kernel::parallel(20, [&](Index i) {
    auto here = std::this_thread::get_id();
    kernel::parallel(10, [&](Index j) {
      sum += i * j;
      elsewhere += std::this_thread::get_id() != here;
    });
  });
  CHECK(sum == 190 * 45);
  CHECK(elsewhere == 0);
}

TEST_CASE("eight user threads multiply at once, each to the same bit", "[threads][gemm]") {
  Threads with(3);
  std::mt19937_64 random(11);
  const Index m = 96, n = 80, k = 70;
  auto a = random_numbers<float>(random, m * k), b = random_numbers<float>(random, k * n);
  kernel::Gemm g{.m = m, .n = n, .k = k, .a = {0, 0, k, 1}, .b = {0, 0, n, 1}, .c = {0, 0, n, 1}};
  std::vector<std::vector<float>> results(8, std::vector<float>(static_cast<std::size_t>(m * n)));
  std::vector<std::thread> users;
  for (auto& c : results)
    users.emplace_back([&] { for (int i = 0; i < 30; ++i) kernel::gemm(Device::cpu, g, a.data(), b.data(), c.data()); });
  for (auto& user : users) user.join();
  for (auto& c : results) CHECK(c == results[0]);
}

TEST_CASE("set_threads refuses none", "[threads]") {
  CHECK_THROWS_AS(tricycle::set_threads(0), tricycle::Error);
  CHECK(tricycle::threads() >= 1);
}
