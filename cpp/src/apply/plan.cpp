#include <algorithm>

#include "kernels/dispatch.hpp"
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

bool is_power_of_two(Index n) { return (n & (n - 1)) == 0; }

/// Whether each output of the stage needs only inputs from its own SIMD vector of `lanes`.
bool stays_within_vectors(const Pattern& p, Index lanes) {
  return p.b == p.c && p.c > 1 && is_power_of_two(p.c) && lanes % (p.c * p.d) == 0 &&
         p.rows() % lanes == 0;
}

/// Packs the weights of such a stage: [vector][q][lane n], for the input lane n ^ (q*d).
template <class T>
WithinStage pack_within(const Stage& stage, Index lanes) {
  const Pattern& p = stage.pattern;
  const Index vectors = stage.weight_i == 0 ? 1 : p.rows() / lanes;
  WithinStage packed{p.c, p.d, {}, stage.weight_i == 0 ? 0 : p.c * lanes, stage.conjugate};
  packed.weights.resize(static_cast<std::size_t>(vectors * p.c * lanes) * sizeof(T));
  T* to = reinterpret_cast<T*>(packed.weights.data());
  const T* from = static_cast<const T*>(stage.weights);
  for (Index v = 0; v < vectors; ++v)
    for (Index q = 0; q < p.c; ++q)
      for (Index n = 0; n < lanes; ++n) {
        const Index row = v * lanes + n;
        const Index i = row / (p.c * p.d), j = row / p.d % p.c, l = row % p.d;
        *to++ = from[i * stage.weight_i + j * stage.weight_j + (j ^ q) * stage.weight_k +
                     l * stage.weight_l];
      }
  return packed;
}

std::vector<VectorStep> make_vector_steps(const std::vector<Stage>& stages, DType dtype) {
  const Index lanes = kernels::kernels_for(dtype).lanes;
  std::vector<VectorStep> steps;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    if (!stays_within_vectors(stages[s].pattern, lanes)) {
      steps.push_back({static_cast<Index>(s), 0, {}});
      continue;
    }
    if (steps.empty() || steps.back().stage >= 0)
      steps.push_back({-1, stages[s].pattern.rows(), {}});
    steps.back().within.push_back(
        visit(dtype, [&](auto tag) { return pack_within<decltype(tag)>(stages[s], lanes); }));
  }
  return steps;
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
  plan.vector_steps = make_vector_steps(plan.stages, chain.dtype);
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
