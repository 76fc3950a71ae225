// A batch of vectors in tiles on its way through the factors of a chain.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "apply/gradient_way.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

// Between arrays of lines, so that neighbouring lines of two aren't a multiple of 4 KiB apart:
// loads would wait for stores to the other.
constexpr Index apart = 5 * 64;

inline GradientProblem problem_of(const GradientChain& chain, const std::vector<Index>& sizes) {
  const Index parts = holds_complex(chain.dtype) ? 2 : 1;
  GradientProblem problem{chain, kernels::gradient_kernels_for(chain.dtype),
                          parts, static_cast<Index>(size_of(chain.dtype)) / parts,
                          {0},   {0},
                          1,     0};
  for (Index size : sizes) problem.vectors *= size;
  return problem;
}

/// Vectors that lie side by side are turned to run along SIMD lanes, too, but where there are many
/// short ones: 32 to 128 of them take 0.55 to 0.85 times as long then, 256 or 1000 of 16 KiB and
/// more 0.65 to 0.95, of 4 KiB up to 1.4 (dyadic and Monarch, Zen 3), many with blocks of 64 x 64
/// 1.0 to 1.15. Numbers of a permutation would be moved one by one.
inline std::unique_ptr<GradientWay> way_of(GradientProblem& problem,
                                           const std::vector<Index>& sizes, const VectorArray& x,
                                           const std::vector<FactorArray>& values,
                                           const std::vector<FactorArray>& gradients) {
  constexpr Index many = 128, short_bytes = Index{16} << 10;
  const GradientChain& chain = problem.chain;
  const bool side_by_side = !sizes.empty() && x.stride != 1 && x.batch.back() == 1 &&
                            sizes.back() >= problem.kernels.shape.lanes;
  const bool permuted = !chain.row_permutation.empty() || !chain.column_permutation.empty();
  const bool stays =
      permuted || (problem.vectors > many &&
                   (widest(chain) * problem.element() < short_bytes || has_large_blocks(chain)));
  auto way = side_by_side && stays ? nullptr : gradient_rows_way(problem, values, gradients);
  return way ? std::move(way) : gradient_batch_way(problem, values, gradients);
}

/// Between the factors that lines of so many bytes go through: long ones are a task of their own,
/// in which an interruption is answered, too.
inline void between_factors(Index bytes) {
  constexpr Index some_milliseconds = 1 << 20;
  if (bytes >= some_milliseconds) poll_interruption();
}

/// The vectors of a tile in one array of the batch.
class TileVectors {
 public:
  TileVectors(const GradientProblem& problem, const std::vector<Index>& sizes,
              const VectorArray& array, Index rows, const std::vector<Index>& index)
      : sizes_(sizes), array_(array), offsets_(static_cast<std::size_t>(problem.tile)) {
    vectors_ = {rows,
                array.stride,
                0,
                offsets_.data(),
                index.empty() ? nullptr : index.data(),
                problem.pitch(),
                false};
  }
  TileVectors(const TileVectors&) = delete;
  TileVectors& operator=(const TileVectors&) = delete;

  const kernels::GradientVectors& at(Index first, Index count) {
    vectors_.count = count;
    vectors_.together = true;
    for (Index n = 0; n < count; ++n) {
      Index rest = first + n, offset = 0;
      for (std::size_t axis = sizes_.size(); axis-- > 0; rest /= sizes_[axis])
        offset += rest % sizes_[axis] * array_.batch[axis];
      offsets_[static_cast<std::size_t>(n)] = offset;
      if (n > 0 && offset != offsets_[static_cast<std::size_t>(n) - 1] + 1)
        vectors_.together = false;
    }
    if (count == 1 && array_.stride == 1) vectors_.together = false;
    return vectors_;
  }

 private:
  const std::vector<Index>& sizes_;
  const VectorArray& array_;
  std::vector<Index> offsets_;
  kernels::GradientVectors vectors_;
};

/// In nanoseconds or so: how long so many passes over all factors take on one thread.
inline double work_of(const GradientProblem& problem, double passes) {
  double entries = 0;
  for (const Pattern& p : problem.chain.patterns) entries += static_cast<double>(p.nnz());
  const double each = 0.03 * static_cast<double>(problem.number) / 4 *
                      static_cast<double>(problem.parts * problem.parts);
  return passes * each * entries * static_cast<double>(problem.vectors);
}

}  // namespace papilio
