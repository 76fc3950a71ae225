// The matrix to factorize as the first cut reads it: in place, or some rows at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "factorize/block_svd.hpp"
#include "factorize/interface.hpp"
#include "papilio/factorize.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

/// A matrix behind a MatrixView, permuted and times a power of two (so that squares neither
/// overflow nor vanish). Rows of a matrix that is read by its reader must be loaded before use.
template <class T>
class Matrix {
 public:
  explicit Matrix(const MatrixView& view) : view_(view), data_(static_cast<const T*>(view.data)) {}

  Index rows() const { return view_.rows; }
  Index cols() const { return view_.cols; }
  int exponent() const { return exponent_; }
  bool in_memory() const { return !view_.read; }
  /// Whether blocks can be used where they are.
  bool is_plain() const {
    return in_memory() && view_.row_index.empty() && view_.col_index.empty() && exponent_ == 0;
  }
  /// Whether rows are contiguous, and don't share memory.
  bool has_separate_rows() const {
    return view_.col_stride == 1 && std::abs(view_.row_stride) >= view_.cols;
  }
  /// The matrix itself, for a caller who may write into it.
  T* writable() const { return const_cast<T*>(data_); }

  /// Makes these rows (of what is factorized) available; their order is how row() counts them.
  void load(const std::vector<Index>& rows) {
    loaded_.resize(rows.size() * static_cast<std::size_t>(view_.cols));
    for (std::size_t n = 0; n < rows.size();) {
      const Index first = source_row(rows[n]);
      std::size_t count = 1;
      while (n + count < rows.size() &&
             source_row(rows[n + count]) == first + static_cast<Index>(count))
        ++count;
      view_.read(first, static_cast<Index>(count),
                 loaded_.data() + n * static_cast<std::size_t>(view_.cols));
      n += count;
    }
  }

  /// A row in memory: of a plain matrix by its number, else by its place among those loaded.
  Strided<const T> row(Index number) const {
    if (!in_memory()) return {loaded_.data() + number * view_.cols, view_.cols, 1};
    return {data_ + source_row(number) * view_.row_stride, view_.row_stride, view_.col_stride};
  }

  /// The block of entries (at.row + j*at.row_step, at.col + k*at.col_step), in place.
  Strided<const T> in_place(const Interface::MatrixPosition& at) const {
    return {data_ + at.row * view_.row_stride + at.col * view_.col_stride,
            at.row_step * view_.row_stride, at.col_step * view_.col_stride};
  }

  /// A copy of such a block, row by row. `lines` is work memory.
  void copy_block(const Interface::MatrixPosition& at, Index rows, Index cols, T* block,
                  std::vector<const T*>& lines) const {
    const Real<T> scale = static_cast<Real<T>>(std::ldexp(1.0, exponent_));
    const Index step = in_memory() ? view_.col_stride : 1;
    lines.clear();
    for (Index j = 0; j < rows; ++j) lines.push_back(row(at.row + j * at.row_step).data);
    const auto offset = [&](Index k) { return source_col(at.col + k * at.col_step) * step; };
    if (in_memory() && std::abs(view_.row_stride) < std::abs(step)) {
      for (Index k = 0; k < cols; ++k) {
        const Index here = offset(k);
        for (Index j = 0; j < rows; ++j)
          block[j * cols + k] = lines[static_cast<std::size_t>(j)][here] * scale;
      }
    } else {
      for (Index j = 0; j < rows; ++j) {
        const T* line = lines[static_cast<std::size_t>(j)];
        for (Index k = 0; k < cols; ++k) block[j * cols + k] = line[offset(k)] * scale;
      }
    }
  }

  T operator()(Index row_number, Index col) const {
    return row(row_number)(0, source_col(col)) * static_cast<Real<T>>(std::ldexp(1.0, exponent_));
  }

  /// Calls visit(row number, place for row()) for all rows, some loaded at a time.
  template <class Visit>
  void for_rows(Index from, Index to, Visit visit) {
    constexpr Index at_a_time = 64;
    for (Index begin = from; begin < to; begin += at_a_time) {
      const Index end = std::min(begin + at_a_time, to);
      std::vector<Index> numbers;
      for (Index n = begin; n < end; ++n) numbers.push_back(n);
      if (!in_memory()) load(numbers);
      for (Index n = begin; n < end; ++n) {
        poll_interruption();
        visit(n, in_memory() ? n : n - begin);
      }
    }
  }

  /// Whether scale() was called.
  bool is_scaled() const { return scaled_; }

  /// Finds the power of two that brings the largest entry near 1, if its square isn't safe as it
  /// is; throws std::invalid_argument with the place of the first NaN or infinity.
  void scale() {
    double most = 0;
    exponent_ = 0;
    scaled_ = true;
    // In the order of the data, so that the place named is the first.
    std::vector<Index> back(static_cast<std::size_t>(view_.rows));
    for (Index n = 0; n < view_.rows; ++n) back[static_cast<std::size_t>(source_row(n))] = n;
    for (Index n = 0; n < view_.rows; ++n) {
      const Index number = back[static_cast<std::size_t>(n)];
      for_rows(number, number + 1, [&](Index, Index place) {
        const Strided<const T> source = row(place);
        for (Index col = 0; col < view_.cols; ++col) {
          const double size = largest_part(source(0, col));
          if (!std::isfinite(size))
            throw std::invalid_argument(std::string("A has ") + (std::isnan(size) ? "nan" : "inf") +
                                        " at row " + std::to_string(n) + ", column " +
                                        std::to_string(col) + ", expected finite numbers");
          most = std::max(most, size);
        }
      });
    }
    if (most > 0) std::frexp(most, &exponent_);
    constexpr int most_exponent = std::numeric_limits<Real<T>>::max_exponent;
    if (std::abs(exponent_) < most_exponent / 4) exponent_ = 0;
    exponent_ = std::clamp(-exponent_, 8 - most_exponent, most_exponent - 8);
  }

 private:
  Index source_row(Index row) const {
    return view_.row_index.empty() ? row : view_.row_index[static_cast<std::size_t>(row)];
  }
  Index source_col(Index col) const {
    return view_.col_index.empty() ? col : view_.col_index[static_cast<std::size_t>(col)];
  }

  const MatrixView& view_;
  const T* data_;
  std::vector<T> loaded_;
  int exponent_ = 0;
  bool scaled_ = false;
};

}  // namespace papilio
