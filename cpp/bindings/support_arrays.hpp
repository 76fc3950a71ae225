// Supports and matrices as Python hands them over, checked before the core reads them.
#pragma once

#include <limits>

#include "bindings.hpp"
#include "papilio/fixed_support.hpp"

namespace papilio {

using Starts = py::array_t<std::int64_t, py::array::c_style>;
using Indices = py::array_t<std::int32_t, py::array::c_style>;

[[noreturn]] inline void refuse(const char* name, const char* what) {
  throw py::value_error(std::string(name) + ": " + what);
}

/// A number of rows or columns.
inline Index to_length(Index length, const char* name) {
  if (length < 0 || length > std::numeric_limits<std::int32_t>::max())
    refuse(name, ("is " + std::to_string(length) + ", expected 0 to 2**31 - 1").c_str());
  return length;
}

/// Index sets as CSR has them; what could make the core read out of bounds is checked.
inline IndexSetsView to_sets(const Starts& start, const Indices& index, Index bound,
                             const char* name) {
  if (start.ndim() != 1 || index.ndim() != 1 || start.size() < 1)
    refuse(name, "start and index must have one axis");
  const IndexSetsView sets{start.size() - 1, start.data(), index.data()};
  if (sets.start[0] != 0 || sets.start[sets.size] != index.size())
    refuse(name, "start must run from 0 to the number of indices");
  for (Index n = 0; n < sets.size; ++n)
    if (sets.start[n] > sets.start[n + 1]) refuse(name, "start must not decrease");
  for (Index n = 0; n < sets.size; ++n) {
    std::int32_t before = -1;
    for (std::int32_t x : sets[n]) {
      if (x <= before || x >= bound) refuse(name, "indices must ascend and be within bounds");
      before = x;
    }
  }
  return sets;
}

template <class T>
py::array_t<T> to_array(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

inline py::tuple to_tuple(const IndexSets& sets) {
  return py::make_tuple(to_array(sets.start), to_array(sets.index));
}

/// Index sets of our own: what was checked must stay as it was.
inline IndexSets to_own_sets(const Starts& start, const Indices& index, Index bound,
                             const char* name) {
  const IndexSetsView sets = to_sets(start, index, bound, name);
  return {{sets.start, sets.start + sets.size + 1}, {sets.index, sets.index + index.size()}};
}

/// A pair of supports with their memory.
struct SupportArrays {
  IndexSets left, right;
  Supports supports;

  SupportArrays(Index rows, Index cols, const Starts& left_start, const Indices& left_index,
                const Starts& right_start, const Indices& right_index)
      : left(to_own_sets(left_start, left_index, to_length(rows, "rows"), "left")),
        right(to_own_sets(right_start, right_index, to_length(cols, "columns"), "right")),
        supports{rows, cols, left.view(), right.view()} {
    if (left.size() != right.size()) refuse("right", "differs from left in length");
    to_length(left.size(), "the inner length");
  }
  SupportArrays(const SupportArrays&) = delete;
  SupportArrays& operator=(const SupportArrays&) = delete;

  /// The values of X or Y: one per entry of the support.
  void check_values(const py::array& x, const py::array& y) const {
    const auto fits = [](const py::array& values, const IndexSets& sets) {
      return values.ndim() == 1 && static_cast<std::size_t>(values.size()) == sets.index.size() &&
             (values.flags() & py::array::c_style);
    };
    if (!fits(x, left) || !fits(y, right)) refuse("x, y", "must have one value per entry");
  }
};

/// (values with two axes, None, None) or (values with one axis, row starts, columns), and the
/// shape.
class MatrixArrays {
 public:
  MatrixArrays(const Supports& supports, const py::array& values, const py::object& start,
               const py::object& column, double scale)
      : values_(values) {
    matrix = {dtype_of(values, "A"),
              values.data(),
              supports.rows,
              supports.cols,
              0,
              0,
              nullptr,
              nullptr,
              scale};
    if (start.is_none()) {
      if (values.ndim() != 2 || values.shape(0) != matrix.rows || values.shape(1) != matrix.cols)
        refuse("A", "doesn't have the shape of the supports");
      matrix.row_stride = element_stride(values, 0, "A");
      matrix.col_stride = element_stride(values, 1, "A");
      return;
    }
    if (!py::isinstance<Starts>(start) || !py::isinstance<Indices>(column))
      throw py::type_error("A's row starts must be int64, its columns int32 arrays");
    start_ = start.cast<Starts>();
    column_ = column.cast<Indices>();
    if (to_sets(start_, column_, matrix.cols, "A").size != matrix.rows || values.ndim() != 1 ||
        values.size() != column_.size() || !(values.flags() & py::array::c_style))
      refuse("A", "doesn't have the shape of the supports");
    matrix.row_start = start_.data();
    // An empty matrix is sparse as well.
    matrix.column = column_.size() ? column_.data() : &nothing_;
  }

  RowMatrix matrix;

 private:
  py::array values_;
  Starts start_;
  Indices column_;
  std::int32_t nothing_ = 0;
};

}  // namespace papilio
