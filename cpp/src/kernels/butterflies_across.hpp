// Butterflies with lanes along l that run on through the next block.
#pragma once

#include "kernels/butterflies_rows.hpp"
#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Twiddles of SIMD vectors, which repeat after `period` of them.
template <class T>
struct PeriodicTwiddles {
  const T* first;
  int64_t period, step;  // from a vector to the next, in scalars
};

/// A way through the numbers k = 0 of (i, l), l running fastest, and the twiddles of the SIMD
/// vectors of them, which start at each multiple of the lanes.
template <class X>
class LanesAcross {
 public:
  typedef typename X::scalar T;
  static constexpr int lanes = X::lanes;

  /// Starts at a multiple of the lanes; `length` scalars from one block to the next.
  LanesAcross(int64_t number, int64_t d, int64_t length, const PeriodicTwiddles<T>& twiddles)
      : d_(d), length_(length), twiddles_(twiddles), w_(twiddles.first) {
    if (number == 0) return;  // no divisions for what most work starts with
    start_ = number / d * length;
    l_ = number % d;
    vector_ = number / lanes % twiddles.period;
    w_ += vector_ * twiddles.step;
  }
  /// Where the next number is, in scalars, and how many are left in its block.
  PAPILIO_INLINE int64_t at() const { return start_ + 2 * l_; }
  PAPILIO_INLINE int64_t left() const { return d_ - l_; }
  /// The twiddles of the next SIMD vector, and of how many they follow each other.
  PAPILIO_INLINE const T* w() const { return w_; }
  PAPILIO_INLINE int64_t left_of_period() const { return twiddles_.period - vector_; }
  /// Goes on behind so many SIMD vectors of this block and this period.
  PAPILIO_INLINE void skip(int64_t vectors) {
    advance(vectors * lanes);
    turn(vectors);
  }
  /// Where the numbers of the next SIMD vector are; goes on behind it.
  PAPILIO_INLINE void take(int64_t (&at)[lanes]) {
    PAPILIO_UNROLL
    for (int lane = 0; lane < lanes; ++lane) {
      at[lane] = this->at();
      advance(1);
    }
    turn(1);
  }

 private:
  PAPILIO_INLINE void advance(int64_t count) {
    // No jump, which could not be foretold.
    l_ += count;
    const bool next = l_ == d_;
    l_ = next ? 0 : l_;
    start_ += next ? length_ : 0;
  }
  PAPILIO_INLINE void turn(int64_t vectors) {
    vector_ += vectors;
    w_ += vectors * twiddles_.step;
    if (vector_ < twiddles_.period) return;
    vector_ = 0;
    w_ = twiddles_.first;
  }

  int64_t d_, length_, start_ = 0, l_ = 0, vector_ = 0;
  PeriodicTwiddles<T> twiddles_;
  const T* w_;
};

template <class X>
struct ButterfliesAcross;

/// Runs `count` SIMD vectors with lanes of several blocks.
template <class X>
using LanesOfBlocks = void (*)(const ButterfliesAcross<X>& same, const typename X::scalar* in,
                               typename X::scalar* out, LanesAcross<X>& lanes, int64_t count,
                               Prefetcher& prefetcher);

/// What all SIMD vectors of a stage have in common.
template <class X>
struct ButterfliesAcross {
  RowButterflies<X> rows;
  int64_t radix, d;
  bool swap;
  typename X::V scale;
  PeriodicTwiddles<typename X::scalar> twiddles;
  RowVectors<X> within_blocks;
  LanesOfBlocks<X> of_blocks;
};

template <class X, int R>
PAPILIO_APART void butterflies_of_blocks(const ButterfliesAcross<X>& given,
                                         const typename X::scalar* in, typename X::scalar* out,
                                         LanesAcross<X>& given_lanes, int64_t count,
                                         Prefetcher& prefetcher) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes;
  const bool transposed = given.rows.transposed, twiddled = given.rows.twiddled;
  const bool swap = given.swap;
  const Places<X, Fourier, R> places(transposed, given.rows.row);
  const typename X::V scale = given.scale;
  LanesAcross<X> lanes = given_lanes;
  for (; count > 0; --count) {
    const T* const w = lanes.w();
    int64_t at[L];
    lanes.take(at);
    const auto twiddle = [&](int k) __attribute__((always_inline)) {
      return X::load(w + places.twiddle(k), w + places.twiddle(k) + L);
    };
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      constexpr int some = sizeof x / sizeof x[0];
      PAPILIO_UNROLL
      for (int k = 0; k < some; ++k) x[k] = X::load_pairs(in + places.in(first + k), at);
      if (swap) {
        PAPILIO_UNROLL
        for (int k = 0; k < some; ++k) x[k] = x[k].swapped();
      }
    };
    const auto put = [&](int j, X x) __attribute__((always_inline)) {
      // A product with 1 leaves all as it is.
      x = x.scaled(scale);
      if (swap) x = x.swapped();
      x.store_pairs(out + places.out(j), at);
    };
    const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
      put(j, x);
      if (k >= 0) put(k, y);
    };
    butterfly<X, Fourier, R>(transposed, twiddled, twiddle, read, write);
    prefetcher.step();
  }
  given_lanes = lanes;
}

