// A RowMatrix with typed entries.
#pragma once

#include <algorithm>

#include "fixed_support/norm.hpp"
#include "papilio/fixed_support.hpp"

namespace papilio {

template <class T>
class RowEntries {
 public:
  explicit RowEntries(const RowMatrix& matrix)
      : matrix_(matrix), values_(static_cast<const T*>(matrix.values)) {}

  /// out[n * step] = entry (row, cols[n]).
  void gather(Index row, IndexSpan cols, T* out, Index step) const {
    for_entries(row, cols, [&](Index n, T value) { out[n * step] = value; });
  }

  /// out[n] = entry (row, cols[n]) times scale.
  void gather_scaled(Index row, IndexSpan cols, Wide<T>* out) const {
    for_entries(row, cols, [&](Index n, T value) { out[n] = scaled(value); });
  }

  /// Calls visit(column, entry times scale) for all entries of a row that are stored.
  template <class Visit>
  void for_row(Index row, const Visit& visit) const {
    if (!matrix_.column) {
      const T* line = values_ + row * matrix_.row_stride;
      for (Index col = 0; col < matrix_.cols; ++col)
        visit(col, scaled(line[col * matrix_.col_stride]));
      return;
    }
    for (std::int64_t n = matrix_.row_start[row]; n < matrix_.row_start[row + 1]; ++n)
      visit(matrix_.column[n], scaled(values_[n]));
  }

  /// Calls visit(n, column, entry times scale) for all entries of rows first + n, n < count, that
  /// are stored; those of a dense matrix some columns at a time.
  template <class Visit>
  void for_rows(Index first, Index count, const Visit& visit) const {
    if (matrix_.column) {
      for (Index n = 0; n < count; ++n)
        for_row(first + n, [&](Index col, Wide<T> value) { visit(n, col, value); });
      return;
    }
    const T* corner = values_ + first * matrix_.row_stride;
    constexpr Index width = 8;  // of a cache line
    for (Index begin = 0; begin < matrix_.cols; begin += width)
      for (Index n = 0; n < count; ++n)
        for (Index col = begin; col < std::min(begin + width, matrix_.cols); ++col)
          visit(n, col, scaled(corner[n * matrix_.row_stride + col * matrix_.col_stride]));
  }

 private:
  Wide<T> scaled(T value) const { return Wide<T>(value) * matrix_.scale; }

  template <class Visit>
  void for_entries(Index row, IndexSpan cols, const Visit& visit) const {
    if (!matrix_.column) {
      const T* line = values_ + row * matrix_.row_stride;
      for (Index n = 0; n < cols.size(); ++n) visit(n, line[cols[n] * matrix_.col_stride]);
      return;
    }
    const std::int32_t* place = matrix_.column + matrix_.row_start[row];
    const std::int32_t* end = matrix_.column + matrix_.row_start[row + 1];
    for (Index n = 0; n < cols.size(); ++n) {
      place = std::lower_bound(place, end, cols[n]);
      visit(n, place != end && *place == cols[n] ? values_[place - matrix_.column] : T(0));
    }
  }

  const RowMatrix& matrix_;
  const T* values_;
};

}  // namespace papilio
