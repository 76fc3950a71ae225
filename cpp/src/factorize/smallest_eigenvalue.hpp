// The smallest eigenvalue of a Hermitian 3 x 3 matrix.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "factorize/norms.hpp"

namespace papilio {

/// The lower triangle: diagonal d0, d1, d2, and below it x10, x20, x21.
template <class T>
struct Hermitian3 {
  double d0, d1, d2;
  T x10, x20, x21;
};

/// A real symmetric one: turns x, at (p, q), to zero; y and z are at (r, p) and (r, q).
inline void jacobi_rotation(double& dp, double& dq, double& x, double& y, double& z) {
  const double half = (dq - dp) / 2, size = std::abs(half) + std::sqrt(half * half + x * x);
  if (size == 0) return;  // nothing, or so little that its square is nothing
  const double tangent = half < 0 ? -x / size : x / size;
  const double cosine = 1 / std::sqrt(1 + tangent * tangent), sine = tangent * cosine;
  dp -= tangent * x;
  dq += tangent * x;
  x = 0;
  const double old = y;
  y = cosine * old - sine * z;
  z = sine * old + cosine * z;
}

/// To some 50 roundings of the trace, for positive semidefinite matrices: a unitary similarity, and
/// rotations until what is off the diagonal, which bounds what they would still change (Weyl), is
/// below rounding. Each adds its own rounding to the matrix and no more. The closed forms, by the
/// characteristic polynomial, would lose half of the digits where two eigenvalues are nearly equal:
/// at zero, where it matters.
template <class T>
double smallest_eigenvalue(const Hermitian3<T>& a) {
  const double column2 = squared(a.x10) + squared(a.x20);
  double d0 = a.d0, d1 = a.d1, d2 = a.d2, x10 = 0, x20 = 0, x21 = 0;
  if (column2 > 0) {
    // The basis e0, (0, u, v), (0, -conj(v), conj(u)) makes it tridiagonal.
    x10 = std::sqrt(column2);
    const T u = a.x10 / x10, v = a.x20 / x10;
    const double mixed = 2 * std::real(conjugate(v) * a.x21 * u);
    const double u2 = squared(u), v2 = squared(v);
    d1 = u2 * a.d1 + v2 * a.d2 + mixed;
    d2 = v2 * a.d1 + u2 * a.d2 - mixed;
    x21 = std::sqrt(squared(u * v * (a.d2 - a.d1) + u * u * a.x21 - v * v * conjugate(a.x21)));
  } else {
    x21 = std::sqrt(squared(a.x21));
  }
  constexpr double epsilon = std::numeric_limits<double>::epsilon();
  const double negligible = squared(epsilon * (d0 + d1 + d2));
  // They converge quadratically, cubically towards the end; eight sweeps are twice what was seen.
  for (int sweep = 0; sweep < 8; ++sweep) {
    if (x10 * x10 + x20 * x20 + x21 * x21 <= negligible) break;
    jacobi_rotation(d0, d1, x10, x20, x21);
    jacobi_rotation(d1, d2, x21, x10, x20);
    jacobi_rotation(d0, d2, x20, x10, x21);
  }
  return std::min(d0, std::min(d1, d2));
}

}  // namespace papilio
