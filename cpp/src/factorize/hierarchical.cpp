#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "factorize/block_svd.hpp"
#include "factorize/interface.hpp"
#include "papilio/apply.hpp"
#include "papilio/factorize.hpp"
#include "papilio/threads.hpp"

namespace papilio {

namespace {

std::string text(Index value) { return std::to_string(value); }

template <class T>
bool finite(T x) {
  if constexpr (std::is_same<T, Real<T>>::value)
    return std::isfinite(x);
  else
    return std::isfinite(x.real()) && std::isfinite(x.imag());
}

template <class T>
Real<T> largest_part(T x) {
  if constexpr (std::is_same<T, Real<T>>::value)
    return std::abs(x);
  else
    return std::max(std::abs(x.real()), std::abs(x.imag()));
}

/// 1 +- exponents of two that any T survives.
template <class T>
constexpr int exponent_limit = std::is_same<Real<T>, float>::value ? 120 : 1000;

/// The matrix to factorize, as typed elements, permuted and scaled by a power of two that brings
/// its largest entry near 1: squares then neither overflow nor vanish.
template <class T>
class Matrix {
 public:
  explicit Matrix(const MatrixView& view) : view_(view), data_(static_cast<const T*>(view.data)) {
    check_finite();
  }

  Index rows() const { return view_.rows; }
  Index cols() const { return view_.cols; }
  int exponent() const { return exponent_; }
  bool column_major() const { return std::abs(view_.row_stride) < std::abs(view_.col_stride); }

  T operator()(Index row, Index col) const {
    return data_[row_offset(row) + col_offset(col)] * scale_;
  }

  /// Block of entries (position.row + j*row_step, position.col + k*col_step), column-major.
  void copy_block(const Interface::MatrixPosition& position, Index rows, Index cols,
                  T* block) const {
    if (column_major()) {
      for (Index k = 0; k < cols; ++k) {
        const T* column = data_ + col_offset(position.col + k * position.col_step);
        for (Index j = 0; j < rows; ++j)
          block[j + k * rows] = column[row_offset(position.row + j * position.row_step)] * scale_;
      }
    } else {
      for (Index j = 0; j < rows; ++j) {
        const T* row = data_ + row_offset(position.row + j * position.row_step);
        for (Index k = 0; k < cols; ++k)
          block[j + k * rows] = row[col_offset(position.col + k * position.col_step)] * scale_;
      }
    }
  }

 private:
  Index row_offset(Index row) const {
    return (view_.row_index.empty() ? row : view_.row_index[static_cast<std::size_t>(row)]) *
           view_.row_stride;
  }
  Index col_offset(Index col) const {
    return (view_.col_index.empty() ? col : view_.col_index[static_cast<std::size_t>(col)]) *
           view_.col_stride;
  }

  void check_finite() {
    // Lines run along the axis with the smaller stride.
    const bool by_columns = column_major();
    const Index lines = by_columns ? view_.cols : view_.rows;
    const Index length = by_columns ? view_.rows : view_.cols;
    const Index line_stride = by_columns ? view_.col_stride : view_.row_stride;
    const Index step = by_columns ? view_.row_stride : view_.col_stride;
    std::vector<Real<T>> largest(static_cast<std::size_t>(lines));
    parallel(threads_for(lines, static_cast<double>(lines) * static_cast<double>(length)),
             [&](int thread, int team) {
               for (Index n = lines * thread / team; n < lines * (thread + 1) / team; ++n) {
                 Real<T> most = 0, poison = 0;
                 for (Index t = 0; t < length; ++t) {
                   const T x = data_[n * line_stride + t * step];
                   most = std::max(most, largest_part(x));
                   poison += largest_part(x) * Real<T>(0);  // NaN if x is NaN or infinite
                 }
                 largest[static_cast<std::size_t>(n)] = most + poison;
               }
             });
    Real<T> most = 0;
    for (Real<T> line : largest) {
      if (!std::isfinite(line)) throw_first_not_finite();
      most = std::max(most, line);
    }
    int exponent = 0;
    if (most > 0) std::frexp(most, &exponent);
    exponent_ = std::clamp(-exponent, -exponent_limit<T>, exponent_limit<T>);
    scale_ = std::ldexp(Real<T>(1), exponent_);
  }

