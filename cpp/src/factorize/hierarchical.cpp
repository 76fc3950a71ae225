#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "factorize/checks.hpp"
#include "factorize/matrix.hpp"
#include "factorize/partial.hpp"
#include "factorize/radices.hpp"
#include "papilio/apply.hpp"
#include "papilio/factorize.hpp"
#include "papilio/threads.hpp"

namespace papilio {

namespace {

template <class T>
class Hierarchical {
 public:
  Hierarchical(const MatrixView& view, const Patterns& chain, const FactorizeOptions& options)
      : chain_(chain), options_(options), matrix_(view), radices_(reduced(chain)) {
    for (Index split : options.order)
      for (std::size_t g = 0; g + 1 < groups_.size(); ++g)
        if (groups_[g].second == static_cast<std::size_t>(split)) order_.push_back(g + 1);
  }

  Factorization run() {
    // What is overwritten can't be looked at again.
    if (overwrites()) matrix_.scale();
    Factorization result;
    if (!attempt(result)) {
      // Squares overflowed or vanished, or there is a NaN or an infinity, which this throws.
      matrix_.scale();
      result = {};
      attempt(result);
    }
    set_errors(result);
    std::vector<Partial<T>> factors = expand();
    balance(factors);
    spread_power_of_two(factors, -matrix_.exponent());
    for (const Partial<T>& factor : factors) result.patterns.push_back(factor.pattern);
    result.values = to_bytes(factors);
    result.norm = std::ldexp(std::sqrt(norm2_), -matrix_.exponent());
    return result;
  }

 private:
  static constexpr bool is_complex = !std::is_same<T, Real<T>>::value;

  /// The chain without redundant pairs; with tol, ranks are still to be found.
  Patterns reduced(const Patterns& chain) {
    Patterns patterns;
    if (options_.tol > 0) {
      patterns = chain;
      for (std::size_t s = 0; s < chain.size(); ++s) groups_.emplace_back(s, s + 1);
    } else {
      for (const auto& group : reduce_chain(chain)) {
        groups_.push_back(group);
        patterns.push_back(
            chain_product(Patterns(chain.begin() + static_cast<std::ptrdiff_t>(group.first),
                                   chain.begin() + static_cast<std::ptrdiff_t>(group.second))));
      }
    }
    return patterns;
  }

  /// Cuts at all splits; false if the matrix must be scaled first.
  bool attempt(Factorization& result) {
    partials_.clear();
    cut_errors_.clear();
    centre_ = 0;
    done_ = 0;
    norm2_ = unreachable2_ = 0;
    partials_.push_back({0, radices_.size(), radices_.product(0, radices_.size()), {}, nullptr, 0});
    const Pattern& whole = partials_.front().pattern;
    if (whole.a > 1 || whole.d > 1) measure_outside();
    if (options_.tol > 0) std::fill(radices_.ranks.begin() + 1, radices_.ranks.end() - 1, 1);
    total_ = plan_cost();
    result.split_errors.assign(chain_.size() - 1, 0.0);
    result.split_tails.assign(chain_.size() - 1, {});
    if (order_.empty()) {
      norm2_ = unreachable2_ + copy_matrix(partials_.front());
      return has_safe_norm();
    }
    for (std::size_t J = 0; J < order_.size(); ++J) {
      const std::size_t split = groups_[order_[J] - 1].second;
      std::vector<double>& tails = result.split_tails[split - 1];
      const double discarded = cut(J, tails);
      if (J == 0 && !has_safe_norm()) return false;
      cut_errors_.push_back(discarded);
      result.split_errors[split - 1] = relative(discarded);
      for (double& tail : tails) tail = relative(std::max(0.0, tail));
      result.order.push_back(static_cast<Index>(split));
    }
    for (Partial<T>& partial : partials_)
      if (partial.place) take_out(partial);
    return true;
  }

