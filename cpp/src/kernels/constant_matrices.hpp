// The constant matrices of butterflies, as additions and fixed rotations in registers.
#pragma once

#include "kernels/number_lanes.hpp"

namespace papilio {
namespace kernels {
namespace {

/// The Hadamard matrix of order R (a power of two) in natural order.
struct Hadamard {
  template <class X, int R>
  PAPILIO_INLINE static void run(X (&x)[R]) {
    levels<1>(x);
  }
  template <int R, class X, class Take, class Put>
  PAPILIO_INLINE static void run(bool, Take take, Put put) {
    X x[R];
    take(0, x);
    run(x);
    PAPILIO_UNROLL
    for (int k = 0; k < R; k += 2) put(k, x[k], k + 1, x[k + 1]);
  }

 private:
  /// The levels from distance `half` on. A template for each, and loops without conditions: what
  /// the compiler can't unroll at once goes through memory.
  template <int half, class X, int R>
  PAPILIO_INLINE static void levels(X (&x)[R]) {
    if constexpr (half < R) {
      PAPILIO_UNROLL
      for (int n = 0; n < R / 2; ++n) {
        X& low = x[n / half * 2 * half + n % half];
        X& high = x[n / half * 2 * half + n % half + half];
        const X sum = low + high;
        high = low - high;
        low = sum;
      }
      levels<2 * half>(x);
    }
  }
};

/// Cosines and sines of the angles 2 pi m / R, m = 1, ..., R / 2.
template <int R>
struct Roots;
template <>
struct Roots<3> {
  static constexpr double cosines[] = {-0.50000000000000000000};
  static constexpr double sines[] = {0.86602540378443864676};
};
template <>
struct Roots<5> {
  static constexpr double cosines[] = {0.30901699437494742410, -0.80901699437494742410};
  static constexpr double sines[] = {0.95105651629515357212, 0.58778525229247312917};
};
template <>
struct Roots<7> {
  static constexpr double cosines[] = {0.62348980185873353053, -0.22252093395631440429,
                                       -0.90096886790241912624};
  static constexpr double sines[] = {0.78183148246802980871, 0.97492791218182360702,
                                     0.43388373911755812048};
};
template <>
struct Roots<11> {
  static constexpr double cosines[] = {0.84125353283118116886, 0.41541501300188642553,
                                       -0.14231483827328514044, -0.65486073394528506406,
                                       -0.95949297361449738989};
  static constexpr double sines[] = {0.54064081745559758211, 0.90963199535451837141,
                                     0.98982144188093273238, 0.75574957435425828377,
                                     0.28173255684142969771};
};
template <>
struct Roots<13> {
  static constexpr double cosines[] = {0.88545602565320989590,  0.56806474673115580251,
                                       0.12053668025532305335,  -0.35460488704253562597,
                                       -0.74851074817110109863, -0.97094181742605202716};
  static constexpr double sines[] = {0.46472317204376854566, 0.82298386589365639458,
                                     0.99270887409805399280, 0.93501624268541482344,
                                     0.66312265824079520238, 0.23931566428755776715};
};

/// The Fourier matrix of order R, exp(-2 pi i j k / R): for powers of two with its columns in
/// bit-reversed order, or transposed with its rows so; order 6 likewise, see six(). `take(first,
/// x)` reads the numbers from number `first` on, `put(j, x, k, y)` writes two (one for k = -1):
/// order 8 is put together of two of order 4, so that 16 registers hold what is at work.
struct Fourier {
  template <int R, class X, class Take, class Put>
  PAPILIO_INLINE static void run(bool transposed, Take take, Put put) {
    if constexpr (R % 2 == 1) {
      odd<R, X>(take, put);
    } else if constexpr (R == 6) {
      transposed ? six<X, true>(take, put) : six<X, false>(take, put);
    } else if constexpr (R == 8) {
      transposed ? fold_eight<X>(take, put) : unfold_eight<X>(take, put);
    } else {
      X x[R];
      take(0, x);
      if constexpr (R == 4) {
        transposed ? fold_four(x) : unfold_four(x);
        put(0, x[0], 2, x[2]);
        put(1, x[1], 3, x[3]);
      } else {
        put(0, x[0] + x[1], 1, x[0] - x[1]);
      }
    }
  }

 private:
  /// x turned by -90 degrees and added, and subtracted.
  template <class X>
  PAPILIO_INLINE static X plus_turned(X x, X turned) {
    return {x.re + turned.im, x.im - turned.re};
  }
  template <class X>
  PAPILIO_INLINE static X minus_turned(X x, X turned) {
    return {x.re - turned.im, x.im + turned.re};
  }

  template <class X>
  PAPILIO_INLINE static void unfold_four(X (&x)[4]) {
    const X a = x[0] + x[1], b = x[0] - x[1], c = x[2] + x[3], d = x[2] - x[3];
    x[0] = a + c;
    x[2] = a - c;
    x[1] = plus_turned(b, d);
    x[3] = minus_turned(b, d);
  }
  template <class X>
  PAPILIO_INLINE static void fold_four(X (&x)[4]) {
    const X a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
    x[0] = a + c;
    x[1] = a - c;
    x[2] = plus_turned(b, d);
    x[3] = minus_turned(b, d);
  }

