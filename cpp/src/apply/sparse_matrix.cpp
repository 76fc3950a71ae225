// Sparse matrices of compositions: runs of rows of one length, packed for the kernels.
#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "kernels/dispatch.hpp"
#include "papilio/composition.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

namespace {

/// Where the entries of a group of rows are, as kernels::SparseStretch tells it: `starts`, and
/// `offsets` from there, which are alike for all groups of a stretch.
class Group {
 public:
  std::vector<std::int32_t> starts, offsets;
  bool wide = false;

  Group(const std::int32_t* columns, Index rows, Index length, Index lanes, Index cols)
      : columns_(columns), rows_(rows), length_(length), lanes_(lanes), cols_(cols) {}

  /// Of the group from `row` on; or false, if an entry's lanes aren't in one SIMD vector or in two.
  bool find(Index row) {
    wide = false;
    starts.clear();
    Index reach = 0;  // farthest place, counted from where complex numbers start
    for (Index k = 0; k < length_; ++k) {
      const std::int32_t* const group = columns_ + k * rows_ + row;
      const std::int32_t first = *std::min_element(group, group + lanes_);
      std::int32_t second = std::numeric_limits<std::int32_t>::max(), last = -1, second_last = -1;
      for (Index n = 0; n < lanes_; ++n) {
        const std::int32_t column = group[n];
        if (column < first + lanes_) {
          last = std::max(last, column);
        } else {
          second = std::min(second, column);
          second_last = std::max(second_last, column);
        }
      }
      if (second_last < 0)
        second = first, second_last = last;
      else
        wide = true;
      if (second_last - second >= lanes_) return false;
      reach = std::max({reach, last - Index{first} / 2 * 2, second_last - Index{second} / 2 * 2});
      starts.insert(starts.end(), {first, second});
    }
    // Where complex numbers start, if nothing speaks against it: there the last one's imaginary
    // part is as far from the end as its real part.
    for (std::int32_t& start : starts) {
      const Index own = reach < lanes_ ? start / 2 * 2 : start;
      start = static_cast<std::int32_t>(std::min(own, cols_ - lanes_));
    }
    offsets.clear();
    for (Index k = 0; k < length_; ++k)
      for (Index n = 0; n < lanes_; ++n) {
        const Index column = columns_[k * rows_ + row + n];
        const std::int32_t* const own = starts.data() + 2 * k;
        const bool second = column >= own[0] + lanes_;
        offsets.push_back(static_cast<std::int32_t>(column - own[second] + (second ? lanes_ : 0)));
      }
    if (!wide)
      for (Index k = length_ - 1; k >= 0; --k) starts.erase(starts.begin() + 2 * k + 1);
    return true;
  }

 private:
  const std::int32_t* columns_;
  Index rows_, length_, lanes_, cols_;
};

}  // namespace

SparseMatrix::SparseMatrix(DType dtype, Index rows, Index cols, const Index* start,
                           const Index* columns, const void* values)
    : dtype_(dtype), rows_(rows), cols_(cols) {
  if (rows < 0 || cols < 0 || cols > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("a sparse part has fewer than no rows or columns, or 2^31 columns");
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
  if (run.length < 1 || run.length > most || cols_ < lanes) return;
  Group group(columns(run), run.rows, run.length, lanes, cols_);
  std::vector<std::int32_t> offsets;
  SteppedPoll poll;
  for (Index row = 0; row + lanes <= run.rows && run.stretches < most_stretches;) {
    poll.step();
    if (!group.find(row)) {
      ++row;
      continue;
    }
    Stretch stretch{row, 0, 0, group.wide, starts_.size(), offsets_.size()};
    offsets = group.offsets;
    const auto take = [&](Index next) {
      if (next + lanes > run.rows || !group.find(next) || group.offsets != offsets ||
          group.wide != stretch.wide)
        return false;
      starts_.insert(starts_.end(), group.starts.begin(), group.starts.end());
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
