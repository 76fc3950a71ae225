// Legendre polynomials and associated Legendre functions; python/papilio/_util/legendre.py prepares
// what they read, docs/transforms.md says why they hold.
#pragma once

#include <math.h>

#include "kernels/formulas.hpp"

namespace papilio {
namespace kernels {
namespace {

constexpr int terms_near = 18, terms_middle = 9, terms_far = 6;

/// Angles of rows: fields first, first + 1, ... are the angle (or what it lacks to pi) in turns as
/// a sum coarse + fine, degrees below 2^25 times the first exact, its sine and its cosine, and 1 if
/// it was mirrored.
struct AngleFields {
  Doubles coarse, fine, sine, cosine, mirrored;
  PAPILIO_INLINE AngleFields(const FormulaRun& run, int64_t first, int64_t at)
      : coarse(field(run.rows, first, at)),
        fine(field(run.rows, first + 1, at)),
        sine(field(run.rows, first + 2, at)),
        cosine(field(run.rows, first + 3, at)),
        mirrored(field(run.rows, first + 4, at)) {}
};

/// Stieltjes' expansion of Legendre functions of order m and degree half - 1/2 over their
/// amplitude: sqrt(2 / (pi sin theta)) Re(exp(2 pi i (half theta - shift)) F(z)), theta in turns, z
/// = (1 - i cot theta) / 2, F(z) = 1 + r_1 z (1 + r_2 z (1 + ...)), r_k = ((k - 1/2)^2 - m^2) / (k
/// (half + k)). Of the three bounds of half sin(theta), terms_near are enough from the first on,
/// terms_middle from the second, terms_far from the third.
PAPILIO_INLINE Doubles stieltjes(Doubles half, const AngleFields& angle, Doubles sine, double shift,
                                 double squared_order, const double* bounds) {
  const Doubles inverse = all(1.0) / sine, cotangent = angle.cosine * inverse;
  const Doubles turns = half * angle.coarse;  // exact
  const Wave wave = wave_of((turns - nearest(turns)) + (half * angle.fine - all(shift)));
  const Doubles x = half * sine;
  const Bits middle = x < all(bounds[2]), close = x < all(bounds[1]);
  const int terms = any(close) ? terms_near : any(middle) ? terms_middle : terms_far;
  Doubles re = all(1.0), im = {};
  for (int k = terms; k >= 1; --k) {
    const double own = ((k - 0.5) * (k - 0.5) - squared_order) / (2 * k);
    const Doubles ratio = all(own) / (half + all(k));
    const Doubles new_re = multiply_add(ratio, multiply_add(im, cotangent, re), all(1.0));
    const Doubles new_im = ratio * subtract_product(im, re, cotangent);
    // Lanes that need fewer terms begin later, whichever others there are.
    const Bits counts = k > terms_middle ? close : k > terms_far ? middle : all_bits(-1);
    re = select(counts, new_re, re);
    im = select(counts, new_im, im);
  }
  const Doubles value = subtract_product(wave.re * re, wave.im, im);
  return value * square_root(inverse * all(0.63661977236758134));
}

/// The value at the angle itself: of odd parity they change their sign with the cosine.
PAPILIO_INLINE Doubles unmirrored(Doubles value, Doubles parity, const AngleFields& angle) {
  const Doubles halves = parity * all(0.5);
  const Bits odd = all(0.25) < absolute(halves - nearest(halves));
  return select(odd & (all(0.5) < angle.mirrored), -value, value);
}

/// P_k(cos theta) of whole degrees k, times a factor of the row and one of the column. Fields of a
/// row are its angle and the factor; those of a column k, the factor, and the amplitude times it.
/// Parameters are the bounds of `stieltjes`, and the
/// nodes of a quadrature for what is nearer: pairs of cos phi and sin phi.
struct Legendre {
  static constexpr int nodes = 16;

  PAPILIO_INLINE static Doubles of(const FormulaRun& run, int64_t at) {
    const AngleFields angle(run, 0, at);
    const double* bounds = run.parameters;
    const Doubles k = field(run.columns, 0, at), half = k + all(0.5);
    const Bits near = half * angle.sine < all(bounds[0]);
    const Doubles sine = select(near, all(1.0), angle.sine);
    Doubles value = stieltjes(half, angle, sine, 0.125, 0, bounds) * field(run.columns, 2, at);
    if (any(near)) {
      const Doubles scale = field(run.columns, 1, at);
      for (int n = 0; n < Doubles::lanes; ++n)
        if (near.lane(n))
          value.set_lane(n, scale.lane(n) * integral(run.parameters + 3, k.lane(n),
                                                     angle.sine.lane(n), angle.cosine.lane(n)));
    }
    return unmirrored(value, k, angle) * field(run.rows, 5, at);
  }

