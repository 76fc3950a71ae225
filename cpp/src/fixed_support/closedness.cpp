#include "papilio/closedness.hpp"

#include <algorithm>

#include "fixed_support/closing.hpp"
#include "fixed_support/open_search.hpp"

namespace papilio {

namespace {

// Words of bits that are looked at: a second has a billion of those of long sets, and some ten
// millions of those of short ones.
constexpr double closed_budget = 1e9, open_budget = 2e7, peel_budget = 2e8;
// Cells that T11 looks at, at some nanoseconds each: hard supports of 7 x 7 x 7 need less.
constexpr double pattern_budget = 2e7;
// Components with more cells, or bits of classes, aren't peeled: tens of megabytes.
constexpr double most_cells = 4e6, most_bits = 2e8;
// A grid with more types of rows or columns is searched for witnesses in parts (T0).
constexpr Index whole_grid = 96;
constexpr Index parts = 48, part_lines = 32;
// T9 on top of itself.
constexpr int deepest = 3;

std::vector<Index> count_lines(const std::vector<std::int32_t>& type_of, Index types) {
  std::vector<Index> count(at(types));
  for (std::int32_t type : type_of)
    if (type >= 0) ++count[at(type)];
  return count;
}

Index types_in(const std::vector<std::int32_t>& type_of) {
  return type_of.empty() ? 0 : *std::max_element(type_of.begin(), type_of.end()) + 1;
}

/// Ascending, each once.
void make_set(std::vector<std::int32_t>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

/// The members of some of the sets, ascending, each once; all are below `count`.
std::vector<std::int32_t> join(const IndexSets& sets, IndexSpan which, Index count) {
  std::vector<std::int32_t> result;
  Index size = 0;
  for (std::int32_t n : which) size += sets[n].size();
  if (size < count) {
    for (std::int32_t n : which) result.insert(result.end(), sets[n].begin(), sets[n].end());
    make_set(result);
    return result;
  }
  std::vector<char> seen(at(count));
  Pulse pulse;
  for (std::int32_t n : which) {
    pulse(1 + sets[n].size());
    for (std::int32_t member : sets[n]) seen[at(member)] = 1;
  }
  for (Index n = 0; n < count; ++n)
    if (seen[at(n)]) result.push_back(static_cast<std::int32_t>(n));
  return result;
}

/// With as little as leaves disjoint rectangles: fillings solve systems of equations. If nothing
/// does, without fillings.
Peeling peeled(const TypeGrid& grid, double budget) {
  Peeling plain(grid, budget, false);
  plain.run();
  if (plain.is_disjoint()) return plain;
  for (const bool fill : {false, true})
    for (const bool merged_first : {false, true}) {
      if (!fill && !merged_first) continue;
      Peeling other(grid, budget, fill);
      if (merged_first) other.merge_all();
      if (merged_first && other.steps.empty()) continue;
      other.run();
      if (other.is_disjoint()) return other;
    }
  return plain;
}

/// Adds up to `most` of a set, evenly spread, until there are `limit`.
void add_spread(IndexSpan set, Index most, Index limit, std::vector<std::int32_t>& to) {
  const Index count = std::min(most, set.size());
  for (Index n = 0; n < count && static_cast<Index>(to.size()) < limit; ++n)
    to.push_back(set[n * (set.size() - 1) / std::max<Index>(1, count - 1)]);
}

}  // namespace

struct ClosednessSearch::State {
  explicit State(const SupportAnalysis& analysis)
      : analysis(analysis),
        in_row(transposed(analysis.class_row_types.view(), types_in(analysis.row_type))),
        in_col(transposed(analysis.class_col_types.view(), types_in(analysis.col_type))),
        row_weight(count_lines(analysis.row_type, in_row.size())),
        col_weight(count_lines(analysis.col_type, in_col.size())) {
    IndexSets own;
    for (std::int32_t component : analysis.component) {
      own.index.push_back(component);
      own.close();
    }
    classes = transposed(own.view(), static_cast<Index>(analysis.kinds.size()));
  }

  /// The types of rows and columns of a component.
  void types_of(std::int32_t component, std::vector<std::int32_t>& rows,
                std::vector<std::int32_t>& cols) const {
    rows = join(analysis.class_row_types, classes[component], in_row.size());
    cols = join(analysis.class_col_types, classes[component], in_col.size());
  }

  /// Whether the grid of a component isn't too large.
  bool fits(std::int32_t component, const std::vector<std::int32_t>& rows,
            const std::vector<std::int32_t>& cols) const {
    const double height = static_cast<double>(rows.size()),
                 width = static_cast<double>(cols.size());
    return height * width <= most_cells &&
           (height + width) * static_cast<double>(classes[component].size()) <= most_bits;
  }

  TypeGrid grid(std::int32_t component, const std::vector<std::int32_t>& rows,
                const std::vector<std::int32_t>& cols) const {
    return type_grid(analysis, component, in_row, in_col, row_weight, col_weight, rows, cols);
  }

  TypeGrid kernel(std::int32_t component, const std::vector<std::int32_t>& rows,
                  const std::vector<std::int32_t>& cols) const {
    return kernel_of(grid(component, rows, cols));
  }

