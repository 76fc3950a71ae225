// The kernels, compiled once per instruction set (PAPILIO_ISA_NAME, PAPILIO_VECTOR_BYTES). The
// object exports its table and nothing else; it includes C headers only.
#include "kernels/kernels.hpp"

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

enum class Axis { batch, l };

template <class A, Axis axis>
typename A::Weight take(const typename A::element* w, bool tied) {
  return axis == Axis::batch || tied ? A::broadcast(w) : A::weight(w);
}

/// J output vectors, `out_step` apart:
///   out[j] = sum_k w[j, k] * in[k],
/// for k < C, or k < stage.c where C is 0. The J sums stay in registers; each input is read once.
template <class A, Axis axis, int J, int C>
inline void dot(const StageArguments& stage, const typename A::element* w,
                const typename A::element* in, int64_t in_step, typename A::element* out,
                int64_t out_step) {
  const bool tied = stage.weight_l == 0;
  const int64_t terms = C ? C : stage.c;
  typename A::Sum sum[J];
  typename A::Input x = A::load(in);
  for (int j = 0; j < J; ++j) sum[j] = A::product(take<A, axis>(w + j * stage.weight_j, tied), x);
  for (int64_t k = 1; k < terms; ++k) {
    in += in_step;
    w += stage.weight_k;
    x = A::load(in);
    for (int j = 0; j < J; ++j)
      sum[j] = A::multiply_add(sum[j], take<A, axis>(w + j * stage.weight_j, tied), x);
  }
  for (int j = 0; j < J; ++j) A::store(out + j * out_step, sum[j], stage.conjugate);
}

/// All b outputs of one (i, l): rows in fours, then what is left. C > 0: b = c = C.
template <class A, Axis axis, int C>
inline void outputs(const StageArguments& stage, const typename A::element* w,
                    const typename A::element* in, int64_t in_step, typename A::element* out,
                    int64_t out_step) {
  // All inputs are read before the first output is written: these blocks work in place.
  if (C != 0) return dot<A, axis, C ? C : 1, C>(stage, w, in, in_step, out, out_step);
  int64_t j = 0;
  for (; j + 4 <= stage.b; j += 4)
    dot<A, axis, 4, C>(stage, w + j * stage.weight_j, in, in_step, out + j * out_step, out_step);
  w += j * stage.weight_j;
  out += j * out_step;
  switch (stage.b - j) {
    case 1:
      return dot<A, axis, 1, C>(stage, w, in, in_step, out, out_step);
    case 2:
      return dot<A, axis, 2, C>(stage, w, in, in_step, out, out_step);
    case 3:
      return dot<A, axis, 3, C>(stage, w, in, in_step, out, out_step);
  }
}

template <class A, int C>
void batch_axis_of(const StageArguments& stage) {
  typedef typename A::element element;
  const int64_t width = stage.width;
  const int64_t in_step = stage.d * stage.in_row, out_step = stage.d * stage.out_row;
  for (int64_t i = stage.i0; i < stage.i1; ++i)
    for (int64_t l = stage.l0; l < stage.l1; ++l) {
      const element* w =
          static_cast<const element*>(stage.weights) + i * stage.weight_i + l * stage.weight_l;
      const element* in =
          static_cast<const element*>(stage.in) + (i * stage.c * stage.d + l) * stage.in_row;
      element* out = static_cast<element*>(stage.out) + (i * stage.b * stage.d + l) * stage.out_row;
      for (int64_t t = 0; t < width; t += A::lanes)
        outputs<A, Axis::batch, C>(stage, w, in + t, in_step, out + t, out_step);
    }
}

/// Vector arithmetic A along l, One for the elements that fill no vector.
template <class A, class One, int C>
void l_axis_of(const StageArguments& stage) {
  typedef typename A::element element;
  for (int64_t i = stage.i0; i < stage.i1; ++i) {
    const element* w = static_cast<const element*>(stage.weights) + i * stage.weight_i;
    const element* in = static_cast<const element*>(stage.in) + i * stage.c * stage.d;
    element* out = static_cast<element*>(stage.out) + i * stage.b * stage.d;
    int64_t l = stage.l0;
    for (; l + A::lanes <= stage.l1; l += A::lanes)
      outputs<A, Axis::l, C>(stage, w + l * stage.weight_l, in + l, stage.d, out + l, stage.d);
    for (; l < stage.l1; ++l)
      outputs<One, Axis::l, C>(stage, w + l * stage.weight_l, in + l, stage.d, out + l, stage.d);
  }
}

// Square blocks of the common small sizes are unrolled; others loop.
template <class A>
void batch_axis(const StageArguments& stage) {
  if (stage.b == 2 && stage.c == 2) return batch_axis_of<A, 2>(stage);
  if (stage.b == 4 && stage.c == 4) return batch_axis_of<A, 4>(stage);
  batch_axis_of<A, 0>(stage);
}

