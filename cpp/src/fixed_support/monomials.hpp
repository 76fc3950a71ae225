// Entries of factors that are powers of epsilon, with signs: T11 of the docs.
#pragma once

#include "fixed_support/zero_pattern.hpp"

namespace papilio {

/// Monomials at the used variables so that cells with one term are 1, or epsilon at `small`, and
/// cells with two are zero. Nothing if there are none with whole exponents, or a cell has more.
std::optional<Monomials> monomials_on(const CellProblem& problem, VariableSet used, Index small,
                                      SearchBudget& budget);

}  // namespace papilio
