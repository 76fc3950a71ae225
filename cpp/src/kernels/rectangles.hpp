// Factors with blocks of any size.
#pragma once

#include "kernels/groups.hpp"
#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

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
  // Along (j, l) the outputs are SIMD vectors, of which the last may be a part.
  const int64_t outputs =
      axis == Axis::outputs ? (stage.b * stage.d + A::lanes - 1) / A::lanes : stage.b;
  const int64_t last_part = axis == Axis::outputs ? stage.b * stage.d % A::lanes : part;
  const int64_t out_j =
      axis == Axis::outputs ? A::lanes : stage.d * (axis == Axis::columns ? stage.out_row : 1);
  int64_t left = outputs;
  const auto take_next = [&](auto some) __attribute__((always_inline)) {
    constexpr int count = decltype(some)::value;
    const int64_t j = outputs - left;
    left -= count;
    dots<A, axis, count, U>(stage, w + j * stage.weight_j, in, out + j * out_j, out_j, part,
                            left == 0 ? last_part : part,
                            left > 0 ? count * stage.weight_j : next - j * stage.weight_j);
  };
  // Eight sums just hide how long a multiply-add takes, twelve with room to spare. 8 = 4 + 4.
  if constexpr (J == 4 && registers == 16 && axis == Axis::columns)
    while (left >= 6 && left != 8) take_next(Constant<6>{});
  while (left >= J) take_next(Constant<J>{});
  if (J > 2)
    while (left >= 2) take_next(Constant<2>{});
  while (left > 0) take_next(Constant<1>{});
}

/// Along l the code is long, and as fast from one place for all that call it.
template <class A, int J, int U>
PAPILIO_APART void row_dots(const StageArguments& stage, const typename A::element* w, Panel<A> in,
                            typename A::element* out, int64_t part, int64_t next) {
  all_dots<A, Axis::rows, J, U>(stage, w, in, out, part, next);
}

/// Copies c x U SIMD vectors, `k` and `u` elements apart, to memory of their own. Rows far apart
/// compete for the same cache sets, and are read again for all outputs. What will be copied next,
/// `next` elements later, is asked for: it comes while the outputs are computed.
template <class A, int U>
PAPILIO_APART void gather(const typename A::element* from, int64_t k_step, int64_t u_step,
                          int64_t c, int64_t part, int64_t next, typename A::element* to) {
  for (int64_t k = 0; k < c; ++k, from += k_step) {
    PAPILIO_UNROLL
    for (int u = 0; u < U; ++u, to += A::lanes) {
      prefetch(reinterpret_cast<const char*>(from + next + u * u_step));
      store<A>(to, take_input<A>(from + u * u_step, part));
    }
  }
}

template <class A, Axis axis>
void rectangles(const StageArguments& given) {
  typedef typename A::element element;
  const StageArguments stage = given;
  // 16 vectors of sums, or 8 where there are 16 registers; one SIMD vector needs more outputs.
  constexpr int J = 4, U = registers / (8 * A::parts);
  alignas(64) element memory[most_gathered * U * A::lanes];
  Prefetcher prefetcher(stage.prefetch);
  const int64_t in_row = axis == Axis::columns ? stage.in_row : 1;
  // Rows that reach over as much as the nearest cache, or one vector alone.
  constexpr int64_t nearest = (32 << 10) / sizeof(element);
  const bool gathers =
      stage.b >= least_gathering && stage.c <= most_gathered &&
      (axis == Axis::columns ? stage.c * stage.d * in_row >= nearest
                             : axis == Axis::rows && stage.count == 1 && stage.d > A::lanes);
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
      const Panel<A> panel{in, stage.d * in_row, stage.in_step};
      const int64_t in_l =
          l + l_step < stage.l1 ? l_step * in_row : (stage.c * stage.d + stage.l0 - l) * in_row;
      const auto at = [&](int64_t u, auto some) __attribute__((always_inline)) {
        constexpr int width = decltype(some)::value;
        const element* const from = in + u * panel.u;
        if (!gathers) return Panel<A>{from, panel.k, panel.u};
        const int64_t next_panel =
            u + 2 * width <= stage.count ? width * panel.u : in_l - u * panel.u;
        gather<A, width>(from, panel.k, panel.u, stage.c, part, next_panel, memory);
        return Panel<A>{memory, width * A::lanes, A::lanes};
      };
      int64_t u = 0;
      if constexpr (axis == Axis::rows) {
        if (U > 1)
          for (; u + U <= stage.count; u += U)
            row_dots<A, J, U>(stage, w, at(u, Constant<U>{}), out + u * stage.out_step, part, 0);
        for (; u < stage.count; ++u)
          row_dots<A, 2 * J, 1>(stage, w, at(u, Constant<1>{}), out + u * stage.out_step, part,
                                next);
      } else {
        if (U > 1)
          for (; u + U <= stage.count; u += U)
            all_dots<A, axis, J, U>(stage, w, at(u, Constant<U>{}), out + u * stage.out_step, part,
                                    0);
        for (; u < stage.count; ++u)
          all_dots<A, axis, 2 * J, 1>(stage, w, at(u, Constant<1>{}), out + u * stage.out_step,
                                      part, next);
        if (stage.tail)
          all_dots<A, axis, 2 * J, 1>(stage, w, Panel<A>{in + u * panel.u, panel.k, panel.u},
                                      out + u * stage.out_step, stage.tail, 0);
      }
      prefetcher.step();
    }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
