// Butterflies with lanes along the batch.
#pragma once

#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// `count` SIMD vectors of one block, rows of which are at `from` and `to`; w is null for no
/// twiddles.
template <class X, class Matrix, int R>
PAPILIO_APART void butterfly_block(const Ends<X>& given, const typename X::scalar* const* from,
                                   typename X::scalar* const* to, const typename X::scalar* w,
                                   bool transposed, int64_t count, bool stream) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, L = X::lanes;
  const Ends<X> ends = given;
  const T* in[R];
  T* out[R];
  X twiddles[R] = {}, slow[R];
  PAPILIO_UNROLL
  for (int k = 0; k < R; ++k) {
    const int place = Matrix::template place<R>(k);
    in[k] = from[transposed ? k : place];
    out[k] = to[transposed ? place : k];
    if (w && k > 0) twiddles[k] = X::broadcast(w + (place - 1) * P);
  }
  const auto twiddle = [&](int k) __attribute__((always_inline)) { return twiddles[k]; };
  for (int64_t at = 0; at < count * P * L; at += P * L) {
    const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
      ends.load(x, [&](int k) __attribute__((always_inline)) { return in[first + k] + at; }, L);
    };
    const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
      if (ends.is_plain()) {
        ends.store(x, out[j] + at, L);
        if (k >= 0) ends.store(y, out[k] + at, L);
      } else {
        slow[j] = x;
        if (k >= 0) slow[k] = y;
      }
    };
    butterfly<X, Matrix, R>(transposed, w, twiddle, read, write);
    if (!ends.is_plain())
      ends.finish(
          slow, [&](int k) __attribute__((always_inline)) { return out[k] + at; }, L, stream);
  }
}

/// The numbers after the last whole SIMD vector of a block's rows, in whole vectors of their own.
template <class X, class Matrix, int R>
PAPILIO_APART void butterfly_tail(const Ends<X>& ends, const typename X::scalar* const* from,
                                  typename X::scalar* const* to, const typename X::scalar* w,
                                  const StageArguments& stage) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, step = P * X::lanes;
  const int64_t at = stage.count * step, count = stage.tail * P;
  const Butterflies& how = stage.butterflies;
  T numbers[R * step] = {};
  const T* in[R];
  T* out[R];
  PAPILIO_ROLLED
  for (int k = 0; k < R; ++k) {
    T* const own = numbers + k * step;
    // Rows of a split tile have room for whole vectors.
    if (!how.in_split) memcpy(own, from[k] + at, static_cast<size_t>(count) * sizeof(T));
    in[k] = how.in_split ? from[k] + at : own;
    out[k] = how.out_split ? to[k] + at : own;
  }
  butterfly_block<X, Matrix, R>(ends, in, out, w, how.transposed, 1, false);
  if (how.out_split) return;
  PAPILIO_ROLLED
  for (int k = 0; k < R; ++k) memcpy(to[k] + at, out[k], static_cast<size_t>(count) * sizeof(T));
}

/// What runs the blocks of one radix.
template <class X>
struct ColumnBlocks {
  typedef typename X::scalar T;
  int64_t radix;
  void (*block)(const Ends<X>&, const T* const* from, T* const* to, const T* w, bool transposed,
                int64_t count, bool stream);
  void (*tail)(const Ends<X>&, const T* const* from, T* const* to, const T* w,
               const StageArguments&);
};

/// Where the rows of a block are, and from one block to the next.
template <class T>
class BlockRows {
 public:
  /// Rows `pitch` scalars apart, or those that an index names in their place.
  BlockRows(T* from, const int64_t* index, int64_t pitch, int64_t d, int64_t radix)
      : from_(from), index_(index), pitch_(pitch), d_(d), radix_(radix) {
    for (T*& row : rows_) row = from;
  }
  /// The rows first, first + d, ...
  PAPILIO_INLINE void find(int64_t first) {
    PAPILIO_ROLLED
    for (int64_t k = 0; k < radix_; ++k, first += d_)
      rows_[k] = from_ + (index_ ? index_[first] : first) * pitch_;
  }
  /// The rows `first`, ..., which are so many after those that were found before.
  PAPILIO_INLINE void advance(int64_t first, int64_t rows) {
    if (index_) return find(first);
    // All that there may be, in a few SIMD vectors; what no block has is never used.
    const int64_t step = rows * pitch_;
    PAPILIO_UNROLL
    for (int k = 0; k < largest; ++k) rows_[k] += step;
  }
  PAPILIO_INLINE T* const* rows() const { return rows_; }

 private:
  static constexpr int largest = 16;
  T* rows_[largest];
  T* const from_;
  const int64_t* const index_;
  const int64_t pitch_, d_, radix_;
};

/// Lanes along the batch: one code for all radices.
template <class X>
PAPILIO_APART void butterfly_columns_by(const StageArguments& given, ColumnBlocks<X> blocks) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts;
  const StageArguments stage = given;
  const Ends<X> ends(stage);
  Prefetcher prefetcher(stage.prefetch);
  BlockRows<const T> in(static_cast<const T*>(stage.in), stage.in_index, stage.in_row * P, stage.d,
                        blocks.radix);
  BlockRows<T> out(static_cast<T*>(stage.out), stage.out_index, stage.out_row * P, stage.d,
                   blocks.radix);
  const int64_t some = stage.l1 - stage.l0, run = stage.butterflies.run;
  if (stage.i0 >= stage.i1 || some <= 0) return;
  int64_t first = stage.i0 * blocks.radix * stage.d + stage.l0;
  in.find(first);
  out.find(first);
  for (int64_t i = stage.i0; i < stage.i1; ++i) {
    const T* w = static_cast<const T*>(stage.weights);
    if (w) w += i * stage.weight_i + stage.l0 / run * stage.weight_l;
    int64_t left_of_run = w ? run - stage.l0 % run : 0;
    for (int64_t l = stage.l0; l < stage.l1; ++l) {
      blocks.block(ends, in.rows(), out.rows(), w, stage.butterflies.transposed, stage.count,
                   stage.stream);
      if (stage.tail) blocks.tail(ends, in.rows(), out.rows(), w, stage);
      prefetcher.step();
      const bool last = l + 1 == stage.l1;
      if (last && i + 1 == stage.i1) return;
      const int64_t rows = last ? blocks.radix * stage.d - some + 1 : 1;
      first += rows;
      in.advance(first, rows);
      out.advance(first, rows);
      if (w && --left_of_run == 0) {
        w += stage.weight_l;
        left_of_run = run;
      }
    }
  }
}

template <class X, class Matrix, int R>
void butterfly_columns(const StageArguments& stage) {
  butterfly_columns_by<X>(stage, {R, butterfly_block<X, Matrix, R>, butterfly_tail<X, Matrix, R>});
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
