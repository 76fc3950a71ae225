// Disjoint classes, and what theorem 2 leaves of incomplete ones: one truncated SVD for each block.
#include <cmath>

#include "factorize/block_svd.hpp"
#include "fixed_support/index_sets.hpp"
#include "fixed_support/row_entries.hpp"

namespace papilio {

namespace {

/// A block to be approximated: positions within the rows and columns of a class.
struct Job {
  std::int32_t owner;
  IndexSpan row_positions, col_positions;
  Index rows, cols, rank;
  double cost() const {
    const double r = static_cast<double>(rows), c = static_cast<double>(cols);
    return 1e3 + 4 * r * c * std::min(r, c);
  }
  bool same_shape(const Job& other) const {
    return rows == other.rows && cols == other.cols && rank == other.rank;
  }
};

template <class T>
class PieceWorker {
 public:
  PieceWorker(const RowMatrix& matrix, const Supports& supports, const SupportAnalysis& analysis,
              double ridge, T* x, T* y)
      : entries_(matrix),
        supports_(supports),
        analysis_(analysis),
        ridge_(ridge),
        scale_(matrix.scale),
        x_(x),
        y_(y) {}

  /// Returns the norm of what is discarded, times the matrix's scale.
  double solve(const Job& job) {
    poll_interruption();
    if (!job.same_shape(shape_)) {
      if (ridge_ > 0)
        full_svd_ = std::make_unique<Svd<T>>(job.rows, job.cols);
      else
        svd_ = std::make_unique<BlockSvd<T>>(job.rows, job.cols, job.rank);
      shape_ = job;
      block_.resize(at(job.rows * job.cols));
      left_.resize(at(job.rows * job.rank));
      right_.resize(at(job.rank * job.cols));
    }
    const IndexSpan inner = analysis_.members[job.owner];
    const IndexSpan rows = supports_.left[inner[0]], cols = supports_.right[inner[0]];
    columns_.clear();
    for (std::int32_t position : job.col_positions) columns_.push_back(cols[position]);
    const IndexSpan columns{columns_.data(), columns_.data() + columns_.size()};
    for (Index j = 0; j < job.rows; ++j)
      entries_.gather(rows[job.row_positions[j]], columns, block_.data() + j, job.rows);
    const int half = scale_down();
    const double discarded =
        ridge_ > 0
            ? shrink(job, ridge(half))
            : std::sqrt(std::max(0.0, svd_->factor(block_.data(), job.rows, job.cols,
                                                   Gauge::balanced, left_.data(), right_.data())));
    const Real<T> back = std::ldexp(Real<T>(1), half);
    for (Index rho = 0; rho < job.rank; ++rho) {
      T* x = x_ + supports_.left.start[inner[rho]];
      T* y = y_ + supports_.right.start[inner[rho]];
      for (Index j = 0; j < job.rows; ++j)
        x[job.row_positions[j]] = left_[at(j + rho * job.rows)] * back;
      for (Index k = 0; k < job.cols; ++k)
        y[job.col_positions[k]] = right_[at(rho + k * job.rank)] * back;
    }
    return std::ldexp(scale_, 2 * half) * discarded;
  }

 private:
  /// Brings the largest entry of the block near 1 by a power of four; returns half its exponent.
  int scale_down() {
    double largest = 0;
    for (const T& x : block_) largest = std::max(largest, largest_part(Wide<T>(x)));
    if (!(largest > 0)) return 0;
    const int half = std::ilogb(largest) / 2;
    const Real<T> down = std::ldexp(Real<T>(1), -half);
    for (T& x : block_) x = x * down * down;
    return half;
  }

  /// The ridge of the block that was scaled down.
  double ridge(int half) const { return std::ldexp(ridge_, -half) * std::ldexp(1.0, -half); }

  /// The ridge takes mu from each singular value.
  double shrink(const Job& job, double ridge) {
    full_svd_->compute(block_.data());
    const Index all = full_svd_->inner();
    double discarded = 0;
    for (Index rho = all; rho-- > 0;) {
      const double sigma = full_svd_->sigma()[rho];
      if (rho >= job.rank) {
        discarded += sigma * sigma;
        continue;
      }
      const auto root = static_cast<Real<T>>(std::sqrt(sigma - std::min(sigma, ridge)));
      for (Index j = 0; j < job.rows; ++j)
        left_[at(j + rho * job.rows)] = full_svd_->u()[j + rho * job.rows] * root;
      for (Index k = 0; k < job.cols; ++k)
        right_[at(rho + k * job.rank)] = full_svd_->vh()[rho + k * all] * root;
    }
    return std::sqrt(discarded);
  }

