// Gradients: tiles of the batch go forwards and backwards through all factors in the caches.
#include "papilio/gradients.hpp"

#include <algorithm>
#include <cstring>

#include "apply/gradient_tiles.hpp"
#include "papilio/interruption.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

// Parts of the batch whose sums are kept apart: so many threads have work at most.
constexpr Index most_chunks = 16;
// In each part: with 21 it took a twentieth longer than with 64 (dyadic, n = 1024, 256 vectors).
constexpr Index least_vectors = 48;
// Of all sums that are kept apart, where that leaves more than one.
constexpr Index most_chunk_bytes = Index{64} << 20;

/// How the lines that enter the factors are kept: in segments of so many factors, from whose inputs
/// the others are computed again, or all.
struct Keeping {
  Index segment;

  static Keeping of(const GradientProblem& problem, Index width) {
    const Index factors = static_cast<Index>(problem.chain.patterns.size());
    if ((factors + 1) * width * problem.line_bytes() <= gradient_tile_bytes) return {factors};
    Index segment = 1;
    while (segment * segment < factors) ++segment;
    return {segment};
  }
};

/// Tiles forwards and backwards, with the memory that a thread needs for one.
class Backward {
 public:
  Backward(const GradientProblem& problem, const GradientWay& way, Keeping keeping)
      : problem_(problem), way_(way), keeping_(keeping) {
    const Index factors = static_cast<Index>(problem.factors());
    width_ = widest(problem.chain) * problem.line_bytes() + apart;
    const Index segments = (factors + keeping.segment - 1) / keeping.segment;
    memory_ = static_cast<char*>(
        workspace_.reserve(static_cast<std::size_t>((segments + keeping.segment + 1) * width_)));
    inner_ = memory_ + segments * width_;
    gradient_ = inner_ + (keeping.segment - 1) * width_;
    other_ = gradient_ + width_;
  }

  /// Where x is loaded to.
  char* input() { return input_of(problem_.factors() - 1); }
  /// Where the gradient of y is loaded to; then that of x.
  char* gradient() { return gradient_; }

  /// All inputs that are kept, and those of the first segment.
  void forward() {
    for (std::size_t s = problem_.factors() - 1; s > 0; --s) run_forward(s);
  }

  /// The gradients to `sums`, added if `adds`; that of x, if it is wanted.
  void backward(char* sums, bool adds, bool apart, bool wants_input) {
    const std::size_t factors = problem_.factors();
    for (std::size_t s = 0; s < factors; ++s) {
      if (s > 0 && s % static_cast<std::size_t>(keeping_.segment) == 0) compute_again(s);
      between_factors(width_);
      const bool wanted = s + 1 < factors || wants_input;
      way_.backward({s, input_of(s), sums, adds, apart, wanted}, gradient_, other_);
    }
  }

 private:
  /// The last input of a segment (the first that is computed) is kept until the segment is reached.
  char* input_of(std::size_t s) {
    const Index factor = static_cast<Index>(s), segment = keeping_.segment;
    const Index last = static_cast<Index>(problem_.factors()) - 1;
    const Index number = factor / segment, inside = factor % segment;
    if (inside == segment - 1 || factor == last) return memory_ + number * width_;
    return inner_ + inside * width_;
  }

  void run_forward(std::size_t s) {
    between_factors(width_);
    way_.forward(s, input_of(s), input_of(s - 1), other_);
  }

  /// The inputs of the segment that begins with factor s.
  void compute_again(std::size_t s) {
    const std::size_t end =
        std::min(s + static_cast<std::size_t>(keeping_.segment), problem_.factors());
    for (std::size_t n = end - 1; n > s; --n) run_forward(n);
  }

  const GradientProblem& problem_;
  const GradientWay& way_;
  Keeping keeping_;
  Lease workspace_;
  Index width_;
  char *memory_, *inner_, *gradient_, *other_;
};

