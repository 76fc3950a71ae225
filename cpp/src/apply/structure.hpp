// The structure of factors as kernels use it.
#pragma once

#include <complex>
#include <memory>
#include <optional>
#include <vector>

#include "apply/weights.hpp"
#include "papilio/apply.hpp"
#include "papilio/structure.hpp"

namespace papilio {

/// A square factor values[i, j, k, l] = scale * matrix[j, k] * t[i, k, l], or t[i, j, l] if
/// `outputs`. The matrix has ones in its first row and column; t is 1 for k (or j) = 0.
struct Structure {
  Pattern pattern;
  bool outputs;
  bool tied_a;
  double scale;
  std::vector<std::complex<double>> matrix;  // [j][k]
  std::vector<std::complex<double>> t;       // [i][k - 1][l / run]; empty if all are 1
  Index run = 1;

  Index radix() const { return pattern.b; }
  /// How many l a twiddle is for, at least: all where there are none.
  Index shared() const { return t.empty() ? pattern.d : run; }
  /// How many twiddles there are, with a copy for each l.
  Index entries() const { return static_cast<Index>(t.size()) * run; }
};

/// Fourier matrices as kernels know them: powers of two have bit-reversed columns (for twiddles of
/// the inputs) or rows, and order 6 those of order 3 times order 2.
MatrixKind kind_of(const Structure& structure);

/// The structure of a factor to within some units in the last place, if it has one.
std::optional<Structure> analyse(DType dtype, const Factor& factor);

/// The structure of the product of two neighbours with twiddles of the inputs, if it has one.
std::optional<Structure> compose(const Structure& left, const Structure& right, DType dtype);

/// How many neighbouring l have the same twiddles, at least 1: transforms over axes repeat them.
Index shared_run(const Structure& structure);

/// The structure with `copies` twiddles in place of each `run` equal ones.
Structure without_repeats(const Structure& structure, Index run, Index copies);

/// Twiddles for lanes along the batch: [i][l][k - 1], complex ones as pairs.
std::shared_ptr<const void> pack_twiddles(DType dtype, const Structure& structure, bool conjugate);

/// How many SIMD vectors of so many neighbouring (i, l) have twiddles of their own: those after
/// them have the same again.
Index twiddle_period(const Structure& structure, Index lanes);

/// For lanes along l, which run on through the next block where d isn't a multiple of them:
/// [(i * d + l) / lanes][k - 1][part][lanes], as many vectors as twiddle_period says; lanes after
/// the last number have any. `lanes` are those of a real SIMD vector; complex numbers are in the
/// order of ComplexLanes (kernels/number_lanes.hpp).
std::shared_ptr<const void> pack_twiddle_lanes(DType dtype, const Structure& structure,
                                               bool conjugate, Index lanes);

}  // namespace papilio
