// Kernels for points on periodic grids, and the table that each instruction set fills. Plain
// structs only: this header is compiled once per ISA and must not define any function.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace papilio {
namespace kernels {

/// Cells of the widest window in each dimension.
constexpr int64_t widest_window = 16;

/// Points [first, last) of those that are sorted, and the window that each has in each dimension:
/// weight j at offset x is the polynomial sum_k polynomials[k][j] x^(degree - k), 0 for j >= width;
/// rows are widest_window long. cells[point][d] is the first cell of a window, order[point] the
/// place of the point's value. Pitches, of the three dimensions of which the last `dimensions` are
/// used, lead from a cell to the next: of a tile (a part of the grid from `origin` on, the last
/// pitch being 1) in cells, for columns of the grid of `size` cells in scalars.
struct WindowArguments {
  const void* polynomials;
  int64_t degree, width, dimensions;
  const int32_t* cells;
  const void* offsets;
  const int32_t* order;
  int64_t first, last;
  int64_t origin[3], pitch[3], size[3];
  void* tile;
  void* values;
  int64_t count;  // columns: SIMD vectors of a cell and of a value
};

typedef void (*WindowKernel)(const WindowArguments&);

/// Interpolation from tiles of a grid at points, and spreading to them; for real types also with
/// lanes along the batch, on whole grids.
struct WindowKernels {
  WindowKernel interpolate, spread, interpolate_columns, spread_columns;
};

/// The kernels of one instruction set, in the order of DType.
struct WindowTable {
  WindowKernels kernels[4];
};

}  // namespace kernels
}  // namespace papilio
