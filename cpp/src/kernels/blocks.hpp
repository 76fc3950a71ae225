// Factors with large blocks, read as they are stored: the weights of each block (i, l) lie
// together, so that vectors, batches and adjoints share one copy of them. A block may be
// interpolative: panels side by side that hold an identity in some of their rows and weights in the
// others only.
#pragma once

#include "kernels/groups.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"
#include "kernels/rectangles.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// A block as it is stored, whichever side is multiplied: `count` panels of rows x cols, of whose
/// rows `weighted` have weights.
struct Panels {
  int64_t rows, cols, count, weighted;

  PAPILIO_INLINE explicit Panels(const StageArguments& stage) {
    const int64_t all = stage.transposed ? stage.b : stage.c;
    rows = stage.transposed ? stage.c : stage.b;
    cols = stage.rank ? stage.rank : all;
    count = all / cols;
    weighted = stage.rank ? rows - cols : rows;
  }
  /// Of panel p of block (i, l): the rows of the identity, then those with weights.
  PAPILIO_INLINE const uint16_t* rows_of(const StageArguments& stage, int64_t i, int64_t l,
                                         int64_t p) const {
    return stage.rows + ((i * stage.d + l) * count + p) * rows;
  }
};

PAPILIO_INLINE float added(float x, float y) { return x + y; }
PAPILIO_INLINE double added(double x, double y) { return x + y; }
template <class T>
PAPILIO_INLINE complex<T> added(complex<T> x, complex<T> y) {
  return {x.re + y.re, x.im + y.im};
}

/// Stores x, or adds it to what is there; `part` as in put_output.
template <class A>
PAPILIO_INLINE void put_or_add(typename A::element* to, typename A::V x, int64_t part, bool adds) {
  put_output<A>(to, adds ? take_input<A>(to, part) + x : x, part);
}

/// Asks for what lies `ahead` bytes behind these weights, if that isn't 0. It is read soon: into
/// the nearest cache it comes 1.05 to 1.15 times as fast as into L2, where `prefetch` puts lines.
template <class T>
PAPILIO_INLINE void prefetch_behind(const T* weights, int64_t count, int64_t ahead) {
  if (ahead == 0) return;
  const char* from = reinterpret_cast<const char*>(weights) + ahead;
  const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
  for (int64_t n = 0; n < bytes; n += 64) __builtin_prefetch(from + n, 0, 3);
}

/// y = W x or y += W x for contiguous rows of weights: lanes along the sums, as many of them at a
/// time as a SIMD vector holds.
template <class A>
PAPILIO_APART void panel_product(const typename A::element* w, int64_t rows, int64_t cols,
                                 const typename A::element* x, typename A::element* y,
                                 bool conjugate, int64_t ahead) {
  typedef typename A::element element;
  typedef typename A::V V;
  constexpr int lanes = A::lanes;
  const int64_t whole = cols / lanes * lanes, part = cols - whole;
  for (int64_t j = 0; j < rows; j += lanes) {
    // Beyond the last row it is computed again.
    const element* row[lanes];
    PAPILIO_UNROLL
    for (int n = 0; n < lanes; ++n) row[n] = w + (j + n < rows ? j + n : rows - 1) * cols;
    typename A::Sum sum[lanes] = {};
    for (int64_t k = 0; k < whole; k += lanes) {
      prefetch_behind(row[0] + lanes * k, lanes * lanes, ahead);
      const typename A::Input input = A::input(load<A>(x + k));
      PAPILIO_UNROLL
      for (int n = 0; n < lanes; ++n) sum[n] = A::multiply_add(sum[n], load<A>(row[n] + k), input);
    }
    if (part) {
      prefetch_behind(row[0] + lanes * whole, lanes * part, ahead);
      const typename A::Input input = A::input(load_part<A>(x + whole, part));
      PAPILIO_UNROLL
      for (int n = 0; n < lanes; ++n)
        sum[n] = A::multiply_add(sum[n], load_part<A>(row[n] + whole, part), input);
    }
    V total[lanes];
    PAPILIO_UNROLL
    for (int n = 0; n < lanes; ++n) total[n] = A::total(sum[n], conjugate);
    Transpose<A, lanes / 2>::run(total);
    PAPILIO_UNROLL
    for (int step = 1; step < lanes; step *= 2) {
      PAPILIO_UNROLL
      for (int n = 0; n + step < lanes; n += 2 * step) total[n] = total[n] + total[n + step];
    }
    put_output<A>(y + j, total[0], j + lanes <= rows ? 0 : rows - j);
  }
}

