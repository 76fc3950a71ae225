// The kernels, compiled once per instruction set (PAPILIO_ISA_NAME, PAPILIO_VECTOR_BYTES). The
// object exports its table and nothing else; it includes C headers only.
#include "kernels/kernels.hpp"

#include "kernels/butterflies.hpp"
#include "kernels/prefetcher.hpp"
#include "kernels/simd.hpp"
#include "kernels/sparse.hpp"

namespace papilio {
namespace kernels {
namespace {

enum class Axis { columns, rows, outputs };

/// The weights of one position for all lanes.
template <class A, Axis axis>
PAPILIO_INLINE typename A::V take(const typename A::element* w, bool same_l) {
  return axis == Axis::columns || (axis == Axis::rows && same_l) ? A::broadcast(w) : load<A>(w);
}

/// The inputs of all lanes; `part` is 0 for whole vectors, else how many lanes there are.
template <class A>
PAPILIO_INLINE typename A::V take_input(const typename A::element* in, int64_t part) {
  return part ? load_part<A>(in, part) : load<A>(in);
}

template <class A>
PAPILIO_INLINE void put_output(typename A::element* out, typename A::V x, int64_t part) {
  part ? store_part<A>(out, x, part) : store<A>(out, x);
}

/// Lane n is in[n % d], for d below the lanes; a larger one is never asked for.
template <class A, int64_t d>
PAPILIO_INLINE typename A::V replicate(const typename A::element* in) {
  if constexpr (d < A::lanes)
    return A::permuted(load_part<A>(in, d), [](int n) { return n % static_cast<int>(d); });
  else
    return A::broadcast(in);
}

/// The same for outputs along (j, l).
template <class A>
PAPILIO_INLINE typename A::V replicate(const typename A::element* in, int64_t d) {
  switch (d) {
    case 1:
      return A::broadcast(in);
    case 2:
      return replicate<A, 2>(in);
    case 4:
      return replicate<A, 4>(in);
    default:
      return replicate<A, 8>(in);
  }
}

/// A C x C block in registers. All inputs are read before the first output is written, so that
/// it works in place.
template <class A, Axis axis, int C>
struct Square {
  typedef typename A::element element;
  typedef typename A::V V;
  // Weights stay in registers over the batch where half of the registers hold them.
  static constexpr bool can_hold = 2 * C * C <= registers;

  const element* in[C];
  element* out[C];
  const element* w;
  V kept[C][C];

  template <int packed_j, int packed_k>
  PAPILIO_INLINE V weight(const StageArguments& stage, int j, int k) const {
    if (!packed_j) return take<A, axis>(w + j * stage.weight_j + k * stage.weight_k, stage.same_l);
    const int number = j * packed_j + k * packed_k;
    return axis == Axis::columns ? A::broadcast(w + number) : load<A>(w + number * A::lanes);
  }

  /// One SIMD vector (or U of them), at these offsets of the input and the output rows. packed_k
  /// and packed_j are the strides of packed weights, 0 if only `stage` knows them: in weights where
  /// lanes run along the batch, in SIMD vectors where they run along l.
  template <int U, bool held, bool part_only, bool past_caches, int packed_j = 0, int packed_k = 0>
  PAPILIO_INLINE void run(const StageArguments& stage, int64_t x, int64_t y, int64_t part) const {
    typename A::Sum sum[U][C];
    typename A::Input input[U];
    PAPILIO_UNROLL
    for (int k = 0; k < C; ++k) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u)
        input[u] = A::input(take_input<A>(in[k] + x + u * stage.in_step, part_only ? part : 0));
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j) {
        const V factor = held ? kept[j][k] : weight<packed_j, packed_k>(stage, j, k);
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u)
          sum[u][j] =
              k == 0 ? A::product(factor, input[u]) : A::multiply_add(sum[u][j], factor, input[u]);
      }
    }
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u) {
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j) {
        element* to = out[j] + y + u * stage.out_step;
        const V result = A::total(sum[u][j], stage.conjugate);
        if (past_caches)
          stream<A>(to, result);
        else
          put_output<A>(to, result, part_only ? part : 0);
      }
    }
  }

  template <bool held, bool part_only, bool past_caches, int packed_j = 0, int packed_k = 0>
  PAPILIO_INLINE void run_all(const StageArguments& stage, int64_t part) {
    constexpr int together = held ? 1 : 2;
    if (held) {
      PAPILIO_UNROLL
      for (int j = 0; j < C; ++j) {
        PAPILIO_UNROLL
        for (int k = 0; k < C; ++k) kept[j][k] = weight<0, 0>(stage, j, k);
      }
    }
    int64_t u = 0, x = 0, y = 0;
    for (; u + together <= stage.count; u += together) {
      run<together, held, part_only, past_caches, packed_j, packed_k>(stage, x, y, part);
      x += together * stage.in_step;
      y += together * stage.out_step;
    }
    if (together > 1 && u < stage.count)
      run<1, held, part_only, past_caches, packed_j, packed_k>(stage, x, y, part);
    // The elements after whole SIMD vectors of the batch.
    if (axis == Axis::columns && stage.tail)
      run<1, held, true, false>(stage, stage.count * A::lanes, stage.count * A::lanes, stage.tail);
  }
};