  /// Whether a witness was found in a grid.
  bool search(const TypeGrid& grid, int depth, SearchBudget& budget, Closedness& out) const {
    auto found = find_open(grid, 0, budget);
    for (int n = 1; n <= depth && !found && !budget.over(); ++n) found = find_open(grid, n, budget);
    if (!found) return false;
    out.found.push_back(make_witness(*found, grid, analysis));
    return true;
  }

  /// Rows and columns of one class and of those that it meets: if the set isn't closed on these,
  /// it isn't at all.
  TypeGrid part(std::int32_t p) const {
    std::vector<std::int32_t> rows, cols;
    const Index need = std::min<Index>(whole_grid, part_lines / 2 + analysis.members[p].size());
    add_spread(analysis.class_row_types[p], need, need, rows);
    add_spread(analysis.class_col_types[p], need, need, cols);
    std::vector<std::int32_t> others;
    for (std::int32_t row : rows)
      for (std::int32_t q : in_row[row]) others.push_back(q);
    make_set(others);
    const Index limit = need + part_lines / 2;
    for (std::int32_t q : others) {
      add_spread(analysis.class_row_types[q], 4, limit, rows);
      add_spread(analysis.class_col_types[q], 4, limit, cols);
    }
    make_set(rows);
    make_set(cols);
    return kernel(analysis.component[at(p)], rows, cols);
  }

  void search_parts(std::int32_t component, SearchBudget& budget, Closedness& out) const {
    std::vector<std::int32_t> own(classes[component].begin(), classes[component].end());
    std::stable_sort(own.begin(), own.end(), [&](std::int32_t p, std::int32_t q) {
      return analysis.members[p].size() < analysis.members[q].size();
    });
    const Index all = static_cast<Index>(own.size()), count = std::min(parts, all);
    for (Index n = 0; n < count && !budget.over(); ++n) {
      const Index place = n * (all - 1) / std::max<Index>(1, count - 1);
      if (search(part(own[at(place)]), 1, budget, out)) return;
    }
  }

  const SupportAnalysis& analysis;
  IndexSets in_row, in_col;  // classes of each type
  std::vector<Index> row_weight, col_weight;
  IndexSets classes;  // of each component
};

ClosednessSearch::ClosednessSearch(const SupportAnalysis& analysis)
    : state_(std::make_unique<State>(analysis)) {}
ClosednessSearch::~ClosednessSearch() = default;

Closedness ClosednessSearch::decide(std::int32_t component, double effort, bool both) const {
  Closedness out{Closedness::Answer::unknown, {}, {}, false};
  std::vector<std::int32_t> rows, cols;
  state_->types_of(component, rows, cols);
  const bool whole = rows.size() <= at(whole_grid) && cols.size() <= at(whole_grid);
  SearchBudget budget{effort * open_budget, {}};
  bool cut_short = false;
  if (state_->fits(component, rows, cols)) {
    const TypeGrid grid = state_->kernel(component, rows, cols);
    ClosedProof proof = prove_closed(grid, effort * closed_budget);
    if (proof.proved) {
      out.answer = Closedness::Answer::closed;
      out.steps = std::move(proof.steps);
      for (ClosedStep& step : out.steps)
        for (std::vector<std::int32_t>& set : step.classes)
          for (std::int32_t& p : set) p = grid.number[at(p)];
      if (!both) return out;
    }
    if (whole && !state_->search(grid, deepest, budget, out)) {
      SearchBudget cells{effort * pattern_budget, {}};
      if (const auto found = find_pattern(grid, cells))
        out.found.push_back(make_witness(*found, grid, state_->analysis));
      cut_short = cells.over();
    }
  }
  if (!whole) state_->search_parts(component, budget, out);
  if (!out.found.empty()) out.answer = Closedness::Answer::open;
  out.exhausted =
      out.answer == Closedness::Answer::unknown && (budget.over() || cut_short || !whole);
  return out;
}

PeeledComponent ClosednessSearch::peel(std::int32_t component, double effort) const {
  PeeledComponent out{{}, {}, {}, false, false};
  std::vector<std::int32_t> rows, cols;
  state_->types_of(component, rows, cols);
  if (!state_->fits(component, rows, cols)) return out;
  const TypeGrid grid = state_->grid(component, rows, cols);
  const Peeling peeling = peeled(grid, effort * peel_budget);
  const auto types = [](const Bits& set, const TypeSide& side) {
    std::vector<std::int32_t> result;
    set.each([&](Index n) { result.push_back(side.type[at(n)]); });
    return result;
  };
  for (const Region& region : peeling.regions)
    out.regions.push_back(
        {region.rank, types(region.rows, grid.rows), types(region.cols, grid.cols),
         region.owner < 0 ? -1 : grid.number[at(region.owner)], region.outer, region.inner});
  for (const PeelStep& step : peeling.steps)
    if (step.rule != PeelStep::Rule::merged)
      out.order.push_back({rule_of(step.rule), step.regions});
  out.left = peeling.alive();
  out.full = std::all_of(out.left.begin(), out.left.end(),
                         [&](std::int32_t n) { return peeling.is_full(peeling.regions[at(n)]); });
  out.disjoint = peeling.is_disjoint();
  return out;
}

}  // namespace papilio
