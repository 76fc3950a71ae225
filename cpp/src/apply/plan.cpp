#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "apply/program.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

enum WeightsLayout { blocks_layout, lanes_layout };

bool is_power_of_two(Index n) { return (n & (n - 1)) == 0; }

/// Whether each output of the stage needs only inputs from its own SIMD vector of `lanes`.
bool stays_within_vectors(const Pattern& p, Index lanes) {
  return p.b == p.c && p.c > 1 && is_power_of_two(p.c) && lanes % (p.c * p.d) == 0 &&
         p.rows() % lanes == 0;
}

/// Whether lanes along (j, l) need fewer SIMD vectors than lanes along l.
bool prefers_outputs(const Pattern& p, Index lanes) {
  return p.d < lanes && p.d <= 8 && is_power_of_two(p.d) && (p.b * p.d + lanes - 1) / lanes < p.b;
}

std::vector<Index> inverse(const std::vector<Index>& permutation) {
  std::vector<Index> result(permutation.size());
  for (std::size_t n = 0; n < permutation.size(); ++n)
    result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
  return result;
}

}  // namespace

std::shared_ptr<const Program> Planner::program(bool transpose, Lanes lanes_along, Index radix) {
  std::shared_ptr<const Program>& known = programs_[{transpose, lanes_along, radix}];
  if (known) return known;
  const DType dtype = chain_.dtype;
  const Index lanes = kernels::kernels_for(dtype).lanes;
  const double element = static_cast<double>(size_of(dtype));
  const bool columns = lanes_along == Lanes::columns;
  auto program = std::make_shared<Program>();
  program->dtype = dtype;
  program->lanes = lanes_along;
  program->radix = radix;

  auto groups = group_factors(chain_, radix, columns ? 1 : lanes);
  if (!transpose) std::reverse(groups.begin(), groups.end());
  for (const auto& [first, last] : groups) {
    const Pattern pattern = [&, first = first, last = last] {
      Pattern p = chain_.factors[first].pattern;
      for (std::size_t s = first + 1; s < last; ++s)
        p = chain_product(p, chain_.factors[s].pattern);
      if (transpose) std::swap(p.b, p.c);
      return p;
    }();
    Stage stage{};
    stage.first = first;
    stage.last = last;
    const bool within = !columns && stays_within_vectors(pattern, lanes);
    const bool outputs = !columns && !within && prefers_outputs(pattern, lanes);
    stage.kind = columns   ? Stage::Kind::columns
                 : within  ? Stage::Kind::within
                 : outputs ? Stage::Kind::outputs
                           : Stage::Kind::rows;
    stage.in_registers = !outputs && !within && pattern.b == pattern.c &&
                         (pattern.b == 2 || pattern.b == 4 || pattern.b == 8);

    stage.rereads = !stage.in_registers && pattern.b * pattern.c >= 64;

    const Product product = multiply(chain_, first, last);
    const Factor& factor = product.factor;
    Weights& weights = stage.weights;
    weights = weights_of(factor, transpose);
    std::shared_ptr<const void> packed;
    if (within || outputs) {
      packed = within ? pack_within(dtype, weights, lanes) : pack_outputs(dtype, weights, lanes);
    } else if (pattern.d == 1 || factor.tied_d) {
      // The blocks are contiguous as they are, and one weight serves all l.
      if (columns || factor.tied_d) packed = product.owner;
    }
    const bool as_is = columns ? pattern.d == 1 || factor.tied_d : factor.tied_d && pattern.d > 1;
    if (!within && !outputs && !as_is) {
      // Both sides read the same packed memory.
      std::shared_ptr<const void>& shared =
          weights_[{first, last, columns ? blocks_layout : lanes_layout}];
      if (!shared) shared = columns ? pack_blocks(dtype, factor) : pack_lanes(dtype, factor, lanes);
      packed = shared;
    }
    if (packed) {
      weights.values = packed.get();
      stage.owners.push_back(packed);
    }

    // Strides of the packed values, before transposition.
    const Pattern& f = factor.pattern;
    Index j = f.c, k = 1, block = f.b * f.c;
    Index steps = factor.tied_d ? 1 : f.d;  // blocks along l
    stage.same_l = factor.tied_d && f.d > 1;
    if (within) {
      block = pattern.c * lanes;
    } else if (outputs) {
      weights.i =
          weights.i == 0 ? 0 : (pattern.b * pattern.d + lanes - 1) / lanes * pattern.c * lanes;
      weights.j = pattern.c * lanes;
      weights.k = lanes;
      weights.l = 0;
    } else {
      if (!columns && !as_is) {
        const Index width = f.d < lanes ? f.d : lanes;
        steps = f.d < lanes ? 1 : (f.d + lanes - 1) / lanes;
        j *= width;
        k *= width;
        block *= width;
      }
      weights.i = factor.tied_a ? 0 : steps * block;
      weights.j = transpose ? k : j;
      weights.k = transpose ? j : k;
      weights.l = factor.tied_d || steps == 1 ? 0 : block;
    }
    const Index is = weights.i == 0 ? 1 : pattern.a;
    program->weight_bytes +=
        element * static_cast<double>(factor.tied_d ? is * block : is * f.b * f.c * f.d);
    if (within) {
      const kernels::WithinStage here{pattern.c, pattern.d, weights.values,
                                      weights.i == 0 ? 0 : block, false};
      // Runs of such stages are one pass.
      if (!program->stages.empty() && program->stages.back().kind == Stage::Kind::within) {
        Stage& run = program->stages.back();
        run.within.push_back(here);
        run.owners.push_back(packed);
        run.first = std::min(run.first, first);
        run.last = std::max(run.last, last);
        continue;
      }
      stage.within.push_back(here);
    }
    program->stages.push_back(std::move(stage));
  }

  program->gather = inverse(transpose ? chain_.row_permutation : chain_.column_permutation);
  program->scatter = transpose ? chain_.column_permutation : chain_.row_permutation;
  program->scatter_from = inverse(program->scatter);
  program->input_rows = program->stages.front().pattern().cols();
  program->output_rows = program->stages.back().pattern().rows();
  program->widest = program->input_rows;
  for (const Stage& stage : program->stages)
    program->widest = std::max(program->widest, stage.pattern().rows());
  known = program;
  return known;
}