  RowEntries<T> entries_;
  const Supports& supports_;
  const SupportAnalysis& analysis_;
  double ridge_, scale_;
  T *x_, *y_;
  Job shape_{};
  std::unique_ptr<BlockSvd<T>> svd_;
  std::unique_ptr<Svd<T>> full_svd_;  // in its place if there is a ridge
  std::vector<T> block_, left_, right_;
  std::vector<std::int32_t> columns_;
};

/// All blocks, those of one shape together. `all` is 0, 1, 2, ...: the positions of whole classes.
std::vector<Job> list_jobs(const Supports& supports, const SupportAnalysis& analysis, double ridge,
                           const std::vector<std::int32_t>& all) {
  std::vector<Job> jobs;
  const auto add = [&](std::int32_t owner, IndexSpan rows, IndexSpan cols) {
    const Index rank = std::min({analysis.members[owner].size(), rows.size(), cols.size()});
    jobs.push_back({owner, rows, cols, rows.size(), cols.size(), rank});
  };
  for (Index p = 0; p < analysis.members.size(); ++p) {
    if (analysis.kinds[at(analysis.component[at(p)])] != ComponentKind::disjoint) continue;
    const std::int32_t i = analysis.members[p][0];
    add(static_cast<std::int32_t>(p), {all.data(), all.data() + supports.left[i].size()},
        {all.data(), all.data() + supports.right[i].size()});
  }
  if (ridge == 0)
    for (Index n = 0; n < analysis.piece_rows.size(); ++n)
      add(analysis.piece_class[at(n)], analysis.piece_rows[n], analysis.piece_cols[n]);
  std::stable_sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
    return std::tie(a.rows, a.cols, a.rank) < std::tie(b.rows, b.cols, b.rank);
  });
  return jobs;
}

template <class T>
double solve_all(const RowMatrix& matrix, const Supports& supports, const SupportAnalysis& analysis,
                 double ridge, T* x, T* y, const Progress& progress) {
  std::vector<std::int32_t> all(at(std::max(supports.rows, supports.cols)));
  std::iota(all.begin(), all.end(), 0);
  const std::vector<Job> jobs = list_jobs(supports, analysis, ridge, all);
  double total = 0;
  for (const Job& job : jobs) total += job.cost();
  const int threads = threads_for(static_cast<Index>(jobs.size()), total);
  std::vector<PieceWorker<T>> workers;
  for (int n = 0; n < threads; ++n) workers.emplace_back(matrix, supports, analysis, ridge, x, y);
  std::vector<double> errors(jobs.size());
  // Not for one block alone: then BLAS may use its threads. Whether it does may not depend on how
  // many threads there are, since its results do.
  const SingleThreadedBlas single(jobs.size() > 1);
  double done = 0;
  for (std::size_t begin = 0; begin < jobs.size();) {
    // A round of some ten milliseconds; within it, each thread takes neighbours of equal cost.
    std::vector<double> cost{0};
    std::size_t end = begin;
    while (end < jobs.size() && (cost.back() < 2e7 * threads || end - begin < at(threads)))
      cost.push_back(cost.back() + jobs[end++].cost());
    const auto share = [&](int thread, int team) {
      return begin +
             at(std::lower_bound(cost.begin(), cost.end() - 1, cost.back() * thread / team) -
                cost.begin());
    };
    parallel(threads, [&](int thread, int team) {
      for (std::size_t n = share(thread, team); n < share(thread + 1, team); ++n)
        errors[n] = workers[at(thread)].solve(jobs[n]);
    });
    done += cost.back();
    begin = end;
    if (progress) progress(std::min(1.0, done / total));
  }
  return norm_of(errors.data(), static_cast<Index>(errors.size()));
}

}  // namespace

double solve_pieces(const RowMatrix& matrix, const Supports& supports,
                    const SupportAnalysis& analysis, double ridge, void* x, void* y,
                    const Progress& progress) {
  return visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    return solve_all(matrix, supports, analysis, ridge, static_cast<T*>(x), static_cast<T*>(y),
                     progress);
  });
}

}  // namespace papilio
