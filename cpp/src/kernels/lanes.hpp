// What SIMD lanes run along, and how the kernels for factors of any weights read and write them.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

enum class Axis { columns, rows, outputs };

/// The weights of one position for all lanes.
template <class A, Axis axis>
PAPILIO_INLINE typename A::V take(const typename A::element* w, bool same_l) {
  return axis == Axis::columns || (axis == Axis::rows && same_l) ? A::broadcast(w) : load<A>(w);
}

/// The inputs of all lanes; `part` is 0 for whole vectors, else how many lanes there are.
template <class A>
PAPILIO_INLINE typename A::V take_input(const typename A::element* in, int64_t part) {
  return part ? load_part<A>(in, part) : load<A>(in);
}

template <class A>
PAPILIO_INLINE void put_output(typename A::element* out, typename A::V x, int64_t part) {
  part ? store_part<A>(out, x, part) : store<A>(out, x);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
