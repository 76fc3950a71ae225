// Weights as the kernels read them: factors multiplied with their neighbours, values in the order
// in which they are used.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "papilio/apply.hpp"

namespace papilio {

/// Aligned memory, all zero; in huge pages where it is large and the system has them.
std::shared_ptr<void> allocate_bytes(std::size_t bytes);

/// The same for so many entries.
template <class T>
std::shared_ptr<T> allocate(Index entries) {
  return std::static_pointer_cast<T>(allocate_bytes(static_cast<std::size_t>(entries) * sizeof(T)));
}

/// A factor, or the product of neighbouring ones, and the memory of its values if it is new.
struct Product {
  Factor factor;
  std::shared_ptr<const void> owner;
};

/// The pattern of that product and along which axes it is tied, without its values.
Factor product_shape(const Chain& chain, std::size_t first, std::size_t last);

/// The product of the factors [first, last) of the chain, with a value for each l or for all.
Product multiply(const Chain& chain, std::size_t first, std::size_t last);

/// Groups [first, last) of neighbours among the factors [begin, end) that are worth being
/// multiplied: their product is of square blocks of at most radix and needs hardly more
/// multiply-adds than they do one after the other. Factors with d below `least_d` are left alone,
/// and so are those whose values are so large or so small that products of them might overflow or
/// vanish.
std::vector<std::pair<std::size_t, std::size_t>> group_factors(const Chain& chain,
                                                               std::size_t begin, std::size_t end,
                                                               Index radix, Index least_d);

/// Values of a factor with the strides that lead through them, 0 along tied axes; `run` and
/// `identities` as in Factor, whose strides are those of rows with weights then. Transposition only
/// exchanges j and k, and b and c of the pattern.
struct Weights {
  Pattern pattern;
  const void* values;
  Index i, j, k, l;
  Index run;
  Identities identities = {};

  /// How far the value for this l is from the first of its row.
  Index along(Index at) const { return (run == 1 ? at : at / run) * l; }
};
Weights weights_of(const Factor& factor, bool transpose);

/// [i][l][j][k]: the block of each (i, l) is contiguous.
std::shared_ptr<const void> pack_blocks(DType dtype, const Factor& factor);

/// [i][l / lanes][j][k][l % lanes], filled up with zeros, for d >= lanes; as they are, with room
/// for a load of a whole SIMD vector at the end, for smaller d.
std::shared_ptr<const void> pack_lanes(DType dtype, const Factor& factor, Index lanes);

/// [i][output / lanes][k][output % lanes], filled up with zeros; outputs are (j, l) in order.
std::shared_ptr<const void> pack_outputs(DType dtype, const Weights& weights, Index lanes);

/// [SIMD vector][q][lane n], for the input lane n ^ (q*d); see kernels.hpp.
std::shared_ptr<const void> pack_within(DType dtype, const Weights& weights, Index lanes);

}  // namespace papilio
