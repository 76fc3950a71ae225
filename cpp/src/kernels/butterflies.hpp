// Kernels for factors of the form "constant Hadamard or Fourier matrix times diagonal twiddles":
// the twiddles are all that is read, the constant matrix is additions and fixed rotations in
// registers. Complex numbers are held with real and imaginary parts in vectors of their own; a tile
// between two such stages keeps them so ("split": lanes real parts, then lanes imaginary ones).
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// One SIMD vector of real numbers.
template <class T>
struct RealLanes {
  typedef T scalar;
  typedef batch<T> V;
  static constexpr int parts = 1, lanes = V::lanes;
  V re;

  PAPILIO_INLINE static RealLanes broadcast(const T* from) { return {V::broadcast(*from)}; }
  PAPILIO_INLINE static RealLanes load(const T* from) { return {V::load(from)}; }
  PAPILIO_INLINE static RealLanes load_interleaved(const T* from, const T*) { return load(from); }
  PAPILIO_INLINE static RealLanes load_part(const T* from, int64_t count) {
    return {V::load_part(from, count)};
  }
  PAPILIO_INLINE void store(T* to) const { re.store(to); }
  PAPILIO_INLINE void store_interleaved(T* to, T*) const { store(to); }
  PAPILIO_INLINE void stream(T* to) const { re.stream(to); }
  PAPILIO_INLINE void store_part(T* to, int64_t count) const { re.store_part(to, count); }
  PAPILIO_INLINE RealLanes swapped() const { return *this; }
  PAPILIO_INLINE RealLanes scaled(V s) const { return {re * s}; }
  PAPILIO_INLINE friend RealLanes operator+(RealLanes x, RealLanes y) { return {x.re + y.re}; }
  PAPILIO_INLINE friend RealLanes operator-(RealLanes x, RealLanes y) { return {x.re - y.re}; }
  PAPILIO_INLINE friend RealLanes operator*(RealLanes x, RealLanes y) { return {x.re * y.re}; }
};

/// As many complex numbers as a SIMD vector has real lanes, in two vectors.
template <class T>
struct ComplexLanes {
  typedef T scalar;
  typedef batch<T> V;
  static constexpr int parts = 2, lanes = V::lanes;
  V re, im;

  PAPILIO_INLINE static ComplexLanes parted(V low, V high) {
    return {permute(low, high, [](int n) { return 2 * n; }),
            permute(low, high, [](int n) { return 2 * n + 1; })};
  }
  PAPILIO_INLINE static ComplexLanes broadcast(const T* from) {
    return {V::broadcast(from[0]), V::broadcast(from[1])};
  }
  PAPILIO_INLINE static ComplexLanes load(const T* from) {
    return {V::load(from), V::load(from + lanes)};
  }
  /// The first and the second half of the numbers, as (re, im) pairs in memory.
  PAPILIO_INLINE static ComplexLanes load_interleaved(const T* first, const T* second) {
    return parted(V::load(first), V::load(second));
  }
  PAPILIO_INLINE static ComplexLanes load_part(const T* from, int64_t count) {
    const int64_t words = 2 * count;
    return parted(words < lanes ? V::load_part(from, words) : V::load(from),
                  words > lanes ? V::load_part(from + lanes, words - lanes) : V{});
  }
  PAPILIO_INLINE void store(T* to) const {
    re.store(to);
    im.store(to + lanes);
  }
  PAPILIO_INLINE V first() const {
    return permute(re, im, [](int n) { return n / 2 + n % 2 * lanes; });
  }
  PAPILIO_INLINE V second() const {
    return permute(re, im, [](int n) { return lanes / 2 + n / 2 + n % 2 * lanes; });
  }
  PAPILIO_INLINE void store_interleaved(T* to, T* to_second) const {
    first().store(to);
    second().store(to_second);
  }
  PAPILIO_INLINE void stream(T* to) const {
    first().stream(to);
    second().stream(to + lanes);
  }
  PAPILIO_INLINE void store_part(T* to, int64_t count) const {
    const int64_t words = 2 * count;
    if (words < lanes) return first().store_part(to, words);
    first().store(to);
    if (words > lanes) second().store_part(to + lanes, words - lanes);
  }
  /// i times the conjugate: a product with conjugated weights is the product of swapped numbers,
  /// swapped.
  PAPILIO_INLINE ComplexLanes swapped() const { return {im, re}; }
  PAPILIO_INLINE ComplexLanes scaled(V s) const { return {re * s, im * s}; }
  PAPILIO_INLINE friend ComplexLanes operator+(ComplexLanes x, ComplexLanes y) {
    return {x.re + y.re, x.im + y.im};
  }
  PAPILIO_INLINE friend ComplexLanes operator-(ComplexLanes x, ComplexLanes y) {
    return {x.re - y.re, x.im - y.im};
  }
  PAPILIO_INLINE friend ComplexLanes operator*(ComplexLanes x, ComplexLanes y) {
    return {subtract_product(x.re * y.re, x.im, y.im), multiply_add(x.re, y.im, x.im * y.re)};
  }
};

