// Random numbers: those of NumPy, and those that are found by their place.
#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>
#include "catch.hpp"
#include "tricycle/kernel/random.hpp"
#include "tricycle/op/dropout.hpp"
#include "tricycle/tensor/create.hpp"

using tricycle::Index;
using tricycle::lanes;
using tricycle::Lanes;
using tricycle::Pack;
using tricycle::Tail;
namespace kernel = tricycle::kernel;

TEST_CASE("NumPy's numbers (golden: NumPy, np.random.seed)") {
  tricycle::seed(42);
  for (double u : {0.3745401188473625, 0.9507143064099162, 0.7319939418114051, 0.5986584841970366}) CHECK(tricycle::random_uniform() == u);
  for (int i = 4; i < 999; ++i) tricycle::random_uniform();
  CHECK(tricycle::random_uniform() == 0.44600577295795574);

  tricycle::seed(1337);
  for (double z : {-0.7031873098624105, -0.49028236278771464, -0.3218143296501526}) CHECK(tricycle::random_normal() == Approx(z).epsilon(1e-15));
  CHECK(tricycle::random_uniform() == 0.32100054052016713);          // the fourth normal is kept, not drawn
  tricycle::seed(4294967295u);
  CHECK(tricycle::random_uniform() == 0.0976320289940138);

  tricycle::seed(42);                                    // the first weights of the iris run
  double bound = std::sqrt(6.0 / (4 + 16));
  for (float w : {-.13743441f, .49373278f, .25413662f, .10807496f})
    CHECK(static_cast<float>(-bound + 2 * bound * tricycle::random_uniform()) == Approx(w).epsilon(1e-6));
}

TEST_CASE("a generator is saved and restored to the bit, and refuses what it never wrote") {
  tricycle::Generator a(7), b(8);
  for (int i = 0; i < 1001; ++i) a.normal();             // odd: a second value is kept
  std::string state = a.state();
  b.restore(state);
  CHECK(b.state() == state);
  for (int i = 0; i < 5; ++i) {
    CHECK(a.normal() == b.normal());
    CHECK(a.bits() == b.bits());
  }
  std::string before = b.state();
  std::string far = state;                               // a position beyond the end of the twister's words
  std::size_t kept = far.rfind(' '), flag = far.rfind(' ', kept - 1), position = far.rfind(' ', flag - 1);
  far.replace(position + 1, flag - position - 1, "625");
  for (const std::string& bad : {std::string(), std::string("1 2 3"), state + " 1", state + "x", "-" + state, far, state.substr(0, kept)}) {
    INFO(bad.substr(0, 20) << " ... of " << bad.size());
    CHECK_THROWS_AS(b.restore(bad), tricycle::Error);
    CHECK(b.state() == before);
  }
  CHECK(tricycle::Generator(1).uniform() != tricycle::Generator(std::uint64_t{1} << 32 | 1).uniform());
}

TEST_CASE("Philox4x32-10 gives its authors' known answers (Random123, kat_vectors)") {
  auto gives = [](std::uint64_t key, kernel::Words counter, kernel::Words expected) {
    kernel::Words got = kernel::philox(key, counter);
    for (int i = 0; i < 4; ++i) CHECK(got.word[i] == expected.word[i]);
  };
  gives(0, {{0, 0, 0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  gives(~std::uint64_t{0}, {{~0u, ~0u, ~0u, ~0u}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  gives(0x299f31d0a4093822u, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
  STATIC_REQUIRE(kernel::philox(0, {{0, 0, 0, 0}}).word[0] == 0x6627e8d5);
}

TEST_CASE("uniform_at depends on key and index alone, and is uniform") {
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  for (Index i = 0; i < n; ++i) {
    double u = kernel::uniform_at(3, i);
    if (u < 0 || u >= 1) FAIL(u);
    sum += u;
    squares += u * u;
  }
  CHECK(sum / n == Approx(0.5).margin(0.004));           // 4 standard deviations
  CHECK(squares / n == Approx(1 / 3.0).margin(0.004));
  for (Index from : {Index{0}, Index{1}, Index{2}, Index{3}, (Index{1} << 35) + 5}) {
    Pack full = kernel::uniform_at(9, Lanes{from}), tail = kernel::uniform_at(9, Tail{from, 2});
    for (int j = 0; j < lanes; ++j) CHECK(full[j] == kernel::uniform_at(9, from + j));
    CHECK(tail[1] == full[1]);
  }
  CHECK(kernel::uniform_at(9, 5) != kernel::uniform_at(10, 5));
}

TEST_CASE("each thread draws from a stream of its own, which begins as that of seed 0") {
  tricycle::seed(42);
  const double first = tricycle::random_uniform(), second = tricycle::random_uniform();
  tricycle::seed(42);
  CHECK(tricycle::random_uniform() == first);
  double unseeded = 0, seeded = 0;
  std::thread([&] {
    unseeded = tricycle::random_uniform();
    tricycle::seed(42);
    seeded = tricycle::random_uniform();
  }).join();
  CHECK(unseeded == tricycle::Generator(0).uniform());
  CHECK(seeded == first);
  CHECK(tricycle::random_uniform() == second);             // whatever the other thread drew
}

TEST_CASE("dropout keeps the mean, and draws anew each time") {
  const auto x = tricycle::ones({100'000});
  tricycle::seed(1);
  const auto first = tricycle::dropout(x, 0.25f), second = tricycle::dropout(x, 0.25f);
  const auto kept = std::count(first.span().begin(), first.span().end(), 4.0f / 3), dropped = std::count(first.span().begin(), first.span().end(), 0.0f);
  CHECK(kept + dropped == 100'000);
  CHECK(dropped == Approx(25'000).epsilon(0.03));
  CHECK(first.to_vector() != second.to_vector());
  tricycle::seed(1);
  CHECK(tricycle::dropout(x, 0.25f).to_vector() == first.to_vector());
  CHECK(tricycle::dropout(x, 0).to_vector() == x.to_vector());
}
