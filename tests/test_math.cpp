// Packs, 16-bit numbers, and the functions that formulas call.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>
#include "catch.hpp"
#include "tricycle/core/math.hpp"
#include "tricycle/core/row.hpp"

using tricycle::bf16;
using tricycle::Gather;
using tricycle::half;
using tricycle::Index;
using tricycle::Lanes;
using tricycle::lanes;
using tricycle::Pack;
using tricycle::Row;
using tricycle::Tail;
namespace math = tricycle::math;

namespace {

#ifdef __FAST_MATH__                                     // its divisions are estimates, and the processor drops denormals
constexpr double tolerance = 4;
constexpr bool denormals = false;
#else
constexpr double tolerance = 2;
constexpr bool denormals = true;
#endif
constexpr float smallest_normal = std::numeric_limits<float>::min();
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::uint32_t bits(float x) { return __builtin_bit_cast(std::uint32_t, x); }

/// How far y is from the true t, in units of the last place of a float near t.
double ulp(float y, double t) {
  if (math::isnan(t)) return math::isnan(y) ? 0 : infinity;
  if (math::isnan(y)) return infinity;
  if (!denormals && std::fabs(y - t) <= smallest_normal) return 0;
  auto rounded = static_cast<float>(t);
  if (!math::isfinite(rounded) || !math::isfinite(y)) return bits(y) == bits(rounded) ? 0 : infinity;
  int exponent = 0;
  std::frexp(t, &exponent);
  return std::fabs(y - t) / std::ldexp(1.0, (std::max)(exponent - 24, -149));
}

struct Worst {
  double ulp = 0;
  float at = 0;
  int differ = 0;                                        // how often a float and a lane, or a lane of a tail, disagree
};

/// f on packs, tails and floats against `truth`, on floats of every exponent from `low` to `high`.
template <class F, class Truth>
Worst worst(F f, Truth truth, float low = -infinity, float high = infinity) {
  std::vector<float> sample = {0.f, -0.f, 1e-45f, -1e-45f, 1e-39f, -1e-39f, 1.f, -1.f, infinity, -infinity, not_a_number};
  for (std::uint64_t b = 0; b < 0x100000000u; b += 19997) sample.push_back(__builtin_bit_cast(float, static_cast<std::uint32_t>(b)));
  for (int i = 0; i < 100000; ++i) sample.push_back(-20.f + 4e-4f * static_cast<float>(i));
  std::erase_if(sample, [&](float x) {
    bool denormal = (bits(x) & 0x7f800000u) == 0 && (bits(x) & 0x007fffffu) != 0;
    if (math::isnan(x)) return low != -infinity;
    return x < low || x > high || (denormal && !denormals);
  });
  while (sample.size() % static_cast<std::size_t>(lanes)) sample.push_back(1.f);

  Worst w;
  Row<const float> x{sample.data()};
  for (Index i = 0; i < static_cast<Index>(sample.size()); i += lanes) {
    Tail tail{i, 1 + static_cast<int>(i / lanes % (lanes - 1))};
    Pack y = f(x[Lanes{i}]), in_tail = f(x[tail]);
    for (int j = 0; j < lanes; ++j) {
      w.differ += bits(f(x[i + j])) != bits(y[j]);
      if (j < tail.count) w.differ += bits(in_tail[j]) != bits(y[j]);
      double off = ulp(y[j], truth(static_cast<double>(x[i + j])));
      if (off > w.ulp) w = {off, x[i + j], w.differ};
    }
  }
  return w;
}

// Each function, for any R, beside what the standard library says in double.
#define FUNCTION(f, ...) \
  [](auto x) { return math::f(x); }, [](double x) -> double { return __VA_ARGS__; }
#define WITHIN_TOLERANCE(...)           \
  do {                                  \
    Worst w = worst(__VA_ARGS__);       \
    INFO("at " << w.at << ": " << w.ulp << " ulp"); \
    CHECK(w.ulp <= tolerance);          \
    CHECK(w.differ == 0);               \
  } while (false)

}  // namespace