  [[noreturn]] void throw_first_not_finite() const {
    for (Index row = 0; row < view_.rows; ++row)
      for (Index col = 0; col < view_.cols; ++col) {
        const T x = data_[row * view_.row_stride + col * view_.col_stride];
        if (finite(x)) continue;
        const bool nan = std::isnan(std::abs(x));
        throw std::invalid_argument(std::string("A has ") + (nan ? "nan" : "inf") + " at row " +
                                    text(row) + ", column " + text(col) +
                                    ", expected finite numbers");
      }
    throw std::logic_error("no entry of A is NaN or infinite");
  }

  const MatrixView& view_;
  const T* data_;
  Real<T> scale_ = 1;
  int exponent_ = 0;
};

/// The product of the factors [first, last) of the chain, as one 4-D array; no values while it is
/// the matrix itself.
template <class T>
struct Partial {
  std::size_t first, last;
  Pattern pattern;
  std::vector<T> values;
};

template <class T>
void gather(const T* data, const BlockPosition& at, Index rows, Index cols, T* block) {
  for (Index k = 0; k < cols; ++k)
    for (Index j = 0; j < rows; ++j)
      block[j + k * rows] = data[at.base + j * at.row_step + k * at.col_step];
}

template <class T>
void scatter(const T* block, const BlockPosition& at, Index rows, Index cols, T* data) {
  for (Index k = 0; k < cols; ++k)
    for (Index j = 0; j < rows; ++j)
      data[at.base + j * at.row_step + k * at.col_step] = block[j + k * rows];
}

template <class T>
class Hierarchical {
 public:
  Hierarchical(const MatrixView& view, const Patterns& chain, const FactorizeOptions& options)
      : chain_(chain), options_(options), matrix_(view) {
    for (const auto& group : reduce_chain(chain)) {
      groups_.push_back(group);
      reduced_.push_back(product_of(chain, group.first, group.second));
    }
    for (Index split : options.order)
      for (std::size_t g = 0; g + 1 < groups_.size(); ++g)
        if (groups_[g].second == static_cast<std::size_t>(split)) order_.push_back(g + 1);
  }

  Factorization run() {
    measure_norms();
    partials_.push_back({0, reduced_.size(), product_of(reduced_, 0, reduced_.size()), {}});
    total_ = plan_cost();
    Factorization result;
    result.split_errors.assign(chain_.size() - 1, 0.0);
    for (std::size_t J = 0; J < order_.size(); ++J) {
      const double discarded = cut(J);
      const std::size_t split = groups_[order_[J] - 1].second;
      cut_errors_.push_back(discarded);
      result.split_errors[split - 1] = relative(discarded);
      result.order.push_back(static_cast<Index>(split));
    }
    if (partials_.front().values.empty()) partials_.front().values = copy_matrix();
    set_errors(result);
    std::vector<Partial<T>> factors = expand();
    balance(factors);
    unscale(factors);
    for (const Partial<T>& factor : factors) {
      const auto* bytes = reinterpret_cast<const unsigned char*>(factor.values.data());
      result.values.emplace_back(bytes, bytes + factor.values.size() * sizeof(T));
    }
    return result;
  }

 private:
  static Pattern product_of(const Patterns& chain, std::size_t first, std::size_t last) {
    return chain_product(Patterns(chain.begin() + static_cast<std::ptrdiff_t>(first),
                                  chain.begin() + static_cast<std::ptrdiff_t>(last)));
  }

  double relative(double squared_error) const {
    return norm2_ > 0 ? std::sqrt(squared_error / norm2_) : 0.0;
  }

