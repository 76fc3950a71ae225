// How a chain is divided into stages: which neighbours run as one, and by which kind of kernel.
#pragma once

#include <optional>
#include <vector>

#include "apply/program.hpp"
#include "apply/structure.hpp"

namespace papilio {

/// Factors [first, last) that are one stage. A piece without structure is run by the kernels for
/// any weights; `kind` then isn't set.
struct Piece {
  std::size_t first, last;
  std::optional<Structure> structure;
  Stage::Kind kind;
  bool real;  // a complex stage that is a real one for real and imaginary parts
};

/// The pieces, left to right. `structures` are those of the single factors. The kernel for permuted
/// blocks is used where `permuted_blocks` isn't empty.
std::vector<Piece> divide(const Chain& chain,
                          const std::vector<std::optional<Structure>>& structures, Lanes lanes,
                          Index radix, const std::vector<Index>& permuted_blocks);

/// For d = 1 and radix 8: the numbers of the blocks in such an order that each run of `lanes`
/// blocks reads neighbours: gather[blocks[n + lane] * 8 + k] = gather[blocks[n] * 8 + k] + lane.
/// The last run repeats blocks of the one before where `lanes` doesn't divide their number. Empty
/// if there is no such order. `gather` is the inverse of the column permutation.
std::vector<Index> order_blocks(const std::vector<Index>& gather, Index lanes);

}  // namespace papilio
