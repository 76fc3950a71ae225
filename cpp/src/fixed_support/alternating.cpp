#include <cmath>
#include <limits>

#include "factorize/block_svd.hpp"
#include "fixed_support/index_sets.hpp"
#include "fixed_support/norm.hpp"

namespace papilio {

namespace {

/// Some sums side by side, so that the additions don't wait for each other; their order is fixed.
constexpr Index lanes = 8;

/// sum conj(a[n]) b[n]
double inner_product(const double* a, const double* b, Index size) {
  double sums[lanes] = {};
  Index n = 0;
  for (; n + lanes <= size; n += lanes)
    for (Index lane = 0; lane < lanes; ++lane) sums[lane] += a[n + lane] * b[n + lane];
  for (; n < size; ++n) sums[0] += a[n] * b[n];
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

std::complex<double> inner_product(const std::complex<double>* a, const std::complex<double>* b,
                                   Index size) {
  double real[lanes] = {}, imaginary[lanes] = {};
  for (Index n = 0; n < size; ++n) {
    const Index lane = n % lanes;
    real[lane] += a[n].real() * b[n].real() + a[n].imag() * b[n].imag();
    imaginary[lane] += a[n].real() * b[n].imag() - a[n].imag() * b[n].real();
  }
  double re = 0, im = 0;
  for (Index lane = 0; lane < lanes; ++lane) {
    re += real[lane];
    im += imaginary[lane];
  }
  return {re, im};
}

double times(double a, double b) { return a * b; }
/// Without the special cases of infinities, which std::complex looks for each time.
std::complex<double> times(std::complex<double> a, std::complex<double> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

double real_part(double x) { return x; }
double real_part(std::complex<double> x) { return x.real(); }

/// X or Y. A line is a row of X or a column of Y; its unknowns are the inner indices there.
struct Side {
  IndexSetsView by_index;           // the lines of each inner index, in the order of the values
  IndexSets by_line;                // the inner indices of each line
  std::vector<std::int64_t> value;  // where the value of each of them stands
  IndexSets observed;               // the lines of the other side that each line is observed with
  std::vector<std::int64_t> entry;  // where the observed number of each of them stands
  std::vector<double> cost;         // of an update, summed up over the lines before
  Index lines() const { return by_line.size(); }

  Side(const IndexSetsView& supports, Index count) : by_index(supports) {
    by_line = transposed(supports, count, &value);
  }

  void add_costs() {
    cost.assign(1, 0.0);
    for (Index line = 0; line < lines(); ++line) {
      const double unknowns = static_cast<double>(by_line[line].size()),
                   seen = static_cast<double>(observed[line].size());
      cost.push_back(cost.back() + 20 + unknowns * unknowns * (unknowns + 2 * seen) / 4 +
                     4 * unknowns * seen);
    }
  }
};

/// The least squares problem of one line: residual ~ update * matrix.
template <class T>
class LineWorker {
 public:
  /// `lines`: of the larger side.
  explicit LineWorker(Index lines) : position_(at(lines), -1) {}

  void load(const Side& own, const Side& other, Index line, const T* values, const T* own_values,
            const T* other_values, Pulse& pulse) {
    const IndexSpan seen = own.observed[line];
    unknowns_ = own.by_line[line];
    size_ = seen.size();
    where_ = own.value.data() + own.by_line.start[at(line)];
    const std::int64_t* entry = own.entry.data() + own.observed.start[at(line)];
    residual.resize(at(size_));
    for (Index n = 0; n < size_; ++n) {
      position_[at(seen[n])] = static_cast<std::int32_t>(n);
      residual[at(n)] = values[entry[n]];
    }
    matrix_.assign(at(unknowns_.size() * size_), T(0));
    for (Index k = 0; k < unknowns_.size(); ++k) {
      const std::int32_t i = unknowns_[k];
      const T* value = other_values + other.by_index.start[i];
      pulse(other.by_index[i].size() + size_);
      for (std::int32_t across : other.by_index[i]) {
        const std::int32_t n = position_[at(across)];
        if (n >= 0) row(k)[n] = *value;
        ++value;
      }
      subtract(own_values[where_[k]], row(k));
    }
    for (std::int32_t across : seen) position_[at(across)] = -1;
  }

  /// Minimizes |residual - update * matrix|^2 + ridge |x + update|^2 + damping |update|^2 and adds
  /// the update to x. Working with the residual, the normal equations lose no more digits the
  /// closer x is to the solution; the damping makes them definite and never lets the error grow.
  void update(T* own_values, double ridge, Pulse& pulse) {
    const Index count = unknowns_.size();
    normal_.resize(at(count * count));
    update_.resize(at(count));
    double trace = 0;
    for (Index k = 0; k < count; ++k) {
      pulse((k + 1) * size_);
      for (Index l = 0; l <= k; ++l)
        normal_[at(k * count + l)] = inner_product(row(k), row(l), size_);
      update_[at(k)] =
          inner_product(row(k), residual.data(), size_) - ridge * own_values[where_[k]];
      trace += real_part(normal_[at(k * count + k)]);
    }
    const double damping = trace / static_cast<double>(std::max<Index>(count, 1)) * 1e-13;
    solve(ridge + damping, pulse);
    for (Index k = 0; k < count; ++k) {
      own_values[where_[k]] += update_[at(k)];
      subtract(update_[at(k)], row(k));
    }
  }

  void gradient(const T* own_values, double ridge, T* out) const {
    for (Index k = 0; k < unknowns_.size(); ++k)
      out[where_[k]] =
          2.0 * (ridge * own_values[where_[k]] - inner_product(row(k), residual.data(), size_));
  }

  double squared_residual() const {
    double sum = 0;
    for (const T& x : residual) sum += squared(x);
    return sum;
  }

  std::vector<T> residual;

 private:
  T* row(Index k) { return matrix_.data() + k * size_; }
  const T* row(Index k) const { return matrix_.data() + k * size_; }

  void subtract(T factor, const T* line) {
    for (Index n = 0; n < size_; ++n) residual[at(n)] -= times(factor, line[n]);
  }

  /// update = (normal + shift)^-1 update by Cholesky's method; unknowns whose pivot vanishes stay.
  void solve(double shift, Pulse& pulse) {
    const Index count = unknowns_.size();
    for (Index k = 0; k < count; ++k) {
      T* line = &normal_[at(k * count)];
      pulse((k + 1) * (k + 1) / 2);
      for (Index l = 0; l < k; ++l) {
        const T* before = &normal_[at(l * count)];
        line[l] = before[l] == T(0) ? T(0) : (line[l] - inner_product(before, line, l)) / before[l];
      }
      double pivot = real_part(line[k]) + shift;
      const double start = pivot;
      for (Index l = 0; l < k; ++l) pivot -= squared(line[l]);
      line[k] = pivot > start * 1e-15 ? T(std::sqrt(pivot)) : T(0);
    }
    for (Index k = 0; k < count; ++k) {
      const T* line = &normal_[at(k * count)];
      T sum = update_[at(k)];
      for (Index l = 0; l < k; ++l) sum -= times(line[l], update_[at(l)]);
      update_[at(k)] = line[k] == T(0) ? T(0) : sum / line[k];
    }
    for (Index k = count; k-- > 0;) {
      T sum = update_[at(k)];
      for (Index l = k + 1; l < count; ++l)
        sum -= times(conjugate(normal_[at(l * count + k)]), update_[at(l)]);
      const T pivot = normal_[at(k * count + k)];
      update_[at(k)] = pivot == T(0) ? T(0) : sum / pivot;
    }
  }

  IndexSpan unknowns_{};
  Index size_ = 0;
  const std::int64_t* where_ = nullptr;
  std::vector<T> matrix_, normal_, update_;
  std::vector<std::int32_t> position_;
};

template <class T>
double squared_norm(const T* values, Index size) {
  double sum = 0;
  for (Index n = 0; n < size; ++n) sum += squared(values[n]);
  return sum;
}

}  // namespace

template <class T>
struct Alternating<T>::State {
  const Supports supports;
  Side rows, cols;
  std::vector<T> values;

  State(const Supports& given, const IndexSetsView& observed, const T* entries)
      : supports(given), rows(given.left, given.rows), cols(given.right, given.cols) {
    const std::int64_t count = observed.start[observed.size];
    values.assign(entries, entries + count);
    rows.observed.start.assign(observed.start, observed.start + observed.size + 1);
    rows.observed.index.assign(observed.index, observed.index + count);
    rows.entry.resize(values.size());
    std::iota(rows.entry.begin(), rows.entry.end(), 0);
    cols.observed = transposed(observed, given.cols, &cols.entry);
    rows.add_costs();
    cols.add_costs();
  }

  std::vector<LineWorker<T>> workers() const {
    const double work = std::max(rows.cost.back(), cols.cost.back());
    const int threads = threads_for(std::max(supports.rows, supports.cols), work);
    return std::vector<LineWorker<T>>(at(threads),
                                      LineWorker<T>(std::max(supports.rows, supports.cols)));
  }

  /// Loads all lines of a side on all threads and calls act(worker, line); each thread takes
  /// neighbours that cost about as much as those of the others.
  template <class Act>
  void for_lines(std::vector<LineWorker<T>>& workers, const Side& own, const Side& other,
                 const T* own_values, const T* other_values, const Act& act) const {
    const auto share = [&](int thread, int team) {
      if (thread == team) return own.lines();
      return static_cast<Index>(
          std::lower_bound(own.cost.begin(), own.cost.end(), own.cost.back() * thread / team) -
          own.cost.begin());
    };
    parallel_with_pulse(static_cast<int>(workers.size()), [&](int thread, int team, Pulse& pulse) {
      LineWorker<T>& worker = workers[at(thread)];
      for (Index line = share(thread, team); line < share(thread + 1, team); ++line) {
        if (own.by_line[line].size() == 0) continue;
        worker.load(own, other, line, values.data(), own_values, other_values, pulse);
        act(worker, line, pulse);
      }
    });
  }

  /// One half of a sweep; returns the squared error after it.
  double update(std::vector<LineWorker<T>>& workers, const Side& own, const Side& other,
                T* own_values, const T* other_values, double ridge) const {
    std::vector<double> errors(at(own.lines()));
    for_lines(workers, own, other, own_values, other_values,
              [&](LineWorker<T>& worker, Index line, Pulse& pulse) {
                worker.update(own_values, ridge, pulse);
                errors[at(line)] = worker.squared_residual();
              });
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  }

  double penalty(const T* x, const T* y, double ridge) const {
    if (ridge == 0) return 0;
    return ridge * (squared_norm(x, supports.left.start[supports.inner()]) +
                    squared_norm(y, supports.right.start[supports.inner()]));
  }
};

template <class T>
Alternating<T>::Alternating(const Supports& supports, const IndexSetsView& observed,
                            const T* values)
    : state_(std::make_unique<State>(supports, observed, values)) {}

template <class T>
Alternating<T>::~Alternating() = default;

template <class T>
std::vector<double> Alternating<T>::sweep(T* x, T* y, Index sweeps, double ridge, double tolerance,
                                          const std::function<void()>& before_sweep) const {
  const State& state = *state_;
  auto workers = state.workers();
  std::vector<double> objectives;
  double before = std::numeric_limits<double>::infinity();
  for (Index n = 0; n < sweeps; ++n) {
    if (before_sweep) before_sweep();
    state.update(workers, state.rows, state.cols, x, y, ridge);
    const double error = state.update(workers, state.cols, state.rows, y, x, ridge);
    const double objective = error + state.penalty(x, y, ridge);
    objectives.push_back(objective);
    if (!(before - objective > tolerance * objective)) break;
    before = objective;
  }
  return objectives;
}

template <class T>
double Alternating<T>::gradient(const T* x, const T* y, double ridge, T* gradient_x,
                                T* gradient_y) const {
  const State& state = *state_;
  auto workers = state.workers();
  std::vector<double> errors(at(state.supports.rows));
  state.for_lines(workers, state.rows, state.cols, x, y,
                  [&](LineWorker<T>& worker, Index line, Pulse&) {
                    worker.gradient(x, ridge, gradient_x);
                    errors[at(line)] = worker.squared_residual();
                  });
  state.for_lines(workers, state.cols, state.rows, y, x, [&](LineWorker<T>& worker, Index, Pulse&) {
    worker.gradient(y, ridge, gradient_y);
  });
  return std::accumulate(errors.begin(), errors.end(), 0.0) + state.penalty(x, y, ridge);
}

/// Sets classes one after another, each to fit what those before have left.
template <class T>
class Deflation {
 public:
  Deflation(const Supports& supports, const IndexSets& observed, const std::vector<T>& values,
            const IndexSetsView& classes, T* x, T* y)
      : supports_(supports),
        observed_(observed),
        classes_(classes),
        rest_(values),
        covers_(values.size()),
        sum_of_covers_(values.size()),
        x_(x),
        y_(y) {
    std::fill(x, x + supports.left.start[supports.inner()], T(0));
    std::fill(y, y + supports.right.start[supports.inner()], T(0));
    for (Index p = 0; p < classes.size; ++p) {
      double mass = 0, entries = 0;
      for_entries(p, [&](Index, Index, std::size_t n) {
        mass += squared(rest_[n]);
        entries += 1;
        ++covers_[n];
        sum_of_covers_[n] += p;
      });
      mass_.push_back(mass);
      entries_.push_back(entries);
    }
  }

  /// By mass: first classes that don't overlap, which is exact for them, then the others.
  void by_mass() {
    std::vector<Index> order(mass_.size()), chosen, others;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](Index p, Index q) { return mass_[at(p)] > mass_[at(q)]; });
    std::vector<char> taken(rest_.size());
    for (Index p : order) {
      bool overlaps = false;
      for_entries(p, [&](Index, Index, std::size_t n) { overlaps = overlaps || taken[n]; });
      (overlaps ? others : chosen).push_back(p);
      if (!overlaps) for_entries(p, [&](Index, Index, std::size_t n) { taken[n] = 1; });
    }
    chosen.insert(chosen.end(), others.begin(), others.end());
    for (Index p : chosen) fit(p, [](std::size_t) { return true; });
  }

