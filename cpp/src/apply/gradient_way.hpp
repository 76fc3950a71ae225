// What gradients of chains need: a batch in tiles, and the two ways in which SIMD lanes run.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/dispatch.hpp"
#include "papilio/gradients.hpp"
#include "papilio/threads.hpp"

namespace papilio {

// Of the lines that enter all factors: in the L3 cache, from which they are read again in order, so
// that a value of a factor serves more vectors. Within the L2 cache (512 KiB) it takes 1.1 to 1.6
// times as long (dyadic, n = 1024 to 16384, Zen 3).
constexpr Index gradient_tile_bytes = Index{4} << 20;

/// Of the lines between factors: the most.
inline Index widest(const GradientChain& chain) {
  Index rows = chain.patterns.front().rows();
  for (const Pattern& p : chain.patterns) rows = std::max(rows, p.cols());
  return rows;
}

/// Whether a block's values fill the L1 cache where each is a whole SIMD vector.
inline bool has_large_blocks(const GradientChain& chain) {
  constexpr Index large = 2048;
  return std::any_of(chain.patterns.begin(), chain.patterns.end(),
                     [](const Pattern& p) { return p.b * p.c > large; });
}

/// What a call needs to know of the chain and of its batch.
struct GradientProblem {
  const GradientChain& chain;
  const kernels::GradientKernels& kernels;
  Index parts, number;            // scalars in an element, bytes of a scalar
  std::vector<Index> weights_at;  // where the factors' packed values begin, in bytes
  std::vector<Index> sums_at;     // the same for gradients
  Index vectors, tile;

  std::size_t factors() const { return chain.patterns.size(); }
  Index weights_bytes() const { return weights_at.back(); }
  Index sums_bytes() const { return sums_at.back(); }
  Index pitch() const { return parts * tile; }
  Index line_bytes() const { return pitch() * number; }
  Index tiles() const { return (vectors + tile - 1) / tile; }
  Index element() const { return parts * number; }
};

/// A way for SIMD lanes to run through a tile: of a call, with the values that came with it.
class GradientWay {
 public:
  virtual ~GradientWay() = default;

  /// The tile of the problem, where so many values are kept of each vector.
  virtual Index tile_of(Index kept) const = 0;
  /// The values in the kernels' order.
  virtual void pack(char* weights) = 0;
  /// Vectors that the chain takes (`input`) or gives, to lines and back.
  virtual void load(bool input, const kernels::GradientVectors& vectors, const void* memory,
                    char* lines) const = 0;
  virtual void store(bool input, const kernels::GradientVectors& vectors, const char* lines,
                     void* memory) const = 0;
  /// out = W in for factor s; `spare` is memory as large as out.
  virtual void forward(std::size_t s, const char* in, char* out, char* spare) const = 0;
  /// The gradient of factor s, given that of what it gives, to `sums` (or elsewhere, if that isn't
  /// `apart` from those of other parts of the batch), where it is added if `adds`. W^H g, unless
  /// it isn't wanted, replaces g: g and other may change places.
  struct Step {
    std::size_t s;
    const char* in;
    char* sums;
    bool adds, apart, wanted;
  };
  virtual void backward(const Step& step, char*& g, char*& other) const = 0;
  /// Gradients out of the kernels' order.
  virtual void unpack(const char* sums, bool apart) const = 0;
};

/// Lanes along the batch: takes all chains. `gradients` is empty where none are wanted.
std::unique_ptr<GradientWay> gradient_batch_way(GradientProblem& problem,
                                                const std::vector<FactorArray>& values,
                                                const std::vector<FactorArray>& gradients);
/// Lanes along each vector; null where a factor's a and d aren't multiples of the lanes.
std::unique_ptr<GradientWay> gradient_rows_way(GradientProblem& problem,
                                               const std::vector<FactorArray>& values,
                                               const std::vector<FactorArray>& gradients);

inline Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

/// Calls body(s, first, last) for slices of factors on several threads, extent(s) being how far
/// they can be divided; what is `whole` stays together.
template <class Extent, class Body>
void for_factor_slices(const GradientProblem& problem, const Extent& extent, const Body& body) {
  struct Slice {
    std::size_t factor;
    Index first, last;
  };
  constexpr Index worth = 1 << 13;  // entries
  std::vector<Slice> slices;
  Index total = 0;
  for (std::size_t s = 0; s < problem.factors(); ++s) {
    const Index entries = problem.chain.patterns[s].nnz(), all = extent(s);
    if (all == 0) continue;
    total += entries;
    const Index step = std::max<Index>(1, worth / std::max<Index>(1, entries / all));
    for (Index i = 0; i < all; i += step) slices.push_back({s, i, std::min(i + step, all)});
  }
  const Index tasks = static_cast<Index>(slices.size());
  parallel_for(threads_for(tasks, static_cast<double>(total)), tasks, [&](Index n) {
    const Slice& slice = slices[static_cast<std::size_t>(n)];
    body(slice.factor, slice.first, slice.last);
  });
}

}  // namespace papilio