template <class A, Axis axis, int C>
void squares(const StageArguments& given) {
  typedef typename A::element element;
  // A copy that nothing points to stays in registers, whatever is stored through pointers.
  const StageArguments stage = given;
  Prefetcher prefetcher(stage.prefetch);
  Square<A, axis, C> block;
  constexpr int64_t block_step = axis == Axis::columns ? 1 : A::lanes;
  constexpr bool held = Square<A, axis, C>::can_hold;
  const int64_t in_row = axis == Axis::columns ? stage.in_row : 1;
  const int64_t out_row = axis == Axis::columns ? stage.out_row : 1;
  for (int64_t i = stage.i0; i < stage.i1; ++i) {
    const element* w = static_cast<const element*>(stage.weights) + i * stage.weight_i +
                       stage.l0 / block_step * stage.weight_l;
    for (int64_t l = stage.l0; l < stage.l1; l += block_step, w += stage.weight_l) {
      block.w = w;
      PAPILIO_UNROLL
      for (int k = 0; k < C; ++k) {
        const int64_t row = (i * C + k) * stage.d + l;
        const bool columns = axis == Axis::columns;
        block.in[k] = static_cast<const element*>(stage.in) +
                      (columns && stage.in_index ? stage.in_index[row] : row) * in_row;
        block.out[k] = static_cast<element*>(stage.out) +
                       (columns && stage.out_index ? stage.out_index[row] : row) * out_row;
      }
      if (axis == Axis::columns) {
        // Blocks of weights are contiguous, by rows or for the transpose by columns.
        constexpr int c = held ? 0 : C, one = held ? 0 : 1;
        if (stage.stream && (held || stage.weight_k == 1))
          block.template run_all<held, false, true, c, one>(stage, 0);
        else if (stage.stream)
          block.template run_all<held, false, true, one, c>(stage, 0);
        else if (held || stage.weight_k == 1)
          block.template run_all<held, false, false, c, one>(stage, 0);
        else
          block.template run_all<held, false, false, one, c>(stage, 0);
      } else if (stage.l1 - l < A::lanes) {
        block.template run_all<held, true, false>(stage, stage.l1 - l);
      } else if (stage.count == 1) {
        if (stage.same_l)
          block.template run<1, false, false, false>(stage, 0, 0, 0);
        else if (stage.weight_k == A::lanes)
          block.template run<1, false, false, false, C, 1>(stage, 0, 0, 0);
        else
          block.template run<1, false, false, false, 1, C>(stage, 0, 0, 0);
      } else {
        block.template run_all<held, false, false>(stage, 0);
      }
      prefetcher.step();
    }
  }
}

/// Where a block's inputs are: steps from one k to the next and from one SIMD vector to the next.
template <class A>
struct Panel {
  const typename A::element* from;
  int64_t k, u;
};

template <class A>
PAPILIO_INLINE typename A::Sum plus(const typename A::Sum& x, const typename A::Sum& y) {
  if constexpr (A::parts == 1)
    return x + y;
  else
    return {x.by_re + y.by_re, x.by_im + y.by_im};
}

