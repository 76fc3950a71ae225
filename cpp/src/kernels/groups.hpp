// Groups of SIMD vectors that a loop keeps in registers.
#pragma once

#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// A number as a type, which functions without a name can be told.
template <int n>
struct Constant {
  static constexpr int value = n;
};

/// take(Constant<width>{}, first) for groups of up to four of so many vectors, as even as they
/// come.
template <class Take>
PAPILIO_INLINE void in_even_groups(int64_t vectors, const Take& take) {
  for (int64_t first = 0; first < vectors;) {
    const int64_t left = vectors - first;
    const int64_t now = left <= 4 ? left : left < 8 ? (left + 1) / 2 : 4;
    if (now == 4)
      take(Constant<4>{}, first);
    else if (now == 3)
      take(Constant<3>{}, first);
    else if (now == 2)
      take(Constant<2>{}, first);
    else
      take(Constant<1>{}, first);
    first += now;
  }
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