template <class A, class One>
void l_axis(const StageArguments& stage) {
  if (stage.b == 2 && stage.c == 2) return l_axis_of<A, One, 2>(stage);
  if (stage.b == 4 && stage.c == 4) return l_axis_of<A, One, 4>(stage);
  l_axis_of<A, One, 0>(stage);
}

/// y[u] = x[u] with lanes n and n ^ distance exchanged. The distances are constants to the
/// compiler; U vectors share the jump.
template <class A, int U>
void exchange(typename A::Vector (&y)[U], const typename A::Vector (&x)[U], int64_t distance) {
#define PAPILIO_EXCHANGE(n)                                               \
  case n:                                                                 \
    if (n < A::lanes)                                                     \
      for (int u = 0; u < U; ++u) y[u] = A::template exchange<(n)>(x[u]); \
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

template <class A, int U>
inline void within_vectors(const WithinArguments& work, int64_t v) {
  typedef typename A::element element;
  typename A::Vector x[U], y[U];
  for (int u = 0; u < U; ++u)
    x[u] = A::load_vector(static_cast<const element*>(work.in) + (v + u) * A::lanes);
  for (const WithinStage* stage = work.stages; stage != work.stages + work.count; ++stage) {
    const int64_t step = stage->vector_step;
    const element* w = static_cast<const element*>(stage->weights) + v * step;
    typename A::Sum sum[U];
    for (int u = 0; u < U; ++u) sum[u] = A::product(A::weight(w + u * step), A::input(x[u]));
    for (int64_t q = 1; q < stage->c; ++q) {
      w += A::lanes;
      exchange<A, U>(y, x, q * stage->d);
      for (int u = 0; u < U; ++u)
        sum[u] = A::multiply_add(sum[u], A::weight(w + u * step), A::input(y[u]));
    }
    for (int u = 0; u < U; ++u) x[u] = A::total(sum[u], stage->conjugate);
  }
  for (int u = 0; u < U; ++u)
    A::store_vector(static_cast<element*>(work.out) + (v + u) * A::lanes, x[u]);
}

template <class A>
void within(const WithinArguments& work) {
  constexpr int U = 4;  // independent vectors, to hide the latency of the exchanges
  int64_t v = work.first;
  for (; v + U <= work.last; v += U) within_vectors<A, U>(work, v);
  for (; v < work.last; ++v) within_vectors<A, 1>(work, v);
}

template <class element>
void pack(const CopyArguments& copy, const void* matrix, void* tile) {
  element* to = static_cast<element*>(tile);
  for (int64_t row = 0; row < copy.rows; ++row, to += copy.tile_width) {
    const int64_t source = copy.index ? copy.index[row] : row;
    const element* from = static_cast<const element*>(matrix) + source * copy.row_stride;
    if (copy.column_stride == 1)
      memcpy(to, from, static_cast<size_t>(copy.columns) * sizeof(element));
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t] = from[t * copy.column_stride];
    for (int64_t t = copy.columns; t < copy.tile_width; ++t) to[t] = element{};
  }
}

/// The way back: row r of the matrix is row index[r] of the tile.
template <class element>
void unpack(const CopyArguments& copy, const void* tile, void* matrix) {
  for (int64_t row = 0; row < copy.rows; ++row) {
    const int64_t source = copy.index ? copy.index[row] : row;
    const element* from = static_cast<const element*>(tile) + source * copy.tile_width;
    element* to = static_cast<element*>(matrix) + row * copy.row_stride;
    if (copy.column_stride == 1)
      memcpy(to, from, static_cast<size_t>(copy.columns) * sizeof(element));
    else
      for (int64_t t = 0; t < copy.columns; ++t) to[t * copy.column_stride] = from[t];
  }
}

template <class A, class One>
constexpr Kernels kernels_of() {
  return {A::lanes,
          batch_axis<A>,
          l_axis<A, One>,
          within<A>,
          pack<typename A::element>,
          unpack<typename A::element>};
}

#define PAPILIO_STRING_OF(x) #x
#define PAPILIO_STRING(x) PAPILIO_STRING_OF(x)
#define PAPILIO_JOIN_OF(x, y) x##y
#define PAPILIO_JOIN(x, y) PAPILIO_JOIN_OF(x, y)

constexpr Table table = {PAPILIO_STRING(PAPILIO_ISA_NAME),
                         PAPILIO_VECTOR_BYTES,
                         {kernels_of<Real<float, batch<float>>, Real<float, single<float>>>(),
                          kernels_of<Real<double, batch<double>>, Real<double, single<double>>>(),
                          kernels_of<ComplexBatch<float>, ComplexSingle<float>>(),
                          kernels_of<ComplexBatch<double>, ComplexSingle<double>>()}};

}  // namespace

const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)();
const Table& PAPILIO_JOIN(table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
