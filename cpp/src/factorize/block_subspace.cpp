// The dominant subspace of a block: by its Gram matrix, and by iteration with a certificate.
#include "factorize/block_svd_parts.hpp"

namespace papilio {

using namespace block_svd;

/// Appends unit vectors (rows) to the columns of u_, orthogonal to those that are there.
template <class T>
Index BlockSvd<T>::append(const T* vectors, Index count) {
  for (Index n = 0; n < count; ++n) {
    T* u = u_.data() + (found_ + n) * s_;
    std::copy(vectors + n * s_, vectors + (n + 1) * s_, u);
    if (found_ == 0) continue;
    for (int again = 0; again < 2; ++again)
      for (Index other = 0; other < found_ + n; ++other) {
        const T* v = u_.data() + other * s_;
        T dot(0);
        for (Index j = 0; j < s_; ++j) dot += conjugate(v[j]) * u[j];
        for (Index j = 0; j < s_; ++j) u[j] -= dot * v[j];
      }
    // A vector that was mostly one of the others stands for rounding errors: none is needed.
    if (normalize(u, s_) < 0.7) std::fill(u, u + s_, T(0));
  }
  return found_ += count;
}

template <class T>
void BlockSvd<T>::subspace_by_gram(Panel panel, Index rank, double resolution) {
  gram_.resize(elements(s_ * s_));
  vectors_.resize(elements(s_ * s_));
  values_.resize(elements(s_ + 1));
  const bool all = rank == s_;
  const Panel whole = panel;
  for (bool first = true;; first = false) {
    form_gram(panel);
    double trace = 0;
    for (Index j = 0; j < s_; ++j)
      trace += static_cast<double>(std::real(gram_[elements(j * s_ + j)]));
    if (first) norm2_ = trace;
    const double nothing = eps<R> * eps<R> * norm2_;
    if (!(trace > nothing) || !std::isfinite(trace) || trace <= 1e-2 * resolution * norm2_) return;
    const PowerOfTwo<R> scale(trace);
    const double back = scale.back;
    for (T& g : gram_) g *= scale.down;
    const Index left = rank - found_;
    bool certified = false;
    if (s_ == 2) {
      const R a = std::real(gram_[0]), c = std::real(gram_[3]);
      const T b = gram_[2];
      // The trace is about 1: squares of what counts don't vanish.
      const R half = (a - c) / 2, size = static_cast<R>(std::sqrt(squared(half) + squared(b)));
      values_[0] = (a + c) / 2 + size;
      values_[1] = std::max(R(0), (a + c) / 2 - size);
      T u[2] = {a >= c ? T(half + size) : conjugate(b), a >= c ? b : T(size - half)};
      if (normalize(u, 2) == 0) u[0] = T(1);
      const T u0 = u[0], u1 = u[1];
      vectors_[0] = u0;
      vectors_[1] = u1;
      vectors_[2] = -conjugate(u1);
      vectors_[3] = conjugate(u0);
    } else if (!all && s_ > 16 && 8 * left <= s_ && iterate_gram(left, norm2_ / back)) {
      certified = true;
    } else {
      work_.resize(elements(kernels::hermitian_work(s_)));
      if (!kernels_.hermitian(s_, left, gram_.data(), values_.data(), vectors_.data(),
                              work_.data())) {
        found_ = 0;
        kept_.clear();
        return subspace_by_lapack(whole, rank);
      }
    }
    double kept = 0;
    for (Index n = 0; n < left; ++n) kept += static_cast<double>(values_[elements(n)]) * back;
    bool accept = certified;
    if (certified) {
      // iterate() has looked at all of this.
    } else if (all) {
      accept = 4 * eps<R> * trace <= resolution * norm2_;
    } else {
      const double count = static_cast<double>(left);
      const double error = trace * gram_error();
      const double gap =
          static_cast<double>(values_[elements(left - 1)] - values_[elements(left)]) * back;
      const double discarded = std::max(0.0, trace - kept - static_cast<double>(s_) * error);
      accept = is_small<R>(loss_bound(count, error, gap), discarded, norm2_);
    }
    Index take = left;
    if (!accept) {
      take = 1;
      while (take < left && values_[elements(take)] >= static_cast<R>(dominant) * values_[0])
        ++take;
    }
    append(vectors_.data(), take);
    for (Index n = 0; n < take; ++n)
      kept_.push_back(std::max(0.0, static_cast<double>(values_[elements(n)])) * back);
    if (take == left) return;
    right_.resize(elements(std::max(take, rank) * t_));
    rest_.resize(elements(s_ * t_));
    const T* latest = u_.data() + (found_ - take) * s_;
    project(panel, latest, take, right_.data(), t_);
    residual(panel, latest, {right_.data(), take, t_, t_}, rest_.data(), t_);
    panel = {rest_.data(), s_, t_, t_};
  }
}

/// What rounding does to a Gram matrix and its eigenvectors, in units of the trace.
template <class T>
double BlockSvd<T>::gram_error() const {
  return eps<R> * static_cast<double>(kernels::additions_in_a_sum(t_, kernels_.lanes) + 2 * s_);
}

/// iterate() with gram_, whose block has this squared norm in its units.
template <class T>
bool BlockSvd<T>::iterate_gram(Index rank, double norm2) {
  double trace = 0, frobenius2 = 0;
  for (Index j = 0; j < s_; ++j)
    trace += static_cast<double>(std::real(gram_[elements(j * s_ + j)]));
  for (const T& g : gram_) frobenius2 += squared(g);
  conjugated_.resize(elements(s_ * rank));
  const auto multiply = [&](const T* u, T* z) {
    for (std::size_t n = 0; n < conjugated_.size(); ++n) conjugated_[n] = conjugate(u[n]);
    kernels_.cross({gram_.data(), s_, s_, s_}, {conjugated_.data(), rank, s_, s_}, z);
  };
  const auto rest2 = [&](double kept2) { return frobenius2 - kept2; };
  return iterate(rank, trace, norm2, trace * gram_error(), 12, multiply, rest2);
}

template <class T>
template <class Multiply, class Rest>
bool BlockSvd<T>::iterate(Index rank, double trace, double norm2, double error, int rounds,
                          Multiply multiply, Rest rest2) {
  basis_.resize(elements(s_ * rank));
  image_.resize(elements(s_ * rank));
  ritz_.resize(elements(rank * rank));
  mixed_.resize(elements(rank * rank));
  work_.resize(elements(std::max(kernels::hermitian_work(s_), kernels::hermitian_work(rank))));
  std::uint64_t state = 1;
  for (T& x : basis_) x = random_element<T>(state);
  const double count = static_cast<double>(rank);
  for (int round = 0; round < rounds; ++round) {
    if (!orthonormalize_columns(basis_.data(), s_, rank)) return false;
    multiply(basis_.data(), image_.data());
    double kept = 0, kept2 = 0, residual2 = 0;
    for (Index m = 0; m < rank; ++m) {
      if (rank * s_ > 10000) poll_interruption();
      for (Index n = 0; n < rank; ++n) {
        T dot(0);
        for (Index j = 0; j < s_; ++j)
          dot += conjugate(basis_[elements(j + m * s_)]) * image_[elements(j * rank + n)];
        ritz_[elements(m * rank + n)] = dot;
        kept2 += squared(dot);
        if (m == n) kept += static_cast<double>(std::real(dot));
      }
    }
    for (Index n = 0; n < rank; ++n) {
      if (rank * s_ > 10000) poll_interruption();
      for (Index j = 0; j < s_; ++j) {
        T rest = image_[elements(j * rank + n)];
        for (Index m = 0; m < rank; ++m)
          rest -= basis_[elements(j + m * s_)] * ritz_[elements(m * rank + n)];
        residual2 += squared(rest);
      }
    }
    if (rank == 1) {
      values_[0] = static_cast<R>(kept);
      mixed_[0] = T(1);
    } else if (!kernels_.hermitian(rank, rank, ritz_.data(), values_.data(), mixed_.data(),
                                   work_.data())) {
      return false;
    }
    const double discarded = std::max(0.0, trace - kept);
    const double outside = std::min(discarded, std::sqrt(std::max(0.0, rest2(kept2))));
    const double room = static_cast<double>(values_[elements(rank - 1)]) - outside - error;
    if (room > 0) {
      const double loss = residual2 / room + loss_bound(count, error, room);
      if (is_small<R>(loss, std::max(0.0, discarded - count * error), norm2)) {
        for (Index n = 0; n < rank; ++n)
          for (Index j = 0; j < s_; ++j) {
            T sum(0);
            for (Index m = 0; m < rank; ++m)
              sum += basis_[elements(j + m * s_)] * mixed_[elements(n * rank + m)];
            vectors_[elements(n * s_ + j)] = sum;
          }
        return true;
      }
    }
    // The certificate comes within a few rounds where there is a gap, and never without one.
    if (round >= 3 && room <= 0) return false;
    for (Index n = 0; n < rank; ++n)
      for (Index j = 0; j < s_; ++j) basis_[elements(j + n * s_)] = image_[elements(j * rank + n)];
  }
  return false;
}

template <class T>
bool BlockSvd<T>::subspace_by_iteration(const Panel& panel, Index rank) {
  if (rank > largest_gram || 4 * rank > s_) return false;
  right_.resize(elements(rank * t_));
  values_.resize(elements(rank + 1));
  vectors_.resize(elements(rank * s_));
  const Panel rows{right_.data(), rank, t_, t_};
  // As of a Gram matrix of trace about 1.
  const PowerOfTwo<R> scale(norm2_);
  const double trace = norm2_ / scale.back;
  const auto multiply = [&](const T* u, T* z) {
    project(panel, u, rank, right_.data(), t_);
    cross(panel, rows, z);
    for (Index n = 0; n < s_ * rank; ++n) z[n] *= scale.down;
  };
  const auto unknown = [](double) { return std::numeric_limits<double>::infinity(); };
  if (!iterate(rank, trace, trace, trace * gram_error(), 40, multiply, unknown)) return false;
  append(vectors_.data(), rank);
  for (Index n = 0; n < rank; ++n)
    kept_.push_back(static_cast<double>(values_[elements(n)]) * scale.back);
  return true;
}

#define PAPILIO_INSTANTIATE(T)                                       \
  template Index BlockSvd<T>::append(const T*, Index);               \
  template void BlockSvd<T>::subspace_by_gram(Panel, Index, double); \
  template bool BlockSvd<T>::subspace_by_iteration(const Panel&, Index);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
