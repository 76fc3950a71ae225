// The kinds of stages: all that planning, the cost model, products and plans in words ask about a
// kind stands in one row of one table. A new kind is a name in Stage::Kind and a row here.
#pragma once

#include "apply/program.hpp"
#include "kernels/kernels.hpp"

namespace papilio {

/// What a stage does for one SIMD vector of the batch, or for one of its vectors: multiply-adds of
/// SIMD vectors, exchanges of lanes, nanoseconds to begin its blocks.
struct Effort {
  double products, exchanges, overhead;
};

struct StageKind {
  const char* words;  // where its SIMD lanes are
  bool divides_l;     // whether shares of it may be ranges of l, not only of its blocks i
  /// Its kernel; null if it isn't one for StageArguments.
  kernels::StageKernel (*kernel)(const kernels::Kernels&);
  /// `simd` elements are in a SIMD vector, `parts` scalars in an element.
  Effort (*effort)(const Stage&, Index simd, double parts);
  /// How many blocks i share SIMD vectors of so many real lanes.
  Index (*unit)(const Stage&, bool is_complex, Index real_lanes);
};

const StageKind& descriptor(Stage::Kind kind);

}  // namespace papilio
