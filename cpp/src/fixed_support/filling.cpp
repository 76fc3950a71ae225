// Complete classes make what the others leave (theorem 2 of docs/supports.md).
#include <cmath>

#include "fixed_support/for_rows.hpp"
#include "fixed_support/row_entries.hpp"

namespace papilio {

namespace {

/// Complete classes, row by row. Every entry of their rectangles is taken by one class: through the
/// identity on its rows (X) and the entries (Y) if it has as many members as rows, else through the
/// entries (X) and the identity on its columns (Y).
template <class T>
class Filler {
 public:
  Filler(const RowMatrix& matrix, const Supports& supports, const SupportAnalysis& analysis, T* x,
         T* y)
      : entries_(matrix),
        supports_(supports),
        analysis_(analysis),
        root_(std::sqrt(matrix.scale)),
        x_(x),
        y_(y) {
    in_row_ = transposed(supports.left, supports.rows, &offset_);
    for (Index p = 0; p < analysis.members.size(); ++p) {
      const bool filled = analysis.complete[at(p)] &&
                          analysis.kinds[at(analysis.component[at(p)])] != ComponentKind::disjoint;
      fills_.push_back(filled);
      if (filled) set_identity(static_cast<std::int32_t>(p));
    }
  }

  void fill(Index begin, Index end, Pulse& pulse) const {
    std::vector<Wide<T>> sum(at(supports_.cols)), wanted(at(supports_.cols));
    std::vector<std::int64_t> taken(at(supports_.cols), -1);
    for (Index row = begin; row < end; ++row) {
      const IndexSpan inner = in_row_[row];
      const std::int64_t* offset = offset_.data() + in_row_.start[at(row)];
      pulse(1 + inner.size());
      if (!std::any_of(inner.begin(), inner.end(), [&](std::int32_t i) { return fills(i); }))
        continue;
      std::fill(sum.begin(), sum.end(), Wide<T>(0));
      for (Index n = 0; n < inner.size(); ++n) {
        const std::int32_t i = inner[n];
        if (fills(i)) continue;
        const T* y = y_ + supports_.right.start[i];
        const Wide<T> factor = Wide<T>(x_[offset[n]]) * root_;
        pulse(supports_.right[i].size());
        for (std::int32_t col : supports_.right[i])
          sum[at(col)] += factor * (Wide<T>(*y++) * root_);
      }
      for (Index n = 0; n < inner.size(); ++n)
        if (fills(inner[n]) && is_first(inner[n]))
          take(row, inner[n], offset[n], sum, wanted, taken);
    }
  }

 private:
  std::int32_t class_of(std::int32_t i) const { return analysis_.class_of[at(i)]; }
  bool fills(std::int32_t i) const { return class_of(i) >= 0 && fills_[at(class_of(i))]; }
  bool is_first(std::int32_t i) const { return analysis_.members[class_of(i)][0] == i; }
  bool by_rows(std::int32_t p) const {
    const IndexSpan inner = analysis_.members[p];
    return supports_.left[inner[0]].size() <= inner.size();
  }

  void set_identity(std::int32_t p) {
    const IndexSpan inner = analysis_.members[p];
    const IndexSetsView& side = by_rows(p) ? supports_.left : supports_.right;
    T* values = by_rows(p) ? x_ : y_;
    const T one = static_cast<T>(Wide<T>(1 / root_));
    for (Index n = 0; n < side[inner[0]].size(); ++n) values[side.start[inner[n]] + n] = one;
  }

  /// `offset` is where X's value of (row, i) stands, i being the first of its class.
  void take(Index row, std::int32_t i, std::int64_t offset, const std::vector<Wide<T>>& sum,
            std::vector<Wide<T>>& wanted, std::vector<std::int64_t>& taken) const {
    const std::int32_t p = class_of(i);
    const IndexSpan inner = analysis_.members[p], cols = supports_.right[i];
    const Index position = offset - supports_.left.start[i];
    entries_.gather_scaled(row, cols, wanted.data());
    for (Index n = 0; n < cols.size(); ++n) {
      std::int64_t& by = taken[at(cols[n])];
      if (by == row) continue;
      by = row;
      const T value = static_cast<T>((wanted[at(n)] - sum[at(cols[n])]) / root_);
      if (by_rows(p))
        y_[supports_.right.start[inner[position]] + n] = value;
      else
        x_[supports_.left.start[inner[n]] + position] = value;
    }
  }

  RowEntries<T> entries_;
  const Supports& supports_;
  const SupportAnalysis& analysis_;
  double root_;  // of the scale: a factor's share of it
  T *x_, *y_;
  IndexSets in_row_;  // inner indices of each row of X
  std::vector<std::int64_t> offset_;
  std::vector<char> fills_;
};

}  // namespace

void fill_complete(const RowMatrix& matrix, const Supports& supports,
                   const SupportAnalysis& analysis, void* x, void* y) {
  visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Filler<T> filler(matrix, supports, analysis, static_cast<T*>(x), static_cast<T*>(y));
    for_rows(supports.rows, static_cast<double>(supports.rows) * static_cast<double>(supports.cols),
             [&](Index begin, Index end, Pulse& pulse) { filler.fill(begin, end, pulse); });
  });
}

}  // namespace papilio
