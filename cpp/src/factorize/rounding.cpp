#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "factorize/partial.hpp"
#include "papilio/factorize.hpp"

namespace papilio {

namespace {

template <class T>
class Sweep {
 public:
  explicit Sweep(const Chain& chain) {
    for (std::size_t s = 0; s < chain.factors.size(); ++s) {
      const Factor& factor = chain.factors[s];
      const Pattern& p = factor.pattern;
      Partial<T> partial{s, s + 1, p, Buffer<T>(p.nnz()), nullptr, 0};
      const T* from = static_cast<const T*>(factor.values);
      const Index d = factor.tied_d ? 1 : p.d;
      T* to = partial.values.data();
      for (Index i = 0; i < p.a; ++i)
        for (Index block = 0; block < p.b * p.c; ++block)
          for (Index l = 0; l < p.d; ++l)
            *to++ =
                from[((factor.tied_a ? 0 : i) * p.b * p.c + block) * d + (factor.tied_d ? 0 : l)];
      factors_.push_back(std::move(partial));
    }
    if (!has_lapack()) throw std::logic_error("set_lapack must be called before a sweep");
    shrink();
  }

  /// Orthonormal columns left of the centre, orthonormal rows right of it.
  void orthonormalize(std::size_t centre) {
    for (std::size_t s = 0; s < centre; ++s) pass_right(factors_[s], factors_[s + 1], no_tick());
    for (std::size_t s = factors_.size() - 1; s > centre; --s)
      pass_left(factors_[s - 1], factors_[s], no_tick());
    measure(factors_[centre]);
  }

  SweptChain round(double tol, Index max_rank) {
    orthonormalize(0);
    const std::size_t splits = factors_.size() - 1;
    SweptChain result;
    // Squares of the centre must neither overflow nor vanish.
    scale_centre(-exponent_);
    double used = 0;
    const double budget =
        std::max(tol, 4.0 * static_cast<double>(std::numeric_limits<Real<T>>::epsilon())) *
        std::ldexp(norm_, -exponent_);
    for (std::size_t s = 0; s < splits; ++s) {
      const double allowed =
          std::max(budget * budget - used, 0.0) / static_cast<double>(splits - s);
      result.split_tails.emplace_back();
      const double discarded =
          truncate(factors_[s], factors_[s + 1], allowed, max_rank, result.split_tails.back());
      used += discarded;
      result.split_errors.push_back(discarded);
    }
    const double norm2 = std::pow(std::ldexp(norm_, -exponent_), 2);
    const auto relative = [&](double x) { return norm2 > 0 ? std::sqrt(x / norm2) : 0.0; };
    for (double& e : result.split_errors) e = relative(e);
    for (std::vector<double>& tails : result.split_tails)
      for (double& tail : tails) tail = relative(tail);
    result.relative_error = relative(used);
    balance(factors_);
    unscale();
    return finish(std::move(result));
  }

  SweptChain finish(SweptChain result = {}) {
    for (const Partial<T>& factor : factors_) result.patterns.push_back(factor.pattern);
    result.values = to_bytes(factors_);
    result.norm = norm_;
    return result;
  }

 private:
  static Tick no_tick() {
    return [](double) {};
  }

  static Pattern with_b(Pattern p, Index from, Index to) {
    p.b = p.b / from * to;
    return p;
  }
  static Pattern with_c(Pattern p, Index from, Index to) {
    p.c = p.c / from * to;
    return p;
  }

  /// The two factors at another rank; their values are to be filled.
  std::pair<Partial<T>, Partial<T>> resized(const Partial<T>& left, const Partial<T>& right,
                                            Index from, Index to) const {
    const Pattern l = with_c(left.pattern, from, to), r = with_b(right.pattern, from, to);
    return {Partial<T>{left.first, left.last, l, Buffer<T>(l.nnz()), nullptr, 0},
            Partial<T>{right.first, right.last, r, Buffer<T>(r.nnz()), nullptr, 0}};
  }

