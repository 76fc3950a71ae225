// Elementary functions of doubles in SIMD vectors, to an ulp or two. Each lane's result is a
// function of that lane alone; polynomials are Taylor's, cut where the next term is below 1e-17.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

typedef batch<double> Half;
typedef batch<int64_t>::native HalfBits;

/// Two SIMD vectors of doubles: the chains of operations that these functions are wait for each
/// other, and two at a time fill the waits.
struct Doubles {
  Half part[2];
  static constexpr int lanes = 2 * Half::lanes;

  PAPILIO_INLINE static Doubles load(const double* from) {
    return {{Half::load(from), Half::load(from + Half::lanes)}};
  }
  /// The vectors that have any of the first count lanes.
  PAPILIO_INLINE void store(double* to, int64_t count) const {
    part[0].store(to);
    if (count > Half::lanes) part[1].store(to + Half::lanes);
  }
  PAPILIO_INLINE double lane(int n) const { return part[n / Half::lanes].v[n % Half::lanes]; }
  PAPILIO_INLINE void set_lane(int n, double x) { part[n / Half::lanes].v[n % Half::lanes] = x; }
};
/// Their bits, or a mask: all bits of the lanes where something holds.
struct Bits {
  HalfBits part[2];
  PAPILIO_INLINE bool lane(int n) const { return part[n / Half::lanes][n % Half::lanes] != 0; }
};

PAPILIO_INLINE Doubles all(double x) { return {{Half::broadcast(x), Half::broadcast(x)}}; }
PAPILIO_INLINE Bits all_bits(int64_t x) { return {{x - HalfBits{}, x - HalfBits{}}}; }
PAPILIO_INLINE Bits bits_of(Doubles x) {
  return {{reinterpret_cast<HalfBits>(x.part[0].v), reinterpret_cast<HalfBits>(x.part[1].v)}};
}
PAPILIO_INLINE Doubles doubles_of(Bits x) {
  return {
      {{reinterpret_cast<Half::native>(x.part[0])}, {reinterpret_cast<Half::native>(x.part[1])}}};
}

PAPILIO_INLINE Doubles operator*(Doubles x, Doubles y) {
  return {{x.part[0] * y.part[0], x.part[1] * y.part[1]}};
}
PAPILIO_INLINE Doubles operator+(Doubles x, Doubles y) {
  return {{x.part[0] + y.part[0], x.part[1] + y.part[1]}};
}
PAPILIO_INLINE Doubles operator-(Doubles x, Doubles y) {
  return {{x.part[0] - y.part[0], x.part[1] - y.part[1]}};
}
PAPILIO_INLINE Doubles operator/(Doubles x, Doubles y) {
  return {{{x.part[0].v / y.part[0].v}, {x.part[1].v / y.part[1].v}}};
}
PAPILIO_INLINE Doubles operator-(Doubles x) { return Doubles{} - x; }
/// x * y + z.
PAPILIO_INLINE Doubles multiply_add(Doubles x, Doubles y, Doubles z) {
  return {{multiply_add(x.part[0], y.part[0], z.part[0]),
           multiply_add(x.part[1], y.part[1], z.part[1])}};
}
/// z - x * y.
PAPILIO_INLINE Doubles subtract_product(Doubles z, Doubles x, Doubles y) {
  return {{subtract_product(z.part[0], x.part[0], y.part[0]),
           subtract_product(z.part[1], x.part[1], y.part[1])}};
}
PAPILIO_INLINE Bits operator<(Doubles x, Doubles y) {
  return {{reinterpret_cast<HalfBits>(x.part[0].v < y.part[0].v),
           reinterpret_cast<HalfBits>(x.part[1].v < y.part[1].v)}};
}
PAPILIO_INLINE Bits is_zero(Doubles x) {
  return {{reinterpret_cast<HalfBits>(x.part[0].v == Half::native{}),
           reinterpret_cast<HalfBits>(x.part[1].v == Half::native{})}};
}
PAPILIO_INLINE Bits operator&(Bits x, Bits y) {
  return {{x.part[0] & y.part[0], x.part[1] & y.part[1]}};
}
PAPILIO_INLINE Bits operator^(Bits x, Bits y) {
  return {{x.part[0] ^ y.part[0], x.part[1] ^ y.part[1]}};
}
PAPILIO_INLINE Bits operator+(Bits x, Bits y) {
  return {{x.part[0] + y.part[0], x.part[1] + y.part[1]}};
}
PAPILIO_INLINE Bits operator-(Bits x, Bits y) {
  return {{x.part[0] - y.part[0], x.part[1] - y.part[1]}};
}
PAPILIO_INLINE Bits operator<<(Bits x, int count) {
  return {{x.part[0] << count, x.part[1] << count}};
}
PAPILIO_INLINE Doubles select(Bits where, Doubles yes, Doubles no) {
  return doubles_of(bits_of(no) ^ (where & (bits_of(yes) ^ bits_of(no))));
}
PAPILIO_INLINE Doubles absolute(Doubles x) { return doubles_of(bits_of(x) & all_bits(INT64_MAX)); }
PAPILIO_INLINE bool any(Bits where) {
  const HalfBits both = where.part[0] | where.part[1];
#if PAPILIO_X86_BITS == 256
  return _mm256_movemask_pd(reinterpret_cast<__m256d>(both)) != 0;
#elif PAPILIO_X86_BITS == 128
  return _mm_movemask_pd(reinterpret_cast<__m128d>(both)) != 0;
#else
  int64_t found = 0;
  for (int n = 0; n < Half::lanes; ++n) found |= both[n];
  return found != 0;
#endif
}

