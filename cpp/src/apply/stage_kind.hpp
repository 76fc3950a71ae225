// The kinds of stages: all that planning, the cost model, products and plans in words ask about a
// kind stands in one row of one table. A new kind is a name in Stage::Kind and a row here.
#pragma once

#include "apply/program.hpp"
#include "kernels/kernels.hpp"

namespace papilio {

/// What a stage does for one SIMD vector of the batch, or for one of its vectors: multiply-adds of
/// SIMD vectors, exchanges of lanes, blocks that are begun.
struct Effort {
  double products, exchanges, blocks;
};

struct StageKind {
  const char* words;  // where its SIMD lanes are
  bool divides_l;     // whether threads may divide its l among them, not only its blocks i
  /// Its kernel; null if it isn't one for StageArguments.
  kernels::StageKernel (*kernel)(const kernels::Kernels&);
  /// `simd` elements are in a SIMD vector, `parts` scalars in an element.
  Effort (*effort)(const Stage&, Index simd, double parts);
  /// How many blocks i share SIMD vectors of so many real lanes.
  Index (*unit)(const Stage&, bool is_complex, Index real_lanes);
};

const StageKind& descriptor(Stage::Kind kind);

}  // namespace papilio
