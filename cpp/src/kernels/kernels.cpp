// The kernels, compiled once per instruction set (PAPILIO_ISA_NAME, PAPILIO_VECTOR_BYTES). The
// object exports its table and nothing else; it includes C headers only.
#include "kernels/kernels.hpp"

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif

enum class Axis { columns, rows, outputs };

/// Works through the lines of a Prefetch, some at each call.
class Prefetcher {
 public:
  explicit Prefetcher(const Prefetch& lines) : lines_(lines), left_(lines.lines) {
    if (left_ == 0) return;
    row_ = lines.from + lines.first / lines.lines_per_row * lines.pitch;
    line_ = lines.first % lines.lines_per_row;
  }
  void step() {
    if (left_ == 0) return;
    const int64_t now = left_ < lines_.per_block ? left_ : lines_.per_block;
    left_ -= now;
    for (int64_t n = 0; n < now; ++n) {
      prefetch(row_ + line_ * 64);
      if (++line_ == lines_.lines_per_row) {
        line_ = 0;
        row_ += lines_.pitch;
      }
    }
  }

 private:
  const Prefetch lines_;
  int64_t left_;
  const char* row_ = nullptr;
  int64_t line_ = 0;
};

/// The weights of one position for all lanes.
template <class A, Axis axis>
inline typename A::V take(const typename A::element* w, bool same_l) {
  return axis == Axis::columns || (axis == Axis::rows && same_l) ? A::broadcast(w) : load<A>(w);
}

/// The inputs of all lanes; `part` is 0 for whole vectors, else how many lanes there are.
template <class A>
inline typename A::V take_input(const typename A::element* in, int64_t part) {
  return part ? load_part<A>(in, part) : load<A>(in);
}

template <class A>
inline void put_output(typename A::element* out, typename A::V x, int64_t part) {
  part ? store_part<A>(out, x, part) : store<A>(out, x);
}

/// Lane n is in[n % d], for outputs along (j, l).
template <class A>
inline typename A::V replicate(const typename A::element* in, int64_t d) {
  switch (d) {
    case 1:
      return A::broadcast(in);
    case 2:
      return A::permuted(load_part<A>(in, 2), [](int n) { return n % 2; });
    case 4:
      return A::permuted(load_part<A>(in, 4), [](int n) { return n % 4; });
    default:
      return A::permuted(load_part<A>(in, 8), [](int n) { return n % 8; });
  }
}

/// A C x C block in registers. All inputs are read before the first output is written, so that
/// it works in place.
template <class A, Axis axis, int C>
struct Square {
  typedef typename A::element element;
  typedef typename A::V V;
  // Weights stay in registers over the batch where half of the registers hold them.
  static constexpr bool held = 2 * C * C <= registers;
  static constexpr int together = held ? 1 : 2;

  const StageArguments& stage;
  const element* w;
  int64_t part;
  const element* in[C];
  element* out[C];
  V kept[held ? C : 1][held ? C : 1];

  V weight(int j, int k) const {
    if (held) return kept[held ? j : 0][held ? k : 0];
    return take<A, axis>(w + j * stage.weight_j + k * stage.weight_k, stage.same_l);
  }
  void keep_weights() {
    if (held)
      for (int j = 0; j < C; ++j)
        for (int k = 0; k < C; ++k)
          kept[held ? j : 0][held ? k : 0] =
              take<A, axis>(w + j * stage.weight_j + k * stage.weight_k, stage.same_l);
  }

