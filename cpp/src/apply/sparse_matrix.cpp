// Sparse matrices of compositions: runs of rows of one length, packed for the kernels.
#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "kernels/dispatch.hpp"
#include "papilio/composition.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

SparseMatrix::SparseMatrix(DType dtype, Index rows, Index cols, const Index* start,
                           const Index* columns, const void* values)
    : dtype_(dtype), rows_(rows), cols_(cols) {
  if (rows < 1 || cols < 1 || cols > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("a sparse part has no rows, no columns or 2^31 columns");
  const std::size_t element = size_of(dtype);
  if (start[0] != 0) throw std::invalid_argument("a sparse part's first row doesn't start at 0");
  for (Index row = 0; row < rows; ++row)
    if (start[row + 1] < start[row])
      throw std::invalid_argument("a sparse part's rows end before they start");
  for (Index n = 0; n < start[rows]; ++n)
    if (columns[n] < 0 || columns[n] >= cols)
      throw std::invalid_argument("a sparse part has an entry outside of its columns");
  columns_.resize(static_cast<std::size_t>(start[rows]));
  values_.resize(columns_.size() * element);
  for (Index row = 0; row < rows;) {
    Run run{row, 0, start[row + 1] - start[row], static_cast<std::size_t>(start[row])};
    while (row < rows && start[row + 1] - start[row] == run.length) ++row;
    run.rows = row - run.row;
    for (Index r = 0; r < run.rows; ++r)
      for (Index k = 0; k < run.length; ++k) {
        const std::size_t to = run.first + static_cast<std::size_t>(k * run.rows + r);
        const Index from = start[run.row + r] + k;
        columns_[to] = static_cast<std::int32_t>(columns[from]);
        std::memcpy(values_.data() + to * element,
                    static_cast<const char*>(values) + static_cast<std::size_t>(from) * element,
                    element);
      }
    find_stretches(run, kernels::kernels_for(dtype).lanes);
    runs_.push_back(run);
  }
}

void SparseMatrix::find_stretches(Run& run, Index lanes) {
  // Kernels know so many entries; a stretch of fewer groups isn't worth its lookups, wide ones.
  constexpr Index most = 4, least_groups = 2, least_wide = 12;
  run.stretch = stretches_.size();
  if (run.length < 1 || run.length > most) return;
  const std::int32_t* const columns = this->columns(run);
  const std::size_t size = static_cast<std::size_t>(run.length * lanes);
  std::vector<std::int32_t> offsets(size), own(static_cast<std::size_t>(run.length)), found(size);
  // Where the entries of the group from `row` on start, and how far from there they are; or false.
  bool wide = false;
  const auto find = [&](Index row) {
    Index span = 0, pairs = 0;
    for (Index k = 0; k < run.length; ++k) {
      const std::int32_t* const group = columns + k * run.rows + row;
      const auto [least, largest] = std::minmax_element(group, group + lanes);
      span = std::max(span, Index{*largest} - *least + 1);
      pairs = std::max(pairs, Index{*largest} - *least / 2 * 2 + 1);
      if (span > 2 * lanes) return false;
      own[static_cast<std::size_t>(k)] = *least;
    }
    wide = span > lanes;
    const Index width = wide ? 2 * lanes : lanes;
    if (width > cols_) return false;
    // Where complex numbers start, if nothing speaks against it: there the last one's imaginary
    // part is as far from the end as its real part.
    for (std::int32_t& start : own)
      if (pairs <= width) start = start / 2 * 2;
    for (Index k = 0; k < run.length; ++k) {
      std::int32_t& start = own[static_cast<std::size_t>(k)];
      start = static_cast<std::int32_t>(std::min<Index>(start, cols_ - width));
      for (Index n = 0; n < lanes; ++n)
        found[static_cast<std::size_t>(k * lanes + n)] = columns[k * run.rows + row + n] - start;
    }
    return true;
  };
  SteppedPoll poll;
  for (Index row = 0; row + lanes <= run.rows && run.stretches < most_stretches;) {
    poll.step();
    if (!find(row)) {
      ++row;
      continue;
    }
    Stretch stretch{row, 0, 0, wide, starts_.size(), offsets_.size()};
    offsets = found;
    const auto take = [&](Index next) {
      if (next + lanes > run.rows || !find(next) || found != offsets || wide != stretch.wide)
        return false;
      starts_.insert(starts_.end(), own.begin(), own.end());
      ++stretch.groups;
      stretch.last = next;
      return true;
    };
    while (take(row)) row += lanes;
    // Rows after the last whole group, by one that works on some of its rows again.
    const Index least = stretch.wide ? least_wide : least_groups;
    for (Index more = std::min(lanes - 1, run.rows - row); more > 0; --more)
      if (stretch.groups + 1 >= least && take(row - lanes + more)) {
        row += more;
        break;
      }
    if (stretch.groups < least) {
      starts_.resize(stretch.starts);
      continue;
    }
    offsets_.insert(offsets_.end(), offsets.begin(), offsets.end());
    in_stretches_ += (stretch.last + lanes - stretch.first) * run.length;
    wide_ = wide_ || stretch.wide;
    stretches_.push_back(stretch);
    ++run.stretches;
  }
}

}  // namespace papilio
