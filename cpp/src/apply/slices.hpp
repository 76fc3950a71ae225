// Long steps of a product in slices, between which an interruption is answered.
#pragma once

#include <algorithm>

#include "apply/stage_kind.hpp"
#include "apply/work.hpp"

namespace papilio {

/// In how many slices a share of a step goes that reads and writes so many bytes in all. One takes
/// some milliseconds.
inline Index slices_of(Index bytes, Index shares = 1) {
  const Index most = large_bytes() * shares;
  return bytes < most ? 1 : 1 + bytes / most;
}

/// Limits a stage to one of `shares` shares: blocks i where there are enough of them, else ranges
/// of l that start at multiples of `lanes`. A share may have nothing to do, and says so.
inline bool take_share(kernels::StageArguments& work, const Stage& stage, Index lanes, Index share,
                       Index shares) {
  if (shares == 1) return true;
  const Pattern& p = stage.pattern();
  if (stage.units >= shares || !descriptor(stage.kind).divides_l) {
    const auto [begin, end] = share_of(stage.units, share, shares);
    work.i0 = begin * stage.unit;
    work.i1 = end * stage.unit;
  } else {
    const auto [begin, end] = share_of((p.d + lanes - 1) / lanes, share, shares);
    work.l0 = std::min(begin * lanes, p.d);
    work.l1 = std::min(end * lanes, p.d);
  }
  return work.i0 < work.i1 && work.l0 < work.l1;
}

/// Calls run(slice, first row, first column) for all slices of a copy, whose indices, if any, are
/// those of the slice.
template <class Run>
void copy_in_slices(const Work& work, const kernels::CopyArguments& copy, Run run) {
  // Rows that are filled up go whole.
  const bool by_rows = copy.width > 0 || copy.rows >= copy.columns;
  const Index size = by_rows ? copy.rows : copy.columns;
  const Index count = slices_of(2 * copy.rows * copy.columns * work.element);
  // Columns in whole cache lines of the tile.
  const Index unit = by_rows ? 1 : 16, units = (size + unit - 1) / unit;
  for (Index n = 0; n < count; ++n) {
    const auto [first, last] = share_of(units, n, count);
    const Index begin = std::min(first * unit, size), end = std::min(last * unit, size);
    if (begin == end) continue;
    work.poll();
    kernels::CopyArguments slice = copy;
    (by_rows ? slice.rows : slice.columns) = end - begin;
    const Index*& index = by_rows ? slice.row_index : slice.column_index;
    if (index) index += begin;
    run(slice, by_rows ? begin : 0, by_rows ? 0 : begin);
  }
}

inline void pack_in_slices(const Work& work, const kernels::CopyArguments& copy, const char* matrix,
                           char* tile) {
  copy_in_slices(work, copy, [&](const kernels::CopyArguments& slice, Index row, Index column) {
    // An index tells where the source is, of which these are then no part.
    const Index from = (copy.row_index ? 0 : row * copy.row_stride) +
                       (copy.column_index ? 0 : column * copy.column_stride);
    work.kernels.pack(slice, matrix + from * work.element,
                      tile + (row * copy.tile_row + column) * work.element);
  });
}

inline void unpack_in_slices(const Work& work, const kernels::CopyArguments& copy, const char* tile,
                             char* matrix) {
  copy_in_slices(work, copy, [&](const kernels::CopyArguments& slice, Index row, Index column) {
    const Index from =
        (copy.row_index ? 0 : row * copy.tile_row) + (copy.column_index ? 0 : column);
    work.kernels.unpack(
        slice, tile + from * work.element,
        matrix + (row * copy.row_stride + column * copy.column_stride) * work.element);
  });
}

}  // namespace papilio
