// Lower ranks at the interfaces of a chain.
#pragma once

#include <vector>

#include "factorize/partial.hpp"

namespace papilio {

/// Ranks above the size of a block become that size: the block of one side is multiplied into
/// the other and replaced by the identity.
template <class T>
void shrink_ranks(std::vector<Partial<T>>& factors);

/// What a truncation may discard, squared: by what is measured before it, and by what it then does
/// discard; for rounding, the latter may be more.
struct Allowance {
  double measured, discarded;
};

/// Truncates the blocks of `left`, the centre, to the smallest rank (up to max_rank, unless that is
/// 0) that discards no more than is allowed, and moves the centre to `right`. Returns what was
/// discarded, squared, and in `tails` what each rank would have.
template <class T>
double truncate(Partial<T>& left, Partial<T>& right, const Allowance& allowed, Index max_rank,
                std::vector<double>& tails);

}  // namespace papilio
