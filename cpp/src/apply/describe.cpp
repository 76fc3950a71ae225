// A plan in words.
#include <cstdio>

#include "apply/program.hpp"
#include "apply/stage_kind.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

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
    const char* const where = descriptor(stage.kind).words;
    if (stage.kind == Stage::Kind::within)
      add(", %s\n", where);
    else if (stage.has_butterflies())
      add(" as %s butterflies of radix %lld%s%s, a = %lld, d = %lld, %s\n",
          stage.real || !holds_complex(program.dtype) ? "Hadamard" : "Fourier", number(p.b),
          stage.weights.values ? " with twiddles" : "",
          stage.butterflies.scale == 1 ? "" : " and a scale", number(p.a), number(p.d), where);
    else
      add("%s, blocks of %lld x %lld, a = %lld, d = %lld, %s%s\n",
          stage.last - stage.first > 1 ? " multiplied" : "", number(p.b), number(p.c), number(p.a),
          number(p.d), where, stage.in_registers ? ", in place" : "");
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