/// The Hadamard matrix of order R (a power of two) in natural order.
struct Hadamard {
  template <class X, int R>
  PAPILIO_INLINE static void run(X (&x)[R], bool) {
    levels<1>(x);
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

/// The Fourier matrix of order R, exp(-2 pi i j k / R): for powers of two with its columns in
/// bit-reversed order, or transposed with its rows so.
struct Fourier {
  template <class X, int R>
  PAPILIO_INLINE static void run(X (&x)[R], bool transposed) {
    if constexpr (R % 2 == 1) {
      odd(x);
    } else if (transposed) {
      if constexpr (R == 8) {
        fold<4>(x, 0);
        fold<2>(x, 0);
        fold<2>(x, 4);
      } else if constexpr (R == 4) {
        fold<2>(x, 0);
      }
      pairs(x);
    } else {
      pairs(x);
      if constexpr (R == 8) {
        unfold<2>(x, 0);
        unfold<2>(x, 4);
        unfold<4>(x, 0);
      } else if constexpr (R == 4) {
        unfold<2>(x, 0);
      }
    }
  }

 private:
  template <class X, int R>
  PAPILIO_INLINE static void pairs(X (&x)[R]) {
    PAPILIO_UNROLL
    for (int n = 0; n < R; n += 2) {
      const X sum = x[n] + x[n + 1];
      x[n + 1] = x[n] - x[n + 1];
      x[n] = sum;
    }
  }

  /// x times exp(-2 pi i e / (2 half)), for half 2 or 4.
  template <int half, class X>
  PAPILIO_INLINE static X rotated(X x, int e) {
    const typename X::V minus = X::V::broadcast(-1);
    const typename X::V root =
        X::V::broadcast(static_cast<typename X::scalar>(0.70710678118654752440));
    const int eighths = e * 4 / half;
    switch (eighths) {
      case 0:
        return x;
      case 1:
        return {(x.re + x.im) * root, (x.im - x.re) * root};
      case 2:
        return {x.im, x.re * minus};
      default:
        return {(x.im - x.re) * root, (x.re + x.im) * (minus * root)};
    }
  }

  /// low and high become low +- exp(-2 pi i e / (2 half)) high, for e other than half / 2.
  template <int half, class X>
  PAPILIO_INLINE static void add_rotated(X& low, X& high, int e) {
    if (e == 0) {
      const X sum = low + high;
      high = low - high;
      low = sum;
      return;
    }
    const typename X::V root =
        X::V::broadcast(static_cast<typename X::scalar>(0.70710678118654752440));
    const typename X::V sum = high.re + high.im, difference = high.im - high.re;
    // An eighth of a turn: (sum, difference); three: (difference, -sum).
    const bool one = e * 4 / half == 1;
    const typename X::V re = one ? sum : difference, im = one ? difference : sum;
    const X plus = {multiply_add(re, root, low.re), multiply_add(im, root, low.im)};
    const X minus = {subtract_product(low.re, re, root), subtract_product(low.im, im, root)};
    low = {plus.re, one ? plus.im : minus.im};
    high = {minus.re, one ? minus.im : plus.im};
  }

  /// The last level of decimation in time, of 2 half numbers from number `from` on.
  template <int half, class X, int R>
  PAPILIO_INLINE static void unfold(X (&x)[R], int from) {
    PAPILIO_UNROLL
    for (int e = 0; e < half; ++e) {
      X& low = x[from + e];
      X& high = x[from + half + e];
      if (4 * e == 2 * half) {  // a quarter turn is an exchange and two signs
        const X turned = high;
        high = {low.re - turned.im, low.im + turned.re};
        low = {low.re + turned.im, low.im - turned.re};
      } else {
        add_rotated<half>(low, high, e);
      }
    }
  }

  /// Its transpose: the first level of decimation in frequency.
  template <int half, class X, int R>
  PAPILIO_INLINE static void fold(X (&x)[R], int from) {
    PAPILIO_UNROLL
    for (int e = 0; e < half; ++e) {
      X& low = x[from + e];
      X& high = x[from + half + e];
      const X difference = low - high;
      const X swapped_difference = high - low;
      low = low + high;
      if (4 * e == 2 * half)
        high = {difference.im, swapped_difference.re};
      else
        high = rotated<half>(difference, e);
    }
  }

  /// Sums and differences of x[m] and x[R - m] make half of the products.
  template <class X, int R>
  PAPILIO_INLINE static void odd(X (&x)[R]) {
    typedef typename X::scalar T;
    typedef typename X::V V;
    constexpr int half = R / 2;
    constexpr double cosines[8] = {-0.5,
                                   0,
                                   0.30901699437494742410,
                                   -0.80901699437494742410,
                                   0,
                                   0.62348980185873353053,
                                   -0.22252093395631440429,
                                   -0.90096886790241912624};
    constexpr double sines[8] = {0.86602540378443864676,
                                 0,
                                 0.95105651629515357212,
                                 0.58778525229247312917,
                                 0,
                                 0.78183148246802980871,
                                 0.97492791218182360702,
                                 0.43388373911755812048};
    constexpr int table = R == 3 ? 0 : R == 5 ? 2 : 5;
    X sum[half], difference[half];
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
        const V cosine = V::broadcast(static_cast<T>(cosines[table + near - 1]));
        const V sine = V::broadcast(
            static_cast<T>(at <= half ? sines[table + near - 1] : -sines[table + near - 1]));
        const X &s = sum[m - 1], &d = difference[m - 1];
        even = {multiply_add(s.re, cosine, even.re), multiply_add(s.im, cosine, even.im)};
        if (m == 1)
          turned = d.scaled(sine);
        else
          turned = {multiply_add(d.re, sine, turned.re), multiply_add(d.im, sine, turned.im)};
      }
      // even -/+ i turned
      x[j] = {even.re + turned.im, even.im - turned.re};
      x[R - j] = {even.re - turned.im, even.im + turned.re};
    }
  }
};

