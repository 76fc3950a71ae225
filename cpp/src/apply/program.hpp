// A chain compiled for one side and one direction of SIMD lanes: stages in the order in which
// they run, with their weights packed.
#pragma once

#include <memory>
#include <vector>

#include "apply/weights.hpp"
#include "kernels/kernels.hpp"
#include "papilio/apply.hpp"

namespace papilio {

/// One pass over the data.
struct Stage {
  enum class Kind { columns, rows, outputs, within };
  Kind kind;
  std::size_t first, last;  // the factors it multiplies by
  Weights weights;          // packed; for outputs, j leads from a SIMD vector to the next
  bool same_l;
  bool in_registers;  // holds its blocks in registers: works in place, may read rows by index
  bool rereads;       // reads its inputs many times: from a tile, not from far apart
  std::vector<kernels::WithinStage> within;  // for Kind::within; `weights` is the first's
  std::vector<std::shared_ptr<const void>> owners;

  const Pattern& pattern() const { return weights.pattern; }
};

/// gather[t] is the row of the input that becomes row t of the first stage's input; row i of the
/// output is row scatter[i] of the last stage's output, and scatter_from is the inverse of scatter.
/// All empty for the identity.
struct Program {
  DType dtype;
  Lanes lanes;
  Index radix;
  std::vector<Stage> stages;
  std::vector<Index> gather, scatter, scatter_from;
  Index input_rows, output_rows;
  Index widest;         // rows of the longest vector between, before or after the stages
  double weight_bytes;  // as packed
};

/// Bytes of L2 cache of a core.
Index l2_bytes();

/// How many elements a vector takes in a tile for Lanes::rows: not a power of two, so that the
/// vectors don't compete for the same cache sets.
Index row_pitch(const Program& program);

/// The tile that fits the caches.
Index default_tile(const Program& program, const BatchClass& batch);

/// Expected seconds on one thread.
double predict(const Program& program, const BatchClass& batch, Index tile);

}  // namespace papilio
