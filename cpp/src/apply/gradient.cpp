// Gradients: tiles of the batch go forwards and backwards through all factors in the caches.
#include "papilio/gradients.hpp"

#include <algorithm>
#include <complex>
#include <cstring>
#include <numeric>

#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

// The L2 cache of the CPUs that this was measured on is 512 KiB (Zen 3); newer ones have more.
constexpr Index tile_bytes = Index{512} << 10;
// Parts of the batch whose sums are kept apart: so many threads have work at most.
constexpr Index most_chunks = 16;
// Of all sums that are kept apart, where that leaves more than one.
constexpr Index most_chunk_bytes = Index{64} << 20;

// Between arrays of lines, so that neighbouring lines of two aren't a multiple of 4 KiB apart:
// loads would wait for stores to the other.
constexpr Index apart = 5 * 64;

/// What a call needs to know of the chain and of its batch.
struct Problem {
  const GradientChain& chain;
  const kernels::GradientKernels& kernels;
  Index parts, number;            // scalars in an element, bytes of a scalar
  std::vector<Index> weights_at;  // where the factors' packed values begin, in bytes
  std::vector<Index> sums_at;     // the same for gradients
  Index vectors, tile;

  Index weights_bytes() const { return weights_at.back(); }
  Index sums_bytes() const { return sums_at.back(); }
  Index pitch() const { return parts * tile; }
  Index line_bytes() const { return pitch() * number; }
  Index tiles() const { return (vectors + tile - 1) / tile; }
  Index element() const { return parts * number; }
};

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

Index widest(const GradientChain& chain) {
  Index rows = chain.patterns.front().rows();
  for (const Pattern& p : chain.patterns) rows = std::max(rows, p.cols());
  return rows;
}

Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

/// As many vectors as fit in the cache with `kept` values for each of the widest rows, from 64
/// bytes of them on: shorter lines would cost more additions across lanes than products.
Index tile_of(const Problem& problem, Index kept) {
  const Index lanes = problem.kernels.shape.lanes;
  const Index least = std::max(lanes, 64 / problem.number), most = 4 * least;
  const Index fits = tile_bytes / (kept * problem.element());
  const Index wanted = std::min(std::max(fits / lanes * lanes, least), most);
  return std::min(wanted, round_up(std::max<Index>(problem.vectors, 1), lanes));
}