/// Twiddles, constant matrix, scale: what happens to a block in registers. twiddle(k) is read where
/// it is used: the registers are full.
template <class X, class Matrix, int R, class Twiddle>
PAPILIO_INLINE void butterfly(const StageArguments& stage, X (&x)[R], Twiddle twiddle,
                              typename X::V scale) {
  const Butterflies& how = stage.butterflies;
  if (how.swap) {
    PAPILIO_UNROLL
    for (int k = 0; k < R; ++k) x[k] = x[k].swapped();
  }
  if (stage.weights && !how.transposed) {
    PAPILIO_UNROLL
    for (int k = 1; k < R; ++k) x[k] = x[k] * twiddle(k);
  }
  Matrix::run(x, how.transposed);
  if (stage.weights && how.transposed) {
    PAPILIO_UNROLL
    for (int k = 1; k < R; ++k) x[k] = x[k] * twiddle(k);
  }
  if (how.scale != 1) {
    PAPILIO_UNROLL
    for (int k = 0; k < R; ++k) x[k] = x[k].scaled(scale);
  }
  if (how.swap) {
    PAPILIO_UNROLL
    for (int k = 0; k < R; ++k) x[k] = x[k].swapped();
  }
}

/// Lanes along the batch. Rows of a tile have room for whole vectors.
template <class X, class Matrix, int R>
void butterfly_columns(const StageArguments& given) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, step = P * X::lanes;
  const StageArguments stage = given;
  const Butterflies how = stage.butterflies;
  const typename X::V scale = X::V::broadcast(static_cast<T>(how.scale));
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; ++l) {
      const T* in[R];
      T* out[R];
      PAPILIO_UNROLL
      for (int k = 0; k < R; ++k) {
        const int64_t row = (i * R + k) * stage.d + l;
        in[k] = static_cast<const T*>(stage.in) +
                (stage.in_index ? stage.in_index[row] : row) * stage.in_row * P;
        out[k] = static_cast<T*>(stage.out) +
                 (stage.out_index ? stage.out_index[row] : row) * stage.out_row * P;
      }
      X twiddles[R] = {};
      if (stage.weights) {
        const T* w = static_cast<const T*>(stage.weights) + i * stage.weight_i + l * stage.weight_l;
        PAPILIO_UNROLL
        for (int k = 1; k < R; ++k) twiddles[k] = X::broadcast(w + (k - 1) * P);
      }
      const auto twiddle = [&](int k) __attribute__((always_inline)) { return twiddles[k]; };
      const auto run = [&](int64_t at, bool whole) __attribute__((always_inline)) {
        X x[R];
        if (how.in_split) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k] = X::load(in[k] + at);
        } else if (whole) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k] = X::load_interleaved(in[k] + at, in[k] + at + X::lanes);
        } else {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k] = X::load_part(in[k] + at, stage.tail);
        }
        butterfly<X, Matrix, R>(stage, x, twiddle, scale);
        if (how.out_split) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k].store(out[k] + at);
        } else if (!whole) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k].store_part(out[k] + at, stage.tail);
        } else if (stage.stream) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k].stream(out[k] + at);
        } else {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k].store_interleaved(out[k] + at, out[k] + at + X::lanes);
        }
      };
      if constexpr (X::parts == 2) {
        // One place for whole vectors and the tail: less code, and a third faster.
        const int64_t count = stage.count + (stage.tail ? 1 : 0);
        for (int64_t u = 0; u < count; ++u) run(u * step, u < stage.count);
      } else {
        for (int64_t u = 0; u < stage.count; ++u) run(u * step, true);
        if (stage.tail) run(stage.count * step, false);
      }
      prefetcher.step();
    }
}

