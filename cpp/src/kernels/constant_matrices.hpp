// The constant matrices of butterflies, as additions and fixed rotations in registers.
#pragma once

#include "kernels/number_lanes.hpp"

namespace papilio {
namespace kernels {
namespace {

/// The Hadamard matrix of order R (a power of two) in natural order.
struct Hadamard {
  template <int R>
  static constexpr int place(int number) {
    return number;
  }
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
struct Roots<9> {
  static constexpr double cosines[] = {0.76604444311897803520, 0.17364817766693034885,
                                       -0.50000000000000000000, -0.93969262078590838405};
  static constexpr double sines[] = {0.64278760968653932632, 0.98480775301220805937,
                                     0.86602540378443864676, 0.34202014332566873304};
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

/// Order P times order Q: number f + P e is at place Q f + e where numbers are in the order of the
/// digits. The Fourier matrix is then one of order Q for each a < P, whose inputs are the numbers
/// input(a, b), b < Q, and one of order P for each j2 < Q, whose outputs are output(j1, j2).
/// Between them are twiddles exp(-2 pi i a j2 / (P Q)), but none where both are coprime (Good,
/// Thomas).
template <int P, int Q>
struct Digits {
  static constexpr int left = P, right = Q, order = P * Q;
  static constexpr bool coprime = P % Q != 0 && Q % P != 0;  // of two primes
  static constexpr int place(int number) { return number % P * Q + number / P; }
  static constexpr int input(int a, int b) { return (a * (coprime ? Q : 1) + b * P) % order; }
  static constexpr int output(int j1, int j2) {
    return coprime ? (j1 * unit(P, Q) + j2 * unit(Q, P)) % order : j1 * Q + j2;
  }

 private:
  /// 1 modulo p and 0 modulo q.
  static constexpr int unit(int p, int q) {
    int n = 0;
    while (n % p != 1) n += q;
    return n;
  }
};

template <int R>
struct DigitsOf;
template <>
struct DigitsOf<6> : Digits<3, 2> {};
template <>
struct DigitsOf<9> : Digits<3, 3> {};
template <>
struct DigitsOf<15> : Digits<5, 3> {};

/// The Fourier matrix of order R, exp(-2 pi i j k / R): for powers of two with its columns in
/// bit-reversed order, or transposed with its rows so. `take(first, x)` reads the numbers from
/// number `first` on, `put(j, x, k, y)` writes two (one for k = -1): order 8 is put together of two
/// of order 4, so that 16 registers hold what is at work. Orders 6, 9 and 15 take and put numbers
/// in their own order; where number n lies, place(n), is the caller's affair.
struct Fourier {
  static constexpr bool has_digits(int order) { return order == 6 || order == 9 || order == 15; }
  /// Of the columns, or transposed of the rows.
  template <int R>
  static constexpr int place(int number) {
    if constexpr (has_digits(R))
      return DigitsOf<R>::place(number);
    else
      return number;
  }

  template <int R, class X, class Take, class Put>
  PAPILIO_INLINE static void run(bool transposed, Take take, Put put) {
    if constexpr (has_digits(R)) {
      product<X, DigitsOf<R>>(take, put);
    } else if constexpr (R % 2 == 1) {
      odd<R, X>(take, put);
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

  template <class X, class D, class Take, class Put>
  PAPILIO_INLINE static void product(Take take, Put put) {
    X x[D::order], between[D::right][D::left];
    take(0, x);
    all_of_right<D>(x, between, typename NumbersBelow<D::left>::type());
    all_of_left<D>(between, put, typename NumbersBelow<D::right>::type());
  }
  // Templates in place of loops: what waits between the two orders would else go through memory.
  template <class D, class X, int... a>
  PAPILIO_INLINE static void all_of_right(const X (&x)[D::order], X (&between)[D::right][D::left],
                                          Numbers<a...>) {
    (right<D, a>(x, between), ...);
  }
  template <class D, class X, class Put, int... j2>
  PAPILIO_INLINE static void all_of_left(const X (&between)[D::right][D::left], Put put,
                                         Numbers<j2...>) {
    (left<D, j2>(between[j2], put), ...);
  }

  template <class D, int a, class X>
  PAPILIO_INLINE static void right(const X (&x)[D::order], X (&between)[D::right][D::left]) {
    typedef typename X::scalar T;
    typedef typename X::V V;
    const auto take = [&](int, X(&to)[D::right]) __attribute__((always_inline)) {
      PAPILIO_UNROLL
      for (int b = 0; b < D::right; ++b) to[b] = x[D::input(a, b)];
    };
    const auto put = [&](int j, X y, int k, X z) __attribute__((always_inline)) {
      between[j][a] = y;
      if (k >= 0) between[k][a] = z;
    };
    prime<D::right, X>(take, put);
    if constexpr (!D::coprime && a > 0) {
      PAPILIO_UNROLL
      for (int j2 = 1; j2 < D::right; ++j2) {
        const X root = {V::broadcast(static_cast<T>(Roots<D::order>::cosines[a * j2 - 1])),
                        V::broadcast(static_cast<T>(-Roots<D::order>::sines[a * j2 - 1]))};
        between[j2][a] = between[j2][a] * root;
      }
    }
  }

  template <class D, int j2, class X, class Put>
  PAPILIO_INLINE static void left(const X (&between)[D::left], Put put) {
    const auto take = [&](int, X(&to)[D::left]) __attribute__((always_inline)) {
      PAPILIO_UNROLL
      for (int a = 0; a < D::left; ++a) to[a] = between[a];
    };
    const auto put_own = [&](int j, X y, int k, X z) __attribute__((always_inline)) {
      put(D::output(j, j2), y, k < 0 ? -1 : D::output(k, j2), z);
    };
    prime<D::left, X>(take, put_own);
  }

  template <int R, class X, class Take, class Put>
  PAPILIO_INLINE static void prime(Take take, Put put) {
    if constexpr (R == 2) {
      X x[2];
      take(0, x);
      put(0, x[0] + x[1], 1, x[0] - x[1]);
    } else {
      odd<R, X>(take, put);
    }
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
