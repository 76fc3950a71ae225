// batch<T>: as many T as a vector register holds, on the compiler's vector extensions, and the
// two arithmetics that the kernels are written in: Real and (interleaved) Complex.
// Everything has internal linkage: an inline function that the linker merged over the per-ISA
// objects would run AVX-512 code on a CPU that has none.
#pragma once

#include <stdint.h>
#include <string.h>

namespace papilio {
namespace kernels {
namespace {

template <class T>
struct batch {
  typedef T native __attribute__((vector_size(PAPILIO_VECTOR_BYTES)));
  static constexpr int lanes = PAPILIO_VECTOR_BYTES / sizeof(T);
  native v;

  static batch load(const T* from) {
    batch result;
    memcpy(&result.v, from, sizeof(native));
    return result;
  }
  void store(T* to) const { memcpy(to, &v, sizeof(native)); }
  // s - zero folds to a broadcast; zero + s wouldn't, because of -0.0.
  static batch broadcast(T s) { return {s - native{}}; }
};

template <class T>
batch<T> operator*(batch<T> x, batch<T> y) {
  return {x.v * y.v};
}
template <class T>
batch<T> operator+(batch<T> x, batch<T> y) {
  return {x.v + y.v};
}

// Integers of the size of a scalar: what permutations are written in.
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

/// Lane n of the result is lane source(n) of x. The sources are constants to the compiler.
template <class T, class Source>
batch<T> permute(batch<T> x, Source source) {
#if defined(__clang__)
  batch<T> result;
  for (int n = 0; n < batch<T>::lanes; ++n) result.v[n] = x.v[source(n)];
  return result;
#else
  typename batch<typename integer_like<T>::type>::native lanes;
  for (int n = 0; n < batch<T>::lanes; ++n) lanes[n] = source(n);
  return {__builtin_shuffle(x.v, lanes)};
#endif
}

template <class T>
struct complex {
  T re, im;
};

/// One element at a time: the same arithmetic as batch<T>, for what is left of a row.
template <class T>
struct single {
  static constexpr int lanes = 1;
  T v;
  static single load(const T* from) { return {*from}; }
  void store(T* to) const { *to = v; }
  static single broadcast(T s) { return {s}; }
};
template <class T>
single<T> operator*(single<T> x, single<T> y) {
  return {x.v * y.v};
}
template <class T>
single<T> operator+(single<T> x, single<T> y) {
  return {x.v + y.v};
}

/// An arithmetic tells how elements meet a vector V of scalars T: what is kept of an input
/// element, of a weight, and of a sum of products of both.
template <class T, class V>
struct Real {
  typedef T element;
  typedef V Vector;
  typedef V Input;
  typedef V Weight;
  typedef V Sum;
  static constexpr int lanes = V::lanes;

  static Vector load_vector(const element* from) { return V::load(from); }
  static void store_vector(element* to, Vector x) { x.store(to); }
  static Input input(Vector x) { return x; }
  static Vector total(Sum sum, bool) { return sum; }
  template <int distance>
  static Vector exchange(Vector x) {
    return permute(x, [](int n) { return n ^ distance; });
  }

  static Input load(const element* from) { return V::load(from); }
  static Weight weight(const element* from) { return V::load(from); }
  static Weight broadcast(const element* from) { return V::broadcast(*from); }
  static Sum product(Weight w, Input x) { return w * x; }
  static Sum multiply_add(Sum sum, Weight w, Input x) { return w * x + sum; }
  static void store(element* to, Sum sum, bool) { sum.store(to); }
};

/// Interleaved complex numbers in batch<T>. A sum keeps re(w) * (x, y) and im(w) * (y, x) apart,
/// so that a product costs two multiply-adds per vector and the signs are set once, in store:
///   (a + ib)(x + iy) = (a x - b y) + i (a y + b x);  conjugating w turns both signs of b.
template <class T>
struct ComplexBatch {
  typedef complex<T> element;
  typedef batch<T> V;
  typedef V Vector;
  static constexpr int lanes = V::lanes / 2;
  struct Input {
    V straight, swapped;
  };
  struct Weight {
    V re, im;
  };
  struct Sum {
    V straight, crossed;
  };

  static V swap(V x) {
    return permute(x, [](int n) { return n ^ 1; });
  }
  static V real_parts(V x) {
    return permute(x, [](int n) { return n & ~1; });
  }
  static V imaginary_parts(V x) {
    return permute(x, [](int n) { return n | 1; });
  }
  static V signs(bool conjugate) {
    V s;
    for (int n = 0; n < V::lanes; ++n) s.v[n] = ((n & 1) != 0) != conjugate ? T(1) : T(-1);
    return s;
  }

  static Vector load_vector(const element* from) { return V::load(&from->re); }
  static void store_vector(element* to, Vector x) { x.store(&to->re); }
  static Input input(Vector x) { return {x, swap(x)}; }
  static Vector total(Sum sum, bool conjugate) {
    return signs(conjugate) * sum.crossed + sum.straight;
  }
  template <int distance>
  static Vector exchange(Vector x) {
    return permute(x, [](int n) { return n ^ (2 * distance); });
  }

  static Input load(const element* from) { return input(load_vector(from)); }
  static Weight weight(const element* from) {
    const V w = V::load(&from->re);
    return {real_parts(w), imaginary_parts(w)};
  }
  static Weight broadcast(const element* from) {
    return {V::broadcast(from->re), V::broadcast(from->im)};
  }
  static Sum product(Weight w, Input x) { return {w.re * x.straight, w.im * x.swapped}; }
  static Sum multiply_add(Sum sum, Weight w, Input x) {
    return {w.re * x.straight + sum.straight, w.im * x.swapped + sum.crossed};
  }
  static void store(element* to, Sum sum, bool conjugate) {
    store_vector(to, total(sum, conjugate));
  }
};

/// ComplexBatch for one element.
template <class T>
struct ComplexSingle {
  typedef complex<T> element;
  typedef complex<T> Input;
  typedef complex<T> Weight;
  struct Sum {
    complex<T> straight, crossed;
  };
  static constexpr int lanes = 1;

  static Input load(const element* from) { return *from; }
  static Weight weight(const element* from) { return *from; }
  static Weight broadcast(const element* from) { return *from; }
  static Sum product(Weight w, Input x) {
    return {{w.re * x.re, w.re * x.im}, {w.im * x.im, w.im * x.re}};
  }
  static Sum multiply_add(Sum sum, Weight w, Input x) {
    return {{w.re * x.re + sum.straight.re, w.re * x.im + sum.straight.im},
            {w.im * x.im + sum.crossed.re, w.im * x.re + sum.crossed.im}};
  }
  static void store(element* to, Sum sum, bool conjugate) {
    const T sign = conjugate ? T(-1) : T(1);
    *to = {sum.straight.re - sign * sum.crossed.re, sum.straight.im + sign * sum.crossed.im};
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
