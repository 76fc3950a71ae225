#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <mutex>
#include <numeric>
#include <unordered_set>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "apply/pieces.hpp"
#include "apply/planner_state.hpp"
#include "apply/program.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

enum WeightsLayout { blocks_layout, lanes_layout };

/// All planners, for forked children. Never destroyed: planners may outlive static objects.
class Planners {
 public:
  void add(Planner* planner) {
    const std::lock_guard<std::mutex> lock(mutex_);
    planners_.insert(planner);
  }
  void remove(Planner* planner) {
    const std::lock_guard<std::mutex> lock(mutex_);
    planners_.erase(planner);
  }
  static Planners& all() {
    static Planners* const planners = [] {
      static Planners* const made = new Planners;
#if defined(__unix__) || defined(__APPLE__)
      pthread_atfork([] { made->mutex_.lock(); }, [] { made->mutex_.unlock(); },
                     [] {
                       for (Planner* planner : made->planners_) planner->survive_fork();
                       made->mutex_.unlock();
                     });
#endif
      return made;
    }();
    return *planners;
  }

 private:
  std::mutex mutex_;
  std::unordered_set<Planner*> planners_;
};

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

/// A stage with twiddles for its only weights.
Stage butterfly_stage(DType dtype, const Piece& piece, bool transpose) {
  const Structure& structure = *piece.structure;
  const Pattern& p = structure.pattern;
  const Index parts = holds_complex(dtype) ? 2 : 1;
  const Index lanes = kernels::kernels_for(dtype).lanes * parts;
  const bool columns = piece.kind == Stage::Kind::column_butterflies;
  const bool conjugated = kind_of(structure) == MatrixKind::conjugate_fourier;
  Stage stage{};
  stage.kind = piece.kind;
  stage.first = piece.first;
  stage.last = piece.last;
  stage.real = piece.real;
  stage.in_registers = piece.kind != Stage::Kind::permuted_butterflies;
  stage.butterflies.transposed = structure.outputs != transpose;
  stage.butterflies.swap = conjugated;
  stage.butterflies.scale = structure.scale;
  Weights& weights = stage.weights;
  weights.pattern = p;
  if (!structure.t.empty()) {
    stage.owners.push_back(columns ? pack_twiddles(dtype, structure, conjugated)
                                   : pack_twiddle_lanes(dtype, structure, conjugated, lanes));
    weights.values = stage.owners.back().get();
    weights.l = (p.c - 1) * parts * (columns ? 1 : lanes);
    weights.i = structure.tied_a ? 0 : weights.l * p.d / (columns ? 1 : lanes);
  }
  return stage;
}

/// How many blocks i of a stage share SIMD vectors of so many lanes (of real numbers).
Index unit_of(const Stage& stage, DType dtype, Index real_lanes) {
  // A last run of blocks that repeats some of the one before is of one thread with it.
  if (stage.kind == Stage::Kind::permuted_butterflies)
    return stage.pattern().a % real_lanes == 0 ? real_lanes : stage.pattern().a;
  const bool in_two_vectors = holds_complex(dtype) && !stage.real;
  if (stage.kind == Stage::Kind::row_butterflies && in_two_vectors)
    return std::max(real_lanes / stage.pattern().d, Index{1});
  return 1;
}

/// What neighbouring stages agree on: where complex numbers stay split between them, and that the
/// last stage scales for all. `lanes` are those of a real SIMD vector.
void join_butterflies(Program& program, Index lanes) {
  auto& stages = program.stages;
  const auto splits = [&](const Stage& stage) {
    const Pattern& p = stage.pattern();
    return !stage.real && holds_complex(program.dtype) &&
           (stage.kind == Stage::Kind::column_butterflies ||
            (stage.kind == Stage::Kind::permuted_butterflies && p.b % lanes == 0) ||
            (stage.kind == Stage::Kind::row_butterflies && p.d % lanes == 0));
  };
  for (std::size_t n = 1; n < stages.size(); ++n)
    stages[n - 1].butterflies.out_split = stages[n].butterflies.in_split =
        splits(stages[n - 1]) && splits(stages[n]);
  Stage* last = nullptr;
  double scale = 1, smallest = 1, largest = 1;
  for (Stage& stage : stages)
    if (stage.has_butterflies()) {
      scale *= stage.butterflies.scale;
      smallest = std::min(smallest, std::abs(scale));
      largest = std::max(largest, std::abs(scale));
      last = &stage;
    }
  // What lies between the stages grows or shrinks by what isn't scaled yet: not by much, or it
  // could overflow or vanish where the factors one after the other would not.
  constexpr double most = 1 << 24;
  if (!last || !(smallest >= 1 / most && largest <= most)) return;
  for (Stage& stage : stages)
    if (stage.has_butterflies()) stage.butterflies.scale = 1;
  last->butterflies.scale = scale;
}

