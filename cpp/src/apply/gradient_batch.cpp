// Gradients with SIMD lanes along the batch.
#include <complex>
#include <cstring>

#include "apply/gradient_way.hpp"

namespace papilio {

namespace {

bool is_square(const Pattern& p) { return p.b == 2 && p.c == 2; }

/// Gradients of a factor in the kernels' order: of elements.
Index block_sums(const kernels::GradientShape& shape, const Pattern& p) {
  const Index columns = shape.tile / 4;
  return (p.b + 3) / 4 * ((p.c + columns - 1) / columns) * shape.tile;
}
Index sums_of(const kernels::GradientShape& shape, const Pattern& p) {
  if (!is_square(p)) return p.a * p.d * block_sums(shape, p);
  const Index together = shape.tile / 4;
  return (p.a * p.d + together - 1) / together * shape.tile;
}

// ------------------------------------------------------------------ orders of values

/// Rows j, columns k and places l of blocks that are moved together: both orders of memory take
/// whole lines of the cache.
struct Run {
  Index j0, j1, k0, k1, l0, l1;
};
template <class Visit>
void for_runs(const Pattern& p, const Visit& visit) {
  constexpr Index rows = 4, across = 16;
  for (Index l = 0; l < p.d; l += across)
    for (Index j = 0; j < p.b; j += rows)
      for (Index k = 0; k < p.c; k += across)
        visit(Run{j, std::min(j + rows, p.b), k, std::min(k + across, p.c), l,
                  std::min(l + across, p.d)});
}

/// Values as kernels read them, of the blocks of one i.
template <class T>
void pack(const Pattern& p, const FactorArray& values, Index i, T* packed) {
  const Index* step = values.strides;
  const T* from = static_cast<const T*>(values.data) + i * step[0];
  for_runs(p, [&](const Run& run) {
    for (Index l = run.l0; l < run.l1; ++l)
      for (Index j = run.j0; j < run.j1; ++j) {
        const T* row = from + j * step[1] + l * step[3];
        T* to = packed + ((i * p.d + l) * p.b + j) * p.c;
        for (Index k = run.k0; k < run.k1; ++k) to[k] = row[k * step[2]];
      }
  });
}

/// The place of a gradient among the scalars of packed ones.
class Places {
 public:
  Places(const kernels::GradientShape& shape, const Pattern& p, Index parts)
      : tile(shape.tile * parts),
        imaginary(shape.tile),
        columns_(shape.tile / 4),
        across_((p.c + columns_ - 1) / columns_),
        block_(block_sums(shape, p) * parts),
        square_(is_square(p)) {}

  /// Of the entry (j, k) of block number 0, or of a 2 x 2 block that is the first of a tile.
  Index within(Index j, Index k) const {
    if (square_) return j * 2 + k;
    return (j / 4 * across_ + k / columns_) * tile + j % 4 * columns_ + k % columns_;
  }
  /// How far on that is for another block. columns_ is 2 or 4: no division.
  Index of_block(Index block) const {
    if (!square_) return block * block_;
    return columns_ == 2 ? block / 2 * tile + block % 2 * 4 : block / 4 * tile + block % 4 * 4;
  }

  Index tile, imaginary;

 private:
  Index columns_, across_, block_;
  bool square_;
};

template <class T>
T number_at(const T* packed, Index at, Index) {
  return packed[at];
}
template <class T>
std::complex<T> number_at(const std::complex<T>* packed, Index at, Index imaginary) {
  const T* scalars = reinterpret_cast<const T*>(packed) + at;
  return {scalars[0], scalars[imaginary]};
}

/// Gradients out of the kernels' order, of the blocks of one i; added where values are tied.
template <class T>
void unpack(const Pattern& p, const Places& place, const T* packed, Index i,
            const FactorArray& gradient) {
  const Index* step = gradient.strides;
  const bool adds = step[0] == 0 || step[3] == 0;
  T* to = static_cast<T*>(gradient.data) + i * step[0];
  for_runs(p, [&](const Run& run) {
    for (Index l = run.l0; l < run.l1; ++l) {
      const Index block = place.of_block(i * p.d + l);
      for (Index j = run.j0; j < run.j1; ++j)
        for (Index k = run.k0; k < run.k1; ++k) {
          const T found = number_at(packed, block + place.within(j, k), place.imaginary);
          T& result = to[j * step[1] + k * step[2] + l * step[3]];
          result = adds ? result + found : found;
        }
    }
  });
}

class BatchWay final : public GradientWay {
 public:
  BatchWay(GradientProblem& problem, const std::vector<FactorArray>& values,
           const std::vector<FactorArray>& gradients)
      : problem_(problem), values_(values), gradients_(gradients) {
    for (const Pattern& p : problem.chain.patterns) {
      problem.weights_at.push_back(problem.weights_at.back() +
                                   round_up(p.nnz() * problem.element(), 64));
      problem.sums_at.push_back(problem.sums_at.back() +
                                sums_of(problem.kernels.shape, p) * problem.element());
    }
  }

