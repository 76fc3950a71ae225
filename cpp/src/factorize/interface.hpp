// Two neighbouring factors meet at an interface: a2*d1 independent blocks, each a product of a
// b1 x r block of the left factor and an r x c2 block of the right one. The index formulas of
// docs/guarantees.md are written down here, once.
#pragma once

#include "papilio/pattern.hpp"

namespace papilio {

/// Element (row, col) of a block: data[base + row*row_step + col*col_step].
struct BlockPosition {
  Index base, row_step, col_step;
};

/// With fn = a2/a1 and en = d1/d2, block (i, f, e, l) for i < a1, f < fn, e < en, l < d2 is
///   left[i, j, f*r + rho, e*d2 + l], right[i*fn + f, rho*en + e, k, l],
///   merged[i, j*en + e, f*c2 + k, l]  (the product's 4-D array), j < b1, rho < r, k < c2.
class Interface {
 public:
  Interface(const Pattern& left, const Pattern& right);

  Index blocks() const { return blocks_; }
  Index rows() const { return b1_; }
  Index rank() const { return r_; }
  Index cols() const { return c2_; }

  /// Blocks are numbered by (i, f, e, l), l fastest.
  struct Sizes {
    Index a1, b1, c2, d2, fn, en;
  };
  Sizes sizes() const { return {blocks_ / (fn_ * en_ * d2_), b1_, c2_, d2_, fn_, en_}; }

  BlockPosition left(Index block) const;
  BlockPosition right(Index block) const;
  BlockPosition merged(Index block) const;
  /// The block's first row and column in the product of patterns as a matrix, and their steps.
  struct MatrixPosition {
    Index row, col, row_step, col_step;
  };
  MatrixPosition matrix(Index block) const;

 private:
  struct Coordinates {
    Index i, f, e, l;
  };
  Coordinates coordinates(Index block) const;

  Index b1_, r_, c2_, d1_, d2_, fn_, en_, blocks_;
};

}  // namespace papilio
