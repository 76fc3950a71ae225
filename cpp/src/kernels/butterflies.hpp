// Kernels for factors of the form "constant Hadamard or Fourier matrix times diagonal twiddles":
// the twiddles are all that is read, the constant matrix is additions and fixed rotations in
// registers.
#pragma once

#include "kernels/butterflies_across.hpp"
#include "kernels/butterflies_columns.hpp"
#include "kernels/butterflies_permuted.hpp"
#include "kernels/butterflies_rows.hpp"
#include "kernels/hadamard_lanes.hpp"
#include "kernels/kernels.hpp"

namespace papilio {
namespace kernels {
namespace {

template <class X, class Matrix, int R>
void butterfly_rows(const StageArguments& stage) {
  RowVectors<X> vectors = butterflies_of_any_kind<X, Matrix, R>;
  if constexpr (X::parts == 2) {
    const Butterflies& how = stage.butterflies;
    if (how.period) return butterfly_rows_across<X>(stage, R, vectors, butterflies_of_blocks<X, R>);
    if (how.in_split && stage.weights && !how.transposed && how.scale == 1 &&
        (how.out_split || !how.swap))
      vectors = how.out_split ? butterflies_of_split<X, Matrix, R, true>
                              : butterflies_of_split<X, Matrix, R, false>;
  }
  butterfly_rows_by<X>(stage, R, vectors);
}

template <class T>
void hadamard_columns(const StageArguments& stage) {
  typedef RealLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_columns<X, Hadamard, 2>(stage);
    case 4:
      return butterfly_columns<X, Hadamard, 4>(stage);
    case 8:
      return butterfly_columns<X, Hadamard, 8>(stage);
    default:
      return butterfly_columns<X, Hadamard, hadamard_radix>(stage);
  }
}

template <class T>
void hadamard_rows(const StageArguments& stage) {
  typedef RealLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_rows<X, Hadamard, 2>(stage);
    case 4:
      return butterfly_rows<X, Hadamard, 4>(stage);
    case 8:
      return butterfly_rows<X, Hadamard, 8>(stage);
    default:
      return butterfly_rows<X, Hadamard, hadamard_radix>(stage);
  }
}

template <class T>
void fourier_columns(const StageArguments& stage) {
  typedef ComplexLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_columns<X, Fourier, 2>(stage);
    case 3:
      return butterfly_columns<X, Fourier, 3>(stage);
    case 4:
      return butterfly_columns<X, Fourier, 4>(stage);
    case 5:
      return butterfly_columns<X, Fourier, 5>(stage);
    case 6:
      return butterfly_columns<X, Fourier, 6>(stage);
    case 7:
      return butterfly_columns<X, Fourier, 7>(stage);
    case 9:
      return butterfly_columns<X, Fourier, 9>(stage);
    case 11:
      return butterfly_columns<X, Fourier, 11>(stage);
    case 13:
      return butterfly_columns<X, Fourier, 13>(stage);
    case 15:
      return butterfly_columns<X, Fourier, 15>(stage);
    default:
      return butterfly_columns<X, Fourier, 8>(stage);
  }
}

template <class T>
void fourier_rows(const StageArguments& stage) {
  typedef ComplexLanes<T> X;
  switch (stage.b) {
    case 2:
      return butterfly_rows<X, Fourier, 2>(stage);
    case 3:
      return butterfly_rows<X, Fourier, 3>(stage);
    case 4:
      return butterfly_rows<X, Fourier, 4>(stage);
    case 5:
      return butterfly_rows<X, Fourier, 5>(stage);
    case 6:
      return butterfly_rows<X, Fourier, 6>(stage);
    case 7:
      return butterfly_rows<X, Fourier, 7>(stage);
    case 9:
      return butterfly_rows<X, Fourier, 9>(stage);
    case 11:
      return butterfly_rows<X, Fourier, 11>(stage);
    case 13:
      return butterfly_rows<X, Fourier, 13>(stage);
    case 15:
      return butterfly_rows<X, Fourier, 15>(stage);
    default:
      return butterfly_rows<X, Fourier, 8>(stage);
  }
}

template <class T>
void fourier_permuted(const StageArguments& stage) {
  return stage.butterflies.transposed ? butterfly_permuted_held<T, 8, true>(stage)
                                      : butterfly_permuted_held<T, 8, false>(stage);
}

template <class T>
constexpr ButterflyKernels butterfly_kernels(Real<T>) {
  return {hadamard_radix, hadamard_columns<T>, hadamard_rows<T>, hadamard_within<T>, nullptr};
}
template <class T>
constexpr ButterflyKernels butterfly_kernels(Complex<T>) {
  return {8, fourier_columns<T>, fourier_rows<T>, nullptr, fourier_permuted<T>};
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
