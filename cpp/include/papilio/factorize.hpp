// The hierarchical butterfly algorithm: the factors of an architecture closest to a matrix, by
// block SVDs, with an error bound that is proved (docs/guarantees.md).
#pragma once

#include <functional>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// A matrix in place: strides in elements, of either sign. An empty index is the identity; else
/// row t of what is factorized is row row_index[t] of the data (columns likewise).
struct MatrixView {
  DType dtype;
  const void* data;
  Index rows, cols;
  Index row_stride, col_stride;
  std::vector<Index> row_index, col_index;
};

struct FactorizeOptions {
  /// Splits in the order in which they are cut, a permutation of 1..L-1; split s separates the
  /// first s factors from the others.
  std::vector<Index> order;
  bool orthonormalize = true;
  /// Called now and then, by the calling thread, with the fraction that is done; may throw.
  std::function<void(double)> progress;
};

/// All errors are relative to the Frobenius norm of the matrix (0 for a zero matrix).
struct Factorization {
  /// values[s]: the C-contiguous 4-D array (a, b, c, d) of factor s, as 2*scalars or scalars.
  std::vector<std::vector<unsigned char>> values;
  double relative_error = 0;
  /// No matrix of the architecture is closer than this.
  double lower_bound = 0;
  /// What each cut discarded, by split (0 for splits that redundancy removal merged).
  std::vector<double> split_errors;
  /// The splits that were cut, in order.
  std::vector<Index> order;
  /// Proved: error <= guarantee * (distance to the architecture). Infinite if nothing is proved.
  double guarantee = 1;
};

/// Factorizes along a chainable chain whose shape is that of the matrix. Redundant chains are
/// reduced, factorized and expanded again. Throws std::invalid_argument for a chain that isn't
/// chainable, a wrong shape, a wrong order, or NaN or infinity in the matrix.
/// Memory: the factors between, at most about twice the size of the matrix for the first cut.
Factorization factorize(const MatrixView& matrix, const Patterns& chain,
                        const FactorizeOptions& options);

/// LAPACK's routines, as addresses with the Fortran interface and 32-bit integers. They must be
/// set before factorize is called; index 0..3 in the order of DType.
struct LapackRoutines {
  void* gesdd[dtype_count];
  void* gesvd[dtype_count];
  void* geqrf[dtype_count];
  void* orgqr[dtype_count];  // ungqr for complex types
};
void set_lapack(const LapackRoutines& routines);
bool has_lapack();

}  // namespace papilio