TEST_CASE("math: within 2 ulp of the truth, specials included; a float, a lane and a lane of a tail agree to the bit") {
  SECTION("exp") { WITHIN_TOLERANCE(FUNCTION(exp, std::exp(x))); }
  SECTION("log") { WITHIN_TOLERANCE(FUNCTION(log, std::log(x))); }
  SECTION("tanh") { WITHIN_TOLERANCE(FUNCTION(tanh, std::tanh(x))); }
  SECTION("sigmoid") { WITHIN_TOLERANCE(FUNCTION(sigmoid, 1 / (1 + std::exp(-x)))); }
  SECTION("erf") { WITHIN_TOLERANCE(FUNCTION(erf, std::erf(x))); }
  SECTION("sqrt") { WITHIN_TOLERANCE(FUNCTION(sqrt, std::sqrt(x))); }
  SECTION("sin") { WITHIN_TOLERANCE(FUNCTION(sin, std::sin(x))); }
  SECTION("cos") { WITHIN_TOLERANCE(FUNCTION(cos, std::cos(x))); }
  SECTION("abs") { WITHIN_TOLERANCE(FUNCTION(abs, std::fabs(x))); }
  SECTION("pow") {
    for (float p : {-2.5f, -1.f, 0.f, 0.5f, 2.f, 3.f})
      WITHIN_TOLERANCE([p](auto x) { return math::pow(x, decltype(x)(p)); },
                       [p](double x) { return std::pow(x, static_cast<double>(p)); }, 0.f);
    CHECK(math::pow(-2.f, 3.f) == -8.f);
    CHECK(math::isnan(math::pow(-2.f, 0.5f)));
  }
}

TEST_CASE("math: the sign of 0 is kept, and double is the standard library's") {
  for (float zero : {0.f, -0.f}) {
    CHECK(bits(math::tanh(zero)) == bits(zero));
    CHECK(bits(math::erf(zero)) == bits(zero));
    CHECK(bits(math::sin(zero)) == bits(zero));
    CHECK(bits((-Pack(-zero))[0]) == bits(zero));
  }
  CHECK(math::exp(0.3) == std::exp(0.3));
  CHECK(math::tanh(0.3) == std::tanh(0.3));
  CHECK(math::sigmoid(-800.0) == 0.0);
  CHECK(math::sigmoid(0.3) == Approx(1 / (1 + std::exp(-0.3))).epsilon(1e-15));
}

TEST_CASE("math: min and max let NaN through from either side") {
  for (float other : {1.f, -infinity, infinity, not_a_number}) {
    CHECK(math::isnan((math::max)(not_a_number, other)));
    CHECK(math::isnan((math::max)(other, not_a_number)));
    CHECK(math::isnan((math::max)(Pack(not_a_number), other)[0]));
    CHECK(math::isnan((math::max)(Pack(other), not_a_number)[lanes - 1]));
    CHECK(math::isnan((math::min)(Pack(not_a_number), other)[0]));
    CHECK(math::isnan((math::min)(Pack(other), not_a_number)[lanes - 1]));
  }
  CHECK((math::max)(Pack(2.f), 3.f)[0] == 3.f);
  CHECK((math::min)(Pack(2.f), 3.f)[0] == 2.f);
  CHECK((math::max)(2.0, -3.0) == 2.0);
  CHECK(math::isnan((math::min)(static_cast<double>(not_a_number), 1.0)));
  CHECK(math::isfinite(3e38f));
  CHECK(!math::isfinite(infinity));
  CHECK(!math::isfinite(static_cast<double>(not_a_number)));
  CHECK(math::select(math::isfinite(Pack(-infinity)), Pack(1.f), Pack(2.f))[0] == 2.f);
}

