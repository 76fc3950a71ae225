// Points that are sorted by tiles of a grid.
#pragma once

#include <array>
#include <vector>

#include "kernels/window_kernels.hpp"
#include "papilio/grids.hpp"

namespace papilio {

/// Dimensions are three: missing ones, of one cell, come first.
typedef std::array<Index, 3> Triple;

struct GridPoints::Sorted {
  DType real;
  Index dimensions, width, degree, points;
  Triple size, tile, tiles;
  std::vector<char> polynomials;    // [degree + 1][widest_window], real
  std::vector<std::int32_t> cells;  // [points][dimensions], in the order of the tiles
  std::vector<char> offsets;
  std::vector<std::int32_t> order;
  std::vector<Index> starts;  // of each tile's points, and the end

  Index cell_count() const { return size[0] * size[1] * size[2]; }
  kernels::WindowArguments arguments() const;
};

}  // namespace papilio
