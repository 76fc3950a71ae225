// Real and complex numbers in SIMD vectors: complex ones with real and imaginary parts in vectors
// of their own. A tile between two stages of such numbers keeps them so ("split": lanes real parts,
// then lanes imaginary ones, in the order of the lanes).
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// One SIMD vector of real numbers.
template <class T>
struct RealLanes {
  typedef T scalar;
  typedef batch<T> V;
  static constexpr int parts = 1, lanes = V::lanes;
  V re;

  PAPILIO_INLINE static RealLanes broadcast(const T* from) { return {V::broadcast(*from)}; }
  PAPILIO_INLINE static RealLanes load(const T* from, const T* = nullptr) {
    return {V::load(from)};
  }
  PAPILIO_INLINE static RealLanes load_interleaved(const T* from, const T*) { return load(from); }
  PAPILIO_INLINE void store(T* to, T* = nullptr) const { re.store(to); }
  PAPILIO_INLINE void store_interleaved(T* to, T*) const { store(to); }
  PAPILIO_INLINE void stream(T* to) const { re.stream(to); }
  PAPILIO_INLINE RealLanes swapped() const { return *this; }
  PAPILIO_INLINE RealLanes scaled(V s) const { return {re * s}; }
  PAPILIO_INLINE friend RealLanes operator+(RealLanes x, RealLanes y) { return {x.re + y.re}; }
  PAPILIO_INLINE friend RealLanes operator-(RealLanes x, RealLanes y) { return {x.re - y.re}; }
  PAPILIO_INLINE friend RealLanes operator*(RealLanes x, RealLanes y) { return {x.re * y.re}; }
};

/// As many complex numbers as a SIMD vector has real lanes, in two vectors. Lanes are in the order
/// that leaves the exchanges between interleaved and split numbers within 128 bits, where they are
/// cheap: those of the first half that lie in 128 bits, then those of the second half, and so on.
template <class T>
struct ComplexLanes {
  typedef T scalar;
  typedef batch<T> V;
  static constexpr int parts = 2, lanes = V::lanes;
  V re, im;

  /// Which of the numbers is in this lane, and the other way round.
  static constexpr int number_at(int lane) {
    return lane / (2 * together) * together + lane % together +
           lane % (2 * together) / together * (lanes / 2);
  }
  static constexpr int lane_of(int number) {
    const int n = number % (lanes / 2);
    return n / together * 2 * together + n % together + number / (lanes / 2) * together;
  }

  PAPILIO_INLINE static ComplexLanes parted(V low, V high) {
    return {permute(low, high, [](int n) { return 2 * number_at(n); }),
            permute(low, high, [](int n) { return 2 * number_at(n) + 1; })};
  }
  PAPILIO_INLINE static ComplexLanes broadcast(const T* from) {
    return {V::broadcast(from[0]), V::broadcast(from[1])};
  }
  PAPILIO_INLINE static ComplexLanes load(const T* from_re, const T* from_im) {
    return {V::load(from_re), V::load(from_im)};
  }
  /// The first and the second half of the numbers, as (re, im) pairs in memory.
  PAPILIO_INLINE static ComplexLanes load_interleaved(const T* first, const T* second) {
    return parted(V::load_across(first), V::load_across(second));
  }
  PAPILIO_INLINE void store(T* to_re, T* to_im) const {
    re.store(to_re);
    im.store(to_im);
  }
  PAPILIO_INLINE V first() const {
    return permute(re, im, [](int n) { return lane_of(n / 2) + n % 2 * lanes; });
  }
  PAPILIO_INLINE V second() const {
    return permute(re, im, [](int n) { return lane_of(lanes / 2 + n / 2) + n % 2 * lanes; });
  }
  PAPILIO_INLINE void store_interleaved(T* to, T* to_second) const {
    first().store(to);
    second().store(to_second);
  }
  /// (re, im) pairs in places of their own, `at` scalars after `from`, and back.
  PAPILIO_INLINE static ComplexLanes load_pairs(const T* from, const int64_t* at) {
    return parted(kernels::load_pairs(from, at), kernels::load_pairs(from, at + lanes / 2));
  }
  PAPILIO_INLINE void store_pairs(T* to, const int64_t* at) const {
    kernels::store_pairs(first(), to, at);
    kernels::store_pairs(second(), to, at + lanes / 2);
  }
  PAPILIO_INLINE void stream(T* to) const {
    first().stream(to);
    second().stream(to + lanes);
  }
  /// i times the conjugate: a product with conjugated weights is the product of swapped numbers,
  /// swapped.
  PAPILIO_INLINE ComplexLanes swapped() const { return {im, re}; }
  PAPILIO_INLINE ComplexLanes scaled(V s) const { return {re * s, im * s}; }
  PAPILIO_INLINE friend ComplexLanes operator+(ComplexLanes x, ComplexLanes y) {
    return {x.re + y.re, x.im + y.im};
  }
  PAPILIO_INLINE friend ComplexLanes operator-(ComplexLanes x, ComplexLanes y) {
    return {x.re - y.re, x.im - y.im};
  }
  PAPILIO_INLINE friend ComplexLanes operator*(ComplexLanes x, ComplexLanes y) {
    return {subtract_product(x.re * y.re, x.im, y.im), multiply_add(x.re, y.im, x.im * y.re)};
  }

 private:
  static constexpr int together = 16 / (2 * sizeof(T));  // numbers in 128 bits
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