  /// As elimination does: next the class with the largest share of entries that no other class
  /// which is still to come reaches, fitted to these entries alone.
  void by_exclusiveness() {
    std::vector<double> exclusive(mass_.size());
    std::vector<char> done(mass_.size());
    for (std::size_t n = 0; n < rest_.size(); ++n)
      if (covers_[n] == 1) exclusive[at(sum_of_covers_[n])] += 1;
    for (Index step = 0; step < classes_.size; ++step) {
      pulse_(classes_.size);
      Index best = -1;
      for (Index p = 0; p < classes_.size; ++p)
        if (!done[at(p)] && (best < 0 || exclusive[at(p)] * entries_[at(best)] >
                                             exclusive[at(best)] * entries_[at(p)]))
          best = p;
      done[at(best)] = 1;
      const bool alone = exclusive[at(best)] > 0;
      fit(best, [&](std::size_t n) { return !alone || covers_[n] == 1; });
      for_entries(best, [&](Index, Index, std::size_t n) {
        --covers_[n];
        sum_of_covers_[n] -= best;
        if (covers_[n] == 1) exclusive[at(sum_of_covers_[n])] += 1;
      });
    }
  }

 private:
  IndexSpan rows(Index p) const { return supports_.left[classes_[p][0]]; }
  IndexSpan cols(Index p) const { return supports_.right[classes_[p][0]]; }