/// Sums of more products are sums of sums of so many: the rounding errors of one long sum grow with
/// the root of its length. With lanes along the batch the sums fill all registers, so that sums of
/// sums take up to 1.8 times as long: theirs stay whole.
template <Axis axis>
constexpr int64_t chunk_products = axis == Axis::columns ? INT64_MAX : 16;

/// J x U sums of c products each, held in registers: J outputs (rows j, or SIMD vectors of them),
/// U SIMD vectors of inputs that share the weights. One vector alone waits for its weights: those
/// that come `ahead` elements later are asked for.
template <class A, Axis axis, int J, int U>
PAPILIO_INLINE void dots(const StageArguments& stage, const typename A::element* w, Panel<A> in,
                         typename A::element* out, int64_t out_j, int64_t part, int64_t last_part,
                         int64_t ahead) {
  typedef typename A::element element;
  typename A::Sum sum[J][U];
  typename A::Input x[U];
  const auto read = [&]() __attribute__((always_inline)) {
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u)
      x[u] = A::input(axis == Axis::outputs ? replicate<A>(in.from + u * in.u, stage.d)
                                            : take_input<A>(in.from + u * in.u, part));
  };
  const auto start = [&]() __attribute__((always_inline)) {
    read();
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      const typename A::V factor = take<A, axis>(w + j * stage.weight_j, stage.same_l);
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) sum[j][u] = A::product(factor, x[u]);
    }
  };
  typename A::Sum whole[J][U] = {};
  constexpr int64_t chunk = chunk_products<axis>;
  for (int64_t first = 0;; first += chunk) {
    const int64_t left = stage.c - first;
    const int64_t products = left < chunk ? left : chunk;
    start();
    for (int64_t k = 1; k < products; ++k) {
      in.from += in.k;
      w += stage.weight_k;
      read();
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) {
        const typename A::V factor = take<A, axis>(w + j * stage.weight_j, stage.same_l);
        if (axis != Axis::columns && U == 1)
          prefetch(reinterpret_cast<const char*>(w + j * stage.weight_j + ahead));
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u) sum[j][u] = A::multiply_add(sum[j][u], factor, x[u]);
      }
    }
    if (first == 0 && left <= chunk) break;
    in.from += in.k;
    w += stage.weight_k;
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) {
        if (first > 0) sum[j][u] = plus<A>(whole[j][u], sum[j][u]);
        whole[j][u] = sum[j][u];
      }
    }
    if (left <= chunk) break;
  }
  PAPILIO_UNROLL
  for (int j = 0; j < J; ++j) {
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u) {
      element* to = out + j * out_j + u * stage.out_step;
      const typename A::V result = A::total(sum[j][u], stage.conjugate);
      if (axis == Axis::columns && stage.stream && part == 0)
        stream<A>(to, result);
      else
        put_output<A>(to, result, j == J - 1 ? last_part : part);
    }
  }
}

/// All outputs of one block for U SIMD vectors of inputs. The weights of the block after it are
/// `next` elements later.
template <class A, Axis axis, int J, int U>
inline void all_dots(const StageArguments& stage, const typename A::element* w, Panel<A> in,
                     typename A::element* out, int64_t part, int64_t next) {
  typedef typename A::element element;
  // Along (j, l) the outputs are SIMD vectors, of which the last may be a part.
  const int64_t outputs =
      axis == Axis::outputs ? (stage.b * stage.d + A::lanes - 1) / A::lanes : stage.b;
  const int64_t last_part = axis == Axis::outputs ? stage.b * stage.d % A::lanes : part;
  const int64_t out_j =
      axis == Axis::outputs ? A::lanes : stage.d * (axis == Axis::columns ? stage.out_row : 1);
  int64_t j = 0;
  const auto from = [&] { return w + j * stage.weight_j; };
  const auto to = [&]() -> element* { return out + j * out_j; };
  const auto ahead = [&](int64_t rows) {
    return j + rows < outputs ? rows * stage.weight_j : next - j * stage.weight_j;
  };
  for (; j + J <= outputs; j += J)
    dots<A, axis, J, U>(stage, from(), in, to(), out_j, part, j + J == outputs ? last_part : part,
                        ahead(J));
  if (J > 2)
    for (; j + 2 <= outputs; j += 2)
      dots<A, axis, 2, U>(stage, from(), in, to(), out_j, part, j + 2 == outputs ? last_part : part,
                          ahead(2));
  for (; j < outputs; ++j)
    dots<A, axis, 1, U>(stage, from(), in, to(), out_j, part, j + 1 == outputs ? last_part : part,
                        ahead(1));
}