  /// U SIMD vectors at offsets x and y of the input and the output rows.
  template <int U, bool part_only, bool past_caches>
  void run(int64_t x, int64_t y, int64_t lanes_used) const {
    typename A::Sum sum[U][C];
    typename A::Input input[U];
    const auto read = [&](int k) {
      for (int u = 0; u < U; ++u)
        input[u] = A::input(
            take_input<A>(in[k] + x + u * stage.in_step, part_only ? lanes_used : 0));
    };
    read(0);
    for (int j = 0; j < C; ++j) {
      const V factor = weight(j, 0);
      for (int u = 0; u < U; ++u) sum[u][j] = A::product(factor, input[u]);
    }
    for (int k = 1; k < C; ++k) {
      read(k);
      for (int j = 0; j < C; ++j) {
        const V factor = weight(j, k);
        for (int u = 0; u < U; ++u) sum[u][j] = A::multiply_add(sum[u][j], factor, input[u]);
      }
    }
    for (int u = 0; u < U; ++u)
      for (int j = 0; j < C; ++j) {
        element* to = out[j] + y + u * stage.out_step;
        const V result = A::total(sum[u][j], stage.conjugate);
        if (past_caches)
          stream<A>(to, result);
        else
          put_output<A>(to, result, part_only ? lanes_used : 0);
      }
  }

  template <bool part_only, bool past_caches>
  void run_all(int64_t lanes_used) const {
    int64_t u = 0;
    for (; u + together <= stage.count; u += together)
      run<together, part_only, past_caches>(u * stage.in_step, u * stage.out_step, lanes_used);
    if (together > 1)
      for (; u < stage.count; ++u)
        run<1, part_only, past_caches>(u * stage.in_step, u * stage.out_step, lanes_used);
  }
};

template <class A, Axis axis, int C>
void squares(const StageArguments& stage) {
  typedef typename A::element element;
  Prefetcher prefetcher(stage.prefetch);
  Square<A, axis, C> block{stage, nullptr, 0, {}, {}, {}};
  const int64_t block_step = axis == Axis::columns ? 1 : A::lanes;
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; l += block_step) {
      block.w = static_cast<const element*>(stage.weights) + i * stage.weight_i +
                l / block_step * stage.weight_l;
      block.keep_weights();
      for (int k = 0; k < C; ++k) {
        const int64_t row = (i * C + k) * stage.d + l;
        block.in[k] = static_cast<const element*>(stage.in) +
                      (axis == Axis::columns && stage.in_index ? stage.in_index[row] : row) *
                          (axis == Axis::columns ? stage.in_row : 1);
        block.out[k] = static_cast<element*>(stage.out) +
                       (axis == Axis::columns && stage.out_index ? stage.out_index[row] : row) *
                           (axis == Axis::columns ? stage.out_row : 1);
      }
      if (axis == Axis::columns) {
        if (stage.stream)
          block.template run_all<false, true>(0);
        else
          block.template run_all<false, false>(0);
        if (stage.tail)
          block.template run<1, true, false>(stage.count * A::lanes, stage.count * A::lanes,
                                             stage.tail);
      } else if (stage.l1 - l >= A::lanes) {
        block.template run_all<false, false>(0);
      } else {
        block.template run_all<true, false>(stage.l1 - l);
      }
      prefetcher.step();
    }
}

/// J x U sums of c products each, held in registers: J outputs (rows j, or SIMD vectors of them),
/// U SIMD vectors of inputs that share the weights.
template <class A, Axis axis, int J, int U>
inline void dots(const StageArguments& stage, const typename A::element* w,
                 const typename A::element* in, typename A::element* out, int64_t out_j,
                 int64_t part, int64_t last_part) {
  const int64_t in_k = stage.d * (axis == Axis::columns ? stage.in_row : 1);
  typename A::Sum sum[J][U];
  typename A::Input x[U];
  const auto read = [&] {
    for (int u = 0; u < U; ++u)
      x[u] = A::input(axis == Axis::outputs ? replicate<A>(in + u * stage.in_step, stage.d)
                                            : take_input<A>(in + u * stage.in_step, part));
  };
  read();
  for (int j = 0; j < J; ++j) {
    const typename A::V factor = take<A, axis>(w + j * stage.weight_j, stage.same_l);
    for (int u = 0; u < U; ++u) sum[j][u] = A::product(factor, x[u]);
  }
  for (int64_t k = 1; k < stage.c; ++k) {
    in += in_k;
    w += stage.weight_k;
    read();
    for (int j = 0; j < J; ++j) {
      const typename A::V factor = take<A, axis>(w + j * stage.weight_j, stage.same_l);
      for (int u = 0; u < U; ++u) sum[j][u] = A::multiply_add(sum[j][u], factor, x[u]);
    }
  }
  for (int j = 0; j < J; ++j)
    for (int u = 0; u < U; ++u)
      put_output<A>(out + j * out_j + u * stage.out_step, A::total(sum[j][u], stage.conjugate),
                    j == J - 1 ? last_part : part);
}

