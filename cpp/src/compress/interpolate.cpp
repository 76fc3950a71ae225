#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "kernels/dispatch.hpp"
#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

template <class T>
constexpr bool is_complex = false;
template <class R>
constexpr bool is_complex<std::complex<R>> = true;

/// One block at a time; one object per thread. The block is held transposed, so that the kernel's
/// lanes run along its rows: sample s of row i is at s * columns_ + i.
template <class T>
class Interpolator {
 public:
  Interpolator(Index rows, Index cols, Index rank)
      : rows_(rows),
        cols_(cols),
        rank_(rank),
        columns_((rows + widest - 1) / widest * widest),
        deflate_(kernels::kernels_for(is_complex<T> ? DType::complex128 : DType::float64).deflate),
        re_(cols * columns_),
        im_(is_complex<T> ? cols * columns_ : 0),
        q_re_(cols),
        q_im_(cols),
        c_re_(rank * columns_),
        c_im_(is_complex<T> ? rank * columns_ : 0),
        norms_(columns_),
        pivoted_(rows) {}

  void run(const T* block, const double* scales, Index* pivots, T* weights, double* residuals) {
    load(block, scales);
    const Index found = choose_pivots(pivots, residuals);
    solve(pivots, found);
    for (Index i = 0; i < rows_; ++i)
      for (Index k = 0; k < rank_; ++k) {
        const Index at = k * columns_ + i;
        if constexpr (is_complex<T>)
          weights[i * rank_ + k] = T(c_re_[at], c_im_[at]);
        else
          weights[i * rank_ + k] = static_cast<T>(c_re_[at]);
      }
  }

 private:
  static constexpr Index widest = 8;         // a multiple of the doubles in any SIMD vector
  static constexpr double rounding = 1e-31;  // of squared norms

  void load(const T* block, const double* scales) {
    std::fill(re_.begin(), re_.end(), 0.0);
    std::fill(im_.begin(), im_.end(), 0.0);
    std::fill(norms_.begin(), norms_.end(), 0.0);
    for (Index i = 0; i < rows_; ++i)
      for (Index s = 0; s < cols_; ++s) {
        const double scale = scales ? scales[s] : 1.0;
        const double x = std::real(block[i * cols_ + s]) * scale;
        const double y = std::imag(block[i * cols_ + s]) * scale;
        re_[s * columns_ + i] = x;
        if (is_complex<T>) im_[s * columns_ + i] = y;
        norms_[i] += x * x + y * y;
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
        if (is_complex<T>) q_im_[s] = im_[s * columns_ + pivot] * scale;
      }
      const Index at = found * columns_;
      deflate_({re_.data(), im_.data(), cols_, columns_, q_re_.data(), q_im_.data(),
                c_re_.data() + at, is_complex<T> ? c_im_.data() + at : nullptr, norms_.data()});
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
      if (is_complex<T>) std::fill_n(c_im_.data() + k * columns_, columns_, 0.0);
    }
    return found;
  }

  /// c <- c (c[pivots])^-1, a triangular solve from the right.
  void solve(const Index* pivots, Index found) {
    for (Index k = found; k-- > 0;) {
      if (large_) poll_interruption();
      double* x = c_re_.data() + k * columns_;
      double* y = is_complex<T> ? c_im_.data() + k * columns_ : nullptr;
      for (Index later = k + 1; later < found; ++later) {
        // x still holds the triangle's entries where the pivots' rows are not yet overwritten.
        const double a = x[pivots[later]], b = is_complex<T> ? y[pivots[later]] : 0.0;
        const double* u = c_re_.data() + later * columns_;
        const double* v = is_complex<T> ? c_im_.data() + later * columns_ : nullptr;
        subtract(a, b, u, v, x, y);
      }
      divide(x, y, x[pivots[k]], is_complex<T> ? y[pivots[k]] : 0.0);
      for (Index other = 0; other < found; ++other) {
        x[pivots[other]] = other == k;
        if (is_complex<T>) y[pivots[other]] = 0;
      }
    }
    for (Index k = 0; k < rank_; ++k)
      for (Index other = k < found ? found : 0; other < rank_; ++other) {
        c_re_[k * columns_ + pivots[other]] = other == k;
        if (is_complex<T>) c_im_[k * columns_ + pivots[other]] = 0;
      }
  }

  /// (x, y) -= (a, b) (u, v), real and imaginary parts.
  void subtract(double a, double b, const double* u, const double* v, double* x, double* y) const {
    for (Index i = 0; i < columns_; ++i) {
      x[i] -= a * u[i];
      if (is_complex<T>) {
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
      x[i] = old * re - (is_complex<T> ? y[i] * im : 0.0);
      if (is_complex<T>) y[i] = old * im + y[i] * re;
    }
  }

  Index rows_, cols_, rank_, columns_;
  bool large_ = rows_ * cols_ > 10000;  // a step takes longer than asking for an interruption
  kernels::DeflateKernel deflate_;
  std::vector<double> re_, im_, q_re_, q_im_, c_re_, c_im_, norms_;
  std::vector<char> pivoted_;
};

}  // namespace

void interpolate(const Blocks& blocks, const double* scales, Index rank, Index* pivots,
                 void* weights, double* residuals) {
  const Index rows = blocks.rows, cols = blocks.cols;
  visit(blocks.dtype, [&](auto tag) {
    using T = decltype(tag);
    const double work = static_cast<double>(rows) * cols * rank;
    in_shares(blocks.count, work, [&](Index begin, Index end) {
      Interpolator<T> interpolator(rows, cols, rank);
      for (Index n = begin; n < end; ++n) {
        poll_interruption();
        interpolator.run(static_cast<const T*>(blocks.values) + n * rows * cols,
                         scales ? scales + n * cols : nullptr, pivots + n * rank,
                         static_cast<T*>(weights) + n * rows * rank, residuals + n * (rank + 1));
      }
    });
  });
}

}  // namespace papilio
