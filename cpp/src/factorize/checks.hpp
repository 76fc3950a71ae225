// What factorize refuses.
#pragma once

#include "papilio/factorize.hpp"

namespace papilio {

/// Throws std::invalid_argument for what factorize() says that it refuses, but for the entries, and
/// std::logic_error without LAPACK.
void check_factorize(const MatrixView& matrix, const Patterns& chain,
                     const FactorizeOptions& options);

}  // namespace papilio
