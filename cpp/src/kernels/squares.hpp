// Factors with blocks of 2 x 2, 4 x 4 or 8 x 8, which are held in registers: in place.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// A C x C block in registers. All inputs are read before the first output is written, so that
/// it works in place.
template <class A, Axis axis, int C>
struct Square {
  typedef typename A::element element;
  typedef typename A::V V;
  // Weights stay in registers over the batch where half of the registers hold them.
  static constexpr bool can_hold = 2 * C * C <= registers;
  // Larger blocks of complex numbers in loops over k: their sums don't fit into the registers, and
  // in parts (run_rolled) they take 0.6 to 0.9 of the time that all steps one after the other do,
  // which are long code. Of real numbers, where the sums fit, it would be up to 1.2 times as long.
  static constexpr bool rolled = C > 4 && A::parts == 2;
  // Code of its own for stores past the caches, which are rarer; larger blocks ask at each store.
  static constexpr bool apart = C <= 2;

  const element* in[C];
  element* out[C];
  const element* w;

  /// The block at (i, l), whose weights are `weights`.
  PAPILIO_INLINE Square(const StageArguments& stage, int64_t i, int64_t l, const element* weights)
      : w(weights) {
    constexpr bool columns = axis == Axis::columns;
    PAPILIO_UNROLL
    for (int k = 0; k < C; ++k) {
      const int64_t row = (i * C + k) * stage.d + l;
      in[k] =
          static_cast<const element*>(stage.in) +
          (columns && stage.in_index ? stage.in_index[row] : row) * (columns ? stage.in_row : 1);
      out[k] =
          static_cast<element*>(stage.out) +
          (columns && stage.out_index ? stage.out_index[row] : row) * (columns ? stage.out_row : 1);
    }
  }

  template <int packed_j, int packed_k>
  PAPILIO_INLINE V weight(const StageArguments& stage, int j, int k) const {
    if (!packed_j) return take<A, axis>(w + j * stage.weight_j + k * stage.weight_k, stage.same_l);
    const int number = j * packed_j + k * packed_k;
    return axis == Axis::columns ? A::broadcast(w + number) : load<A>(w + number * A::lanes);
  }

  /// U SIMD vectors, or with `part_only` so many lanes of one, at these offsets of the input and
  /// the output rows. packed_k and packed_j are the strides of packed weights, 0 if only `stage`
  /// knows them: in weights where lanes run along the batch, in SIMD vectors where they run along
  /// l.
  template <int U, bool held, bool past_caches, int packed_j, int packed_k, bool part_only = false>
  PAPILIO_INLINE void run(const StageArguments& stage, const V (&kept)[C][C], int64_t x, int64_t y,
                          int64_t lanes) const {
    const int64_t part = part_only ? lanes : 0;
    typename A::Sum sum[U][C];
    typename A::Input input[U];
    PAPILIO_UNROLL
    for (int k = 0; k < C; ++k) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u)
        input[u] = A::input(take_input<A>(in[k] + x + u * stage.in_step, part));
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j) {
        const V factor = held ? kept[j][k] : weight<packed_j, packed_k>(stage, j, k);
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u)
          sum[u][j] =
              k == 0 ? A::product(factor, input[u]) : A::multiply_add(sum[u][j], factor, input[u]);
      }
    }
    if (past_caches || (!apart && axis == Axis::columns && !part_only && stage.stream))
      put(stage, sum, y, [](element* to, V x) { stream<A>(to, x); });
    else
      put(stage, sum, y, [=](element* to, V x) { put_output<A>(to, x, part); });
  }

  template <int U, class Store>
  PAPILIO_INLINE void put(const StageArguments& stage, const typename A::Sum (&sum)[U][C],
                          int64_t y, Store store) const {
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u) {
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j)
        store(out[j] + y + u * stage.out_step, A::total(sum[u][j], stage.conjugate));
    }
  }

  template <bool held, bool past_caches, int packed_j, int packed_k>
  PAPILIO_INLINE void run_all(const StageArguments& stage) const {
    constexpr int together = held ? 1 : 2;
    V kept[C][C];
    if (held) {
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j) {
        PAPILIO_UNROLL
        for (int k = 0; k < C; ++k) kept[j][k] = weight<0, 0>(stage, j, k);
      }
    }
    int64_t u = 0, x = 0, y = 0;
    for (; u + together <= stage.count; u += together) {
      run<together, held, past_caches, packed_j, packed_k>(stage, kept, x, y, 0);
      x += together * stage.in_step;
      y += together * stage.out_step;
    }
    if (together > 1 && u < stage.count)
      run<1, held, past_caches, packed_j, packed_k>(stage, kept, x, y, 0);
  }

  /// The same by loops over k, for some outputs at a time: as many as half of the registers have
  /// sums of. No output is written before all are known.
  template <int U, bool part_only = false>
  PAPILIO_INLINE void run_rolled(const StageArguments& stage, int64_t x, int64_t y,
                                 int64_t lanes) const {
    constexpr int most = registers / (2 * U * A::parts), J = most < C ? most : C;
    const int64_t part = part_only ? lanes : 0;
    V result[C][U];
    PAPILIO_ROLLED
    for (int first = 0; first < C; first += J) {
      const element* from = w + first * stage.weight_j;
      typename A::Sum sum[J][U] = {};
      PAPILIO_ROLLED
      for (int k = 0; k < C; ++k, from += stage.weight_k) {
        typename A::Input input[U];
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u)
          input[u] = A::input(take_input<A>(in[k] + x + u * stage.in_step, part));
        PAPILIO_UNROLL
        for (int j = 0; j < J; ++j) {
          const V factor = take<A, axis>(from + j * stage.weight_j, stage.same_l);
          PAPILIO_UNROLL
          for (int u = 0; u < U; ++u) sum[j][u] = A::multiply_add(sum[j][u], factor, input[u]);
        }
      }
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) {
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u) result[first + j][u] = A::total(sum[j][u], stage.conjugate);
      }
    }
    const bool past_caches = axis == Axis::columns && !part_only && stage.stream;
    PAPILIO_ROLLED
    for (int j = 0; j < C; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) {
        element* const to = out[j] + y + u * stage.out_step;
        past_caches ? stream<A>(to, result[j][u]) : put_output<A>(to, result[j][u], part);
      }
    }
  }

  PAPILIO_INLINE void run_all_rolled(const StageArguments& stage) const {
    constexpr int together = registers > 16 || A::parts == 1 ? 2 : 1;
    int64_t u = 0, x = 0, y = 0;
    for (; u + together <= stage.count; u += together) {
      run_rolled<together>(stage, x, y, 0);
      x += together * stage.in_step;
      y += together * stage.out_step;
    }
    if (together > 1 && u < stage.count) run_rolled<1>(stage, x, y, 0);
  }

  template <int packed_j, int packed_k>
  PAPILIO_INLINE void run_one(const StageArguments& stage) const {
    const V none[C][C] = {};
    run<1, false, false, packed_j, packed_k>(stage, none, 0, 0, 0);
  }

  /// So many lanes of the SIMD vectors [first, last).
  PAPILIO_INLINE void run_parts(const StageArguments& stage, int64_t first, int64_t last,
                                int64_t lanes) const {
    if constexpr (A::lanes > 1) {
      const V none[C][C] = {};
      for (int64_t u = first; u < last; ++u) {
        const int64_t x = u * stage.in_step, y = u * stage.out_step;
        if constexpr (C > 4)
          run_rolled<1, true>(stage, x, y, lanes);
        else
          run<1, false, false, 0, 0, true>(stage, none, x, y, lanes);
      }
    }
  }
};