/// The spans of the stages [first, end), which all work on a multiple of `outer` parts, for caches
/// of so many bytes, the nearest one last.
std::vector<Span> divide_stages(const Program& program, Index row_bytes, std::size_t first,
                                std::size_t end, Index outer, const Index* cache,
                                const Index* caches_end) {
  std::vector<Span> spans;
  const auto& stages = program.stages;
  while (first < end) {
    Span span{first, first + 1, outer, {}};
    Index parts = stages[first].units();
    for (std::size_t n = first; n < end && stages[n].in_registers; ++n) {
      parts = std::gcd(parts, stages[n].units());
      if (parts == 1 || stages[first].pattern().rows() / parts * row_bytes > *cache) break;
      // A permutation may lead from one part to another.
      if (n > first && n + 1 == stages.size() && !program.scatter.empty()) break;
      if (n > first) span.parts = parts;
      span.last = n + 1;
    }
    if (span.last > first + 1 && cache + 1 < caches_end) {
      span.inner =
          divide_stages(program, row_bytes, first, span.last, span.parts, cache + 1, caches_end);
      if (span.inner.size() == 1) span = span.inner.front();
    }
    first = span.last;
    spans.push_back(std::move(span));
  }
  return spans;
}

/// The kind of a stage of any weights, and what follows from it.
Stage empty_stage(const Pattern& pattern, bool columns, Index lanes) {
  Stage stage{};
  const bool within = !columns && stays_within_vectors(pattern, lanes);
  const bool outputs = !columns && !within && prefers_outputs(pattern, lanes);
  stage.kind = columns   ? Stage::Kind::columns
               : within  ? Stage::Kind::within
               : outputs ? Stage::Kind::outputs
                         : Stage::Kind::rows;
  stage.in_registers = !outputs && !within && pattern.b == pattern.c &&
                       (pattern.b == 2 || pattern.b == 4 || pattern.b == 8);
  stage.rereads = !stage.in_registers && pattern.b * pattern.c >= 64;
  return stage;
}