/// U SIMD vectors of y = W^T x or y += W^T x, the last of which has `part` lanes or all.
template <class A, int U>
PAPILIO_INLINE void columns_product(const typename A::element* w, int64_t rows, int64_t cols,
                                    const typename A::element* x, typename A::element* y,
                                    int64_t part, bool conjugate, bool adds, int64_t ahead) {
  typename A::Sum sum[U] = {};
  for (int64_t j = 0; j < rows; ++j, w += cols) {
    prefetch_behind(w, U * A::lanes, ahead);
    const typename A::Input input = A::input(A::broadcast(x + j));
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u)
      sum[u] =
          A::multiply_add(sum[u], take_input<A>(w + u * A::lanes, u == U - 1 ? part : 0), input);
  }
  PAPILIO_UNROLL
  for (int u = 0; u < U; ++u)
    put_or_add<A>(y + u * A::lanes, A::total(sum[u], conjugate), u == U - 1 ? part : 0, adds);
}

/// y = W^T x or y += W^T x for contiguous rows of weights: lanes along y, in groups of up to four
/// SIMD vectors, as even as they come.
template <class A>
PAPILIO_APART void panel_transposed_product(const typename A::element* w, int64_t rows,
                                            int64_t cols, const typename A::element* x,
                                            typename A::element* y, bool conjugate, bool adds,
                                            int64_t ahead) {
  const int64_t vectors = (cols + A::lanes - 1) / A::lanes;
  in_even_groups(vectors, [&](auto count, int64_t first) {
    constexpr int width = decltype(count)::value;
    const int64_t k = first * A::lanes;
    const int64_t part = first + width == vectors ? cols % A::lanes : 0;
    columns_product<A, width>(w + k, rows, cols, x, y + k, part, conjugate, adds, ahead);
  });
}

/// d = 1, no identities: inputs and outputs of a block are contiguous. Of large blocks, some rows
/// at a time are used for all vectors while they are in the nearest cache.
template <class A>
void contiguous_blocks(const StageArguments& stage) {
  typedef typename A::element element;
  const Panels panels(stage);
  const int64_t row_bytes = panels.cols * static_cast<int64_t>(sizeof(element));
  const int64_t fitting = (16 << 10) / row_bytes;
  const int64_t together = fitting < 8 ? 8 : fitting / 8 * 8;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t i = stage.i0; i < stage.i1; ++i) {
    const element* w = static_cast<const element*>(stage.weights) + i * stage.weight_i;
    for (int64_t j = 0; j < panels.rows; j += together) {
      const int64_t rows = panels.rows - j < together ? panels.rows - j : together;
      for (int64_t u = 0; u < stage.count; ++u) {
        const element* x = static_cast<const element*>(stage.in) + u * stage.in_step + i * stage.c;
        element* y = static_cast<element*>(stage.out) + u * stage.out_step + i * stage.b;
        const int64_t ahead = u == 0 ? stage.ahead : 0;
        if (stage.transposed)
          panel_transposed_product<A>(w + j * panels.cols, rows, panels.cols, x + j, y,
                                      stage.conjugate, j > 0, ahead);
        else
          panel_product<A>(w + j * panels.cols, rows, panels.cols, x, y + j, stage.conjugate,
                           ahead);
      }
    }
    prefetcher.step();
  }
}