Problem problem_of(const GradientChain& chain, const std::vector<Index>& sizes) {
  const auto& kernels = kernels::gradient_kernels_for(chain.dtype);
  const Index parts = holds_complex(chain.dtype) ? 2 : 1;
  Problem problem{chain, kernels, parts, static_cast<Index>(size_of(chain.dtype)) / parts,
                  {0},   {0},     1,     0};
  for (const Pattern& p : chain.patterns) {
    problem.weights_at.push_back(problem.weights_at.back() +
                                 round_up(p.nnz() * problem.element(), 64));
    problem.sums_at.push_back(problem.sums_at.back() +
                              sums_of(kernels.shape, p) * problem.element());
  }
  for (Index size : sizes) problem.vectors *= size;
  return problem;
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

/// Calls body(s, first, last) for slices of the i of all factors, on several threads; of those for
/// which `whole` says so, for all i at once.
template <class Whole, class Body>
void for_factors(const Problem& problem, const Whole& whole, const Body& body) {
  struct Slice {
    std::size_t factor;
    Index first, last;
  };
  constexpr Index worth = 1 << 13;  // entries
  std::vector<Slice> slices;
  Index total = 0;
  for (std::size_t s = 0; s < problem.chain.patterns.size(); ++s) {
    const Pattern& p = problem.chain.patterns[s];
    total += p.nnz();
    const Index step = whole(s) ? p.a : std::max<Index>(1, worth / (p.nnz() / p.a));
    for (Index i = 0; i < p.a; i += step) slices.push_back({s, i, std::min(i + step, p.a)});
  }
  const Index tasks = static_cast<Index>(slices.size());
  parallel_for(threads_for(tasks, static_cast<double>(total)), tasks, [&](Index n) {
    const Slice& slice = slices[static_cast<std::size_t>(n)];
    body(slice.factor, slice.first, slice.last);
  });
}

void pack_all(const Problem& problem, const std::vector<FactorArray>& values, char* weights) {
  for_factors(
      problem, [](std::size_t) { return false; },
      [&](std::size_t s, Index first, Index last) {
        visit(problem.chain.dtype, [&](auto kind) {
          auto* packed = reinterpret_cast<decltype(kind)*>(weights + problem.weights_at[s]);
          for (Index i = first; i < last; ++i)
            pack(problem.chain.patterns[s], values[s], i, packed);
        });
      });
}

void unpack_all(const Problem& problem, const char* sums,
                const std::vector<FactorArray>& gradients) {
  const auto is_tied = [&](std::size_t s) {
    const Pattern& p = problem.chain.patterns[s];
    const Index* step = gradients[s].strides;
    return (p.a > 1 && step[0] == 0) || (p.d > 1 && step[3] == 0);
  };
  for_factors(problem, is_tied, [&](std::size_t s, Index first, Index last) {
    visit(problem.chain.dtype, [&](auto kind) {
      typedef decltype(kind) T;
      const Pattern& p = problem.chain.patterns[s];
      const Places place(problem.kernels.shape, p, problem.parts);
      const T* packed = reinterpret_cast<const T*>(sums + problem.sums_at[s]);
      for (Index i = first; i < last; ++i) unpack(p, place, packed, i, gradients[s]);
    });
  });
}

// ------------------------------------------------------------------ tiles

/// The vectors of a tile in one array of the batch.
class TileVectors {
 public:
  TileVectors(const Problem& problem, const std::vector<Index>& sizes, const VectorArray& array,
              Index rows, const std::vector<Index>& index)
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

/// The stage of a factor, without its lines.
kernels::GradientStage stage_of(const Problem& problem, std::size_t s, const char* weights) {
  const Pattern& p = problem.chain.patterns[s];
  kernels::GradientStage stage{};
  stage.a = p.a;
  stage.b = p.b;
  stage.c = p.c;
  stage.d = p.d;
  stage.pitch = problem.pitch();
  stage.weights = weights + problem.weights_at[s];
  return stage;
}

/// How the lines that enter the factors are kept: in segments of so many factors, from whose inputs
/// the others are computed again, or all.
struct Keeping {
  Index segment;

  static Keeping of(const Problem& problem, Index width) {
    const Index factors = static_cast<Index>(problem.chain.patterns.size());
    if ((factors + 1) * width * problem.line_bytes() <= 2 * tile_bytes) return {factors};
    Index segment = 1;
    while (segment * segment < factors) ++segment;
    return {segment};
  }
};

/// Tiles forwards and backwards, with the memory that a thread needs for one.
class Backward {
 public:
  Backward(const Problem& problem, const char* weights, Keeping keeping)
      : problem_(problem), weights_(weights), keeping_(keeping) {
    const Index factors = static_cast<Index>(problem.chain.patterns.size());
    line_bytes_ = problem.line_bytes();
    width_ = widest(problem.chain) * line_bytes_ + apart;
    const Index segments = (factors + keeping.segment - 1) / keeping.segment;
    memory_ = static_cast<char*>(
        workspace_.reserve(static_cast<std::size_t>((segments + keeping.segment + 1) * width_)));
    inner_ = memory_ + segments * width_;
    gradients_ = inner_ + (keeping.segment - 1) * width_;
  }

  /// Where x is loaded to.
  char* input() { return input_of(problem_.chain.patterns.size() - 1); }
  /// Where the gradient of y is loaded to; then that of x.
  char* gradient() { return gradients_; }

  /// All inputs that are kept, and those of the first segment.
  void forward() {
    for (std::size_t s = problem_.chain.patterns.size() - 1; s > 0; --s) run_forward(s);
  }

  /// Adds the gradients to `sums`; where that of x is then, if it is wanted.
  char* backward(char* sums, bool wants_input) {
    const std::size_t factors = problem_.chain.patterns.size();
    char *g = gradients_, *other = gradients_ + width_;
    for (std::size_t s = 0; s < factors; ++s) {
      if (s > 0 && s % static_cast<std::size_t>(keeping_.segment) == 0) compute_again(s);
      kernels::GradientStage stage = stage_of(problem_, s, weights_);
      const bool in_place = is_square(problem_.chain.patterns[s]);
      stage.in = input_of(s);
      stage.out_gradient = g;
      stage.in_gradient = s + 1 < factors || wants_input ? (in_place ? g : other) : nullptr;
      stage.gradient = sums + problem_.sums_at[s];
      problem_.kernels.backward(stage);
      if (!in_place) std::swap(g, other);
    }
    return g;
  }

 private:
  /// The last input of a segment (the first that is computed) is kept until the segment is reached.
  char* input_of(std::size_t s) {
    const Index factor = static_cast<Index>(s), segment = keeping_.segment;
    const Index last = static_cast<Index>(problem_.chain.patterns.size()) - 1;
    const Index number = factor / segment, inside = factor % segment;
    if (inside == segment - 1 || factor == last) return memory_ + number * width_;
    return inner_ + inside * width_;
  }

  void run_forward(std::size_t s) {
    kernels::GradientStage stage = stage_of(problem_, s, weights_);
    stage.in = input_of(s);
    stage.out = input_of(s - 1);
    problem_.kernels.forward(stage);
  }

  /// The inputs of the segment that begins with factor s.
  void compute_again(std::size_t s) {
    const std::size_t end =
        std::min(s + static_cast<std::size_t>(keeping_.segment), problem_.chain.patterns.size());
    for (std::size_t n = end - 1; n > s; --n) run_forward(n);
  }

  const Problem& problem_;
  const char* weights_;
  Keeping keeping_;
  Lease workspace_;
  Index line_bytes_, width_;
  char *memory_, *inner_, *gradients_;
};

/// In nanoseconds or so: how long so many passes over all factors take on one thread.
double work_of(const Problem& problem, double passes) {
  double entries = 0;
  for (const Pattern& p : problem.chain.patterns) entries += static_cast<double>(p.nnz());
  const double each = 0.03 * static_cast<double>(problem.number) / 4 *
                      static_cast<double>(problem.parts * problem.parts);
  return passes * each * entries * static_cast<double>(problem.vectors);
}

/// The sums of all chunks are added up pairwise in the first one.
template <class T>
void add_chunks(const Problem& problem, char* sums, Index chunks) {
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

Index chunks_of(const Problem& problem) {
  const Index by_tiles = std::min(most_chunks, problem.tiles() / 2);
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

void multiply(const GradientChain& chain, const std::vector<FactorArray>& values,
              const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& y) {
  Problem problem = problem_of(chain, sizes);
  if (problem.vectors == 0) return;
  const Index width = widest(chain);
  problem.tile = tile_of(problem, 4 * width);
  Lease packed;
  char* weights =
      static_cast<char*>(packed.reserve(static_cast<std::size_t>(problem.weights_bytes())));
  pack_all(problem, values, weights);
  const Index tiles = problem.tiles(), bytes = width * problem.line_bytes() + apart;
  parallel_for(threads_for(tiles, work_of(problem, 1)), tiles, [&](Index tile) {
    Lease workspace;
    char* lines = static_cast<char*>(workspace.reserve(static_cast<std::size_t>(2 * bytes)));
    char* others = lines + bytes;
    TileVectors from(problem, sizes, x, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors to(problem, sizes, y, chain.patterns.front().rows(), chain.row_permutation);
    const Index first = tile * problem.tile,
                count = std::min(problem.tile, problem.vectors - first);
    problem.kernels.load(from.at(first, count), x.data, lines);
    for (std::size_t s = chain.patterns.size(); s-- > 0; std::swap(lines, others)) {
      kernels::GradientStage stage = stage_of(problem, s, weights);
      stage.in = lines;
      stage.out = others;
      problem.kernels.forward(stage);
    }
    problem.kernels.store(to.at(first, count), lines, y.data);
  });
}

void pull_back(const GradientChain& chain, const std::vector<FactorArray>& values,
               const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& gy,
               const VectorArray& gx, const std::vector<FactorArray>& gradients) {
  Problem problem = problem_of(chain, sizes);
  clear(chain, gradients, problem.vectors == 0);
  if (problem.vectors == 0) return;
  const Index width = widest(chain);
  problem.tile = tile_of(problem, (static_cast<Index>(chain.patterns.size()) + 1) * width);
  const Keeping keeping = Keeping::of(problem, width);
  const Index chunks = chunks_of(problem), tiles = problem.tiles();
  Lease packed;
  char* weights = static_cast<char*>(packed.reserve(
      static_cast<std::size_t>(problem.weights_bytes() + chunks * problem.sums_bytes())));
  char* sums = weights + problem.weights_bytes();
  pack_all(problem, values, weights);
  parallel_for(threads_for(chunks, work_of(problem, 5)), chunks, [&](Index chunk) {
    char* own = sums + chunk * problem.sums_bytes();
    std::memset(own, 0, static_cast<std::size_t>(problem.sums_bytes()));
    Backward lines(problem, weights, keeping);
    TileVectors in(problem, sizes, x, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors back(problem, sizes, gx, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors out(problem, sizes, gy, chain.patterns.front().rows(), chain.row_permutation);
    for (Index tile = tiles * chunk / chunks; tile < tiles * (chunk + 1) / chunks; ++tile) {
      poll_interruption();
      const Index first = tile * problem.tile;
      const Index count = std::min(problem.tile, problem.vectors - first);
      problem.kernels.load(in.at(first, count), x.data, lines.input());
      problem.kernels.load(out.at(first, count), gy.data, lines.gradient());
      lines.forward();
      const char* found = lines.backward(own, gx.data != nullptr);
      if (gx.data) problem.kernels.store(back.at(first, count), found, gx.data);
    }
  });
  if (problem.number == 4)
    add_chunks<float>(problem, sums, chunks);
  else
    add_chunks<double>(problem, sums, chunks);
  unpack_all(problem, sums, gradients);
}

}  // namespace papilio