  /// Calls visit(row position, column position, observed number) for what is seen of a class.
  template <class Visit>
  void for_entries(Index p, const Visit& visit) const {
    for (Index j = 0; j < rows(p).size(); ++j) {
      const std::int32_t row = rows(p)[j];
      pulse_(1 + 8 * cols(p).size());
      const IndexSpan seen = observed_[row];
      const std::int32_t* place = seen.begin();
      for (Index k = 0; k < cols(p).size(); ++k) {
        place = std::lower_bound(place, seen.end(), cols(p)[k]);
        if (place != seen.end() && *place == cols(p)[k])
          visit(j, k, at(observed_.start[at(row)] + (place - seen.begin())));
      }
    }
  }

  /// The class alone on the entries that `fits` accepts. If there are others: they are completed
  /// from the rows and columns without any, and some sweeps follow.
  template <class Fits>
  void fit(Index p, const Fits& fits) {
    const IndexSpan inner = classes_[p];
    const Index height = rows(p).size(), width = cols(p).size(), count = inner.size(),
                rank = std::min({height, width, count});
    std::vector<T> block(at(height * width)), left(at(height * count)), right(at(rank * width)),
        wanted;
    std::vector<Index> in_row(at(height)), in_col(at(width));
    IndexSets entries;
    Index row = 0;
    for_entries(p, [&](Index j, Index k, std::size_t n) {
      if (!fits(n)) return;
      for (; row < j; ++row) entries.close();
      entries.index.push_back(static_cast<std::int32_t>(k));
      wanted.push_back(rest_[n]);
      block[at(j + k * height)] = rest_[n];
      ++in_row[at(j)];
      ++in_col[at(k)];
    });
    for (; row < height; ++row) entries.close();
    const bool whole = static_cast<Index>(wanted.size()) == height * width;
    if (!whole) complete(block, entries, in_row, in_col, rank);
    BlockSvd<T>(height, width, rank)
        .factor(block.data(), height, width, Gauge::balanced, left.data(), right.data());
    std::vector<T> across(at(width * count));
    for (Index rho = 0; rho < rank; ++rho)
      for (Index k = 0; k < width; ++k) across[at(rho * width + k)] = right[at(rho + k * rank)];
    if (!whole) {
      const IndexSets whole_rows = copies(height, count), whole_cols = copies(width, count);
      const Supports alone{height, width, whole_rows.view(), whole_cols.view()};
      Alternating<T>(alone, entries.view(), wanted.data())
          .sweep(left.data(), across.data(), 50, 0, 1e-8, nullptr);
    }
    for (Index rho = 0; rho < count; ++rho) {
      std::copy_n(&left[at(rho * height)], height, x_ + supports_.left.start[inner[rho]]);
      std::copy_n(&across[at(rho * width)], width, y_ + supports_.right.start[inner[rho]]);
    }
    for_entries(p, [&](Index j, Index k, std::size_t n) {
      for (Index rho = 0; rho < count; ++rho)
        rest_[n] -= times(left[at(j + rho * height)], across[at(rho * width + k)]);
    });
  }