/// Block (i, l) times x, both contiguous; asks for what lies `ahead` bytes behind its weights.
template <class A>
PAPILIO_INLINE void block_product(const StageArguments& stage, const Panels& panels, int64_t i,
                                  int64_t l, const typename A::element* x, typename A::element* y,
                                  int64_t ahead) {
  typedef typename A::element element;
  const element* w =
      static_cast<const element*>(stage.weights) + i * stage.weight_i + l * stage.weight_l;
  const int64_t cols = panels.cols, weighted = panels.weighted;
  if (!stage.rank) {
    if (stage.transposed)
      panel_transposed_product<A>(w, weighted, cols, x, y, stage.conjugate, false, ahead);
    else
      panel_product<A>(w, weighted, cols, x, y, stage.conjugate, ahead);
    return;
  }
  element some[most_rows];
  for (int64_t p = 0; p < panels.count; ++p, w += weighted * cols) {
    const uint16_t* identity = panels.rows_of(stage, i, l, p);
    const uint16_t* others = identity + cols;
    if (stage.transposed) {
      element* to = y + p * cols;
      for (int64_t n = 0; n < weighted; ++n) some[n] = x[others[n]];
      panel_transposed_product<A>(w, weighted, cols, some, to, stage.conjugate, false, ahead);
      for (int64_t k = 0; k < cols; ++k) to[k] = added(to[k], x[identity[k]]);
    } else {
      const element* from = x + p * cols;
      panel_product<A>(w, weighted, cols, from, some, stage.conjugate, ahead);
      // All rows are in the first panel, so that nothing need be zero before.
      for (int64_t k = 0; k < cols; ++k)
        y[identity[k]] = p ? added(y[identity[k]], from[k]) : from[k];
      for (int64_t n = 0; n < weighted; ++n)
        y[others[n]] = p ? added(y[others[n]], some[n]) : some[n];
    }
  }
}

/// Lanes within blocks: a cache line of neighbouring l at a time, whose inputs and outputs share
/// cache lines and are made contiguous.
template <class A>
void blocks(const StageArguments& given) {
  typedef typename A::element element;
  const StageArguments stage = given;
  if (stage.d == 1 && !stage.rank) return contiguous_blocks<A>(stage);
  constexpr int64_t line = 64 / sizeof(element);
  element x[line * most_rows], y[line * most_rows];
  const Panels panels(stage);
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t first = stage.l0; first < stage.l1; first += line) {
      const int64_t width = stage.l1 - first < line ? stage.l1 - first : line;
      for (int64_t u = 0; u < stage.count; ++u) {
        const element* in = static_cast<const element*>(stage.in) + u * stage.in_step +
                            i * stage.c * stage.d + first;
        for (int64_t k = 0; k < stage.c; ++k, in += stage.d)
          for (int64_t l = 0; l < width; ++l) x[l * stage.c + k] = in[l];
        for (int64_t l = 0; l < width; ++l)
          block_product<A>(stage, panels, i, first + l, x + l * stage.c, y + l * stage.b,
                           u == 0 ? stage.ahead : 0);
        element* out =
            static_cast<element*>(stage.out) + u * stage.out_step + i * stage.b * stage.d + first;
        for (int64_t j = 0; j < stage.b; ++j, out += stage.d)
          for (int64_t l = 0; l < width; ++l) out[l] = y[l * stage.b + j];
      }
      for (int64_t l = 0; l < width; l += A::lanes) prefetcher.step();
    }
}

/// SIMD vectors of a row that interpolations take at a time: two cache lines, so that rows which
/// compete for the same cache sets are read and written once; or what all_dots takes.
template <class A, int U>
constexpr int row_vectors = U * A::lanes * int(sizeof(typename A::element)) >= 128
                                ? U
                                : 128 / (A::lanes * int(sizeof(typename A::element)));

