// A row interpolative decomposition of one block after the other.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

template <class T>
constexpr bool has_imaginary_parts = false;
template <class R>
constexpr bool has_imaginary_parts<std::complex<R>> = true;

/// One block at a time; one object per thread. The block is held transposed, so that the kernel's
/// lanes run along its rows: sample s of row i is at s * columns_ + i.
template <class T>
class Interpolator {
 public:
  static constexpr Index widest = 8;  // a multiple of the doubles in any SIMD vector

  Interpolator(Index rows, Index cols, Index rank)
      : rows_(rows),
        cols_(cols),
        rank_(rank),
        columns_((rows + widest - 1) / widest * widest),
        deflate_(kernels::kernels_for(has_imaginary_parts<T> ? DType::complex128 : DType::float64)
                     .deflate),
        re_(cols * columns_),
        im_(has_imaginary_parts<T> ? cols * columns_ : 0),
        q_re_(cols),
        q_im_(cols),
        c_re_(rank * columns_),
        c_im_(has_imaginary_parts<T> ? rank * columns_ : 0),
        norms_(columns_),
        pivoted_(rows) {}

  /// fill(sample, rows, re, im) writes the entries of a column of the block, as many as there are
  /// rows, rounded up to a multiple of `widest`.
  template <class Fill>
  void run(const Fill& fill, const double* scales, Index* pivots, T* weights, double* residuals) {
    load(fill, scales);
    const Index found = choose_pivots(pivots, residuals);
    solve(pivots, found);
    for (Index i = 0; i < rows_; ++i)
      for (Index k = 0; k < rank_; ++k) {
        const Index at = k * columns_ + i;
        if constexpr (has_imaginary_parts<T>)
          weights[i * rank_ + k] = T(c_re_[at], c_im_[at]);
        else
          weights[i * rank_ + k] = static_cast<T>(c_re_[at]);
      }
  }

 private:
  static constexpr double rounding = 1e-31;  // of squared norms

  template <class Fill>
  void load(const Fill& fill, const double* scales) {
    std::fill(norms_.begin(), norms_.end(), 0.0);
    for (Index s = 0; s < cols_; ++s) {
      const double scale = scales ? scales[s] : 1.0;
      double* x = re_.data() + s * columns_;
      double* y = has_imaginary_parts<T> ? im_.data() + s * columns_ : nullptr;
      fill(s, rows_, x, y);
      std::fill(x + rows_, x + columns_, 0.0);
      if (has_imaginary_parts<T>) std::fill(y + rows_, y + columns_, 0.0);
      double* norms = norms_.data();
      for (Index i = 0; i < columns_; ++i) {
        x[i] *= scale;
        double square = x[i] * x[i];
        if (has_imaginary_parts<T>) {
          y[i] *= scale;
          square += y[i] * y[i];
        }
        norms[i] += square;
      }
    }
  }

  /// Fills pivots, residuals and the coefficients c of all rows along the orthonormal pivots; the
  /// number of pivots before nothing was left.
  Index choose_pivots(Index* pivots, double* residuals) {
    std::fill(pivoted_.begin(), pivoted_.end(), char(0));
    Index found = 0;
    double negligible = 0;
    for (;; ++found) {
      double left = 0, largest = 0;
      Index pivot = 0;
      for (Index i = 0; i < rows_; ++i) {
        if (pivoted_[i]) continue;
        left += norms_[i];
        if (norms_[i] > largest) {
          largest = norms_[i];
          pivot = i;
        }
      }
      residuals[found] = left;
      if (found == 0) negligible = rounding * largest;
      if (found == rank_ || largest <= negligible || !std::isfinite(left)) break;
      if (large_) poll_interruption();
      const double scale = 1 / std::sqrt(largest);
      for (Index s = 0; s < cols_; ++s) {
        q_re_[s] = re_[s * columns_ + pivot] * scale;
        if (has_imaginary_parts<T>) q_im_[s] = im_[s * columns_ + pivot] * scale;
      }
      const Index at = found * columns_;
      deflate_({re_.data(), im_.data(), cols_, columns_, q_re_.data(), q_im_.data(),
                c_re_.data() + at, has_imaginary_parts<T> ? c_im_.data() + at : nullptr,
                norms_.data()});
      pivots[found] = pivot;
      pivoted_[pivot] = 1;
    }
    Index next = 0;
    for (Index k = found; k < rank_; ++k) {
      while (pivoted_[next]) ++next;
      pivots[k] = next;
      pivoted_[next] = 1;
      residuals[k + 1] = residuals[found];
      std::fill_n(c_re_.data() + k * columns_, columns_, 0.0);
      if (has_imaginary_parts<T>) std::fill_n(c_im_.data() + k * columns_, columns_, 0.0);
    }
    return found;
  }

  /// c <- c (c[pivots])^-1, a triangular solve from the right.
  void solve(const Index* pivots, Index found) {
    for (Index k = found; k-- > 0;) {
      if (large_) poll_interruption();
      double* x = c_re_.data() + k * columns_;
      double* y = has_imaginary_parts<T> ? c_im_.data() + k * columns_ : nullptr;
      for (Index later = k + 1; later < found; ++later) {
        // x still holds the triangle's entries where the pivots' rows are not yet overwritten.
        const double a = x[pivots[later]], b = has_imaginary_parts<T> ? y[pivots[later]] : 0.0;
        const double* u = c_re_.data() + later * columns_;
        const double* v = has_imaginary_parts<T> ? c_im_.data() + later * columns_ : nullptr;
        subtract(a, b, u, v, x, y);
      }
      divide(x, y, x[pivots[k]], has_imaginary_parts<T> ? y[pivots[k]] : 0.0);
      for (Index other = 0; other < found; ++other) {
        x[pivots[other]] = other == k;
        if (has_imaginary_parts<T>) y[pivots[other]] = 0;
      }
    }
    // Rows that only fill up the pivots stand for themselves.
    for (Index k = 0; k < rank_; ++k)
      for (Index other = k < found ? found : 0; other < rank_; ++other) {
        c_re_[k * columns_ + pivots[other]] = other == k;
        if (has_imaginary_parts<T>) c_im_[k * columns_ + pivots[other]] = 0;
      }
  }

  /// (x, y) -= (a, b) (u, v), real and imaginary parts.
  void subtract(double a, double b, const double* u, const double* v, double* x, double* y) const {
    for (Index i = 0; i < columns_; ++i) {
      x[i] -= a * u[i];
      if (has_imaginary_parts<T>) {
        x[i] += b * v[i];
        y[i] -= a * v[i] + b * u[i];
      }
    }
  }

  /// (x, y) /= (a, b).
  void divide(double* x, double* y, double a, double b) const {
    const double size = a * a + b * b, re = a / size, im = -b / size;
    for (Index i = 0; i < columns_; ++i) {
      const double old = x[i];
      x[i] = old * re - (has_imaginary_parts<T> ? y[i] * im : 0.0);
      if (has_imaginary_parts<T>) y[i] = old * im + y[i] * re;
    }
  }

  Index rows_, cols_, rank_, columns_;
  bool large_ = rows_ * cols_ > 10000;  // a step takes longer than asking for an interruption
  kernels::DeflateKernel deflate_;
  std::vector<double> re_, im_, q_re_, q_im_, c_re_, c_im_, norms_;
  std::vector<char> pivoted_;
};

}  // namespace papilio