/// Lanes along l, one vector of the batch after the other: d is a multiple of the lanes or, for
/// interleaved complex numbers, half of them; then lanes run along two blocks.
template <class X, class Matrix, int R>
void butterfly_rows(const StageArguments& given) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, L = X::lanes;
  const StageArguments stage = given;
  const Butterflies how = stage.butterflies;
  const typename X::V scale = X::V::broadcast(static_cast<T>(how.scale));
  const int64_t blocks = stage.d < L ? L / stage.d : 1;
  // From the first to the second half of the lanes' numbers, in scalars.
  const int64_t half = blocks > 1 ? R * stage.d * P : L * P / 2;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * P;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step * P;
    for (int64_t i = stage.i0; i < stage.i1; i += blocks)
      for (int64_t l = stage.l0; l < stage.l1; l += L) {
        const int64_t at = (i * R * stage.d + l) * P, row = stage.d * P;
        X x[R];
        const T* w =
            static_cast<const T*>(stage.weights) + i * stage.weight_i + l / L * stage.weight_l;
        const auto twiddle = [&](int k) __attribute__((always_inline)) {
          return X::load(w + (k - 1) * P * L);
        };
        if (how.in_split) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k] = X::load(in + at + k * row);
        } else {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k)
            x[k] = X::load_interleaved(in + at + k * row, in + at + k * row + half);
        }
        butterfly<X, Matrix, R>(stage, x, twiddle, scale);
        if (how.out_split) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k) x[k].store(out + at + k * row);
        } else {
          PAPILIO_UNROLL
          for (int k = 0; k < R; ++k)
            x[k].store_interleaved(out + at + k * row, out + at + k * row + half);
        }
        prefetcher.step();
      }
  }
}