  /// Decimation in time: both halves of the inputs, then one level between them.
  template <class X, class Take, class Put>
  PAPILIO_INLINE static void unfold_eight(Take take, Put put) {
    typedef typename X::V V;
    const V root = V::broadcast(static_cast<typename X::scalar>(0.70710678118654752440));
    X low[4], high[4];
    take(0, low);
    unfold_four(low);
    take(4, high);
    unfold_four(high);
    put(0, low[0] + high[0], 4, low[0] - high[0]);
    put(2, plus_turned(low[2], high[2]), 6, minus_turned(low[2], high[2]));
    // An eighth of a turn: (sum, difference); three: (difference, -sum).
    const V sum = high[1].re + high[1].im, difference = high[1].im - high[1].re;
    put(1, X{multiply_add(sum, root, low[1].re), multiply_add(difference, root, low[1].im)}, 5,
        X{subtract_product(low[1].re, sum, root), subtract_product(low[1].im, difference, root)});
    const V sum3 = high[3].re + high[3].im, difference3 = high[3].im - high[3].re;
    put(3, X{multiply_add(difference3, root, low[3].re), subtract_product(low[3].im, sum3, root)},
        7, X{subtract_product(low[3].re, difference3, root), multiply_add(sum3, root, low[3].im)});
  }

  /// Its transpose, decimation in frequency.
  template <class X, class Take, class Put>
  PAPILIO_INLINE static void fold_eight(Take take, Put put) {
    typedef typename X::V V;
    const V root = V::broadcast(static_cast<typename X::scalar>(0.70710678118654752440));
    const V minus = V::broadcast(static_cast<typename X::scalar>(-0.70710678118654752440));
    X low[4], high[4];
    take(0, low);
    take(4, high);
    PAPILIO_UNROLL
    for (int e = 0; e < 4; ++e) {
      const X difference = low[e] - high[e];
      low[e] = low[e] + high[e];
      high[e] = difference;
    }
    fold_four(low);
    put(0, low[0], 1, low[1]);
    put(2, low[2], 3, low[3]);
    high[1] = {(high[1].re + high[1].im) * root, (high[1].im - high[1].re) * root};
    high[3] = {(high[3].im - high[3].re) * root, (high[3].re + high[3].im) * minus};
    // high[2] is still to be turned.
    const X a = plus_turned(high[0], high[2]), b = minus_turned(high[0], high[2]);
    const X c = high[1] + high[3], d = high[1] - high[3];
    put(4, a + c, 5, a - c);
    put(6, plus_turned(b, d), 7, minus_turned(b, d));
  }

  /// Order 3 times order 2: coprime, so that sums and differences of numbers n and n + 3 are
  /// followed by two matrices of order 3 without twiddles between (Good, Thomas). Number f + 3 k is
  /// at place 2 f + k of the inputs, or of the outputs if transposed.
  template <class X, bool transposed, class Take, class Put>
  PAPILIO_INLINE static void six(Take take, Put put) {
    X x[6];
    take(0, x);
    // Numbers 0 and 3, 2 and 5, 4 and 1.
    constexpr int three = transposed ? 3 : 1, two = transposed ? 2 : 4;
    constexpr int four = transposed ? 4 : 3, one = transposed ? 1 : 2;
    const X sums[3] = {x[0] + x[three], x[two] + x[5], x[four] + x[one]};
    const X differences[3] = {x[0] - x[three], x[two] - x[5], x[four] - x[one]};
    half_of_six(sums, 0, transposed ? 3 : 4, transposed ? 4 : 2, put);
    half_of_six(differences, transposed ? 1 : 3, transposed ? 2 : 1, 5, put);
  }
  template <class X, class Put>
  PAPILIO_INLINE static void half_of_six(const X (&x)[3], int first, int second, int third,
                                         Put put) {
    const auto take = [&](int, X(&to)[3]) __attribute__((always_inline)) {
      PAPILIO_UNROLL
      for (int k = 0; k < 3; ++k) to[k] = x[k];
    };
    const auto put_at = [&](int, X y, int k, X z) __attribute__((always_inline)) {
      k < 0 ? put(first, y, -1, z) : put(second, y, third, z);
    };
    odd<3, X>(take, put_at);
  }

  /// Sums and differences of x[m] and x[R - m] make half of the products.
  template <int R, class X, class Take, class Put>
  PAPILIO_INLINE static void odd(Take take, Put put) {
    typedef typename X::scalar T;
    typedef typename X::V V;
    constexpr int half = R / 2;
    X x[R], sum[half], difference[half];
    take(0, x);
    const X first = x[0];
    PAPILIO_UNROLL
    for (int m = 0; m < half; ++m) {
      sum[m] = x[m + 1] + x[R - 1 - m];
      difference[m] = x[m + 1] - x[R - 1 - m];
      x[0] = x[0] + sum[m];
    }
    PAPILIO_UNROLL
    for (int j = 1; j <= half; ++j) {
      X even = first, turned;
      PAPILIO_UNROLL
      for (int m = 1; m <= half; ++m) {
        const int at = j * m % R, near = at <= half ? at : R - at;
        const V cosine = V::broadcast(static_cast<T>(Roots<R>::cosines[near - 1]));
        const V sine = V::broadcast(
            static_cast<T>(at <= half ? Roots<R>::sines[near - 1] : -Roots<R>::sines[near - 1]));
        const X &s = sum[m - 1], &d = difference[m - 1];
        even = {multiply_add(s.re, cosine, even.re), multiply_add(s.im, cosine, even.im)};
        if (m == 1)
          turned = d.scaled(sine);
        else
          turned = {multiply_add(d.re, sine, turned.re), multiply_add(d.im, sine, turned.im)};
      }
      put(j, plus_turned(even, turned), R - j, minus_turned(even, turned));
    }
    put(0, x[0], -1, x[0]);
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