  /// ||A||^2, and the part of it that no factor can reach.
  void measure_norms() {
    const Pattern p = product_of(reduced_, 0, reduced_.size());
    const bool dense = p.a == 1 && p.d == 1;
    const Index rows = matrix_.rows(), cols = matrix_.cols();
    std::vector<double> inside(static_cast<std::size_t>(rows)), outside(inside.size());
    parallel(threads_for(rows, static_cast<double>(rows) * static_cast<double>(cols)),
             [&](int thread, int team) {
               for (Index row = rows * thread / team; row < rows * (thread + 1) / team; ++row) {
                 const Index block = row / (p.b * p.d), l = row % p.d;
                 double in = 0, out = 0;
                 for (Index col = 0; col < cols; ++col) {
                   const double x = squared(matrix_(row, col));
                   if (dense || (col / (p.c * p.d) == block && col % p.d == l))
                     in += x;
                   else
                     out += x;
                 }
                 inside[static_cast<std::size_t>(row)] = in;
                 outside[static_cast<std::size_t>(row)] = out;
               }
             });
    double in = 0, out = 0;
    for (double x : inside) in += x;
    for (double x : outside) out += x;
    norm2_ = in + out;
    unreachable2_ = out;
  }

  static double cost_of(const Interface& blocks) {
    const double rows = static_cast<double>(blocks.rows()),
                 cols = static_cast<double>(blocks.cols());
    return static_cast<double>(blocks.blocks()) * (2e3 + 4 * rows * cols * std::min(rows, cols));
  }

  /// The work of all cuts, for the progress reports.
  double plan_cost() const {
    double total = 0;
    std::vector<std::pair<std::size_t, std::size_t>> nodes{{0, reduced_.size()}};
    for (std::size_t split : order_)
      for (std::size_t n = 0; n < nodes.size(); ++n) {
        const auto [first, last] = nodes[n];
        if (split <= first || split >= last) continue;
        total += cost_of(
            Interface(product_of(reduced_, first, split), product_of(reduced_, split, last)));
        nodes[n] = {first, split};
        nodes.push_back({split, last});
        break;
      }
    return total;
  }

  void report_progress(double done) {
    done_ += done;
    if (options_.progress) options_.progress(total_ > 0 ? std::min(1.0, done_ / total_) : 1.0);
  }

  std::size_t find_partial(std::size_t split) const {
    std::size_t n = 0;
    while (!(partials_[n].first < split && split < partials_[n].last)) ++n;
    return n;
  }

  /// Runs worker(block) for all blocks on all threads and returns the sum of what it returned.
  /// make_worker() is called once for each thread. The order of summation is fixed.
  template <class MakeWorker>
  double for_blocks(const Interface& blocks, double cost, bool counts, MakeWorker make_worker) {
    constexpr Index group = 16;
    const Index groups = (blocks.blocks() + group - 1) / group;
    const double group_cost = cost / static_cast<double>(groups);
    const int threads = threads_for(blocks.blocks() > 1 ? groups : 1, cost);
    const Index round =
        std::clamp(static_cast<Index>(2e7 * threads / group_cost), Index{threads}, groups);
    std::vector<decltype(make_worker())> workers;
    for (int n = 0; n < threads; ++n) workers.push_back(make_worker());
    std::vector<double> sums(static_cast<std::size_t>(groups));
    const SingleThreadedBlas single(threads > 1);
    for (Index begin = 0; begin < groups; begin += round) {
      const Index end = std::min(begin + round, groups), size = end - begin;
      parallel(threads, [&](int thread, int team) {
        auto& worker = workers[static_cast<std::size_t>(thread)];
        for (Index g = begin + size * thread / team; g < begin + size * (thread + 1) / team; ++g) {
          double sum = 0;
          for (Index n = g * group; n < std::min((g + 1) * group, blocks.blocks()); ++n)
            sum += worker(n);
          sums[static_cast<std::size_t>(g)] = sum;
        }
      });
      report_progress(counts ? group_cost * static_cast<double>(size) : 0);
    }
    double sum = 0;
    for (double x : sums) sum += x;
    return sum;
  }

