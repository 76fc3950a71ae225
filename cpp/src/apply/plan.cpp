#include <algorithm>

#include "papilio/apply.hpp"

namespace papilio {

namespace {

Stage make_stage(const Factor& factor, bool transpose, bool conjugate) {
  const Pattern& p = factor.pattern;
  const Index d = factor.tied_d ? 1 : p.d;
  Stage stage{p,
              factor.values,
              factor.tied_a ? 0 : p.b * p.c * d,
              p.c * d,
              d,
              factor.tied_d ? 0 : Index{1},
              conjugate};
  if (transpose) {
    std::swap(stage.pattern.b, stage.pattern.c);
    std::swap(stage.weight_j, stage.weight_k);
  }
  return stage;
}

std::vector<Index> inverse(const std::vector<Index>& permutation) {
  std::vector<Index> result(permutation.size());
  for (std::size_t n = 0; n < permutation.size(); ++n)
    result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
  return result;
}

}  // namespace

Plan Plan::compile(const Chain& chain, bool transpose, bool conjugate) {
  const bool complex = chain.dtype == DType::complex64 || chain.dtype == DType::complex128;
  Plan plan{};
  plan.dtype = chain.dtype;
  for (const Factor& factor : chain.factors)
    plan.stages.push_back(make_stage(factor, transpose, conjugate && complex));
  if (!transpose) std::reverse(plan.stages.begin(), plan.stages.end());
  plan.gather = inverse(transpose ? chain.row_permutation : chain.column_permutation);
  plan.scatter = transpose ? chain.column_permutation : chain.row_permutation;
  plan.input_rows = plan.stages.front().pattern.cols();
  plan.output_rows = plan.stages.back().pattern.rows();
  plan.widest = plan.input_rows;
  for (const Stage& stage : plan.stages) {
    plan.widest = std::max(plan.widest, stage.pattern.rows());
    plan.work += static_cast<double>(stage.pattern.nnz()) * (complex ? 4 : 1);
  }
  return plan;
}

}  // namespace papilio