  /// Copies values that lie in the matrix to memory of their own.
  static void take_out(Partial<T>& partial) {
    const Pattern& p = partial.pattern;
    partial.values = Buffer<T>(p.nnz());
    T* to = partial.values.data();
    for (Index i = 0; i < p.a; ++i)
      for (Index j = 0; j < p.b; ++j, to += p.c) {
        poll_interruption();
        std::copy_n(partial.place + j * partial.place_step + i * p.c, p.c, to);
      }
    partial.place = nullptr;
  }

  /// Whether the right part of the first cut may lie where the matrix is: nobody may need it again.
  /// That is so where the cuts tell the error, and there is no second attempt once it was scaled.
  bool overwrites() const {
    return options_.overwrite && options_.orthonormalize && options_.tol == 0 &&
           is_peeling(order_, radices_.size()) && matrix_.in_memory() &&
           matrix_.has_separate_rows();
  }

  bool has_safe_norm() const {
    if (matrix_.is_scaled()) return true;
    constexpr int most = std::numeric_limits<Real<T>>::max_exponent;
    return std::isfinite(norm2_) && norm2_ > std::ldexp(1.0, -most / 2) &&
           norm2_ < std::ldexp(1.0, most / 2);
  }

  double relative(double squared_error) const {
    return norm2_ > 0 ? std::sqrt(squared_error / norm2_) : 0.0;
  }

  /// The part of ||A||^2 that no factor can reach.
  void measure_outside() {
    const Pattern p = partials_.front().pattern;
    matrix_.for_rows(0, matrix_.rows(), [&](Index row, Index place) {
      const Index block = row / (p.b * p.d), l = row % p.d;
      double out = 0;
      for (Index col = 0; col < matrix_.cols(); ++col)
        if (col / (p.c * p.d) != block || col % p.d != l) out += squared(matrix_(place, col));
      unreachable2_ += out;
    });
  }

  double cost_of(const Interface& blocks) const {
    return static_cast<double>(blocks.blocks()) * cut_cost(blocks, is_complex);
  }

  /// The work of all cuts, for the progress reports.
  double plan_cost() const {
    double total = 0;
    std::vector<std::pair<std::size_t, std::size_t>> nodes{{0, radices_.size()}};
    for (std::size_t split : order_)
      for (std::size_t n = 0; n < nodes.size(); ++n) {
        const auto [first, last] = nodes[n];
        if (split <= first || split >= last) continue;
        total += cost_of(Interface(radices_.product(first, split), radices_.product(split, last)));
        nodes[n] = {first, split};
        nodes.push_back({split, last});
        break;
      }
    return total * (options_.tol > 0 ? 2 : 1);
  }

  void report_progress(double done) {
    done_ += done;
    if (options_.progress) options_.progress(total_ > 0 ? std::min(1.0, done_ / total_) : 1.0);
  }
  Tick ticking() {
    return [this](double done) { report_progress(done); };
  }

  std::size_t find_partial(std::size_t split) const {
    std::size_t n = 0;
    while (!(partials_[n].first < split && split < partials_[n].last)) ++n;
    return n;
  }

  /// Calls use(blocks first, last, rows loaded as (i, first e, last e) or none) so that all blocks
  /// of the interface pass by; a matrix that isn't in memory is loaded some rows at a time.
  template <class Use>
  void for_parts(const Partial<T>& whole, const Interface& blocks, Use use) {
    if (whole.values.data() || whole.place || matrix_.in_memory()) {
      use(BlockRange{0, blocks.blocks(), 0, 0, 0});
      return;
    }
    const Interface::Sizes sizes = blocks.sizes();
    const Index row_bytes = matrix_.cols() * static_cast<Index>(sizeof(T));
    constexpr Index slab_bytes = Index{16} << 20;
    const Index most = std::clamp(slab_bytes / std::max(row_bytes * sizes.b1 * sizes.d2, Index{1}),
                                  Index{1}, sizes.en);
    std::vector<Index> rows;
    for (Index i = 0; i < sizes.a1; ++i)
      for (Index e = 0; e < sizes.en; e += most) {
        const Index end = std::min(e + most, sizes.en);
        rows.clear();
        for (Index j = 0; j < sizes.b1; ++j)
          for (Index row = e * sizes.d2; row < end * sizes.d2; ++row)
            rows.push_back((i * sizes.b1 + j) * sizes.en * sizes.d2 + row);
        matrix_.load(rows);
        // Block numbers run (i, f, e, l): those of this part, counted in its own (f, e, l).
        use(BlockRange{0, sizes.fn * (end - e) * sizes.d2, i, e, end});
      }
  }

