// The numbers a tensor can hold, and the type each is computed in.
#pragma once
#include <concepts>
#include <limits>
#include <type_traits>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

// Two types of 16 bits. Each says once how floats are narrowed to its bits and widened again, for one number (F is float
// and U std::uint32_t) or for a register of them: so packs are rounded as numbers are, to the bit. Both round to nearest,
// ties to even. NaN stays NaN: it is made quiet, so that no carry can turn it into a number.

/// bfloat16: the top half of a float, with all of its range and 8 bits of its precision.
struct bf16 {
  std::uint16_t bits = 0;

  template <class U, class F>
  TRICYCLE_HD static constexpr U narrow(F x) {
    U u = __builtin_bit_cast(U, x);
    auto nan = (u & 0x7fffffffu) > 0x7f800000u;
    return (nan ? u | 0x00400000u : u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  }
  template <class F, class U> TRICYCLE_HD static constexpr F widen(U u) { return __builtin_bit_cast(F, u << 16); }

  bf16() = default;
  TRICYCLE_HD constexpr explicit(false) bf16(float x) : bits(static_cast<std::uint16_t>(narrow<std::uint32_t>(x))) {}
  TRICYCLE_HD constexpr explicit(false) operator float() const { return widen<float>(std::uint32_t{bits}); }
};

/// IEEE 754's binary16: 11 bits of precision, but nothing beyond 65504 (what rounds to more is infinite), and fewer bits
/// below 2^-14, down to steps of 2^-24.
struct half {
  std::uint16_t bits = 0;

  // Below 2^-14 an addition of floats does the rounding. Its result is neither a float's own denormal nor infinite, so it does
  // not matter whether the processor drops denormals, nor what -ffast-math takes for granted.
  template <class U, class F>
  TRICYCLE_HD static constexpr U narrow(F x) {
    U u = __builtin_bit_cast(U, x), size = u & 0x7fffffffu;
    auto small = size < 0x38800000u, large = size >= 0x47800000u, nan = size > 0x7f800000u;       // < 2^-14, >= 2^16
    U near_0 = small ? size : U{};
    U steps = __builtin_bit_cast(U, __builtin_bit_cast(F, near_0) + 0.5f) - 0x3f000000u;         // floats at 0.5 are 2^-24 apart
    U number = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;                          // may carry into infinity
    U beyond = nan ? 0x7e00u | ((size >> 13) & 0x3ffu) : U{} + 0x7c00u;
    return ((u >> 16) & 0x8000u) | (small ? steps : large ? beyond : number);
  }
  template <class F, class U>
  TRICYCLE_HD static constexpr F widen(U u) {
    U size = (u & 0x7fffu) << 13;
    U steps = __builtin_bit_cast(U, __builtin_bit_cast(F, size + 0x38800000u) - 0x1p-14f);         // 2^-14 more, less 2^-14
    U number = size + (size < 0x0f800000u ? U{} + 0x38000000u : U{} + 0x70000000u);                // or infinite, or NaN
    return __builtin_bit_cast(F, ((u & 0x8000u) << 16) | (size < 0x00800000u ? steps : number));
  }

  half() = default;
  TRICYCLE_HD constexpr explicit(false) half(float x) : bits(static_cast<std::uint16_t>(narrow<std::uint32_t>(x))) {}
  TRICYCLE_HD constexpr explicit(false) operator float() const { return widen<float>(std::uint32_t{bits}); }
};

/// The floating types of 16 bits.
template <class T> concept Short = std::same_as<T, bf16> || std::same_as<T, half>;

namespace gpu {

/// Two 16-bit numbers, rounded from floats, in one register: the first in its low half.
template <Short T>
TRICYCLE_HD std::uint32_t pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t both;
  if constexpr (std::same_as<T, bf16>) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  else asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  return __builtin_bit_cast(std::uint16_t, T(low)) | static_cast<std::uint32_t>(__builtin_bit_cast(std::uint16_t, T(high))) << 16;
#endif
}

}  // namespace gpu

/// Sums and formulas on T are done in compute<T>: never in 16 bits.
template <class T> struct ComputeOf { using type = T; };
template <Short T> struct ComputeOf<T> { using type = float; };
template <class T> using compute = typename ComputeOf<T>::type;

/// The element types that have gradients.
template <class T> concept Floating = std::same_as<T, float> || std::same_as<T, double> || Short<T>;
template <class T> concept Element = Floating<T> || std::integral<T>;

namespace detail {
template <std::integral T> inline constexpr T least_of = std::numeric_limits<T>::lowest();
template <std::integral T> inline constexpr T most_of = (std::numeric_limits<T>::max)();
}  // namespace detail

/// x as a T, by way of what it is computed in. A floating number becomes a bool as in C, true unless it is 0, and an integer as on
/// a GPU: the nearest one towards 0 that there is, of NaN 0.
template <Element T, Element From>
TRICYCLE_HD constexpr T convert(From x) {
  const auto number = static_cast<compute<From>>(x);
  if constexpr (std::same_as<T, bool>) {
    return number != compute<From>(0);
  } else if constexpr (std::integral<T> && Floating<From>) {
    if (number >= static_cast<compute<From>>(detail::most_of<T>)) return detail::most_of<T>;
    return number > static_cast<compute<From>>(detail::least_of<T>) ? static_cast<T>(number) : number == number ? detail::least_of<T> : T(0);
  } else {
    return static_cast<T>(static_cast<compute<T>>(number));
  }
}

/// The name of an element type, as NumPy says it.
template <Element T>
constexpr const char* dtype_name() {
  if constexpr (std::same_as<T, float>) return "float32";
  else if constexpr (std::same_as<T, double>) return "float64";
  else if constexpr (std::same_as<T, bf16>) return "bfloat16";
  else if constexpr (std::same_as<T, half>) return "float16";
  else if constexpr (std::same_as<T, bool>) return "bool";
  else if constexpr (sizeof(T) == 1) return std::is_signed_v<T> ? "int8" : "uint8";
  else if constexpr (sizeof(T) == 2) return std::is_signed_v<T> ? "int16" : "uint16";
  else if constexpr (sizeof(T) == 4) return std::is_signed_v<T> ? "int32" : "uint32";
  else return std::is_signed_v<T> ? "int64" : "uint64";
}

}
}  // namespace tricycle
