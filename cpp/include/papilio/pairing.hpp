// Pairs of row classes: what the search for the permutations of a butterfly asks for.
#pragma once

#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// `chunks` square matrices, C-contiguous: `size` row classes and as many columns each. float64 or
/// complex128, of entries whose squares don't overflow.
struct RowClasses {
  DType dtype;
  const void* values;
  Index chunks, size;
};

/// How far each two row classes are from being a pair, before the halves of the columns are known:
/// the columns of a pair's two rows lie on two lines in each chunk, so that their squares
/// (x^2, sqrt(2) x y, y^2) lie in a plane, and the smallest eigenvalue of the 3 x 3 Gram matrix of
/// these is 0. `costs` (size x size, symmetric) gets the sum of it over the chunks, relative to the
/// sum of the traces, to some 100 roundings; rows and columns count with norm 1 each.
void blind_pair_costs(const RowClasses& classes, double* costs);

/// The squared error of each two row classes as a pair, given the halves: of each chunk its
/// columns, those of its first half first.
void pair_costs(const RowClasses& classes, const Index* halves, double* costs);

/// Halves of each chunk's columns, given `count` pairs of rows, by spectral clustering. The
/// affinity of two columns is the sum over pairs of |<p, q>|^2 / (|p| |q|)^(2 normalization), p and
/// q being the pair's two entries in these columns: the squared cosine for a normalization of 1.
/// The second eigenvector of the normalized graph Laplacian sorts the columns. Throws
/// std::runtime_error if it isn't found.
void bisect_columns(const RowClasses& classes, const Index* pairs, Index count,
                    double normalization, Index* halves);

/// Pairs (i, k), i of the first after i of the next ..., of a small total cost: greedily, then by
/// exchanges between two pairs. `costs` is symmetric, `size` even; NaN costs count as infinite.
std::vector<Index> match_pairs(const double* costs, Index size);

}  // namespace papilio
