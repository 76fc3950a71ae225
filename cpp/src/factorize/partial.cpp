#include "factorize/partial.hpp"

#include <algorithm>
#include <atomic>
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
  // Questions about interrupts are cheap, but not as cheap as the smallest blocks.
  const Index together = std::max(static_cast<Index>(1e5 / cost), Index{1});
  std::atomic<bool> ended{false};
  const auto run_group = [&](const BlockWorker& worker, Index g, Index& unasked) {
    const Index begin = first + g * group, end = std::min(begin + group, last);
    for (Index n = begin; n < end; ++n) {
      if (--unasked < 0) {
        poll_interruption();
        unasked = together - 1;
      }
      worker(n, parts.data() + static_cast<std::size_t>(g) * width);
    }
  };
  for (Index begin = 0; begin < groups; begin += round) {
    const Index end = std::min(begin + round, groups), size = end - begin;
    parallel(threads, [&](int thread, int team) {
      const BlockWorker& worker = workers[static_cast<std::size_t>(thread)];
      const Index stop = begin + size * (thread + 1) / team;
      Index unasked = 0;
      for (Index g = begin + size * thread / team; g < stop && !ended; ++g) try {
          run_group(worker, g, unasked);
        } catch (...) {
          ended = true;  // the others needn't finish what nobody gets
          throw;
        }
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

/// Blocks of `from` (its rows along `length`) get orthonormal columns, `inner` of them; R goes to
/// the blocks of `into`: into <- R into. Results go to new_from and new_into, which may be the
/// same.
template <class T, class From, class Into, class NewFrom, class NewInto>
void pass(const Interface& blocks, Index length, Index other, Index inner, bool conjugated,
          const Tick& tick, From from, Into into, NewFrom new_from, NewInto new_into) {
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
                 std::vector<T>(elements(inner * rank)), std::vector<T>(elements(inner))});
        return [=](Index n, double*) {
          const Strided<T> y = into(n), z = new_into(n);
          copy(from(n), length, rank, work->q.data());
          if (conjugated)
            for (T& value : work->q) value = conjugate(value);
          work->qr.compute(work->q.data(), work->r.data());
          if (conjugated)
            for (T& value : work->q) value = conjugate(value);
          copy_back(work->q.data(), length, inner, new_from(n));
          for (Index k = 0; k < other; ++k) {
            if (inner * rank > 10000) poll_interruption();
            for (Index i = 0; i < inner; ++i) {
              T sum(0);
              for (Index t = i; t < rank; ++t) {
                const T r = work->r[elements(i + t * inner)];
                sum += (conjugated ? conjugate(r) : r) * y(t, k);
              }
              work->old[elements(i)] = sum;
            }
            for (Index i = 0; i < inner; ++i) z(i, k) = work->old[elements(i)];
          }
        };
      });
}

/// pass() between the two sides of an interface, at a lower rank where that is too high.
template <class T>
Index pass_between(Partial<T>& left, Partial<T>& right, bool to_the_right, const Tick& tick) {
  const Interface old(left.pattern, right.pattern);
  const Index length = to_the_right ? old.rows() : old.cols();
  const Index other = to_the_right ? old.cols() : old.rows();
  const Index inner = std::min(length, old.rank());
  std::pair<Partial<T>, Partial<T>> lower;
  if (inner < old.rank()) lower = resized(left, right, old.rank(), inner);
  Partial<T>& new_left = inner < old.rank() ? lower.first : left;
  Partial<T>& new_right = inner < old.rank() ? lower.second : right;
  const Interface blocks(new_left.pattern, new_right.pattern);
  const auto left_of = [](Partial<T>& factor, const Interface& at) {
    return [&factor, at](Index n) { return left_block(factor, at, n); };
  };
  // From the other side it is the same: right^H = Q R, so right = R^H Q^H; element by element, the
  // transposed block is conj(Q) conj(R).
  const auto right_of = [](Partial<T>& factor, const Interface& at) {
    return [&factor, at](Index n) { return right_block(factor, at, n); };
  };
  const auto transposed = [](auto block) {
    return [block](Index n) { return block(n).transposed(); };
  };
  if (to_the_right)
    pass<T>(old, length, other, inner, false, tick, left_of(left, old), right_of(right, old),
            left_of(new_left, blocks), right_of(new_right, blocks));
  else
    pass<T>(old, length, other, inner, true, tick, transposed(right_of(right, old)),
            transposed(left_of(left, old)), transposed(right_of(new_right, blocks)),
            transposed(left_of(new_left, blocks)));
  if (inner < old.rank()) {
    left = std::move(lower.first);
    right = std::move(lower.second);
  }
  return inner;
}

}  // namespace

template <class T>
Index pass_right(Partial<T>& left, Partial<T>& right, const Tick& tick) {
  return pass_between(left, right, true, tick);
}

