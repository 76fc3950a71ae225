// batch<T>: as many T as a vector register holds, on the compiler's vector extensions, and the
// two arithmetics that the kernels are written in: Real and (interleaved) Complex. Intrinsics only
// where the extensions have no words: parts of vectors, stores past the caches, prefetches.
// Everything has internal linkage: an inline function that the linker merged over the per-ISA
// objects would run AVX-512 code on a CPU that has none.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// The intrinsics for vectors of PAPILIO_VECTOR_BYTES, by their bits on x86-64; 0 for none: there
// the compiler makes of the vector extensions what it can.
#if defined(__AVX512F__) && PAPILIO_VECTOR_BYTES == 64
#define PAPILIO_X86_BITS 512
#elif defined(__AVX2__) && defined(__FMA__) && PAPILIO_VECTOR_BYTES == 32
#define PAPILIO_X86_BITS 256
#elif defined(__x86_64__) && PAPILIO_VECTOR_BYTES == 16
#define PAPILIO_X86_BITS 128
#else
#define PAPILIO_X86_BITS 0
#endif

// Inlined by force: a sum or a weight that goes to a function of its own goes through memory.
#define PAPILIO_INLINE inline __attribute__((always_inline))
// Out of line, and once: for long code that is called with constants in some places.
#if defined(__clang__)
#define PAPILIO_APART __attribute__((noinline))
#else
#define PAPILIO_APART __attribute__((noinline, noclone))
#endif
// For loops of constant length over arrays that are to become registers.
#if defined(PAPILIO_SANITIZED)
#define PAPILIO_UNROLL  // checks after every step make unrolled code large beyond use
#elif defined(__clang__)
#define PAPILIO_UNROLL _Pragma("unroll")
#else
#define PAPILIO_UNROLL _Pragma("GCC unroll 16")
#endif

// For loops that aren't worth the code of every step.
#if defined(__clang__)
#define PAPILIO_ROLLED _Pragma("nounroll")
#else
#define PAPILIO_ROLLED _Pragma("GCC unroll 1")
#endif

// The name of a function that carries the instruction set's.
#define PAPILIO_JOIN_OF(x, y) x##y
#define PAPILIO_JOIN(x, y) PAPILIO_JOIN_OF(x, y)

namespace papilio {
namespace kernels {
namespace {

#if PAPILIO_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif

template <class T>
struct batch {
  typedef T native __attribute__((vector_size(PAPILIO_VECTOR_BYTES)));
  static constexpr int lanes = PAPILIO_VECTOR_BYTES / sizeof(T);
  native v;

  PAPILIO_INLINE static batch load(const T* from) {
    return {*reinterpret_cast<const in_memory*>(from)};
  }
  PAPILIO_INLINE void store(T* to) const { *reinterpret_cast<in_memory*>(to) = v; }
  /// A load from where users' numbers are. NumPy's arrays start anywhere at multiples of 16 bytes,
  /// so that every second vector of 32 lies across two cache lines, which takes longer than two
  /// loads of 16: rows of a DFT of 256, 3 to 9 % in all. (Of 64, four loads take as long as one.)
  PAPILIO_INLINE static batch load_across(const T* from) {
#if PAPILIO_X86_BITS == 256
    const auto half = [&](int n) __attribute__((always_inline)) {
      return _mm_loadu_ps(reinterpret_cast<const float*>(from + n * (lanes / 2)));
    };
    return {reinterpret_cast<native>(
        _mm256_insertf128_ps(_mm256_castps128_ps256(half(0)), half(1), 1))};
#else
    return load(from);
#endif
  }