  /// Splits `merged` (by copy_block(block number, destination)) into a left and a right factor.
  template <class CopyBlock>
  double split(const Pattern& left, const Pattern& right, Gauge gauge, bool counts,
               CopyBlock copy_block, std::vector<T>& left_values, std::vector<T>& right_values) {
    const Interface blocks(left, right);
    const Index rows = blocks.rows(), rank = blocks.rank(), cols = blocks.cols();
    left_values.resize(static_cast<std::size_t>(left.nnz()));
    right_values.resize(static_cast<std::size_t>(right.nnz()));
    struct Work {
      BlockSvd<T> svd;
      std::vector<T> block, left, right;
    };
    return for_blocks(blocks, cost_of(blocks), counts, [&] {
      auto work = std::make_shared<Work>(
          Work{BlockSvd<T>(rows, cols, rank), std::vector<T>(static_cast<std::size_t>(rows * cols)),
               std::vector<T>(static_cast<std::size_t>(rows * rank)),
               std::vector<T>(static_cast<std::size_t>(rank * cols))});
      return [&, work](Index n) {
        copy_block(blocks, n, work->block.data());
        const double discarded = work->svd.factor(work->block.data(), rows, cols, gauge,
                                                  work->left.data(), work->right.data());
        scatter(work->left.data(), blocks.left(n), rows, rank, left_values.data());
        scatter(work->right.data(), blocks.right(n), rank, cols, right_values.data());
        return discarded;
      };
    });
  }

  double cut(std::size_t J) {
    const std::size_t at = order_[J], n = find_partial(at);
    if (options_.orthonormalize) move_centre(n);
    Partial<T> whole = std::move(partials_[n]);
    Partial<T> left{whole.first, at, product_of(reduced_, whole.first, at), {}};
    Partial<T> right{at, whole.last, product_of(reduced_, at, whole.last), {}};
    peeling_ = peeling_ && (at - whole.first == 1 || whole.last - at == 1);
    // The singular values go where the next cut is, so that no QR has to bring them there.
    const bool to_the_left = J + 1 < order_.size() && order_[J + 1] < at;
    const Gauge gauge = !options_.orthonormalize ? Gauge::balanced
                        : to_the_left            ? Gauge::right_orthonormal
                                                 : Gauge::left_orthonormal;
    double discarded;
    if (whole.values.empty())
      discarded = split(
          left.pattern, right.pattern, gauge, true,
          [&](const Interface& blocks, Index block, T* to) {
            matrix_.copy_block(blocks.matrix(block), blocks.rows(), blocks.cols(), to);
          },
          left.values, right.values);
    else
      discarded = split(left.pattern, right.pattern, gauge, true, copy_from(whole.values),
                        left.values, right.values);
    centre_ = to_the_left ? n : n + 1;
    partials_[n] = std::move(left);
    partials_.insert(partials_.begin() + static_cast<std::ptrdiff_t>(n) + 1, std::move(right));
    return discarded;
  }

  static auto copy_from(const std::vector<T>& values) {
    return [&values](const Interface& blocks, Index block, T* to) {
      gather(values.data(), blocks.merged(block), blocks.rows(), blocks.cols(), to);
    };
  }

  /// Moves the gauge centre to partial factor n: all to its left become column-orthonormal per
  /// block, all to its right row-orthonormal, and the product stays.
  void move_centre(std::size_t n) {
    for (; centre_ < n; ++centre_) pass_right(partials_[centre_], partials_[centre_ + 1]);
    for (; centre_ > n; --centre_) pass_left(partials_[centre_ - 1], partials_[centre_]);
  }

