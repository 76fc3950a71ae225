// Powers of two out of factors of extreme size: no product of theirs may overflow or vanish on the
// way to one that doesn't.
#pragma once

#include <vector>

#include "factorize/partial.hpp"

namespace papilio {

template <class T>
bool is_finite(const Partial<T>& factor);

/// Gives a factor of extreme size a largest entry near 1; returns the exponent of the power of two
/// by which it was divided. Throws std::invalid_argument for NaN and infinity, as the next one.
template <class T>
int make_moderate(Partial<T>& factor);

/// Where entries are extreme, makes columns and the rows that they meet equally long, and all
/// factors of order 1; returns the exponent of the power of two by which the product was divided.
template <class T>
int make_moderate(std::vector<Partial<T>>& factors);

}  // namespace papilio
