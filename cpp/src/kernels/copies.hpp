// Between a strided matrix and a tile.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Whether stores to rows of this matrix may go past the caches from column `first` on.
template <class A>
PAPILIO_INLINE int64_t first_aligned(const typename A::element* to, int64_t row_stride) {
  constexpr size_t vector = sizeof(typename A::V), element = sizeof(typename A::element);
  const size_t offset = reinterpret_cast<uintptr_t>(to) % vector;
  if (offset % element != 0 || row_stride * static_cast<int64_t>(element) % vector != 0) return -1;
  return offset == 0 ? 0 : static_cast<int64_t>((vector - offset) / element);
}

/// Copies the elements [r0, r1) x [t0, t1): tile[t, r] = matrix[r, t] if `in`, else the way back.
template <bool in, class Matrix, class Tile>
PAPILIO_INLINE void copy_transposed(int64_t r0, int64_t r1, int64_t t0, int64_t t1, Matrix* matrix,
                                    int64_t matrix_row, Tile* tile, int64_t tile_row) {
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t t = t0; t < t1; ++t) {
      if constexpr (in)
        tile[t * tile_row + r] = matrix[r * matrix_row + t];
      else
        matrix[r * matrix_row + t] = tile[t * tile_row + r];
    }
}

/// tile[t, r] = matrix[r, t] if `in`, else the way back, for a matrix of `rows` contiguous rows.
/// As many rows as a SIMD vector has lanes are read or written at a time, each as a stream.
template <class A, bool in, class Matrix, class Tile>
void transpose(int64_t rows, int64_t columns, Matrix* matrix, int64_t matrix_row, Tile* tile,
               int64_t tile_row, bool past_caches) {
  constexpr int lanes = A::lanes;
  int64_t start = 0;
  if constexpr (!in) {
    if (past_caches) start = first_aligned<A>(matrix, matrix_row);
    if (start < 0) {
      start = 0;
      past_caches = false;
    }
    if (start > columns) start = columns;
  }
  const int64_t whole_rows = rows / lanes * lanes;
  const int64_t stop = start + (columns - start) / lanes * lanes;
  for (int64_t r = 0; r < whole_rows; r += lanes) {
    copy_transposed<in>(r, r + lanes, 0, start, matrix, matrix_row, tile, tile_row);
    for (int64_t t = start; t < stop; t += lanes) {
      typename A::V x[lanes];
      for (int n = 0; n < lanes; ++n)
        x[n] = in ? load<A>(matrix + (r + n) * matrix_row + t)
                  : load<A>(tile + (t + n) * tile_row + r);
      Transpose<A, lanes / 2>::run(x);
      for (int n = 0; n < lanes; ++n) {
        if constexpr (in)
          store<A>(tile + (t + n) * tile_row + r, x[n]);
        else if (past_caches)
          stream<A>(matrix + (r + n) * matrix_row + t, x[n]);
        else
          store<A>(matrix + (r + n) * matrix_row + t, x[n]);
      }
    }
    copy_transposed<in>(r, r + lanes, stop, columns, matrix, matrix_row, tile, tile_row);
  }
  copy_transposed<in>(whole_rows, rows, 0, columns, matrix, matrix_row, tile, tile_row);
}

/// A row of a tile, of whole SIMD vectors: `count` elements, then zeros up to `width`.
template <class A>
PAPILIO_INLINE void fill_row(const typename A::element* from, typename A::element* to,
                             int64_t count, int64_t width) {
  for (int64_t t = 0; t < width; t += A::lanes) {
    const int64_t left = count - t;
    if (left >= A::lanes)
      store<A>(to + t, load<A>(from + t));
    else
      store<A>(to + t, load_part<A>(from + t, left < 0 ? 0 : left));
  }
}

template <class A>
void pack(const CopyArguments& copy, const void* matrix, void* tile) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(matrix);
  element* to = static_cast<element*>(tile);
  const bool fills = copy.width > copy.columns;
  if (fills && copy.column_stride != 1)
    for (int64_t row = 0; row < copy.rows; ++row)
      for (int64_t t = copy.columns; t < copy.width; ++t) to[row * copy.tile_row + t] = element{};
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A, true>(copy.columns, copy.rows, from, copy.column_stride, to, copy.tile_row,
                              false);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.tile_row) {
    const element* source = from + (copy.row_index ? copy.row_index[row] : row) * copy.row_stride;
    if (copy.column_index)
      for (int64_t t = 0; t < copy.columns; ++t)
        to[t] = source[copy.column_index[t] * copy.column_stride];
    else if (copy.column_stride == 1 && fills)
      fill_row<A>(source, to, copy.columns, copy.width);
    else if (copy.column_stride == 1)
      memcpy(to, source, static_cast<size_t>(copy.columns) * sizeof(element));
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t] = source[t * copy.column_stride];
  }
}

template <class A>
PAPILIO_INLINE void copy_row(const typename A::element* from, typename A::element* to,
                             int64_t count, bool past_caches) {
  int64_t start = past_caches ? first_aligned<A>(to, 0) : int64_t{-1};
  if (start < 0 || start + A::lanes > count) {
    memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
    return;
  }
  memcpy(to, from, static_cast<size_t>(start) * sizeof *to);
  for (; start + A::lanes <= count; start += A::lanes) stream<A>(to + start, load<A>(from + start));
  memcpy(to + start, from + start, static_cast<size_t>(count - start) * sizeof *to);
}

template <class A>
void unpack(const CopyArguments& copy, const void* tile, void* matrix) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(tile);
  element* to = static_cast<element*>(matrix);
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A, false>(copy.columns, copy.rows, to, copy.column_stride, from, copy.tile_row,
                               copy.stream);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.row_stride) {
    const element* source = from + (copy.row_index ? copy.row_index[row] : row) * copy.tile_row;
    if (copy.column_index)
      for (int64_t t = 0; t < copy.columns; ++t)
        to[t * copy.column_stride] = source[copy.column_index[t]];
    else if (copy.column_stride == 1)
      copy_row<A>(source, to, copy.columns, copy.stream);
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t * copy.column_stride] = source[t];
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
