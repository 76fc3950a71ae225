// Norms of numbers of any size.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "factorize/lapack.hpp"

namespace papilio {

/// Double precision, of the kind of T.
template <class T>
using Wide = std::conditional_t<std::is_same<T, Real<T>>::value, double, std::complex<double>>;

inline double largest_part(double x) { return std::abs(x); }
inline double largest_part(std::complex<double> x) {
  return std::max(std::abs(x.real()), std::abs(x.imag()));
}

/// The norm of some numbers, whatever their size: squares that may have lost something are taken
/// again after scaling.
template <class W>
double norm_of(const W* values, Index size) {
  double sum = 0;
  for (Index n = 0; n < size; ++n) sum += squared(values[n]);
  if (sum > 0x1p-900 && sum < 0x1p1000) return std::sqrt(sum);
  double largest = 0;
  for (Index n = 0; n < size; ++n) largest = std::max(largest, largest_part(values[n]));
  if (!(largest > 0) || !std::isfinite(largest)) return std::isnan(sum) ? sum : largest;
  const int exponent = std::ilogb(largest);
  const double half = std::ldexp(1.0, -exponent / 2),
               other = std::ldexp(1.0, -exponent + exponent / 2);
  sum = 0;
  for (Index n = 0; n < size; ++n) sum += squared(values[n] * half * other);
  return std::ldexp(std::sqrt(sum), exponent);
}

}  // namespace papilio
