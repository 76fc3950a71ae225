// The algebra of Kronecker-sparse patterns and their chains (no floating point).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace papilio {

using Index = std::int64_t;

/// The support I_a (x) 1_{b x c} (x) I_d of a factor with a*b*d rows and a*c*d columns.
/// Its non-zeros are values[i, j, k, l] at row i*b*d + j*d + l, column i*c*d + k*d + l. All sizes
/// are at least 1, and a*b*c*d fits in an Index: whoever makes a Pattern sees to it.
struct Pattern {
  Index a, b, c, d;

  Index rows() const { return a * b * d; }
  Index cols() const { return a * c * d; }
  Index nnz() const { return a * b * c * d; }
  bool operator==(const Pattern& other) const {
    return a == other.a && b == other.b && c == other.c && d == other.d;
  }
};

using Patterns = std::vector<Pattern>;

/// Why the pair (p, q) isn't chainable, as one clause; empty if it is chainable.
std::string chain_failure(const Pattern& p, const Pattern& q);

/// The number r(p, q) of paths that join each reachable (row, column) pair of p * q:
/// S_p S_q = r(p, q) S_{p*q}. Throws std::invalid_argument if (p, q) isn't chainable.
Index chain_rank(const Pattern& p, const Pattern& q);

/// The product pattern p * q. Throws std::invalid_argument if (p, q) isn't chainable.
Pattern chain_product(const Pattern& p, const Pattern& q);

/// True if every matrix supported on p * q is a product of factors supported on p and q:
/// r(p, q) >= min(b of p, c of q).
bool is_redundant(const Pattern& p, const Pattern& q);

/// The product pattern of the whole chain.
Pattern chain_product(const Patterns& chain);

/// Redundancy removal: the groups [first, last) of consecutive patterns whose product patterns
/// form a chain without redundant pairs that expresses the same set of matrices.
std::vector<std::pair<std::size_t, std::size_t>> reduce_chain(const Patterns& chain);

}  // namespace papilio
