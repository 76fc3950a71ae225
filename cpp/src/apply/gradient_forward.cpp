// Products with a chain whose values come with each call, and their directional derivatives.
#include <algorithm>
#include <utility>

#include "apply/gradient_tiles.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

/// Loads, multiplies and stores one tile.
void multiply_tile(const GradientProblem& problem, const GradientWay& way, TileVectors& from,
                   TileVectors& to, const VectorArray& x, const VectorArray& y, Index first,
                   Index count) {
  const Index bytes = widest(problem.chain) * problem.line_bytes() + apart;
  Lease workspace;
  char* lines = static_cast<char*>(workspace.reserve(static_cast<std::size_t>(3 * bytes)));
  char *others = lines + bytes, *spare = others + bytes;
  way.load(true, from.at(first, count), x.data, lines);
  for (std::size_t s = problem.factors(); s-- > 0; std::swap(lines, others)) {
    between_factors(bytes);
    way.forward(s, lines, others, spare);
  }
  way.store(false, to.at(first, count), lines, y.data);
}

/// What goes through the factors beside the vectors: their derivatives.
struct Push {
  const GradientWay& way;     // of the changes
  std::vector<bool> changes;  // whether factor s has any
  bool moves_input;
};

template <class T>
void add(Index count, const void* from, void* to) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  for (Index n = 0; n < count; ++n) y[n] += x[n];
}

/// The lines of a tile of vectors and of their derivatives go through all factors; `memory` has
/// room for six arrays of so many bytes. Returns where they are then.
std::pair<const char*, const char*> push_tile(const GradientProblem& problem,
                                              const GradientWay& way, const Push& push,
                                              char* memory, Index bytes) {
  char *z = memory, *dz = z + bytes, *next = dz + bytes, *dnext = next + bytes;
  char *turned = dnext + bytes, *spare = turned + bytes;
  bool moved = push.moves_input;
  for (std::size_t s = problem.factors(); s-- > 0; std::swap(z, next), std::swap(dz, dnext)) {
    between_factors(bytes);
    if (moved) way.forward(s, dz, dnext, spare);
    if (push.changes[s]) {
      push.way.forward(s, z, moved ? turned : dnext, spare);
      const Index numbers = problem.chain.patterns[s].rows() * problem.pitch();
      if (moved && problem.number == 4) add<float>(numbers, turned, dnext);
      if (moved && problem.number == 8) add<double>(numbers, turned, dnext);
      moved = true;
    }
    way.forward(s, z, next, spare);
  }
  return {z, dz};
}

}  // namespace

void multiply(const GradientChain& chain, const std::vector<FactorArray>& values,
              const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& y) {
  GradientProblem problem = problem_of(chain, sizes);
  if (problem.vectors == 0) return;
  const std::vector<FactorArray> none;
  const auto way = way_of(problem, sizes, x, values, none);
  problem.tile = way->tile_of(4 * widest(chain));
  Lease packed;
  way->pack(static_cast<char*>(packed.reserve(static_cast<std::size_t>(problem.weights_bytes()))));
  const Index tiles = problem.tiles();
  parallel_for(threads_for(tiles, work_of(problem, 1)), tiles, [&](Index tile) {
    TileVectors from(problem, sizes, x, chain.patterns.back().cols(), chain.column_permutation);
    TileVectors to(problem, sizes, y, chain.patterns.front().rows(), chain.row_permutation);
    const Index first = tile * problem.tile;
    multiply_tile(problem, *way, from, to, x, y, first,
                  std::min(problem.tile, problem.vectors - first));
  });
}

void push_forward(const GradientChain& chain, const std::vector<FactorArray>& values,
                  const std::vector<FactorArray>& changes, const std::vector<Index>& sizes,
                  const VectorArray& x, const VectorArray& dx, const VectorArray& y,
                  const VectorArray& dy) {
  GradientProblem problem = problem_of(chain, sizes), moving = problem_of(chain, sizes);
  if (problem.vectors == 0) return;
  const std::vector<FactorArray> none;
  // A factor that stays is packed as it is, and not used.
  std::vector<FactorArray> moved = values;
  std::vector<bool> changed;
  for (std::size_t s = 0; s < values.size(); ++s) {
    changed.push_back(changes[s].data != nullptr);
    if (changed[s]) moved[s] = changes[s];
  }
  const auto way = way_of(problem, sizes, x, values, none);
  const auto moving_way = way_of(moving, sizes, x, moved, none);
  problem.tile = moving.tile = way->tile_of(7 * widest(chain));
  Lease packed;
  char* weights = static_cast<char*>(
      packed.reserve(static_cast<std::size_t>(problem.weights_bytes() + moving.weights_bytes())));
  way->pack(weights);
  moving_way->pack(weights + problem.weights_bytes());
  const Push push{*moving_way, std::move(changed), dx.data != nullptr};
  const Index tiles = problem.tiles();
  const Index bytes = widest(chain) * problem.line_bytes() + apart;
  parallel_for(threads_for(tiles, work_of(problem, 3)), tiles, [&](Index tile) {
    const Index columns = chain.patterns.back().cols(), rows = chain.patterns.front().rows();
    TileVectors from(problem, sizes, x, columns, chain.column_permutation);
    TileVectors dfrom(problem, sizes, dx, columns, chain.column_permutation);
    TileVectors to(problem, sizes, y, rows, chain.row_permutation);
    TileVectors dto(problem, sizes, dy, rows, chain.row_permutation);
    const Index first = tile * problem.tile;
    const Index count = std::min(problem.tile, problem.vectors - first);
    Lease workspace;
    char* memory = static_cast<char*>(workspace.reserve(static_cast<std::size_t>(6 * bytes)));
    way->load(true, from.at(first, count), x.data, memory);
    if (push.moves_input) way->load(true, dfrom.at(first, count), dx.data, memory + bytes);
    const auto found = push_tile(problem, *way, push, memory, bytes);
    way->store(false, to.at(first, count), found.first, y.data);
    way->store(false, dto.at(first, count), found.second, dy.data);
  });
}

}  // namespace papilio
