// Butterflies with lanes along each vector.
#pragma once

#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// What all SIMD vectors of a stage have in common.
template <class X>
struct RowButterflies {
  Ends<X> ends;
  /// From number k to k + 1, and from the first to the second half of the lanes' numbers.
  int64_t row, half;
  bool transposed, twiddled;
};

/// Where the numbers of a block and their twiddles are, in scalars.
template <class X, class Matrix, int R>
class Places {
 public:
  Places(bool transposed, int64_t row) : row_(row) {
    if constexpr (own_order)
      for (int k = 0; k < R; ++k) {
        const int place = Matrix::template place<R>(k);
        in_[k] = (transposed ? k : place) * row;
        out_[k] = (transposed ? place : k) * row;
      }
  }
  PAPILIO_INLINE int64_t in(int k) const { return own_order ? in_[k] : k * row_; }
  PAPILIO_INLINE int64_t out(int k) const { return own_order ? out_[k] : k * row_; }
  PAPILIO_INLINE static constexpr int64_t twiddle(int k) {
    return (Matrix::template place<R>(k) - 1) * X::parts * X::lanes;
  }

 private:
  static constexpr bool own_order = Matrix::template place<R>(1) != 1;
  int64_t row_, in_[own_order ? R : 1], out_[own_order ? R : 1];
};

/// Runs `count` SIMD vectors of blocks, `step` scalars apart, whose twiddles are w_step apart.
template <class X>
using RowVectors = void (*)(const RowButterflies<X>& same, const typename X::scalar* in,
                            typename X::scalar* out, const typename X::scalar* w, int64_t count,
                            int64_t step, int64_t w_step, Prefetcher& prefetcher);

template <class X, class Matrix, int R>
PAPILIO_APART void butterflies_of_any_kind(const RowButterflies<X>& given,
                                           const typename X::scalar* in, typename X::scalar* out,
                                           const typename X::scalar* w, int64_t count, int64_t step,
                                           int64_t w_step, Prefetcher& prefetcher) {
  constexpr int64_t L = X::lanes;
  const RowButterflies<X> same = given;
  const Ends<X> ends = same.ends;
  const Places<X, Matrix, R> places(same.transposed, same.row);
  X slow[R];
  for (; count > 0; --count, in += step, out += step, w += w_step) {
    const auto twiddle = [&](int k) __attribute__((always_inline)) {
      return X::load(w + places.twiddle(k), w + places.twiddle(k) + L);
    };
    const auto from = [&](int k) __attribute__((always_inline)) { return in + places.in(k); };
    const auto to = [&](int k) __attribute__((always_inline)) { return out + places.out(k); };
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      ends.load(
          x, [&](int k) __attribute__((always_inline)) { return from(first + k); }, same.half);
    };
    const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
      if (ends.is_plain()) {
        ends.store(x, to(j), same.half);
        if (k >= 0) ends.store(y, to(k), same.half);
      } else {
        slow[j] = x;
        if (k >= 0) slow[k] = y;
      }
    };
    butterfly<X, Matrix, R>(same.transposed, same.twiddled, twiddle, read, write);
    if (!ends.is_plain()) ends.finish(slow, to, same.half, false);
    prefetcher.step();
  }
}

/// The stages that most of a product's time goes into: what comes in is split, what goes out is
/// split or left as it is. Numbers are conjugated by their neighbours, which leave and take them
/// with parts swapped. A loop in which nothing is asked, in a function of its own, so that all its
/// addresses are in registers.
template <class X, class Matrix, int R, bool out_split>
PAPILIO_APART void butterflies_of_split(const RowButterflies<X>& same, const typename X::scalar* in,
                                        typename X::scalar* out, const typename X::scalar* w,
                                        int64_t count, int64_t step, int64_t w_step,
                                        Prefetcher& prefetcher) {
  typedef typename X::scalar T;
  constexpr int64_t L = X::lanes;
  const int64_t row = same.row;
  for (; count > 0; --count, in += step, out += step, w += w_step) {
    const auto twiddle = [&](int k) __attribute__((always_inline)) {
      constexpr auto at = Places<X, Matrix, R>::twiddle;
      return X::load(w + at(k), w + at(k) + L);
    };
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      constexpr int some = sizeof x / sizeof x[0];
      PAPILIO_UNROLL
      for (int k = 0; k < some; ++k) {
        const T* from = in + Matrix::template place<R>(first + k) * row;
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

/// Lanes along l, one vector of the batch after the other: d is a multiple of the lanes or, for
/// interleaved complex numbers, half of them; then lanes run along two blocks. One code for all
/// radices R, of which `vectors` is told.
template <class X>
PAPILIO_APART void butterfly_rows_by(const StageArguments& given, int64_t R,
                                     RowVectors<X> vectors) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, L = X::lanes;
  const StageArguments stage = given;
  const int64_t row = stage.d * P, block = R * row, run = stage.butterflies.run;
  const bool two = stage.d < L;
  const RowButterflies<X> same = {Ends<X>(stage, false), row, two ? block : L * P / 2,
                                  stage.butterflies.transposed, stage.weights != nullptr};
  const int64_t blocks = stage.i1 - stage.i0;
  const T* in = static_cast<const T*>(stage.in) + stage.i0 * block;
  T* out = static_cast<T*>(stage.out) + stage.i0 * block;
  const T* w = static_cast<const T*>(stage.weights) + stage.i0 * stage.weight_i;
  Prefetcher prefetcher(stage.prefetch);
  // Vectors of all blocks where each has one, else those of a row, or those that share twiddles.
  // Which run an l is in takes a division, as long as some SIMD vectors; most work starts at 0.
  const auto work = [&](int64_t i, int64_t l, int64_t l_w, int64_t count, int64_t step,
                        int64_t w_step) {
    vectors(same, in + i * block + l * P, out + i * block + l * P,
            w + i * stage.weight_i + l_w * stage.weight_l, count, step, w_step, prefetcher);
  };
  for (int64_t v = 0; v < stage.count; ++v, in += stage.in_step * P, out += stage.out_step * P) {
    if (stage.l1 - stage.l0 <= L) {
      const int64_t l_w = stage.l0 == 0 ? 0 : stage.l0 / (run > L ? run : L);
      work(0, stage.l0, l_w, two ? (blocks + 1) / 2 : blocks, two ? 2 * block : block,
           two ? 2 * stage.weight_i : stage.weight_i);
      continue;
    }
    for (int64_t i = 0; i < blocks; ++i) {
      if (run <= L) {
        work(i, stage.l0, stage.l0 / L, (stage.l1 - stage.l0 + L - 1) / L, L * P, stage.weight_l);
        continue;
      }
      for (int64_t l = stage.l0, end; l < stage.l1; l = end) {
        const int64_t l_w = l == 0 ? 0 : l / run;
        end = l_w * run + run < stage.l1 ? l_w * run + run : stage.l1;
        work(i, l, l_w, (end - l + L - 1) / L, L * P, 0);
      }
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