PAPILIO_INLINE Half square_root(Half x) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_maskz_sqrt_pd(0xff, x.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_sqrt_pd(x.v)};
#elif PAPILIO_X86_BITS == 128
  return {_mm_sqrt_pd(x.v)};
#elif defined(__aarch64__)
  return {vsqrtq_f64(x.v)};
#else
  Half root;
  for (int n = 0; n < Half::lanes; ++n) root.v[n] = __builtin_sqrt(x.v[n]);
  return root;
#endif
}
PAPILIO_INLINE Doubles square_root(Doubles x) {
  return {{square_root(x.part[0]), square_root(x.part[1])}};
}

/// The nearest whole number; of two, the even one. Infinity and NaN stay.
PAPILIO_INLINE Half nearest(Half x) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_maskz_roundscale_pd(0xff, x.v, 0)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_round_pd(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
#elif defined(__aarch64__)
  return {vrndnq_f64(x.v)};
#else
  // What a sum of this size can't hold is rounded; larger numbers are whole.
  const Half whole = Half::broadcast(4503599627370496.0);
  const HalfBits bits = reinterpret_cast<HalfBits>(x.v);
  const HalfBits sign = bits & (INT64_MIN - HalfBits{});
  const Half rounder = {reinterpret_cast<Half::native>(reinterpret_cast<HalfBits>(whole.v) | sign)};
  const Half rounded = (x + rounder) - rounder;
  const Half size = {reinterpret_cast<Half::native>(bits & (INT64_MAX - HalfBits{}))};
  const HalfBits small = reinterpret_cast<HalfBits>(size.v < whole.v);
  return {reinterpret_cast<Half::native>((small & reinterpret_cast<HalfBits>(rounded.v)) |
                                         (~small & bits))};
#endif
}
PAPILIO_INLINE Doubles nearest(Doubles x) { return {{nearest(x.part[0]), nearest(x.part[1])}}; }

/// x * y = product + error, exactly (up to underflow; error 0 where x is too large to be split).
PAPILIO_INLINE Doubles exact_product(Doubles x, Doubles y, Doubles& error) {
  const Doubles product = x * y;
#if defined(__FMA__) || defined(__aarch64__)
  error = multiply_add(x, y, -product);
#else
  const Doubles splitter = all(134217729.0);  // 2^27 + 1: halves of 26 bits (Veltkamp, Dekker)
  const Doubles sx = x * splitter, sy = y * splitter;
  const Doubles hx = sx - (sx - x), hy = sy - (sy - y), lx = x - hx, ly = y - hy;
  error = ((hx * hy - product) + hx * ly + lx * hy) + lx * ly;
  error = doubles_of(bits_of(error) & (absolute(x) < all(0x1p990)));
#endif
  return product;
}

struct Wave {
  Doubles re, im;
};

