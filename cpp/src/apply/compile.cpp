// A chain becomes a program: pieces become stages, which agree with their neighbours and get their
// weights.
#include <algorithm>
#include <cmath>
#include <utility>

#include "apply/pieces.hpp"
#include "apply/planner_state.hpp"
#include "apply/program.hpp"
#include "apply/stage_kind.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"

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
  SteppedPoll poll;
  for (std::size_t n = 0; n < permutation.size(); ++n, poll.step())
    result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
  return result;
}

/// Whether lanes along l of complex numbers run on through the next block, other than by halves.
bool runs_across(const Pattern& p, Index lanes) {
  return p.d % lanes != 0 && !(2 * p.d == lanes && p.a % 2 == 0);
}

/// Adds the stage of a piece whose only weights are twiddles.
void add_butterfly_stage(Program& program, const Piece& piece, bool transpose) {
  const DType dtype = program.dtype;
  const Structure& structure = *piece.structure;
  const Pattern& p = structure.pattern;
  const Index parts = holds_complex(dtype) ? 2 : 1;
  const Index lanes = kernels::kernels_for(dtype).lanes * parts;
  const bool columns = piece.kind == Stage::Kind::column_butterflies;
  const bool conjugated = kind_of(structure) == MatrixKind::conjugate_fourier;
  const bool across = piece.kind == Stage::Kind::row_butterflies && parts == 2 && !piece.real &&
                      runs_across(p, lanes);
  Stage stage{};
  stage.kind = piece.kind;
  stage.first = piece.first;
  stage.last = piece.last;
  stage.real = piece.real;
  stage.in_registers = piece.kind != Stage::Kind::permuted_butterflies;
  stage.butterflies.transposed = structure.outputs != transpose;
  stage.butterflies.swap = conjugated;
  stage.butterflies.scale = structure.scale;
  stage.butterflies.run = 1;
  if (across) stage.butterflies.period = twiddle_period(structure, lanes);
  Weights& weights = stage.weights;
  weights.pattern = p;
  if (!structure.t.empty()) {
    // For rows, as many copies as a SIMD vector has lanes.
    const Index width = columns ? 1 : lanes, found = shared_run(structure);
    const bool shared = found > width && found % width == 0 && !across;
    std::optional<Structure> without;
    if (shared) without = without_repeats(structure, found, width);
    if (shared) stage.butterflies.run = found;
    const Structure& kept = shared ? *without : structure;
    stage.owners.push_back(columns ? pack_twiddles(dtype, kept, conjugated)
                                   : pack_twiddle_lanes(dtype, kept, conjugated, lanes));
    weights.values = stage.owners.back().get();
    weights.l = (p.c - 1) * parts * width;
    weights.i = structure.tied_a ? 0 : weights.l * kept.pattern.d / width;
    const Index entries =
        columns ? kept.entries() : twiddle_period(kept, lanes) * lanes * (p.c - 1);
    program.weight_bytes += static_cast<double>(entries) * static_cast<double>(size_of(dtype));
  }
  program.stages.push_back(std::move(stage));
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
  for (std::size_t n = 1; n < stages.size(); ++n) {
    kernels::Butterflies &left = stages[n - 1].butterflies, &right = stages[n].butterflies;
    // Along rows they lie swapped between stages that swap.
    const bool agree = program.lanes == Lanes::columns || left.swap == right.swap;
    left.out_split = right.in_split = agree && splits(stages[n - 1]) && splits(stages[n]);
  }
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

/// The kind of a stage of any weights, and what follows from it.
Stage empty_stage(const Factor& factor, const Pattern& pattern, bool columns, Index lanes) {
  Stage stage{};
  const bool within = !columns && stays_within_vectors(pattern, lanes);
  const bool outputs = !columns && !within && prefers_outputs(pattern, lanes);
  const bool interpolative = factor.identities.rank > 0;
  stage.kind = columns && interpolative ? Stage::Kind::interpolations
               : columns                ? Stage::Kind::columns
               : reads_blocks(factor)   ? Stage::Kind::blocks
               : within                 ? Stage::Kind::within
               : outputs                ? Stage::Kind::outputs
                                        : Stage::Kind::rows;
  stage.in_registers = !outputs && !within && pattern.b == pattern.c && !interpolative &&
                       (pattern.b == 2 || pattern.b == 4 || pattern.b == 8);
  stage.rereads = !stage.in_registers && pattern.b * pattern.c >= 64;
  stage.gathers = stage.kind == Stage::Kind::columns && stage.rereads &&
                  pattern.b >= kernels::least_gathering && pattern.c <= kernels::most_gathered;
  return stage;
}

/// Sets the strides of a stage's packed values; how many values a block has.
Index set_strides(Stage& stage, const Factor& factor, bool transpose, bool columns, Index lanes) {
  Weights& weights = stage.weights;
  const Pattern &pattern = weights.pattern, &f = factor.pattern;
  // Before transposition.
  Index j = f.c, k = 1, block = f.b * f.c;
  Index steps = factor.tied_d() ? 1 : f.d;  // blocks along l
  stage.same_l = factor.tied_d() && f.d > 1;
  if (factor.identities.rank) block -= factor.identities.rank * f.c;
  if (stage.kind == Stage::Kind::within) return pattern.c * lanes;
  if (stage.kind == Stage::Kind::outputs) {
    weights.i =
        weights.i == 0 ? 0 : (pattern.b * pattern.d + lanes - 1) / lanes * pattern.c * lanes;
    weights.j = pattern.c * lanes;
    weights.k = lanes;
    weights.l = 0;
    return block;
  }
  if (!columns && !stage.same_l && stage.kind != Stage::Kind::blocks) {
    const Index width = f.d < lanes ? f.d : lanes;
    steps = f.d < lanes ? 1 : (f.d + lanes - 1) / lanes;
    j *= width;
    k *= width;
    block *= width;
  }
  weights.i = factor.tied_a ? 0 : steps * block;
  weights.j = transpose ? k : j;
  weights.k = transpose ? j : k;
  weights.l = factor.tied_d() || steps == 1 ? 0 : block;
  return block;
}

/// Whether a stage's kernel reads the values as they are: one weight serves all l, or the blocks
/// are contiguous.
bool lies_as_read(const std::vector<Factor>& factors, const Stage& stage, const Unpacked& some) {
  if (stage.same_l) return true;
  const bool blocks = stage.kind == Stage::Kind::blocks ||
                      stage.kind == Stage::Kind::interpolations ||
                      stage.kind == Stage::Kind::columns;
  return blocks && (stage.pattern().d == 1 || stage.weights.identities.rank > 0 ||
                    (some.last - some.first == 1 && factors[some.first].by_blocks));
}

/// Adds the stage of a piece without structure, which is multiplied by its weights.
void add_weighted_stage(Program& program, const Chain& chain, const Piece& piece, bool transpose,
                        Index lanes) {
  const std::size_t first = piece.first, last = piece.last;
  const Factor factor = product_shape(chain, first, last);
  const bool columns = program.lanes == Lanes::columns;
  const Weights weights = weights_of(factor, transpose);
  const Pattern& f = factor.pattern;
  Stage stage = empty_stage(factor, weights.pattern, columns, lanes);
  stage.first = first;
  stage.last = last;
  stage.transposed = transpose;
  stage.weights = weights;
  const Index block = set_strides(stage, factor, transpose, columns, lanes);
  const Index is = stage.weights.i == 0 ? 1 : weights.pattern.a;
  const Index rows = f.b - factor.identities.rank;  // with weights
  program.weight_bytes += static_cast<double>(size_of(program.dtype)) *
                          static_cast<double>(factor.tied_d() ? is * block : is * rows * f.c * f.d);
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
  const auto known = state_->programs.find({transpose, lanes_along, radix});
  if (known != state_->programs.end()) return known->second;
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
    if (piece.structure)
      add_butterfly_stage(*program, piece, transpose);
    else
      add_weighted_stage(*program, chain_, piece, transpose, lanes);
  }

  for (Stage& stage : program->stages) {
    stage.unit = descriptor(stage.kind)
                     .unit(stage, holds_complex(dtype), holds_complex(dtype) ? 2 * lanes : lanes);
    stage.units = stage.pattern().a / stage.unit;
  }
  join_butterflies(*program, 2 * lanes);
  program->input_rows = program->stages.front().pattern().cols();
  program->output_rows = program->stages.back().pattern().rows();
  program->widest = program->input_rows;
  for (const Stage& stage : program->stages)
    program->widest = std::max(program->widest, stage.pattern().rows());
  ready(*program);
  // Known when it is made: what failed on the way isn't found by the next one.
  state_->programs[{transpose, lanes_along, radix}] = program;
  return program;
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
    } else if (lies_as_read(chain_.factors, stage, some)) {
      const Product product = multiply(chain_, some.first, some.last);
      packed = product.owner;
      values = product.factor.values;
    } else {
      // Both sides read the same packed memory, and of large blocks vectors and batches do.
      const bool blocks = columns || stage.kind == Stage::Kind::blocks;
      const WeightsKey key{some.first, some.last, blocks ? blocks_layout : lanes_layout};
      packed = state_->weights[key];
      if (!packed) {
        const Product product = multiply(chain_, some.first, some.last);
        packed =
            blocks ? pack_blocks(dtype, product.factor) : pack_lanes(dtype, product.factor, lanes);
        state_->weights[key] = packed;
      }
      values = packed.get();
    }
    if (within) stage.within[some.within].weights = values;
    if (some.within == 0) stage.weights.values = values;
    if (packed) stage.owners.push_back(packed);
  }
  program.unpacked.clear();
  ready(program);
  state_->programs[{transpose, choice.lanes, choice.radix}] = result;
  return result;
}

}  // namespace papilio
