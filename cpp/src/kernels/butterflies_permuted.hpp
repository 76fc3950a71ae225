// The first stage of a permuted chain, or the last one of its transpose, with lanes along vectors.
#pragma once

#include <type_traits>

#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Lanes of one number k of several blocks, to vectors of neighbouring k of one block, or back: the
/// numbers k from `first` on, as many as a vector of complex numbers (or of one part of them) has.
template <class T, int R, bool split, class At>
class Blocks {
 public:
  typedef ComplexLanes<T> X;
  typedef typename X::V V;
  static constexpr int L = X::lanes, H = L / 2;

  /// The numbers start at `numbers`, the lanes have the blocks with these numbers. Worked out
  /// before anything is stored: the compiler can't know that it isn't stored among `blocks`.
  PAPILIO_INLINE Blocks(At numbers, const int64_t* blocks) {
    PAPILIO_UNROLL
    for (int lane = 0; lane < L; ++lane) at_[lane] = numbers + 2 * R * blocks[lane];
  }

  PAPILIO_INLINE void write(const X (&x)[R]) const {
    if constexpr (split) {
      PAPILIO_UNROLL
      for (int k = 0; k < R; k += L) {
        V re[L], im[L];
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) re[n] = x[k + X::number_at(n)].re;
        Transpose<Real<T>, H>::run(re);
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) re[n].store(at_[X::number_at(n)] + 2 * k);
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) im[n] = x[k + X::number_at(n)].im;
        Transpose<Real<T>, H>::run(im);
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) im[n].store(at_[X::number_at(n)] + 2 * k + L);
      }
    } else {
      PAPILIO_UNROLL
      for (int half = 0; half < 2; ++half) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; k += H) {
          V z[H];
          PAPILIO_UNROLL
          for (int n = 0; n < H; ++n) z[n] = half ? x[k + n].second() : x[k + n].first();
          Transpose<Complex<T>, H / 2>::run(z);
          PAPILIO_UNROLL
          for (int n = 0; n < H; ++n) z[n].store(at_[half * H + n] + 2 * k);
        }
      }
    }
  }

  PAPILIO_INLINE void read(X (&x)[R]) const {
    if constexpr (split) {
      PAPILIO_UNROLL
      for (int k = 0; k < R; k += L) {
        V re[L], im[L];
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) re[n] = V::load(at_[X::number_at(n)] + 2 * k);
        Transpose<Real<T>, H>::run(re);
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) im[n] = V::load(at_[X::number_at(n)] + 2 * k + L);
        Transpose<Real<T>, H>::run(im);
        PAPILIO_UNROLL
        for (int n = 0; n < L; ++n) x[k + X::number_at(n)] = {re[n], im[n]};
      }
    } else {
      V y[2][R];
      PAPILIO_UNROLL
      for (int half = 0; half < 2; ++half) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; k += H) {
          V z[H];
          PAPILIO_UNROLL
          for (int n = 0; n < H; ++n) z[n] = V::load(at_[half * H + n] + 2 * k);
          Transpose<Complex<T>, H / 2>::run(z);
          PAPILIO_UNROLL
          for (int n = 0; n < H; ++n) y[half][k + n] = z[n];
        }
      }
      PAPILIO_UNROLL
      for (int k = 0; k < R; ++k) x[k] = X::parted(y[0][k], y[1][k]);
    }
  }

 private:
  At at_[L];
};

/// The first stage (d = 1, no twiddles) of a chain whose permutation makes lanes of neighbouring
/// inputs: block numbers come in runs of `lanes` (in_blocks), row k of which are neighbours from
/// in_index[block * R + k] on. The transposition in registers leaves each block contiguous, split
/// (`split`) as the next stage wants it or interleaved. Or transposed, the last stage: blocks are
/// read and neighbours written. Numbers come in with parts swapped (`swap_in`), or go out so.
template <class T, int R, bool last, bool split, bool swap_in, bool swap_out>
void butterfly_permuted(const StageArguments& given) {
  typedef ComplexLanes<T> X;
  typedef std::conditional_t<last, const T*, T*> Block;
  constexpr int64_t L = X::lanes;
  const StageArguments stage = given;
  const Butterflies how = stage.butterflies;
  const bool scaled = how.scale != 1;
  const typename X::V scale = X::V::broadcast(static_cast<T>(how.scale));
  const int64_t* const index = last ? stage.out_index : stage.in_index;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * 2;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step * 2;
    for (int64_t i = stage.i0; i < stage.i1; i += L) {
      const int64_t* base = index + how.blocks[i] * R;
      Block numbers;
      if constexpr (last)
        numbers = in;
      else
        numbers = out;
      const Blocks<T, R, split, Block> blocks(numbers, how.blocks + i);
      X y[R];
      if constexpr (last) blocks.read(y);
      const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
        constexpr int some = sizeof x / sizeof x[0];
        PAPILIO_UNROLL
        for (int k = 0; k < some; ++k) {
          const T* from = in + 2 * base[first + k];
          x[k] = last ? y[first + k] : X::load_interleaved(from, from + L);
          if (swap_in) x[k] = x[k].swapped();
        }
      };
      const auto write = [&](int j, X x, int k, X z) __attribute__((always_inline)) {
        y[j] = x;
        y[k] = z;
      };
      const auto none = [](int) __attribute__((always_inline)) { return X{}; };
      butterfly<X, Fourier, R>(last, false, none, read, write);
      if (scaled) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k) y[k] = y[k].scaled(scale);
      }
      if (swap_out) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k) y[k] = y[k].swapped();
      }
      if constexpr (last) {
        PAPILIO_UNROLL
        for (int k = 0; k < R; ++k)
          y[k].store_interleaved(out + 2 * base[k], out + 2 * base[k] + L);
      } else {
        blocks.write(y);
      }
      prefetcher.step();
    }
  }
}

template <class T, int R, bool last, bool split>
void butterfly_permuted_swapping(const StageArguments& stage) {
  // Split numbers lie swapped between stages that both are.
  constexpr bool in = !(split && last), out = !(split && !last);
  stage.butterflies.swap ? butterfly_permuted<T, R, last, split, in, out>(stage)
                         : butterfly_permuted<T, R, last, split, false, false>(stage);
}

template <class T, int R, bool last>
void butterfly_permuted_held(const StageArguments& stage) {
  if constexpr (R % ComplexLanes<T>::lanes == 0)
    if (last ? stage.butterflies.in_split : stage.butterflies.out_split)
      return butterfly_permuted_swapping<T, R, last, true>(stage);
  butterfly_permuted_swapping<T, R, last, false>(stage);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