/// Sets the strides of a stage's packed values; how many values a block has.
Index set_strides(Stage& stage, const Factor& factor, bool transpose, bool columns, Index lanes) {
  Weights& weights = stage.weights;
  const Pattern &pattern = weights.pattern, &f = factor.pattern;
  // Before transposition.
  Index j = f.c, k = 1, block = f.b * f.c;
  Index steps = factor.tied_d ? 1 : f.d;  // blocks along l
  stage.same_l = factor.tied_d && f.d > 1;
  if (stage.kind == Stage::Kind::within) return pattern.c * lanes;
  if (stage.kind == Stage::Kind::outputs) {
    weights.i =
        weights.i == 0 ? 0 : (pattern.b * pattern.d + lanes - 1) / lanes * pattern.c * lanes;
    weights.j = pattern.c * lanes;
    weights.k = lanes;
    weights.l = 0;
    return block;
  }
  if (!columns && !stage.same_l) {
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
  return block;
}

/// Adds the stage of a piece without structure, which is multiplied by its weights.
void add_weighted_stage(Program& program, const Chain& chain, const Piece& piece, bool transpose,
                        Index lanes) {
  const std::size_t first = piece.first, last = piece.last;
  const Factor factor = product_shape(chain, first, last);
  const bool columns = program.lanes == Lanes::columns;
  const Weights weights = weights_of(factor, transpose);
  const Pattern& f = factor.pattern;
  Stage stage = empty_stage(weights.pattern, columns, lanes);
  stage.first = first;
  stage.last = last;
  stage.weights = weights;
  const Index block = set_strides(stage, factor, transpose, columns, lanes);
  const Index is = stage.weights.i == 0 ? 1 : weights.pattern.a;
  program.weight_bytes += static_cast<double>(size_of(program.dtype)) *
                          static_cast<double>(factor.tied_d ? is * block : is * f.b * f.c * f.d);
  if (stage.kind == Stage::Kind::within) {
    const kernels::WithinStage here{weights.pattern.c, weights.pattern.d, nullptr,
                                    stage.weights.i == 0 ? 0 : block, false};
    // Runs of such stages are one pass.
    if (!program.stages.empty() && program.stages.back().kind == Stage::Kind::within) {
      Stage& run = program.stages.back();
      program.unpacked.push_back({program.stages.size() - 1, run.within.size(), first, last});
      run.within.push_back(here);
      run.first = std::min(run.first, first);
      run.last = std::max(run.last, last);
      return;
    }
    stage.within.push_back(here);
  }
  program.unpacked.push_back({program.stages.size(), 0, first, last});
  program.stages.push_back(std::move(stage));
}

}  // namespace

Planner::Planner(Chain chain) : chain_(std::move(chain)), state_(std::make_unique<State>()) {
  Planners::all().add(this);
}
Planner::~Planner() { Planners::all().remove(this); }

void Planner::survive_fork() {
  const bool usable = state_->publishing.try_lock();
  if (usable && state_->planning.try_lock()) {
    state_->planning.unlock();
    state_->publishing.unlock();
    return;
  }
  // Held by a thread that the child doesn't have, in any state: left alone, never freed.
  static_cast<void>(state_.release());
  state_ = std::make_unique<State>();
}

std::vector<Span> spans_of(const Program& program, Index row_bytes) {
  const Index caches[] = {l2_bytes() / 2, 24 << 10};
  return divide_stages(program, row_bytes, 0, program.stages.size(), 1, std::begin(caches),
                       std::end(caches));
}

const std::vector<std::optional<Structure>>& Planner::structures() {
  if (!state_->structures) {
    std::vector<std::optional<Structure>> found;
    for (const Factor& factor : chain_.factors) found.push_back(analyse(chain_.dtype, factor));
    state_->structures =
        std::make_shared<const std::vector<std::optional<Structure>>>(std::move(found));
  }
  return *state_->structures;
}

/// All about a program but its weights, which only the one that is chosen needs.
std::shared_ptr<Program> Planner::program(bool transpose, Lanes lanes_along, Index radix) {
  std::shared_ptr<Program>& known = state_->programs[{transpose, lanes_along, radix}];
  if (known) return known;
  const DType dtype = chain_.dtype;
  const Index lanes = kernels::kernels_for(dtype).lanes;
  const bool columns = lanes_along == Lanes::columns;
  auto program = std::make_shared<Program>();
  program->dtype = dtype;
  program->lanes = lanes_along;
  program->radix = radix;

  program->gather = inverse(transpose ? chain_.row_permutation : chain_.column_permutation);
  program->scatter = transpose ? chain_.column_permutation : chain_.row_permutation;
  program->scatter_from = inverse(program->scatter);
  if (!columns && holds_complex(dtype))
    program->permuted_blocks =
        order_blocks(transpose ? program->scatter_from : program->gather, 2 * lanes);
  auto pieces = divide(chain_, structures(), lanes_along, radix, program->permuted_blocks);
  if (!transpose) std::reverse(pieces.begin(), pieces.end());
  for (const Piece& piece : pieces) {
    if (piece.structure) {
      program->stages.push_back(butterfly_stage(dtype, piece, transpose));
      program->weight_bytes +=
          static_cast<double>(piece.structure->t.size()) * static_cast<double>(size_of(dtype));
    } else {
      add_weighted_stage(*program, chain_, piece, transpose, lanes);
    }
  }

  for (Stage& stage : program->stages)
    stage.unit = unit_of(stage, dtype, holds_complex(dtype) ? 2 * lanes : lanes);
  join_butterflies(*program, 2 * lanes);
  program->input_rows = program->stages.front().pattern().cols();
  program->output_rows = program->stages.back().pattern().rows();
  program->widest = program->input_rows;
  for (const Stage& stage : program->stages)
    program->widest = std::max(program->widest, stage.pattern().rows());
  known = program;
  return known;
}

