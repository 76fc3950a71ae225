// What is done with the matrix to factorize entry by entry.
#pragma once

#include <vector>

#include "factorize/matrix.hpp"
#include "factorize/partial.hpp"

namespace papilio {

/// The squared norm of the part that a factor of this pattern can't reach.
template <class T>
double squared_norm_outside(Matrix<T>& matrix, const Pattern& pattern);

/// The matrix as a factor of one pattern; returns its squared norm.
template <class T>
double copy_matrix(Matrix<T>& matrix, Partial<T>& partial);

/// ||A - product of the factors||^2, some rows at a time; `tick` is called between them.
template <class T>
double squared_error(Matrix<T>& matrix, const std::vector<Partial<T>>& factors, const Tick& tick);

}  // namespace papilio
