// Runs of factors whose blocks lie within one SIMD vector.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// y[u] = x[u] with lanes n and n ^ distance exchanged. The distances are constants to the
/// compiler; U vectors share the jump.
template <class A, int U>
PAPILIO_INLINE void exchange(typename A::V (&y)[U], const typename A::V (&x)[U], int64_t distance) {
#define PAPILIO_EXCHANGE(m)                                                                \
  case m:                                                                                  \
    if constexpr (m < A::lanes)                                                            \
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

}  // namespace
}  // namespace kernels
}  // namespace papilio
