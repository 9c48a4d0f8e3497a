// What a matrix product is made of: a tile of C held in registers, and the panels that feed it. Floats only.
#pragma once
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__AVX512F__) || defined(__FMA__)                   // without them nothing of it is used, and it is slow to compile
#include <immintrin.h>
#endif
#include "tricycle/core/pack.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace kernel::micro {

template <class N, std::size_t bytes> struct VectorOf { typedef N type __attribute__((vector_size(bytes))); };
using Wide = VectorOf<float, TRICYCLE_VECTOR_BYTES>::type;
using Four = VectorOf<float, 16>::type;

inline constexpr Index wide = TRICYCLE_VECTOR_BYTES / 4;      // floats in a register
inline constexpr Index panel = 2 * wide;                      // columns of a tile
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int tallest = 12;                            // rows of a tile: 24 of 32 registers are sums
#elif defined(__FMA__)
inline constexpr int tallest = 6;                             // 12 of 16
#else
inline constexpr int tallest = 4;                             // 8 of 16, as the products need registers too
#endif

/// The tile to take when fewer than `rows` rows are left: 12, 8, 4, 2 and 1 are enough, and few to compile.
constexpr int shorter(int rows) { return rows > 8 ? 8 : rows > 4 ? 4 : rows / 2; }

