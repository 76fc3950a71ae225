// Matrices that products come arbitrarily close to and never reach: T5, T7 and T9 of the docs.
#pragma once

#include <optional>
#include <vector>

#include "fixed_support/index_sets.hpp"
#include "fixed_support/type_grid.hpp"
#include "papilio/closedness.hpp"

namespace papilio {

/// A row or column of a grid.
struct GridLine {
  Index type, number;
};

/// T9: a class whose column (row) space is fixed by these rows and columns.
struct Pin {
  Index owner;
  std::vector<GridLine> rows, cols;
};

/// T11: an entry sign * epsilon^power of X or Y, in a row or column, at one of a class's members.
struct FoundTerm {
  GridLine line;
  Index owner, member;
  int sign, power;
};

struct FoundWitness {
  OpenWitness::Rule rule;
  Bits first, second;  // classes of the grid; `second` of T7 only
  /// T5: r + 1 each, paired; entry (corner_row, corner_col) is where another class reaches.
  /// T7: rows I; columns J1, J2, J0 one after another.
  /// T11: the ones of the limit, and last where epsilon stands.
  std::vector<GridLine> rows, cols;
  Index corner_row, corner_col;
  Index rank1, rank2, used1, used2;  // T7: r and zeta
  bool by_columns;                   // T7: rows and columns are exchanged
  std::vector<Pin> pins;
  std::vector<FoundTerm> x{}, y{};  // T11
};

/// What a search may still look at, in words.
struct SearchBudget {
  double left;
  bool spend(Index words) {
    pulse(words);
    return (left -= static_cast<double>(words)) > 0;
  }
  bool over() const { return left <= 0; }
  Pulse pulse;
};

/// T5 and T7 on the grid as it is.
std::optional<FoundWitness> find_direct(const TypeGrid& grid, SearchBudget& budget);

/// These, and T9 up to so many times on top of each other.
std::optional<FoundWitness> find_open(const TypeGrid& grid, int depth, SearchBudget& budget);

/// T11: limits of few ones whose zeros no factors can have. Small grids, or parts of large ones.
std::optional<FoundWitness> find_pattern(const TypeGrid& grid, SearchBudget& budget);

/// The witness in rows, columns and inner indices of the problem.
OpenWitness make_witness(const FoundWitness& found, const TypeGrid& grid,
                         const SupportAnalysis& analysis);

}  // namespace papilio
