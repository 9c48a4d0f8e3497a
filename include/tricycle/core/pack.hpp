// Pack: a register full of floats, so that a formula written for one number runs on many at once.
#pragma once
#include <cstring>
#include "tricycle/core/dtype.hpp"
#ifdef TRICYCLE_EMULATED
#include <cuda_runtime.h>
#endif

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// How many floats one register holds; and how many a thread of a GPU works on: then 16-bit numbers, too, are moved 16
/// bytes at once.
inline constexpr int host_lanes = TRICYCLE_VECTOR_BYTES / 4, gpu_lanes = 8;
#ifndef __CUDA_ARCH__
inline constexpr bool on_device = false;
inline constexpr int lanes = host_lanes;
#else
inline constexpr bool on_device = true;
inline constexpr int lanes = gpu_lanes;
#endif
#ifdef TRICYCLE_EMULATED
static_assert(lanes == gpu_lanes, "the emulator's packs are a GPU's: compile for AVX2");
#endif

/// The indices at, at + 1, ... at + lanes - 1: what a skeleton hands a formula instead of one index.
struct Lanes { Index at; };

/// The last indices of a row, too few to fill a register: at, ... at + count - 1, where 1 <= count < lanes. A formula
/// works on a whole register all the same: what is read beyond them is 0, and what is written there is dropped.
struct Tail { Index at; int count; };

/// Lanes of rows that all begin at 16 bytes: a GPU need not look at each.
struct Aligned : Lanes {};

namespace detail {

#ifndef __CUDA_ARCH__
/// One N in each lane. (An extension of GCC's that clang and nvcc's host pass share: + < & and the like go lane by lane.)
template <class N> struct VectorOf { typedef N type __attribute__((vector_size(sizeof(N) * lanes))); };
template <class N> using Vector = typename VectorOf<N>::type;

template <class V, class N> TRICYCLE_HD inline V splat(N x) { return x - V{}; }          // not + : -0 stays -0
template <class C, class V> TRICYCLE_HD inline V choose(C c, V a, V b) { return c ? a : b; }
template <class To, class From> TRICYCLE_HD inline To cast_lanes(From x) { return __builtin_convertvector(x, To); }
#else
/// One N in each lane. Device code has no vector types: an array, which the compiler keeps in registers.
template <class N>
struct Vector {
  N n[lanes];
  Vector() = default;
  __device__ explicit(false) Vector(N x) {
    for (int i = 0; i < lanes; ++i) n[i] = x;
  }
  template <class F> __device__ static Vector each(F f) {
    Vector y;
    for (int i = 0; i < lanes; ++i) y[i] = f(i);
    return y;
  }
  __device__ N operator[](int i) const { return n[i]; }
  __device__ N& operator[](int i) { return n[i]; }
  __device__ friend Vector operator+(Vector a, Vector b) { return each([&](int i) { return a[i] + b[i]; }); }
  __device__ friend Vector operator-(Vector a, Vector b) { return each([&](int i) { return a[i] - b[i]; }); }
  __device__ friend Vector operator*(Vector a, Vector b) { return each([&](int i) { return a[i] * b[i]; }); }
  __device__ friend Vector operator/(Vector a, Vector b) { return each([&](int i) { return a[i] / b[i]; }); }
  __device__ friend Vector operator-(Vector a) { return each([&](int i) { return -a[i]; }); }
  __device__ friend Vector operator&(Vector a, Vector b) { return each([&](int i) { return a[i] & b[i]; }); }
  __device__ friend Vector operator|(Vector a, Vector b) { return each([&](int i) { return a[i] | b[i]; }); }
  __device__ friend Vector operator~(Vector a) { return each([&](int i) { return ~a[i]; }); }
  using Mask = Vector<std::int32_t>;                     // -1 where it holds, as in GCC's vectors
  __device__ friend Mask operator<(Vector a, Vector b) { return Mask::each([&](int i) { return -(a[i] < b[i]); }); }
  __device__ friend Mask operator>(Vector a, Vector b) { return b < a; }
  __device__ friend Mask operator<=(Vector a, Vector b) { return Mask::each([&](int i) { return -(a[i] <= b[i]); }); }
  __device__ friend Mask operator==(Vector a, Vector b) { return Mask::each([&](int i) { return -(a[i] == b[i]); }); }
  __device__ friend Mask operator!=(Vector a, Vector b) { return Mask::each([&](int i) { return -(a[i] != b[i]); }); }
};

template <class V, class N> __device__ V splat(N x) { return V(x); }
template <class V> __device__ V choose(Vector<std::int32_t> c, V a, V b) { return V::each([&](int i) { return c[i] ? a[i] : b[i]; }); }
template <class To, class From> __device__ To cast_lanes(From x) { return To::each([&](int i) { return decltype(To{}[0] + 0)(x[i]); }); }
#endif

}  // namespace detail