  /// Some blocks of an interface: all, or those whose rows are loaded.
  struct BlockRange {
    Index first, last, i, e0, e1;
    bool loaded() const { return e1 > 0; }
    /// The number of a block in the interface.
    Index number(const Interface::Sizes& s, Index n) const {
      if (!loaded()) return n;
      const Index width = (e1 - e0) * s.d2, f = n / width, rest = n % width;
      return ((i * s.fn + f) * s.en + e0) * s.d2 + rest;
    }
    /// Where a block's rows are among the loaded ones.
    Interface::MatrixPosition place(const Interface::Sizes& s, Interface::MatrixPosition at) const {
      if (!loaded()) return at;
      const Index in_i = at.row - i * s.b1 * s.en * s.d2;
      return {in_i - e0 * s.d2, at.col, (e1 - e0) * s.d2, at.col_step};
    }
  };

  /// Runs worker(svd, block as it lies, its number, sums) for all blocks of the interface.
  template <class Worker>
  std::vector<double> for_merged(const Partial<T>& whole, const Interface& blocks, Index rank,
                                 std::size_t width, Worker worker) {
    const Index rows = blocks.rows(), cols = blocks.cols();
    const Interface::Sizes sizes = blocks.sizes();
    std::vector<double> sums(width);
    for_parts(whole, blocks, [&](const BlockRange& range) {
      const std::vector<double> part = for_blocks(
          range.first, range.last, cut_cost(blocks, is_complex), width, ticking(), [&]() {
            struct Work {
              BlockSvd<T> svd;
              std::vector<T> copy;
              std::vector<const T*> lines;
            };
            auto work = std::make_shared<Work>(Work{BlockSvd<T>(rows, cols, rank), {}, {}});
            return [&, work](Index n, double* to) {
              const Index number = range.number(sizes, n);
              Strided<const T> block{nullptr, 0, 0};
              if (whole.values.data() || whole.place) {
                const Strided<T> found = whole.block(blocks, number);
                block = {found.data, found.row_step, found.col_step};
              } else if (matrix_.is_plain()) {
                block = matrix_.in_place(blocks.matrix(number));
              } else {
                work->copy.resize(static_cast<std::size_t>(rows * cols));
                matrix_.copy_block(range.place(sizes, blocks.matrix(number)), rows, cols,
                                   work->copy.data(), work->lines);
                block = {work->copy.data(), cols, 1};
              }
              worker(work->svd, block, number, to);
            };
          });
      for (std::size_t n = 0; n < width; ++n) sums[n] += part[n];
    });
    return sums;
  }

  struct Cut {
    double discarded, norm2;
    std::vector<double> tails;  // squared, at rank 0, 1, ..., the rank of the cut
  };