  /// left block = Q R; left <- Q, right <- R right.
  void pass_right(Partial<T>& left, Partial<T>& right) {
    const Interface blocks(left.pattern, right.pattern);
    const Index rows = blocks.rows(), rank = blocks.rank(), cols = blocks.cols();
    orthonormalize(blocks, rows,
                   [&, rows, rank, cols](Index n, Qr<T>& qr, T* q, T* r, T* old, T* out) {
                     gather(left.values.data(), blocks.left(n), rows, rank, q);
                     qr.compute(q, r);
                     scatter(q, blocks.left(n), rows, rank, left.values.data());
                     gather(right.values.data(), blocks.right(n), rank, cols, old);
                     for (Index k = 0; k < cols; ++k)
                       for (Index i = 0; i < rank; ++i) {
                         T sum(0);
                         for (Index t = i; t < rank; ++t)
                           sum += r[i + t * rank] * old[t + k * rank];
                         out[i + k * rank] = sum;
                       }
                     scatter(out, blocks.right(n), rank, cols, right.values.data());
                   });
  }

  /// right block = R^H Q^H; right <- Q^H, left <- left R^H.
  void pass_left(Partial<T>& left, Partial<T>& right) {
    const Interface blocks(left.pattern, right.pattern);
    const Index rows = blocks.rows(), rank = blocks.rank(), cols = blocks.cols();
    orthonormalize(
        blocks, cols, [&, rows, rank, cols](Index n, Qr<T>& qr, T* q, T* r, T* old, T* out) {
          const BlockPosition at = blocks.right(n);
          for (Index rho = 0; rho < rank; ++rho)
            for (Index k = 0; k < cols; ++k)
              q[k + rho * cols] = conjugate(right.values[static_cast<std::size_t>(
                  at.base + rho * at.row_step + k * at.col_step)]);
          qr.compute(q, r);
          for (Index rho = 0; rho < rank; ++rho)
            for (Index k = 0; k < cols; ++k)
              right
                  .values[static_cast<std::size_t>(at.base + rho * at.row_step + k * at.col_step)] =
                  conjugate(q[k + rho * cols]);
          gather(left.values.data(), blocks.left(n), rows, rank, old);
          for (Index i = 0; i < rank; ++i)
            for (Index j = 0; j < rows; ++j) {
              T sum(0);
              for (Index t = i; t < rank; ++t)
                sum += old[j + t * rows] * conjugate(r[i + t * rank]);
              out[j + i * rows] = sum;
            }
          scatter(out, blocks.left(n), rows, rank, left.values.data());
        });
  }

  template <class Step>
  void orthonormalize(const Interface& blocks, Index length, Step step) {
    const Index rank = blocks.rank(), other = std::max(blocks.rows(), blocks.cols());
    struct Work {
      Qr<T> qr;
      std::vector<T> q, r, old, out;
    };
    const double size = static_cast<double>((blocks.rows() + blocks.cols()) * rank * rank);
    for_blocks(blocks, static_cast<double>(blocks.blocks()) * (1e3 + 4 * size), false, [&] {
      const auto elements = [](Index n) { return static_cast<std::size_t>(n); };
      auto work = std::make_shared<Work>(
          Work{Qr<T>(length, rank), std::vector<T>(elements(length * rank)),
               std::vector<T>(elements(rank * rank)), std::vector<T>(elements(other * rank)),
               std::vector<T>(elements(other * rank))});
      return [step, work](Index n) {
        step(n, work->qr, work->q.data(), work->r.data(), work->old.data(), work->out.data());
        return 0.0;
      };
    });
  }

  /// The only factor of a chain without splits.
  std::vector<T> copy_matrix() const {
    const Pattern& p = reduced_.front();
    std::vector<T> values(static_cast<std::size_t>(p.nnz()));
    auto to = values.begin();
    for (Index i = 0; i < p.a; ++i)
      for (Index j = 0; j < p.b; ++j)
        for (Index k = 0; k < p.c; ++k)
          for (Index l = 0; l < p.d; ++l)
            *to++ = matrix_((i * p.b + j) * p.d + l, (i * p.c + k) * p.d + l);
    return values;
  }

