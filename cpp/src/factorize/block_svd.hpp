// The best rank-r approximation of one block: what a cut does, thousands of times.
#pragma once

#include "factorize/lapack.hpp"

namespace papilio {

/// Which factor takes the singular values of a cut.
enum class Gauge {
  left_orthonormal,   // U | S Vh
  right_orthonormal,  // U S | Vh
  balanced            // U sqrt(S) | sqrt(S) Vh
};

/// Truncated SVDs of rows x cols blocks at one rank; one object per thread.
template <class T>
class BlockSvd {
 public:
  BlockSvd(Index rows, Index cols, Index rank) : svd_(rows, cols), rank_(rank) {}

  /// block (column-major, destroyed) ~ left * right; left[j, rho] at left[j + rho*rows],
  /// right[rho, k] at right[rho + k*rank]. Ranks above min(rows, cols) are filled with zeros.
  /// Returns the squared Frobenius norm of what was discarded.
  double factor(T* block, Index rows, Index cols, Gauge gauge, T* left, T* right);

 private:
  Svd<T> svd_;
  Index rank_;
};

}  // namespace papilio