std::shared_ptr<const Program> Planner::packed(bool transpose, const Choice& choice) {
  std::shared_ptr<Program> known = program(transpose, choice.lanes, choice.radix);
  if (known->unpacked.empty()) return known;
  // A copy: who finds the program before this is done, or if it fails, finds it as it was.
  const auto result = std::make_shared<Program>(*known);
  Program& program = *result;
  const DType dtype = chain_.dtype;
  const Index lanes = kernels::kernels_for(dtype).lanes;
  const bool columns = program.lanes == Lanes::columns;
  for (const Unpacked& some : program.unpacked) {
    Stage& stage = program.stages[some.stage];
    const bool within = stage.kind == Stage::Kind::within;
    const bool outputs = stage.kind == Stage::Kind::outputs;
    std::shared_ptr<const void> packed;
    const void* values = nullptr;
    if (within || outputs) {
      const Product product = multiply(chain_, some.first, some.last);
      const Weights weights = weights_of(product.factor, transpose);
      packed = within ? pack_within(dtype, weights, lanes) : pack_outputs(dtype, weights, lanes);
      values = packed.get();
    } else if (stage.same_l || (columns && stage.pattern().d == 1)) {
      // The blocks are contiguous as they are, and one weight serves all l.
      const Product product = multiply(chain_, some.first, some.last);
      packed = product.owner;
      values = product.factor.values;
    } else {
      // Both sides read the same packed memory.
      const WeightsKey key{some.first, some.last, columns ? blocks_layout : lanes_layout};
      packed = state_->weights[key];
      if (!packed) {
        const Product product = multiply(chain_, some.first, some.last);
        packed =
            columns ? pack_blocks(dtype, product.factor) : pack_lanes(dtype, product.factor, lanes);
        state_->weights[key] = packed;
      }
      values = packed.get();
    }
    if (within) stage.within[some.within].weights = values;
    if (some.within == 0) stage.weights.values = values;
    if (packed) stage.owners.push_back(packed);
  }
  program.unpacked.clear();
  state_->programs[{transpose, choice.lanes, choice.radix}] = result;
  return result;
}

Plan Planner::make_plan(bool transpose, const BatchClass& batch, const Choice& choice) {
  Plan plan{program(transpose, choice.lanes, choice.radix), choice, 0, nullptr};
  const Index lanes = kernels::kernels_for(chain_.dtype).lanes;
  Index& tile = plan.choice.tile;
  if (tile <= 0) tile = default_tile(*plan.program, batch);
  // Columns go in whole SIMD vectors.
  if (choice.lanes == Lanes::columns) tile = (tile + lanes - 1) / lanes * lanes;
  plan.spans = std::make_shared<const std::vector<Span>>(spans_of(
      *plan.program,
      (choice.lanes == Lanes::columns ? tile : 1) * static_cast<Index>(size_of(chain_.dtype))));
  plan.predicted = predict(*plan.program, batch, tile);
  return plan;
}