/// All outputs of one block for U SIMD vectors of inputs.
template <class A, Axis axis, int J, int U>
inline void all_dots(const StageArguments& stage, const typename A::element* w,
                     const typename A::element* in, typename A::element* out, int64_t part) {
  typedef typename A::element element;
  // Along (j, l) the outputs are SIMD vectors, of which the last may be a part.
  const int64_t outputs =
      axis == Axis::outputs ? (stage.b * stage.d + A::lanes - 1) / A::lanes : stage.b;
  const int64_t last_part = axis == Axis::outputs ? stage.b * stage.d % A::lanes : part;
  const int64_t out_j = axis == Axis::outputs ? A::lanes
                                              : stage.d * (axis == Axis::columns ? stage.out_row : 1);
  int64_t j = 0;
  const auto from = [&] { return w + j * stage.weight_j; };
  const auto to = [&]() -> element* { return out + j * out_j; };
  for (; j + J <= outputs; j += J)
    dots<A, axis, J, U>(stage, from(), in, to(), out_j, part,
                        j + J == outputs ? last_part : part);
  if (J > 2)
    for (; j + 2 <= outputs; j += 2)
      dots<A, axis, 2, U>(stage, from(), in, to(), out_j, part,
                          j + 2 == outputs ? last_part : part);
  for (; j < outputs; ++j)
    dots<A, axis, 1, U>(stage, from(), in, to(), out_j, part,
                        j + 1 == outputs ? last_part : part);
}

