// Sparse matrices of compositions: runs of rows of one length, packed for the kernels.
#include <cstring>
#include <limits>
#include <stdexcept>

#include "papilio/composition.hpp"

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
    runs_.push_back(run);
  }
}

}  // namespace papilio
