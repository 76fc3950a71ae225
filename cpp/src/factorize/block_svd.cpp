#include "factorize/block_svd.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "papilio/interruption.hpp"

namespace papilio {

namespace {

constexpr Index largest_gram = 128;  // the short side from which on a Gram matrix doesn't pay
constexpr double wanted = 1e-10;     // relative to what is discarded
constexpr double rounding = 450;     // in units of eps and of the block's norm
constexpr double dominant = 1e-3;    // eigenvalues above this share of the largest are accurate

/// Below this share of a square, a difference of squares keeps less than ten digits, or four of
/// single precision.
template <class R>
constexpr double lost_digits = sizeof(R) == 4 ? 1e-2 : 1e-4;

template <class R>
constexpr double eps = static_cast<double>(std::numeric_limits<R>::epsilon()) / 2;

/// How many of `count` rows or columns, each of so many multiply-adds, one kernel's call gets: some
/// 20 ms of work, and a multiple of `unit`.
Index part_of(Index count, Index multiply_adds, Index unit) {
  constexpr Index most = Index{1} << 27;
  if (multiply_adds < most / 4096 && count < 4096) return count;  // without divisions
  return std::min(count,
                  std::max(most / std::max(multiply_adds, Index{1}) / unit, Index{1}) * unit);
}

std::size_t elements(Index n) { return static_cast<std::size_t>(n); }

template <class T>
T random_element(std::uint64_t& state) {
  const auto next = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<Real<T>>(static_cast<double>(state >> 11) * 0x1p-53 - 0.5);
  };
  if constexpr (std::is_same<T, Real<T>>::value)
    return next();
  else
    return {next(), next()};
}

/// The loss in kept squared norm that errors of `error` in a Gram matrix can cause when `count`
/// eigenvectors are kept and their gap to the others is `gap`.
double loss_bound(double count, double error, double gap) {
  const double any = 2 * count * error, room = gap - 2 * error;
  return room > 0 ? std::min(any, 4 * count * error * error / room) : any;
}

/// False if the columns are dependent.
template <class T>
bool orthonormalize_columns(T* u, Index rows, Index columns) {
  for (Index n = 0; n < columns; ++n) {
    if (rows * n > 10000) poll_interruption();
    T* x = u + n * rows;
    double norm = 0;
    for (int again = 0; again < 2; ++again) {
      for (Index m = 0; m < n; ++m) {
        const T* y = u + m * rows;
        T dot(0);
        for (Index j = 0; j < rows; ++j) dot += conjugate(y[j]) * x[j];
        for (Index j = 0; j < rows; ++j) x[j] -= dot * y[j];
      }
      norm = normalize(x, rows);
      if (!(norm > 0) || !std::isfinite(norm)) return false;
    }
    if (norm < 0.7) return false;
  }
  return true;
}

/// A power of two that brings a number near 1, and the one that brings it back. It changes no
/// digit, and keeps squares of small numbers from vanishing.
template <class R>
struct PowerOfTwo {
  explicit PowerOfTwo(double size) {
    int exponent = 0;
    std::frexp(size, &exponent);
    constexpr int limit = std::numeric_limits<R>::max_exponent - 8;
    exponent = std::clamp(exponent, -limit, limit);
    back = std::ldexp(1.0, exponent);
    down = static_cast<R>(std::ldexp(1.0, -exponent));
  }
  double back;
  R down;
};

/// Whether a loss is within what BlockSvd promises.
template <class R>
bool is_small(double loss, double discarded, double norm2) {
  const double limit = rounding * eps<R>;
  return loss <= std::max(2 * wanted * discarded, limit * limit * norm2);
}

}  // namespace

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

template <class T>
void BlockSvd<T>::form_gram(const Panel& panel) {
  const Index height = part_of(s_, s_ * t_, 1);
  if (height >= s_) return kernels_.cross(panel, panel, gram_.data());
  const T* data = static_cast<const T*>(panel.data);
  for (Index first = 0; first < s_; first += height) {
    poll_interruption();
    const Index last = std::min(first + height, s_);
    part_.resize(elements((last - first) * last));
    kernels_.cross({data + first * panel.row_step, last - first, t_, panel.row_step},
                   {data, last, t_, panel.row_step}, part_.data());
    for (Index i = first; i < last; ++i)
      for (Index j = 0; j <= i; ++j) {
        const T sum = part_[elements((i - first) * last + j)];
        gram_[elements(j * s_ + i)] = conjugate(sum);
        gram_[elements(i * s_ + j)] = sum;
      }
  }
}

template <class T>
void BlockSvd<T>::cross(const Panel& x, const Panel& y, T* out) {
  const Index height = part_of(x.rows, y.rows * x.columns, 4);
  const T* data = static_cast<const T*>(x.data);
  for (Index first = 0; first < x.rows; first += height) {
    poll_interruption();
    const Index count = std::min(height, x.rows - first);
    kernels_.cross({data + first * x.row_step, count, x.columns, x.row_step}, y,
                   out + first * y.rows);
  }
}

template <class T>
void BlockSvd<T>::project(const Panel& panel, const T* u, Index rank, T* out, Index out_step) {
  const Index lanes = product_kernels_.lanes;
  const Index width = part_of(t_, s_ * rank, lanes);
  const T* data = static_cast<const T*>(panel.data);
  for (Index first = 0; first < t_; first += width) {
    if (width < t_) poll_interruption();
    const Index count = std::min(width, t_ - first);
    kernels::StageArguments stage{};
    stage.b = rank;
    stage.c = s_;
    stage.d = 1;
    stage.weights = u;
    stage.weight_j = s_;
    stage.weight_k = 1;
    stage.conjugate = !std::is_same<T, R>::value;
    stage.in = data + first;
    stage.out = out + first;
    stage.i1 = stage.l1 = 1;
    stage.count = count / lanes;
    stage.tail = count % lanes;
    stage.in_row = panel.row_step;
    stage.out_row = out_step;
    stage.in_step = stage.out_step = lanes;
    product_kernels_.columns(stage);
  }
}

template <class T>
double BlockSvd<T>::residual(const Panel& panel, const T* u, Panel r, T* out, Index out_step) {
  const Index width = part_of(t_, s_ * (r.rows + 1), kernels_.lanes * kernels::chunk_vectors);
  const T *data = static_cast<const T*>(panel.data), *rows = static_cast<const T*>(r.data);
  double total = 0;
  for (Index first = 0; first < t_; first += width) {
    if (width < t_) poll_interruption();
    const Index count = std::min(width, t_ - first);
    total += kernels_.residual({data + first, s_, count, panel.row_step}, u,
                               {rows ? rows + first : nullptr, r.rows, count, r.row_step},
                               out ? out + first : nullptr, out_step);
  }
  return total;
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