/// A register of floats. It mixes with float (never silently with double: that would be a loss), and compares lane by
/// lane; a formula that must choose calls math::select with the Mask.
struct Pack {
  using Floats = detail::Vector<float>;
  using Ints = detail::Vector<std::int32_t>;
  using Mask = Ints;                                     // all bits of a lane set where it holds

  Floats v;

  Pack() = default;
  TRICYCLE_HD explicit(false) Pack(Floats floats) : v(floats) {}
  template <class N> requires std::is_arithmetic_v<N>
  TRICYCLE_HD explicit(!std::same_as<N, float>) Pack(N x) : v(detail::splat<Floats>(static_cast<float>(x))) {}

  TRICYCLE_HD float operator[](int lane) const { return v[lane]; }

  TRICYCLE_HD friend Pack operator+(Pack a, Pack b) { return a.v + b.v; }
  TRICYCLE_HD friend Pack operator-(Pack a, Pack b) { return a.v - b.v; }
  TRICYCLE_HD friend Pack operator*(Pack a, Pack b) { return a.v * b.v; }
  TRICYCLE_HD friend Pack operator/(Pack a, Pack b) { return a.v / b.v; }
  TRICYCLE_HD friend Pack operator-(Pack a) { return -a.v; }
  TRICYCLE_HD Pack& operator+=(Pack b) { return *this = *this + b; }
  TRICYCLE_HD Pack& operator-=(Pack b) { return *this = *this - b; }
  TRICYCLE_HD Pack& operator*=(Pack b) { return *this = *this * b; }
  TRICYCLE_HD Pack& operator/=(Pack b) { return *this = *this / b; }

  TRICYCLE_HD friend Mask operator<(Pack a, Pack b) { return a.v < b.v; }
  TRICYCLE_HD friend Mask operator<=(Pack a, Pack b) { return a.v <= b.v; }
  TRICYCLE_HD friend Mask operator>(Pack a, Pack b) { return b.v < a.v; }
  TRICYCLE_HD friend Mask operator>=(Pack a, Pack b) { return b.v <= a.v; }
  TRICYCLE_HD friend Mask operator==(Pack a, Pack b) { return a.v == b.v; }
  TRICYCLE_HD friend Mask operator!=(Pack a, Pack b) { return a.v != b.v; }
};

namespace detail {

template <int half, class Join>
TRICYCLE_HD float halve(float* lane, Join join) {
  for (int i = 0; i < half; ++i) lane[i] = join(lane[i], lane[i + half]);
  if constexpr (half > 1) return halve<half / 2>(lane, join);
  else return lane[0];
}

}  // namespace detail

/// The one number that `join` makes of all lanes, halving them in a fixed order: of four, join(join(x0, x2), join(x1, x3)).
template <class Join>
TRICYCLE_HD float horizontal(Pack x, Join join) {
  float lane[lanes];
  for (int i = 0; i < lanes; ++i) lane[i] = x[i];
  return detail::halve<lanes / 2>(lane, join);
}

/// Neighbours change places: x1 x0 x3 x2 …
TRICYCLE_HD inline Pack swap_neighbours(Pack x) {
#ifdef __CUDA_ARCH__
  return Pack::Floats::each([&](int i) { return x[i ^ 1]; });
#else
  typedef std::uint64_t Pairs __attribute__((vector_size(sizeof(Pack::Floats))));
  const Pairs pairs = __builtin_bit_cast(Pairs, x.v);
  return __builtin_bit_cast(Pack::Floats, pairs >> 32 | pairs << 32);
#endif
}

