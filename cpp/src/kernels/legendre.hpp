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

/// Normalized associated Legendre functions P_l of one order m and degrees l = m + j, by a
/// recurrence over the degrees from functions kept every `stride` degrees; far from the poles by
/// Stieltjes' expansion. Fields of a row are v = 1 - cos theta as a sum of two numbers, and its
/// angle, those of a column j and the amplitude. Parameters are the stride, how many functions are
/// kept, how many coefficients, how many rows; the order, the bounds of `stieltjes`; a, c and d of
/// each degree; of each kept degree, for all rows, P_l - P_(l-1), p, and e.
struct AssociatedLegendre {
  static constexpr int coefficients = 3;

  /// P_l and its difference to P_(l-1) over 2^(1000 exponent).
  template <class Number>
  struct State {
    Number difference, value, exponent;
  };

  PAPILIO_INLINE static Doubles of(const FormulaRun& run, int64_t at) {
    const AngleFields angle(run, 2, at);
    const double order = run.parameters[4], *bounds = run.parameters + 5;
    const Doubles j = field(run.columns, 0, at), half = j + all(order + 0.5);
    const Bits near = half * angle.sine < all(bounds[0]);
    const Doubles sine = select(near, all(1.0), angle.sine);
    const double shift =
        0.125 + 0.25 * (order - 4 * static_cast<double>(static_cast<int64_t>(order / 4)));
    const Doubles far =
        stieltjes(half, angle, sine, shift, order * order, bounds) * field(run.columns, 1, at);
    const Doubles value = any(near) ? select(near, recurrence(run, at, near), far) : far;
    return unmirrored(value, j, angle);
  }

  /// Of the lanes in question; the others are 0.
  static PAPILIO_APART Doubles recurrence(const FormulaRun& run, int64_t at, Bits near) {
    const double* given = run.parameters;
    const int64_t stride = static_cast<int64_t>(given[0]), degrees = static_cast<int64_t>(given[2]);
    const int64_t rows = static_cast<int64_t>(given[3]);
    const double* of_degrees = given + 8;
    const double* tables = of_degrees + coefficients * degrees;
    const bool together = run.columns.step == 0;
    double differences[Doubles::lanes] = {}, values[Doubles::lanes] = {};
    double exponents[Doubles::lanes] = {};
    for (int n = 0; n < Doubles::lanes; ++n) {
      if (!near.lane(n)) continue;
      const int64_t row = run.rows.index[run.rows.step ? at + n : 0];
      const int64_t last = run.columns.index[together ? 0 : at + n], block = last / stride;
      const double* kept = tables + 3 * block * rows + row;
      State<double> state = {kept[0], kept[rows], kept[2 * rows]};
      if (!together) {
        const double* v = run.rows.fields + (run.rows.step ? at + n : 0);
        for (int64_t k = block * stride + 1; k <= last; ++k)
          advance(v[0], v[run.rows.pitch], of_degrees + coefficients * k, state);
      }
      differences[n] = state.difference;
      values[n] = state.value;
      exponents[n] = state.exponent;
    }
    State<Doubles> state = {Doubles::load(differences), Doubles::load(values),
                            Doubles::load(exponents)};
    if (together) {
      const Doubles v = field(run.rows, 0, at), fine = field(run.rows, 1, at);
      const int64_t last = run.columns.index[0];
      for (int64_t k = last / stride * stride + 1; k <= last; ++k)
        advance(v, fine, of_degrees + coefficients * k, state);
    }
    return scaled(state.value, state.exponent);
  }

  /// To the next degree: D = D + (c - a v) P - d D, P = P + D. c is a - 2 + d, and so c - a v
  /// is d - 2 + a cos theta, of which each form is right where the other cancels.
  PAPILIO_INLINE static void advance(double v, double fine, const double* acd,
                                     State<double>& state) {
    const bool beyond = v < 0;
    double factor = multiply_add(-acd[0], fine, multiply_add(-acd[0], v, beyond ? -2.0 : acd[1]));
    if (beyond) factor = factor + acd[2];
    state.difference =
        state.difference + multiply_add(factor, state.value, -(acd[2] * state.difference));
    state.value = state.value + state.difference;
    if (!(fabs(state.value) > 0x1p500)) return;
    state.difference *= 0x1p-1000;
    state.value *= 0x1p-1000;
    state.exponent += 1;
  }

  /// The same for all lanes.
  PAPILIO_INLINE static void advance(Doubles v, Doubles fine, const double* acd,
                                     State<Doubles>& state) {
    const Doubles a = all(acd[0]);
    const Bits beyond = v < Doubles{};
    const Doubles base = select(beyond, all(-2.0), all(acd[1]));
    const Doubles factor = subtract_product(subtract_product(base, a, v), a, fine) +
                           doubles_of(beyond & bits_of(all(acd[2])));
    state.difference =
        state.difference + multiply_add(factor, state.value, -(all(acd[2]) * state.difference));
    state.value = state.value + state.difference;
    const Bits large = all(0x1p500) < absolute(state.value);
    if (!any(large)) return;
    const Doubles less = select(large, all(0x1p-1000), all(1.0));
    state.difference = state.difference * less;
    state.value = state.value * less;
    state.exponent = state.exponent + select(large, all(1.0), Doubles{});
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
  if (!(fixed[4] >= 0 && fixed[4] < 1e12)) return -1;
  const int64_t stride = static_cast<int64_t>(fixed[0]), kept = static_cast<int64_t>(fixed[1]);
  const int64_t degrees = static_cast<int64_t>(fixed[2]);
  if (static_cast<int64_t>(fixed[3]) != rows || degrees < columns ||
      kept != (columns - 1) / stride + 1)
    return -1;
  return 8 + AssociatedLegendre::coefficients * degrees + 3 * kept * rows;
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