  /// The first count < lanes scalars; the others are 0, and their memory isn't touched.
  PAPILIO_INLINE static batch load_part(const T* from, int64_t count) {
#if PAPILIO_X86_BITS == 512
    return {reinterpret_cast<native>(_mm512_maskz_loadu_epi32(words(count), from))};
#elif PAPILIO_X86_BITS == 256
    return {reinterpret_cast<native>(
        _mm256_maskload_epi32(reinterpret_cast<const int*>(from), words(count)))};
#else
    batch part = {native{}};
    for (int64_t n = 0; n < count; ++n) part.v[n] = from[n];
    return part;
#endif
  }
  PAPILIO_INLINE void store_part(T* to, int64_t count) const {
#if PAPILIO_X86_BITS == 512
    _mm512_mask_storeu_epi32(to, words(count), reinterpret_cast<__m512i>(v));
#elif PAPILIO_X86_BITS == 256
    _mm256_maskstore_epi32(reinterpret_cast<int*>(to), words(count), reinterpret_cast<__m256i>(v));
#else
    for (int64_t n = 0; n < count; ++n) to[n] = v[n];
#endif
  }
  /// A store past the caches; `to` is a multiple of the vector's size.
  PAPILIO_INLINE void stream(T* to) const {
#if PAPILIO_X86_BITS == 512
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), reinterpret_cast<__m512i>(v));
#elif PAPILIO_X86_BITS == 256
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(v));
#elif PAPILIO_X86_BITS == 128
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), reinterpret_cast<__m128i>(v));
#else
    store(to);
#endif
  }

 private:
  // Of any alignment and under any type. With memcpy in its place GCC sends what is loaded through
  // the stack in long loops.
  typedef T in_memory
      __attribute__((vector_size(PAPILIO_VECTOR_BYTES), aligned(alignof(T)), may_alias));

#if PAPILIO_X86_BITS == 512
  PAPILIO_INLINE static __mmask16 words(int64_t count) {
    return static_cast<__mmask16>((1u << (count * (sizeof(T) / 4))) - 1);
  }
#elif PAPILIO_X86_BITS == 256
  PAPILIO_INLINE static __m256i words(int64_t count) {
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count * (sizeof(T) / 4))), number);
  }
#endif

 public:
  // s - zero folds to a broadcast; zero + s wouldn't, because of -0.0.
  PAPILIO_INLINE static batch broadcast(T s) { return {s - native{}}; }
};

template <class T>
PAPILIO_INLINE batch<T> operator*(batch<T> x, batch<T> y) {
  return {x.v * y.v};
}
template <class T>
PAPILIO_INLINE batch<T> operator+(batch<T> x, batch<T> y) {
  return {x.v + y.v};
}
template <class T>
PAPILIO_INLINE batch<T> operator-(batch<T> x, batch<T> y) {
  return {x.v - y.v};
}

// Products and sums in one rounding where the instruction set has that, else in two. They are
// written out, and the compiler may not contract others (-ffp-contract=off): it would choose by how
// a loop is unrolled, and results would depend on where in a tile a vector lies.
/// x * y + z.
PAPILIO_INLINE batch<float> multiply_add(batch<float> x, batch<float> y, batch<float> z) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_fmadd_ps(x.v, y.v, z.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_fmadd_ps(x.v, y.v, z.v)};
#elif defined(__aarch64__)
  return {vfmaq_f32(z.v, x.v, y.v)};
#else
  return {x.v * y.v + z.v};
#endif
}
PAPILIO_INLINE batch<double> multiply_add(batch<double> x, batch<double> y, batch<double> z) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_fmadd_pd(x.v, y.v, z.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_fmadd_pd(x.v, y.v, z.v)};
#elif defined(__aarch64__)
  return {vfmaq_f64(z.v, x.v, y.v)};
#else
  return {x.v * y.v + z.v};
#endif
}
/// z - x * y.
PAPILIO_INLINE batch<float> subtract_product(batch<float> z, batch<float> x, batch<float> y) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_fnmadd_ps(x.v, y.v, z.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_fnmadd_ps(x.v, y.v, z.v)};
#elif defined(__aarch64__)
  return {vfmsq_f32(z.v, x.v, y.v)};
#else
  return {z.v - x.v * y.v};
#endif
}
PAPILIO_INLINE batch<double> subtract_product(batch<double> z, batch<double> x, batch<double> y) {
#if PAPILIO_X86_BITS == 512
  return {_mm512_fnmadd_pd(x.v, y.v, z.v)};
#elif PAPILIO_X86_BITS == 256
  return {_mm256_fnmadd_pd(x.v, y.v, z.v)};
#elif defined(__aarch64__)
  return {vfmsq_f64(z.v, x.v, y.v)};
#else
  return {z.v - x.v * y.v};
#endif
}