  /// Laplace: the mean of (cos theta + i sin theta cos phi)^k over phi, by midpoints.
  static PAPILIO_APART double integral(const double* parameters, double k, double sine,
                                       double cosine) {
    double total = 0;
    for (int n = 0; n < nodes; ++n) {
      const double c = parameters[2 * n], s = parameters[2 * n + 1];
      const double modulus = exp(0.5 * k * log1p(-(s * sine) * (s * sine)));
      total += modulus * cos(k * atan2(c * sine, cosine));
    }
    return total / nodes;
  }
};

/// Normalized associated Legendre functions of one order m and degrees m + j, by the recurrence
/// P_l = a_l (x P_(l-1) - b_l P_(l-2)) from functions kept every `stride` degrees, values being
/// p 2^(1000 e); far from the poles by Stieltjes' expansion. Fields of a row are x and its angle,
/// those of a column j and the amplitude. Parameters are the stride, how many functions are kept,
/// how many coefficients, how many rows; the order, the bounds of `stieltjes`; b and a of each
/// degree; of each kept degree, for all rows, the one before, p, and e.
struct AssociatedLegendre {
  PAPILIO_INLINE static Doubles of(const FormulaRun& run, int64_t at) {
    const AngleFields angle(run, 1, at);
    const double order = run.parameters[4], *bounds = run.parameters + 5;
    const Doubles j = field(run.columns, 0, at), half = j + all(order + 0.5);
    const Bits near = half * angle.sine < all(bounds[0]);
    const Doubles sine = select(near, all(1.0), angle.sine);
    const double shift =
        0.125 + 0.25 * (order - 4 * static_cast<double>(static_cast<int64_t>(order / 4)));
    const Doubles far =
        stieltjes(half, angle, sine, shift, order * order, bounds) * field(run.columns, 1, at);
    const Doubles value = unmirrored(far, j, angle);
    return any(near) ? select(near, recurrence(run, at, near), value) : value;
  }

  /// Of the lanes in question; the others are 0.
  static PAPILIO_APART Doubles recurrence(const FormulaRun& run, int64_t at, Bits near) {
    const double* given = run.parameters;
    const int64_t stride = static_cast<int64_t>(given[0]), degrees = static_cast<int64_t>(given[2]);
    const int64_t rows = static_cast<int64_t>(given[3]);
    const double* coefficients = given + 8;
    const double* tables = coefficients + 2 * degrees;
    const bool together = run.columns.step == 0;
    double q_of[Doubles::lanes] = {}, p_of[Doubles::lanes] = {}, e_of[Doubles::lanes] = {};
    for (int n = 0; n < Doubles::lanes; ++n) {
      if (!near.lane(n)) continue;
      const int64_t row = run.rows.index[run.rows.step ? at + n : 0];
      const int64_t last = run.columns.index[together ? 0 : at + n], block = last / stride;
      const double* kept = tables + 3 * block * rows + row;
      q_of[n] = kept[0];
      p_of[n] = kept[rows];
      e_of[n] = kept[2 * rows];
      if (together) continue;
      const double x = run.rows.fields[run.rows.step ? at + n : 0];
      for (int64_t k = block * stride + 1; k <= last; ++k)
        advance(x, coefficients + 2 * k, q_of[n], p_of[n], e_of[n]);
    }
    Doubles q = Doubles::load(q_of), p = Doubles::load(p_of), e = Doubles::load(e_of);
    if (together) {
      const Doubles x = field(run.rows, 0, at);
      const int64_t last = run.columns.index[0];
      for (int64_t k = last / stride * stride + 1; k <= last; ++k)
        advance(x, all(coefficients[2 * k]), all(coefficients[2 * k + 1]), q, p, e);
    }
    return scaled(p, e);
  }

  /// The same for one lane.
  PAPILIO_INLINE static void advance(double x, const double* coefficients, double& q, double& p,
                                     double& e) {
    const double next = coefficients[1] * (x * p - coefficients[0] * q);
    q = p;
    p = next;
    if (!(fabs(p) > 0x1p500)) return;
    q *= 0x1p-1000;
    p *= 0x1p-1000;
    e += 1;
  }

  PAPILIO_INLINE static void advance(Doubles x, Doubles b, Doubles a, Doubles& q, Doubles& p,
                                     Doubles& e) {
    const Doubles next = a * (x * p - b * q);
    q = p;
    p = next;
    const Bits large = all(0x1p500) < absolute(p);
    if (!any(large)) return;
    const Doubles less = select(large, all(0x1p-1000), all(1.0));
    q = q * less;
    p = p * less;
    e = e + select(large, all(1.0), Doubles{});
  }

  /// p 2^(1000 e), e a whole number from -3 to 0, or below: 0.
  PAPILIO_INLINE static Doubles scaled(Doubles p, Doubles e) {
    const Doubles step = all(0x1p-500), one = all(1.0);
    for (int n = 0; n < 3; ++n) {
      const Bits below = e < all(-n - 0.5);
      const Doubles factor = select(below, step, one);
      p = p * factor * factor;
    }
    return p;
  }
};

int64_t associated_parameters(const double* fixed, int64_t rows, int64_t columns) {
  for (int n = 0; n < 4; ++n)
    if (!(fixed[n] >= 1 && fixed[n] < 1e12)) return -1;
  const int64_t stride = static_cast<int64_t>(fixed[0]), kept = static_cast<int64_t>(fixed[1]);
  const int64_t degrees = static_cast<int64_t>(fixed[2]);
  if (static_cast<int64_t>(fixed[3]) != rows || degrees < columns ||
      kept != (columns - 1) / stride + 1)
    return -1;
  return 8 + 2 * degrees + 3 * kept * rows;
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