  /// Sets the entries of the block that aren't among `entries` to those of C W^+ R, where R are the
  /// rows and C the columns of which all entries are, and W is where they cross.
  void complete(std::vector<T>& block, const IndexSets& entries, const std::vector<Index>& in_row,
                const std::vector<Index>& in_col, Index most) const {
    const Index height = static_cast<Index>(in_row.size()),
                width = static_cast<Index>(in_col.size());
    std::vector<Index> full_rows, full_cols;
    for (Index j = 0; j < height; ++j)
      if (in_row[at(j)] == width) full_rows.push_back(j);
    for (Index k = 0; k < width; ++k)
      if (in_col[at(k)] == height) full_cols.push_back(k);
    const auto down = static_cast<Index>(full_rows.size()),
               across = static_cast<Index>(full_cols.size());
    const Index rank = std::min({down, across, most});
    if (rank == 0) return;
    std::vector<T> crossing(at(down * across));
    for (Index k = 0; k < across; ++k)
      for (Index j = 0; j < down; ++j)
        crossing[at(j + k * down)] = block[at(full_rows[at(j)] + full_cols[at(k)] * height)];
    Svd<T> svd(down, across);
    svd.compute(crossing.data());
    // W^+ = V S^-1 U^H.
    std::vector<T> from_cols(at(height * rank)), from_rows(at(rank * width));
    for (Index rho = 0; rho < rank; ++rho) {
      const double sigma = svd.sigma()[rho];
      if (!(sigma > 1e-12 * svd.sigma()[0])) break;
      pulse_(across * height + width * down);
      for (Index k = 0; k < across; ++k)
        for (Index j = 0; j < height; ++j)
          from_cols[at(j + rho * height)] +=
              times(block[at(j + full_cols[at(k)] * height)],
                    conjugate(svd.vh()[rho + k * svd.inner()]) / sigma);
      for (Index k = 0; k < width; ++k)
        for (Index j = 0; j < down; ++j)
          from_rows[at(rho + k * rank)] +=
              times(conjugate(svd.u()[j + rho * down]), block[at(full_rows[at(j)] + k * height)]);
    }
    for (Index j = 0; j < height; ++j) {
      const IndexSpan known = entries[j];
      pulse_(1 + width * rank);
      const std::int32_t* next = known.begin();
      for (Index k = 0; k < width; ++k) {
        if (next != known.end() && *next == k) {
          ++next;
          continue;
        }
        T sum(0);
        for (Index rho = 0; rho < rank; ++rho)
          sum += times(from_cols[at(j + rho * height)], from_rows[at(rho + k * rank)]);
        block[at(j + k * height)] = sum;
      }
    }
  }