/// exp(2 pi i part) for |part| <= 1 or so.
PAPILIO_INLINE Wave wave_of_part(Doubles part) {
  // Adding and subtracting 1.5 * 2^52 rounds to a whole number, whose last bits stand in the sum's.
  const Doubles rounder = all(6755399441055744.0);
  const Doubles shifted = multiply_add(part, all(4.0), rounder);
  const Doubles quarters = shifted - rounder;
  const Doubles rest = subtract_product(part, quarters, all(0.25));  // exact
  const Doubles a = rest * all(6.283185307179586476925286766559);    // at most pi / 4
  const Doubles square = a * a;
  Doubles s = all(-1.0 / 1307674368000), c = all(1.0 / 20922789888000);
  s = multiply_add(s, square, all(1.0 / 6227020800));
  c = multiply_add(c, square, all(-1.0 / 87178291200));
  s = multiply_add(s, square, all(-1.0 / 39916800));
  c = multiply_add(c, square, all(1.0 / 479001600));
  s = multiply_add(s, square, all(1.0 / 362880));
  c = multiply_add(c, square, all(-1.0 / 3628800));
  s = multiply_add(s, square, all(-1.0 / 5040));
  c = multiply_add(c, square, all(1.0 / 40320));
  s = multiply_add(s, square, all(1.0 / 120));
  c = multiply_add(c, square, all(-1.0 / 720));
  s = multiply_add(s, square, all(-1.0 / 6));
  c = multiply_add(c, square, all(1.0 / 24));
  c = multiply_add(c, square, all(-0.5));
  const Bits sine = bits_of(multiply_add(a * square, s, a));
  const Bits cosine = bits_of(multiply_add(c, square, all(1.0)));
  // A quarter more exchanges the two; the signs are those of the quadrant.
  const Bits quadrant = bits_of(shifted);
  const Bits exchange = (sine ^ cosine) & (Bits{} - (quadrant & all_bits(1)));
  const Bits re_sign = ((quadrant + all_bits(1)) & all_bits(2)) << 62;
  const Bits im_sign = (quadrant & all_bits(2)) << 62;
  return {doubles_of((cosine ^ exchange) ^ re_sign), doubles_of((sine ^ exchange) ^ im_sign)};
}

/// exp(2 pi i turns): whole turns are taken away exactly, whatever their number. NaN for what isn't
/// finite.
PAPILIO_INLINE Wave wave_of(Doubles turns) { return wave_of_part(turns - nearest(turns)); }

/// The angle of (x, y) with the x axis, from 0 to pi / 2, x and y not negative.
PAPILIO_INLINE Doubles angle_of(Doubles x, Doubles y) {
  const Bits steep = x < y;
  const Doubles low = select(steep, x, y), high = select(steep, y, x);
  // Beyond tan(pi / 8), what is left to pi / 4.
  const Bits beyond = high * all(0.41421356237309505) < low;
  const Doubles t = select(beyond, low - high, low) / select(beyond, low + high, high);
  const Doubles square = t * t;
  // Interpolates atan(t) / t at Chebyshev points of t^2, to 3e-18.
  Doubles series = all(0.015113765096600925);
  series = multiply_add(series, square, all(-0.03338782450121195));
  series = multiply_add(series, square, all(0.04499500728984032));
  series = multiply_add(series, square, all(-0.05217312574061591));
  series = multiply_add(series, square, all(0.05876834004614161));
  series = multiply_add(series, square, all(-0.06666205259976526));
  series = multiply_add(series, square, all(0.07692281099937744));
  series = multiply_add(series, square, all(-0.09090908059031191));
  series = multiply_add(series, square, all(0.11111111085322109));
  series = multiply_add(series, square, all(-0.1428571428532971));
  series = multiply_add(series, square, all(0.19999999999997015));
  series = multiply_add(series, square, all(-0.33333333333333326));
  const Doubles angle = multiply_add(t * square, series, t);
  const Doubles within = select(beyond, angle + all(0.78539816339744831), angle);
  return select(steep, all(1.5707963267948966) - within, within);
}

/// exp(x), x <= 0 and not NaN; down to 0 by numbers below the smallest normal one.
PAPILIO_INLINE Doubles exponential(Doubles x) {
  const Doubles least = all(-800.0);
  x = select(x < least, least, x);
  const Doubles halves = nearest(x * all(1.4426950408889634));
  // The logarithm of 2 as a sum; the first part has 32 bits, and exact products.
  Doubles r = x - halves * all(0.6931471803691238);
  r = r - halves * all(1.9082149292705877e-10);
  Doubles series = all(1.0 / 6227020800);
  series = multiply_add(series, r, all(1.0 / 479001600));
  series = multiply_add(series, r, all(1.0 / 39916800));
  series = multiply_add(series, r, all(1.0 / 3628800));
  series = multiply_add(series, r, all(1.0 / 362880));
  series = multiply_add(series, r, all(1.0 / 40320));
  series = multiply_add(series, r, all(1.0 / 5040));
  series = multiply_add(series, r, all(1.0 / 720));
  series = multiply_add(series, r, all(1.0 / 120));
  series = multiply_add(series, r, all(1.0 / 24));
  series = multiply_add(series, r, all(1.0 / 6));
  series = multiply_add(series, r, all(0.5));
  const Doubles value = all(1.0) + multiply_add(series * r, r, r);
  // Two powers of two, each with an exponent that a normal number has.
  const Doubles first = nearest(halves * all(0.5));
  const Doubles rounder = all(6755399441055744.0);
  const auto power = [&](Doubles whole) {
    const Bits biased = bits_of(whole + rounder) - bits_of(rounder) + all_bits(1023);
    return doubles_of(biased << 52);
  };
  return value * power(first) * power(halves - first);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
