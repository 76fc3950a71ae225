#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

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

double magnitude(float x) { return std::abs(static_cast<double>(x)); }
double magnitude(double x) { return std::abs(x); }
template <class R>
double magnitude(std::complex<R> x) {
  return std::max(magnitude(x.real()), magnitude(x.imag()));
}

/// Whether products of these values with others of the kind neither overflow nor vanish, so that
/// merged factors give what the factors would have given one after the other.
template <class T>
bool has_moderate_values(const Factor& factor) {
  using R = decltype(std::abs(T{}));
  const double limit = std::ldexp(1.0, std::numeric_limits<R>::max_exponent / 4);
  const Pattern& p = factor.pattern;
  const Index entries = (factor.tied_a ? 1 : p.a) * p.b * p.c * (factor.tied_d ? Index{1} : p.d);
  const T* values = static_cast<const T*>(factor.values);
  return std::all_of(values, values + entries, [limit](T x) {
    const double size = magnitude(x);
    return size == 0 || (size <= limit && size >= 1 / limit);
  });
}

template <class T>
std::shared_ptr<const void> product_values(const Factor& left, const Factor& right,
                                           const Factor& shape) {
  const Stage x = make_stage(left, false, false), y = make_stage(right, false, false);
  const Pattern &p = left.pattern, &q = right.pattern;
  const Index blocks_f = q.a / p.a, blocks_e = p.d / q.d, rank = chain_rank(p, q);
  const Index is = shape.tied_a ? 1 : p.a, ls = shape.tied_d ? 1 : q.d;
  const Index entries = is * shape.pattern.b * shape.pattern.c * ls;
  std::shared_ptr<T> values(new T[static_cast<std::size_t>(entries)], std::default_delete<T[]>());
  const T* xs = static_cast<const T*>(x.weights);
  const T* ys = static_cast<const T*>(y.weights);
  T* to = values.get();
  for (Index i = 0; i < is; ++i)
    for (Index j = 0; j < p.b; ++j)
      for (Index e = 0; e < blocks_e; ++e)
        for (Index f = 0; f < blocks_f; ++f)
          for (Index k = 0; k < q.c; ++k)
            for (Index l = 0; l < ls; ++l) {
              T sum(0);
              for (Index rho = 0; rho < rank; ++rho)
                sum += xs[i * x.weight_i + j * x.weight_j + (f * rank + rho) * x.weight_k +
                          (e * q.d + l) * x.weight_l] *
                       ys[(i * blocks_f + f) * y.weight_i + (rho * blocks_e + e) * y.weight_j +
                          k * y.weight_k + l * y.weight_l];
              *to++ = sum;
            }
  return values;
}

std::vector<Index> inverse(const std::vector<Index>& permutation) {
  std::vector<Index> result(permutation.size());
  for (std::size_t n = 0; n < permutation.size(); ++n)
    result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
  return result;
}

}  // namespace

void merge_factors(Chain& chain) {
  const auto moderate = [&](const Factor& factor) {
    return visit(chain.dtype, [&](auto tag) { return has_moderate_values<decltype(tag)>(factor); });
  };
  for (std::size_t s = 0; s < chain.factors.size(); ++s) {
    const Factor& left = chain.factors[s];
    if (s + 1 < chain.factors.size()) {
      const Factor& right = chain.factors[s + 1];
      if (chain_failure(left.pattern, right.pattern).empty()) {
        Factor merged{chain_product(left.pattern, right.pattern), nullptr,
                      left.tied_a && right.tied_a, left.tied_d && right.tied_d};
        if (merged.pattern.nnz() <= left.pattern.nnz() + right.pattern.nnz() &&
            kernels::works_in_place(merged.pattern.b, merged.pattern.c) && moderate(left) &&
            moderate(right)) {
          chain.owned.push_back(visit(chain.dtype, [&](auto tag) {
            return product_values<decltype(tag)>(left, right, merged);
          }));
          merged.values = chain.owned.back().get();
          chain.merged.push_back(merged);
          chain.groups.emplace_back(s, s + 2);
          ++s;
          continue;
        }
      }
    }
    chain.merged.push_back(left);
    chain.groups.emplace_back(s, s + 1);
  }
}

Plan Plan::compile(const Chain& chain, bool transpose, bool conjugate) {
  const bool complex = chain.dtype == DType::complex64 || chain.dtype == DType::complex128;
  Plan plan{};
  plan.dtype = chain.dtype;
  const Index lanes = kernels::kernels_for(chain.dtype).lanes;
  for (std::size_t g = 0; g < chain.merged.size(); ++g) {
    plan.stages.push_back(make_stage(chain.merged[g], transpose, conjugate && complex));
    // A single vector has better kernels for unmerged factors whose d is below its lanes.
    const auto [first, last] = chain.groups[g];
    if (chain.merged[g].pattern.d >= lanes)
      plan.vector_stages.push_back(plan.stages.back());
    else
      for (std::size_t s = first; s < last; ++s)
        plan.vector_stages.push_back(make_stage(chain.factors[s], transpose, conjugate && complex));
  }
  if (!transpose) {
    std::reverse(plan.stages.begin(), plan.stages.end());
    std::reverse(plan.vector_stages.begin(), plan.vector_stages.end());
  }
  plan.vector_steps = make_vector_steps(plan.vector_stages, chain.dtype);
  plan.gather = inverse(transpose ? chain.row_permutation : chain.column_permutation);
  plan.scatter = transpose ? chain.column_permutation : chain.row_permutation;
  plan.input_rows = plan.stages.front().pattern.cols();
  plan.output_rows = plan.stages.back().pattern.rows();
  plan.widest = plan.input_rows;
  for (const Stage& stage : plan.vector_stages)
    plan.widest = std::max(plan.widest, stage.pattern.rows());
  for (const Stage& stage : plan.stages) {
    plan.widest = std::max(plan.widest, stage.pattern.rows());
    plan.work += static_cast<double>(stage.pattern.nnz()) * (complex ? 4 : 1);
  }
  return plan;
}

}  // namespace papilio
