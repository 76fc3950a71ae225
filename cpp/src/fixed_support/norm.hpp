// Norms of numbers of any size, in double precision.
#pragma once

#include <type_traits>

#include "factorize/norms.hpp"

namespace papilio {

/// Double precision, of the kind of T.
template <class T>
using Wide = std::conditional_t<std::is_same<T, Real<T>>::value, double, std::complex<double>>;

/// The norm of some numbers, whatever their size.
template <class W>
double norm_of(const W* values, Index size) {
  return scaled_norm(size, [values](Index n) { return values[n]; }).value();
}

}  // namespace papilio
