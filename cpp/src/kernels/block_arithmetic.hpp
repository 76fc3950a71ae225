// Arithmetic of single elements, real and complex, over all of their range.
// Included by block_kernels.cpp only, once per instruction set.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

PAPILIO_INLINE float root(float x) { return __builtin_sqrtf(x); }
PAPILIO_INLINE double root(double x) { return __builtin_sqrt(x); }
template <class R>
PAPILIO_INLINE R magnitude(R x) {
  return x < 0 ? -x : x;
}
/// Squares between these are as exact as any other number, and so are sums of some of them.
template <class R>
constexpr R smallest_square = sizeof(R) == 4 ? R(1e-30) : R(1e-280);
template <class R>
constexpr R largest_square = sizeof(R) == 4 ? R(1e30) : R(1e280);

/// sqrt(x^2 + y^2) to rounding, whatever the sizes: what is divided by it becomes a unit vector.
template <class R>
PAPILIO_INLINE R hypotenuse(R x, R y) {
  const R sum = x * x + y * y;
  if (sum > smallest_square<R> && sum < largest_square<R>) return root(sum);
  const R most = magnitude(x) > magnitude(y) ? magnitude(x) : magnitude(y);
  if (most == 0) return 0;
  x /= most;
  y /= most;
  return most * root(x * x + y * y);
}

// Arithmetic of single elements, for both kinds.
template <class R>
PAPILIO_INLINE R conjugate(R x) {
  return x;
}
template <class R>
PAPILIO_INLINE complex<R> conjugate(complex<R> x) {
  return {x.re, -x.im};
}
template <class R>
PAPILIO_INLINE void set_one(R& x) {
  x = 1;
}
template <class R>
PAPILIO_INLINE void set_one(complex<R>& x) {
  x = {1, 0};
}
template <class R>
PAPILIO_INLINE R times(R x, R y) {
  return x * y;
}
template <class R>
PAPILIO_INLINE complex<R> times(complex<R> x, complex<R> y) {
  return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}
template <class R>
PAPILIO_INLINE R scaled(R x, R by) {
  return x * by;
}
template <class R>
PAPILIO_INLINE complex<R> scaled(complex<R> x, R by) {
  return {x.re * by, x.im * by};
}
template <class R>
PAPILIO_INLINE R plus(R x, R y) {
  return x + y;
}
template <class R>
PAPILIO_INLINE complex<R> plus(complex<R> x, complex<R> y) {
  return {x.re + y.re, x.im + y.im};
}
template <class R>
PAPILIO_INLINE R real_part(R x) {
  return x;
}
template <class R>
PAPILIO_INLINE R real_part(complex<R> x) {
  return x.re;
}
template <class R>
PAPILIO_INLINE R square(R x) {
  return x * x;
}
template <class R>
PAPILIO_INLINE R square(complex<R> x) {
  return x.re * x.re + x.im * x.im;
}

/// |x|, and the number of modulus 1 that x is times it: 1 for zero. Both to rounding for all x, but
/// for the modulus of a subnormal one.
template <class R>
PAPILIO_INLINE R polar(R x, R& direction) {
  direction = x < 0 ? R(-1) : R(1);
  return magnitude(x);
}
template <class R>
PAPILIO_INLINE R polar(complex<R> x, complex<R>& direction) {
  const R most = magnitude(x.re) > magnitude(x.im) ? magnitude(x.re) : magnitude(x.im);
  set_one(direction);
  if (most == 0) return 0;
  // Of order 1 before the squares: they neither overflow nor vanish.
  const R re = x.re / most, im = x.im / most, size = root(re * re + im * im);
  direction = {re / size, im / size};
  return most * size;
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