/// The sums of all chunks are added up pairwise in the first one.
template <class T>
void add_chunks(const GradientProblem& problem, char* sums, Index chunks) {
  if (chunks == 1) return;
  const Index count = problem.sums_bytes() / problem.number;
  constexpr Index share = 4096;
  const Index shares = (count + share - 1) / share;
  const double work = 0.2 * static_cast<double>(count * chunks);
  parallel_for(threads_for(shares, work), shares, [&](Index n) {
    const Index first = n * share, last = std::min(first + share, count);
    for (Index step = 1; step < chunks; step *= 2)
      for (Index chunk = 0; chunk + step < chunks; chunk += 2 * step) {
        T* to = reinterpret_cast<T*>(sums + chunk * problem.sums_bytes());
        const T* from = reinterpret_cast<const T*>(sums + (chunk + step) * problem.sums_bytes());
        for (Index e = first; e < last; ++e) to[e] += from[e];
      }
  });
}

Index chunks_of(const GradientProblem& problem) {
  const Index by_tiles = std::min({most_chunks, problem.tiles(), problem.vectors / least_vectors});
  return std::max<Index>(1, std::min(by_tiles, most_chunk_bytes / problem.sums_bytes()));
}

/// Zeros where gradients are added up, or everywhere.
void clear(const GradientChain& chain, const std::vector<FactorArray>& gradients, bool all) {
  const std::size_t element = size_of(chain.dtype);
  for (std::size_t s = 0; s < gradients.size(); ++s) {
    const Pattern& p = chain.patterns[s];
    const Index* step = gradients[s].strides;
    if (!all && step[0] != 0 && step[3] != 0) continue;
    for (Index i = 0; i < (step[0] ? p.a : 1); ++i)
      for (Index j = 0; j < p.b; ++j)
        for (Index k = 0; k < p.c; ++k)
          for (Index l = 0; l < (step[3] ? p.d : 1); ++l)
            std::memset(static_cast<char*>(gradients[s].data) +
                            (i * step[0] + j * step[1] + k * step[2] + l * step[3]) *
                                static_cast<Index>(element),
                        0, element);
  }
}

}  // namespace

void pull_back(const GradientChain& chain, const std::vector<FactorArray>& values,
               const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& gy,
               const VectorArray& gx, const std::vector<FactorArray>& gradients) {
  GradientProblem problem = problem_of(chain, sizes);
  clear(chain, gradients, problem.vectors == 0);
  if (problem.vectors == 0) return;
  const Index width = widest(chain);
  const auto way = way_of(problem, sizes, x, values, gradients);
  problem.tile = way->tile_of((static_cast<Index>(chain.patterns.size()) + 1) * width);
  const Keeping keeping = Keeping::of(problem, width);
  const Index chunks = chunks_of(problem), tiles = problem.tiles();
  Lease packed;
  char* weights = static_cast<char*>(packed.reserve(
      static_cast<std::size_t>(problem.weights_bytes() + chunks * problem.sums_bytes())));
  char* sums = weights + problem.weights_bytes();
  way->pack(weights);
  parallel_for(threads_for(chunks, work_of(problem, 5)), chunks, [&](Index chunk) {
    char* own = sums + chunk * problem.sums_bytes();
    TileVectors in(problem, sizes, x, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors back(problem, sizes, gx, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors out(problem, sizes, gy, chain.patterns.front().rows(), chain.row_permutation);
    Backward lines(problem, *way, keeping);
    const Index begin = tiles * chunk / chunks;
    for (Index tile = begin; tile < tiles * (chunk + 1) / chunks; ++tile) {
      poll_interruption();
      const Index first = tile * problem.tile;
      const Index count = std::min(problem.tile, problem.vectors - first);
      way->load(true, in.at(first, count), x.data, lines.input());
      way->load(false, out.at(first, count), gy.data, lines.gradient());
      lines.forward();
      lines.backward(own, tile > begin, chunks > 1, gx.data != nullptr);
      if (gx.data) way->store(true, back.at(first, count), lines.gradient(), gx.data);
    }
  });
  if (problem.number == 4)
    add_chunks<float>(problem, sums, chunks);
  else
    add_chunks<double>(problem, sums, chunks);
  way->unpack(sums, chunks > 1);
}

}  // namespace papilio
