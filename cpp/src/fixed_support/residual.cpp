// What a matrix has on some entries, outside of all rectangles, and beside a product.
#include <cmath>

#include "fixed_support/for_rows.hpp"
#include "fixed_support/row_entries.hpp"

namespace papilio {

namespace {

template <class T>
double outside(const RowMatrix& matrix, const SupportAnalysis& analysis) {
  const RowEntries<T> entries(matrix);
  const Index types = static_cast<Index>(
      analysis.row_type.empty()
          ? 0
          : *std::max_element(analysis.row_type.begin(), analysis.row_type.end()) + 1);
  const IndexSets classes_in_row = transposed(analysis.class_row_types.view(), types);
  // Rows of one type one after another: what their classes cover is marked once.
  std::vector<std::int32_t> order(at(matrix.rows));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return analysis.row_type[at(a)] < analysis.row_type[at(b)];
  });
  std::vector<double> norms(at(matrix.rows));
  const double work = static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
  for_rows(matrix.rows, work, [&](Index begin, Index end, Pulse& pulse) {
    std::vector<char> covered(at(matrix.cols)), type_covered(at(matrix.cols) + 1);
    std::vector<Wide<T>> rest;
    std::int32_t type = -2;
    for (Index n = begin; n < end; ++n) {
      const std::int32_t row = order[at(n)];
      if (analysis.row_type[at(row)] != type) {
        type = analysis.row_type[at(row)];
        std::fill(type_covered.begin(), type_covered.end(), 0);
        if (type >= 0)
          for (std::int32_t p : classes_in_row[type])
            for (std::int32_t col : analysis.class_col_types[p]) type_covered[at(col) + 1] = 1;
        for (Index col = 0; col < matrix.cols; ++col)
          covered[at(col)] = type_covered[at(analysis.col_type[at(col)] + 1)];
      }
      pulse(matrix.column ? matrix.row_start[row + 1] - matrix.row_start[row] : matrix.cols);
      rest.clear();
      entries.for_row(row, [&](Index col, Wide<T> value) {
        if (!covered[at(col)]) rest.push_back(value);
      });
      norms[at(row)] = norm_of(rest.data(), static_cast<Index>(rest.size()));
    }
  });
  return norm_of(norms.data(), matrix.rows);
}

template <class T>
double residual_of(const RowMatrix& matrix, const Supports& supports, const T* x, const T* y) {
  const RowEntries<T> entries(matrix);
  const double root = std::sqrt(matrix.scale);
  std::vector<std::int64_t> offsets;
  const IndexSets in_row = transposed(supports.left, supports.rows, &offsets);
  double work = matrix.column ? static_cast<double>(matrix.row_start[matrix.rows])
                              : static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
  for (Index i = 0; i < supports.inner(); ++i)
    work += static_cast<double>(supports.left[i].size()) *
            static_cast<double>(supports.right[i].size());
  std::vector<double> norms(at(matrix.rows));
  for_rows(matrix.rows, work, [&](Index begin, Index end, Pulse& pulse) {
    std::vector<Wide<T>> rest(at(matrix.cols)), found;
    std::vector<std::int64_t> seen(at(matrix.cols), -1);
    std::vector<Index> columns;
    for (Index row = begin; row < end; ++row) {
      columns.clear();
      const auto at_column = [&](Index col) -> Wide<T>& {
        if (seen[at(col)] != row) {
          seen[at(col)] = row;
          rest[at(col)] = Wide<T>(0);
          columns.push_back(col);
        }
        return rest[at(col)];
      };
      entries.for_row(row, [&](Index col, Wide<T> value) { at_column(col) = value; });
      const IndexSpan inner = in_row[row];
      for (Index n = 0; n < inner.size(); ++n) {
        const Wide<T> factor = Wide<T>(x[offsets[at(in_row.start[at(row)] + n)]]) * root;
        pulse(1);
        if (factor == Wide<T>(0)) continue;
        const T* value = y + supports.right.start[inner[n]];
        pulse(supports.right[inner[n]].size());
        for (std::int32_t col : supports.right[inner[n]])
          at_column(col) -= factor * (Wide<T>(*value++) * root);
      }
      found.clear();
      for (Index col : columns) found.push_back(rest[at(col)]);
      pulse(1 + static_cast<Index>(columns.size()));
      norms[at(row)] = norm_of(found.data(), static_cast<Index>(found.size()));
    }
  });
  return norm_of(norms.data(), matrix.rows);
}

}  // namespace

double norm_outside(const RowMatrix& matrix, const SupportAnalysis& analysis) {
  return visit(matrix.dtype, [&](auto zero) { return outside<decltype(zero)>(matrix, analysis); });
}

void gather_entries(const RowMatrix& matrix, const IndexSetsView& entries, void* out) {
  visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    const RowEntries<T> source(matrix);
    for_rows(matrix.rows, static_cast<double>(entries.start[entries.size]),
             [&](Index begin, Index end, Pulse& pulse) {
               for (Index row = begin; row < end; ++row) {
                 pulse(1 + entries[row].size());
                 source.gather_scaled(row, entries[row],
                                      static_cast<Wide<T>*>(out) + entries.start[row]);
               }
             });
  });
}

double residual(const RowMatrix& matrix, const Supports& supports, const void* x, const void* y) {
  return visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    return residual_of(matrix, supports, static_cast<const T*>(x), static_cast<const T*>(y));
  });
}

}  // namespace papilio