// Whether a * b + c becomes one instruction must not depend on the user's -ffp-contract.
inline Wide multiply_add(Wide a, Wide b, Wide c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

inline Wide splat(float x) { return x - Wide{}; }

/// As many neighbours as V holds, as floats.
template <class V = Wide>
V load(const float* from) {
  V x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
template <class V = Wide, Short T>
V load(const T* from) {
  typename VectorOf<std::uint16_t, sizeof(V) / 2>::type x;
  std::memcpy(&x, from, sizeof x);
  if constexpr (on_device) return V{};      // nvcc reads this for the device too, which knows no vectors; nothing there calls it
  else return T::template widen<V>(__builtin_convertvector(x, typename VectorOf<std::uint32_t, sizeof(V)>::type));
}

/// The first `count` floats at `from`, then zeros: never a byte more is read.
template <class T>
Wide load_some(const T* from, Index count) {
  float x[wide] = {};
  for (Index i = 0; i < count; ++i) x[i] = from[i];
  return load(x);
}

inline void store(float* to, Wide x) { std::memcpy(to, &x, sizeof x); }

/// f(0), f(1) ... f(N - 1), with numbers that the compiler knows: arrays indexed by them stay in registers. (Clang has to
/// be told to inline it; a pragma would do as well, but nvcc knows none.)
template <int N>
__attribute__((always_inline)) inline void unrolled(auto&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

/// C (R, panel) = or += A (R, k) B (k, panel). A is read a number at a time, so its strides are free; of B and C the
/// columns are neighbours. Each element is summed over p in order, whatever R is: how rows are cut into tiles shows nowhere.
template <int R>
void tile(Index k, const float* a, Index a_row, Index a_column, const float* b, Index b_row, float* c, Index c_row, bool add) {
  constexpr int groups = (R + 2) / 3;       // a group of three rows needs one pointer, by x86's [a + {0, 1, 2} * row]
  const float* rows[groups];
  for (int g = 0; g < groups; ++g) rows[g] = a + 3 * g * a_row;
  Wide sum[R][2] = {};
  for (Index p = 0; p < k; ++p) {
    Wide b0 = load(b), b1 = load(b + wide);
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      Wide x = splat(rows[r / 3][r % 3 * a_row]);
      sum[r][0] = multiply_add(x, b0, sum[r][0]);
      sum[r][1] = multiply_add(x, b1, sum[r][1]);
    });
    unrolled<groups>([&](auto g) __attribute__((always_inline)) { rows[g] += a_column; });
    b += b_row;
  }
  unrolled<R>([&](auto r) __attribute__((always_inline)) {
    float* to = c + r * c_row;
    store(to, add ? load(to) + sum[r][0] : sum[r][0]);
    store(to + wide, add ? load(to + wide) + sum[r][1] : sum[r][1]);
  });
}

/// Rows become columns.
inline void turn(Four (&x)[4]) {
  Four low01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5), high01 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
  Four low23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5), high23 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  x[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5), x[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  x[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5), x[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/// The sums of four registers.
inline Four sum(const Wide* x) {
  Four part[4] = {};
  for (int i = 0; i < 4; ++i) {
    Four quarter[wide / 4];
    std::memcpy(quarter, x + i, sizeof quarter);
    for (Index q = 0; q < wide / 4; ++q) part[i] += quarter[q];
  }
  turn(part);
  return (part[0] + part[1]) + (part[2] + part[3]);
}

/// C (M, n) += A (M, k) B (k, n) for few rows, where the columns of B are contiguous: each is read once, in order, and
/// nothing of it is packed. The rows of A and C lie a_row and c_row apart; those of A are filled up with zeros.
template <int M, class T>
void dots(Index n, Index k, const float* a, Index a_row, const T* b, Index b_column, float* c, Index c_row) {
  auto some = [&](auto columns, Index j) {  // four at a time, or the last ones one by one
    constexpr int J = columns();
    Wide sums[M][4] = {};
    const T* from = b + j * b_column;
    auto step = [&](Index p, auto load_b) {
      Wide x[J];
      unrolled<J>([&](auto q) __attribute__((always_inline)) { x[q] = load_b(from + q * b_column + p); });
      unrolled<M>([&](auto i) __attribute__((always_inline)) {
        Wide y = load(a + i * a_row + p);
        unrolled<J>([&](auto q) __attribute__((always_inline)) { sums[i][q] = multiply_add(x[q], y, sums[i][q]); });
      });
    };
    Index p = 0;
    for (; p + wide <= k; p += wide) step(p, [](const T* x) { return load(x); });
    if (p < k) step(p, [&](const T* x) { return load_some(x, k - p); });
    for (int i = 0; i < M; ++i) {
      Four all = sum(sums[i]);
      for (int q = 0; q < J; ++q) c[i * c_row + j + q] += all[q];
    }
  };
  Index j = 0;
  for (; j + 4 <= n; j += 4) some(std::integral_constant<int, 4>{}, j);
  for (; j < n; ++j) some(std::integral_constant<int, 1>{}, j);
}

/// The same where the rows of B are contiguous: it is read four rows at a time, and added up in C, whose rows are padded to full registers.
template <int M, class T>
void sums(Index n, Index k, const float* a, Index a_row, const T* b, Index b_row, float* c, Index c_row) {
  auto some = [&](auto rows, Index p) {
    constexpr int P = rows();
    Wide x[M][P];
    for (int i = 0; i < M; ++i)
      for (int q = 0; q < P; ++q) x[i][q] = splat(a[i * a_row + p + q]);
    auto step = [&](Index j, auto load_b) {
      Wide y[P];
      unrolled<P>([&](auto q) __attribute__((always_inline)) { y[q] = load_b(b + (p + q) * b_row + j); });
      unrolled<M>([&](auto i) __attribute__((always_inline)) {
        Wide z = load(c + i * c_row + j);
        unrolled<P>([&](auto q) __attribute__((always_inline)) { z = multiply_add(x[i][q], y[q], z); });
        store(c + i * c_row + j, z);
      });
    };
    Index j = 0;
    for (; j + wide <= n; j += wide) step(j, [](const T* from) { return load(from); });
    if (j < n) step(j, [&](const T* from) { return load_some(from, n - j); });
  };
  Index p = 0;
  for (; p + 4 <= k; p += 4) some(std::integral_constant<int, 4>{}, p);
  for (; p < k; ++p) some(std::integral_constant<int, 1>{}, p);
}

/// to[p * width + i] = from[i * across + p * along] for i in [0, n) and p in [0, k), as floats; 0 for i in [n, width).
template <class T>
void pack(float* to, Index width, const T* from, Index n, Index across, Index k, Index along) {
  Index i = 0;
  if (along == 1) {                         // four of across by four of along, turned over in registers
    Index last = k - k % 4;
    for (; i + 4 <= n; i += 4) {
      const T* x = from + i * across;
      for (Index p = 0; p < last; p += 4) {
        Four turned[] = {load<Four>(x + p), load<Four>(x + across + p), load<Four>(x + 2 * across + p), load<Four>(x + 3 * across + p)};
        turn(turned);
        for (int q = 0; q < 4; ++q) std::memcpy(to + (p + q) * width + i, &turned[q], sizeof(Four));
      }
      for (Index p = last; p < k; ++p)
        for (Index q = 0; q < 4; ++q) to[p * width + i + q] = x[q * across + p];
    }
  } else if (across == 1) {
    i = n - n % 4;
    for (Index p = 0; p < k; ++p)
      for (Index q = 0; q < i; q += 4) {
        Four x = load<Four>(from + p * along + q);
        std::memcpy(to + p * width + q, &x, sizeof x);
      }
  }
  for (; i < n; ++i)
    for (Index p = 0; p < k; ++p) to[p * width + i] = from[i * across + p * along];
  for (; i < width; ++i)
    for (Index p = 0; p < k; ++p) to[p * width + i] = 0;
}

}  // namespace kernel::micro
}
}  // namespace tricycle