Plan Planner::make_plan(bool transpose, const BatchClass& batch, const Choice& choice) {
  Plan plan{program(transpose, choice.lanes, choice.radix), choice, 0};
  const Index lanes = kernels::kernels_for(chain_.dtype).lanes;
  Index& tile = plan.choice.tile;
  if (tile <= 0) tile = default_tile(*plan.program, batch);
  // Columns go in whole SIMD vectors.
  if (choice.lanes == Lanes::columns) tile = (tile + lanes - 1) / lanes * lanes;
  plan.predicted = predict(*plan.program, batch, tile);
  return plan;
}

std::vector<Plan> Planner::candidates(bool transpose, const BatchClass& batch, bool for_tuning) {
  std::vector<Plan> plans;
  for (const Lanes lanes : {Lanes::columns, Lanes::rows})
    for (const Index radix : {4, 2, 8}) {
      if (radix != 4 && !for_tuning) continue;
      plans.push_back(make_plan(transpose, batch, {lanes, radix, 0}));
      if (!for_tuning) continue;
      const Index tile = plans.back().choice.tile;
      for (const Index other : {tile / 4, tile / 2, tile * 2}) {
        if (other < 1 || other > batch.vectors) continue;
        Plan plan = make_plan(transpose, batch, {lanes, radix, other});
        const bool known = std::any_of(plans.begin(), plans.end(),
                                       [&](const Plan& p) { return p.choice == plan.choice; });
        if (!known) plans.push_back(std::move(plan));
      }
    }
  std::stable_sort(plans.begin(), plans.end(),
                   [](const Plan& x, const Plan& y) { return x.predicted < y.predicted; });
  return plans;
}

std::shared_ptr<const Plan> Planner::plan(bool transpose, const BatchClass& batch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<const Plan>& known = plans_[{transpose, batch}];
  if (!known) known = std::make_shared<const Plan>(candidates(transpose, batch, false).front());
  return known;
}

std::shared_ptr<const Plan> Planner::force(bool transpose, const BatchClass& batch,
                                           const Choice& choice) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<const Plan>& known = plans_[{transpose, batch}];
  known = std::make_shared<const Plan>(make_plan(transpose, batch, choice));
  return known;
}

std::string Planner::describe(bool transpose, const BatchClass& batch) {
  const std::shared_ptr<const Plan> plan = this->plan(transpose, batch);
  const Program& program = *plan->program;
  const Index lanes = kernels::kernels_for(program.dtype).lanes;
  const bool columns = program.lanes == Lanes::columns;
  char text[256];
  std::string words;
  const auto add = [&](auto... values) {
    std::snprintf(text, sizeof text, values...);
    words += text;
  };
  const auto number = [](Index n) { return static_cast<long long>(n); };
  add("%lld x %lld, batch of about %lld, %s\n", number(program.output_rows),
      number(program.input_rows), number(batch.vectors), kernels::active_table().isa);
  add("  SIMD vectors of %lld elements along %s; %lld %s go through all stages together\n",
      number(lanes), columns ? "the batch" : "each vector", number(plan->choice.tile),
      columns ? "columns" : "vectors");
  for (std::size_t n = 0; n < program.stages.size(); ++n) {
    const Stage& stage = program.stages[n];
    const Pattern& p = stage.pattern();
    const std::size_t count = chain_.factors.size();
    if (stage.last - stage.first == 1)
      add("  stage %zu: factor %zu of %zu", n + 1, stage.first + 1, count);
    else
      add("  stage %zu: factors %zu to %zu of %zu", n + 1, stage.first + 1, stage.last, count);
    if (stage.kind == Stage::Kind::within)
      add(", all within SIMD vectors, in registers\n");
    else
      add("%s, blocks of %lld x %lld, a = %lld, d = %lld, lanes along %s%s\n",
          stage.last - stage.first > 1 ? " multiplied" : "", number(p.b), number(p.c), number(p.a),
          number(p.d),
          stage.kind == Stage::Kind::columns ? "the batch"
          : stage.kind == Stage::Kind::rows  ? "l"
                                             : "(j, l)",
          stage.in_registers ? ", in place" : "");
  }
  if (!program.gather.empty() || !program.scatter.empty())
    add("  with a permutation of the %s\n", program.gather.empty()    ? "output"
                                            : program.scatter.empty() ? "input"
                                                                      : "input and the output");
  add("  weights: %.4g KiB; predicted on one thread: %.3g us", program.weight_bytes / 1024,
      plan->predicted * 1e6);
  return words;
}

}  // namespace papilio