  /// Splits `whole` at the interface between the two patterns.
  Cut split(const Partial<T>& whole, Gauge gauge, Partial<T>& left, Partial<T>& right) {
    const Interface blocks(left.pattern, right.pattern);
    const Index rank = blocks.rank();
    // The larger part goes where an earlier cut has read.
    for (Partial<T>* part : {&left, &right}) {
      if (part->place) continue;
      const Index size = part->pattern.nnz();
      const bool larger = size >= std::max(left.pattern.nnz(), right.pattern.nnz());
      const bool fits = spare_.bytes() >= static_cast<std::size_t>(size) * sizeof(T);
      part->values = Buffer<T>(size, larger && fits ? std::move(spare_) : Memory());
    }
    const std::size_t width = 2 + static_cast<std::size_t>(rank);
    const Interface::Sizes sizes = blocks.sizes();
    const std::vector<double> sums =
        for_merged(whole, blocks, rank, width,
                   [&, sizes](BlockSvd<T>& svd, Strided<const T> block, Index n, double* to) {
                     if (right.place) {
                       // The result goes where the block is: its first rows.
                       std::vector<T> rows(static_cast<std::size_t>(rank * sizes.c2));
                       to[0] += svd.factor(block, gauge, left_block(left, blocks, n),
                                           {rows.data(), sizes.c2, 1});
                       T* target = const_cast<T*>(block.data);
                       for (Index rho = 0; rho < rank; ++rho)
                         std::copy(rows.data() + rho * sizes.c2, rows.data() + (rho + 1) * sizes.c2,
                                   target + rho * block.row_step);
                     } else {
                       to[0] += svd.factor(block, gauge, left_block(left, blocks, n),
                                           right_block(right, blocks, n));
                     }
                     to[1] += svd.norm2();
                     for (std::size_t k = 0; k < svd.kept().size(); ++k) to[2 + k] += svd.kept()[k];
                   });
    // From the smallest on: differences would lose small tails.
    Cut result{sums[0], sums[1], std::vector<double>(width - 1, sums[0])};
    for (std::size_t k = width - 2; k-- > 0;) result.tails[k] = result.tails[k + 1] + sums[2 + k];
    return result;
  }

  /// The squared tails of all ranks at an interface, without cutting it.
  std::vector<double> measure(const Partial<T>& whole, const Interface& blocks) {
    const Index full = std::min(blocks.rows(), blocks.cols());
    const double share = options_.tol * options_.tol / static_cast<double>(order_.size()) / 10;
    const std::size_t width = static_cast<std::size_t>(full);
    const std::vector<double> energies = for_merged(
        whole, blocks, 1, width, [&](BlockSvd<T>& svd, Strided<const T> block, Index, double* to) {
          const std::vector<double>& spectrum = svd.spectrum(block, share);
          for (std::size_t k = 0; k < width; ++k) to[k] += spectrum[k];
        });
    std::vector<double> tails(width + 1);
    for (std::size_t k = width; k-- > 0;) tails[k] = tails[k + 1] + energies[k];
    return tails;
  }

  double cut(std::size_t J, std::vector<double>& tails) {
    const std::size_t at = order_[J], n = find_partial(at);
    if (options_.orthonormalize) move_centre(n);
    Partial<T> whole = std::move(partials_[n]);
    // The singular values go where the next cut is, so that no QR has to bring them there.
    const bool to_the_left = J + 1 < order_.size() && order_[J + 1] < at;
    const Gauge gauge = !options_.orthonormalize ? Gauge::balanced
                        : to_the_left            ? Gauge::right_orthonormal
                                                 : Gauge::left_orthonormal;
    double allowed = std::numeric_limits<double>::infinity();
    Index& rank = radices_.ranks[at];
    Index full = rank;
    if (options_.tol > 0) {
      rank = 1;
      const Interface blocks(radices_.product(whole.first, at), radices_.product(at, whole.last));
      tails = measure(whole, blocks);
      if (J == 0) norm2_ = unreachable2_ + tails[0];
      if (!std::isfinite(norm2_)) {
        partials_[n] = std::move(whole);
        return norm2_;
      }
      full = std::min(blocks.rows(), blocks.cols());
      if (options_.max_rank > 0) full = std::min(full, options_.max_rank);
      allowed = allowance(J);
      while (rank < full && tails[static_cast<std::size_t>(rank)] > allowed) ++rank;
    }
    for (;; ++rank) {
      Partial<T> left{whole.first, at, radices_.product(whole.first, at), {}, nullptr, 0};
      Partial<T> right{at, whole.last, radices_.product(at, whole.last), {}, nullptr, 0};
      if (J == 0 && overwrites() && matrix_.is_plain() && gauge == Gauge::left_orthonormal &&
          right.pattern.d == 1 && left.pattern.a == 1 && rank < left.pattern.b) {
        right.place = matrix_.writable();
        right.place_step = matrix_.row(0).row_step;
      }
      const Cut found = split(whole, gauge, left, right);
      if (J == 0) norm2_ = unreachable2_ + found.norm2;
      // What was measured can be off by rounding; what was discarded counts.
      if (options_.tol > 0 && found.discarded > allowed && rank < full) continue;
      if (options_.tol == 0)
        tails = found.tails;
      else
        tails[static_cast<std::size_t>(rank)] = found.discarded;
      centre_ = to_the_left ? n : n + 1;
      // The next cut writes where this one has read.
      if (whole.values.data()) spare_ = std::move(whole.values).take();
      partials_[n] = std::move(left);
      partials_.insert(partials_.begin() + static_cast<std::ptrdiff_t>(n) + 1, std::move(right));
      return found.discarded;
    }
  }

