// Bessel and Hankel functions where they oscillate, by Debye's expansion, and the formulas made of
// them; below, by tables of polynomials. docs/compress.md has the regions and errors.
#pragma once

#include <math.h>

#include "kernels/formulas.hpp"

namespace papilio {
namespace kernels {
namespace {

constexpr int debye_terms = 8;
constexpr int debye_numbers = debye_terms * (debye_terms + 1) / 2;
constexpr int64_t table_degree = 13;
constexpr double scaled_below =
    4;  // the power of x that functions of small order begin with is apart

/// The polynomial of degree `degree` whose coefficients are numbers[0], numbers[1], ...
template <int degree>
struct Polynomial {
  PAPILIO_INLINE static Doubles at(const double* numbers, Doubles x) {
    return multiply_add(Polynomial<degree - 1>::at(numbers + 1, x), x, all(*numbers));
  }
};
template <>
struct Polynomial<0> {
  PAPILIO_INLINE static Doubles at(const double* numbers, Doubles) { return all(*numbers); }
};

/// W_k + W_(k + 2) turned + W_(k + 4) turned^2 + ..., of order 0 at 0.
template <int k, bool order_0, bool ends = (k + 2 >= debye_terms)>
struct EveryOther {
  PAPILIO_INLINE static Doubles at(const double* numbers, Doubles turned, Doubles square) {
    const Doubles own = EveryOther<k, order_0, true>::at(numbers, turned, square);
    return multiply_add(EveryOther<k + 2, order_0>::at(numbers, turned, square), turned, own);
  }
};
template <int k, bool order_0>
struct EveryOther<k, order_0, true> {
  PAPILIO_INLINE static Doubles at(const double* numbers, Doubles, Doubles square) {
    return Polynomial < order_0 ? 0 : k > ::at(numbers + k * (k + 1) / 2, square);
  }
};

/// H_order^(1)(x) = sqrt(2 / (pi s)) exp(i (s - order acos(order / x) - pi / 4)) F with
/// s = sqrt(x^2 - order^2), F = sum_k (-i / s)^k W_k((order / s)^2) (DLMF 10.19.6): W_k of degree
/// k, one after the other in `numbers`. For s - order acos(order / x) >= 200: the terms fall below
/// 1e-17.
template <bool order_0>
PAPILIO_INLINE Wave debye(Doubles order, Doubles x, const double* numbers) {
  const Doubles s = order_0 ? x : square_root((x - order) * (x + order));
  const Doubles w = all(1.0) / s;
  const Doubles phase = order_0 ? x : s - order * angle_of(order, s);
  // 1 / (2 pi) as a sum.
  Doubles low;
  const Doubles turns = exact_product(phase, all(0.15915494309189535), low);
  low = low + phase * all(-9.839338337591e-18);
  const Wave wave = wave_of_part((turns - nearest(turns)) + (low - all(0.125)));
  const Doubles ratio = order * w, square = ratio * ratio;
  const Doubles turned = -(w * w);  // (-i / s)^2
  const Doubles even = EveryOther<0, order_0>::at(numbers, turned, square);
  const Doubles odd = -(EveryOther<1, order_0>::at(numbers, turned, square) * w);
  const Doubles size = square_root(w * all(0.63661977236758134));
  const Doubles re = wave.re * size, im = wave.im * size;
  return {re * even - im * odd, re * odd + im * even};
}

/// The polynomial of the unit interval that x lies in, of those from 0 on. Of what lies in none,
/// and of NaN, that of the first or the last.
PAPILIO_INLINE double from_table(const double* table, int64_t intervals, double x) {
  const double last = static_cast<double>(intervals - 1);
  const int64_t interval = static_cast<int64_t>(x > 0 ? (x < last ? x : last) : 0.0);
  const double* powers = table + interval * (table_degree + 1);
  const double offset = x - (static_cast<double>(interval) + 0.5);
  double sum = powers[table_degree];
  for (int64_t k = table_degree - 1; k >= 0; --k) sum = sum * offset + powers[k];
  return sum;
}

/// J_order(r w): parameters are the order, the x from which Debye's expansion holds, the logarithm
/// of Gamma(order + 1), how many intervals the table has, the numbers of the expansion, and the
/// table: below scaled_below of J_order(x) Gamma(order + 1) (2 / x)^order.
template <bool order_0>
struct Bessel {
  static PAPILIO_APART double near(const double* parameters, double x) {
    const double value =
        from_table(parameters + 4 + debye_numbers, static_cast<int64_t>(parameters[3]), x);
    if (order_0 || x >= scaled_below) return value;
    return value * exp(parameters[0] * log(0.5 * x) - parameters[2]);
  }
  PAPILIO_INLINE static Doubles of(const FormulaRun& run, int64_t at) {
    const double* p = run.parameters;
    const Doubles x = field(run.rows, 0, at) * field(run.columns, 0, at), far = all(p[1]);
    const Bits is_near = x < far;
    Doubles value = debye<order_0>(all(p[0]), select(is_near, far, x), p + 4).re;
    if (any(is_near))
      for (int n = 0; n < Doubles::lanes; ++n)
        if (is_near.lane(n)) value.set_lane(n, near(p, x.lane(n)));
    return value;
  }
};

int64_t bessel_parameters(const double* fixed, int64_t, int64_t) {
  const double intervals = fixed[3];
  if (!(intervals >= 1 && intervals < 1e9 && fixed[1] <= intervals)) return -1;
  return 4 + debye_numbers + static_cast<int64_t>(intervals) * (table_degree + 1);
}

/// (i / 4) H_0^(1)(k r), r the distance in the plane; 0 for r = 0. Parameters are k, the k r from
/// which Debye's expansion holds, how many intervals both tables have, the numbers of the
/// expansion, and the tables of J_0 and of Y_0 - (2 / pi) log(x) J_0.
struct CircularWave {
  static PAPILIO_APART void near(const double* parameters, double x, double* re, double* im) {
    const int64_t intervals = static_cast<int64_t>(parameters[2]);
    const double* table = parameters + 3 + debye_numbers;
    const double j = from_table(table, intervals, x);
    const double rest = from_table(table + intervals * (table_degree + 1), intervals, x);
    *re = -0.25 * (rest + 0.63661977236758134 * log(x) * j);
    *im = 0.25 * j;
  }
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const double* p = run.parameters;
    const Doubles r = distance<2>(run, at), x = r * all(p[0]), far = all(p[1]);
    const Bits is_near = x < far;
    const Wave hankel = debye<true>(Doubles{}, select(is_near, far, x), p + 3);
    Wave value = {hankel.im * all(-0.25), hankel.re * all(0.25)};
    if (any(is_near))
      for (int n = 0; n < Doubles::lanes; ++n) {
        if (!is_near.lane(n)) continue;
        double re = 0, im = 0;
        if (r.lane(n) != 0) near(p, x.lane(n), &re, &im);
        value.re.set_lane(n, re);
        value.im.set_lane(n, im);
      }
    return value;
  }
};

int64_t circular_parameters(const double* fixed, int64_t, int64_t) {
  const double intervals = fixed[2];
  if (!(intervals >= 1 && intervals < 1e9 && fixed[1] <= intervals)) return -1;
  return 3 + debye_numbers + 2 * static_cast<int64_t>(intervals) * (table_degree + 1);
}

/// H_j^(1)(x): fields of a row are x, and the last order but one for which Debye's expansion holds;
/// a recurrence goes on from these two. Parameters are the numbers of the expansion.
struct Hankel {
  // Of the recurrence: from start it is 36 times the cube root of x to the order x, and anything in
  // fields of anyone else.
  static constexpr int64_t most_steps = 1 << 16;

  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Doubles x = field(run.rows, 0, at), start = field(run.rows, 1, at);
    const Doubles wanted = field(run.columns, 0, at);
    const Bits beyond = start < wanted;
    const Wave first = debye<false>(select(beyond, start, wanted), x, run.parameters);
    return any(beyond) ? further(run.parameters, x, start, wanted, first) : first;
  }
  static PAPILIO_APART Wave further(const double* numbers, Doubles x, Doubles start, Doubles wanted,
                                    Wave first) {
    const Doubles one = all(1.0), twice = all(2.0) / x;
    Doubles order = start + one;
    Wave before = first, value = debye<false>(order, x, numbers);
    Bits active = order < wanted;
    for (int64_t step = 0; step < most_steps && any(active); ++step) {
      const Doubles ratio = order * twice;
      const Wave next = {ratio * value.re - before.re, ratio * value.im - before.im};
      before = {select(active, value.re, before.re), select(active, value.im, before.im)};
      value = {select(active, next.re, value.re), select(active, next.im, value.im)};
      order = select(active, order + one, order);
      active = order < wanted;
    }
    value.re = select(active, all(__builtin_nan("")), value.re);
    const Bits beyond = start < wanted;
    return {select(beyond, value.re, first.re), select(beyond, value.im, first.im)};
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
