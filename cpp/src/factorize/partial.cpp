#include "factorize/partial.hpp"

#include <algorithm>
#include <cmath>

#include "papilio/threads.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace papilio {

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  constexpr std::size_t huge = std::size_t{2} << 20;
  const std::size_t alignment = bytes < 2 * huge ? 64 : huge;
  data_ = {::operator new(bytes, std::align_val_t{alignment}), Free{alignment}};
#if defined(__linux__)
  // Advice: without huge pages all is as before.
  if (alignment == huge) madvise(data_.get(), bytes / huge * huge, MADV_HUGEPAGE);
#endif
}

std::vector<double> for_blocks(Index first, Index last, double cost, std::size_t width,
                               const Tick& tick, const std::function<BlockWorker()>& make_worker) {
  const Index count = last - first, group = std::clamp(count / 64, Index{1}, Index{16});
  const Index groups = (count + group - 1) / group;
  std::vector<double> sums(width);
  if (count <= 0) return sums;
  const double group_cost = cost * static_cast<double>(std::min(group, count));
  const int threads = threads_for(groups, cost * static_cast<double>(count));
  // Between rounds of some 20 ms, the caller is asked whether to go on.
  const Index round =
      std::clamp(static_cast<Index>(2e7 * threads / group_cost), Index{threads}, groups);
  std::vector<BlockWorker> workers;
  for (int n = 0; n < threads; ++n) workers.push_back(make_worker());
  std::vector<double> parts(static_cast<std::size_t>(groups) * width);
  const SingleThreadedBlas single(threads > 1);
  for (Index begin = 0; begin < groups; begin += round) {
    const Index end = std::min(begin + round, groups), size = end - begin;
    parallel(threads, [&](int thread, int team) {
      const BlockWorker& worker = workers[static_cast<std::size_t>(thread)];
      for (Index g = begin + size * thread / team; g < begin + size * (thread + 1) / team; ++g)
        for (Index n = first + g * group; n < std::min(first + (g + 1) * group, last); ++n)
          worker(n, parts.data() + static_cast<std::size_t>(g) * width);
    });
    tick(group_cost * static_cast<double>(size));
  }
  for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g)
    for (std::size_t n = 0; n < width; ++n) sums[n] += parts[g * width + n];
  return sums;
}

double cut_cost(const Interface& blocks, bool complex) {
  const double rows = static_cast<double>(blocks.rows()), cols = static_cast<double>(blocks.cols()),
               rank = static_cast<double>(blocks.rank()), small = std::min(rows, cols);
  // A read and a write, the Gram matrix and its eigenvectors, the projection.
  const double flops = rows * cols * (0.5 * small + rank) + small * small * small;
  return 300 + rows * cols * 0.5 + (complex ? 4 : 1) * 0.1 * flops;
}

namespace {

template <class T>
void copy(Strided<T> from, Index rows, Index cols, T* to) {
  for (Index k = 0; k < cols; ++k)
    for (Index j = 0; j < rows; ++j) to[j + k * rows] = from(j, k);
}
template <class T>
void copy_back(const T* from, Index rows, Index cols, Strided<T> to) {
  for (Index k = 0; k < cols; ++k)
    for (Index j = 0; j < rows; ++j) to(j, k) = from[j + k * rows];
}

/// Blocks of `from` (its rows along `length`) get orthonormal columns; R goes to the blocks of
/// `into`: into <- R into.
template <class T, class From, class Into>
void pass(const Interface& blocks, Index length, Index other, bool conjugated, const Tick& tick,
          From from, Into into) {
  const Index rank = blocks.rank();
  const double cost = 1e3 + 4 * static_cast<double>((length + other) * rank * rank) / 4;
  for_blocks(
      0, blocks.blocks(), cost, 0, [&](double) { tick(0); },
      [&]() -> BlockWorker {
        struct Work {
          Qr<T> qr;
          std::vector<T> q, r, old;
        };
        const auto elements = [](Index n) { return static_cast<std::size_t>(n); };
        auto work = std::make_shared<Work>(
            Work{Qr<T>(length, rank), std::vector<T>(elements(length * rank)),
                 std::vector<T>(elements(rank * rank)), std::vector<T>(elements(rank))});
        return [=](Index n, double*) {
          const Strided<T> x = from(n), y = into(n);
          copy(x, length, rank, work->q.data());
          if (conjugated)
            for (T& value : work->q) value = conjugate(value);
          work->qr.compute(work->q.data(), work->r.data());
          if (conjugated)
            for (T& value : work->q) value = conjugate(value);
          copy_back(work->q.data(), length, rank, x);
          for (Index k = 0; k < other; ++k) {
            for (Index i = 0; i < rank; ++i) {
              T sum(0);
              for (Index t = i; t < rank; ++t) {
                const T r = work->r[elements(i + t * rank)];
                sum += (conjugated ? conjugate(r) : r) * y(t, k);
              }
              work->old[elements(i)] = sum;
            }
            for (Index i = 0; i < rank; ++i) y(i, k) = work->old[elements(i)];
          }
        };
      });
}

}  // namespace

