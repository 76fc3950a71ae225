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

/// Complete classes, row by row. Every entry of their rectangles is taken by one class: through the
/// identity on its rows (X) and the entries (Y) if it has as many members as rows, else through the
/// entries (X) and the identity on its columns (Y).
template <class T>
class Filler {
 public:
  Filler(const RowMatrix& matrix, const Supports& supports, const SupportAnalysis& analysis, T* x,
         T* y)
      : entries_(matrix),
        supports_(supports),
        analysis_(analysis),
        root_(std::sqrt(matrix.scale)),
        x_(x),
        y_(y) {
    in_row_ = transposed(supports.left, supports.rows, &offset_);
    for (Index p = 0; p < analysis.members.size(); ++p) {
      const bool filled = analysis.complete[at(p)] &&
                          analysis.kinds[at(analysis.component[at(p)])] != ComponentKind::disjoint;
      fills_.push_back(filled);
      if (filled) set_identity(static_cast<std::int32_t>(p));
    }
  }

  void fill(Index begin, Index end, Pulse& pulse) const {
    std::vector<Wide<T>> sum(at(supports_.cols)), wanted(at(supports_.cols));
    std::vector<std::int64_t> taken(at(supports_.cols), -1);
    for (Index row = begin; row < end; ++row) {
      const IndexSpan inner = in_row_[row];
      const std::int64_t* offset = offset_.data() + in_row_.start[at(row)];
      pulse(1 + inner.size());
      if (!std::any_of(inner.begin(), inner.end(), [&](std::int32_t i) { return fills(i); }))
        continue;
      std::fill(sum.begin(), sum.end(), Wide<T>(0));
      for (Index n = 0; n < inner.size(); ++n) {
        const std::int32_t i = inner[n];
        if (fills(i)) continue;
        const T* y = y_ + supports_.right.start[i];
        const Wide<T> factor = Wide<T>(x_[offset[n]]) * root_;
        pulse(supports_.right[i].size());
        for (std::int32_t col : supports_.right[i])
          sum[at(col)] += factor * (Wide<T>(*y++) * root_);
      }
      for (Index n = 0; n < inner.size(); ++n)
        if (fills(inner[n]) && is_first(inner[n]))
          take(row, inner[n], offset[n], sum, wanted, taken);
    }
  }

 private:
  std::int32_t class_of(std::int32_t i) const { return analysis_.class_of[at(i)]; }
  bool fills(std::int32_t i) const { return class_of(i) >= 0 && fills_[at(class_of(i))]; }
  bool is_first(std::int32_t i) const { return analysis_.members[class_of(i)][0] == i; }
  bool by_rows(std::int32_t p) const {
    const IndexSpan inner = analysis_.members[p];
    return supports_.left[inner[0]].size() <= inner.size();
  }

  void set_identity(std::int32_t p) {
    const IndexSpan inner = analysis_.members[p];
    const IndexSetsView& side = by_rows(p) ? supports_.left : supports_.right;
    T* values = by_rows(p) ? x_ : y_;
    const T one = static_cast<T>(Wide<T>(1 / root_));
    for (Index n = 0; n < side[inner[0]].size(); ++n) values[side.start[inner[n]] + n] = one;
  }

  /// `offset` is where X's value of (row, i) stands, i being the first of its class.
  void take(Index row, std::int32_t i, std::int64_t offset, const std::vector<Wide<T>>& sum,
            std::vector<Wide<T>>& wanted, std::vector<std::int64_t>& taken) const {
    const std::int32_t p = class_of(i);
    const IndexSpan inner = analysis_.members[p], cols = supports_.right[i];
    const Index position = offset - supports_.left.start[i];
    entries_.gather_scaled(row, cols, wanted.data());
    for (Index n = 0; n < cols.size(); ++n) {
      std::int64_t& by = taken[at(cols[n])];
      if (by == row) continue;
      by = row;
      const T value = static_cast<T>((wanted[at(n)] - sum[at(cols[n])]) / root_);
      if (by_rows(p))
        y_[supports_.right.start[inner[position]] + n] = value;
      else
        x_[supports_.left.start[inner[n]] + position] = value;
    }
  }

  RowEntries<T> entries_;
  const Supports& supports_;
  const SupportAnalysis& analysis_;
  double root_;  // of the scale: a factor's share of it
  T *x_, *y_;
  IndexSets in_row_;  // inner indices of each row of X
  std::vector<std::int64_t> offset_;
  std::vector<char> fills_;
};

/// Runs body(begin, end, pulse) for ranges of rows on threads.
template <class Body>
void for_rows(Index rows, double work, const Body& body) {
  parallel_with_pulse(threads_for(rows, work), [&](int thread, int team, Pulse& pulse) {
    body(rows * thread / team, rows * (thread + 1) / team, pulse);
  });
}

