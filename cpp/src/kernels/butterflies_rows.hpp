// Butterflies with lanes along each vector.
#pragma once

#include "kernels/butterflies_across.hpp"
#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// In which run of so many l this one is. A division takes as long as some SIMD vectors, and most
/// work starts at l = 0.
inline int64_t run_of(int64_t l, int64_t run) { return l == 0 ? 0 : l / run; }

/// Lanes along l, one vector of the batch after the other: d is a multiple of the lanes or, for
/// interleaved complex numbers, half of them; then lanes run along two blocks. Any stage.
template <class X, class Matrix, int R>
void butterfly_rows_of_any_kind(const StageArguments& given) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, L = X::lanes;
  const StageArguments stage = given;
  const bool transposed = stage.butterflies.transposed, twiddled = stage.weights;
  const Ends<X> ends(stage, false);
  const int64_t blocks = stage.d < L ? L / stage.d : 1, row = stage.d * P;
  // From the first to the second half of the lanes' numbers, in scalars.
  const int64_t half = blocks > 1 ? R * stage.d * P : L * P / 2;
  const int64_t run = stage.butterflies.run > L ? stage.butterflies.run : L;
  const int64_t first_run = run_of(stage.l0, run), in_first_run = stage.l0 - first_run * run;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v)
    for (int64_t i = stage.i0; i < stage.i1; i += blocks) {
      const int64_t start = (i * R * stage.d + stage.l0) * P;
      const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * P + start;
      T* out = static_cast<T*>(stage.out) + v * stage.out_step * P + start;
      const T* w =
          static_cast<const T*>(stage.weights) + i * stage.weight_i + first_run * stage.weight_l;
      int64_t left_of_run = run - in_first_run;
      X slow[R];
      for (int64_t l = stage.l0; l < stage.l1; l += L) {
        const auto twiddle = [&](int k) __attribute__((always_inline)) {
          return X::load(w + (k - 1) * P * L, w + (k - 1) * P * L + L);
        };
        const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
          ends.load(
              x, [&](int k) __attribute__((always_inline)) { return in + (first + k) * row; },
              half);
        };
        const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
          if (ends.is_plain()) {
            ends.store(x, out + j * row, half);
            if (k >= 0) ends.store(y, out + k * row, half);
          } else {
            slow[j] = x;
            if (k >= 0) slow[k] = y;
          }
        };
        butterfly<X, Matrix, R>(transposed, twiddled, twiddle, read, write);
        if (!ends.is_plain())
          ends.finish(
              slow, [&](int k) __attribute__((always_inline)) { return out + k * row; }, half,
              false);
        prefetcher.step();
        in += L * P;
        out += L * P;
        left_of_run -= L;
        if (left_of_run <= 0) {
          w += stage.weight_l;
          left_of_run = run;
        }
      }
    }
}

/// `count` SIMD vectors of split numbers with twiddles of the inputs: a loop in which nothing is
/// asked, in a function of its own, so that all its addresses are in registers.
template <class X, class Matrix, int R, bool out_split>
PAPILIO_APART void butterflies_of_split(const typename X::scalar* in, typename X::scalar* out,
                                        const typename X::scalar* w, int64_t row, int64_t count,
                                        int64_t step, int64_t w_step, Prefetcher& prefetcher) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes;
  for (; count > 0; --count, in += step, out += step, w += w_step) {
    const auto twiddle = [&](int k) __attribute__((always_inline)) {
      return X::load(w + (k - 1) * 2 * L, w + (k - 1) * 2 * L + L);
    };
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      constexpr int some = sizeof x / sizeof x[0];
      PAPILIO_UNROLL
      for (int k = 0; k < some; ++k) {
        const T* from = in + (first + k) * row;
        x[k] = X::load(from, from + L);
      }
    };
    const auto put = [&](int j, X x) __attribute__((always_inline)) {
      T* to = out + j * row;
      if constexpr (out_split)
        x.store(to, to + L);
      else
        x.store_interleaved(to, to + L);
    };
    const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
      put(j, x);
      if (k >= 0) put(k, y);
    };
    butterfly<X, Matrix, R>(false, true, twiddle, read, write);
    prefetcher.step();
  }
}

/// The stages that most of a product's time goes into: what comes in is split, what goes out is
/// split or left as it is. Numbers are conjugated by their neighbours, which leave and take them
/// with parts swapped. One code for all radices R: `vectors` is butterflies_of_split of one.
template <class X>
PAPILIO_APART void butterfly_rows_of_split(
    const StageArguments& given, int64_t R,
    decltype(&butterflies_of_split<X, Fourier, 2, true>) vectors) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes;
  const StageArguments stage = given;
  const int64_t row = stage.d * 2, blocks = stage.i1 - stage.i0, run = stage.butterflies.run;
  const T* in = static_cast<const T*>(stage.in) + stage.i0 * R * row;
  T* out = static_cast<T*>(stage.out) + stage.i0 * R * row;
  const T* w = static_cast<const T*>(stage.weights) + stage.i0 * stage.weight_i;
  Prefetcher prefetcher(stage.prefetch);
  // Vectors of all blocks where each has one, else those of a row, or those that share twiddles.
  const auto work = [&](int64_t i, int64_t l, int64_t l_w, int64_t count, int64_t step,
                        int64_t w_step) {
    vectors(in + i * R * row + l * 2, out + i * R * row + l * 2,
            w + i * stage.weight_i + l_w * stage.weight_l, row, count, step, w_step, prefetcher);
  };
  for (int64_t v = 0; v < stage.count; ++v, in += stage.in_step * 2, out += stage.out_step * 2) {
    if (stage.l1 - stage.l0 <= L) {
      work(0, stage.l0, run_of(stage.l0, run > L ? run : L), blocks, R * row, stage.weight_i);
      continue;
    }
    for (int64_t i = 0; i < blocks; ++i) {
      if (run <= L) {
        work(i, stage.l0, stage.l0 / L, (stage.l1 - stage.l0 + L - 1) / L, 2 * L, stage.weight_l);
        continue;
      }
      for (int64_t l = stage.l0, end; l < stage.l1; l = end) {
        end = l / run * run + run < stage.l1 ? l / run * run + run : stage.l1;
        work(i, l, l / run, (end - l + L - 1) / L, 2 * L, 0);
      }
    }
  }
}

template <class X, class Matrix, int R>
void butterfly_rows(const StageArguments& stage) {
  if constexpr (X::parts == 2) {
    const Butterflies& how = stage.butterflies;
    if (how.numbers) return butterfly_rows_across<X, R>(stage);
    if (how.in_split && stage.weights && !how.transposed && how.scale == 1 &&
        (how.out_split || !how.swap))
      return butterfly_rows_of_split<X>(stage, R,
                                        how.out_split ? butterflies_of_split<X, Matrix, R, true>
                                                      : butterflies_of_split<X, Matrix, R, false>);
  }
  butterfly_rows_of_any_kind<X, Matrix, R>(stage);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