template <class A, Axis axis>
void rectangles(const StageArguments& stage) {
  typedef typename A::element element;
  // 16 vectors of sums, or 8 where there are 16 registers; one SIMD vector needs more outputs.
  constexpr int J = 4, U = registers / (8 * A::parts);
  Prefetcher prefetcher(stage.prefetch);
  const int64_t in_row = axis == Axis::columns ? stage.in_row : 1;
  const int64_t out_row = axis == Axis::columns ? stage.out_row : 1;
  const int64_t l_step = axis == Axis::columns ? 1 : axis == Axis::rows ? A::lanes : stage.d;
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; l += l_step) {
      const element* w = static_cast<const element*>(stage.weights) + i * stage.weight_i +
                         l / l_step * stage.weight_l;
      const element* in =
          static_cast<const element*>(stage.in) + (i * stage.c * stage.d + l) * in_row;
      element* out = static_cast<element*>(stage.out) + (i * stage.b * stage.d + l) * out_row;
      const int64_t part =
          axis == Axis::rows && stage.l1 - l < A::lanes ? stage.l1 - l : int64_t{0};
      int64_t u = 0;
      if (U > 1)
        for (; u + U <= stage.count; u += U)
          all_dots<A, axis, J, U>(stage, w, in + u * stage.in_step, out + u * stage.out_step, part);
      for (; u < stage.count; ++u)
        all_dots<A, axis, 2 * J, 1>(stage, w, in + u * stage.in_step, out + u * stage.out_step,
                                    part);
      if (stage.tail)
        all_dots<A, axis, 2 * J, 1>(stage, w, in + u * stage.in_step, out + u * stage.out_step,
                                    stage.tail);
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
void exchange(typename A::V (&y)[U], const typename A::V (&x)[U], int64_t distance) {
#define PAPILIO_EXCHANGE(m)                                                                     \
  case m:                                                                                       \
    if (m < A::lanes)                                                                           \
      for (int u = 0; u < U; ++u) y[u] = A::permuted(x[u], [](int n) { return n ^ (m); });      \
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
inline void within_vectors(const WithinArguments& work, int64_t v, int64_t row, bool same_weights) {
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
void within(const WithinArguments& work) {
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

/// Exchanges the off-diagonal blocks of size distance, ..., 2, 1 of a lanes x lanes matrix, which
/// transposes it.
template <class A, int distance>
struct Transpose {
  static void run(typename A::V (&x)[A::lanes]) {
    constexpr int lanes = A::lanes, parts = A::parts;
    for (int n = 0; n < lanes; ++n) {
      if (n & distance) continue;
      const typename A::V low = x[n], high = x[n + distance];
      x[n] = permute(low, high, [](int s) {
        const int e = s / parts;
        return (e & distance ? lanes + e - distance : e) * parts + s % parts;
      });
      x[n + distance] = permute(low, high, [](int s) {
        const int e = s / parts;
        return (e & distance ? lanes + e : e + distance) * parts + s % parts;
      });
    }
    Transpose<A, distance / 2>::run(x);
  }
};
template <class A>
struct Transpose<A, 0> {
  static void run(typename A::V (&)[A::lanes]) {}
};

/// to[t, r] = from[r, t], both with contiguous second axes.
template <class A>
void transpose(int64_t rows, int64_t columns, const typename A::element* from, int64_t from_row,
               typename A::element* to, int64_t to_row) {
  constexpr int lanes = A::lanes;
  const int64_t whole_rows = rows / lanes * lanes, whole_columns = columns / lanes * lanes;
  for (int64_t t = 0; t < whole_columns; t += lanes)
    for (int64_t r = 0; r < whole_rows; r += lanes) {
      typename A::V x[lanes];
      for (int n = 0; n < lanes; ++n) x[n] = load<A>(from + (r + n) * from_row + t);
      Transpose<A, lanes / 2>::run(x);
      for (int n = 0; n < lanes; ++n) store<A>(to + (t + n) * to_row + r, x[n]);
    }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t t = r < whole_rows ? whole_columns : 0; t < columns; ++t)
      to[t * to_row + r] = from[r * from_row + t];
}

template <class A>
void pack(const CopyArguments& copy, const void* matrix, void* tile) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(matrix);
  element* to = static_cast<element*>(tile);
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A>(copy.columns, copy.rows, from, copy.column_stride, to, copy.tile_row);
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
void unpack(const CopyArguments& copy, const void* tile, void* matrix) {
  typedef typename A::element element;
  const element* from = static_cast<const element*>(tile);
  element* to = static_cast<element*>(matrix);
  if (copy.row_stride == 1 && copy.column_stride != 1 && !copy.row_index && !copy.column_index)
    return transpose<A>(copy.rows, copy.columns, from, copy.tile_row, to, copy.column_stride);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.row_stride) {
    const element* source = from + (copy.row_index ? copy.row_index[row] : row) * copy.tile_row;
    if (copy.column_index)
      for (int64_t t = 0; t < copy.columns; ++t)
        to[t * copy.column_stride] = source[copy.column_index[t]];
    else if (copy.column_stride == 1)
      memcpy(to, source, static_cast<size_t>(copy.columns) * sizeof(element));
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t * copy.column_stride] = source[t];
  }
}

template <class A>
constexpr Kernels kernels_of() {
  return {A::lanes,
          stage_along<A, Axis::columns>,
          stage_along<A, Axis::rows>,
          rectangles<A, Axis::outputs>,
          within<A>,
          pack<A>,
          unpack<A>};
}

#define PAPILIO_STRING_OF(x) #x
#define PAPILIO_STRING(x) PAPILIO_STRING_OF(x)
#define PAPILIO_JOIN_OF(x, y) x##y
#define PAPILIO_JOIN(x, y) PAPILIO_JOIN_OF(x, y)

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
                          kernels_of<Complex<float>>(), kernels_of<Complex<double>>()}};

}  // namespace

const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)();
const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