template <class T>
double outside(const RowMatrix& matrix, const SupportAnalysis& analysis) {
  const RowEntries<T> entries(matrix);
  const Index types = static_cast<Index>(
      analysis.row_type.empty()
          ? 0
          : *std::max_element(analysis.row_type.begin(), analysis.row_type.end()) + 1);
  const IndexSets classes_in_row = transposed(analysis.class_row_types.view(), types);
  // Rows of one type one after another: what their classes cover is marked once.
  std::vector<std::int32_t> order(at(matrix.rows));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return analysis.row_type[at(a)] < analysis.row_type[at(b)];
  });
  std::vector<double> norms(at(matrix.rows));
  const double work = static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
  for_rows(matrix.rows, work, [&](Index begin, Index end, Pulse& pulse) {
    std::vector<char> covered(at(matrix.cols)), type_covered(at(matrix.cols) + 1);
    std::vector<Wide<T>> rest;
    std::int32_t type = -2;
    for (Index n = begin; n < end; ++n) {
      const std::int32_t row = order[at(n)];
      if (analysis.row_type[at(row)] != type) {
        type = analysis.row_type[at(row)];
        std::fill(type_covered.begin(), type_covered.end(), 0);
        if (type >= 0)
          for (std::int32_t p : classes_in_row[type])
            for (std::int32_t col : analysis.class_col_types[p]) type_covered[at(col) + 1] = 1;
        for (Index col = 0; col < matrix.cols; ++col)
          covered[at(col)] = type_covered[at(analysis.col_type[at(col)] + 1)];
      }
      pulse(matrix.column ? matrix.row_start[row + 1] - matrix.row_start[row] : matrix.cols);
      rest.clear();
      entries.for_row(row, [&](Index col, Wide<T> value) {
        if (!covered[at(col)]) rest.push_back(value);
      });
      norms[at(row)] = norm_of(rest.data(), static_cast<Index>(rest.size()));
    }
  });
  return norm_of(norms.data(), matrix.rows);
}

template <class T>
double residual_of(const RowMatrix& matrix, const Supports& supports, const T* x, const T* y) {
  const RowEntries<T> entries(matrix);
  const double root = std::sqrt(matrix.scale);
  std::vector<std::int64_t> offsets;
  const IndexSets in_row = transposed(supports.left, supports.rows, &offsets);
  double work = matrix.column ? static_cast<double>(matrix.row_start[matrix.rows])
                              : static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
  for (Index i = 0; i < supports.inner(); ++i)
    work += static_cast<double>(supports.left[i].size()) *
            static_cast<double>(supports.right[i].size());
  std::vector<double> norms(at(matrix.rows));
  for_rows(matrix.rows, work, [&](Index begin, Index end, Pulse& pulse) {
    std::vector<Wide<T>> rest(at(matrix.cols)), found;
    std::vector<std::int64_t> seen(at(matrix.cols), -1);
    std::vector<Index> columns;
    for (Index row = begin; row < end; ++row) {
      columns.clear();
      const auto at_column = [&](Index col) -> Wide<T>& {
        if (seen[at(col)] != row) {
          seen[at(col)] = row;
          rest[at(col)] = Wide<T>(0);
          columns.push_back(col);
        }
        return rest[at(col)];
      };
      entries.for_row(row, [&](Index col, Wide<T> value) { at_column(col) = value; });
      const IndexSpan inner = in_row[row];
      for (Index n = 0; n < inner.size(); ++n) {
        const Wide<T> factor = Wide<T>(x[offsets[at(in_row.start[at(row)] + n)]]) * root;
        pulse(1);
        if (factor == Wide<T>(0)) continue;
        const T* value = y + supports.right.start[inner[n]];
        pulse(supports.right[inner[n]].size());
        for (std::int32_t col : supports.right[inner[n]])
          at_column(col) -= factor * (Wide<T>(*value++) * root);
      }
      found.clear();
      for (Index col : columns) found.push_back(rest[at(col)]);
      pulse(1 + static_cast<Index>(columns.size()));
      norms[at(row)] = norm_of(found.data(), static_cast<Index>(found.size()));
    }
  });
  return norm_of(norms.data(), matrix.rows);
}

}  // namespace

double norm_outside(const RowMatrix& matrix, const SupportAnalysis& analysis) {
  return visit(matrix.dtype, [&](auto zero) { return outside<decltype(zero)>(matrix, analysis); });
}

void gather_entries(const RowMatrix& matrix, const IndexSetsView& entries, void* out) {
  visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    const RowEntries<T> source(matrix);
    for_rows(matrix.rows, static_cast<double>(entries.start[entries.size]),
             [&](Index begin, Index end, Pulse& pulse) {
               for (Index row = begin; row < end; ++row) {
                 pulse(1 + entries[row].size());
                 source.gather_scaled(row, entries[row],
                                      static_cast<Wide<T>*>(out) + entries.start[row]);
               }
             });
  });
}

double solve_pieces(const RowMatrix& matrix, const Supports& supports,
                    const SupportAnalysis& analysis, double ridge, void* x, void* y,
                    const Progress& progress) {
  return visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    return solve_all(matrix, supports, analysis, ridge, static_cast<T*>(x), static_cast<T*>(y),
                     progress);
  });
}

double residual(const RowMatrix& matrix, const Supports& supports, const void* x, const void* y) {
  return visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    return residual_of(matrix, supports, static_cast<const T*>(x), static_cast<const T*>(y));
  });
}

void fill_complete(const RowMatrix& matrix, const Supports& supports,
                   const SupportAnalysis& analysis, void* x, void* y) {
  visit(matrix.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Filler<T> filler(matrix, supports, analysis, static_cast<T*>(x), static_cast<T*>(y));
    for_rows(supports.rows, static_cast<double>(supports.rows) * static_cast<double>(supports.cols),
             [&](Index begin, Index end, Pulse& pulse) { filler.fill(begin, end, pulse); });
  });
}

}  // namespace papilio