template <class A, Axis axis>
void rectangles(const StageArguments& given) {
  typedef typename A::element element;
  const StageArguments stage = given;
  // 16 vectors of sums, or 8 where there are 16 registers; one SIMD vector needs more outputs.
  constexpr int J = 4, U = registers / (8 * A::parts);
  Prefetcher prefetcher(stage.prefetch);
  const int64_t in_row = axis == Axis::columns ? stage.in_row : 1;
  const int64_t out_row = axis == Axis::columns ? stage.out_row : 1;
  const int64_t l_step = axis == Axis::columns ? 1 : axis == Axis::rows ? A::lanes : stage.d;
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; l += l_step) {
      const int64_t step = l / l_step;
      const element* w =
          static_cast<const element*>(stage.weights) + i * stage.weight_i + step * stage.weight_l;
      const int64_t next = l + l_step < stage.l1
                               ? stage.weight_l
                               : stage.weight_i + (stage.l0 / l_step - step) * stage.weight_l;
      const element* in =
          static_cast<const element*>(stage.in) + (i * stage.c * stage.d + l) * in_row;
      element* out = static_cast<element*>(stage.out) + (i * stage.b * stage.d + l) * out_row;
      const int64_t part =
          axis == Axis::rows && stage.l1 - l < A::lanes ? stage.l1 - l : int64_t{0};
      if constexpr (axis == Axis::rows) {
        // Rows far apart compete for the same cache sets. For one vector they are gathered, once
        // for all outputs.
        constexpr int64_t most = 256;
        if (stage.count == 1 && stage.c <= most && stage.d > A::lanes && stage.b > 2 * J) {
          alignas(64) element gathered[most * A::lanes];
          for (int64_t k = 0; k < stage.c; ++k)
            store<A>(gathered + k * A::lanes, take_input<A>(in + k * stage.d, part));
          all_dots<A, axis, 2 * J, 1>(stage, w, Panel<A>{gathered, A::lanes, 0}, out, part, next);
          prefetcher.step();
          continue;
        }
      }
      const Panel<A> panel{in, stage.d * in_row, stage.in_step};
      const auto at = [&](int64_t u) { return Panel<A>{in + u * panel.u, panel.k, panel.u}; };
      int64_t u = 0;
      if (U > 1)
        for (; u + U <= stage.count; u += U)
          all_dots<A, axis, J, U>(stage, w, at(u), out + u * stage.out_step, part, 0);
      for (; u < stage.count; ++u)
        all_dots<A, axis, 2 * J, 1>(stage, w, at(u), out + u * stage.out_step, part, next);
      if (stage.tail)
        all_dots<A, axis, 2 * J, 1>(stage, w, at(u), out + u * stage.out_step, stage.tail, 0);
      prefetcher.step();
    }
}

template <class A, Axis axis>
void stage_along(const StageArguments& stage) {
  if (stage.b == 2 && stage.c == 2) return squares<A, axis, 2>(stage);
  if (stage.b == 4 && stage.c == 4) return squares<A, axis, 4>(stage);
  if (stage.b == 8 && stage.c == 8) return squares<A, axis, 8>(stage);
  rectangles<A, axis>(stage);
}

