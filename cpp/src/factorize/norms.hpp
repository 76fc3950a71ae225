// Norms of vectors over the whole range of their elements, from 2^-1074 to 2^1023.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "factorize/lapack.hpp"

namespace papilio {

/// |x|^2 in double, whatever T is.
inline double squared(double x) { return x * x; }
template <class R>
double squared(std::complex<R> x) {
  return squared(static_cast<double>(x.real())) + squared(static_cast<double>(x.imag()));
}

/// The larger of |re| and |im|; NaN if one is.
inline double largest_part(double x) { return std::abs(x); }
template <class R>
double largest_part(std::complex<R> x) {
  const double re = std::abs(static_cast<double>(x.real()));
  const double im = std::abs(static_cast<double>(x.imag()));
  return std::isnan(re) || std::isnan(im) ? re + im : std::max(re, im);
}

/// x times 2^exponent, where that factor alone may not be a number of the type.
template <class T>
T times_power_of_two(T x, int exponent) {
  if constexpr (std::is_same<T, Real<T>>::value)
    return std::ldexp(x, exponent);
  else
    return {std::ldexp(x.real(), exponent), std::ldexp(x.imag(), exponent)};
}

/// A norm as size * 2^exponent: squares never overflow or vanish.
struct ScaledNorm {
  double size = 0;
  int exponent = 0;
  double value() const { return std::ldexp(size, exponent); }
};

/// sqrt(x^2 + y^2).
inline ScaledNorm hypotenuse(ScaledNorm x, ScaledNorm y) {
  if (x.size == 0) return y;
  if (y.size == 0) return x;
  const int exponent = std::max(x.exponent, y.exponent);
  return {std::hypot(std::ldexp(x.size, x.exponent - exponent),
                     std::ldexp(y.size, y.exponent - exponent)),
          exponent};
}

/// The norm of x(0), ..., x(count - 1).
template <class Element>
ScaledNorm scaled_norm(Index count, Element x) {
  double sum = 0;
  for (Index n = 0; n < count; ++n) sum += squared(x(n));
  // Outside, squares of doubles may have lost digits; those of floats never do.
  constexpr double safe = 0x1p900;
  if (sum > 1 / safe && sum < safe) return {std::sqrt(sum), 0};
  double most = 0;
  for (Index n = 0; n < count; ++n) {
    const double part = largest_part(x(n));
    most = part > most || std::isnan(part) ? part : most;
  }
  if (most == 0 || !std::isfinite(most)) return {most, 0};
  int exponent = 0;
  std::frexp(most, &exponent);
  sum = 0;
  for (Index n = 0; n < count; ++n) sum += squared(times_power_of_two(x(n), -exponent));
  return {std::sqrt(sum), exponent};
}

/// x <- x / ||x||, to rounding whatever the norm; zeros stay. Returns the norm.
template <class T>
double normalize(T* x, Index count) {
  const ScaledNorm norm = scaled_norm(count, [x](Index n) { return x[n]; });
  if (!(norm.size > 0) || !std::isfinite(norm.size)) return norm.size;
  using R = Real<T>;
  const double by = 1 / norm.size;
  constexpr double most = static_cast<double>(std::numeric_limits<R>::max());
  if (norm.exponent == 0 && by < most && by > 1 / most) {
    for (Index n = 0; n < count; ++n) x[n] *= static_cast<R>(by);
  } else {
    int exponent = 0;
    const R rest = static_cast<R>(std::frexp(by, &exponent));
    for (Index n = 0; n < count; ++n)
      x[n] = times_power_of_two(x[n], exponent - norm.exponent) * rest;
  }
  return norm.value();
}

}  // namespace papilio
