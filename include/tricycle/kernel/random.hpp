// Random numbers: a stream that is NumPy's, and numbers by index that need no stream.
#pragma once
#include <cmath>
#include <cstdint>
#include <locale>
#include <random>
#include <sstream>
#include <string>
#include "tricycle/core/error.hpp"
#include "tricycle/core/row.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// The stream of np.random.seed: a Mersenne Twister, 53-bit uniforms, normals by the polar method.
class Generator {
 public:
  /// Seeds below 2^32 give NumPy's numbers; those above, which NumPy refuses, give others.
  explicit Generator(std::uint64_t seed) {
    auto low = static_cast<std::uint32_t>(seed), high = static_cast<std::uint32_t>(seed >> 32);
    std::seed_seq both{low, high};
    if (high == 0) engine_.seed(low);
    else engine_.seed(both);
  }

  std::uint64_t bits() {
    std::uint64_t high = engine_();
    return high << 32 | engine_();
  }

  /// Between 0 and 1, 1 excluded, as np.random.random_sample.
  double uniform() {
    double high = static_cast<double>(engine_() >> 5), low = static_cast<double>(engine_() >> 6);
    return (high * 67108864.0 + low) / 9007199254740992.0;                 // 2^26, 2^53
  }

  /// Of mean 0 and variance 1, as np.random.standard_normal. (Marsaglia's polar method: two at a time, one is kept.)
  double normal() {
    if (has_kept_) {
      has_kept_ = false;
      return kept_;
    }
    double x, y, r;
    do {
      x = 2.0 * uniform() - 1.0;
      y = 2.0 * uniform() - 1.0;
      r = x * x + y * y;
    } while (r >= 1.0 || r == 0.0);
    double f = std::sqrt(-2.0 * std::log(r) / r);
    kept_ = f * x;
    has_kept_ = true;
    return f * y;
  }

  /// All of it as text, from which restore() goes on with the very same numbers.
  std::string state() const {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << engine_ << ' ' << has_kept_ << ' ' << __builtin_bit_cast(std::uint64_t, kept_);
    return text.str();
  }

  /// Throws unless `state` is what state() gave; then nothing has changed.
  void restore(const std::string& state) {
    check(well_formed(state), "random: not the saved state of a generator");
    std::istringstream text(state);
    text.imbue(std::locale::classic());
    std::uint64_t kept = 0;
    text >> engine_ >> has_kept_ >> kept;
    kept_ = __builtin_bit_cast(double, kept);
  }

 private:
  /// The standard library reads a state on trust, and would follow a position beyond its end.
  bool well_formed(const std::string& state) const {
    auto spaces = [](const std::string& s) {
      std::size_t n = 0;
      for (char c : s) n += c == ' ';
      return n;
    };
    if (spaces(state) != spaces(this->state())) return false;
    std::istringstream text(state);
    text.imbue(std::locale::classic());
    std::uint64_t number = 0, limit = 0, bits = 0;       // a twister whose words are all 0 would give 0 for ever
    for (std::size_t i = 0, last = spaces(state); i <= last; ++i) {
      bool word = i < engine_.state_size;
      limit = i == last ? ~std::uint64_t{0} : i + 1 == last ? 1 : word ? 0xffffffffu : engine_.state_size;
      if (!(text >> number) || number > limit) return false;
      if (word) bits |= i == 0 ? number >> 31 : number;
    }
    return bits != 0 && text.peek() == std::char_traits<char>::eof();
  }

  std::mt19937 engine_;
  double kept_ = 0;
  bool has_kept_ = false;
};

/// This thread's generator; until it is seeded, that of seed 0.
TRICYCLE_PROCESS_WIDE inline Generator& generator() {
  thread_local Generator of_thread(0);
  return of_thread;
}

/// Start this thread's stream anew, as np.random.seed.
inline void seed(std::uint64_t seed) { generator() = Generator(seed); }

inline double random_uniform() { return generator().uniform(); }
inline double random_normal() { return generator().normal(); }
inline std::uint64_t random_bits() { return generator().bits(); }

namespace kernel {

struct Words { std::uint32_t word[4]; };

/// Philox4x32-10: 128 random bits that depend on key and counter alone. (Salmon, Moraes, Dror and Shaw, "Parallel random
/// numbers: as easy as 1, 2, 3", 2011.)
TRICYCLE_HD constexpr Words philox(std::uint64_t key, Words counter) {
  auto [a, b, c, d] = counter.word;
  auto key_0 = static_cast<std::uint32_t>(key), key_1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    std::uint64_t p = std::uint64_t{0xD2511F53u} * a, q = std::uint64_t{0xCD9E8D57u} * c;
    a = static_cast<std::uint32_t>(q >> 32) ^ b ^ key_0;
    b = static_cast<std::uint32_t>(q);
    c = static_cast<std::uint32_t>(p >> 32) ^ d ^ key_1;
    d = static_cast<std::uint32_t>(p);
    key_0 += 0x9E3779B9u;                                // the golden ratio, and sqrt(3) - 1
    key_1 += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

namespace detail {

/// The uniform numbers of indices 4 block, ... 4 block + 3, into `to`: 24 bits each, so that none rounds up to 1.
TRICYCLE_HD constexpr void four_uniforms(std::uint64_t key, std::uint64_t block, float* to) {
  Words random = philox(key, {{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0}});
  for (int i = 0; i < 4; ++i) to[i] = static_cast<float>(static_cast<std::int32_t>(random.word[i] >> 8)) * 0x1p-24f;
}

}  // namespace detail

/// A float between 0 and 1, 1 excluded, that depends on key and index alone, so on no order and no number of threads.
TRICYCLE_HD constexpr float uniform_at(std::uint64_t key, Index index) {
  float four[4]{};
  detail::four_uniforms(key, static_cast<std::uint64_t>(index) / 4, four);
  float even = index & 2 ? four[2] : four[0], odd = index & 2 ? four[3] : four[1];                // a GPU keeps no array in registers that is indexed
  return index & 1 ? odd : even;
}

/// The same numbers for indices at, ... at + lanes - 1.
TRICYCLE_HD inline Pack uniform_at(std::uint64_t key, Lanes i) {
  float some[lanes + 4];
  Index skip = i.at % 4;
  for (int block = 0; block * 4 < lanes + skip; ++block)
    detail::four_uniforms(key, static_cast<std::uint64_t>(i.at / 4 + block), some + 4 * block);
  return Row<const float>{some}[Lanes{skip}];
}
TRICYCLE_HD inline Pack uniform_at(std::uint64_t key, Tail i) { return uniform_at(key, Lanes{i.at}); }

}  // namespace kernel
}
}  // namespace tricycle
