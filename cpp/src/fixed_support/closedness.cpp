#include "papilio/closedness.hpp"

#include <algorithm>

#include "fixed_support/closing.hpp"
#include "fixed_support/open_search.hpp"

namespace papilio {

namespace {

std::size_t at(Index n) { return static_cast<std::size_t>(n); }

// Words of bits that are looked at: a second has some billions.
constexpr double closed_budget = 1e9, open_budget = 2e8;
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
        col_weight(count_lines(analysis.col_type, in_col.size())) {}

  std::vector<std::int32_t> classes_of(std::int32_t component) const {
    std::vector<std::int32_t> result;
    for (std::size_t p = 0; p < analysis.component.size(); ++p)
      if (analysis.component[p] == component) result.push_back(static_cast<std::int32_t>(p));
    return result;
  }

  TypeGrid kernel(const std::vector<std::int32_t>& rows, const std::vector<std::int32_t>& cols) const {
    return kernel_of(type_grid(analysis, in_row, in_col, row_weight, col_weight, rows, cols));
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
    return kernel(rows, cols);
  }

  void search_parts(std::vector<std::int32_t> classes, SearchBudget& budget,
                    Closedness& out) const {
    std::stable_sort(classes.begin(), classes.end(), [&](std::int32_t p, std::int32_t q) {
      return analysis.members[p].size() < analysis.members[q].size();
    });
    const Index count = std::min<Index>(parts, static_cast<Index>(classes.size()));
    for (Index n = 0; n < count && !budget.over(); ++n) {
      const Index place = n * (static_cast<Index>(classes.size()) - 1) / std::max<Index>(1, count - 1);
      if (search(part(classes[at(place)]), 1, budget, out)) return;
    }
  }

  const SupportAnalysis& analysis;
  IndexSets in_row, in_col;  // classes of each type
  std::vector<Index> row_weight, col_weight;
};

ClosednessSearch::ClosednessSearch(const SupportAnalysis& analysis)
    : state_(std::make_unique<State>(analysis)) {}
ClosednessSearch::~ClosednessSearch() = default;

Closedness ClosednessSearch::decide(std::int32_t component, double effort, bool both) const {
  Closedness out{Closedness::Answer::unknown, {}, {}, false};
  const std::vector<std::int32_t> classes = state_->classes_of(component);
  std::vector<std::int32_t> rows, cols;
  for (std::int32_t p : classes) {
    const IndexSpan r = state_->analysis.class_row_types[p], c = state_->analysis.class_col_types[p];
    rows.insert(rows.end(), r.begin(), r.end());
    cols.insert(cols.end(), c.begin(), c.end());
  }
  make_set(rows);
  make_set(cols);
  const double height = static_cast<double>(rows.size()), width = static_cast<double>(cols.size());
  const double bits = (height + width) * static_cast<double>(classes.size());
  const bool whole = rows.size() <= at(whole_grid) && cols.size() <= at(whole_grid);
  SearchBudget budget{effort * open_budget, {}};
  if (height * width <= most_cells && bits <= most_bits) {
    const TypeGrid grid = state_->kernel(rows, cols);
    ClosedProof proof = prove_closed(grid, effort * closed_budget);
    if (proof.proved) {
      out.answer = Closedness::Answer::closed;
      out.steps = std::move(proof.steps);
      for (ClosedStep& step : out.steps)
        for (std::vector<std::int32_t>& set : step.classes)
          for (std::int32_t& p : set) p = grid.number[at(p)];
      if (!both) return out;
    }
    if (whole) state_->search(grid, deepest, budget, out);
  }
  if (!whole) state_->search_parts(classes, budget, out);
  if (!out.found.empty()) out.answer = Closedness::Answer::open;
  out.exhausted = out.answer == Closedness::Answer::unknown && (budget.over() || !whole);
  return out;
}

}  // namespace papilio
