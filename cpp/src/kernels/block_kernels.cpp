// The kernels of factorization, compiled once per instruction set as kernels.cpp is; the object
// exports its table and nothing else and includes C headers only.
#include "kernels/block_kernels.hpp"

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

/// Implicit QL on the tridiagonal matrix (diagonal d, off-diagonal e[0..n-2]). The rows of z, which
/// start as the identity, become the eigenvectors, in the order of d, which isn't sorted.
template <class R>
bool implicit_ql(int64_t n, R* d, R* e, R* z) {
  e[n - 1] = 0;
  R span = 0;
  for (int64_t i = 0; i < n; ++i) {
    span = magnitude(d[i]) > span ? magnitude(d[i]) : span;
    span = magnitude(e[i]) > span ? magnitude(e[i]) : span;
  }
  // What is smaller changes the matrix by less than rounding has.
  const R negligible = span * (sizeof(R) == 4 ? R(1e-9) : R(1e-18));
  for (int64_t l = 0; l < n; ++l)
    for (int iteration = 0;; ++iteration) {
      int64_t m = l;
      for (; m + 1 < n; ++m) {
        const R size = magnitude(d[m]) + magnitude(d[m + 1]);
        if (magnitude(e[m]) + size == size || magnitude(e[m]) < negligible) break;
      }
      if (m == l) break;
      if (iteration == 60) return false;
      R g = (d[l + 1] - d[l]) / (2 * e[l]);
      R r = hypotenuse(g, R(1));
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
      R s = 1, c = 1, p = 0;
      int64_t i = m - 1;
      for (; i >= l; --i) {
        R f = s * e[i];
        const R b = c * e[i];
        r = hypotenuse(f, g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        R *x = z + i * n, *y = x + n;
        for (int64_t k = 0; k < n; ++k) {
          const R t = y[k];
          y[k] = s * x[k] + c * t;
          x[k] = c * x[k] - s * t;
        }
      }
      if (r == 0 && i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  return true;
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

/// How many eigenvalues of the tridiagonal matrix are below each of `batch` many x: Sturm counts of
/// several shifts at once. e2 are the squares of e; tiny keeps pivots from zero.
template <class R>
PAPILIO_INLINE void count_below(int64_t n, const R* d, const R* e2, R tiny, const R* x,
                                int64_t* below) {
  constexpr int L = batch<R>::lanes;
  R q[L];
  for (int s = 0; s < L; ++s) {
    below[s] = 0;
    q[s] = 1;
  }
  for (int64_t i = 0; i < n; ++i) {
    const R coupling = i == 0 ? R(0) : e2[i - 1];
    for (int s = 0; s < L; ++s) {
      R next = d[i] - x[s] - coupling / q[s];
      if (magnitude(next) < tiny) next = -tiny;
      below[s] += next < 0;
      q[s] = next;
    }
  }
}

/// The eigenvalues number 0 .. count-1 in descending order, by sections of several points; number
/// `count` is only bounded from above, to a thousandth of the span.
template <class R>
void largest_eigenvalues(int64_t n, int64_t count, const R* d, const R* e, R* e2, R* values) {
  constexpr int L = batch<R>::lanes;
  R low = d[0], high = d[0], largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const R around = (i > 0 ? magnitude(e[i - 1]) : R(0)) + (i + 1 < n ? magnitude(e[i]) : R(0));
    low = d[i] - around < low ? d[i] - around : low;
    high = d[i] + around > high ? d[i] + around : high;
    e2[i] = i + 1 < n ? e[i] * e[i] : R(0);
    largest = e2[i] > largest ? e2[i] : largest;
  }
  const R span = magnitude(low) > magnitude(high) ? magnitude(low) : magnitude(high);
  const R epsilon = sizeof(R) == 4 ? R(6e-8) : R(1.1e-16);
  // Smaller pivots would overflow in the next division and change nothing else.
  const R tiny = span * epsilon * epsilon + R(1e-37);
  for (int64_t number = 0; number <= count; ++number) {
    const bool exact = number < count;
    const R enough = exact ? 2 * epsilon * span : span / 1000;
    R below = low - span * epsilon - tiny, above = number ? values[number - 1] : high;
    above += span * epsilon + tiny;
    for (int step = 0; step < 64 && above - below > enough; ++step) {
      R x[L];
      int64_t found[L];
      const R width = (above - below) / (L + 1);
      for (int s = 0; s < L; ++s) x[s] = below + width * R(s + 1);
      count_below(n, d, e2, tiny, x, found);
      // Eigenvalue `number` is at least x where at least n - number - 1 ... of them are below.
      R new_below = below, new_above = above;
      for (int s = 0; s < L; ++s) {
        if (n - found[s] > number)
          new_below = x[s];
        else {
          new_above = x[s];
          break;
        }
      }
      below = new_below;
      above = new_above;
    }
    values[number] = exact ? (below + above) / 2 : above;
  }
}

/// z <- solution of (T - x) z = z by Gaussian elimination with row exchanges; work holds 4 n.
template <class R>
void solve_shifted(int64_t n, const R* d, const R* e, R x, R tiny, R* z, R* work) {
  R *u0 = work, *u1 = work + n, *u2 = work + 2 * n;
  R pivot = d[0] - x, next = n > 1 ? e[0] : R(0);
  for (int64_t i = 0; i + 1 < n; ++i) {
    const R lower = e[i], diagonal = d[i + 1] - x, upper = i + 2 < n ? e[i + 1] : R(0);
    if (magnitude(pivot) >= magnitude(lower)) {
      if (magnitude(pivot) < tiny) pivot = tiny;
      const R by = lower / pivot;
      u0[i] = pivot;
      u1[i] = next;
      u2[i] = 0;
      z[i + 1] -= by * z[i];
      pivot = diagonal - by * next;
      next = upper;
    } else {
      const R by = pivot / lower;
      u0[i] = lower;
      u1[i] = diagonal;
      u2[i] = upper;
      const R old = z[i];
      z[i] = z[i + 1];
      z[i + 1] = old - by * z[i];
      pivot = next - by * diagonal;
      next = -by * upper;
    }
  }
  if (magnitude(pivot) < tiny) pivot = tiny;
  z[n - 1] /= pivot;
  for (int64_t i = n - 2; i >= 0; --i)
    z[i] = (z[i] - u1[i] * z[i + 1] - (i + 2 < n ? u2[i] * z[i + 2] : R(0))) / u0[i];
}

/// Orthonormal vectors for the eigenvalues, by inverse iteration; false if one isn't as good as
/// rounding allows: its Rayleigh quotient must be its eigenvalue.
template <class R>
bool inverse_iteration(int64_t n, int64_t count, const R* d, const R* e, const R* values, R* z,
                       R* work) {
  R span = 0;
  for (int64_t i = 0; i < n; ++i) {
    const R size = magnitude(d[i]) + (i + 1 < n ? magnitude(e[i]) : R(0));
    span = size > span ? size : span;
  }
  const R epsilon = sizeof(R) == 4 ? R(6e-8) : R(1.1e-16);
  const R tiny = span * epsilon + R(1e-37);
  uint64_t state = 1;
  for (int64_t number = 0; number < count; ++number) {
    R* x = z + number * n;
    for (int64_t i = 0; i < n; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      x[i] = R(0.5) + static_cast<R>(state >> 40) / R(1 << 24);
    }
    // Equal shifts of a cluster would give equal vectors before they are made orthogonal.
    const R shift = values[number] - tiny * static_cast<R>(number + 1);
    for (int round = 0; round < 3; ++round) {
      solve_shifted(n, d, e, shift, tiny, x, work);
      R biggest = 0;
      for (int64_t i = 0; i < n; ++i)
        biggest = magnitude(x[i]) > biggest ? magnitude(x[i]) : biggest;
      if (!(biggest > 0 && biggest - biggest == 0)) return false;
      for (int64_t i = 0; i < n; ++i) x[i] /= biggest;
      for (int again = 0; again < 2; ++again)
        for (int64_t other = 0; other < number; ++other) {
          const R* y = z + other * n;
          R dot = 0;
          for (int64_t i = 0; i < n; ++i) dot += x[i] * y[i];
          for (int64_t i = 0; i < n; ++i) x[i] -= dot * y[i];
        }
      R norm2 = 0;
      for (int64_t i = 0; i < n; ++i) norm2 += x[i] * x[i];
      if (!(norm2 > 0)) return false;
      const R by = 1 / root(norm2);
      for (int64_t i = 0; i < n; ++i) x[i] *= by;
    }
    R quotient = 0;
    for (int64_t i = 0; i < n; ++i) {
      quotient += d[i] * x[i] * x[i];
      if (i + 1 < n) quotient += 2 * e[i] * x[i] * x[i + 1];
    }
    if (!(magnitude(quotient - values[number]) <= 32 * tiny)) return false;
  }
  return true;
}

template <class A>
bool hermitian(int64_t n, int64_t count, void* matrix, void* out_values, void* out_vectors,
               void* work) {
  typedef typename A::element element;
  typedef typename A::scalar R;
  element* g = static_cast<element*>(matrix);
  R* values = static_cast<R*>(out_values);
  element* vectors = static_cast<element*>(out_vectors);
  element* phase = static_cast<element*>(work);
  element *v = phase + n, *w = v + n;  // w takes 2 n
  R* d = reinterpret_cast<R*>(w + 2 * n);
  R *e = d + n, *beta = e + n;
  R* z = reinterpret_cast<R*>(phase + 8 * n);
  tridiagonalize<A>(n, g, d, e, beta, phase, v, w);
  const int64_t wanted = count < n ? count + 1 : n;
  R* free_now = reinterpret_cast<R*>(v);
  bool found = false;
  if (n > 24 && 4 * count < n) {
    largest_eigenvalues(n, count, d, e, free_now, values);
    found = inverse_iteration(n, count, d, e, values, z, free_now);
  }
  if (!found) {
    for (int64_t i = 0; i < n * n; ++i) z[i] = 0;
    for (int64_t i = 0; i < n; ++i) z[i * n + i] = 1;
    if (!implicit_ql(n, d, e, z)) return false;
    for (int64_t number = 0; number < wanted; ++number) {
      int64_t best = number;
      for (int64_t i = number + 1; i < n; ++i)
        if (d[i] > d[best]) best = i;
      values[number] = d[best];
      if (best == number) continue;
      d[best] = d[number];
      for (int64_t i = 0; i < n; ++i) {
        const R t = z[best * n + i];
        z[best * n + i] = z[number * n + i];
        z[number * n + i] = t;
      }
    }
  }
  for (int64_t number = 0; number < count; ++number) {
    element* x = vectors + number * n;
    for (int64_t i = 0; i < n; ++i) x[i] = scaled(phase[i], z[number * n + i]);
    for (int64_t k = n - 2; k >= 0; --k) {
      if (beta[k] == 0) continue;
      const element* conj_v = g + k * n + k + 1;
      element* rest = x + k + 1;
      const element by = scaled(product_of<A>(conj_v, rest, n - k - 1), -beta[k]);
      for (int64_t j = 0; j < n - k - 1; ++j)
        rest[j] = plus(rest[j], times(by, conjugate(conj_v[j])));
    }
  }
  return true;
}

template <class A>
constexpr BlockKernels kernels_of() {
  return {A::lanes, cross<A>, residual<A>, hermitian<A>};
}

constexpr BlockTable table = {{kernels_of<Real<float>>(), kernels_of<Real<double>>(),
                               kernels_of<Complex<float>>(), kernels_of<Complex<double>>()}};

}  // namespace

const BlockTable& PAPILIO_JOIN(block_table_, PAPILIO_ISA_NAME)();
const BlockTable& PAPILIO_JOIN(block_table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