TEST_CASE("pack: arithmetic and comparisons go lane by lane, and mix with float") {
  std::vector<float> numbers(static_cast<std::size_t>(lanes));
  for (int j = 0; j < lanes; ++j) numbers[static_cast<std::size_t>(j)] = static_cast<float>(j);
  Pack x = Row<const float>{numbers.data()}[Lanes{0}], y = 2.f * x - 1.f;
  y += 1.f;
  y /= Pack(2);
  Pack chosen = math::select((x > 1.f) & ~(x == 2.f), -x, Pack(0.5));
  for (int j = 0; j < lanes; ++j) {
    CHECK(y[j] == static_cast<float>(j));
    CHECK(chosen[j] == (j > 1 && j != 2 ? static_cast<float>(-j) : 0.5f));
  }
  CHECK(horizontal(x, [](float a, float b) { return a + b; }) == static_cast<float>(lanes * (lanes - 1) / 2));
  CHECK(horizontal(x, [](float a, float b) { return (math::max)(a, b); }) == static_cast<float>(lanes - 1));
  STATIC_REQUIRE(!std::is_convertible_v<double, Pack>);
  STATIC_REQUIRE(!std::is_convertible_v<int, Pack>);
}

TEST_CASE("half: each of its 65536 is exactly the number that the standard says, and comes back from float") {
  for (std::uint32_t b = 0; b < 0x10000; ++b) {
    half h;
    h.bits = static_cast<std::uint16_t>(b);
    const std::uint32_t exponent = b >> 10 & 31, fraction = b & 1023;
    if (exponent == 31 && fraction != 0) {                // NaN: a float has room for all of its bits; on the way back it is made quiet
      if (bits(h) != ((b & 0x8000) << 16 | 0x7f800000 | fraction << 13) || half(float(h)).bits != (b | 0x200)) FAIL("at " << b);
      continue;
    }
    double size = exponent == 31 ? static_cast<double>(infinity)
                : exponent == 0  ? std::ldexp(fraction, -24)
                                 : std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
    if (bits(h) != bits(static_cast<float>(b >> 15 ? -size : size)) || half(float(h)).bits != b) FAIL("at " << b);
  }
  STATIC_REQUIRE(half(65519.99f).bits == 0x7bff);
  STATIC_REQUIRE(half(65520.0f).bits == 0x7c00);
  STATIC_REQUIRE(half(-0x1p-25f).bits == 0x8000);
  STATIC_REQUIRE(float(half(0x1.8p-24f)) == 0x1p-23f);
}

TEST_CASE("half: a float becomes the nearest one, of two that are equally near the even one") {
  auto size_of = [](std::uint32_t b) {                   // what follows 65504 counts as 65536, as the standard has it
    return b < 0x400 ? std::ldexp(b, -24) : std::ldexp(1024 + (b & 1023), static_cast<int>(b >> 10) - 25);
  };
  auto wrong = [&](std::uint32_t below, float x) {       // for 0 <= x, between halves whose bits are `below` and the next ones
    const double down = x - size_of(below), up = size_of(below + 1) - x;
    const std::uint32_t b = down < up ? below : up < down ? below + 1 : below + (below & 1);
    return half(x).bits != b || half(-x).bits != (b | 0x8000);
  };
  std::mt19937 random(11);
  for (std::uint32_t below = 0; below < 0x7c00; ++below) {
    const float low = static_cast<float>(size_of(below)), high = static_cast<float>(size_of(below + 1)), tie = low + (high - low) / 2;
    float tries[] = {low, tie, __builtin_bit_cast(float, bits(tie) - 1), __builtin_bit_cast(float, bits(tie) + 1), 0, 0, 0, 0};
    for (int i = 4; i < 8; ++i) tries[i] = __builtin_bit_cast(float, std::uniform_int_distribution<std::uint32_t>(bits(low), bits(high) - 1)(random));
    for (float x : tries)
      if (wrong(below, x)) FAIL("at " << x);
  }
  for (float x : {65536.f, 1e6f, std::numeric_limits<float>::max(), infinity}) CHECK((half(x).bits == 0x7c00 && half(-x).bits == 0xfc00));
  for (std::uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu})
    CHECK((half(__builtin_bit_cast(float, nan)).bits & 0x7e00) == 0x7e00);
}

