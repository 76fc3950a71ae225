// A step of a pivoted Gram-Schmidt process.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// `width` SIMD vectors of columns at a time, their c in registers.
template <bool complex, int width>
PAPILIO_INLINE void deflate_columns(const DeflateArguments& work, int64_t column) {
  typedef batch<double> V;
  constexpr int lanes = V::lanes;
  V cr[width] = {}, ci[width] = {}, norm[width] = {};
  double* re = work.re + column;
  double* im = complex ? work.im + column : nullptr;
  for (int64_t s = 0; s < work.samples; ++s) {
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      const V x = V::load(re + s * work.columns + n * lanes);
      cr[n] = multiply_add(x, q_re, cr[n]);
      if (complex) {
        const V y = V::load(im + s * work.columns + n * lanes);
        cr[n] = multiply_add(y, q_im, cr[n]);
        ci[n] = subtract_product(multiply_add(y, q_re, ci[n]), x, q_im);
      }
    }
  }
  for (int64_t s = 0; s < work.samples; ++s) {
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      double* at = re + s * work.columns + n * lanes;
      V x = subtract_product(V::load(at), cr[n], q_re);
      if (complex) {
        double* at_im = im + s * work.columns + n * lanes;
        x = multiply_add(ci[n], q_im, x);
        const V y = subtract_product(subtract_product(V::load(at_im), cr[n], q_im), ci[n], q_re);
        norm[n] = multiply_add(y, y, norm[n]);
        y.store(at_im);
      }
      norm[n] = multiply_add(x, x, norm[n]);
      x.store(at);
    }
  }
  PAPILIO_UNROLL
  for (int n = 0; n < width; ++n) {
    cr[n].store(work.c_re + column + n * lanes);
    if (complex) ci[n].store(work.c_im + column + n * lanes);
    norm[n].store(work.norms + column + n * lanes);
  }
}

template <bool complex>
void deflate(const DeflateArguments& work) {
  constexpr int lanes = batch<double>::lanes, width = 2;
  int64_t column = 0;
  for (; column + width * lanes <= work.columns; column += width * lanes)
    deflate_columns<complex, width>(work, column);
  for (; column < work.columns; column += lanes) deflate_columns<complex, 1>(work, column);
}

/// For double, in which all columns are; null for others.
template <class A>
constexpr DeflateKernel deflate_kernel(A) {
  return nullptr;
}
constexpr DeflateKernel deflate_kernel(Real<double>) { return deflate<false>; }
constexpr DeflateKernel deflate_kernel(Complex<double>) { return deflate<true>; }

}  // namespace
}  // namespace kernels
}  // namespace papilio