  void set_errors(Factorization& result) {
    const std::size_t cuts = cut_errors_.size();
    // One cut is optimal by itself, whatever is orthonormal.
    const bool proved = options_.orthonormalize || cuts <= 1;
    double sum = unreachable2_, largest = 0;
    for (double e : cut_errors_) {
      sum += e;
      largest = std::max(largest, e);
    }
    // Without orthonormalization only the first cut sees A itself, and so bounds from below.
    const double bound = proved ? largest : cut_errors_.front();
    const bool pythagoras = proved && peeling_;
    result.lower_bound = relative(unreachable2_ + bound);
    result.relative_error = pythagoras ? relative(sum) : relative(explicit_error());
    const double splits = static_cast<double>(std::max<std::size_t>(cuts, 1));
    result.guarantee = pythagoras ? std::sqrt(splits)
                       : proved   ? splits
                                  : std::numeric_limits<double>::infinity();
  }

  /// ||A - product||^2, entry by entry, some columns at a time.
  double explicit_error() {
    constexpr DType dtypes[] = {DType::float32, DType::float64, DType::complex64,
                                DType::complex128};
    Chain chain{};
    chain.dtype = dtypes[std::is_same<T, float>::value                 ? 0
                         : std::is_same<T, double>::value              ? 1
                         : std::is_same<T, std::complex<float>>::value ? 2
                                                                       : 3];
    for (const Partial<T>& partial : partials_)
      chain.factors.push_back({partial.pattern, partial.values.data(), false, false});
    const Index rows = matrix_.rows(), cols = matrix_.cols(), width = std::min<Index>(128, cols);
    std::vector<T> unit(static_cast<std::size_t>(cols * width));
    std::vector<T> product(static_cast<std::size_t>(rows * width));
    std::vector<double> errors(static_cast<std::size_t>(rows));
    Planner planner(std::move(chain));
    const Layout layout{width, width, {{width, 1, 1}}};
    const auto plan = planner.plan(false, classify(layout));
    for (Index begin = 0; begin < cols; begin += width) {
      const Index count = std::min(width, cols - begin);
      for (Index t = 0; t < count; ++t)
        unit[static_cast<std::size_t>((begin + t) * width + t)] = T(1);
      execute(*plan, layout, false, unit.data(), product.data());
      for (Index t = 0; t < count; ++t)
        unit[static_cast<std::size_t>((begin + t) * width + t)] = T(0);
      parallel(threads_for(rows, static_cast<double>(rows * count)), [&](int thread, int team) {
        for (Index row = rows * thread / team; row < rows * (thread + 1) / team; ++row) {
          double sum = 0;
          for (Index t = 0; t < count; ++t)
            sum += squared(matrix_(row, begin + t) -
                           product[static_cast<std::size_t>(row * width + t)]);
          errors[static_cast<std::size_t>(row)] += sum;
        }
      });
      report_progress(0);
    }
    double sum = 0;
    for (double e : errors) sum += e;
    return sum;
  }

  /// The factors of the chain as it was given: merged groups are split again, which loses
  /// nothing because their ranks are full.
  std::vector<Partial<T>> expand() {
    std::vector<Partial<T>> factors;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const auto [first, last] = groups_[g];
      std::vector<T> rest = std::move(partials_[g].values);
      for (std::size_t s = first; s + 1 < last; ++s) {
        Partial<T> left{s, s + 1, chain_[s], {}};
        std::vector<T> right;
        split(chain_[s], product_of(chain_, s + 1, last), Gauge::balanced, false, copy_from(rest),
              left.values, right);
        factors.push_back(std::move(left));
        rest = std::move(right);
      }
      factors.push_back({last - 1, last, chain_[last - 1], std::move(rest)});
    }
    return factors;
  }

  /// Makes column rho of a left block and row rho of the right block equally long, at every
  /// interface, nearly; and the factors' norms equal: that of the product is spread over all.
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