/// An interpolative block times rows of G SIMD vectors that lie together: y = block x. `some` has
/// room for the rows of a panel.
template <class A, int U, int G>
PAPILIO_APART void interpolation(const StageArguments& stage, const Panels& panels, int64_t i,
                                 int64_t l, const typename A::element* x, typename A::element* y,
                                 typename A::element* some, int64_t ahead) {
  typedef typename A::element element;
  constexpr int64_t width = G * A::lanes;
  const element* w =
      static_cast<const element*>(stage.weights) + i * stage.weight_i + l * stage.weight_l;
  const int64_t cols = panels.cols, weighted = panels.weighted;
  StageArguments panel = stage;
  panel.b = stage.transposed ? cols : weighted;
  panel.c = stage.transposed ? weighted : cols;
  panel.d = 1;
  panel.out_row = width;
  panel.out_step = A::lanes;
  panel.weight_j = stage.transposed ? 1 : cols;
  panel.weight_k = stage.transposed ? cols : 1;
  panel.stream = false;
  const auto multiply = [&](const element* from, element* to) __attribute__((always_inline)) {
    for (int64_t u = 0; weighted > 0 && u < width; u += U * A::lanes)
      all_dots<A, Axis::columns, 4, U>(panel, w, Panel<A>{from + u, width, A::lanes}, to + u, 0, 0);
  };
  // The row at `to` becomes the one at `from`, or with `adds` their sum.
  const auto put = [&](element* to, const element* from, bool adds) __attribute__((always_inline)) {
    PAPILIO_UNROLL
    for (int64_t n = 0; n < width; n += A::lanes) put_or_add<A>(to + n, load<A>(from + n), 0, adds);
  };
  for (int64_t p = 0; p < panels.count; ++p, w += weighted * cols) {
    const uint16_t* identity = panels.rows_of(stage, i, l, p);
    const uint16_t* others = identity + cols;
    prefetch_behind(w, weighted * cols, ahead);
    if (stage.transposed) {
      element* to = y + p * cols * width;
      for (int64_t n = 0; n < weighted; ++n) put(some + n * width, x + others[n] * width, false);
      multiply(some, to);
      for (int64_t k = 0; k < cols; ++k) put(to + k * width, x + identity[k] * width, weighted > 0);
    } else {
      const element* from = x + p * cols * width;
      multiply(from, some);
      // All rows are in the first panel, so that nothing need be zero before.
      for (int64_t k = 0; k < cols; ++k) put(y + identity[k] * width, from + k * width, p > 0);
      for (int64_t n = 0; n < weighted; ++n) put(y + others[n] * width, some + n * width, p > 0);
    }
  }
}

/// Interpolative blocks, lanes along the batch.
template <class A>
void interpolations(const StageArguments& given) {
  typedef typename A::element element;
  const StageArguments stage = given;
  constexpr int U = registers / (8 * A::parts), G = row_vectors<A, U>;
  constexpr int64_t room = most_rows * G * A::lanes;
  alignas(64) element x[room], y[room], some[room];
  const Panels panels(stage);
  const int64_t in_row = stage.d * stage.in_row, out_row = stage.d * stage.out_row;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; ++l) {
      const element* in =
          static_cast<const element*>(stage.in) + (i * stage.c * stage.d + l) * stage.in_row;
      element* out = static_cast<element*>(stage.out) + (i * stage.b * stage.d + l) * stage.out_row;
      // From this block's inputs to those of the next one.
      const int64_t next_in =
          l + 1 < stage.l1 ? stage.in_row : (stage.c * stage.d + stage.l0 - l) * stage.in_row;
      const auto take = [&](auto some_vectors, auto together, int64_t u, int64_t part) {
        constexpr int vectors = decltype(some_vectors)::value, at_once = decltype(together)::value;
        const bool is_last = u + 2 * vectors > stage.count;
        gather<A, vectors>(in + u * stage.in_step, in_row, stage.in_step, stage.c, part,
                           is_last ? next_in - u * stage.in_step : vectors * stage.in_step, x);
        interpolation<A, at_once, vectors>(stage, panels, i, l, x, y, some,
                                           u == 0 ? stage.ahead : 0);
        const element* from = y;
        element* to = out + u * stage.out_step;
        for (int64_t j = 0; j < stage.b; ++j, to += out_row) {
          PAPILIO_UNROLL
          for (int n = 0; n < vectors; ++n, from += A::lanes)
            put_output<A>(to + n * stage.out_step, load<A>(from), part);
        }
      };
      int64_t u = 0;
      for (; u + G <= stage.count; u += G) take(Constant<G>{}, Constant<U>{}, u, 0);
      for (; u < stage.count; ++u) take(Constant<1>{}, Constant<1>{}, u, 0);
      if (stage.tail) take(Constant<1>{}, Constant<1>{}, u, stage.tail);
      prefetcher.step();
    }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
