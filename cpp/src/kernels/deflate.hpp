// A step of a pivoted Gram-Schmidt process, and of the triangular solve behind it.
#pragma once

#include "kernels/groups.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// (c_re, c_im) = <m, q> of `width` SIMD vectors of columns m.
template <bool complex, int width>
PAPILIO_INLINE void inner_products(const DeflateArguments& work, int64_t column,
                                   batch<double>* c_re, batch<double>* c_im) {
  typedef batch<double> V;
  constexpr int lanes = V::lanes;
  V re[width] = {}, im[width] = {};
  for (int64_t s = 0; s < work.samples; ++s) {
    const int64_t at = s * work.stride + column;
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      const V x = V::load(work.re + at + n * lanes);
      re[n] = multiply_add(x, q_re, re[n]);
      if (complex) {
        const V y = V::load(work.im + at + n * lanes);
        re[n] = multiply_add(y, q_im, re[n]);
        im[n] = subtract_product(multiply_add(y, q_re, im[n]), x, q_im);
      }
    }
  }
  PAPILIO_UNROLL
  for (int n = 0; n < width; ++n) {
    c_re[n] = re[n];
    c_im[n] = im[n];
  }
}

/// `width` SIMD vectors of columns at a time, their c in registers.
template <bool complex, int width>
PAPILIO_INLINE void deflate_columns(const DeflateArguments& work, int64_t column) {
  typedef batch<double> V;
  constexpr int lanes = V::lanes;
  V cr[width], ci[width], norm[width] = {};
  inner_products<complex, width>(work, column, cr, ci);
  for (int64_t s = 0; s < work.samples; ++s) {
    const int64_t at = s * work.stride + column;
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      double* re = work.re + at + n * lanes;
      V x = subtract_product(V::load(re), cr[n], q_re);
      if (complex) {
        double* im = work.im + at + n * lanes;
        x = multiply_add(ci[n], q_im, x);
        const V y = subtract_product(subtract_product(V::load(im), cr[n], q_im), ci[n], q_re);
        norm[n] = multiply_add(y, y, norm[n]);
        y.store(im);
      }
      norm[n] = multiply_add(x, x, norm[n]);
      x.store(re);
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
  constexpr int lanes = batch<double>::lanes;
  in_even_groups(work.columns / lanes, [&](auto width, int64_t first) {
    deflate_columns<complex, decltype(width)::value>(work, first * lanes);
  });
}

template <bool complex>
void reduce(const DeflateArguments& work) {
  typedef batch<double> V;
  in_even_groups(work.columns / V::lanes, [&](auto count, int64_t first) {
    constexpr int width = decltype(count)::value;
    V cr[width], ci[width];
    inner_products<complex, width>(work, first * V::lanes, cr, ci);
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      double* re = work.c_re + (first + n) * V::lanes;
      (V::load(re) - cr[n]).store(re);
      if (!complex) continue;
      double* im = work.c_im + (first + n) * V::lanes;
      (V::load(im) - ci[n]).store(im);
    }
  });
}

/// For double, in which all columns are; null for others.
template <class A>
constexpr DeflateKernel deflate_kernel(A) {
  return nullptr;
}
constexpr DeflateKernel deflate_kernel(Real<double>) { return deflate<false>; }
constexpr DeflateKernel deflate_kernel(Complex<double>) { return deflate<true>; }

template <class A>
constexpr DeflateKernel reduce_kernel(A) {
  return nullptr;
}
constexpr DeflateKernel reduce_kernel(Real<double>) { return reduce<false>; }
constexpr DeflateKernel reduce_kernel(Complex<double>) { return reduce<true>; }

}  // namespace
}  // namespace kernels
}  // namespace papilio
