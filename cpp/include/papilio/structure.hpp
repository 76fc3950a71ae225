// Structure inside factors: a constant Hadamard or Fourier matrix times diagonal twiddles.
#pragma once

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// Those matrices; for radix 2 both are the same.
enum class MatrixKind { hadamard, fourier, conjugate_fourier, unknown };

/// Makes values [i][j][k][l] of n x n blocks exactly matrix[j][k] t[i][k][l], or t[i][j][l], if
/// each is that within a part `tolerance` of itself, with the mean of what the values say for t.
/// The matrix has its rows and columns in natural order. Returns its kind; values that are no such
/// product stay, and the kind is unknown. `dtype` is a double one.
MatrixKind make_structured(DType dtype, void* values, Index a, Index n, Index d, double tolerance);

}  // namespace papilio
