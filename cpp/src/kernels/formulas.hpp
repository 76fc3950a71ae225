// Formulas of waves and of exponentials.
#pragma once

#include "kernels/elementary.hpp"
#include "kernels/formula_kernels.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Field `number` of the entries from `at` on.
PAPILIO_INLINE Doubles field(const FormulaSide& side, int64_t number, int64_t at) {
  const double* of_all = side.fields + number * side.pitch;
  return side.step ? Doubles::load(of_all + at) : all(*of_all);
}

/// A formula gives the entries from `at` on, as many as a SIMD vector has.
template <class Formula>
void run_waves(const FormulaRun& run) {
  for (int64_t at = 0; at < run.count; at += Doubles::lanes) {
    const Wave found = Formula::of(run, at);
    found.re.store(run.re + at, run.count - at);
    found.im.store(run.im + at, run.count - at);
  }
}

template <class Formula>
void run_real(const FormulaRun& run) {
  for (int64_t at = 0; at < run.count; at += Doubles::lanes)
    Formula::of(run, at).store(run.re + at, run.count - at);
}

/// The sum of the products of the first fields of rows and columns. Products and sums are rounded
/// one by one, as turns of the same numbers are elsewhere.
template <int dimensions>
PAPILIO_INLINE Doubles inner_product(const FormulaRun& run, int64_t at) {
  Doubles sum = field(run.rows, 0, at) * field(run.columns, 0, at);
  PAPILIO_UNROLL
  for (int d = 1; d < dimensions; ++d)
    sum = sum + field(run.rows, d, at) * field(run.columns, d, at);
  return sum;
}

/// exp(2 pi i x . k)
template <int dimensions>
struct InnerProduct {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    return wave_of(inner_product<dimensions>(run, at));
  }
};

/// (1 + a b) exp(2 pi i x . k), two dimensions.
struct TaperedInnerProduct {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Wave wave = wave_of(inner_product<2>(run, at));
    const Doubles size = all(1.0) + field(run.rows, 2, at) * field(run.columns, 2, at);
    return {wave.re * size, wave.im * size};
  }
};

/// c exp(2 pi i x . k), three dimensions, c a complex parameter.
struct ScaledInnerProduct {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Wave wave = wave_of(inner_product<3>(run, at));
    const Doubles re = all(run.parameters[0]), im = all(run.parameters[1]);
    return {wave.re * re - wave.im * im, wave.re * im + wave.im * re};
  }
};

/// exp(2 pi i (x . k + sqrt(c . q))), two dimensions.
struct EllipticPhase {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Doubles squared = field(run.rows, 2, at) * field(run.columns, 2, at) +
                            field(run.rows, 3, at) * field(run.columns, 3, at);
    return wave_of(inner_product<2>(run, at) + square_root(squared));
  }
};

/// exp(2 pi i w sqrt(t + p h)), t and p of the row.
struct HyperbolicPhase {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Doubles squared =
        field(run.rows, 0, at) + field(run.rows, 1, at) * field(run.columns, 1, at);
    return wave_of(field(run.columns, 0, at) * square_root(squared));
  }
};

/// The same where a sum of squares is small or large: of numbers times a power of two, each lane's
/// own. Differences may overflow, so that the large ones are of numbers that are scaled before.
/// What is beyond the largest double is that.
template <int dimensions>
PAPILIO_APART Doubles extreme_distance(const FormulaRun& run, int64_t at, Bits small, Bits large) {
  const Doubles one = all(1.0), up = all(0x1p600), down = all(0x1p-600);
  const Doubles before = select(large, down, one), after = select(small, up, one);
  Doubles squared = {};
  PAPILIO_UNROLL
  for (int d = 0; d < dimensions; ++d) {
    const Doubles difference = field(run.rows, d, at) * before - field(run.columns, d, at) * before;
    squared = squared + (difference * after) * (difference * after);
  }
  const Doubles found = square_root(squared) * select(large, up, select(small, down, one));
  const Doubles most = all(0x1.fffffffffffffp1023);
  return select(most < found, most, found);
}

template <int dimensions>
PAPILIO_INLINE Doubles distance(const FormulaRun& run, int64_t at) {
  Doubles squared = {};
  PAPILIO_UNROLL
  for (int d = 0; d < dimensions; ++d) {
    const Doubles difference = field(run.rows, d, at) - field(run.columns, d, at);
    squared = squared + difference * difference;
  }
  const Bits small = squared < all(0x1p-900), large = all(0x1p1000) < squared;
  if (any(small ^ large)) return extreme_distance<dimensions>(run, at, small, large);
  return square_root(squared);
}

/// exp(2 pi i k r) / (4 pi r), r the distance in three dimensions, k a parameter; 0 for r = 0.
struct SphericalWave {
  PAPILIO_INLINE static Wave of(const FormulaRun& run, int64_t at) {
    const Doubles r = distance<3>(run, at);
    const Bits together = is_zero(r);
    const Wave wave = wave_of(r * all(run.parameters[0]));
    const Doubles size = all(0.07957747154594767) / r;  // 1 / (4 pi)
    return {select(together, Doubles{}, wave.re * size),
            select(together, Doubles{}, wave.im * size)};
  }
};

/// exp(-s t)
struct Decay {
  PAPILIO_INLINE static Doubles of(const FormulaRun& run, int64_t at) {
    return exponential(-(field(run.rows, 0, at) * field(run.columns, 0, at)));
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
