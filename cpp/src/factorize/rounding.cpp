#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "factorize/moderate.hpp"
#include "factorize/truncate.hpp"
#include "papilio/factorize.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

namespace {

template <class T>
class Sweep {
 public:
  explicit Sweep(const Chain& chain, Progress progress = {}) : progress_(std::move(progress)) {
    for (std::size_t s = 0; s < chain.factors.size(); ++s) {
      const Factor& factor = chain.factors[s];
      const Pattern& p = factor.pattern;
      Partial<T> partial{s, s + 1, p, Buffer<T>(p.nnz()), nullptr, 0};
      copy_values(factor, partial.values.data());
      factors_.push_back(std::move(partial));
    }
    if (!has_lapack()) throw std::logic_error("set_lapack must be called before a sweep");
    // Where entries are extreme, so that nothing overflows or vanishes below.
    exponent_ = make_moderate(factors_);
    shrink_ranks(factors_);
  }

  /// Orthonormal columns left of the centre, orthonormal rows right of it.
  void orthonormalize(std::size_t centre) {
    for (std::size_t s = 0; s < centre; ++s) {
      pass_right(factors_[s], factors_[s + 1], no_tick());
      exponent_ += make_moderate(factors_[s + 1]);
    }
    for (std::size_t s = factors_.size() - 1; s > centre; --s) {
      pass_left(factors_[s - 1], factors_[s], no_tick());
      exponent_ += make_moderate(factors_[s - 1]);
      report_step();
    }
    // Of a chain that is orthonormal but for the centre, the norm is that of the centre.
    const Buffer<T>& values = factors_[centre].values;
    ScaledNorm norm;
    in_parts(values.size(), [&](Index first, Index count) {
      const T* x = values.data() + first;
      norm = hypotenuse(norm, scaled_norm(count, [x](Index n) { return x[n]; }));
    });
    int exponent = 0;
    norm_.size = std::frexp(norm.size, &exponent);
    norm_.exponent = norm.exponent + exponent;
  }

  SweptChain orthonormalized(std::size_t centre) {
    orthonormalize(centre);
    scale_by_power_of_two(factors_[centre].values, exponent_);
    return described(exponent_, {});
  }

  double norm() {
    orthonormalize(0);
    return std::ldexp(norm_.size, norm_.exponent + exponent_);
  }

  SweptChain round(double tol, Index max_rank) {
    orthonormalize(0);
    const std::size_t splits = factors_.size() - 1;
    SweptChain result;
    // Squares of the centre must neither overflow nor vanish.
    scale_by_power_of_two(factors_.front().values, -norm_.exponent);
    exponent_ += norm_.exponent;
    norm_.exponent = 0;
    const double norm2 = squared(norm_.size);
    double used = 0;
    // A little less than there is: rounding must not turn a tolerance that is met into a missed
    // one.
    const double budget = squared(std::max(tol, 4 * epsilon)) * norm2 * (1 - 1e-14);
    for (std::size_t s = 0; s < splits; ++s) {
      const double share = std::max(budget - used, 0.0) / static_cast<double>(splits - s);
      // What was measured can be off by rounding; what was discarded counts.
      const Allowance allowed{share, std::max(share, squared(64 * epsilon * norm_.size))};
      result.split_tails.emplace_back();
      const double discarded =
          truncate(factors_[s], factors_[s + 1], allowed, max_rank, result.split_tails.back());
      used += discarded;
      result.split_errors.push_back(discarded);
      report_step();
    }
    const auto relative = [&](double x) { return norm2 > 0 ? std::sqrt(x / norm2) : 0.0; };
    for (double& e : result.split_errors) e = relative(e);
    for (std::vector<double>& tails : result.split_tails)
      for (double& tail : tails) tail = relative(tail);
    result.relative_error = relative(used);
    balance(factors_);
    spread_power_of_two(factors_, exponent_);
    return described(exponent_, std::move(result));
  }

 private:
  static constexpr double epsilon = static_cast<double>(std::numeric_limits<Real<T>>::epsilon());

  /// The factors as they are now; the matrix's norm is norm_ times 2^exponent.
  SweptChain described(int exponent, SweptChain result) const {
    for (const Partial<T>& factor : factors_)
      if (!is_finite(factor))
        throw std::overflow_error(
            "the operator is so large that its new factors overflow their dtype, expected one that "
            "is scaled down");
    for (const Partial<T>& factor : factors_) result.patterns.push_back(factor.pattern);
    result.values = to_bytes(factors_);
    result.norm = std::ldexp(norm_.size, norm_.exponent + exponent);
    return result;
  }

  /// The 4-D array of a factor, also of a tied one.
  static void copy_values(const Factor& factor, T* to) {
    const Pattern& p = factor.pattern;
    const T* from = static_cast<const T*>(factor.values);
    if (!factor.tied_a && factor.run == 1)
      return in_parts(
          p.nnz(), [&](Index first, Index count) { std::copy_n(from + first, count, to + first); });
    const Index blocks = p.b * p.c, d = factor.stored_l();
    for (Index i = 0; i < p.a; ++i)
      for (Index block = 0; block < blocks; ++block) {
        if (block % 256 == 0) poll_interruption();
        const T* line = from + ((factor.tied_a ? 0 : i) * blocks + block) * d;
        for (Index l = 0; l < d; ++l, to += factor.run) std::fill_n(to, factor.run, line[l]);
      }
  }

  static Tick no_tick() {
    return [](double) {};
  }

  /// Rounding goes to each split twice.
  void report_step() {
    const double steps = 2 * static_cast<double>(factors_.size() - 1);
    if (progress_) progress_(++done_ / steps);
  }

  std::vector<Partial<T>> factors_;
  ScaledNorm norm_;   // of what the factors are now
  int exponent_ = 0;  // the chain is the product of the factors times 2^exponent_
  Progress progress_;
  double done_ = 0;
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

SweptChain round_chain(const Chain& chain, double tol, Index max_rank, const Progress& progress) {
  check(chain);
  if (!(tol >= 0) || !std::isfinite(tol))
    throw std::invalid_argument("tol must be a number of at least 0");
  if (max_rank < 0) throw std::invalid_argument("max_rank must not be negative");
  return visit(chain.dtype, [&](auto tag) {
    return Sweep<decltype(tag)>(chain, progress).round(tol, max_rank);
  });
}

double chain_norm(const Chain& chain) {
  check(chain);
  return visit(chain.dtype, [&](auto tag) { return Sweep<decltype(tag)>(chain).norm(); });
}

SweptChain orthonormalize_chain(const Chain& chain, std::size_t centre) {
  check(chain);
  if (centre >= chain.factors.size())
    throw std::invalid_argument("centre must be the number of a factor");
  return visit(chain.dtype,
               [&](auto tag) { return Sweep<decltype(tag)>(chain).orthonormalized(centre); });
}

}  // namespace papilio
