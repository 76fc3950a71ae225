// Lanes from places of their own among neighbouring numbers in memory.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Lane n is the number `offsets[n]` after a place (narrow), the offset being below the lanes; or
/// after one of two (wide): from the lanes on, it counts from the second.
template <class T>
class LaneLookup;

#if PAPILIO_X86_BITS == 512

template <>
class LaneLookup<float> {
 public:
  typedef batch<float> V;
  PAPILIO_INLINE explicit LaneLookup(const int32_t* offsets) : at_(_mm512_loadu_si512(offsets)) {}
  PAPILIO_INLINE V narrow(const float* from) const {
    return {_mm512_permutexvar_ps(at_, V::load(from).v)};
  }
  PAPILIO_INLINE V wide(const float* first, const float* second) const {
    return {_mm512_permutex2var_ps(V::load(first).v, at_, V::load(second).v)};
  }

 private:
  __m512i at_;
};

template <>
class LaneLookup<double> {
 public:
  typedef batch<double> V;
  PAPILIO_INLINE explicit LaneLookup(const int32_t* offsets)
      : at_(_mm512_cvtepi32_epi64(
            _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(offsets)))) {}
  PAPILIO_INLINE V narrow(const double* from) const {
    return {_mm512_permutexvar_pd(at_, V::load(from).v)};
  }
  PAPILIO_INLINE V wide(const double* first, const double* second) const {
    return {_mm512_permutex2var_pd(V::load(first).v, at_, V::load(second).v)};
  }

 private:
  __m512i at_;
};

#elif PAPILIO_X86_BITS == 256

/// 32-bit words of one vector or of two.
class WordLookup {
 public:
  PAPILIO_INLINE explicit WordLookup(__m256i at)
      : at_(at), of_second_(_mm256_castsi256_ps(_mm256_cmpgt_epi32(at, _mm256_set1_epi32(7)))) {}
  PAPILIO_INLINE __m256 narrow(__m256 x) const { return _mm256_permutevar8x32_ps(x, at_); }
  PAPILIO_INLINE __m256 wide(__m256 first, __m256 second) const {
    return _mm256_blendv_ps(narrow(first), narrow(second), of_second_);
  }

 private:
  __m256i at_;
  __m256 of_second_;
};

template <>
class LaneLookup<float> {
 public:
  typedef batch<float> V;
  PAPILIO_INLINE explicit LaneLookup(const int32_t* offsets)
      : words_(_mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(offsets))) {}
  PAPILIO_INLINE V narrow(const float* from) const { return {words_.narrow(V::load(from).v)}; }
  PAPILIO_INLINE V wide(const float* first, const float* second) const {
    return {words_.wide(V::load(first).v, V::load(second).v)};
  }

 private:
  WordLookup words_;
};

template <>
class LaneLookup<double> {
 public:
  typedef batch<double> V;
  PAPILIO_INLINE explicit LaneLookup(const int32_t* offsets) : words_(pairs(offsets)) {}
  PAPILIO_INLINE V narrow(const double* from) const {
    return {_mm256_castps_pd(words_.narrow(load(from)))};
  }
  PAPILIO_INLINE V wide(const double* first, const double* second) const {
    return {_mm256_castps_pd(words_.wide(load(first), load(second)))};
  }

 private:
  PAPILIO_INLINE static __m256 load(const double* from) {
    return _mm256_castpd_ps(V::load(from).v);
  }
  /// Words 2 n and 2 n + 1 for number n.
  PAPILIO_INLINE static __m256i pairs(const int32_t* offsets) {
    const __m256i first = _mm256_slli_epi64(
        _mm256_cvtepi32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(offsets))), 1);
    const __m256i second = _mm256_add_epi64(first, _mm256_set1_epi64x(1));
    return _mm256_or_si256(first, _mm256_slli_epi64(second, 32));
  }

  WordLookup words_;
};

#else

template <class T>
class LaneLookup {
 public:
  typedef batch<T> V;
  PAPILIO_INLINE explicit LaneLookup(const int32_t* offsets) : at_(offsets) {}
  PAPILIO_INLINE V narrow(const T* from) const {
    typename V::native lanes = {};
    PAPILIO_UNROLL
    for (int n = 0; n < V::lanes; ++n) lanes[n] = from[at_[n]];
    return {lanes};
  }
  PAPILIO_INLINE V wide(const T* first, const T* second) const {
    typename V::native lanes = {};
    PAPILIO_UNROLL
    for (int n = 0; n < V::lanes; ++n) {
      const bool of_second = at_[n] >= V::lanes;
      lanes[n] = (of_second ? second : first)[at_[n] - (of_second ? V::lanes : 0)];
    }
    return {lanes};
  }

 private:
  const int32_t* at_;
};

#endif

}  // namespace
}  // namespace kernels
}  // namespace papilio