  /// Ranks above the size of a block become that size: the block of one side is multiplied into
  /// the other and replaced by the identity.
  void shrink() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t s = 0; s + 1 < factors_.size(); ++s) {
        Partial<T>&left = factors_[s], &right = factors_[s + 1];
        const Interface old(left.pattern, right.pattern);
        const Index rank = std::min(old.rows(), old.cols());
        if (rank >= old.rank()) continue;
        const bool into_right = old.rows() <= old.cols();
        auto both = resized(left, right, old.rank(), rank);
        Partial<T>&new_left = both.first, &new_right = both.second;
        const Interface blocks(new_left.pattern, new_right.pattern);
        for (Index n = 0; n < blocks.blocks(); ++n) {
          const Strided<T> x = left_block(left, old, n), y = right_block(right, old, n);
          const Strided<T> u = left_block(new_left, blocks, n);
          const Strided<T> v = right_block(new_right, blocks, n);
          for (Index j = 0; j < old.rows(); ++j)
            for (Index k = 0; k < old.cols(); ++k) {
              T sum(0);
              for (Index rho = 0; rho < old.rank(); ++rho) sum += x(j, rho) * y(rho, k);
              (into_right ? v(j, k) : u(j, k)) = sum;
            }
          for (Index i = 0; i < rank; ++i)
            for (Index j = 0; j < rank; ++j) (into_right ? u(i, j) : v(i, j)) = T(i == j ? 1 : 0);
        }
        left = std::move(new_left);
        right = std::move(new_right);
        changed = true;
      }
    }
  }

  /// Of a chain that is orthonormal but for the centre, the norm is that of the centre.
  void measure(const Partial<T>& centre) {
    double most = 0;
    for (const T& x : centre.values) most = std::max(most, static_cast<double>(std::abs(x)));
    if (most > 0) std::frexp(most, &exponent_);
    double sum = 0;
    for (const T& x : centre.values)
      sum += std::pow(std::ldexp(static_cast<double>(std::abs(x)), -exponent_), 2);
    norm_ = std::ldexp(std::sqrt(sum), exponent_);
  }

  void scale_centre(int exponent) {
    for (T& x : factors_.front().values) x *= std::ldexp(Real<T>(1), exponent);
  }
  void unscale() {
    // Spread over the factors, so that none overflows alone.
    const int count = static_cast<int>(factors_.size());
    int left = exponent_;
    for (int n = 0; n < count; ++n) {
      const int share = left / (count - n);
      left -= share;
      for (T& x : factors_[static_cast<std::size_t>(n)].values) x *= std::ldexp(Real<T>(1), share);
    }
  }

  /// Truncates the blocks of `left`, the centre, to the smallest rank that discards no more than
  /// `allowed`, and moves the centre to `right`. Returns what was discarded, squared, and in
  /// `tails` what each rank would have.
  double truncate(Partial<T>& left, Partial<T>& right, double allowed, Index max_rank,
                  std::vector<double>& tails) {
    const Interface old(left.pattern, right.pattern);
    const Index rows = old.rows(), inner = old.rank(), cols = old.cols();
    const std::size_t width = static_cast<std::size_t>(std::min(rows, inner));
    const double cost = cut_cost(old, !std::is_same<T, Real<T>>::value);
    const std::vector<double> energies =
        for_blocks(0, old.blocks(), cost, width, no_tick(), [&]() -> BlockWorker {
          auto svd = std::make_shared<BlockSvd<T>>(rows, inner, 1);
          return [&, svd](Index n, double* to) {
            const Strided<T> x = left_block(left, old, n);
            const auto& spectrum = svd->spectrum({x.data, x.row_step, x.col_step}, 1e-30);
            for (std::size_t k = 0; k < width; ++k) to[k] += spectrum[k];
          };
        });
    tails.assign(width + 1, 0.0);
    for (std::size_t k = width; k-- > 0;) tails[k] = tails[k + 1] + energies[k];
    Index rank = 1;
    while (rank < static_cast<Index>(width) && tails[static_cast<std::size_t>(rank)] > allowed)
      ++rank;
    if (max_rank > 0) rank = std::min(rank, max_rank);
    auto both = resized(left, right, inner, rank);
    Partial<T>&new_left = both.first, &new_right = both.second;
    const Interface blocks(new_left.pattern, new_right.pattern);
    const std::vector<double> sums =
        for_blocks(0, blocks.blocks(), cost, 1, no_tick(), [&]() -> BlockWorker {
          auto svd = std::make_shared<BlockSvd<T>>(rows, inner, rank);
          auto core = std::make_shared<std::vector<T>>(static_cast<std::size_t>(rank * inner));
          return [&, svd, core, rank](Index n, double* to) {
            const Strided<T> x = left_block(left, old, n), y = right_block(right, old, n);
            const Strided<T> z = right_block(new_right, blocks, n);
            *to += svd->factor({x.data, x.row_step, x.col_step}, Gauge::left_orthonormal,
                               left_block(new_left, blocks, n), {core->data(), inner, 1});
            for (Index i = 0; i < rank; ++i)
              for (Index k = 0; k < cols; ++k) {
                T sum(0);
                for (Index t = 0; t < inner; ++t)
                  sum += (*core)[static_cast<std::size_t>(i * inner + t)] * y(t, k);
                z(i, k) = sum;
              }
          };
        });
    left = std::move(new_left);
    right = std::move(new_right);
    return sums[0];
  }

  std::vector<Partial<T>> factors_;
  double norm_ = 0;
  int exponent_ = 0;
};

void check(const Chain& chain) {
  for (std::size_t s = 1; s < chain.factors.size(); ++s) {
    const std::string failure =
        chain_failure(chain.factors[s - 1].pattern, chain.factors[s].pattern);
    if (!failure.empty())
      throw std::invalid_argument("the operator's architecture is not chainable: " + failure);
  }
}

}  // namespace

SweptChain round_chain(const Chain& chain, double tol, Index max_rank) {
  check(chain);
  if (!(tol >= 0) || !std::isfinite(tol))
    throw std::invalid_argument("tol must be a number of at least 0");
  if (max_rank < 0) throw std::invalid_argument("max_rank must not be negative");
  return visit(chain.dtype,
               [&](auto tag) { return Sweep<decltype(tag)>(chain).round(tol, max_rank); });
}

SweptChain orthonormalize_chain(const Chain& chain, std::size_t centre) {
  check(chain);
  if (centre >= chain.factors.size())
    throw std::invalid_argument("centre must be the number of a factor");
  return visit(chain.dtype, [&](auto tag) {
    Sweep<decltype(tag)> sweep(chain);
    sweep.orthonormalize(centre);
    return sweep.finish();
  });
}

}  // namespace papilio
