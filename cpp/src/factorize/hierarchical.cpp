#include <algorithm>
#include <cmath>
#include <limits>

#include "factorize/checks.hpp"
#include "factorize/cut_errors.hpp"
#include "factorize/entrywise.hpp"
#include "factorize/merged_blocks.hpp"
#include "factorize/radices.hpp"

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
    result.norm = std::ldexp(std::sqrt(errors_.norm2), -matrix_.exponent());
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
    centre_ = 0;
    done_ = 0;
    errors_ = {};
    errors_.cuts_in_all = order_.size();
    errors_.peeling = is_peeling(order_, radices_.size());
    partials_.push_back({0, radices_.size(), radices_.product(0, radices_.size()), {}, nullptr, 0});
    const Pattern& whole = partials_.front().pattern;
    if (whole.a > 1 || whole.d > 1) errors_.unreachable2 = squared_norm_outside(matrix_, whole);
    if (options_.tol > 0) std::fill(radices_.ranks.begin() + 1, radices_.ranks.end() - 1, 1);
    total_ = plan_cost();
    result.split_errors.assign(chain_.size() - 1, 0.0);
    result.split_tails.assign(chain_.size() - 1, {});
    if (order_.empty()) {
      errors_.norm2 = errors_.unreachable2 + copy_matrix(matrix_, partials_.front());
      return has_safe_norm();
    }
    for (std::size_t J = 0; J < order_.size(); ++J) {
      const std::size_t split = groups_[order_[J] - 1].second;
      std::vector<double>& tails = result.split_tails[split - 1];
      const double discarded = cut(J, tails);
      if (J == 0 && !has_safe_norm()) return false;
      errors_.cuts.push_back(discarded);
      result.split_errors[split - 1] = errors_.relative(discarded);
      for (double& tail : tails) tail = errors_.relative(std::max(0.0, tail));
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
    const double norm2 = errors_.norm2;
    return std::isfinite(norm2) && norm2 > std::ldexp(1.0, -most / 2) &&
           norm2 < std::ldexp(1.0, most / 2);
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

  std::size_t find_partial(std::size_t split) const {
    std::size_t n = 0;
    while (!(partials_[n].first < split && split < partials_[n].last)) ++n;
    return n;
  }

  /// Memory for the values of both parts: the larger one goes where an earlier cut has read.
  void provide_memory(Partial<T>& left, Partial<T>& right) {
    for (Partial<T>* part : {&left, &right}) {
      if (part->place) continue;
      const Index size = part->pattern.nnz();
      const bool larger = size >= std::max(left.pattern.nnz(), right.pattern.nnz());
      const bool fits = spare_.bytes() >= static_cast<std::size_t>(size) * sizeof(T);
      part->values = Buffer<T>(size, larger && fits ? std::move(spare_) : Memory());
    }
  }

  /// Cuts split number J of the order; returns what that discarded, squared, and in `tails` what
  /// each rank would.
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
      const double share = options_.tol * options_.tol / static_cast<double>(order_.size()) / 10;
      tails = MergedBlocks<T>(matrix_, whole, tick_).measure(blocks, share);
      if (J == 0) errors_.norm2 = errors_.unreachable2 + tails[0];
      if (!std::isfinite(errors_.norm2)) {
        partials_[n] = std::move(whole);
        return errors_.norm2;
      }
      full = std::min(blocks.rows(), blocks.cols());
      if (options_.max_rank > 0) full = std::min(full, options_.max_rank);
      allowed = errors_.allowance(options_.tol);
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
      provide_memory(left, right);
      const Cut found = MergedBlocks<T>(matrix_, whole, tick_).split(gauge, left, right);
      if (J == 0) errors_.norm2 = errors_.unreachable2 + found.norm2;
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

  /// Moves the gauge centre to partial factor n: all to its left become column-orthonormal per
  /// block, all to its right row-orthonormal, and the product stays. With tol, a rank that was
  /// found before its neighbour's can turn out larger than its blocks are now; it becomes their
  /// size.
  void move_centre(std::size_t n) {
    const auto rank_at = [&](std::size_t left) -> Index& {
      return radices_.ranks[partials_[left].last];
    };
    for (; centre_ < n; ++centre_)
      rank_at(centre_) = pass_right(partials_[centre_], partials_[centre_ + 1], tick_);
    for (; centre_ > n; --centre_)
      rank_at(centre_ - 1) = pass_left(partials_[centre_ - 1], partials_[centre_], tick_);
  }

  void set_errors(Factorization& result) {
    errors_.describe(options_.orthonormalize, result);
    if (!errors_.tell_all(options_.orthonormalize))
      result.relative_error = errors_.relative(squared_error(matrix_, partials_, tick_));
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
        provide_memory(left, right);
        MergedBlocks<T>(matrix_, rest, tick_).split(Gauge::left_orthonormal, left, right);
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
  CutErrors errors_;
  std::size_t centre_ = 0;
  double total_ = 0, done_ = 0;
  const Tick tick_ = [this](double done) { report_progress(done); };
};

}  // namespace

Factorization factorize(const MatrixView& matrix, const Patterns& chain,
                        const FactorizeOptions& options) {
  check_factorize(matrix, chain, options);
  return visit(matrix.dtype,
               [&](auto tag) { return Hierarchical<decltype(tag)>(matrix, chain, options).run(); });
}

}  // namespace papilio
