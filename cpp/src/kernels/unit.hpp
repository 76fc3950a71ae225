// All kernels of one element type for one instruction set (PAPILIO_ISA_NAME,
// PAPILIO_VECTOR_BYTES): float32.cpp and its like are compiled once for each. Element types share
// no kernel, so that nothing is compiled twice. The objects export their table and nothing else;
// they include C headers only.
#pragma once

#include "kernels/blocks.hpp"
#include "kernels/butterflies.hpp"
#include "kernels/copies.hpp"
#include "kernels/deflate.hpp"
#include "kernels/kernels.hpp"
#include "kernels/rectangles.hpp"
#include "kernels/simd.hpp"
#include "kernels/sparse.hpp"
#include "kernels/squares.hpp"
#include "kernels/within.hpp"

namespace papilio {
namespace kernels {
namespace {

template <class A, Axis axis>
void stage_along(const StageArguments& stage) {
  if (stage.b == 2 && stage.c == 2) return squares<A, axis, 2>(stage);
  if (stage.b == 4 && stage.c == 4) return squares<A, axis, 4>(stage);
  if (stage.b == 8 && stage.c == 8) return squares<A, axis, 8>(stage);
  rectangles<A, axis>(stage);
}

// One unit of 512 bits; two of 256 bits, or of 128 that fuse; else a product and a sum each.
#if PAPILIO_X86_BITS == 512
constexpr double multiply_adds = 3.5;
#elif PAPILIO_X86_BITS == 256 || defined(__aarch64__)
constexpr double multiply_adds = 7;
#else
constexpr double multiply_adds = 5;
#endif

template <class A>
constexpr Kernels kernels_of = {A::lanes,
                                multiply_adds,
                                stage_along<A, Axis::columns>,
                                stage_along<A, Axis::rows>,
                                rectangles<A, Axis::outputs>,
                                blocks<A>,
                                interpolations<A>,
                                within<A>,
                                pack<A>,
                                unpack<A>,
                                butterfly_kernels(A{}),
                                sparse_kernels(A{}),
                                deflate_kernel(A{}),
                                reduce_kernel(A{})};

}  // namespace
}  // namespace kernels
}  // namespace papilio

/// Defines the function that dispatch.cpp knows the table by.
#define PAPILIO_KERNEL_UNIT(dtype, arithmetic)                        \
  namespace papilio {                                                 \
  namespace kernels {                                                 \
  const Kernels& PAPILIO_JOIN(dtype##_kernels_, PAPILIO_ISA_NAME)();  \
  const Kernels& PAPILIO_JOIN(dtype##_kernels_, PAPILIO_ISA_NAME)() { \
    return kernels_of<arithmetic>;                                    \
  }                                                                   \
  }                                                                   \
  }
