// Products of the rows of panels, and what an approximation leaves of a panel.
// Included by block_kernels.cpp only, once per instruction set.
#pragma once

#include "kernels/block_arithmetic.hpp"
#include "kernels/block_kernels.hpp"

namespace papilio {
namespace kernels {
namespace {

template <class T>
PAPILIO_INLINE T sum_of_lanes(batch<T> x) {
  T lanes[batch<T>::lanes];
  x.store(lanes);
  for (int half = batch<T>::lanes / 2; half > 0; half /= 2)
    for (int n = 0; n < half; ++n) lanes[n] += lanes[n + half];
  return lanes[0];
}

/// sum of x conj(y) over the lanes, from Sum = products of x with Input(y).
template <class T>
PAPILIO_INLINE T inner(typename Real<T>::Sum sum, const Real<T>*) {
  return sum_of_lanes(sum);
}
template <class T>
PAPILIO_INLINE complex<T> inner(typename Complex<T>::Sum sum, const Complex<T>*) {
  // by_re - i by_im
  T re[Complex<T>::V::lanes], im[Complex<T>::V::lanes];
  sum.by_re.store(re);
  sum.by_im.store(im);
  for (int half = Complex<T>::lanes / 2; half > 0; half /= 2)
    for (int n = 0; n < 2 * half; ++n) {
      re[n] += re[n + 2 * half];
      im[n] += im[n + 2 * half];
    }
  return {re[0] + im[1], re[1] - im[0]};
}
template <class T>
PAPILIO_INLINE typename Real<T>::Sum add(typename Real<T>::Sum x, typename Real<T>::Sum y,
                                         const Real<T>*) {
  return x + y;
}
template <class T>
PAPILIO_INLINE typename Complex<T>::Sum add(typename Complex<T>::Sum x, typename Complex<T>::Sum y,
                                            const Complex<T>*) {
  return {x.by_re + y.by_re, x.by_im + y.by_im};
}
template <class A>
PAPILIO_INLINE typename A::Sum nothing() {
  const typename A::V zero = {};
  return A::product(zero, A::input(zero));
}

/// I x J sums in registers.
template <class A, int I, int J>
void cross_tile(const typename A::element* x, int64_t x_step, const typename A::element* y,
                int64_t y_step, int64_t columns, typename A::element* g, int64_t g_row) {
  typedef typename A::V V;
  const A* const kind = nullptr;
  typename A::Sum whole[I][J];
  for (int i = 0; i < I; ++i)
    for (int j = 0; j < J; ++j) whole[i][j] = nothing<A>();
  int64_t k = 0;
  while (k < columns) {
    typename A::Sum sum[I][J];
    PAPILIO_UNROLL
    for (int i = 0; i < I; ++i) {
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) sum[i][j] = nothing<A>();
    }
    const auto step = [&](int64_t part) __attribute__((always_inline)) {
      V xs[I];
      PAPILIO_UNROLL
      for (int i = 0; i < I; ++i)
        xs[i] = part ? load_part<A>(x + i * x_step + k, part) : load<A>(x + i * x_step + k);
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) {
        const typename A::Input ys =
            A::input(part ? load_part<A>(y + j * y_step + k, part) : load<A>(y + j * y_step + k));
        PAPILIO_UNROLL
        for (int i = 0; i < I; ++i) sum[i][j] = A::multiply_add(sum[i][j], xs[i], ys);
      }
    };
    for (int64_t n = 0; n < chunk_vectors && k + A::lanes <= columns; ++n, k += A::lanes) step(0);
    if (k < columns && columns - k < A::lanes) {
      step(columns - k);
      k = columns;
    }
    for (int i = 0; i < I; ++i)
      for (int j = 0; j < J; ++j) whole[i][j] = add(whole[i][j], sum[i][j], kind);
  }
  for (int i = 0; i < I; ++i)
    for (int j = 0; j < J; ++j) g[i * g_row + j] = inner(whole[i][j], kind);
}

template <class A, int I>
void cross_rows(const typename A::element* x, int64_t x_step, const Panel& y, int64_t y_rows,
                typename A::element* g) {
  typedef typename A::element element;
  constexpr int J = registers / (I * A::parts * 2) < 4 ? registers / (I * A::parts * 2) : 4;
  const element* ys = static_cast<const element*>(y.data);
  int64_t j = 0;
  for (; j + J <= y_rows; j += J)
    cross_tile<A, I, J>(x, x_step, ys + j * y.row_step, y.row_step, y.columns, g + j, y.rows);
  if (J > 2)
    for (; j + 2 <= y_rows; j += 2)
      cross_tile<A, I, 2>(x, x_step, ys + j * y.row_step, y.row_step, y.columns, g + j, y.rows);
  for (; j < y_rows; ++j)
    cross_tile<A, I, 1>(x, x_step, ys + j * y.row_step, y.row_step, y.columns, g + j, y.rows);
}

template <class A>
void cross(const Panel& x, const Panel& y, void* out) {
  typedef typename A::element element;
  constexpr int I = A::parts == 1 ? 4 : 2;
  const bool hermitian = x.data == y.data && x.rows == y.rows && x.row_step == y.row_step;
  const element* xs = static_cast<const element*>(x.data);
  element* g = static_cast<element*>(out);
  int64_t i = 0;
  const auto wanted = [&](int64_t next) { return hermitian ? next : y.rows; };
  for (; i + I <= x.rows; i += I)
    cross_rows<A, I>(xs + i * x.row_step, x.row_step, y, wanted(i + I), g + i * y.rows);
  for (; i + 2 <= x.rows; i += 2)
    cross_rows<A, 2>(xs + i * x.row_step, x.row_step, y, wanted(i + 2), g + i * y.rows);
  for (; i < x.rows; ++i)
    cross_rows<A, 1>(xs + i * x.row_step, x.row_step, y, wanted(i + 1), g + i * y.rows);
  if (hermitian)
    for (int64_t row = 0; row < x.rows; ++row)
      for (int64_t j = 0; j < row; ++j) g[j * y.rows + row] = conjugate(g[row * y.rows + j]);
}

/// Rows j .. j + J of x - u r, all columns.
template <class A, int J>
double residual_rows(const Panel& x, int64_t j, const typename A::element* u, const Panel& r,
                     typename A::element* out, int64_t out_step) {
  typedef typename A::element element;
  typedef typename A::V V;
  const element* xs = static_cast<const element*>(x.data) + j * x.row_step;
  const element* rs = static_cast<const element*>(r.data);
  double total = 0;
  int64_t k = 0;
  while (k < x.columns) {
    V squares = {};
    for (int64_t n = 0; n < chunk_vectors && k < x.columns; ++n, k += A::lanes) {
      const int64_t part = x.columns - k < A::lanes ? x.columns - k : int64_t{0};
      typename A::Sum sum[J];
      for (int i = 0; i < J; ++i) sum[i] = nothing<A>();
      for (int64_t rho = 0; rho < r.rows; ++rho) {
        const element* from = rs + rho * r.row_step + k;
        const typename A::Input input = A::input(part ? load_part<A>(from, part) : load<A>(from));
        for (int i = 0; i < J; ++i)
          sum[i] = A::multiply_add(sum[i], A::broadcast(u + j + i + rho * x.rows), input);
      }
      for (int i = 0; i < J; ++i) {
        const element* from = xs + i * x.row_step + k;
        const V left = (part ? load_part<A>(from, part) : load<A>(from)) - A::total(sum[i], false);
        squares = multiply_add(left, left, squares);
        if (!out) continue;
        element* to = out + (j + i) * out_step + k;
        part ? store_part<A>(to, left, part) : store<A>(to, left);
      }
    }
    total += static_cast<double>(sum_of_lanes(squares));
  }
  return total;
}

template <class A>
double residual(const Panel& x, const void* u, const Panel& r, void* out, int64_t out_step) {
  typedef typename A::element element;
  const element* us = static_cast<const element*>(u);
  element* to = static_cast<element*>(out);
  double total = 0;
  int64_t j = 0;
  for (; j + 4 <= x.rows; j += 4) total += residual_rows<A, 4>(x, j, us, r, to, out_step);
  for (; j < x.rows; ++j) total += residual_rows<A, 1>(x, j, us, r, to, out_step);
  return total;
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
