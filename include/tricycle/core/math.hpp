// The functions that formulas may call, for a number that is a float, a double or a Pack.
//
// Ours are polynomials on packs, within 2 ulp, right at infinities, NaN, signed zeros and denormals. A float is worked
// out as one lane of a pack, so that its bits are the same. They trust no flag: rounding is by conversion to integers,
// NaN and infinity are told by their bits, and where a compiler with -ffast-math could spoil a sum, it meets a fence.
// The coefficients minimise the largest relative error (Remez' exchange, rounded to float one after the other).
#pragma once
#include <cmath>
#include "tricycle/core/pack.hpp"

namespace tricycle {
inline namespace TRICYCLE_ABI {
namespace math {

/// a where c holds, b elsewhere. Both are worked out: a formula never branches.
template <class R> TRICYCLE_HD R select(bool c, R a, R b) { return c ? a : b; }
TRICYCLE_HD inline Pack select(Pack::Mask c, Pack a, Pack b) { return detail::choose(c, a.v, b.v); }

// Everything here is a template over P = Pack, so that device code, which has functions of its own, never compiles it.
namespace polynomial {

inline constexpr std::int32_t infinity = 0x7f800000, nan = 0x7fc00000, magnitude = 0x7fffffff;

template <class P> using Ints = typename P::Ints;
template <class P> TRICYCLE_HD Ints<P> bits(P x) { return __builtin_bit_cast(Ints<P>, x.v); }
template <class P> TRICYCLE_HD P from_bits(Ints<P> x) { return __builtin_bit_cast(typename P::Floats, x); }
template <class P> TRICYCLE_HD Ints<P> to_int(P x) { return detail::cast_lanes<Ints<P>>(x.v); }
template <class P> TRICYCLE_HD P to_float(Ints<P> n) { return detail::cast_lanes<typename P::Floats>(n); }
template <class P> TRICYCLE_HD P power_of_2(Ints<P> n) { return from_bits<P>((n + 127) << 23); }

template <class P> TRICYCLE_HD P abs(P x) { return from_bits<P>(bits(x) & magnitude); }
template <class P> TRICYCLE_HD P with_sign_of(P x, P sign) { return from_bits<P>((bits(x) & magnitude) | (bits(sign) & ~magnitude)); }

/// y, but NaN where x is. Chosen by integers: a compiler told that there is no NaN would drop one among floats.
template <class P> TRICYCLE_HD P unless_nan(P x, P y) {
  return from_bits<P>(detail::choose((bits(x) & magnitude) > infinity, bits(x), bits(y)));
}

/// The smaller of x >= 0 and the number of these bits; that number if x is NaN.
template <class P> TRICYCLE_HD P at_most(P x, std::int32_t limit) {
  return from_bits<P>(detail::choose(bits(x) < limit, bits(x), Ints<P>{} + limit));
}

/// x, which the compiler now takes for a number it knows nothing about: -ffast-math ends here.
template <class P> TRICYCLE_HD P fence(P x) {
#if defined(__x86_64__)
  asm("" : "+x"(x.v));
#elif defined(__aarch64__)
  asm("" : "+w"(x.v));
#endif
  return x;
}

/// a b + c. In one expression, which every compiler fuses alike; fences keep products out of the other sums.
template <class P> TRICYCLE_HD P mad(P a, P b, P c) { return a.v * b.v + c.v; }

/// The polynomial in x whose coefficients these are, highest power first.
template <class P, class... C> TRICYCLE_HD P horner(P x, float highest, C... coefficients) {
  P y(highest);
  ((y = mad(y, x, P(coefficients))), ...);
  return y;
}

/// e^x = 2^n (1 + m): n, and m to some 2^-28 of e^r where r = x - n ln 2, |r| <= ln(2) / 2. For |x| < 128. ln 2 is taken
/// off in two parts of which the first has few bits, so that n times it is exact. (Cody and Waite, 1980.)
template <class P> struct Exponential {
  Ints<P> n;
  P m;
  TRICYCLE_HD explicit Exponential(P x) {
    n = to_int(mad(x, P(1.44269504f), P(192.5f))) - 192;   // truncated above 0, that is rounded
    P k = to_float<P>(n);
    P r = mad(k, P(2.12194440e-4f), fence(mad(k, P(-0.693359375f), x)));
    m = mad(horner(r, 0.00138403999f, 0.00836934894f, 0.0416680835f, 0.166665152f, 0.49999994f), r * r, r);
  }
};

template <class P> TRICYCLE_HD P exp(P x) {
  P y = select(x > P(-104.f), x, P(-104.f));             // beyond these e^x is 0 and infinity; and NaN is no integer
  Exponential<P> e(select(y < P(89.f), y, P(89.f)));
  Ints<P> half = e.n >> 1;                               // in two steps: 2^n alone may be no float, though e^x is
  return unless_nan(x, fence((e.m + P(1.f)) * power_of_2<P>(half)) * power_of_2<P>(e.n - half));
}

/// x = 2^n (1 + r), 1 + r between sqrt(1/2) and sqrt(2); log(1 + r) = r - r^2 / 2 + r^3 p(r). (Cephes' scheme.)
template <class P> TRICYCLE_HD P log(P x) {
  constexpr std::int32_t sqrt_half = 0x3f3504f3, smallest_normal = 0x00800000;
  P a = abs(x);
  auto denormal = bits(a) < smallest_normal;
  Ints<P> b = detail::choose(denormal, bits(a * P(0x1p25f)), bits(a)) - sqrt_half;
  P n = to_float<P>((b >> 23) - (denormal & 25));
  P r = from_bits<P>((b & 0x007fffff) + sqrt_half) - P(1.f), rr = r * r;
  P p = horner(r, 0.0663846657f, -0.115513638f, 0.118930563f, -0.124294996f, 0.142207935f, -0.166667879f, 0.200020447f, -0.250000268f, 0.333333135f);
  P low = mad(n, P(-2.12194440e-4f), fence(rr * r * p));
  P y = mad(n, P(0.693359375f), fence(r + fence(mad(rr, P(-0.5f), low))));

  Ints<P> pole = Ints<P>{} + (infinity | ~magnitude), of_negative = Ints<P>{} + nan;
  Ints<P> checked = detail::choose(bits(x) > 0, bits(y), detail::choose(bits(a) == 0, pole, of_negative));
  return from_bits<P>(detail::choose(((bits(x) >= infinity) | (bits(a) > infinity)), bits(x), checked));
}

/// h / (1 + h), h = (e^2|x| - 1) / 2, which loses nothing near 0.
template <class P> TRICYCLE_HD P tanh(P x) {
  Exponential<P> e(at_most(2.f * abs(x), 0x4191999a));   // 18.2: beyond it this is 1
  P half = power_of_2<P>(e.n - 1);
  P h = mad(half, e.m, fence(half - P(0.5f)));
  P y = h / (h + P(1.f));
  y = select(h < P(0.5f), mad(-h, y, h), y);             // the same number, its last digit righter
  return unless_nan(x, with_sign_of(y, x));
}

/// 1 / (1 + e^-x), e^-x = 2^n (1 + m). Where n > 0 both sides of the fraction are divided by 2^n: no infinity on the way.
template <class P> TRICYCLE_HD P sigmoid(P x) {
  P y = select(x > P(-104.f), x, P(-104.f));             // below it is 0, above it is 1
  Exponential<P> e(-select(y < P(80.f), y, P(80.f)));
  Ints<P> up = e.n & (e.n > 0), down = e.n - up, half = up >> 1;
  auto tiny = detail::choose(up < 64, up, Ints<P>{} + 64);       // 2^-up, or as good as 0
  P d = mad(power_of_2<P>(down), e.m, power_of_2<P>(down - tiny)) + P(1.f);
  return unless_nan(x, fence(power_of_2<P>(-half) / d) * power_of_2<P>(half - up));
}

/// x + x p(x^2) near 0, and further out 1 - e^g(|x|), g = log(1 - erf).
template <class P> TRICYCLE_HD P erf(P x) {
  P a = at_most(abs(x), 0x40800000);                     // 4: beyond it this is 1
  P near = horner(a * a, 7.99504851e-05f, -0.000804951473f, 0.00519239251f, -0.0268557295f, 0.112836257f, -0.376126289f, 0.128379166f);
  P g = horner(a, 0.000198229478f, -0.00306556071f, 0.0223153848f, -0.104113862f, -0.636976004f, -1.12779725f, -0.00016645182f);
  Exponential<P> e(g);
  P far = P(1.f) - fence((e.m + P(1.f)) * power_of_2<P>(e.n));
  return unless_nan(x, with_sign_of(select(a < P(0.92f), mad(near, a, a), far), x));
}

/// sin(x + quarters pi / 2). The quarters are taken off in double: up to 10^6 what is left is then right to the bit,
/// even next to a multiple of pi. `exact` serves numbers beyond.
template <class P, class Exact> TRICYCLE_HD P circular(P x, std::int32_t quarters, Exact exact) {
  constexpr std::int32_t limit = 0x49742400;             // the bits of 10^6
  Ints<P> quadrant;
  P r;
  Ints<P> far = (bits(x) & magnitude) > limit;
  P near = from_bits<P>(bits(x) & ~far);
  bool any_far = false;
  for (int i = 0; i < lanes; ++i) {
    double d = near[i], q = d * 0.63661977236758134308;
    auto n = static_cast<std::int32_t>(q + (q < 0 ? -0.5 : 0.5));
    quadrant[i] = n + quarters;
    r.v[i] = static_cast<float>((d - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11);   // the first of 33 bits
    any_far |= far[i] != 0;
  }
  P rr = r * r;
  P sine = with_sign_of(mad(horner(rr, -0.000195182904f, 0.00833218917f, -0.166666552f), fence(rr * r), r), r);      // -0 too
  P cosine = mad(horner(rr, 2.44323273e-05f, -0.00138873095f, 0.0416666456f), fence(rr * rr), mad(rr, P(-0.5f), P(1.f)));
  P y = select((quadrant & 1) == 0, sine, cosine);
  y = from_bits<P>(bits(y) ^ ((quadrant & 2) << 30));
  if (any_far)
    for (int i = 0; i < lanes; ++i)
      if (far[i]) y.v[i] = static_cast<float>(exact(static_cast<double>(x[i])));
  return y;
}

/// Rounded correctly. (No builtin that compilers share reaches the vector instruction.)
template <class P> TRICYCLE_HD P sqrt(P x) {
#if defined(__AVX__)
  asm("vsqrtps %1, %0" : "=x"(x.v) : "x"(x.v));
#elif defined(__x86_64__)
  asm("sqrtps %1, %0" : "=x"(x.v) : "x"(x.v));
#else
  for (int i = 0; i < lanes; ++i) x.v[i] = std::sqrt(x.v[i]);
#endif
  return x;
}

}  // namespace polynomial

/// f(x, ...) for every lane.
template <class F, class... Packs>
TRICYCLE_HD Pack lanewise(F f, Packs... x) {
  Pack y;
  for (int i = 0; i < lanes; ++i) y.v[i] = static_cast<float>(f(x[i]...));
  return y;
}

/// The library's own `exact` for double and in device code, our `fast` for packs, and so for float.
template <class R, class Exact, class Fast>
TRICYCLE_HD R choose_by_type(R x, Exact exact, Fast fast) {
  if constexpr (std::same_as<R, double>) return exact(x);
  else if constexpr (std::same_as<R, float>) {
    if constexpr (on_device) return exact(x);
    else return fast(Pack(x))[0];
  } else {
    if constexpr (on_device) return lanewise(exact, x);
    else return fast(x);
  }
}

template <class R> TRICYCLE_HD R exp(R x) {
  return choose_by_type(x, [](auto v) { return std::exp(v); }, [](auto v) { return polynomial::exp(v); });
}
template <class R> TRICYCLE_HD R log(R x) {
  return choose_by_type(x, [](auto v) { return std::log(v); }, [](auto v) { return polynomial::log(v); });
}
template <class R> TRICYCLE_HD R tanh(R x) {
  return choose_by_type(x, [](auto v) { return std::tanh(v); }, [](auto v) { return polynomial::tanh(v); });
}
template <class R> TRICYCLE_HD R erf(R x) {
  return choose_by_type(x, [](auto v) { return std::erf(v); }, [](auto v) { return polynomial::erf(v); });
}
template <class R> TRICYCLE_HD R sqrt(R x) {
  return choose_by_type(x, [](auto v) { return std::sqrt(v); }, [](auto v) { return polynomial::sqrt(v); });
}

template <class R> TRICYCLE_HD R sin(R x) {
  auto exact = [](auto v) { return std::sin(v); };
  return choose_by_type(x, exact, [&](auto v) { return polynomial::circular(v, 0, exact); });
}
template <class R> TRICYCLE_HD R cos(R x) {
  auto exact = [](auto v) { return std::cos(v); };
  return choose_by_type(x, exact, [&](auto v) { return polynomial::circular(v, 1, exact); });
}

/// 1 / (1 + e^-x)
template <class R> TRICYCLE_HD R sigmoid(R x) {
  auto exact = [](auto v) {
    auto z = std::exp(-std::abs(v));
    return (v < 0 ? z : 1) / (1 + z);
  };
  return choose_by_type(x, exact, [](auto v) { return polynomial::sigmoid(v); });
}

/// x^p as C's pow says, corner cases and all. Worked out in double.
template <class R> TRICYCLE_HD R pow(R x, std::type_identity_t<R> p) {
  if constexpr (std::same_as<R, double>) return std::pow(x, p);
  else if constexpr (std::same_as<R, float>) return static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(p)));
  else return lanewise([](float a, float b) { return pow(a, b); }, x, p);
}

/// |x|
template <class R> TRICYCLE_HD R abs(R x) {
  return choose_by_type(x, [](auto v) { return std::abs(v); }, [](auto v) { return polynomial::abs(v); });
}

TRICYCLE_HD inline bool isnan(float x) { return (__builtin_bit_cast(std::uint32_t, x) & 0x7fffffffu) > 0x7f800000u; }
TRICYCLE_HD inline bool isnan(double x) { return (__builtin_bit_cast(std::uint64_t, x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u; }
TRICYCLE_HD inline Pack::Mask isnan(Pack x) { return (__builtin_bit_cast(Pack::Ints, x.v) & 0x7fffffff) > 0x7f800000; }

/// Neither infinite nor NaN.
TRICYCLE_HD inline bool isfinite(float x) { return (__builtin_bit_cast(std::uint32_t, x) & 0x7fffffffu) < 0x7f800000u; }
TRICYCLE_HD inline bool isfinite(double x) { return (__builtin_bit_cast(std::uint64_t, x) & 0x7fffffffffffffffu) < 0x7ff0000000000000u; }
TRICYCLE_HD inline Pack::Mask isfinite(Pack x) { return (__builtin_bit_cast(Pack::Ints, x.v) & 0x7fffffff) < 0x7f800000; }

/// The larger; NaN where either is, as NumPy has it. (In parentheses because some systems' headers have a macro max.)
template <class R>
TRICYCLE_HD R (max)(R a, std::type_identity_t<R> b) {
  return select(isnan(a), a, select(isnan(b), b, select(a > b, a, b)));
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
// For this there is an instruction.
TRICYCLE_HD inline float (max)(float a, float b) {
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
TRICYCLE_HD inline Pack (max)(Pack a, Pack b) {
  return Pack::Floats::each([&](int i) { return (max)(a[i], b[i]); });
}
#endif
/// The smaller; NaN where either is.
template <class R>
TRICYCLE_HD R (min)(R a, std::type_identity_t<R> b) {
  return select(isnan(a), a, select(isnan(b), b, select(a < b, a, b)));
}

}  // namespace math
}
}  // namespace tricycle
