// Whether the products of two matrices with given supports are a closed set, so that every matrix
// has a best approximation among them (docs/supports.md proves the rules).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "papilio/fixed_support.hpp"

namespace papilio {

/// One step of a proof that the set is closed.
struct ClosedStep {
  enum class Rule : std::uint8_t {
    covered,      // T2 (a): what is left of a class is covered by as many lines as it has members
    filled_rows,  // T2 (b): classes that reach together all that is left of them, row by row
    filled_columns,  // T2 (c): column by column
    merged,          // T6': one class within another, the same set as one of both ranks
    eliminated,      // T3': nested crosswise into all that it overlaps
    pair             // T7: two classes with the same rows, or the same columns
  } rule;
  std::vector<std::vector<std::int32_t>> classes;  // of each region
  std::vector<Index> rank, rows, cols;             // of each region; rows and columns of the kernel
};

/// One entry of a factor of a witness: coefficient * epsilon^power.
struct WitnessTerm {
  std::int32_t row, col;
  double coefficient;
  int power;
};

/// A matrix that products come arbitrarily close to and never reach.
struct OpenWitness {
  enum class Rule : std::uint8_t { triangular, tangent, pattern } rule;
  /// Classes: T5's and one of the others, both of T7, or all that T11 uses.
  std::vector<std::int32_t> first, second;
  /// Where. Of T5 the corner comes first; of T11 one row and column for each one of the limit, and
  /// the last ones where epsilon stands.
  std::vector<std::int32_t> rows, cols;
  bool by_columns;  // T7 with rows and columns exchanged
  /// T9: what was fixed before, class by class: its rows and columns.
  std::vector<std::int32_t> pins;
  std::vector<std::vector<std::int32_t>> pin_rows, pin_cols;
  std::vector<WitnessTerm> x, y, limit;
};

struct Closedness {
  enum class Answer : std::uint8_t { unknown, closed, open } answer;
  std::vector<ClosedStep> steps;   // if closed
  std::vector<OpenWitness> found;  // one, if open
  bool exhausted;                  // unknown, and the search was cut short
};

/// What a class, or several that were merged, has outside of the peeled entries, in types of rows
/// and columns of the analysis.
struct PeeledRegion {
  Index rank;
  std::vector<std::int32_t> row_types, col_types;
  std::int32_t owner;         // the class; -1 if it was merged of two regions
  std::int32_t outer, inner;  // these
};

/// Regions that reach together all that is left of them: one, or several line by line.
struct PeeledStep {
  ClosedStep::Rule rule;  // covered, filled_rows or filled_columns
  std::vector<std::int32_t> regions;
};

/// A component after peeling and merging, with the lines as they are (no kernel).
struct PeeledComponent {
  std::vector<PeeledRegion> regions;
  std::vector<PeeledStep> order;   // what was peeled, one after another
  std::vector<std::int32_t> left;  // what wasn't
  bool disjoint;                   // these are rectangles without common entries
  bool full;                       // none of their entries is peeled
};

/// Decides components of an analysis one by one; it must outlive the search.
class ClosednessSearch {
 public:
  explicit ClosednessSearch(const SupportAnalysis& analysis);
  ~ClosednessSearch();

  /// `effort` scales what may be looked at; 1 is some tenths of a second at most. `both`: looks for
  /// a witness even where the set is proved closed (for tests: then steps and found have both).
  Closedness decide(std::int32_t component, double effort, bool both) const;

  /// T2 (a) and T6' as often as they apply, and (b) and (c) if disjoint rectangles are left then. A
  /// component that is too large comes back as it is.
  PeeledComponent peel(std::int32_t component, double effort) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace papilio
