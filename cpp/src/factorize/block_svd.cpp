#include "factorize/block_svd.hpp"

#include <algorithm>
#include <cmath>

namespace papilio {

template <class T>
double BlockSvd<T>::factor(T* block, Index rows, Index cols, Gauge gauge, T* left, T* right) {
  using R = Real<T>;
  svd_.compute(block);
  const Index inner = svd_.inner(), kept = std::min(rank_, inner);
  std::fill(left, left + rows * rank_, T(0));
  std::fill(right, right + rank_ * cols, T(0));
  for (Index rho = 0; rho < kept; ++rho) {
    const R sigma = svd_.sigma()[rho];
    const R share = gauge == Gauge::balanced ? std::sqrt(sigma) : sigma;
    const R on_left = gauge == Gauge::left_orthonormal ? R(1) : share;
    const R on_right = gauge == Gauge::right_orthonormal ? R(1) : share;
    for (Index j = 0; j < rows; ++j) left[j + rho * rows] = svd_.u()[j + rho * rows] * on_left;
    for (Index k = 0; k < cols; ++k) right[rho + k * rank_] = svd_.vh()[rho + k * inner] * on_right;
  }
  double discarded = 0;
  for (Index rho = inner; rho-- > kept;)
    discarded += squared(static_cast<double>(svd_.sigma()[rho]));
  return discarded;
}

template class BlockSvd<float>;
template class BlockSvd<double>;
template class BlockSvd<std::complex<float>>;
template class BlockSvd<std::complex<double>>;

}  // namespace papilio