template <class T>
void pass_right(Partial<T>& left, Partial<T>& right, const Tick& tick) {
  const Interface blocks(left.pattern, right.pattern);
  pass<T>(
      blocks, blocks.rows(), blocks.cols(), false, tick,
      [&](Index n) { return left_block(left, blocks, n); },
      [&](Index n) { return right_block(right, blocks, n); });
}

template <class T>
void pass_left(Partial<T>& left, Partial<T>& right, const Tick& tick) {
  // The same from the other side: right^H = Q R, so right = R^H Q^H; element by element, the
  // transposed block is conj(Q) conj(R).
  const Interface blocks(left.pattern, right.pattern);
  pass<T>(
      blocks, blocks.cols(), blocks.rows(), true, tick,
      [&](Index n) { return right_block(right, blocks, n).transposed(); },
      [&](Index n) { return left_block(left, blocks, n).transposed(); });
}

namespace {

template <class T>
void balance(Partial<T>& left, Partial<T>& right) {
  const Interface blocks(left.pattern, right.pattern);
  const auto norm = [](Strided<T> block, Index rho, Index count) {
    double sum = 0;
    for (Index n = 0; n < count; ++n) sum += squared(block(n, rho));
    return std::sqrt(sum);
  };
  const auto scale = [](Strided<T> block, Index rho, Index count, double by) {
    for (Index n = 0; n < count; ++n) block(n, rho) *= static_cast<Real<T>>(by);
  };
  for (Index n = 0; n < blocks.blocks(); ++n) {
    const Strided<T> l = left_block(left, blocks, n);
    const Strided<T> r = right_block(right, blocks, n).transposed();
    for (Index rho = 0; rho < blocks.rank(); ++rho) {
      const double left_norm = norm(l, rho, blocks.rows());
      const double right_norm = norm(r, rho, blocks.cols());
      // A column or row of zeros makes its partner useless: both become zero.
      const bool zero = left_norm == 0 || right_norm == 0;
      const double by = zero ? 0 : std::sqrt(right_norm / left_norm);
      scale(l, rho, blocks.rows(), by);
      scale(r, rho, blocks.cols(), zero ? 0 : 1 / by);
    }
  }
}

}  // namespace

template <class T>
void balance(std::vector<Partial<T>>& factors) {
  for (std::size_t n = factors.size(); n-- > 1;) balance(factors[n - 1], factors[n]);
  for (std::size_t n = 1; n < factors.size(); ++n) balance(factors[n - 1], factors[n]);
  double log_mean = 0;
  std::vector<double> norms;
  for (const Partial<T>& factor : factors) {
    double sum = 0;
    for (const T& x : factor.values) sum += squared(x);
    if (sum == 0) return;
    norms.push_back(std::sqrt(sum));
    log_mean += std::log(norms.back()) / static_cast<double>(factors.size());
  }
  // The last factor takes what the others were given, so that the product keeps its scale.
  Real<T> product = 1;
  for (std::size_t n = 0; n < factors.size(); ++n) {
    Real<T> by = static_cast<Real<T>>(std::exp(log_mean) / norms[n]);
    if (n + 1 == factors.size()) by = 1 / product;
    product *= by;
    for (T& x : factors[n].values) x *= by;
  }
}

#define PAPILIO_INSTANTIATE(T)                                     \
  template void pass_right(Partial<T>&, Partial<T>&, const Tick&); \
  template void pass_left(Partial<T>&, Partial<T>&, const Tick&);  \
  template void balance(std::vector<Partial<T>>&);
PAPILIO_INSTANTIATE(float)
PAPILIO_INSTANTIATE(double)
PAPILIO_INSTANTIATE(std::complex<float>)
PAPILIO_INSTANTIATE(std::complex<double>)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
