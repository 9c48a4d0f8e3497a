// The numbers a tensor can hold, and the type each is computed in.
#pragma once
#include <concepts>
#include <type_traits>
#include "tricycle/core/config.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {

/// bfloat16: the top half of a float, with all of its range and 8 bits of its precision.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  /// Rounds to nearest, ties to even. NaN stays NaN: it is made quiet, so that no carry can turn it into a number.
  TRICYCLE_HD constexpr explicit(false) bf16(float x) {
    auto u = __builtin_bit_cast(std::uint32_t, x);
    bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>((nan ? u | 0x00400000u : u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  TRICYCLE_HD constexpr explicit(false) operator float() const { return __builtin_bit_cast(float, std::uint32_t{bits} << 16); }
};

/// Sums and formulas on T are done in compute<T>: never in 16 bits.
template <class T> struct ComputeOf { using type = T; };
template <> struct ComputeOf<bf16> { using type = float; };
template <class T> using compute = typename ComputeOf<T>::type;

/// The element types that have gradients.
template <class T> concept Floating = std::floating_point<T> || std::same_as<T, bf16>;
template <class T> concept Element = Floating<T> || std::integral<T>;

/// x as a T, by way of what it is computed in. A floating number becomes a bool as in C: true unless it is 0.
template <Element T, Element From>
TRICYCLE_HD constexpr T convert(From x) {
  if constexpr (std::same_as<T, bool>) return static_cast<compute<From>>(x) != compute<From>(0);
  else return static_cast<T>(static_cast<compute<T>>(static_cast<compute<From>>(x)));
}

/// The name of an element type, as NumPy says it.
template <Element T>
constexpr const char* dtype_name() {
  if constexpr (std::same_as<T, float>) return "float32";
  else if constexpr (std::same_as<T, double>) return "float64";
  else if constexpr (std::same_as<T, bf16>) return "bfloat16";
  else if constexpr (std::same_as<T, bool>) return "bool";
  else if constexpr (sizeof(T) == 1) return std::is_signed_v<T> ? "int8" : "uint8";
  else if constexpr (sizeof(T) == 2) return std::is_signed_v<T> ? "int16" : "uint16";
  else if constexpr (sizeof(T) == 4) return std::is_signed_v<T> ? "int32" : "uint32";
  else return std::is_signed_v<T> ? "int64" : "uint64";
}

}
}  // namespace tricycle