/// y[u] = x[u] with lanes n and n ^ distance exchanged. The distances are constants to the
/// compiler; U vectors share the jump.
template <class A, int U>
PAPILIO_INLINE void exchange(typename A::V (&y)[U], const typename A::V (&x)[U], int64_t distance) {
#define PAPILIO_EXCHANGE(m)                                                                \
  case m:                                                                                  \
    if (m < A::lanes)                                                                      \
      for (int u = 0; u < U; ++u) y[u] = A::permuted(x[u], [](int n) { return n ^ (m); }); \
    return;
  switch (distance) {
    PAPILIO_EXCHANGE(1)
    PAPILIO_EXCHANGE(2)
    PAPILIO_EXCHANGE(3)
    PAPILIO_EXCHANGE(4)
    PAPILIO_EXCHANGE(5)
    PAPILIO_EXCHANGE(6)
    PAPILIO_EXCHANGE(7)
    PAPILIO_EXCHANGE(8)
    PAPILIO_EXCHANGE(9)
    PAPILIO_EXCHANGE(10)
    PAPILIO_EXCHANGE(11)
    PAPILIO_EXCHANGE(12)
    PAPILIO_EXCHANGE(13)
    PAPILIO_EXCHANGE(14)
    PAPILIO_EXCHANGE(15)
  }
#undef PAPILIO_EXCHANGE
}

/// U SIMD vectors from number v on of one vector of the batch, or number v of U vectors.
template <class A, int U>
PAPILIO_INLINE void within_vectors(const WithinArguments& work, int64_t v, int64_t row,
                                   bool same_weights) {
  typedef typename A::element element;
  const int64_t in_step = same_weights ? work.in_step : A::lanes;
  const int64_t out_step = same_weights ? work.out_step : A::lanes;
  const element* in = static_cast<const element*>(work.in) + row * work.in_step + v * A::lanes;
  element* out = static_cast<element*>(work.out) + row * work.out_step + v * A::lanes;
  typename A::V x[U], y[U] = {};
  for (int u = 0; u < U; ++u) x[u] = load<A>(in + u * in_step);
  for (const WithinStage* stage = work.stages; stage != work.stages + work.stage_count; ++stage) {
    const int64_t step = same_weights ? 0 : stage->vector_step;
    const element* w = static_cast<const element*>(stage->weights) + v * stage->vector_step;
    typename A::Sum sum[U];
    for (int u = 0; u < U; ++u) sum[u] = A::product(load<A>(w + u * step), A::input(x[u]));
    for (int64_t q = 1; q < stage->c; ++q) {
      w += A::lanes;
      exchange<A, U>(y, x, q * stage->d);
      for (int u = 0; u < U; ++u)
        sum[u] = A::multiply_add(sum[u], load<A>(w + u * step), A::input(y[u]));
    }
    for (int u = 0; u < U; ++u) x[u] = A::total(sum[u], stage->conjugate);
  }
  for (int u = 0; u < U; ++u) store<A>(out + u * out_step, x[u]);
}

template <class A>
void within(const WithinArguments& given) {
  const WithinArguments work = given;
  constexpr int U = 4;  // independent vectors, to hide the latency of the exchanges
  Prefetcher prefetcher(work.prefetch);
  const int64_t rows = work.count / U * U;
  if (rows > 0)
    for (int64_t v = work.first; v < work.last; ++v) {
      for (int64_t row = 0; row < rows; row += U) within_vectors<A, U>(work, v, row, true);
      prefetcher.step();
    }
  for (int64_t row = rows; row < work.count; ++row) {
    int64_t v = work.first;
    for (; v + U <= work.last; v += U) within_vectors<A, U>(work, v, row, false);
    for (; v < work.last; ++v) within_vectors<A, 1>(work, v, row, false);
  }
}

/// Whether stores to rows of this matrix may go past the caches from column `first` on.
template <class A>
PAPILIO_INLINE int64_t first_aligned(const typename A::element* to, int64_t row_stride) {
  constexpr size_t vector = sizeof(typename A::V), element = sizeof(typename A::element);
  const size_t offset = reinterpret_cast<uintptr_t>(to) % vector;
  if (offset % element != 0 || row_stride * static_cast<int64_t>(element) % vector != 0) return -1;
  return offset == 0 ? 0 : static_cast<int64_t>((vector - offset) / element);
}