/// The same for single numbers.
PAPILIO_INLINE float multiply_add(float x, float y, float z) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(x, y, z);
#else
  return x * y + z;
#endif
}
PAPILIO_INLINE double multiply_add(double x, double y, double z) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fma(x, y, z);
#else
  return x * y + z;
#endif
}

// Sources of permutations are lambdas without state, evaluated while templates are: a loop that
// fills a vector of indices costs the optimizer as much as the rest of a kernel.
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define PAPILIO_SHUFFLE(x, y) __builtin_shufflevector(x, y, source(lane)...)
#endif
#endif
#ifndef PAPILIO_SHUFFLE  // GCC 11
template <class T>
struct integer_like;
template <>
struct integer_like<float> {
  typedef int32_t type;
};
template <>
struct integer_like<double> {
  typedef int64_t type;
};
#define PAPILIO_SHUFFLE(x, y) \
  __builtin_shuffle(x, y, typename batch<typename integer_like<T>::type>::native{source(lane)...})
#endif
/// The numbers below `count`, as arguments of a template.
template <int... lane>
struct Numbers {};
template <int count, int... lane>
struct NumbersBelow : NumbersBelow<count - 1, count - 1, lane...> {};
template <int... lane>
struct NumbersBelow<0, lane...> {
  typedef Numbers<lane...> type;
};

template <class T, class Source, int... lane>
PAPILIO_INLINE batch<T> shuffled(batch<T> x, batch<T> y, Source source, Numbers<lane...>) {
  return {PAPILIO_SHUFFLE(x.v, y.v)};
}
#undef PAPILIO_SHUFFLE

/// Lane n of the result is lane source(n) of x and y one after the other.
template <class T, class Source>
PAPILIO_INLINE batch<T> permute(batch<T> x, batch<T> y, Source source) {
  return shuffled(x, y, source, typename NumbersBelow<batch<T>::lanes>::type());
}

/// Lane n of the result is lane source(n) of x.
template <class T, class Source>
PAPILIO_INLINE batch<T> permute(batch<T> x, Source source) {
  return permute(x, x, source);
}

PAPILIO_INLINE void prefetch(const char* line) {
  // Into L2: what is prefetched here is used a whole tile later.
  __builtin_prefetch(line, 0, 2);
}

/// x is loaded once: compilers make an operand in memory of each of its uses, and loops with fewer
/// multiply-adds than loads wait for these.
template <class T>
PAPILIO_INLINE void load_once(batch<T>& x) {
#if PAPILIO_X86_BITS
  __asm__("" : "+v"(x.v));
#elif defined(__aarch64__) && PAPILIO_VECTOR_BYTES == 16
  __asm__("" : "+w"(x.v));
#endif
}

/// Two scalars again and again. Bits are moved, not computed with.
PAPILIO_INLINE batch<float> broadcast_pair(const float* from) {
  int64_t bits;
  memcpy(&bits, from, sizeof bits);
#if PAPILIO_X86_BITS == 512
  return {reinterpret_cast<batch<float>::native>(_mm512_set1_epi64(bits))};
#elif PAPILIO_X86_BITS == 256
  return {reinterpret_cast<batch<float>::native>(_mm256_set1_epi64x(bits))};
#else
  batch<int64_t>::native pairs = {};
  for (int n = 0; n < batch<int64_t>::lanes; ++n) pairs[n] = bits;
  return {reinterpret_cast<batch<float>::native>(pairs)};
#endif
}
PAPILIO_INLINE batch<double> broadcast_pair(const double* from) {
#if PAPILIO_X86_BITS == 512
  return {reinterpret_cast<batch<double>::native>(
      _mm512_maskz_broadcast_f64x2(0xff, _mm_loadu_pd(from)))};
#elif PAPILIO_X86_BITS == 256
  return {reinterpret_cast<batch<double>::native>(
      _mm256_broadcast_pd(reinterpret_cast<const __m128d*>(from)))};
#else
  batch<double> pairs = {};
  for (int n = 0; n < batch<double>::lanes; ++n) pairs.v[n] = from[n % 2];
  return pairs;
#endif
}