/// One SIMD vector of which the lanes [first, last) are ours. Another thread may be at work on the
/// others, or there are none: one of ours stands for each of them.
template <class X>
PAPILIO_APART void butterflies_of_some(const ButterfliesAcross<X>& same,
                                       const typename X::scalar* in, typename X::scalar* out,
                                       LanesAcross<X>& lanes, int64_t first, int64_t last,
                                       Prefetcher& prefetcher) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes, largest = 16;  // of all radices
  const T* const w = lanes.w();
  int64_t at[L];
  lanes.take(at);
  for (int64_t lane = 0; lane < L; ++lane)
    if (lane < first || lane >= last) at[lane] = at[first];
  const int64_t radix = same.radix, row = same.rows.row;
  T numbers[largest * 2 * L];
  PAPILIO_ROLLED
  for (int64_t k = 0; k < radix; ++k) {
    T* const to = numbers + k * 2 * L;
    X::load_pairs(in + k * row, at).store_interleaved(to, to + L);
  }
  RowButterflies<X> gathered = same.rows;
  gathered.row = 2 * L;
  same.within_blocks(gathered, numbers, numbers, w, 1, 0, 0, prefetcher);
  for (int64_t lane = first; lane < last; ++lane) {
    const T* from = numbers + 2 * lane;
    T* to = out + at[lane];
    PAPILIO_ROLLED
    for (int64_t k = 0; k < radix; ++k, from += 2 * L, to += row) memcpy(to, from, 2 * sizeof(T));
  }
}

/// The numbers [begin, end) of one vector of the batch.
template <class X>
PAPILIO_APART void butterflies_across(const ButterfliesAcross<X>& same,
                                      const typename X::scalar* in, typename X::scalar* out,
                                      int64_t begin, int64_t end, Prefetcher& prefetcher) {
  constexpr int64_t L = X::lanes;
  const bool short_blocks = same.d < 2 * L;  // of which most SIMD vectors have several
  int64_t number = begin / L * L;
  LanesAcross<X> lanes(number, same.d, same.radix * same.rows.row, same.twiddles);
  while (number < end) {
    int64_t count = (end - number) / L;
    if (number < begin || count == 0) {
      count = 1;
      butterflies_of_some(same, in, out, lanes, number < begin ? begin - number : 0,
                          end - number < L ? end - number : L, prefetcher);
    } else if (short_blocks || lanes.left() < L) {
      if (!short_blocks) count = 1;
      same.of_blocks(same, in, out, lanes, count, prefetcher);
    } else {
      if (lanes.left() / L < count) count = lanes.left() / L;
      if (lanes.left_of_period() < count) count = lanes.left_of_period();
      same.within_blocks(same.rows, in + lanes.at(), out + lanes.at(), lanes.w(), count, 2 * L,
                         same.twiddles.step, prefetcher);
      lanes.skip(count);
    }
    number += count * L;
  }
}

/// Complex stages of any d whose numbers are interleaved. SIMD vectors start at each multiple of
/// the lanes among the numbers (i, l), l running fastest; twiddles, packed in the order of the
/// lanes, repeat after `period` vectors.
template <class X>
PAPILIO_APART void butterfly_rows_across(const StageArguments& stage, int64_t radix,
                                         RowVectors<X> within_blocks, LanesOfBlocks<X> of_blocks) {
  typedef typename X::scalar T;
  const Butterflies& how = stage.butterflies;
  const ButterfliesAcross<X> same = {
      {Ends<X>(stage), 2 * stage.d, X::lanes, how.transposed, stage.weights != nullptr},
      radix,
      stage.d,
      how.swap,
      X::V::broadcast(static_cast<T>(how.scale)),
      {static_cast<const T*>(stage.weights), how.period, stage.weight_l},
      within_blocks,
      of_blocks};
  Prefetcher prefetcher(stage.prefetch);
  // The same range of each block, or some whole blocks, which follow each other.
  const bool all = stage.l1 - stage.l0 == stage.d;
  const int64_t d = stage.d, ranges = all ? 1 : stage.i1 - stage.i0;
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * 2;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step * 2;
    for (int64_t i = stage.i0; i < stage.i0 + ranges; ++i)
      butterflies_across(same, in, out, i * d + stage.l0, all ? stage.i1 * d : i * d + stage.l1,
                         prefetcher);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
