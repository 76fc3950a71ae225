// Butterflies with lanes along each vector.
#pragma once

#include "kernels/butterfly.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Lanes along l, one vector of the batch after the other: d is a multiple of the lanes or, for
/// interleaved complex numbers, half of them; then lanes run along two blocks.
template <class X, class Matrix, int R>
void butterfly_rows(const StageArguments& given) {
  typedef typename X::scalar T;
  constexpr int64_t P = X::parts, L = X::lanes;
  const StageArguments stage = given;
  const bool transposed = stage.butterflies.transposed, twiddled = stage.weights;
  const Ends<X> ends(stage);
  const int64_t blocks = stage.d < L ? L / stage.d : 1, row = stage.d * P;
  // From the first to the second half of the lanes' numbers, in scalars.
  const int64_t half = blocks > 1 ? R * stage.d * P : L * P / 2;
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v)
    for (int64_t i = stage.i0; i < stage.i1; i += blocks) {
      const int64_t start = (i * R * stage.d + stage.l0) * P;
      const T* in = static_cast<const T*>(stage.in) + v * stage.in_step * P + start;
      T* out = static_cast<T*>(stage.out) + v * stage.out_step * P + start;
      const T* w =
          static_cast<const T*>(stage.weights) + i * stage.weight_i + stage.l0 / L * stage.weight_l;
      X slow[R];
      for (int64_t l = stage.l0; l < stage.l1; l += L) {
        const auto twiddle = [&](int k) __attribute__((always_inline)) {
          return X::load(w + (k - 1) * P * L, w + (k - 1) * P * L + L);
        };
        const auto read = [&](int first, auto& x) __attribute__((always_inline)) {
          ends.load(
              x, [&](int k) __attribute__((always_inline)) { return in + (first + k) * row; },
              half);
        };
        const auto write = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
          if (ends.is_plain()) {
            ends.store(x, out + j * row, half);
            if (k >= 0) ends.store(y, out + k * row, half);
          } else {
            slow[j] = x;
            if (k >= 0) slow[k] = y;
          }
        };
        butterfly<X, Matrix, R>(transposed, twiddled, twiddle, read, write);
        if (!ends.is_plain())
          ends.finish(
              slow, [&](int k) __attribute__((always_inline)) { return out + k * row; }, half,
              false);
        prefetcher.step();
        in += L * P;
        out += L * P;
        w += stage.weight_l;
      }
    }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