/// The first stage (d = 1, no twiddles) of a chain whose permutation makes lanes of neighbouring
/// inputs: block numbers come in runs of `lanes` (in_blocks), row k of which are neighbours from
/// in_index[block * R + k] on. The transposition in registers leaves each block contiguous. Or
/// transposed, the last stage: blocks are read and neighbours written.
template <class T, int R, bool last>
void butterfly_permuted(const StageArguments& given) {
  typedef ComplexLanes<T> X;
  typedef Complex<T> A;
  constexpr int64_t L = X::lanes, H = A::lanes;
  const StageArguments stage = given;
  const Butterflies how = stage.butterflies;
  const typename X::V scale = X::V::broadcast(static_cast<T>(how.scale));
  const int64_t* const index = last ? stage.out_index : stage.in_index;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * 2;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step * 2;
    for (int64_t i = stage.i0; i < stage.i1; i += L) {
      const int64_t* blocks = how.blocks + i;
      const int64_t* base = index + blocks[0] * R;
      X x[R];
      const auto none = [](int) __attribute__((always_inline)) { return X{}; };
      typename X::V y[2][R];
      if (last) {
        PAPILIO_UNROLL
        for (int half = 0; half < 2; ++half) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; k += H) {
            typename X::V z[H];
            PAPILIO_UNROLL
            for (int n = 0; n < H; ++n) z[n] = X::V::load(in + 2 * (blocks[half * H + n] * R + k));
            Transpose<A, H / 2>::run(z);
            PAPILIO_UNROLL
            for (int n = 0; n < H; ++n) y[half][k + n] = z[n];
          }
        }
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k) x[k] = X::parted(y[0][k], y[1][k]);
      } else {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k)
          x[k] = X::load_interleaved(in + 2 * base[k], in + 2 * base[k] + L);
      }
      butterfly<X, Fourier, R>(stage, x, none, scale);
      if (last) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k)
          x[k].store_interleaved(out + 2 * base[k], out + 2 * base[k] + L);
      } else {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k) {
          y[0][k] = x[k].first();
          y[1][k] = x[k].second();
        }
        PAPILIO_UNROLL
        for (int half = 0; half < 2; ++half) {
          PAPILIO_UNROLL
          for (int k = 0; k < R; k += H) {
            typename X::V z[H];
            PAPILIO_UNROLL
            for (int n = 0; n < H; ++n) z[n] = y[half][k + n];
            Transpose<A, H / 2>::run(z);
            PAPILIO_UNROLL
            for (int n = 0; n < H; ++n) z[n].store(out + 2 * (blocks[half * H + n] * R + k));
          }
        }
      }
      prefetcher.step();
    }
  }
}

/// The Hadamard levels at distances `distance`, ..., lanes / 2 of the lanes of each vector.
template <int distance, class T, int V>
PAPILIO_INLINE void exchange_lanes(RealLanes<T> (&x)[V]) {
  if constexpr (distance < batch<T>::lanes) {
    batch<T> sign;
    for (int s = 0; s < batch<T>::lanes; ++s) sign.v[s] = s & distance ? -1 : 1;
    PAPILIO_UNROLL
    for (int n = 0; n < V; ++n)
      x[n].re = multiply_add(x[n].re, sign, permute(x[n].re, [](int s) { return s ^ distance; }));
    exchange_lanes<2 * distance>(x);
  }
}

/// The Hadamard matrix of order V * lanes / d within each run of V contiguous SIMD vectors: levels
/// at distances d, 2d, ... exchange lanes, the others are between vectors.
template <class T, int d, int V>
void hadamard_lanes(const StageArguments& given) {
  typedef batch<T> X;
  constexpr int L = X::lanes;
  const StageArguments stage = given;
  const bool scaled = stage.butterflies.scale != 1;
  const X scale = X::broadcast(static_cast<T>(stage.butterflies.scale));
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step;
    for (int64_t i = stage.i0; i < stage.i1; ++i) {
      RealLanes<T> x[V];
      PAPILIO_UNROLL
      for (int n = 0; n < V; ++n) x[n] = RealLanes<T>::load(in + (i * V + n) * L);
      exchange_lanes<d>(x);
      Hadamard::run(x, false);
      if (scaled) {
        PAPILIO_UNROLL
        for (int n = 0; n < V; ++n) x[n].scaled(scale).store(out + (i * V + n) * L);
      } else {
        PAPILIO_UNROLL
        for (int n = 0; n < V; ++n) x[n].store(out + (i * V + n) * L);
      }
      prefetcher.step();
    }
  }
}

