// Butterflies with lanes along l that run on through the next block.
#pragma once

#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Where the first numbers (k = 0) of neighbouring lanes are: those of l = 0, ..., d - 1 of one
/// block after the other, `radix` * d numbers apart. In scalars.
template <int lanes>
class LanesAcross {
 public:
  LanesAcross(int64_t number, int64_t d, int64_t radix) : d_(d), skip_(2 * (radix - 1) * d) {
    // One division, and none for what starts at the first block.
    int64_t block = number ? number / d : 0, l = number - block * d;
    for (int lane = 0; lane < lanes; ++lane) {
      l_[lane] = l;
      at_[lane] = 2 * (block * radix * d + l);
      if (++l == d) {
        l = 0;
        ++block;
      }
    }
    const int64_t blocks = lanes < d ? 0 : lanes / d;
    rest_ = lanes - blocks * d;
    step_ = 2 * (blocks * radix * d + rest_);
  }
  PAPILIO_INLINE void advance() {
    PAPILIO_UNROLL
    for (int lane = 0; lane < lanes; ++lane) {
      l_[lane] += rest_;
      at_[lane] += step_;
      const bool next = l_[lane] >= d_;
      l_[lane] -= next ? d_ : 0;
      at_[lane] += next ? skip_ : 0;
    }
  }
  PAPILIO_INLINE const int64_t* at() const { return at_; }
  /// Whether they are neighbours in memory.
  PAPILIO_INLINE bool are_together() const { return at_[lanes - 1] - at_[0] == 2 * (lanes - 1); }

 private:
  const int64_t d_, skip_;
  int64_t rest_, step_;
  int64_t l_[lanes], at_[lanes];
};

/// The numbers [begin, end) of a stage, those of (i, l) with l running fastest. SIMD vectors of
/// them start at each multiple of the lanes.
template <class X, int R>
PAPILIO_APART void butterflies_across(const StageArguments& given, const typename X::scalar* in,
                                      typename X::scalar* out, int64_t begin, int64_t end,
                                      Prefetcher& prefetcher) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes;
  const StageArguments stage = given;
  const Butterflies how = stage.butterflies;
  const bool twiddled = stage.weights, swap = how.swap, plain = !swap && how.scale == 1;
  const int64_t row = 2 * stage.d, start = begin / L * L, numbers = how.numbers;
  const T* const weights = static_cast<const T*>(stage.weights);
  LanesAcross<L> lanes(start, stage.d, R);
  int64_t vector = start ? start / L % how.period : 0;
  for (int64_t number = start; number < end; number += L, lanes.advance(), ++vector) {
    if (vector == how.period) vector = 0;
    // The last vector has twiddles of its own: lanes after the last number repeat it.
    const bool is_last = number + L > numbers;
    const T* const w = weights + (is_last ? how.period : vector) * stage.weight_l;
    const bool full = number >= begin && number + L <= end;
    const bool whole = number >= begin && (full || end == numbers);
    const bool together = full && lanes.are_together();
    const int64_t* at = lanes.at();
    int64_t own[L];
    if (!full) {
      // Lanes of another share, which may be at work on them, or of none.
      const int64_t first = number < begin ? begin - number : 0;
      const int64_t last = end < number + L ? end - number - 1 : L - 1;
      for (int64_t lane = 0; lane < L; ++lane)
        own[lane] = at[lane < first ? first : lane > last ? last : lane];
      at = own;
    }
    X slow[R];
    const auto twiddle = [&](int k) __attribute__((always_inline)) {
      return X::load(w + (k - 1) * 2 * L, w + (k - 1) * 2 * L + L);
    };
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      constexpr int count = sizeof x / sizeof x[0];
      if (together) {
        PAPILIO_UNROLL
        for (int k = 0; k < count; ++k) {
          const T* const from = in + at[0] + (first + k) * row;
          x[k] = X::load_interleaved(from, from + L);
        }
      } else {
        PAPILIO_UNROLL
        for (int k = 0; k < count; ++k) x[k] = X::load_pairs(in + (first + k) * row, at);
      }
      if (swap) {
        PAPILIO_UNROLL
        for (int k = 0; k < count; ++k) x[k] = x[k].swapped();
      }
    };
    const auto put = [&](int j, X x) __attribute__((always_inline)) {
      T* const to = out + j * row;
      together ? x.store_interleaved(to + at[0], to + at[0] + L) : x.store_pairs(to, at);
    };
    const bool direct = whole && plain;
    const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
      if (direct) {
        put(j, x);
        if (k >= 0) put(k, y);
      } else {
        slow[j] = x;
        if (k >= 0) slow[k] = y;
      }
    };
    butterfly<X, Fourier, R>(how.transposed, twiddled, twiddle, read, write);
    prefetcher.step();
    if (direct) continue;
    const typename X::V scale = X::V::broadcast(static_cast<T>(how.scale));
    PAPILIO_ROLLED
    for (int k = 0; k < R; ++k) {
      X x = slow[k].scaled(scale);
      if (swap) x = x.swapped();
      if (whole) {
        put(k, x);
        continue;
      }
      T pairs[2 * L];
      x.store_interleaved(pairs, pairs + L);
      for (int64_t lane = 0; lane < L; ++lane)
        if (number + lane >= begin && number + lane < end)
          memcpy(out + k * row + at[lane], pairs + 2 * lane, 2 * sizeof(T));
    }
  }
}

/// Complex stages of any d. Numbers are read and written where they are, together where they are
/// neighbours; twiddles, packed in the order of the lanes, repeat after `period` SIMD vectors.
template <class X, int R>
void butterfly_rows_across(const StageArguments& stage) {
  typedef typename X::scalar T;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * 2;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step * 2;
    // The same range of each block, or some whole blocks, which follow each other.
    const bool all = stage.l1 - stage.l0 == stage.d;
    const int64_t d = stage.d, ranges = all ? 1 : stage.i1 - stage.i0;
    for (int64_t i = stage.i0; i < stage.i0 + ranges; ++i)
      butterflies_across<X, R>(stage, in, out, i * d + stage.l0,
                               all ? stage.i1 * d : i * d + stage.l1, prefetcher);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
