// Eigenvalues and eigenvectors of a real symmetric tridiagonal matrix.
// Included by block_kernels.cpp only, once per instruction set.
#pragma once

#include "kernels/block_arithmetic.hpp"

namespace papilio {
namespace kernels {
namespace {

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

}  // namespace
}  // namespace kernels
}  // namespace papilio