/// Copies the elements [r0, r1) x [t0, t1): tile[t, r] = matrix[r, t] if `in`, else the way back.
template <bool in, class Matrix, class Tile>
PAPILIO_INLINE void copy_transposed(int64_t r0, int64_t r1, int64_t t0, int64_t t1, Matrix* matrix,
                                    int64_t matrix_row, Tile* tile, int64_t tile_row) {
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t t = t0; t < t1; ++t) {
      if constexpr (in)
        tile[t * tile_row + r] = matrix[r * matrix_row + t];
      else
        matrix[r * matrix_row + t] = tile[t * tile_row + r];
    }
}

/// tile[t, r] = matrix[r, t] if `in`, else the way back, for a matrix of `rows` contiguous rows.
/// As many rows as a SIMD vector has lanes are read or written at a time, each as a stream.
template <class A, bool in, class Matrix, class Tile>
void transpose(int64_t rows, int64_t columns, Matrix* matrix, int64_t matrix_row, Tile* tile,
               int64_t tile_row, bool past_caches) {
  constexpr int lanes = A::lanes;
  int64_t start = 0;
  if constexpr (!in) {
    if (past_caches) start = first_aligned<A>(matrix, matrix_row);
    if (start < 0) {
      start = 0;
      past_caches = false;
    }
    if (start > columns) start = columns;
  }
  const int64_t whole_rows = rows / lanes * lanes;
  const int64_t stop = start + (columns - start) / lanes * lanes;
  for (int64_t r = 0; r < whole_rows; r += lanes) {
    copy_transposed<in>(r, r + lanes, 0, start, matrix, matrix_row, tile, tile_row);
    for (int64_t t = start; t < stop; t += lanes) {
      typename A::V x[lanes];
      for (int n = 0; n < lanes; ++n)
        x[n] = in ? load<A>(matrix + (r + n) * matrix_row + t)
                  : load<A>(tile + (t + n) * tile_row + r);
      Transpose<A, lanes / 2>::run(x);
      for (int n = 0; n < lanes; ++n) {
        if constexpr (in)
          store<A>(tile + (t + n) * tile_row + r, x[n]);
        else if (past_caches)
          stream<A>(matrix + (r + n) * matrix_row + t, x[n]);
        else
          store<A>(matrix + (r + n) * matrix_row + t, x[n]);
      }
    }
    copy_transposed<in>(r, r + lanes, stop, columns, matrix, matrix_row, tile, tile_row);
  }
  copy_transposed<in>(whole_rows, rows, 0, columns, matrix, matrix_row, tile, tile_row);
}

template <class A>
void pack(const CopyArguments& copy, const void* matrix, void* tile) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(matrix);
  element* to = static_cast<element*>(tile);
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A, true>(copy.columns, copy.rows, from, copy.column_stride, to, copy.tile_row,
                              false);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.tile_row) {
    const element* source = from + (copy.row_index ? copy.row_index[row] : row) * copy.row_stride;
    if (copy.column_index)
      for (int64_t t = 0; t < copy.columns; ++t)
        to[t] = source[copy.column_index[t] * copy.column_stride];
    else if (copy.column_stride == 1)
      memcpy(to, source, static_cast<size_t>(copy.columns) * sizeof(element));
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t] = source[t * copy.column_stride];
  }
}

template <class A>
PAPILIO_INLINE void copy_row(const typename A::element* from, typename A::element* to,
                             int64_t count, bool past_caches) {
  int64_t start = past_caches ? first_aligned<A>(to, 0) : int64_t{-1};
  if (start < 0 || start + A::lanes > count) {
    memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
    return;
  }
  memcpy(to, from, static_cast<size_t>(start) * sizeof *to);
  for (; start + A::lanes <= count; start += A::lanes) stream<A>(to + start, load<A>(from + start));
  memcpy(to + start, from + start, static_cast<size_t>(count - start) * sizeof *to);
}

template <class A>
void unpack(const CopyArguments& copy, const void* tile, void* matrix) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(tile);
  element* to = static_cast<element*>(matrix);
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A, false>(copy.columns, copy.rows, to, copy.column_stride, from, copy.tile_row,
                               copy.stream);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.row_stride) {
    const element* source = from + (copy.row_index ? copy.row_index[row] : row) * copy.tile_row;
    if (copy.column_index)
      for (int64_t t = 0; t < copy.columns; ++t)
        to[t * copy.column_stride] = source[copy.column_index[t]];
    else if (copy.column_stride == 1)
      copy_row<A>(source, to, copy.columns, copy.stream);
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t * copy.column_stride] = source[t];
  }
}