#if PAPILIO_X86_BITS > 0
/// 128 bits of pairs of scalars from places of their own, `at` scalars after `from`, and to such
/// places.
PAPILIO_INLINE __m128 load_some_pairs(const double* from, const int64_t* at) {
  return _mm_castpd_ps(_mm_loadu_pd(from + at[0]));
}
PAPILIO_INLINE __m128 load_some_pairs(const float* from, const int64_t* at) {
  const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + at[0]));
  return _mm_loadh_pi(_mm_castsi128_ps(first), reinterpret_cast<const __m64*>(from + at[1]));
}
PAPILIO_INLINE void store_some_pairs(__m128 pairs, double* to, const int64_t* at) {
  _mm_storeu_pd(to + at[0], _mm_castps_pd(pairs));
}
PAPILIO_INLINE void store_some_pairs(__m128 pairs, float* to, const int64_t* at) {
  _mm_storel_pi(reinterpret_cast<__m64*>(to + at[0]), pairs);
  _mm_storeh_pi(reinterpret_cast<__m64*>(to + at[1]), pairs);
}
#endif

/// The same for SIMD vectors. (Through an array a load would wait until all is stored there.)
template <class T>
PAPILIO_INLINE batch<T> load_pairs(const T* from, const int64_t* at) {
  [[maybe_unused]] typedef typename batch<T>::native native;
  [[maybe_unused]] constexpr int some = 8 / sizeof(T);  // pairs in 128 bits
#if PAPILIO_X86_BITS == 128
  return {reinterpret_cast<native>(load_some_pairs(from, at))};
#elif PAPILIO_X86_BITS == 256
  const __m256 low = _mm256_castps128_ps256(load_some_pairs(from, at));
  return {reinterpret_cast<native>(_mm256_insertf128_ps(low, load_some_pairs(from, at + some), 1))};
#elif PAPILIO_X86_BITS == 512
  __m512 pairs = _mm512_castps128_ps512(load_some_pairs(from, at));
  pairs = _mm512_insertf32x4(pairs, load_some_pairs(from, at + some), 1);
  pairs = _mm512_insertf32x4(pairs, load_some_pairs(from, at + 2 * some), 2);
  pairs = _mm512_insertf32x4(pairs, load_some_pairs(from, at + 3 * some), 3);
  return {reinterpret_cast<native>(pairs)};
#else
  T pairs[batch<T>::lanes];
  for (int n = 0; n < batch<T>::lanes / 2; ++n) memcpy(pairs + 2 * n, from + at[n], 2 * sizeof(T));
  return batch<T>::load(pairs);
#endif
}
template <class T>
PAPILIO_INLINE void store_pairs(batch<T> x, T* to, const int64_t* at) {
  [[maybe_unused]] constexpr int some = 8 / sizeof(T);
#if PAPILIO_X86_BITS == 128
  store_some_pairs(reinterpret_cast<__m128>(x.v), to, at);
#elif PAPILIO_X86_BITS == 256
  const __m256 pairs = reinterpret_cast<__m256>(x.v);
  store_some_pairs(_mm256_castps256_ps128(pairs), to, at);
  store_some_pairs(_mm256_extractf128_ps(pairs, 1), to, at + some);
#elif PAPILIO_X86_BITS == 512
  const __m512 pairs = reinterpret_cast<__m512>(x.v);
  store_some_pairs(_mm512_castps512_ps128(pairs), to, at);
  store_some_pairs(_mm512_extractf32x4_ps(pairs, 1), to, at + some);
  store_some_pairs(_mm512_extractf32x4_ps(pairs, 2), to, at + 2 * some);
  store_some_pairs(_mm512_extractf32x4_ps(pairs, 3), to, at + 3 * some);
#else
  T pairs[batch<T>::lanes];
  x.store(pairs);
  for (int n = 0; n < batch<T>::lanes / 2; ++n) memcpy(to + at[n], pairs + 2 * n, 2 * sizeof(T));
#endif
}

template <class T>
struct complex {
  T re, im;
};

/// An arithmetic tells how the elements of a SIMD vector are kept as input, as weight and as a sum
/// of products of both. All elements are `lanes` to a vector; `count` elements are a part of one.
template <class T>
struct Real {
  typedef T element;
  typedef T scalar;
  typedef batch<T> V;
  typedef V Input;
  typedef V Sum;
  static constexpr int parts = 1;  // scalars in an element, vectors in a sum
  static constexpr int lanes = V::lanes;

