// Which entries of a product with given supports can vanish, whatever the values: T11 of the docs.
#pragma once

#include <cstdint>
#include <vector>

#include "fixed_support/open_search.hpp"

namespace papilio {

/// Sets of up to 64 variables: entries of X and of Y, which are zero or aren't.
using VariableSet = std::uint64_t;

/// A small problem, its lines and inner indices listed one by one.
struct CellProblem {
  struct Variable {
    GridLine line;
    Index owner, member;  // the class, and which of its inner indices
    bool left;            // of X; else of Y
  };
  struct Cell {
    GridLine row, col;
    std::vector<VariableSet> terms;  // the two variables of each inner index that reaches it
  };

  std::vector<Variable> variables;
  std::vector<Cell> cells;  // those that an inner index reaches

  /// Nothing if the grid has more than 64 variables.
  static std::optional<CellProblem> of(const TypeGrid& grid);
};

/// Sets of cells of a problem; there are at most 1024.
using CellSet = Bits;

/// Which matrices the zeros of products allow, as far as known.
class ZeroPatterns {
 public:
  /// `nodes`: assignments that are looked at for one matrix.
  ZeroPatterns(const CellProblem& problem, Index nodes, SearchBudget& budget)
      : problem_(problem), nodes_(nodes), budget_(budget) {}

  /// Whether a matrix that differs from zero exactly at `wanted` may be a product, as far as its
  /// zeros and those of the factors go. False is a proof that it isn't; true also if the search
  /// was cut short. The proof looks at no cells but `looked_at`: without one of these it can't
  /// hold.
  bool allow(const CellSet& wanted, CellSet& looked_at);

 private:
  /// What the same zeros of the factors allow: all that contains `least` and lies within `most`.
  struct Range {
    CellSet least, most;
  };
  Range range_of(VariableSet on) const;

  const CellProblem& problem_;
  Index nodes_;
  SearchBudget& budget_;
  std::vector<Range> found_;
  std::size_t oldest_ = 0;  // is overwritten next
};

/// Factors with entries coefficient * epsilon^power, coefficient 1 or -1; unused ones are absent.
struct Monomials {
  VariableSet used = 0;
  std::vector<int> sign, power;  // by variable
};

/// Monomials whose product is 1 at `ones`, epsilon at the cell `small`, and 0 elsewhere: one inner
/// index makes each of these entries, two cancel each other elsewhere, or none is there.
std::optional<Monomials> solve_monomials(const CellProblem& problem, const CellSet& ones,
                                         Index small, Index nodes, SearchBudget& budget);

}  // namespace papilio
