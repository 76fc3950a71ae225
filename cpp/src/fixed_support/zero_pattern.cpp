#include "fixed_support/zero_pattern.hpp"

#include "fixed_support/index_sets.hpp"
#include "fixed_support/monomials.hpp"

namespace papilio {

namespace {

constexpr std::size_t most_variables = 64;
// Ranges that are kept: a look at all of them costs less than a search.
constexpr std::size_t most_ranges = 256;

/// What is known of the variables.
struct Known {
  VariableSet on = 0, off = 0;  // differ from zero; are zero
};

/// The terms of a cell: those that are there for certain, and those that may be.
struct Terms {
  Index live = 0, open = 0;
  VariableSet last_open = 0, all_open = 0;
};

Terms count_terms(const CellProblem::Cell& cell, const Known& known) {
  Terms terms;
  for (VariableSet term : cell.terms) {
    if (term & known.off) continue;
    if ((term & ~known.on) == 0) {
      ++terms.live;
    } else {
      ++terms.open;
      terms.last_open = term;
      terms.all_open |= term;
    }
  }
  return terms;
}

/// What one cell asks for.
enum class Demand : std::uint8_t {
  nothing,     // met, whatever the others are
  impossible,  // can't be met
  open_term,   // the last open term must be there
  no_term,     // no open term may be there
  choice
};

/// A sum that is zero has no term or several; another one has some.
Demand general_demand(bool wanted, const Terms& terms) {
  if (wanted ? terms.live >= 1 : terms.live >= 2) return Demand::nothing;
  if (terms.open == 0) return wanted || terms.live == 1 ? Demand::impossible : Demand::nothing;
  if (terms.open > 1) return Demand::choice;
  return wanted || terms.live == 1 ? Demand::open_term : Demand::no_term;
}

/// Sums of one term, or of none or two that cancel.
Demand exact_demand(bool wanted, const Terms& terms) {
  const Index most = wanted ? 1 : 2;
  if (terms.live > most) return Demand::impossible;
  if (terms.live == most) return terms.open ? Demand::no_term : Demand::nothing;
  return general_demand(wanted, terms);
}

/// Depth first over the variables that no cell decides.
template <class Demands, class Found>
class PatternSearch {
 public:
  PatternSearch(const CellProblem& problem, const CellSet& wanted, Index nodes,
                SearchBudget& budget, CellSet& looked_at, const Demands& demand, const Found& found)
      : problem_(problem),
        wanted_(wanted),
        nodes_(nodes),
        budget_(budget),
        looked_at_(looked_at),
        demand_(demand),
        found_(found) {}

  /// Whether `found` accepted what some assignment makes, or the search was cut short.
  bool run() {
    CellSet all(static_cast<Index>(problem_.cells.size()));
    for (std::size_t c = 0; c < problem_.cells.size(); ++c) all.set(static_cast<Index>(c));
    return run({}, std::move(all));
  }

 private:
  /// `pending`: cells that aren't met yet. More knowledge leaves those that are met as they are.
  bool run(Known known, CellSet pending) {
    if (--nodes_ < 0 || budget_.over()) return true;
    VariableSet choice = 0;
    if (!settle(known, pending, choice)) return false;
    if (!choice) return found_(known);
    const VariableSet one = choice & (~choice + 1);
    return run({known.on | one, known.off}, pending) ||
           run({known.on, known.off | one}, std::move(pending));
  }

  /// Follows what cells with one possibility demand; `choice`: variables of one that has more.
  bool settle(Known& known, CellSet& pending, VariableSet& choice) {
    for (bool changed = true; changed;) {
      changed = false;
      choice = 0;
      budget_.spend(pending.count());
      if (!pending.all_of([&](Index c) { return meet(c, known, pending, choice, changed); }))
        return false;
    }
    return true;
  }

  /// Whether a cell can be met; `changed`: what it demands was new.
  bool meet(Index c, Known& known, CellSet& pending, VariableSet& choice, bool& changed) {
    const CellProblem::Cell& cell = problem_.cells[at(c)];
    const Terms terms = count_terms(cell, known);
    switch (demand_(wanted_[c], terms)) {
      case Demand::impossible:
        looked_at_.set(c);
        return false;
      case Demand::open_term:
        known.on |= terms.last_open;
        looked_at_.set(c);
        changed = true;
        break;
      case Demand::no_term:
        if (forbid(cell, known)) {
          looked_at_.set(c);
          changed = true;
        }
        if (terms.open && !choice) choice = undecided(cell, known);
        break;
      case Demand::choice:
        choice = terms.all_open & ~known.on;
        break;
      case Demand::nothing:
        pending.reset(c);
        break;
    }
    return true;
  }