template <class T>
Index pass_left(Partial<T>& left, Partial<T>& right, const Tick& tick) {
  return pass_between(left, right, false, tick);
}

namespace {

template <class T>
void multiply(T* x, Index count, Index step, double by) {
  for (Index n = 0; n < count; ++n) x[n * step] *= static_cast<Real<T>>(by);
}

/// Makes two vectors equally long, to rounding or, where squares are out of range, to a factor of
/// two. If one is zero, its partner is useless: both become zero.
template <class T>
void equalize(T* x, Index x_count, Index x_step, T* y, Index y_count, Index y_step) {
  double x2 = 0, y2 = 0;
  for (Index n = 0; n < x_count; ++n) x2 += squared(x[n * x_step]);
  for (Index n = 0; n < y_count; ++n) y2 += squared(y[n * y_step]);
  // Between these the squares have all digits, and the quotient is a number of any type.
  constexpr double safe = sizeof(Real<T>) == 4 ? 0x1p120 : 0x1p500;
  const auto is_safe = [](double square) { return square < safe && square > 1 / safe; };
  if (is_safe(x2) && is_safe(y2)) {
    const double by = std::sqrt(std::sqrt(y2 / x2));
    multiply(x, x_count, x_step, by);
    multiply(y, y_count, y_step, 1 / by);
    return;
  }
  const ScaledNorm x_norm = scaled_norm(x_count, [&](Index n) { return x[n * x_step]; });
  const ScaledNorm y_norm = scaled_norm(y_count, [&](Index n) { return y[n * y_step]; });
  if (x_norm.size == 0 || y_norm.size == 0) {
    multiply(x, x_count, x_step, 0);
    multiply(y, y_count, y_step, 0);
    return;
  }
  // Powers of two: no product on the way to the result is out of range.
  const auto exponent = static_cast<int>(std::lround(std::log2(y_norm.size / x_norm.size) / 2 +
                                                     (y_norm.exponent - x_norm.exponent) / 2.0));
  for (Index n = 0; n < x_count; ++n) x[n * x_step] = times_power_of_two(x[n * x_step], exponent);
  for (Index n = 0; n < y_count; ++n) y[n * y_step] = times_power_of_two(y[n * y_step], -exponent);
}

template <class T>
void balance(Partial<T>& left, Partial<T>& right) {
  const Interface blocks(left.pattern, right.pattern);
  const Index entries = (blocks.rows() + blocks.cols()) * blocks.rank();
  const Index together = std::max((Index{1} << 16) / entries, Index{1});
  for (Index n = 0; n < blocks.blocks(); ++n) {
    if (n % together == 0) poll_interruption();
    const Strided<T> l = left_block(left, blocks, n), r = right_block(right, blocks, n);
    for (Index rho = 0; rho < blocks.rank(); ++rho)
      equalize(&l(0, rho), blocks.rows(), l.row_step, &r(rho, 0), blocks.cols(), r.col_step);
  }
}

}  // namespace

template <class T>
void balance(std::vector<Partial<T>>& factors) {
  for (std::size_t n = factors.size(); n-- > 1;) balance(factors[n - 1], factors[n]);
  for (std::size_t n = 1; n < factors.size(); ++n) balance(factors[n - 1], factors[n]);
  std::vector<double> logarithms;
  double log_mean = 0;
  for (const Partial<T>& factor : factors) {
    ScaledNorm norm;
    in_parts(factor.values.size(), [&](Index first, Index count) {
      const T* x = factor.values.data() + first;
      norm = hypotenuse(norm, scaled_norm(count, [x](Index n) { return x[n]; }));
    });
    if (norm.size == 0 || !std::isfinite(norm.size)) return;
    logarithms.push_back(std::log2(norm.size) + norm.exponent);
    log_mean += logarithms.back() / static_cast<double>(factors.size());
  }
  // The last factor takes what the others were given, so that the product keeps its scale.
  double given = 1;
  int given_exponent = 0;
  for (std::size_t n = 0; n < factors.size(); ++n) {
    const bool last = n + 1 == factors.size();
    const double power = log_mean - logarithms[n];
    const int exponent = last ? -given_exponent : static_cast<int>(std::lround(power));
    const Real<T> by = static_cast<Real<T>>(last ? 1 / given : std::exp2(power - exponent));
    given *= static_cast<double>(by);
    given_exponent += exponent;
    scale_by_power_of_two(factors[n].values, exponent);
    in_parts(factors[n].values.size(), [&](Index first, Index count) {
      for (Index k = first; k < first + count; ++k) factors[n].values.data()[k] *= by;
    });
  }
}

#define PAPILIO_INSTANTIATE(T)                                      \
  template Index pass_right(Partial<T>&, Partial<T>&, const Tick&); \
  template Index pass_left(Partial<T>&, Partial<T>&, const Tick&);  \
  template void balance(std::vector<Partial<T>>&);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