  static IndexSets copies(Index size, Index count) {
    IndexSets sets;
    for (Index n = 0; n < count; ++n) {
      for (Index k = 0; k < size; ++k) sets.index.push_back(static_cast<std::int32_t>(k));
      sets.close();
    }
    return sets;
  }

  const Supports& supports_;
  const IndexSets& observed_;
  const IndexSetsView classes_;
  std::vector<T> rest_;
  std::vector<Index> covers_, sum_of_covers_;  // how many classes, and the sum of their numbers
  std::vector<double> mass_, entries_;         // of each class
  T *x_, *y_;
  mutable Pulse pulse_;
};

template <class T>
void Alternating<T>::deflate(const IndexSetsView& classes, Order order, T* x, T* y) const {
  Deflation<T> deflation(state_->supports, state_->rows.observed, state_->values, classes, x, y);
  if (order == Order::mass)
    deflation.by_mass();
  else
    deflation.by_exclusiveness();
}

template <class T>
double Alternating<T>::balance(T* x, T* y) const {
  const Supports& supports = state_->supports;
  double largest = 0;
  for (Index i = 0; i < supports.inner(); ++i) {
    T* column = x + supports.left.start[i];
    T* row = y + supports.right.start[i];
    const Index rows = supports.left[i].size(), cols = supports.right[i].size();
    const double left = norm_of(column, rows), right = norm_of(row, cols);
    largest = std::max(largest, left * right);
    if (!(left > 0) || !(right > 0)) continue;
    // The roots apart: the quotient of the norms may leave the range.
    const double up = std::sqrt(right), down = std::sqrt(left);
    for (Index n = 0; n < rows; ++n) column[n] = column[n] / down * up;
    for (Index n = 0; n < cols; ++n) row[n] = row[n] / up * down;
  }
  return largest;
}

std::shared_ptr<void> hold_blas_to_one_thread() {
  return std::make_shared<SingleThreadedBlas>(true);
}

template class Alternating<double>;
template class Alternating<std::complex<double>>;

}  // namespace papilio
