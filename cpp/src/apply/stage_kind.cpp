#include "apply/stage_kind.hpp"

#include <algorithm>
#include <cmath>

namespace papilio {

namespace {

using kernels::Kernels;
using kernels::StageKernel;

Index ceil_of(Index n, Index step) { return (n + step - 1) / step; }

Index no_unit(const Stage&, bool, Index) { return 1; }

Effort columns_effort(const Stage& stage, Index, double) {
  const Pattern& p = stage.pattern();
  return {static_cast<double>(p.nnz()), 0, static_cast<double>(p.a * p.d)};
}

Effort rows_effort(const Stage& stage, Index simd, double) {
  const Pattern& p = stage.pattern();
  const Index blocks = p.a * ceil_of(p.d, simd);
  return {static_cast<double>(blocks * p.b * p.c), 0, static_cast<double>(blocks)};
}

Effort outputs_effort(const Stage& stage, Index simd, double) {
  const Pattern& p = stage.pattern();
  return {static_cast<double>(p.a * ceil_of(p.b * p.d, simd) * p.c),
          static_cast<double>(p.a * p.c * (p.d == 1 ? 0 : 2)), static_cast<double>(p.a)};
}

Effort within_effort(const Stage& stage, Index simd, double) {
  Effort effort{};
  const Index vectors = stage.pattern().rows() / simd;
  for (const kernels::WithinStage& within : stage.within) {
    effort.products += static_cast<double>(vectors * within.c);
    effort.exchanges += static_cast<double>(vectors * (within.c - 1));
  }
  return effort;
}

/// An addition for each level of each number, and half of the twiddle's product.
Effort butterflies_effort(const Stage& stage, Index numbers, double parts, double exchanges) {
  const double count = static_cast<double>(numbers), radix = static_cast<double>(stage.pattern().b);
  const double levels = std::log2(radix) / (stage.real ? 1 : parts);
  return {count * (levels + (stage.weights.values ? 1 : 0)), count * exchanges, count / radix};
}

Effort column_butterflies_effort(const Stage& stage, Index, double parts) {
  // Finding the rows of a block and its twiddles: 20 to 30 ns were measured on a Cascade Lake.
  constexpr double block_cost = 20;
  Effort effort = butterflies_effort(stage, stage.pattern().rows(), parts, 0);
  effort.overhead *= block_cost;
  return effort;
}

Effort row_butterflies_effort(const Stage& stage, Index simd, double parts) {
  const Pattern& p = stage.pattern();
  if (stage.butterflies.period == 0)
    return butterflies_effort(stage, ceil_of(p.rows(), simd), parts, 0);
  // Numbers that aren't together come and go one by one; where they are is found for each SIMD
  // vector of lanes.
  const Index lanes = 2 * simd;
  const double apart = std::min(1.0, static_cast<double>(lanes) / static_cast<double>(p.d));
  const double moved = static_cast<double>(lanes) * (apart + 2 / static_cast<double>(p.b));
  return butterflies_effort(stage, ceil_of(p.a * p.d, lanes) * 2 * p.b, parts, moved);
}

Effort within_butterflies_effort(const Stage& stage, Index simd, double parts) {
  return butterflies_effort(stage, ceil_of(stage.pattern().rows(), simd), parts,
                            std::log2(static_cast<double>(simd)));
}

Effort permuted_butterflies_effort(const Stage& stage, Index simd, double parts) {
  return butterflies_effort(stage, ceil_of(stage.pattern().rows(), simd), parts, 2);
}

/// What is multiplied of a block: not the identities of an interpolative one.
double weighted_entries(const Stage& stage) {
  const Pattern& p = stage.pattern();
  const Index rank = stage.weights.identities.rank, rows = stage.transposed ? p.c : p.b;
  return static_cast<double>(p.nnz()) * (rank ? 1 - static_cast<double>(rank) / rows : 1);
}

/// Rows and columns that are copied, and sums over lanes.
Effort blocks_effort(const Stage& stage, Index simd, double) {
  const Pattern& p = stage.pattern();
  const double blocks = static_cast<double>(p.a * p.d), lanes = static_cast<double>(simd);
  return {weighted_entries(stage) / lanes,
          blocks * static_cast<double>(p.b + p.c) * (p.d == 1 ? 1 / lanes : 1), blocks};
}

Effort interpolations_effort(const Stage& stage, Index, double) {
  const Pattern& p = stage.pattern();
  const double blocks = static_cast<double>(p.a * p.d);
  return {weighted_entries(stage), blocks * static_cast<double>(p.b + p.c), blocks};
}

/// Lanes that run on through the next block.
Index row_butterflies_unit(const Stage& stage, bool is_complex, Index real_lanes) {
  if (stage.butterflies.period) return 1;  // parts of a SIMD vector may be of two shares
  return is_complex && !stage.real ? std::max(real_lanes / stage.pattern().d, Index{1}) : 1;
}

/// A last run of blocks that repeats some of the one before is of one thread with it.
Index permuted_butterflies_unit(const Stage& stage, bool, Index real_lanes) {
  const Index blocks = stage.pattern().a;
  return blocks % real_lanes == 0 ? real_lanes : blocks;
}

// In the order of Stage::Kind.
constexpr StageKind kinds[] = {
    {"lanes along the batch", true, [](const Kernels& k) { return k.columns; }, columns_effort,
     no_unit},
    {"lanes along l", true, [](const Kernels& k) { return k.rows; }, rows_effort, no_unit},
    {"lanes along (j, l)", false, [](const Kernels& k) { return k.outputs; }, outputs_effort,
     no_unit},
    {"all within SIMD vectors, in registers", false,
     [](const Kernels&) { return StageKernel(nullptr); }, within_effort, no_unit},
    {"lanes along the batch", true, [](const Kernels& k) { return k.butterflies.columns; },
     column_butterflies_effort, no_unit},
    {"lanes along l", true, [](const Kernels& k) { return k.butterflies.rows; },
     row_butterflies_effort, row_butterflies_unit},
    {"in part between lanes", false, [](const Kernels& k) { return k.butterflies.within; },
     within_butterflies_effort, no_unit},
    {"permuted and transposed in registers", false,
     [](const Kernels& k) { return k.butterflies.permuted; }, permuted_butterflies_effort,
     permuted_butterflies_unit},
    {"lanes within blocks", true, [](const Kernels& k) { return k.blocks; }, blocks_effort,
     no_unit},
    {"lanes along the batch", true, [](const Kernels& k) { return k.interpolations; },
     interpolations_effort, no_unit},
};
static_assert(sizeof kinds / sizeof *kinds ==
                  static_cast<std::size_t>(Stage::Kind::interpolations) + 1,
              "a row for each kind");

}  // namespace

const StageKind& descriptor(Stage::Kind kind) { return kinds[static_cast<std::size_t>(kind)]; }

}  // namespace papilio