  /// What cut J may discard (squared): an equal share of what the others before left over. Squares
  /// add up where each cut takes off an end factor, else errors do.
  double allowance(std::size_t J) const {
    const double left_cuts = static_cast<double>(order_.size() - J);
    const double fair = options_.tol / static_cast<double>(order_.size());
    if (is_peeling(order_, radices_.size())) {
      double used = unreachable2_;
      for (double e : cut_errors_) used += e;
      // A little less than there is: rounding must not turn a tolerance that is met into a missed
      // one.
      const double budget = options_.tol * options_.tol * norm2_ * (1 - 1e-14) - used;
      return std::max(budget / left_cuts, fair * fair * norm2_ * 1e-2);
    }
    double used = std::sqrt(unreachable2_);
    for (double e : cut_errors_) used += std::sqrt(e);
    const double budget = (options_.tol * std::sqrt(norm2_) - used) / left_cuts;
    const double share = std::max(budget, fair * std::sqrt(norm2_) * 1e-1);
    return share * share;
  }

  static bool is_peeling(const std::vector<std::size_t>& order, std::size_t length) {
    std::size_t first = 0, last = length;
    for (std::size_t split : order) {
      if (split == first + 1)
        first = split;
      else if (split + 1 == last)
        last = split;
      else
        return false;
    }
    return true;
  }

  /// Moves the gauge centre to partial factor n: all to its left become column-orthonormal per
  /// block, all to its right row-orthonormal, and the product stays. With tol, a rank that was
  /// found before its neighbour's can turn out larger than its blocks are now; it becomes their
  /// size.
  void move_centre(std::size_t n) {
    const auto rank_at = [&](std::size_t left) -> Index& {
      return radices_.ranks[partials_[left].last];
    };
    for (; centre_ < n; ++centre_)
      rank_at(centre_) = pass_right(partials_[centre_], partials_[centre_ + 1], ticking());
    for (; centre_ > n; --centre_)
      rank_at(centre_ - 1) = pass_left(partials_[centre_ - 1], partials_[centre_], ticking());
  }

  /// The only factor of a chain without splits; returns its squared norm.
  double copy_matrix(Partial<T>& partial) {
    const Pattern& p = partial.pattern;
    partial.values = Buffer<T>(p.nnz());
    double norm2 = 0;
    matrix_.for_rows(0, matrix_.rows(), [&](Index row, Index place) {
      const Index i = row / (p.b * p.d), j = row / p.d % p.b, l = row % p.d;
      for (Index k = 0; k < p.c; ++k) {
        const T x = matrix_(place, (i * p.c + k) * p.d + l);
        partial.values.data()[((i * p.b + j) * p.c + k) * p.d + l] = x;
        norm2 += squared(x);
      }
    });
    return norm2;
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
    const bool pythagoras = proved && is_peeling(order_, radices_.size());
    result.lower_bound = relative(unreachable2_ + bound);
    result.relative_error = pythagoras ? relative(sum) : relative(explicit_error());
    const double splits = static_cast<double>(std::max<std::size_t>(cuts, 1));
    result.guarantee = pythagoras ? std::sqrt(splits)
                       : proved   ? splits
                                  : std::numeric_limits<double>::infinity();
  }

