// The sets of classes that cover cells, and what is searched among them: T5 and T7 of the docs.
#pragma once

#include <array>
#include <map>

#include "fixed_support/open_search.hpp"

namespace papilio {

/// The sets of classes that cover cells of a grid, numbered.
struct CoverGroups {
  CoverGroups(const TypeGrid& grid, SearchBudget& budget);
  Index of(Index row, Index col) const { return cell[static_cast<std::size_t>(row * cols + col)]; }
  Index rank(const TypeGrid& grid, Index group) const;

  Index cols;
  std::vector<Index> cell;  // -1: no class
  std::vector<Bits> classes;
  std::map<Bits, Index> number;
};

std::optional<FoundWitness> find_triangular(const TypeGrid& grid, const CoverGroups& groups,
                                            SearchBudget& budget);

/// T7, rows common to two disjoint sets of classes. `groups` are those of this grid.
std::optional<FoundWitness> find_tangent(const TypeGrid& grid, const CoverGroups& groups,
                                         SearchBudget& budget);

}  // namespace papilio