  /// From 64 bytes of vectors on: shorter lines would cost more additions across lanes than
  /// products.
  Index tile_of(Index kept) const override {
    const Index lanes = problem_.kernels.shape.lanes;
    const Index least = std::max(lanes, 64 / problem_.number), most = 4 * least;
    const Index fits = gradient_tile_bytes / (kept * problem_.element());
    const Index wanted = std::min(std::max(fits / lanes * lanes, least), most);
    return std::min(wanted, round_up(std::max<Index>(problem_.vectors, 1), lanes));
  }

  void pack(char* weights) override {
    weights_ = weights;
    for_factor_slices(
        problem_, [&](std::size_t s) { return problem_.chain.patterns[s].a; },
        [&](std::size_t s, Index first, Index last) {
          visit(problem_.chain.dtype, [&](auto kind) {
            auto* packed = reinterpret_cast<decltype(kind)*>(weights + problem_.weights_at[s]);
            for (Index i = first; i < last; ++i)
              papilio::pack(problem_.chain.patterns[s], values_[s], i, packed);
          });
        });
  }

  void load(bool, const kernels::GradientVectors& vectors, const void* memory,
            char* lines) const override {
    problem_.kernels.load(vectors, memory, lines);
  }
  void store(bool, const kernels::GradientVectors& vectors, const char* lines,
             void* memory) const override {
    problem_.kernels.store(vectors, lines, memory);
  }

  void forward(std::size_t s, const char* in, char* out, char*) const override {
    kernels::GradientStage stage = stage_of(s);
    stage.in = in;
    stage.out = out;
    problem_.kernels.forward(stage);
  }

  void backward(const Step& step, char*& g, char*& other) const override {
    const std::size_t s = step.s;
    const bool in_place = is_square(problem_.chain.patterns[s]);
    kernels::GradientStage stage = stage_of(s);
    stage.in = step.in;
    stage.out_gradient = g;
    stage.in_gradient = step.wanted ? (in_place ? g : other) : nullptr;
    stage.gradient = step.sums + problem_.sums_at[s];
    if (!step.adds)
      std::memset(stage.gradient, 0,
                  static_cast<std::size_t>(problem_.sums_at[s + 1] - problem_.sums_at[s]));
    problem_.kernels.backward(stage);
    if (!in_place) std::swap(g, other);
  }

  void unpack(const char* sums, bool) const override {
    const auto extent = [&](std::size_t s) {
      const Pattern& p = problem_.chain.patterns[s];
      const Index* step = gradients_[s].strides;
      const bool tied = (p.a > 1 && step[0] == 0) || (p.d > 1 && step[3] == 0);
      return tied ? 1 : p.a;
    };
    for_factor_slices(problem_, extent, [&](std::size_t s, Index first, Index last) {
      visit(problem_.chain.dtype, [&](auto kind) {
        typedef decltype(kind) T;
        const Pattern& p = problem_.chain.patterns[s];
        const Places place(problem_.kernels.shape, p, problem_.parts);
        const T* packed = reinterpret_cast<const T*>(sums + problem_.sums_at[s]);
        if (extent(s) == 1) last = p.a;
        for (Index i = first; i < last; ++i) papilio::unpack(p, place, packed, i, gradients_[s]);
      });
    });
  }

 private:
  /// Without its lines.
  kernels::GradientStage stage_of(std::size_t s) const {
    const Pattern& p = problem_.chain.patterns[s];
    kernels::GradientStage stage{};
    stage.a = p.a;
    stage.b = p.b;
    stage.c = p.c;
    stage.d = p.d;
    stage.pitch = problem_.pitch();
    stage.weights = weights_ + problem_.weights_at[s];
    return stage;
  }

  const GradientProblem& problem_;
  const std::vector<FactorArray>& values_;
  const std::vector<FactorArray>& gradients_;
  const char* weights_ = nullptr;
};

}  // namespace

std::unique_ptr<GradientWay> gradient_batch_way(GradientProblem& problem,
                                                const std::vector<FactorArray>& values,
                                                const std::vector<FactorArray>& gradients) {
  return std::make_unique<BatchWay>(problem, values, gradients);
}

}  // namespace papilio