TEMPLATE_TEST_CASE("pack: 16-bit types are rounded in packs as they are one by one", "", bf16, half) {
  auto same = [](const float (&x)[lanes]) {
    TestType many[lanes];
    Row<TestType>{many}[Lanes{0}] = Row<const float>{x}[Lanes{0}];
    Pack back = Row<const TestType>{many}[Lanes{0}];
    for (int j = 0; j < lanes; ++j)
      if (many[j].bits != TestType(x[j]).bits || bits(back[j]) != bits(float(many[j]))) return false;
    return true;
  };
  std::mt19937 random(5);
  for (std::uint64_t b = 0; b < 0x100000000u; b += 65521 * 7) {    // every lane another number, of any size
    float x[lanes];
    for (float& number : x) number = __builtin_bit_cast(float, static_cast<std::uint32_t>(random()));
    x[b % lanes] = __builtin_bit_cast(float, static_cast<std::uint32_t>(b));
    if (!same(x)) FAIL("at " << b);
  }
  for (std::uint32_t b = 0; b < 0x10000; ++b) {                    // all that there are, and the ties above them
    TestType exact;
    exact.bits = static_cast<std::uint16_t>(b);
    float x[lanes];
    for (int j = 0; j < lanes; ++j)
      x[j] = __builtin_bit_cast(float, bits(exact) + (j % 4 == 0 ? 0u : (std::same_as<TestType, half> ? 0xffeu : 0x7ffeu) + static_cast<std::uint32_t>(j % 4)));
    if (!same(x)) FAIL("at " << b);
  }
  for (float special : {not_a_number, -not_a_number, infinity, -infinity, 3.4e38f, 65519.99f, 65520.f, 1.00390625f, 1.01171875f, 0x1p-25f, 0x1.000002p-25f, 1e-45f, -0.f}) {
    float x[lanes];
    std::fill_n(x, lanes, special);
    CHECK(same(x));
  }
}

TEMPLATE_TEST_CASE("pack: a tail reads 0 beyond its end and writes nothing there", "", float, bf16, half) {
  for (int count = 1; count < lanes; ++count) {
    auto n = static_cast<std::size_t>(count);
    std::vector<TestType> from(n + 1, TestType(3.f)), to(n + 2, TestType(7.f));      // exact, so that a sanitizer sees more
    Pack x = Row<const TestType>{from.data()}[Tail{1, count}];
    for (int j = 0; j < lanes; ++j) CHECK(x[j] == (j < count ? 3.f : 0.f));
    Row<TestType>{to.data()}[Tail{1, count}] = x + 1.f;
    Gather<TestType>{to.data(), true}[Tail{1, count}] = x;
    CHECK(float(to[0]) == 7.f);
    for (std::size_t j = 1; j <= n; ++j) CHECK(float(to[j]) == 7.f);
    CHECK(float(to[n + 1]) == 7.f);
    Gather<TestType>{to.data(), false}[Tail{1, count}] = x;
    CHECK(float(to[1]) == 3.f);
    Pack held = tricycle::within(Tail{1, count}, x, Pack(-1.f));
    for (int j = 0; j < lanes; ++j) CHECK(held[j] == (j < count ? 3.f : -1.f));
  }
}

TEST_CASE("pack: rows and gathers take any element type by index, and is() finds one") {
  std::vector<double> d = {1, 2, 3};
  Row<double> row{d.data()};
  row[0] = 5.0;
  row[2] = row[0];                                       // the number, not the place
  Gather<double>{d.data(), true}[1] = 0.5;
  CHECK(d == std::vector<double>{5, 2.5, 5});
  std::int64_t ids[] = {4, 1};
  CHECK(Row<const std::int64_t>{ids}[1] == 1);

  auto ones = [](Pack::Mask m) {
    int n = 0;
    for (int j = 0; j < lanes; ++j) n += m[j] != 0;
    return n;
  };
  CHECK(tricycle::is(Index{3}, Index{3}));
  CHECK(ones(tricycle::is(Lanes{8}, 8 + lanes - 1)) == 1);
  CHECK(tricycle::is(Lanes{8}, 9)[1] != 0);
  for (Index other : {Index{7}, Index{8 + lanes}, Index{-1}, Index{1} << 32}) CHECK(ones(tricycle::is(Lanes{8}, other)) == 0);
  CHECK(ones(tricycle::is(Tail{8, 2}, 9)) == 1);
  CHECK(ones(tricycle::is(Tail{8, 2}, 10)) == 0);
}
