// A row interpolative decomposition of one block after the other.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

template <class T>
constexpr bool has_imaginary_parts = false;
template <class R>
constexpr bool has_imaginary_parts<std::complex<R>> = true;

/// One block at a time; one object per thread. The block is held transposed, so that the kernel's
/// lanes run along its rows: sample s of the row at p is at s * columns_ + p. Rows that are chosen
/// go to the end, the k-th one to rows_ - 1 - k: what is left to work on lies together.
template <class T>
class Interpolator {
 public:
  static constexpr Index widest = 8;  // a multiple of the doubles in any SIMD vector

  Interpolator(Index rows, Index cols, Index rank)
      : rows_(rows),
        cols_(cols),
        rank_(rank),
        columns_(rounded_up(rows)),
        kernels_(kernels::kernels_for(is_complex ? DType::complex128 : DType::float64)),
        re_(cols * columns_),
        im_(is_complex ? cols * columns_ : 0),
        q_re_(std::max(cols, rank)),
        q_im_(q_re_.size()),
        c_re_(rank * columns_),
        c_im_(is_complex ? rank * columns_ : 0),
        norms_(columns_),
        row_at_(rows) {}

  /// fill(sample, rows, re, im) writes the entries of a column of the block, as many as there are
  /// rows, rounded up to a multiple of `widest`.
  template <class Fill>
  void run(const Fill& fill, const double* scales, Index* pivots, T* weights, double* residuals) {
    load(fill, scales);
    const Index found = choose_pivots(residuals);
    solve(found);
    std::fill_n(weights, rows_ * rank_, T(0));
    for (Index k = 0; k < rank_; ++k) {
      pivots[k] = row_at_[rows_ - 1 - k];
      weights[pivots[k] * rank_ + k] = T(1);
    }
    for (Index p = 0; p < left_; ++p)
      for (Index k = 0; k < found; ++k) {
        T& weight = weights[row_at_[p] * rank_ + k];
        if constexpr (is_complex)
          weight = T(c_re_[k * columns_ + p], c_im_[k * columns_ + p]);
        else
          weight = static_cast<T>(c_re_[k * columns_ + p]);
      }
  }

 private:
  static constexpr bool is_complex = has_imaginary_parts<T>;
  static constexpr double rounding = 1e-31;  // of squared norms

  static Index rounded_up(Index rows) { return (rows + widest - 1) / widest * widest; }

  template <class Fill>
  void load(const Fill& fill, const double* scales) {
    std::fill(norms_.begin(), norms_.end(), 0.0);
    for (Index s = 0; s < cols_; ++s) {
      const double scale = scales ? scales[s] : 1.0;
      double* x = re_.data() + s * columns_;
      double* y = is_complex ? im_.data() + s * columns_ : nullptr;
      fill(s, rows_, x, y);
      std::fill(x + rows_, x + columns_, 0.0);
      if (is_complex) std::fill(y + rows_, y + columns_, 0.0);
      double* norms = norms_.data();
      for (Index i = 0; i < columns_; ++i) {
        x[i] *= scale;
        double square = x[i] * x[i];
        if (is_complex) {
          y[i] *= scale;
          square += y[i] * y[i];
        }
        norms[i] += square;
      }
    }
    std::iota(row_at_.begin(), row_at_.end(), Index(0));
    left_ = rows_;
  }

  /// Chooses rank_ rows; fills residuals and the coefficients c of the others, and of those chosen
  /// later, along the orthonormal ones. The number of them before nothing was left.
  Index choose_pivots(double* residuals) {
    Index found = 0;
    double negligible = 0;
    for (;; ++found) {
      const auto [left, largest] = sum_and_largest();
      residuals[found] = left;
      if (found == 0) negligible = rounding * largest;
      if (found == rank_ || !(largest > negligible) || !std::isfinite(left)) break;
      if (large_) poll_interruption();
      const double norm = std::sqrt(largest);
      choose(first_of(largest), 1 / norm, found);
      deflate(found);
      c_re_[found * columns_ + left_] = norm;
      if (is_complex) c_im_[found * columns_ + left_] = 0;
    }
    for (Index k = found; k < rank_; ++k) {
      residuals[k + 1] = residuals[found];
      // Nothing is left: any rows do, here the first ones.
      choose(std::min_element(row_at_.begin(), row_at_.begin() + left_) - row_at_.begin(), 0,
             found);
    }
    return found;
  }

