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
      copy_values(factor, partial.values.data());
      factors_.push_back(std::move(partial));
    }
    if (!has_lapack()) throw std::logic_error("set_lapack must be called before a sweep");
    scale();
    shrink();
  }

  /// Orthonormal columns left of the centre, orthonormal rows right of it.
  void orthonormalize(std::size_t centre) {
    for (std::size_t s = 0; s < centre; ++s) {
      pass_right(factors_[s], factors_[s + 1], no_tick());
      scale(factors_[s + 1]);
    }
    for (std::size_t s = factors_.size() - 1; s > centre; --s) {
      pass_left(factors_[s - 1], factors_[s], no_tick());
      scale(factors_[s - 1]);
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
      const double allowed = std::max(budget - used, 0.0) / static_cast<double>(splits - s);
      result.split_tails.emplace_back();
      const double discarded =
          truncate(factors_[s], factors_[s + 1], allowed, max_rank, result.split_tails.back());
      used += discarded;
      result.split_errors.push_back(discarded);
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
      if (!std::isfinite(extremes(factor).most))
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
    if (!factor.tied_a && !factor.tied_d)
      return in_parts(
          p.nnz(), [&](Index first, Index count) { std::copy_n(from + first, count, to + first); });
    const Index blocks = p.b * p.c, d = factor.tied_d ? 1 : p.d;
    for (Index i = 0; i < p.a; ++i)
      for (Index block = 0; block < blocks; ++block, to += p.d) {
        if (block % 256 == 0) poll_interruption();
        const T* line = from + ((factor.tied_a ? 0 : i) * blocks + block) * d;
        if (factor.tied_d)
          std::fill_n(to, p.d, *line);
        else
          std::copy_n(line, p.d, to);
      }
  }

  static Tick no_tick() {
    return [](double) {};
  }

  /// The least magnitude that isn't 0 (infinite if there is none), and the largest one; NaN counts
  /// as infinite.
  struct Extremes {
    static constexpr double infinity = std::numeric_limits<double>::infinity();
    double least = infinity, most = 0;
    void add(double part) {
      // In this order NaN doesn't stay.
      const double large = part <= infinity ? part : infinity, small = part > 0 ? part : infinity;
      most = large > most ? large : most;
      least = small < least ? small : least;
    }
  };

  static Extremes extremes(const Partial<T>& factor) {
    // Several at a time: one would wait for the one before.
    constexpr int lanes = 4;
    Extremes found[lanes];
    in_parts(factor.values.size(), [&](Index first, Index count) {
      const T* x = factor.values.data() + first;
      Index n = 0;
      for (; n + lanes <= count; n += lanes)
        for (int lane = 0; lane < lanes; ++lane) found[lane].add(magnitude(x[n + lane]));
      for (; n < count; ++n) found[0].add(magnitude(x[n]));
    });
    for (const Extremes& other : found) {
      found[0].most = std::max(found[0].most, other.most);
      found[0].least = std::min(found[0].least, other.least);
    }
    return found[0];
  }

  static double magnitude(Real<T> x) { return std::abs(static_cast<double>(x)); }
  static double magnitude(std::complex<Real<T>> x) {
    // A NaN of the real part must not be hidden by the imaginary part.
    const double re = magnitude(x.real()), im = magnitude(x.imag());
    return re > im || re != re ? re : im;
  }

  /// The exponents of the smallest and the largest entry that isn't zero; (0, 0) if all are.
  static std::pair<int, int> exponents(const Partial<T>& factor) {
    const Extremes extreme = extremes(factor);
    if (!std::isfinite(extreme.most)) refuse(factor);
    std::pair<int, int> found{0, 0};
    if (extreme.most == 0) return found;
    std::frexp(extreme.least, &found.first);
    std::frexp(extreme.most, &found.second);
    return found;
  }

  [[noreturn]] static void refuse(const Partial<T>& factor) {
    bool nan = false;
    for (const T& x : factor.values)
      if (!std::isfinite(largest_part(x))) {
        nan = std::isnan(largest_part(x));
        break;
      }
    throw std::invalid_argument("factors[" + std::to_string(factor.first) + "] has " +
                                (nan ? "nan" : "inf") + ", expected finite numbers");
  }

  static constexpr int moderate = std::numeric_limits<Real<T>>::max_exponent / 8;

  /// Gives a factor of extreme size a largest entry near 1.
  void scale(Partial<T>& factor) {
    const int exponent = exponents(factor).second;
    if (std::abs(exponent) < moderate) return;
    scale_by_power_of_two(factor.values, -exponent);
    exponent_ += exponent;
  }

  /// No product may overflow or vanish on the way to one that doesn't: where entries are extreme,
  /// columns and the rows that they meet become equally long first, and factors of order 1.
  void scale() {
    bool extreme = false;
    for (const Partial<T>& factor : factors_) {
      const auto [least, most] = exponents(factor);
      extreme = extreme || std::abs(most) >= moderate || most - least >= 2 * moderate;
    }
    if (!extreme) return;
    equalize();
  }

  /// Calls use(value, row, column) for all values of a factor that aren't zero.
  template <class Use>
  static void for_entries(const Partial<T>& factor, Use use) {
    const Pattern& p = factor.pattern;
    T* x = factor.values.data();
    for (Index i = 0; i < p.a; ++i)
      for (Index j = 0; j < p.b; ++j) {
        poll_interruption();
        for (Index k = 0; k < p.c; ++k)
          for (Index l = 0; l < p.d; ++l, ++x)
            if (*x != T(0)) use(*x, (i * p.b + j) * p.d + l, (i * p.c + k) * p.d + l);
      }
  }

  static int exponent_of(T x) {
    int exponent = 0;
    std::frexp(largest_part(x), &exponent);
    return exponent;
  }

  /// Multiplies columns, and divides the rows that they meet, by powers of two that make their
  /// largest entries equal, and each factor by one that makes its largest entry about 1. All powers
  /// are found first, so that nothing on the way overflows, or vanishes that isn't negligible.
  void equalize() {
    constexpr int none = std::numeric_limits<int>::min();
    const std::size_t count = factors_.size();
    // shifts[s][n]: of column n of factor s - 1, and against row n of factor s.
    std::vector<std::vector<int>> shifts(count + 1);
    for (std::size_t s = 0; s <= count; ++s) {
      const Pattern& p = factors_[s < count ? s : count - 1].pattern;
      shifts[s].assign(static_cast<std::size_t>(s < count ? p.rows() : p.cols()), 0);
    }
    const auto at = [](std::vector<int>& of, Index n) -> int& {
      return of[static_cast<std::size_t>(n)];
    };
    const auto equalize_at = [&](std::size_t s) {
      std::vector<int> columns(shifts[s].size(), none), rows(shifts[s].size(), none);
      for_entries(factors_[s - 1], [&](T& x, Index row, Index column) {
        at(columns, column) =
            std::max(at(columns, column), exponent_of(x) - at(shifts[s - 1], row));
      });
      for_entries(factors_[s], [&](T& x, Index row, Index column) {
        at(rows, row) = std::max(at(rows, row), exponent_of(x) + at(shifts[s + 1], column));
      });
      // What meets nothing but zeros is useless.
      for_entries(factors_[s - 1], [&](T& x, Index, Index column) {
        if (at(rows, column) == none) x = T(0);
      });
      for_entries(factors_[s], [&](T& x, Index row, Index) {
        if (at(columns, row) == none) x = T(0);
      });
      for (std::size_t n = 0; n < columns.size(); ++n)
        shifts[s][n] = columns[n] == none || rows[n] == none ? 0 : (rows[n] - columns[n]) / 2;
    };
    // Each interface changes what its neighbours see; differences of 1 are those of halves.
    constexpr int most_sweeps = 32;
    std::vector<std::vector<int>> before;
    const auto settled = [&] {
      for (std::size_t s = 0; s < shifts.size() && !before.empty(); ++s)
        for (std::size_t n = 0; n < shifts[s].size(); ++n)
          if (std::abs(shifts[s][n] - before[s][n]) > 1) return false;
      return !before.empty();
    };
    for (int sweep = 0; sweep < most_sweeps && !settled(); ++sweep) {
      before = shifts;
      for (std::size_t s = count; s-- > 1;) equalize_at(s);
      for (std::size_t s = 1; s < count; ++s) equalize_at(s);
    }
    for (std::size_t s = 0; s < count; ++s) {
      int most = none;
      const auto shift = [&](Index row, Index column) {
        return at(shifts[s + 1], column) - at(shifts[s], row);
      };
      for_entries(factors_[s], [&](T& x, Index row, Index column) {
        most = std::max(most, exponent_of(x) + shift(row, column));
      });
      if (most == none) continue;
      exponent_ += most;
      for_entries(factors_[s], [&](T& x, Index row, Index column) {
        x = times_power_of_two(x, shift(row, column) - most);
      });
    }
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
          for (Index j = 0; j < old.rows(); ++j) {
            poll_interruption();
            for (Index k = 0; k < old.cols(); ++k) {
              T sum(0);
              for (Index rho = 0; rho < old.rank(); ++rho) sum += x(j, rho) * y(rho, k);
              (into_right ? v(j, k) : u(j, k)) = sum;
            }
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

  /// Truncates the blocks of `left`, the centre, to the smallest rank that discards no more than
  /// `allowed`, and moves the centre to `right`. Returns what was discarded, squared, and in
  /// `tails` what each rank would have.
  double truncate(Partial<T>& left, Partial<T>& right, double allowed, Index max_rank,
                  std::vector<double>& tails) {
    const Interface old(left.pattern, right.pattern);
    const Index rows = old.rows(), inner = old.rank();
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
    Index rank = 1, full = static_cast<Index>(width);
    if (max_rank > 0) full = std::min(full, max_rank);
    while (rank < full && tails[static_cast<std::size_t>(rank)] > allowed) ++rank;
    // What was measured can be off by rounding; what was discarded counts.
    const double enough = std::max(allowed, squared(64 * epsilon * norm_.size));
    for (;; ++rank) {
      auto both = resized(left, right, inner, rank);
      const double discarded = cut(left, right, both.first, both.second, rank, cost);
      if (discarded > enough && rank < full) continue;
      tails[static_cast<std::size_t>(rank)] = discarded;
      left = std::move(both.first);
      right = std::move(both.second);
      return discarded;
    }
  }

  /// The truncation of one interface; returns what was discarded, squared.
  double cut(const Partial<T>& left, const Partial<T>& right, Partial<T>& new_left,
             Partial<T>& new_right, Index rank, double cost) {
    const Interface old(left.pattern, right.pattern);
    const Interface blocks(new_left.pattern, new_right.pattern);
    const Index rows = old.rows(), inner = old.rank(), cols = old.cols();
    return for_blocks(0, blocks.blocks(), cost, 1, no_tick(), [&]() -> BlockWorker {
      auto svd = std::make_shared<BlockSvd<T>>(rows, inner, rank);
      auto core = std::make_shared<std::vector<T>>(static_cast<std::size_t>(rank * inner));
      return [&, svd, core, rank, inner, cols](Index n, double* to) {
        const Strided<T> x = left_block(left, old, n), y = right_block(right, old, n);
        const Strided<T> z = right_block(new_right, blocks, n);
        *to += svd->factor({x.data, x.row_step, x.col_step}, Gauge::left_orthonormal,
                           left_block(new_left, blocks, n), {core->data(), inner, 1});
        for (Index i = 0; i < rank; ++i) {
          if (inner * cols > 10000) poll_interruption();
          for (Index k = 0; k < cols; ++k) {
            T sum(0);
            for (Index t = 0; t < inner; ++t)
              sum += (*core)[static_cast<std::size_t>(i * inner + t)] * y(t, k);
            z(i, k) = sum;
          }
        }
      };
    })[0];
  }

  std::vector<Partial<T>> factors_;
  ScaledNorm norm_;   // of what the factors are now
  int exponent_ = 0;  // the chain is the product of the factors times 2^exponent_
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
