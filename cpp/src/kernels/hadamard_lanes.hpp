// Hadamard matrices whose levels lie within SIMD vectors in part.
#pragma once

#include "kernels/constant_matrices.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// The Hadamard levels at distances `distance`, ..., lanes / 2 of the lanes of each vector.
template <int distance, class T, int V>
PAPILIO_INLINE void exchange_lanes(RealLanes<T> (&x)[V]) {
  if constexpr (distance < batch<T>::lanes) {
    batch<T> sign;
    for (int s = 0; s < batch<T>::lanes; ++s) sign.v[s] = s & distance ? -1 : 1;
    PAPILIO_UNROLL
    for (int n = 0; n < V; ++n)
      x[n].re = multiply_add(x[n].re, sign, permute(x[n].re, [](int s) { return s ^ distance; }));
    exchange_lanes<2 * distance>(x);
  }
}

/// The Hadamard matrix of order V * lanes / d within each run of V contiguous SIMD vectors: levels
/// at distances d, 2d, ... exchange lanes, the others are between vectors.
template <class T, int d, int V>
void hadamard_lanes(const StageArguments& given) {
  typedef batch<T> X;
  constexpr int L = X::lanes;
  const StageArguments stage = given;
  const bool scaled = stage.butterflies.scale != 1;
  const X scale = X::broadcast(static_cast<T>(stage.butterflies.scale));
  Prefetcher prefetcher(stage.prefetch);
  for (int64_t v = 0; v < stage.count; ++v) {
    const T* in = static_cast<const T*>(stage.in) + v * stage.in_step;
    T* out = static_cast<T*>(stage.out) + v * stage.out_step;
    for (int64_t i = stage.i0; i < stage.i1; ++i) {
      RealLanes<T> x[V];
      PAPILIO_UNROLL
      for (int n = 0; n < V; ++n) x[n] = RealLanes<T>::load(in + (i * V + n) * L);
      exchange_lanes<d>(x);
      Hadamard::run(x);
      if (scaled) {
        PAPILIO_UNROLL
        for (int n = 0; n < V; ++n) x[n].scaled(scale).store(out + (i * V + n) * L);
      } else {
        PAPILIO_UNROLL
        for (int n = 0; n < V; ++n) x[n].store(out + (i * V + n) * L);
      }
      prefetcher.step();
    }
  }
}

/// The largest one whose block the registers hold.
constexpr int hadamard_radix = registers >= 32 ? 16 : 8;

template <class T, int d>
void hadamard_within_from(const StageArguments& stage) {
  switch (stage.b * stage.d / batch<T>::lanes) {
    case 1:
      return hadamard_lanes<T, d, 1>(stage);
    case 2:
      return hadamard_lanes<T, d, 2>(stage);
    case 4:
      return hadamard_lanes<T, d, 4>(stage);
    case 8:
      return hadamard_lanes<T, d, 8>(stage);
    default:
      return hadamard_lanes<T, d, hadamard_radix>(stage);
  }
}

template <class T>
void hadamard_within(const StageArguments& stage) {
  constexpr int half = batch<T>::lanes / 2;  // d is smaller than a vector
  switch (stage.d) {
    case 1:
      return hadamard_within_from<T, 1>(stage);
    case 2:
      return hadamard_within_from<T, (half < 2 ? half : 2)>(stage);
    case 4:
      return hadamard_within_from<T, (half < 4 ? half : 4)>(stage);
    default:
      return hadamard_within_from<T, (half < 8 ? half : 8)>(stage);
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