namespace detail {

/// One number for each lane: f(0), f(1), ...
template <class N, class F>
TRICYCLE_HD Vector<N> per_lane(F f) {
#ifdef __CUDA_ARCH__
  return Vector<N>::each(f);
#else
  N numbers[lanes];
  for (int i = 0; i < lanes; ++i) numbers[i] = f(i);
  Vector<N> v;
  std::memcpy(&v, numbers, sizeof v);
  return v;
#endif
}

/// 0, 1, ... lanes - 1.
TRICYCLE_HD inline Pack::Ints lane_numbers() { return per_lane<std::int32_t>([](int i) { return i; }); }

TRICYCLE_HD inline Pack::Mask is_lane(Index lane, int count) {
  return lane_numbers() == splat<Pack::Ints>(lane >= 0 && lane < count ? static_cast<std::int32_t>(lane) : -1);
}

/// What a T looks like in memory.
template <class T> using Bits = std::conditional_t<std::same_as<T, float>, float, std::uint16_t>;

// Between a register and lanes numbers in memory of any alignment. A GPU moves 16 bytes at once where they are aligned so.
TRICYCLE_HD inline bool is_aligned(const void* p) { return (reinterpret_cast<std::uintptr_t>(p) & 15) == 0; }
/// Do rows of n numbers, from p on, all begin at 16 bytes?
template <class T>
TRICYCLE_HD bool rows_are_aligned(const T* p, Index n) { return is_aligned(p) && n * static_cast<Index>(sizeof(T)) % 16 == 0; }
#ifdef TRICYCLE_GPU_CODE

/// Copies a pack to or from a GPU's memory, 16 bytes at once. Left to itself nvcc finds the same single numbers in the branch
/// that moves what is not aligned, and moves them one by one in both: the empty asm and __stwb, which is a plain store, keep
/// each 16 bytes together.
template <std::size_t bytes>
TRICYCLE_HD void load_wide(void* to, const void* from) {
#ifdef __CUDA_ARCH__
  uint4 quads[bytes / 16];
  for (std::size_t i = 0; i < bytes / 16; ++i) {
    uint4& quad = quads[i] = static_cast<const uint4*>(from)[i];
    asm("" : "+r"(quad.x), "+r"(quad.y), "+r"(quad.z), "+r"(quad.w));
  }
  std::memcpy(to, quads, bytes);
#elif defined(TRICYCLE_EMULATED)
  for (std::size_t i = 0; i < bytes; i += 16) emulator::wide_access(static_cast<const char*>(from) + i, 16, false);
  std::memcpy(to, from, bytes);
#endif
}
template <std::size_t bytes>
TRICYCLE_HD void store_wide(void* to, const void* from) {
#ifdef __CUDA_ARCH__
  uint4 quads[bytes / 16];
  std::memcpy(quads, from, bytes);
  for (std::size_t i = 0; i < bytes / 16; ++i) __stwb(static_cast<uint4*>(to) + i, quads[i]);
#elif defined(TRICYCLE_EMULATED)
  for (std::size_t i = 0; i < bytes; i += 16) emulator::wide_access(static_cast<const char*>(to) + i, 16, true);
  std::memcpy(to, from, bytes);
#endif
}

template <class T>
TRICYCLE_HD Vector<Bits<T>> load_bits(const T* from) {
  Vector<Bits<T>> v;
  if (is_aligned(from)) load_wide<sizeof v>(&v, from);
  else for (int i = 0; i < lanes; ++i) v[i] = __builtin_bit_cast(Bits<T>, from[i]);
  return v;
}
template <class T>
TRICYCLE_HD void store_bits(T* to, Vector<Bits<T>> v) {
  if (is_aligned(to)) store_wide<sizeof v>(to, &v);
  else for (int i = 0; i < lanes; ++i) to[i] = __builtin_bit_cast(T, Bits<T>(v[i]));
}
template <class T>
TRICYCLE_HD Vector<Bits<T>> load_bits(const T* from, int count) {
  Vector<Bits<T>> v;
  for (int i = 0; i < lanes; ++i) v[i] = i < count ? __builtin_bit_cast(Bits<T>, from[i]) : Bits<T>(0);
  return v;
}
template <class T>
TRICYCLE_HD void store_bits(T* to, Vector<Bits<T>> v, int count) {
  for (int i = 0; i < lanes; ++i)
    if (i < count) to[i] = __builtin_bit_cast(T, Bits<T>(v[i]));
}
#else
template <class T>
TRICYCLE_HD Vector<Bits<T>> load_bits(const T* from) {
  Vector<Bits<T>> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
TRICYCLE_HD void store_bits(T* to, Vector<Bits<T>> v) { std::memcpy(static_cast<void*>(to), &v, sizeof v); }

/// Copies `count` numbers, count < 2 * part, by moves of fixed sizes: a call of memcpy would cost more than they do.
template <int part, class T>
TRICYCLE_HD void copy_few(T* to, const T* from, int count) {
  if (count & part) {
    std::memcpy(static_cast<void*>(to), from, part * sizeof(T));
    to += part;
    from += part;
  }
  if constexpr (part > 1) copy_few<part / 2>(to, from, count);
}
template <class T>
TRICYCLE_HD Vector<Bits<T>> load_bits(const T* from, int count) {
  T padded[lanes]{};
  copy_few<lanes / 2>(padded, from, count);
  return load_bits(static_cast<const T*>(padded));
}
template <class T>
TRICYCLE_HD void store_bits(T* to, Vector<Bits<T>> v, int count) {
  T padded[lanes];
  store_bits(padded, v);
  copy_few<lanes / 2>(to, static_cast<const T*>(padded), count);
}
#endif

/// What lanes of T are as floats, and back.
template <class T>
TRICYCLE_HD Pack widen(Vector<Bits<T>> bits) {
  if constexpr (std::same_as<T, float>) return bits;
#ifndef __CUDA_ARCH__
  else return T::template widen<Pack::Floats>(cast_lanes<Vector<std::uint32_t>>(bits));
#else
  else return Pack::Floats::each([&](int i) { return float(__builtin_bit_cast(T, bits[i])); });
#endif
}
template <class T>
TRICYCLE_HD Vector<Bits<T>> narrow(Pack x) {
  if constexpr (std::same_as<T, float>) return x.v;
#ifndef __CUDA_ARCH__
  else return cast_lanes<Vector<std::uint16_t>>(T::template narrow<Vector<std::uint32_t>>(x.v));
#else
  else {
    Vector<std::uint16_t> y;
    for (int i = 0; i < lanes; i += 2) {
      const std::uint32_t both = gpu::pair<T>(x[i], x[i + 1]);
      y[i] = static_cast<std::uint16_t>(both), y[i + 1] = static_cast<std::uint16_t>(both >> 16);
    }
    return y;
  }
#endif
}

}  // namespace detail

/// `value`, but `otherwise` in the lanes that a Tail does not have: what a sum or a maximum must not see.
template <class R> TRICYCLE_HD R within(Index, R value, R) { return value; }
TRICYCLE_HD inline Pack within(Lanes, Pack value, Pack) { return value; }
TRICYCLE_HD inline Pack within(Tail i, Pack value, Pack otherwise) {
  return detail::choose(detail::lane_numbers() < detail::splat<Pack::Ints>(i.count), value.v, otherwise.v);
}

/// Which of the indices i is j: a bool for an Index, a Mask for Lanes or a Tail.
TRICYCLE_HD inline bool is(Index i, Index j) { return i == j; }
TRICYCLE_HD inline Pack::Mask is(Lanes i, Index j) { return detail::is_lane(j - i.at, lanes); }
TRICYCLE_HD inline Pack::Mask is(Tail i, Index j) { return detail::is_lane(j - i.at, i.count); }

}
}  // namespace tricycle