  /// Of the squared norms that are left, in lanes that the compiler makes SIMD vectors of: one
  /// after the other, sums wait for each other. NaN isn't the largest, but in the sum.
  std::pair<double, double> sum_and_largest() const {
    double sums[widest] = {}, most[widest] = {};
    const double* norms = norms_.data();
    Index p = 0;
    for (; p + widest <= left_; p += widest)
      for (Index n = 0; n < widest; ++n) {
        const double norm = norms[p + n];
        sums[n] += norm;
        most[n] = norm > most[n] ? norm : most[n];
      }
    double sum = 0, largest = 0;
    for (Index n = 0; n < widest; ++n) {
      sum += sums[n];
      largest = std::max(largest, most[n]);
    }
    for (; p < left_; ++p) {
      sum += norms[p];
      if (norms[p] > largest) largest = norms[p];
    }
    return {sum, largest};
  }

  /// Where a squared norm is; of equal ones, that of the first row.
  Index first_of(double norm) const {
    Index found = -1;
    for (Index p = 0; p < left_; ++p)
      if (norms_[p] == norm && (found < 0 || row_at_[p] < row_at_[found])) found = p;
    return found;
  }

  /// Takes the row at `p` as q, times `scale`, and puts the last one that is left in its place.
  void choose(Index p, double scale, Index found) {
    --left_;
    const auto take = [&](std::vector<double>& values, std::vector<double>& q) {
      for (Index s = 0; s < cols_; ++s) {
        double* sample = values.data() + s * columns_;
        q[s] = sample[p] * scale;
        sample[p] = sample[left_];
      }
    };
    take(re_, q_re_);
    if (is_complex) take(im_, q_im_);
    norms_[p] = norms_[left_];
    std::swap(row_at_[p], row_at_[left_]);
    for (Index k = 0; k < found; ++k) {
      std::swap(c_re_[k * columns_ + p], c_re_[k * columns_ + left_]);
      if (is_complex) std::swap(c_im_[k * columns_ + p], c_im_[k * columns_ + left_]);
    }
  }

  void deflate(Index found) {
    const Index at = found * columns_;
    kernels_.deflate({re_.data(), im_.data(), cols_, rounded_up(left_), columns_, q_re_.data(),
                      q_im_.data(), c_re_.data() + at, is_complex ? c_im_.data() + at : nullptr,
                      norms_.data()});
  }

  /// c <- c (c of the chosen rows)^-1 for the rows that are left: a triangular solve from the
  /// right.
  void solve(Index found) {
    for (Index k = found; k-- > 0;) {
      if (large_) poll_interruption();
      double* x = c_re_.data() + k * columns_;
      double* y = is_complex ? c_im_.data() + k * columns_ : nullptr;
      const Index own = rows_ - 1 - k, later = found - 1 - k, next = (k + 1) * columns_;
      const double re = x[own], im = is_complex ? y[own] : 0.0;
      for (Index n = 0; n < later; ++n) {
        q_re_[n] = x[own - 1 - n];
        if (is_complex) q_im_[n] = -y[own - 1 - n];
      }
      if (later > 0)
        kernels_.reduce({c_re_.data() + next, is_complex ? c_im_.data() + next : nullptr, later,
                         rounded_up(left_), columns_, q_re_.data(), q_im_.data(), x, y, nullptr});
      divide(x, y, re, im);
    }
  }

  /// (x, y) /= (a, b).
  void divide(double* x, double* y, double a, double b) const {
    const double size = a * a + b * b, re = a / size, im = -b / size;
    for (Index p = 0; p < left_; ++p) {
      const double old = x[p];
      x[p] = old * re - (is_complex ? y[p] * im : 0.0);
      if (is_complex) y[p] = old * im + y[p] * re;
    }
  }

  Index rows_, cols_, rank_, columns_;
  Index left_ = 0;                      // rows that are not chosen
  bool large_ = rows_ * cols_ > 10000;  // a step takes longer than asking for an interruption
  const kernels::Kernels& kernels_;
  std::vector<double> re_, im_, q_re_, q_im_, c_re_, c_im_, norms_;
  std::vector<Index> row_at_;
};

}  // namespace papilio
