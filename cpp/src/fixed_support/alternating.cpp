#include "fixed_support/deflation.hpp"
#include "fixed_support/line_problem.hpp"

namespace papilio {

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
    // The roots apart: the quotient of the norms may leave the range. What a zero multiplies is
    // brought to norm 1: it may be as large as it likes.
    const double up = right > 0 ? std::sqrt(right) : 1 / std::sqrt(left);
    const double down = left > 0 ? std::sqrt(left) : 1 / std::sqrt(right);
    if (!(left > 0) && !(right > 0)) continue;
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
