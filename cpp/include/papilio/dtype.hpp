// The four element types, and the bridge from a run-time tag to a compile-time type.
#pragma once

#include <complex>
#include <cstddef>

namespace papilio {

enum class DType { float32, float64, complex64, complex128 };
constexpr int dtype_count = 4;

inline std::size_t size_of(DType dtype) {
  constexpr std::size_t sizes[dtype_count] = {4, 8, 8, 16};
  return sizes[static_cast<int>(dtype)];
}

inline bool holds_complex(DType dtype) {
  return dtype == DType::complex64 || dtype == DType::complex128;
}

/// Calls visitor(T{}) with the C++ type that dtype names.
template <class Visitor>
auto visit(DType dtype, Visitor&& visitor) {
  switch (dtype) {
    case DType::float32:
      return visitor(float{});
    case DType::float64:
      return visitor(double{});
    case DType::complex64:
      return visitor(std::complex<float>{});
    default:
      return visitor(std::complex<double>{});
  }
}

}  // namespace papilio

/// use(T) for each of the four types: explicit instantiations of templates.
#define PAPILIO_FOR_ELEMENT_TYPES(use) \
  use(float) use(double) use(std::complex<float>) use(std::complex<double>)
