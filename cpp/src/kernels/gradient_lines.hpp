// Lines of numbers with SIMD lanes along the batch, in the arithmetic of gradients.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// The numbers of a SIMD vector of lanes, real or complex.
template <class T, bool is_complex>
struct Lane {
  typedef batch<T> V;
  static constexpr int parts = is_complex ? 2 : 1;
  V re, im;

  PAPILIO_INLINE static Lane zero() { return {V{}, V{}}; }
  /// `half` is the distance from real to imaginary parts.
  PAPILIO_INLINE static Lane load(const T* line, int64_t half) {
    return {V::load(line), is_complex ? V::load(line + half) : V{}};
  }
  PAPILIO_INLINE void store(T* line, int64_t half) const {
    re.store(line);
    if (is_complex) im.store(line + half);
  }
  /// One weight in all lanes, conjugated or not.
  PAPILIO_INLINE static Lane weight(const T* w, bool conjugate) {
    if (!is_complex) return {V::broadcast(w[0]), V{}};
    return {V::broadcast(w[0]), V::broadcast(conjugate ? -w[1] : w[1])};
  }
  PAPILIO_INLINE Lane plus_product(Lane w, Lane x) const {
    Lane sum = *this;
    sum.re = multiply_add(w.re, x.re, sum.re);
    if (is_complex) {
      sum.re = subtract_product(sum.re, w.im, x.im);
      sum.im = multiply_add(w.re, x.im, multiply_add(w.im, x.re, sum.im));
    }
    return sum;
  }
  /// + g conj(x).
  PAPILIO_INLINE Lane plus_outer(Lane g, Lane x) const {
    Lane sum = *this;
    sum.re = multiply_add(g.re, x.re, sum.re);
    if (is_complex) {
      sum.re = multiply_add(g.im, x.im, sum.re);
      sum.im = subtract_product(multiply_add(g.im, x.re, sum.im), g.re, x.im);
    }
    return sum;
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
