// What the files of BlockSvd share: its tolerances, and small things.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "factorize/block_svd.hpp"
#include "papilio/interruption.hpp"

namespace papilio {
namespace block_svd {

constexpr Index largest_gram = 128;  // the short side from which on a Gram matrix doesn't pay
constexpr double wanted = 1e-10;     // relative to what is discarded
constexpr double rounding = 450;     // in units of eps and of the block's norm
constexpr double dominant = 1e-3;    // eigenvalues above this share of the largest are accurate

/// Below this share of a square, a difference of squares keeps less than ten digits, or four of
/// single precision.
template <class R>
constexpr double lost_digits = sizeof(R) == 4 ? 1e-2 : 1e-4;

template <class R>
constexpr double eps = static_cast<double>(std::numeric_limits<R>::epsilon()) / 2;

/// How many of `count` rows or columns, each of so many multiply-adds, one kernel's call gets: some
/// 20 ms of work, and a multiple of `unit`.
inline Index part_of(Index count, Index multiply_adds, Index unit) {
  constexpr Index most = Index{1} << 27;
  if (multiply_adds < most / 4096 && count < 4096) return count;  // without divisions
  return std::min(count,
                  std::max(most / std::max(multiply_adds, Index{1}) / unit, Index{1}) * unit);
}

inline std::size_t elements(Index n) { return static_cast<std::size_t>(n); }

template <class T>
T random_element(std::uint64_t& state) {
  const auto next = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<Real<T>>(static_cast<double>(state >> 11) * 0x1p-53 - 0.5);
  };
  if constexpr (std::is_same<T, Real<T>>::value)
    return next();
  else
    return {next(), next()};
}

/// The loss in kept squared norm that errors of `error` in a Gram matrix can cause when `count`
/// eigenvectors are kept and their gap to the others is `gap`.
inline double loss_bound(double count, double error, double gap) {
  const double any = 2 * count * error, room = gap - 2 * error;
  return room > 0 ? std::min(any, 4 * count * error * error / room) : any;
}

/// False if the columns are dependent.
template <class T>
bool orthonormalize_columns(T* u, Index rows, Index columns) {
  for (Index n = 0; n < columns; ++n) {
    if (rows * n > 10000) poll_interruption();
    T* x = u + n * rows;
    double norm = 0;
    for (int again = 0; again < 2; ++again) {
      for (Index m = 0; m < n; ++m) {
        const T* y = u + m * rows;
        T dot(0);
        for (Index j = 0; j < rows; ++j) dot += conjugate(y[j]) * x[j];
        for (Index j = 0; j < rows; ++j) x[j] -= dot * y[j];
      }
      norm = normalize(x, rows);
      if (!(norm > 0) || !std::isfinite(norm)) return false;
    }
    if (norm < 0.7) return false;
  }
  return true;
}

/// A power of two that brings a number near 1, and the one that brings it back. It changes no
/// digit, and keeps squares of small numbers from vanishing.
template <class R>
struct PowerOfTwo {
  explicit PowerOfTwo(double size) {
    int exponent = 0;
    std::frexp(size, &exponent);
    constexpr int limit = std::numeric_limits<R>::max_exponent - 8;
    exponent = std::clamp(exponent, -limit, limit);
    back = std::ldexp(1.0, exponent);
    down = static_cast<R>(std::ldexp(1.0, -exponent));
  }
  double back;
  R down;
};

/// Whether a loss is within what BlockSvd promises.
template <class R>
bool is_small(double loss, double discarded, double norm2) {
  const double limit = rounding * eps<R>;
  return loss <= std::max(2 * wanted * discarded, limit * limit * norm2);
}

}  // namespace block_svd
}  // namespace papilio
