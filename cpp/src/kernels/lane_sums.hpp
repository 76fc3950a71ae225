// Sums over the lanes of several SIMD vectors at once.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Lane n of the result is the sum of the lanes of x[n].
template <class V, int distance = V::lanes / 2>
struct LaneSums {
  PAPILIO_INLINE static V of(V* x) {
    PAPILIO_UNROLL
    for (int n = 0; n < distance; ++n) {
      const V low = permute(x[n], x[n + distance],
                            [](int s) { return s & distance ? V::lanes + (s & ~distance) : s; });
      const V high = permute(x[n], x[n + distance],
                             [](int s) { return s & distance ? V::lanes + s : s | distance; });
      x[n] = low + high;
    }
    return LaneSums<V, distance / 2>::of(x);
  }
};
template <class V>
struct LaneSums<V, 0> {
  PAPILIO_INLINE static V of(V* x) { return x[0]; }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