  /// Terms that may not be there and have one variable on: the other one is off.
  static bool forbid(const CellProblem::Cell& cell, Known& known) {
    bool changed = false;
    for (VariableSet term : cell.terms) {
      const VariableSet rest = term & ~known.on;
      if ((term & known.off) || !rest || rest == term) continue;
      known.off |= rest;
      changed = true;
    }
    return changed;
  }

  static VariableSet undecided(const CellProblem::Cell& cell, const Known& known) {
    for (VariableSet term : cell.terms)
      if (!(term & known.off) && (term & ~known.on)) return term & ~known.on;
    return 0;
  }

  const CellProblem& problem_;
  const CellSet& wanted_;
  Index nodes_;
  SearchBudget& budget_;
  CellSet& looked_at_;
  const Demands& demand_;
  const Found& found_;
};

}  // namespace

std::optional<CellProblem> CellProblem::of(const TypeGrid& grid) {
  CellProblem problem;
  const auto lines_of = [](const TypeSide& side) {
    std::vector<GridLine> lines;
    for (Index t = 0; t < side.size(); ++t)
      for (Index n = 0; n < side.weight[at(t)]; ++n) lines.push_back({t, n});
    return lines;
  };
  const std::vector<GridLine> rows = lines_of(grid.rows), cols = lines_of(grid.cols);
  std::vector<std::vector<Cell>> cells(rows.size(), std::vector<Cell>(cols.size()));
  for (Index p = 0; p < grid.classes(); ++p)
    for (Index member = 0; member < grid.rank[at(p)]; ++member) {
      const auto variables_of = [&](const std::vector<GridLine>& lines, const TypeSide& side,
                                    bool left) {
        std::vector<VariableSet> numbers(lines.size());
        for (std::size_t n = 0; n < lines.size(); ++n) {
          if (!side.of_class[at(p)][lines[n].type]) continue;
          numbers[n] = VariableSet{1} << (problem.variables.size() % most_variables);
          problem.variables.push_back({lines[n], p, member, left});
        }
        return numbers;
      };
      const auto x = variables_of(rows, grid.rows, true), y = variables_of(cols, grid.cols, false);
      if (problem.variables.size() > most_variables) return std::nullopt;
      for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t j = 0; j < cols.size(); ++j)
          if (x[i] && y[j]) cells[i][j].terms.push_back(x[i] | y[j]);
    }
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < cols.size(); ++j)
      if (!cells[i][j].terms.empty())
        problem.cells.push_back({rows[i], cols[j], std::move(cells[i][j].terms)});
  return problem;
}

bool ZeroPatterns::allow(const CellSet& wanted, CellSet& looked_at) {
  for (const Range& range : found_)
    if (range.least.within(wanted) && wanted.within(range.most)) return true;
  budget_.spend(1 + static_cast<Index>(found_.size() / 4));
  const auto accept = [&](const Known& known) {
    // No cell asks for anything more: what is open may as well be there.
    Range range = range_of(~known.off);
    if (found_.size() < most_ranges)
      found_.push_back(std::move(range));
    else
      found_[oldest_++ % most_ranges] = std::move(range);
    return true;
  };
  return PatternSearch(problem_, wanted, nodes_, budget_, looked_at, general_demand, accept).run();
}

ZeroPatterns::Range ZeroPatterns::range_of(VariableSet on) const {
  const auto count = static_cast<Index>(problem_.cells.size());
  Range range{CellSet(count), CellSet(count)};
  for (Index c = 0; c < count; ++c) {
    const Index terms = count_terms(problem_.cells[at(c)], {on, ~on}).live;
    if (terms == 1) range.least.set(c);
    if (terms >= 1) range.most.set(c);
  }
  return range;
}

std::optional<Monomials> solve_monomials(const CellProblem& problem, const CellSet& ones,
                                         Index small, Index nodes, SearchBudget& budget) {
  CellSet wanted = ones, looked_at(static_cast<Index>(problem.cells.size()));
  wanted.set(small);
  std::optional<Monomials> solution;
  const auto solved = [&](const Known& known) {
    solution = monomials_on(problem, known.on, small, budget);
    return solution.has_value();
  };
  PatternSearch(problem, wanted, nodes, budget, looked_at, exact_demand, solved).run();
  return solution;
}

}  // namespace papilio
