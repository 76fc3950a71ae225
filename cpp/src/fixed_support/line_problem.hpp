// The least squares problem of one row of X, or one column of Y, with the others fixed.
#pragma once

#include <cmath>
#include <limits>

#include "factorize/block_svd.hpp"
#include "fixed_support/index_sets.hpp"
#include "fixed_support/norm.hpp"

namespace papilio {

/// Some sums side by side, so that the additions don't wait for each other; their order is fixed.
constexpr Index lanes = 8;

/// sum conj(a[n]) b[n]
inline double inner_product(const double* a, const double* b, Index size) {
  double sums[lanes] = {};
  Index n = 0;
  for (; n + lanes <= size; n += lanes)
    for (Index lane = 0; lane < lanes; ++lane) sums[lane] += a[n + lane] * b[n + lane];
  for (; n < size; ++n) sums[0] += a[n] * b[n];
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

inline std::complex<double> inner_product(const std::complex<double>* a,
                                          const std::complex<double>* b, Index size) {
  double real[lanes] = {}, imaginary[lanes] = {};
  for (Index n = 0; n < size; ++n) {
    const Index lane = n % lanes;
    real[lane] += a[n].real() * b[n].real() + a[n].imag() * b[n].imag();
    imaginary[lane] += a[n].real() * b[n].imag() - a[n].imag() * b[n].real();
  }
  double re = 0, im = 0;
  for (Index lane = 0; lane < lanes; ++lane) {
    re += real[lane];
    im += imaginary[lane];
  }
  return {re, im};
}

inline double times(double a, double b) { return a * b; }
/// Without the special cases of infinities, which std::complex looks for each time.
inline std::complex<double> times(std::complex<double> a, std::complex<double> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

inline double real_part(double x) { return x; }
inline double real_part(std::complex<double> x) { return x.real(); }

/// X or Y. A line is a row of X or a column of Y; its unknowns are the inner indices there.
struct Side {
  IndexSetsView by_index;           // the lines of each inner index, in the order of the values
  IndexSets by_line;                // the inner indices of each line
  std::vector<std::int64_t> value;  // where the value of each of them stands
  IndexSets observed;               // the lines of the other side that each line is observed with
  std::vector<std::int64_t> entry;  // where the observed number of each of them stands
  std::vector<double> cost;         // of an update, summed up over the lines before
  Index lines() const { return by_line.size(); }

  Side(const IndexSetsView& supports, Index count) : by_index(supports) {
    by_line = transposed(supports, count, &value);
  }

  void add_costs() {
    cost.assign(1, 0.0);
    for (Index line = 0; line < lines(); ++line) {
      const double unknowns = static_cast<double>(by_line[line].size()),
                   seen = static_cast<double>(observed[line].size());
      cost.push_back(cost.back() + 20 + unknowns * unknowns * (unknowns + 2 * seen) / 4 +
                     4 * unknowns * seen);
    }
  }
};

/// The least squares problem of one line: residual ~ update * matrix.
template <class T>
class LineWorker {
 public:
  /// `lines`: of the larger side.
  explicit LineWorker(Index lines) : position_(at(lines), -1) {}

  void load(const Side& own, const Side& other, Index line, const T* values, const T* own_values,
            const T* other_values, Pulse& pulse) {
    const IndexSpan seen = own.observed[line];
    unknowns_ = own.by_line[line];
    size_ = seen.size();
    where_ = own.value.data() + own.by_line.start[at(line)];
    const std::int64_t* entry = own.entry.data() + own.observed.start[at(line)];
    residual.resize(at(size_));
    for (Index n = 0; n < size_; ++n) {
      position_[at(seen[n])] = static_cast<std::int32_t>(n);
      residual[at(n)] = values[entry[n]];
    }
    matrix_.assign(at(unknowns_.size() * size_), T(0));
    for (Index k = 0; k < unknowns_.size(); ++k) {
      const std::int32_t i = unknowns_[k];
      const T* value = other_values + other.by_index.start[i];
      pulse(other.by_index[i].size() + size_);
      for (std::int32_t across : other.by_index[i]) {
        const std::int32_t n = position_[at(across)];
        if (n >= 0) row(k)[n] = *value;
        ++value;
      }
      subtract(own_values[where_[k]], row(k));
    }
    for (std::int32_t across : seen) position_[at(across)] = -1;
  }

  /// Minimizes |residual - update * matrix|^2 + ridge |x + update|^2 + damping |update|^2 and adds
  /// the update to x. Working with the residual, the normal equations lose no more digits the
  /// closer x is to the solution; the damping makes them definite and never lets the error grow.
  void update(T* own_values, double ridge, Pulse& pulse) {
    const Index count = unknowns_.size();
    normal_.resize(at(count * count));
    update_.resize(at(count));
    double trace = 0;
    for (Index k = 0; k < count; ++k) {
      pulse((k + 1) * size_);
      for (Index l = 0; l <= k; ++l)
        normal_[at(k * count + l)] = inner_product(row(k), row(l), size_);
      update_[at(k)] =
          inner_product(row(k), residual.data(), size_) - ridge * own_values[where_[k]];
      trace += real_part(normal_[at(k * count + k)]);
    }
    const double damping = trace / static_cast<double>(std::max<Index>(count, 1)) * 1e-13;
    solve(ridge + damping, pulse);
    for (Index k = 0; k < count; ++k) {
      own_values[where_[k]] += update_[at(k)];
      subtract(update_[at(k)], row(k));
    }
  }

  void gradient(const T* own_values, double ridge, T* out) const {
    for (Index k = 0; k < unknowns_.size(); ++k)
      out[where_[k]] =
          2.0 * (ridge * own_values[where_[k]] - inner_product(row(k), residual.data(), size_));
  }

  double squared_residual() const {
    double sum = 0;
    for (const T& x : residual) sum += squared(x);
    return sum;
  }

  std::vector<T> residual;

 private:
  T* row(Index k) { return matrix_.data() + k * size_; }
  const T* row(Index k) const { return matrix_.data() + k * size_; }

  void subtract(T factor, const T* line) {
    for (Index n = 0; n < size_; ++n) residual[at(n)] -= times(factor, line[n]);
  }

  /// update = (normal + shift)^-1 update by Cholesky's method; unknowns whose pivot vanishes stay.
  void solve(double shift, Pulse& pulse) {
    const Index count = unknowns_.size();
    for (Index k = 0; k < count; ++k) {
      T* line = &normal_[at(k * count)];
      pulse((k + 1) * (k + 1) / 2);
      for (Index l = 0; l < k; ++l) {
        const T* before = &normal_[at(l * count)];
        line[l] = before[l] == T(0) ? T(0) : (line[l] - inner_product(before, line, l)) / before[l];
      }
      double pivot = real_part(line[k]) + shift;
      const double start = pivot;
      for (Index l = 0; l < k; ++l) pivot -= squared(line[l]);
      line[k] = pivot > start * 1e-15 ? T(std::sqrt(pivot)) : T(0);
    }
    for (Index k = 0; k < count; ++k) {
      const T* line = &normal_[at(k * count)];
      T sum = update_[at(k)];
      for (Index l = 0; l < k; ++l) sum -= times(line[l], update_[at(l)]);
      update_[at(k)] = line[k] == T(0) ? T(0) : sum / line[k];
    }
    for (Index k = count; k-- > 0;) {
      T sum = update_[at(k)];
      for (Index l = k + 1; l < count; ++l)
        sum -= times(conjugate(normal_[at(l * count + k)]), update_[at(l)]);
      const T pivot = normal_[at(k * count + k)];
      update_[at(k)] = pivot == T(0) ? T(0) : sum / pivot;
    }
  }

  IndexSpan unknowns_{};
  Index size_ = 0;
  const std::int64_t* where_ = nullptr;
  std::vector<T> matrix_, normal_, update_;
  std::vector<std::int32_t> position_;
};

template <class T>
double squared_norm(const T* values, Index size) {
  double sum = 0;
  for (Index n = 0; n < size; ++n) sum += squared(values[n]);
  return sum;
}

}  // namespace papilio