  void balance(Partial<T>& left, Partial<T>& right) {
    const Interface blocks(left.pattern, right.pattern);
    const auto norm = [](const std::vector<T>& values, Index base, Index step, Index count) {
      double sum = 0;
      for (Index n = 0; n < count; ++n)
        sum += squared(values[static_cast<std::size_t>(base + n * step)]);
      return std::sqrt(sum);
    };
    const auto scale = [](std::vector<T>& values, Index base, Index step, Index count, double by) {
      for (Index n = 0; n < count; ++n)
        values[static_cast<std::size_t>(base + n * step)] *= static_cast<Real<T>>(by);
    };
    for (Index n = 0; n < blocks.blocks(); ++n) {
      const BlockPosition l = blocks.left(n), r = blocks.right(n);
      for (Index rho = 0; rho < blocks.rank(); ++rho) {
        const Index column = l.base + rho * l.col_step, row = r.base + rho * r.row_step;
        const double left_norm = norm(left.values, column, l.row_step, blocks.rows());
        const double right_norm = norm(right.values, row, r.col_step, blocks.cols());
        // A column or row of zeros makes its partner useless: both become zero.
        const bool zero = left_norm == 0 || right_norm == 0;
        const double by = zero ? 0 : std::sqrt(right_norm / left_norm);
        scale(left.values, column, l.row_step, blocks.rows(), by);
        scale(right.values, row, r.col_step, blocks.cols(), zero ? 0 : 1 / by);
      }
    }
  }

  /// Takes the power of two of Matrix out again, spread over the factors.
  void unscale(std::vector<Partial<T>>& factors) const {
    const int count = static_cast<int>(factors.size());
    int left = -matrix_.exponent();
    for (int n = 0; n < count; ++n) {
      const int share = left / (count - n);
      left -= share;
      if (share == 0) continue;
      const Real<T> by = std::ldexp(Real<T>(1), share);
      for (T& x : factors[static_cast<std::size_t>(n)].values) x *= by;
    }
  }

  const Patterns& chain_;
  const FactorizeOptions& options_;
  Matrix<T> matrix_;
  Patterns reduced_;                                         // without redundant pairs
  std::vector<std::pair<std::size_t, std::size_t>> groups_;  // of chain_, one per reduced pattern
  std::vector<std::size_t> order_;                           // splits of the reduced chain
  std::vector<Partial<T>> partials_;
  std::vector<double> cut_errors_;  // squared, in the order of the cuts
  std::size_t centre_ = 0;
  bool peeling_ = true;
  double norm2_ = 0, unreachable2_ = 0, total_ = 0, done_ = 0;
};

void check(const MatrixView& matrix, const Patterns& chain, const FactorizeOptions& options) {
  if (chain.empty()) throw std::invalid_argument("architecture has no patterns");
  for (std::size_t s = 1; s < chain.size(); ++s) {
    const std::string failure = chain_failure(chain[s - 1], chain[s]);
    if (!failure.empty())
      throw std::invalid_argument("architecture is not chainable: patterns " +
                                  text(static_cast<Index>(s) - 1) + " and " +
                                  text(static_cast<Index>(s)) + ": " + failure);
  }
  const Index rows = chain.front().rows(), cols = chain.back().cols();
  if (rows != matrix.rows || cols != matrix.cols)
    throw std::invalid_argument("architecture has shape (" + text(rows) + ", " + text(cols) +
                                ") but A has shape (" + text(matrix.rows) + ", " +
                                text(matrix.cols) + ")");
  std::vector<Index> sorted = options.order;
  std::sort(sorted.begin(), sorted.end());
  bool permutation = sorted.size() + 1 == chain.size();
  for (std::size_t n = 0; permutation && n < sorted.size(); ++n)
    permutation = sorted[n] == static_cast<Index>(n) + 1;
  if (!permutation)
    throw std::invalid_argument("order must be a permutation of the splits 1.." +
                                text(static_cast<Index>(chain.size()) - 1));
  if (!has_lapack()) throw std::logic_error("set_lapack must be called before factorize");
}

}  // namespace

Factorization factorize(const MatrixView& matrix, const Patterns& chain,
                        const FactorizeOptions& options) {
  check(matrix, chain, options);
  return visit(matrix.dtype,
               [&](auto tag) { return Hierarchical<decltype(tag)>(matrix, chain, options).run(); });
}

}  // namespace papilio