  /// How many rows explicit_error forms at a time: some 10 ms of work.
  Index error_height() const {
    double work = 1;
    for (const Partial<T>& partial : partials_) work += static_cast<double>(partial.pattern.nnz());
    const auto fitting = static_cast<Index>(1e8 / work);
    return std::min(matrix_.rows(), std::clamp(fitting, Index{1}, Index{128}));
  }

  /// ||A - product||^2, entry by entry, some rows at a time.
  double explicit_error() {
    Chain chain{};
    chain.dtype = dtype_of_type<T>;
    for (const Partial<T>& partial : partials_)
      chain.factors.push_back({partial.pattern, partial.values.data(), false, false});
    const Index rows = matrix_.rows(), cols = matrix_.cols(), height = error_height();
    std::vector<T> unit(static_cast<std::size_t>(rows * height));
    std::vector<T> product(static_cast<std::size_t>(cols * height));
    std::vector<double> errors(static_cast<std::size_t>(rows));
    Planner planner(std::move(chain));
    const Layout layout{1, 1, {{height, rows, cols}}};
    const auto plan = planner.plan(true, classify(layout));
    std::vector<Index> numbers;
    for (Index begin = 0; begin < rows; begin += height) {
      const Index count = std::min(height, rows - begin);
      numbers.clear();
      for (Index t = 0; t < count; ++t) {
        unit[static_cast<std::size_t>(t * rows + begin + t)] = T(1);
        numbers.push_back(begin + t);
      }
      execute(*plan, layout, false, unit.data(), product.data());
      for (Index t = 0; t < count; ++t) unit[static_cast<std::size_t>(t * rows + begin + t)] = T(0);
      if (!matrix_.in_memory()) matrix_.load(numbers);
      parallel(threads_for(count, static_cast<double>(cols * count)), [&](int thread, int team) {
        for (Index t = count * thread / team; t < count * (thread + 1) / team; ++t) {
          const Index place = matrix_.in_memory() ? begin + t : t;
          double sum = 0;
          for (Index col = 0; col < cols; ++col)
            sum += squared(matrix_(place, col) - product[static_cast<std::size_t>(t * cols + col)]);
          errors[static_cast<std::size_t>(begin + t)] = sum;
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
      Partial<T> rest = std::move(partials_[g]);
      if (last - first == 1) {
        rest.first = first;
        rest.last = last;
        factors.push_back(std::move(rest));
        continue;
      }
      for (std::size_t s = first; s + 1 < last; ++s) {
        Partial<T> left{s, s + 1, chain_[s], {}, nullptr, 0};
        Partial<T> right{
            s + 1,
            last,
            chain_product(Patterns(chain_.begin() + static_cast<std::ptrdiff_t>(s) + 1,
                                   chain_.begin() + static_cast<std::ptrdiff_t>(last))),
            {},
            nullptr,
            0};
        split(rest, Gauge::left_orthonormal, left, right);
        factors.push_back(std::move(left));
        rest = std::move(right);
      }
      factors.push_back(std::move(rest));
    }
    return factors;
  }

  const Patterns& chain_;
  const FactorizeOptions& options_;
  Matrix<T> matrix_;
  std::vector<std::pair<std::size_t, std::size_t>> groups_;  // of chain_, one per reduced pattern
  Radices radices_;                                          // of the chain without redundant pairs
  std::vector<std::size_t> order_;                           // splits of the reduced chain
  std::vector<Partial<T>> partials_;
  Memory spare_;
  std::vector<double> cut_errors_;  // squared, in the order of the cuts
  std::size_t centre_ = 0;
  double norm2_ = 0, unreachable2_ = 0, total_ = 0, done_ = 0;
};

}  // namespace

Factorization factorize(const MatrixView& matrix, const Patterns& chain,
                        const FactorizeOptions& options) {
  check_factorize(matrix, chain, options);
  return visit(matrix.dtype,
               [&](auto tag) { return Hierarchical<decltype(tag)>(matrix, chain, options).run(); });
}

}  // namespace papilio