/// The largest one whose block the registers hold.
constexpr int hadamard_radix = registers >= 32 ? 16 : 8;

template <class T>
void hadamard_columns(const StageArguments& stage) {
  typedef RealLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_columns<X, Hadamard, 2>(stage);
    case 4:
      return butterfly_columns<X, Hadamard, 4>(stage);
    case 8:
      return butterfly_columns<X, Hadamard, 8>(stage);
    default:
      return butterfly_columns<X, Hadamard, hadamard_radix>(stage);
  }
}

template <class T>
void hadamard_rows(const StageArguments& stage) {
  typedef RealLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_rows<X, Hadamard, 2>(stage);
    case 4:
      return butterfly_rows<X, Hadamard, 4>(stage);
    case 8:
      return butterfly_rows<X, Hadamard, 8>(stage);
    default:
      return butterfly_rows<X, Hadamard, hadamard_radix>(stage);
  }
}

template <class T, int d>
void hadamard_within_from(const StageArguments& stage) {
  switch (stage.b * stage.d / batch<T>::lanes) {
    case 1:
      return hadamard_lanes<T, d, 1>(stage);
    case 2:
      return hadamard_lanes<T, d, 2>(stage);
    case 4:
      return hadamard_lanes<T, d, 4>(stage);
    case 8:
      return hadamard_lanes<T, d, 8>(stage);
    default:
      return hadamard_lanes<T, d, hadamard_radix>(stage);
  }
}

template <class T>
void hadamard_within(const StageArguments& stage) {
  constexpr int half = batch<T>::lanes / 2;  // d is smaller than a vector
  switch (stage.d) {
    case 1:
      return hadamard_within_from<T, 1>(stage);
    case 2:
      return hadamard_within_from<T, (half < 2 ? half : 2)>(stage);
    case 4:
      return hadamard_within_from<T, (half < 4 ? half : 4)>(stage);
    default:
      return hadamard_within_from<T, (half < 8 ? half : 8)>(stage);
  }
}

template <class T>
void fourier_columns(const StageArguments& stage) {
  typedef ComplexLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_columns<X, Fourier, 2>(stage);
    case 3:
      return butterfly_columns<X, Fourier, 3>(stage);
    case 4:
      return butterfly_columns<X, Fourier, 4>(stage);
    case 5:
      return butterfly_columns<X, Fourier, 5>(stage);
    case 7:
      return butterfly_columns<X, Fourier, 7>(stage);
    default:
      return butterfly_columns<X, Fourier, 8>(stage);
  }
}

template <class T>
void fourier_rows(const StageArguments& stage) {
  typedef ComplexLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_rows<X, Fourier, 2>(stage);
    case 3:
      return butterfly_rows<X, Fourier, 3>(stage);
    case 4:
      return butterfly_rows<X, Fourier, 4>(stage);
    case 5:
      return butterfly_rows<X, Fourier, 5>(stage);
    case 7:
      return butterfly_rows<X, Fourier, 7>(stage);
    default:
      return butterfly_rows<X, Fourier, 8>(stage);
  }
}

template <class T>
void fourier_permuted(const StageArguments& stage) {
  return stage.butterflies.transposed ? butterfly_permuted<T, 8, true>(stage)
                                      : butterfly_permuted<T, 8, false>(stage);
}

template <class T>
constexpr ButterflyKernels butterfly_kernels(Real<T>) {
  return {hadamard_radix, hadamard_columns<T>, hadamard_rows<T>, hadamard_within<T>, nullptr};
}
template <class T>
constexpr ButterflyKernels butterfly_kernels(Complex<T>) {
  return {8, fourier_columns<T>, fourier_rows<T>, nullptr, fourier_permuted<T>};
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