/// The same out of line, and given numbers only, so that a block whose steps are written out one
/// after the other has its addresses in registers: loops over k want them in memory.
template <class A, Axis axis, int C>
PAPILIO_APART void square_parts(const StageArguments& stage, int64_t i, int64_t l,
                                const typename A::element* weights, int64_t first, int64_t last,
                                int64_t lanes) {
  Square<A, axis, C>(stage, i, l, weights).run_parts(stage, first, last, lanes);
}

template <class A, Axis axis, int C>
void squares(const StageArguments& given) {
  typedef typename A::element element;
  // A copy that nothing points to stays in registers, whatever is stored through pointers.
  const StageArguments stage = given;
  Prefetcher prefetcher(stage.prefetch);
  constexpr int64_t block_step = axis == Axis::columns ? 1 : A::lanes;
  constexpr bool held = Square<A, axis, C>::can_hold;
  for (int64_t i = stage.i0; i < stage.i1; ++i) {
    const element* w = static_cast<const element*>(stage.weights) + i * stage.weight_i +
                       stage.l0 / block_step * stage.weight_l;
    for (int64_t l = stage.l0; l < stage.l1; l += block_step, w += stage.weight_l) {
      const Square<A, axis, C> block(stage, i, l, w);
      const auto run_parts = [&](int64_t first, int64_t last, int64_t lanes) {
        if constexpr (C <= 4 || Square<A, axis, C>::rolled)
          block.run_parts(stage, first, last, lanes);
        else
          square_parts<A, axis, C>(given, i, l, w, first, last, lanes);
      };
      const int64_t part = axis == Axis::rows && stage.l1 - l < A::lanes ? stage.l1 - l : 0;
      if (part) {
        run_parts(0, stage.count, part);
      } else if constexpr (Square<A, axis, C>::rolled) {
        block.run_all_rolled(stage);
      } else if constexpr (axis == Axis::columns) {
        // Blocks of weights are contiguous, by rows or for the transpose by columns.
        constexpr int c = held ? 0 : C, one = held ? 0 : 1;
        constexpr bool apart = Square<A, axis, C>::apart;
        if (apart && stage.stream && (held || stage.weight_k == 1))
          block.template run_all<held, apart, c, one>(stage);
        else if (apart && stage.stream)
          block.template run_all<held, apart, one, c>(stage);
        else if (held || stage.weight_k == 1)
          block.template run_all<held, false, c, one>(stage);
        else
          block.template run_all<held, false, one, c>(stage);
      } else if (stage.count == 1) {
        if (stage.same_l)
          block.template run_one<0, 0>(stage);
        else if (stage.weight_k == A::lanes)
          block.template run_one<C, 1>(stage);
        else
          block.template run_one<1, C>(stage);
      } else {
        block.template run_all<held, false, 0, 0>(stage);
      }
      // The elements after whole SIMD vectors of the batch.
      if (axis == Axis::columns && stage.tail) run_parts(stage.count, stage.count + 1, stage.tail);
      prefetcher.step();
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
