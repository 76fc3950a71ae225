// A Hermitian matrix becomes a real tridiagonal one, by reflections.
// Included by block_kernels.cpp only, once per instruction set.
#pragma once

#include "kernels/block_products.hpp"

namespace papilio {
namespace kernels {
namespace {

/// sum of x_j y_j (nothing conjugated).
template <class A>
PAPILIO_INLINE typename A::element product_of(const typename A::element* x,
                                              const typename A::element* y, int64_t n) {
  typedef typename A::element element;
  typename A::Sum even = nothing<A>(), odd = nothing<A>();
  int64_t j = 0;
  for (; j + 2 * A::lanes <= n; j += 2 * A::lanes) {
    even = A::multiply_add(even, load<A>(x + j), A::input(load<A>(y + j)));
    odd = A::multiply_add(odd, load<A>(x + j + A::lanes), A::input(load<A>(y + j + A::lanes)));
  }
  for (; j < n; j += A::lanes) {
    const int64_t part = n - j < A::lanes ? n - j : int64_t{0};
    even = A::multiply_add(even, part ? load_part<A>(x + j, part) : load<A>(x + j),
                           A::input(part ? load_part<A>(y + j, part) : load<A>(y + j)));
  }
  element lanes[A::lanes];
  store<A>(lanes, A::total(add(even, odd, static_cast<const A*>(nullptr)), false));
  for (int half = A::lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = plus(lanes[i], lanes[i + half]);
  return lanes[0];
}

/// out_k = sum_j c_j g_jk for k in [first, first + U vectors), rows g_j being `step` apart; the
/// last vector has `part` elements if that isn't 0.
template <class A, int U>
PAPILIO_INLINE void combine_rows(const typename A::element* g, int64_t step,
                                 const typename A::element* c, int64_t n, int64_t part,
                                 typename A::element* out) {
  typename A::Sum sum[U];
  for (int u = 0; u < U; ++u) sum[u] = nothing<A>();
  for (int64_t j = 0; j < n; ++j, g += step) {
    const typename A::V factor = A::broadcast(c + j);
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u) {
      const typename A::V row =
          part && u == U - 1 ? load_part<A>(g + u * A::lanes, part) : load<A>(g + u * A::lanes);
      sum[u] = A::multiply_add(sum[u], factor, A::input(row));
    }
  }
  for (int u = 0; u < U; ++u) {
    const typename A::V result = A::total(sum[u], false);
    part&& u == U - 1 ? store_part<A>(out + u * A::lanes, result, part)
                      : store<A>(out + u * A::lanes, result);
  }
}

/// out = G v for the Hermitian n x n matrix G and conj_v = conj(v), by rows, whose combination is
/// conj(G v): no sum runs along a vector's lanes.
template <class A>
PAPILIO_INLINE void multiply_hermitian(const typename A::element* g, int64_t step, int64_t n,
                                       const typename A::element* conj_v,
                                       typename A::element* out) {
  int64_t k = 0;
  for (; k + 4 * A::lanes <= n; k += 4 * A::lanes)
    combine_rows<A, 4>(g + k, step, conj_v, n, 0, out + k);
  for (; k + A::lanes <= n; k += A::lanes) combine_rows<A, 1>(g + k, step, conj_v, n, 0, out + k);
  if (k < n) combine_rows<A, 1>(g + k, step, conj_v, n, n - k, out + k);
  for (int64_t i = 0; i < n; ++i) out[i] = conjugate(out[i]);
}

/// g_row -= v * conj_w + w * conj_v
template <class A>
PAPILIO_INLINE void update_row(typename A::element* g, const typename A::element& v,
                               const typename A::element* conj_w, const typename A::element& w,
                               const typename A::element* conj_v, int64_t n) {
  const typename A::V vs = A::broadcast(&v), ws = A::broadcast(&w);
  for (int64_t j = 0; j < n; j += A::lanes) {
    const int64_t part = n - j < A::lanes ? n - j : int64_t{0};
    const auto get = [&](const typename A::element* from) __attribute__((always_inline)) {
      return part ? load_part<A>(from + j, part) : load<A>(from + j);
    };
    const typename A::Sum sum =
        A::multiply_add(A::product(vs, A::input(get(conj_w))), ws, A::input(get(conj_v)));
    const typename A::V left = get(g) - A::total(sum, false);
    part ? store_part<A>(g + j, left, part) : store<A>(g + j, left);
  }
}

/// Householder tridiagonalization: g becomes the vectors of the reflections (row k holds the
/// conjugate of v_k from column k + 1 on), beta their factors; d and e the tridiagonal matrix, made
/// real by the unitary diagonal `phase`. The largest entry of g must be of order 1. A column below
/// 1e-13 (single precision) or 1e-120 counts as zero: that is far below what rounding changes, and
/// the reflections of the others are unitary to rounding, as no square in them vanishes.
template <class A, class R>
void tridiagonalize(int64_t n, typename A::element* g, R* d, R* e, R* beta,
                    typename A::element* phase, typename A::element* v, typename A::element* w) {
  typedef typename A::element element;
  const R negligible2 = sizeof(R) == 4 ? R(1e-26) : R(1e-240);
  set_one(phase[0]);
  for (int64_t k = 0; k + 1 < n; ++k) {
    const int64_t size = n - k - 1;
    element* row = g + k * n + k + 1;  // conj of the column to be reflected
    d[k] = real_part(g[k * n + k]);
    R norm2 = 0;
    for (int64_t j = 0; j < size; ++j) norm2 += square(row[j]);
    beta[k] = 0;
    e[k] = 0;
    phase[k + 1] = phase[k];
    if (!(norm2 > negligible2)) continue;
    // The column becomes -(its first entry's phase) * norm.
    element turn;
    const R first = polar(conjugate(row[0]), turn), norm = size > 1 ? root(norm2) : first;
    if (size > 1) {
      beta[k] = 1 / (norm * (norm + first));
      row[0] = plus(row[0], scaled(conjugate(turn), norm));
      turn = scaled(turn, R(-1));
      element* conj_v = row;
      for (int64_t j = 0; j < size; ++j) v[j] = conjugate(conj_v[j]);
      multiply_hermitian<A>(g + (k + 1) * n + k + 1, n, size, conj_v, w);
      for (int64_t i = 0; i < size; ++i) w[i] = scaled(w[i], beta[k]);
      const R half = beta[k] / 2 * real_part(product_of<A>(conj_v, w, size));
      element* conj_w = w + size;
      for (int64_t i = 0; i < size; ++i) {
        w[i] = plus(w[i], scaled(v[i], -half));
        conj_w[i] = conjugate(w[i]);
      }
      for (int64_t i = 0; i < size; ++i)
        update_row<A>(g + (k + 1 + i) * n + k + 1, v[i], conj_w, w[i], conj_v, size);
    }
    e[k] = norm;
    phase[k + 1] = times(turn, phase[k]);
  }
  d[n - 1] = real_part(g[n * n - 1]);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