std::vector<Plan> Planner::candidates(bool transpose, const BatchClass& batch, bool for_tuning) {
  std::vector<Plan> plans;
  // Structured stages hold more in registers, because no weights are there.
  const bool structured =
      std::any_of(structures().begin(), structures().end(), [](const auto& s) { return bool(s); });
  for (const Lanes lanes : {Lanes::columns, Lanes::rows}) {
    // One vector fills one lane of those along the batch.
    if (lanes == Lanes::columns && batch.vectors == 1 && !for_tuning) continue;
    for (const Index radix : {4, 2, 8, 16}) {
      if (radix == 16 && !structured) continue;
      if (radix != (structured ? 16 : 4) && !for_tuning) continue;
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
  }
  std::stable_sort(plans.begin(), plans.end(),
                   [](const Plan& x, const Plan& y) { return x.predicted < y.predicted; });
  return plans;
}

std::shared_ptr<const Plan> Planner::known_plan(bool transpose, const BatchClass& batch) const {
  const std::lock_guard<std::mutex> lock(state_->publishing);
  const auto found = state_->plans.find({transpose, batch});
  return found == state_->plans.end() ? nullptr : found->second;
}

const Plan* Planner::vector_plan(bool transpose) const {
  return state_->vector_plans[transpose].load(std::memory_order_acquire);
}

bool Planner::is_planned(bool transpose, const BatchClass& batch) const {
  return batch.is_vector() ? vector_plan(transpose) != nullptr
                           : known_plan(transpose, batch) != nullptr;
}

std::shared_ptr<const Plan> Planner::publish(bool transpose, const BatchClass& batch, Plan plan) {
  auto published = std::make_shared<const Plan>(std::move(plan));
  const std::lock_guard<std::mutex> lock(state_->publishing);
  if (batch.is_vector()) {
    auto& kept = state_->kept;
    const auto same = std::find_if(kept.begin(), kept.end(), [&](const auto& other) {
      return other->program == published->program && other->choice == published->choice;
    });
    if (same == kept.end())
      kept.push_back(published);
    else
      published = *same;
    state_->vector_plans[transpose].store(published.get(), std::memory_order_release);
  }
  state_->plans[{transpose, batch}] = published;
  return published;
}

std::shared_ptr<const Plan> Planner::plan(bool transpose, const BatchClass& batch) {
  if (auto known = known_plan(transpose, batch)) return known;
  const std::lock_guard<std::recursive_mutex> lock(state_->planning);
  if (auto known = known_plan(transpose, batch)) return known;
  Plan best = candidates(transpose, batch, false).front();
  best.program = packed(transpose, best.choice);
  return publish(transpose, batch, std::move(best));
}

/// Packed weights that no plan uses may be used by the next one, and are kept unless they are
/// large.
void Planner::forget_large_losers() {
  constexpr double large = 64 << 20;
  auto& programs = state_->programs;
  auto& weights = state_->weights;
  double bytes = 0;
  for (const auto& entry : programs)
    if (entry.second->unpacked.empty()) bytes += entry.second->weight_bytes;
  if (bytes < large) return;
  for (auto entry = programs.begin(); entry != programs.end();)
    entry = entry->second.use_count() == 1 ? programs.erase(entry) : std::next(entry);
  for (auto entry = weights.begin(); entry != weights.end();)
    entry = entry->second.use_count() == 1 ? weights.erase(entry) : std::next(entry);
}

std::shared_ptr<const Plan> Planner::force(bool transpose, const BatchClass& batch,
                                           const Choice& choice) {
  const std::lock_guard<std::recursive_mutex> lock(state_->planning);
  Plan plan = make_plan(transpose, batch, choice);
  plan.program = packed(transpose, plan.choice);
  auto published = publish(transpose, batch, std::move(plan));
  forget_large_losers();
  return published;
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
      words += ", all within SIMD vectors, in registers\n";
    else if (stage.has_butterflies())
      add(" as %s butterflies of radix %lld%s%s, a = %lld, d = %lld, %s\n",
          stage.real || !holds_complex(program.dtype) ? "Hadamard" : "Fourier", number(p.b),
          stage.weights.values ? " with twiddles" : "",
          stage.butterflies.scale == 1 ? "" : " and a scale", number(p.a), number(p.d),
          stage.kind == Stage::Kind::column_butterflies   ? "lanes along the batch"
          : stage.kind == Stage::Kind::row_butterflies    ? "lanes along l"
          : stage.kind == Stage::Kind::within_butterflies ? "in part between lanes"
                                                          : "permuted and transposed in registers");
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
