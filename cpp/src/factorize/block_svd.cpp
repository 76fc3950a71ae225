#include "factorize/block_svd.hpp"

#include "factorize/block_svd_parts.hpp"

namespace papilio {

using namespace block_svd;

template <class T>
BlockSvd<T>::BlockSvd(Index rows, Index cols, Index rank)
    : s_(std::min(rows, cols)),
      t_(std::max(rows, cols)),
      rank_(rank),
      transposed_(cols < rows),
      kernels_(kernels::block_kernels_for(dtype_of_type<T>)),
      product_kernels_(kernels::kernels_for(dtype_of_type<T>)) {}

template <class T>
kernels::Panel BlockSvd<T>::panel_of(Strided<const T> block) {
  if (transposed_) block = block.transposed();
  // Rows at a large power of two from each other would share few places in the caches.
  const bool collides = s_ >= 8 && block.row_step * static_cast<Index>(sizeof(T)) % 4096 == 0;
  if (block.col_step == 1 && !collides) return {block.data, s_, t_, block.row_step};
  packed_.resize(elements(s_ * t_));
  if (std::abs(block.col_step) <= std::abs(block.row_step)) {
    for (Index j = 0; j < s_; ++j)
      for (Index k = 0; k < t_; ++k) packed_[elements(j * t_ + k)] = block(j, k);
  } else {
    for (Index k = 0; k < t_; ++k)
      for (Index j = 0; j < s_; ++j) packed_[elements(j * t_ + k)] = block(j, k);
  }
  return {packed_.data(), s_, t_, t_};
}

template <class T>
double BlockSvd<T>::factor(const T* block, Index rows, Index cols, Gauge gauge, T* left, T* right) {
  static_cast<void>(cols);
  return factor({block, 1, rows}, gauge, {left, 1, rows}, {right, 1, rank_});
}

template <class T>
double BlockSvd<T>::factor(Strided<const T> block, Gauge gauge, Strided<T> left, Strided<T> right) {
  const Strided<T> u_side = transposed_ ? right.transposed() : left;
  const Strided<T> r_side = transposed_ ? left.transposed() : right;
  const bool orthonormal_u =
      gauge == (transposed_ ? Gauge::right_orthonormal : Gauge::left_orthonormal);
  const Panel panel = panel_of(block);
  const Index rank = std::min(rank_, s_);
  u_.assign(elements(s_ * rank), T(0));
  kept_.clear();
  found_ = 0;
  const bool whole = rank == s_;
  if (whole) {
    for (Index j = 0; j < s_; ++j) u_[elements(j * s_ + j)] = T(1);
    norm2_ = residual(panel, nullptr, {nullptr, 0, t_, 0}, nullptr, 0);
  } else {
    find_subspace(panel, rank, 0);
  }
  const bool in_place = orthonormal_u && r_side.col_step == 1;
  T* rows = in_place ? r_side.data : nullptr;
  Index rows_step = r_side.row_step;
  if (!in_place) {
    right_.resize(elements(rank * t_));
    rows = right_.data();
    rows_step = t_;
  }
  double discarded = 0;
  if (whole) {
    const T* from = static_cast<const T*>(panel.data);
    for (Index j = 0; j < s_; ++j)
      std::copy(from + j * panel.row_step, from + j * panel.row_step + t_, rows + j * rows_step);
  } else {
    project(panel, u_.data(), rank, rows, rows_step);
    discarded = norm2_;
    for (double energy : kept_) discarded -= energy;
    // The difference has lost the digits of a small rest: look at the rest itself.
    if (discarded < lost_digits<R> * norm2_)
      discarded = residual(panel, u_.data(), {rows, rank, t_, rows_step}, nullptr, 0);
  }
  if (gauge == Gauge::balanced) {
    for (Index rho = 0; rho < found_; ++rho) {
      const double sigma = std::sqrt(std::sqrt(kept_[elements(rho)]));
      const R up = static_cast<R>(sigma), down = static_cast<R>(sigma > 0 ? 1 / sigma : 0);
      for (Index j = 0; j < s_; ++j) u_[elements(j + rho * s_)] *= up;
      for (Index k = 0; k < t_; ++k) rows[k + rho * rows_step] *= down;
    }
  } else if (!orthonormal_u) {
    orthonormalize_rows(rows, u_.data());
  }
  for (Index rho = 0; rho < rank_; ++rho) {
    for (Index j = 0; j < s_; ++j) u_side(j, rho) = rho < rank ? u_[elements(j + rho * s_)] : T(0);
    if (in_place && rho < rank) continue;
    for (Index k = 0; k < t_; ++k) r_side(rho, k) = rho < rank ? rows[k + rho * rows_step] : T(0);
  }
  return discarded;
}

template <class T>
const std::vector<double>& BlockSvd<T>::spectrum(Strided<const T> block, double resolution) {
  const Panel panel = panel_of(block);
  u_.assign(elements(s_ * s_), T(0));
  kept_.clear();
  found_ = 0;
  find_subspace(panel, s_, resolution);
  kept_.resize(elements(s_), 0.0);
  std::sort(kept_.begin(), kept_.end(), std::greater<double>());
  return kept_;
}

template <class T>
void BlockSvd<T>::find_subspace(Panel panel, Index rank, double resolution) {
  if (s_ <= largest_gram) return subspace_by_gram(panel, rank, resolution);
  norm2_ = residual(panel, nullptr, {nullptr, 0, t_, 0}, nullptr, 0);
  if (norm2_ == 0 || !std::isfinite(norm2_)) return;
  if (rank < s_ && subspace_by_iteration(panel, rank)) return;
  subspace_by_lapack(panel, rank);
}

template <class T>
void BlockSvd<T>::subspace_by_lapack(const Panel& panel, Index rank) {
  if (svd_.empty()) svd_.emplace_back(t_, s_);
  Svd<T>& svd = svd_.front();
  // Row by row the panel is its transpose column by column: X^T = U S Vh, and the left singular
  // vectors of X are the rows of Vh.
  std::vector<T> copy(elements(s_ * t_));
  const T* from = static_cast<const T*>(panel.data);
  for (Index j = 0; j < s_; ++j)
    std::copy(from + j * panel.row_step, from + j * panel.row_step + t_, copy.data() + j * t_);
  svd.compute(copy.data());
  for (Index rho = 0; rho < rank; ++rho) {
    for (Index j = 0; j < s_; ++j) u_[elements(j + rho * s_)] = svd.vh()[rho + j * s_];
    kept_.push_back(squared(static_cast<double>(svd.sigma()[rho])));
  }
  found_ = rank;
}

/// rows (rank x t, t apart) = L Q: rows become Q, with orthonormal rows, and u becomes u L.
template <class T>
void BlockSvd<T>::orthonormalize_rows(T* rows, T* u) {
  const Index rank = std::min(rank_, s_);
  if (rank == 1) {
    const R norm = static_cast<R>(normalize(rows, t_));
    for (Index j = 0; j < s_; ++j) u[j] *= norm;
    return;
  }
  // Row by row, rows is R^T column by column; R^T = Q' R' gives R = R'^T Q'^T. (rank <= s <= t)
  Qr<T> qr(t_, rank);
  std::vector<T> triangle(elements(rank * rank)), old(u, u + s_ * rank);
  qr.compute(rows, triangle.data());
  for (Index i = 0; i < rank; ++i) {
    if (rank * s_ > 10000) poll_interruption();
    for (Index j = 0; j < s_; ++j) {
      T sum(0);
      for (Index m = i; m < rank; ++m)
        sum += old[elements(j + m * s_)] * triangle[elements(i + m * rank)];
      u[j + i * s_] = sum;
    }
  }
}

template class BlockSvd<float>;
template class BlockSvd<double>;
template class BlockSvd<std::complex<float>>;
template class BlockSvd<std::complex<double>>;

}  // namespace papilio
