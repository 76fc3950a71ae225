#include "factorize/moderate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace papilio {

namespace {

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

inline double magnitude(double x) { return std::abs(x); }
template <class R>
double magnitude(std::complex<R> x) {
  // A NaN of the real part must not be hidden by the imaginary part.
  const double re = magnitude(x.real()), im = magnitude(x.imag());
  return re > im || re != re ? re : im;
}

template <class T>
Extremes extremes(const Partial<T>& factor) {
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

template <class T>
[[noreturn]] void refuse(const Partial<T>& factor) {
  bool nan = false;
  for (const T& x : factor.values)
    if (!std::isfinite(largest_part(x))) {
      nan = std::isnan(largest_part(x));
      break;
    }
  throw std::invalid_argument("factors[" + std::to_string(factor.first) + "] has " +
                              (nan ? "nan" : "inf") + ", expected finite numbers");
}

/// The exponents of the smallest and the largest entry that isn't zero; (0, 0) if all are.
template <class T>
std::pair<int, int> exponents(const Partial<T>& factor) {
  const Extremes extreme = extremes(factor);
  if (!std::isfinite(extreme.most)) refuse(factor);
  std::pair<int, int> found{0, 0};
  if (extreme.most == 0) return found;
  std::frexp(extreme.least, &found.first);
  std::frexp(extreme.most, &found.second);
  return found;
}

template <class T>
constexpr int moderate = std::numeric_limits<Real<T>>::max_exponent / 8;

/// Calls use(value, row, column) for all values of a factor that aren't zero.
template <class T, class Use>
void for_entries(const Partial<T>& factor, Use use) {
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

template <class T>
int exponent_of(T x) {
  int exponent = 0;
  std::frexp(largest_part(x), &exponent);
  return exponent;
}

/// Multiplies columns, and divides the rows that they meet, by powers of two that make their
/// largest entries equal, and each factor by one that makes its largest entry about 1; returns the
/// exponent of what all were divided by. All powers are found first, so that nothing on the way
/// overflows, or vanishes that isn't negligible.
template <class T>
int equalize(std::vector<Partial<T>>& factors) {
  int exponent = 0;
  constexpr int none = std::numeric_limits<int>::min();
  const std::size_t count = factors.size();
  // shifts[s][n]: of column n of factor s - 1, and against row n of factor s.
  std::vector<std::vector<int>> shifts(count + 1);
  for (std::size_t s = 0; s <= count; ++s) {
    const Pattern& p = factors[s < count ? s : count - 1].pattern;
    shifts[s].assign(static_cast<std::size_t>(s < count ? p.rows() : p.cols()), 0);
  }
  const auto at = [](std::vector<int>& of, Index n) -> int& {
    return of[static_cast<std::size_t>(n)];
  };
  const auto equalize_at = [&](std::size_t s) {
    std::vector<int> columns(shifts[s].size(), none), rows(shifts[s].size(), none);
    for_entries(factors[s - 1], [&](T& x, Index row, Index column) {
      at(columns, column) = std::max(at(columns, column), exponent_of(x) - at(shifts[s - 1], row));
    });
    for_entries(factors[s], [&](T& x, Index row, Index column) {
      at(rows, row) = std::max(at(rows, row), exponent_of(x) + at(shifts[s + 1], column));
    });
    // What meets nothing but zeros is useless.
    for_entries(factors[s - 1], [&](T& x, Index, Index column) {
      if (at(rows, column) == none) x = T(0);
    });
    for_entries(factors[s], [&](T& x, Index row, Index) {
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
    for_entries(factors[s], [&](T& x, Index row, Index column) {
      most = std::max(most, exponent_of(x) + shift(row, column));
    });
    if (most == none) continue;
    exponent += most;
    for_entries(factors[s], [&](T& x, Index row, Index column) {
      x = times_power_of_two(x, shift(row, column) - most);
    });
  }
  return exponent;
}

}  // namespace

template <class T>
bool is_finite(const Partial<T>& factor) {
  return std::isfinite(extremes(factor).most);
}

template <class T>
int make_moderate(Partial<T>& factor) {
  const int exponent = exponents(factor).second;
  if (std::abs(exponent) < moderate<T>) return 0;
  scale_by_power_of_two(factor.values, -exponent);
  return exponent;
}

template <class T>
int make_moderate(std::vector<Partial<T>>& factors) {
  bool extreme = false;
  for (const Partial<T>& factor : factors) {
    const auto [least, most] = exponents(factor);
    extreme = extreme || std::abs(most) >= moderate<T> || most - least >= 2 * moderate<T>;
  }
  return extreme ? equalize(factors) : 0;
}

#define PAPILIO_INSTANTIATE(T)                \
  template bool is_finite(const Partial<T>&); \
  template int make_moderate(Partial<T>&);    \
  template int make_moderate(std::vector<Partial<T>>&);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
