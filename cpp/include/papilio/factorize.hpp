// The hierarchical butterfly algorithm: the factors of an architecture closest to a matrix, by
// block SVDs, with an error bound that is proved (docs/guarantees.md).
#pragma once

#include <functional>
#include <vector>

#include "papilio/apply.hpp"
#include "papilio/dtype.hpp"
#include "papilio/interruption.hpp"
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
  /// If set, there is no data: read(first row, count, to) writes rows, C-contiguous, to memory.
  /// Called by the calling thread only; may throw.
  std::function<void(Index, Index, void*)> read = nullptr;
};

struct FactorizeOptions {
  /// Splits in the order in which they are cut, a permutation of 1..L-1; split s separates the
  /// first s factors from the others.
  std::vector<Index> order;
  bool orthonormalize = true;
  /// If positive, the chain's ranks are not used: each split gets the smallest rank that keeps the
  /// relative error below, as far as max_rank (0: no limit) allows.
  double tol = 0;
  Index max_rank = 0;
  /// The data may be overwritten: the right part of the first cut then takes no memory, where it
  /// separates the first factor of a dense C-contiguous matrix, tol is 0, and the cuts tell the
  /// error (orders that cut off end factors, orthonormalized).
  bool overwrite = false;
  Progress progress;
};

/// All errors are relative to the Frobenius norm of the matrix (0 for a zero matrix).
struct Factorization {
  /// The chain, with the ranks that were used.
  Patterns patterns;
  /// values[s]: the C-contiguous 4-D array (a, b, c, d) of factor s, as 2*scalars or scalars.
  std::vector<std::vector<unsigned char>> values;
  double relative_error = 0;
  /// No matrix of the architecture is closer than this.
  double lower_bound = 0;
  /// What each cut discarded, by split (0 for splits that redundancy removal merged).
  std::vector<double> split_errors;
  /// What each cut would have discarded at rank 0, 1, 2, ...: up to the rank that was used, or with
  /// tol up to the full rank.
  std::vector<std::vector<double>> split_tails;
  /// The splits that were cut, in order.
  std::vector<Index> order;
  /// Proved: error <= guarantee * (distance to the architecture). Infinite if nothing is proved.
  double guarantee = 1;
  /// Frobenius norm of the matrix.
  double norm = 0;
};

/// Factorizes along a chainable chain whose shape is that of the matrix. Redundant chains are
/// reduced, factorized and expanded again. Throws std::invalid_argument for a chain that isn't
/// chainable, a wrong shape, a wrong order, or NaN or infinity in the matrix.
/// Memory: the parts of the first cut, or a later part with the two parts of its cut, whatever is
/// more: 0.75 times the matrix for square dyadic chains cut from the left.
Factorization factorize(const MatrixView& matrix, const Patterns& chain,
                        const FactorizeOptions& options);

/// The splits of a chainable chain in the cheapest order among those that cut off one end factor at
/// a time. All of them have the same proved constant, the square root of the number of splits.
std::vector<Index> cheapest_order(const Patterns& chain);

/// A chain after a sweep over its interfaces.
struct SweptChain {
  Patterns patterns;
  std::vector<std::vector<unsigned char>> values;  // as in Factorization
  double norm = 0;                                 // Frobenius norm of the chain before the sweep
  double relative_error = 0;                       // relative to it
  std::vector<double> split_errors;                // likewise, what was discarded at each split
  std::vector<std::vector<double>> split_tails;    // and what any rank would have
};

/// The chain with the smallest ranks that keep the relative error below tol (0: only what is
/// rounding is dropped), at most max_rank (0: no limit): a sweep of QR from the right to the left,
/// then one of truncated SVDs back. Memory: three times the values. Throws std::invalid_argument if
/// the chain isn't chainable or a value isn't finite, std::overflow_error if the new factors can't
/// hold the matrix.
SweptChain round_chain(const Chain& chain, double tol, Index max_rank,
                       const Progress& progress = {});

/// The same product with blocks of orthonormal columns in all factors before number `centre`, and
/// of orthonormal rows in all after it. Ranks that exceed a block's size become that size.
SweptChain orthonormalize_chain(const Chain& chain, std::size_t centre);

/// The Frobenius norm of a chainable chain; infinite where no double is so large.
double chain_norm(const Chain& chain);

/// LAPACK's routines, as addresses with the Fortran interface and 32-bit integers. They must be
/// set before factorize is called; index 0..3 in the order of DType. Any thread may set them; the
/// first call counts.
struct LapackRoutines {
  void* gesdd[dtype_count];
  void* gesvd[dtype_count];
  void* geqrf[dtype_count];
  void* orgqr[dtype_count];  // ungqr for complex types
};
void set_lapack(const LapackRoutines& routines);
bool has_lapack();

}  // namespace papilio