template <class T>
constexpr ButterflyKernels butterfly_kernels(Real<T>) {
  return {registers >= 32 ? 16 : 8, hadamard_columns<T>, hadamard_rows<T>, hadamard_within<T>,
          nullptr};
}
template <class T>
constexpr ButterflyKernels butterfly_kernels(Complex<T>) {
  return {8, fourier_columns<T>, fourier_rows<T>, nullptr, fourier_permuted<T>};
}

/// `width` SIMD vectors of columns at a time, their c in registers.
template <bool complex, int width>
PAPILIO_INLINE void deflate_columns(const DeflateArguments& work, int64_t column) {
  typedef batch<double> V;
  constexpr int lanes = V::lanes;
  V cr[width] = {}, ci[width] = {}, norm[width] = {};
  double* re = work.re + column;
  double* im = complex ? work.im + column : nullptr;
  for (int64_t s = 0; s < work.samples; ++s) {
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      const V x = V::load(re + s * work.columns + n * lanes);
      cr[n] = multiply_add(x, q_re, cr[n]);
      if (complex) {
        const V y = V::load(im + s * work.columns + n * lanes);
        cr[n] = multiply_add(y, q_im, cr[n]);
        ci[n] = subtract_product(multiply_add(y, q_re, ci[n]), x, q_im);
      }
    }
  }
  for (int64_t s = 0; s < work.samples; ++s) {
    const V q_re = V::broadcast(work.q_re[s]);
    const V q_im = complex ? V::broadcast(work.q_im[s]) : V{};
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      double* at = re + s * work.columns + n * lanes;
      V x = subtract_product(V::load(at), cr[n], q_re);
      if (complex) {
        double* at_im = im + s * work.columns + n * lanes;
        x = multiply_add(ci[n], q_im, x);
        const V y = subtract_product(subtract_product(V::load(at_im), cr[n], q_im), ci[n], q_re);
        norm[n] = multiply_add(y, y, norm[n]);
        y.store(at_im);
      }
      norm[n] = multiply_add(x, x, norm[n]);
      x.store(at);
    }
  }
  PAPILIO_UNROLL
  for (int n = 0; n < width; ++n) {
    cr[n].store(work.c_re + column + n * lanes);
    if (complex) ci[n].store(work.c_im + column + n * lanes);
    norm[n].store(work.norms + column + n * lanes);
  }
}

template <bool complex>
void deflate(const DeflateArguments& work) {
  constexpr int lanes = batch<double>::lanes, width = 2;
  int64_t column = 0;
  for (; column + width * lanes <= work.columns; column += width * lanes)
    deflate_columns<complex, width>(work, column);
  for (; column < work.columns; column += lanes) deflate_columns<complex, 1>(work, column);
}

template <class A>
constexpr Kernels kernels_of() {
  return {A::lanes,
          stage_along<A, Axis::columns>,
          stage_along<A, Axis::rows>,
          rectangles<A, Axis::outputs>,
          within<A>,
          pack<A>,
          unpack<A>,
          butterfly_kernels(A{}),
          sparse_kernels(A{})};
}

#define PAPILIO_STRING_OF(x) #x
#define PAPILIO_STRING(x) PAPILIO_STRING_OF(x)

#if defined(__AVX512F__)
constexpr double multiply_adds = 3.5;  // one unit of 512 bits
#elif defined(__AVX2__) || defined(__aarch64__)
constexpr double multiply_adds = 7;  // two units of 256 or 128 bits
#else
constexpr double multiply_adds = 5;  // a product and a sum each
#endif

constexpr Table table = {PAPILIO_STRING(PAPILIO_ISA_NAME),
                         PAPILIO_VECTOR_BYTES,
                         multiply_adds,
                         {kernels_of<Real<float>>(), kernels_of<Real<double>>(),
                          kernels_of<Complex<float>>(), kernels_of<Complex<double>>()},
                         deflate<false>,
                         deflate<true>};

}  // namespace

const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)();
const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