  PAPILIO_INLINE static const scalar* scalars(const element* x) { return x; }
  PAPILIO_INLINE static scalar* scalars(element* x) { return x; }
  PAPILIO_INLINE static V broadcast(const element* from) { return V::broadcast(*from); }
  PAPILIO_INLINE static Input input(V x) { return x; }
  PAPILIO_INLINE static Sum product(V w, Input x) { return w * x; }
  PAPILIO_INLINE static Sum multiply_add(Sum sum, V w, Input x) {
    return kernels::multiply_add(w, x, sum);
  }
  PAPILIO_INLINE static V total(Sum sum, bool) { return sum; }
  template <class Source>
  PAPILIO_INLINE static V permuted(V x, Source source) {
    return permute(x, source);
  }
};

/// Interleaved complex numbers. The input keeps its real and its imaginary parts apart, each
/// twice, so that a weight is used as it lies in memory, and a product costs two multiply-adds:
///   (a + ib)(x + iy) = (a x, b x) + i (a y, b y);
/// the multiplication by i, an exchange and a sign, is done once for each sum, in total().
template <class T>
struct Complex {
  typedef complex<T> element;
  typedef T scalar;
  typedef batch<T> V;
  static constexpr int parts = 2;
  static constexpr int lanes = V::lanes / 2;
  struct Input {
    V re, im;
  };
  struct Sum {
    V by_re, by_im;
  };

  PAPILIO_INLINE static const scalar* scalars(const element* x) { return &x->re; }
  PAPILIO_INLINE static scalar* scalars(element* x) { return &x->re; }
  PAPILIO_INLINE static V broadcast(const element* from) { return broadcast_pair(&from->re); }
  PAPILIO_INLINE static Input input(V x) {
    return {permute(x, [](int n) { return n & ~1; }), permute(x, [](int n) { return n | 1; })};
  }
  PAPILIO_INLINE static Sum product(V w, Input x) { return {w * x.re, w * x.im}; }
  PAPILIO_INLINE static Sum multiply_add(Sum sum, V w, Input x) {
    return {kernels::multiply_add(w, x.re, sum.by_re), kernels::multiply_add(w, x.im, sum.by_im)};
  }
  /// by_re + i by_im, or with the weights conjugated: conj(by_re) + i conj(by_im).
  PAPILIO_INLINE static V total(Sum sum, bool conjugate) {
    const V turned = permute(sum.by_im, [](int n) { return n ^ 1; });
    if (conjugate) return kernels::multiply_add(signs(1, -1), sum.by_re, turned);
    return kernels::multiply_add(signs(-1, 1), turned, sum.by_re);
  }
  template <class Source>
  PAPILIO_INLINE static V permuted(V x, Source source) {
    return permute(x, [source](int n) { return 2 * source(n / 2) + n % 2; });
  }

 private:
  PAPILIO_INLINE static V signs(T even, T odd) {
    V s;
    for (int n = 0; n < V::lanes; ++n) s.v[n] = n & 1 ? odd : even;
    return s;
  }
};

template <class A>
PAPILIO_INLINE typename A::V load(const typename A::element* from) {
  return A::V::load(A::scalars(from));
}
template <class A>
PAPILIO_INLINE typename A::V load_part(const typename A::element* from, int64_t count) {
  return A::V::load_part(A::scalars(from), count * A::parts);
}
template <class A>
PAPILIO_INLINE void store(typename A::element* to, typename A::V x) {
  x.store(A::scalars(to));
}
template <class A>
PAPILIO_INLINE void store_part(typename A::element* to, typename A::V x, int64_t count) {
  x.store_part(A::scalars(to), count * A::parts);
}
template <class A>
PAPILIO_INLINE void stream(typename A::element* to, typename A::V x) {
  x.stream(A::scalars(to));
}

/// Exchanges the off-diagonal blocks of size distance, ..., 2, 1 of a lanes x lanes matrix, which
/// transposes it.
template <class A, int distance>
struct Transpose {
  PAPILIO_INLINE static void run(typename A::V (&x)[A::lanes]) {
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
  PAPILIO_INLINE static void run(typename A::V (&)[A::lanes]) {}
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
