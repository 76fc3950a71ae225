// Products with a chain of Kronecker-sparse factors: Chain (the data), Plan (what to do, decided
// once), execute (do it).
#pragma once

#include <memory>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// values[i, j, k, l], C-contiguous of shape (tied_a ? 1 : a, b, c, tied_d ? 1 : d); a tied axis
/// repeats its one entry. The memory isn't owned.
struct Factor {
  Pattern pattern;
  const void* values;
  bool tied_a, tied_d;
};

/// F[i, j] = K[row_permutation[i], column_permutation[j]], K the product of the factors, left to
/// right. An empty permutation is the identity.
struct Chain {
  DType dtype;
  std::vector<Factor> factors;
  std::vector<Index> row_permutation, column_permutation;

  /// The same product with fewer factors, made by merge_factors: merged[g] is the product of the
  /// factors [groups[g].first, groups[g].second). Shares the memory of factors left alone.
  std::vector<Factor> merged;
  std::vector<std::pair<std::size_t, std::size_t>> groups;
  std::vector<std::shared_ptr<const void>> owned;  // values of merged factors

  Index rows() const { return factors.front().pattern.rows(); }
  Index cols() const { return factors.back().pattern.cols(); }
};

/// Fills chain.merged: neighbours are multiplied where the product needs no more multiply-adds
/// than both (two 2 x 2 dyadic factors make a 4 x 4 one) and a kernel holds its blocks in
/// registers, which halves the passes over the data. Memory: at most that of the values again.
void merge_factors(Chain& chain);

/// One factor as the kernels see it: transposition only exchanges strides.
struct Stage {
  Pattern pattern;
  const void* weights;
  Index weight_i, weight_j, weight_k, weight_l;  // strides in elements, 0 where tied
  bool conjugate;
};

/// A stage for single vectors whose blocks lie within a SIMD vector, with the packed copy of its
/// weights that such a kernel reads (kernels.hpp).
struct WithinStage {
  Index c, d;
  std::vector<unsigned char> weights;
  Index vector_step;
  bool conjugate;
};

/// What a single vector goes through at once: one stage, or (stage negative) the run of stages
/// that exchange only lanes within SIMD vectors.
struct VectorStep {
  Index stage;
  Index rows;  // of the vector before and after, for a run
  std::vector<WithinStage> within;
};

/// What one product does: stages in the order in which they run, rows of input and output.
/// gather[t] is the row of the input that becomes row t of the first stage's input; row i of the
/// output is row scatter[i] of the last stage's output. Both empty for the identity.
struct Plan {
  DType dtype;
  std::vector<Stage> stages;
  std::vector<Index> gather, scatter;
  std::vector<Stage> vector_stages;      // the same product for a single vector: its stages,
  std::vector<VectorStep> vector_steps;  // and the steps that refer to them
  Index input_rows, output_rows;
  Index widest;  // rows of the longest vector between, before or after the stages
  double work;   // multiply-adds per column

  /// For a chain that merge_factors has seen; the chain must outlive the plan.
  static Plan compile(const Chain& chain, bool transpose, bool conjugate);
};

/// One axis of a batch; strides in elements, of either sign.
struct BatchAxis {
  Index size, in_stride, out_stride;
};

/// Where the vectors lie: the stride along a vector and the batch axes around it.
struct Layout {
  Index in_stride, out_stride;
  std::vector<BatchAxis> batch;
};

/// out = op(F) in for every vector of the batch. in and out don't overlap. Workspace: two tiles
/// of a few hundred KiB a thread (two vectors for each thread where a single one is larger).
/// The result is the same, bit for bit, for any number of threads.
void execute(const Plan& plan, const Layout& layout, const void* in, void* out);

}  // namespace papilio
