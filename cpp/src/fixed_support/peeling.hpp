// What sets of classes express completely is peeled away, what is one class of a larger rank is
// merged, and the rest falls apart into pieces (docs/supports.md, T2 and T6').
#pragma once

#include <vector>

#include "fixed_support/index_sets.hpp"
#include "fixed_support/type_grid.hpp"

namespace papilio {

/// What a class, or several that were merged, has outside of the peeled entries: those of
/// rows x cols that aren't peeled.
struct Region {
  Index rank;
  Bits rows, cols;
  std::int32_t owner;         // the class; -1 if it was merged of two
  std::int32_t outer, inner;  // these two regions
  bool alive, dirty;
};

/// One rewriting, in words of the regions.
struct PeelStep {
  enum class Rule { covered, filled_rows, filled_columns, merged } rule;
  std::vector<std::int32_t> regions;  // peeled ones; the merged one
};

class Peeling {
 public:
  /// Ends when so many words were looked at; what was done until then holds.
  Peeling(const TypeGrid& grid, double budget, bool fill);

  /// Peels, merges and splits as long as something changes.
  void run();
  /// Merges as long as something does, with nothing peeled yet: later a rectangle may have holes.
  void merge_all() {
    while (merge() && !exhausted()) {
    }
  }

  const TypeGrid& grid() const { return *grid_; }
  std::vector<Region> regions;
  std::vector<PeelStep> steps;

  std::vector<std::int32_t> alive() const;
  /// Whether none of its entries is peeled.
  bool is_full(const Region& region) const;
  /// Outside of the peeled entries two regions share some.
  static bool overlap(const Region& a, const Region& b) {
    return a.rows.meets(b.rows) && a.cols.meets(b.cols);
  }
  /// Whether the regions that are left are rectangles without common entries.
  bool is_disjoint() const;
  /// Whether the work was cut short.
  bool exhausted() const { return budget_ < 0; }
  Bits left_in_row(const Region& region, Index row) const;
  /// So many words were looked at.
  void spend(Index words) {
    budget_ -= static_cast<double>(words);
    pulse_(words);
  }

 private:
  bool has_few_lines(Region& region);
  bool is_covered(const Region& region);
  void peel(const std::vector<std::int32_t>& chosen, PeelStep::Rule rule);
  void touch(const Region& region);
  void peel_quick();
  bool revise();
  void split(std::int32_t number);
  bool merge();
  bool fill_some();
  bool fills(const std::vector<std::int32_t>& chosen, bool by_columns);
  bool try_fill(const std::vector<std::int32_t>& chosen);
  std::vector<std::vector<std::int32_t>> components() const;

  const TypeGrid* grid_;
  double budget_;
  bool fill_;
  std::vector<Bits> peeled_, peeled_in_col_;  // by row, by column
  std::vector<std::int32_t> queue_;
  Pulse pulse_;
};

}  // namespace papilio
