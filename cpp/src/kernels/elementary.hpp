// Elementary functions of SIMD vectors of doubles, to an ulp or two. Each lane's result is a
// function of that lane alone; polynomials are Taylor's, cut where the next term is below 1e-17.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

typedef batch<double> Doubles;
typedef batch<int64_t>::native Bits;  // of a vector of doubles

PAPILIO_INLINE Bits bits_of(Doubles x) { return reinterpret_cast<Bits>(x.v); }
PAPILIO_INLINE Doubles doubles_of(Bits bits) { return {reinterpret_cast<Doubles::native>(bits)}; }
PAPILIO_INLINE Doubles all(double x) { return Doubles::broadcast(x); }
PAPILIO_INLINE Bits all_bits(int64_t x) { return x - Bits{}; }

PAPILIO_INLINE Doubles operator/(Doubles x, Doubles y) { return {x.v / y.v}; }
/// All bits of the lanes where it holds.
PAPILIO_INLINE Bits operator<(Doubles x, Doubles y) { return reinterpret_cast<Bits>(x.v < y.v); }
PAPILIO_INLINE Doubles select(Bits where, Doubles yes, Doubles no) {
  return doubles_of((where & bits_of(yes)) | (~where & bits_of(no)));
}
PAPILIO_INLINE Doubles absolute(Doubles x) { return doubles_of(bits_of(x) & all_bits(INT64_MAX)); }
PAPILIO_INLINE bool any(Bits where) {
  int64_t found = 0;
  for (int n = 0; n < Doubles::lanes; ++n) found |= where[n];
  return found != 0;
}

PAPILIO_INLINE Doubles square_root(Doubles x) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_sqrt_pd(x.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_sqrt_pd(x.v)};
#elif PAPILIO_X86_BITS == 128
  return {_mm_sqrt_pd(x.v)};
#elif defined(__aarch64__)
  return {vsqrtq_f64(x.v)};
#else
  Doubles root;
  for (int n = 0; n < Doubles::lanes; ++n) root.v[n] = __builtin_sqrt(x.v[n]);
  return root;
#endif
}

/// The nearest whole number; of two, the even one. Infinity and NaN stay.
PAPILIO_INLINE Doubles nearest(Doubles x) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_roundscale_pd(x.v, 0)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_round_pd(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
#elif defined(__aarch64__)
  return {vrndnq_f64(x.v)};
#else
  // What a sum of this size can't hold is rounded; larger numbers are whole.
  const Doubles whole = all(4503599627370496.0);
  const Bits sign = bits_of(x) & all_bits(INT64_MIN);
  const Doubles rounder = doubles_of(bits_of(whole) | sign);
  return select(absolute(x) < whole, (x + rounder) - rounder, x);
#endif
}

/// x * y = product + error, exactly (up to underflow).
PAPILIO_INLINE Doubles exact_product(Doubles x, Doubles y, Doubles& error) {
  const Doubles product = x * y;
#if defined(__FMA__) || defined(__aarch64__)
  error = multiply_add(x, y, Doubles{} - product);
#else
  const Doubles splitter = all(134217729.0);  // 2^27 + 1: halves of 26 bits (Veltkamp, Dekker)
  const Doubles sx = x * splitter, sy = y * splitter;
  const Doubles hx = sx - (sx - x), hy = sy - (sy - y), lx = x - hx, ly = y - hy;
  error = ((hx * hy - product) + hx * ly + lx * hy) + lx * ly;
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
  const Bits exchange = (sine ^ cosine) & -(quadrant & 1);
  const Bits re_sign = ((quadrant + 1) & 2) << 62, im_sign = (quadrant & 2) << 62;
  return {doubles_of((cosine ^ exchange) ^ re_sign), doubles_of((sine ^ exchange) ^ im_sign)};
}

/// exp(2 pi i turns): whole turns are taken away exactly, whatever their number. NaN for what isn't
/// finite.
PAPILIO_INLINE Wave wave_of(Doubles turns) { return wave_of_part(turns - nearest(turns)); }

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
    const Bits biased = bits_of(whole + rounder) - bits_of(rounder) + 1023;
    return doubles_of(biased << 52);
  };
  return value * power(first) * power(halves - first);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
