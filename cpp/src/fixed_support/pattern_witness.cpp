#include <algorithm>

#include "fixed_support/index_sets.hpp"
#include "fixed_support/zero_pattern.hpp"

namespace papilio {

namespace {

// Limits of up to so many ones are tried, and of each number of ones all or none, so that the
// order of lines doesn't matter. Among thousands of supports of up to 6 x 6 x 6 most had three or
// four.
constexpr Index most_ones = 7;
constexpr double most_limits = 6e4;
// Assignments that are looked at for one limit; few need more than a hundred.
constexpr Index pattern_nodes = 1'000, monomial_nodes = 1'000;

/// All limits, the smallest first.
class LimitSearch {
 public:
  LimitSearch(const TypeGrid& grid, const CellProblem& problem, double limits, SearchBudget& budget)
      : grid_(grid),
        problem_(problem),
        limits_(limits),
        budget_(budget),
        count_(static_cast<Index>(problem.cells.size())),
        ones_(count_),
        patterns_(problem, pattern_nodes, budget) {}

  std::optional<FoundWitness> run() {
    double limits = static_cast<double>(count_);  // of one size
    for (Index size = 2; size <= std::min(most_ones, count_ - 1); ++size) {
      limits *= static_cast<double>(count_ + 1 - size) / static_cast<double>(size);
      if (limits > limits_ || budget_.over()) break;
      if (choose(0, size)) return std::move(found_);
    }
    return std::nullopt;
  }

 private:
  bool choose(Index from, Index more) {
    if (more == 0) return try_limit();
    for (Index c = from; c + more <= count_ && !budget_.over(); ++c) {
      ones_.set(c);
      const bool done = choose(c + 1, more - 1);
      ones_.reset(c);
      if (done) return true;
    }
    return false;
  }

  bool try_limit() {
    CellSet proof(count_);
    if (patterns_.allow(ones_, proof)) return false;
    // Epsilon elsewhere would leave the proof as it is.
    for (Index c : (proof - ones_).list()) {
      if (budget_.over()) return false;
      const auto monomials = solve_monomials(problem_, ones_, c, monomial_nodes, budget_);
      if (!monomials) continue;
      write(*monomials, c);
      return true;
    }
    return false;
  }

  void write(const Monomials& monomials, Index small) {
    FoundWitness found{OpenWitness::Rule::pattern,
                       Bits(grid_.classes()),
                       Bits(grid_.classes()),
                       {},
                       {},
                       0,
                       0,
                       0,
                       0,
                       0,
                       0,
                       false,
                       {}};
    ones_.each([&](Index c) { put_cell(c, found); });
    put_cell(small, found);
    for (std::size_t n = 0; n < problem_.variables.size(); ++n) {
      if (!(monomials.used >> n & 1)) continue;
      const CellProblem::Variable& v = problem_.variables[n];
      found.first.set(v.owner);
      (v.left ? found.x : found.y)
          .push_back({v.line, v.owner, v.member, monomials.sign[n], monomials.power[n]});
    }
    found_ = std::move(found);
  }

  void put_cell(Index c, FoundWitness& found) const {
    found.rows.push_back(problem_.cells[at(c)].row);
    found.cols.push_back(problem_.cells[at(c)].col);
  }

  const TypeGrid& grid_;
  const CellProblem& problem_;
  double limits_;
  SearchBudget& budget_;
  Index count_;
  CellSet ones_;
  ZeroPatterns patterns_;
  std::optional<FoundWitness> found_;
};

bool overlap(const TypeGrid& grid, Index p, Index q) {
  return grid.rows.of_class[at(p)].meets(grid.rows.of_class[at(q)]) &&
         grid.cols.of_class[at(p)].meets(grid.cols.of_class[at(q)]);
}

/// Only the lines of some classes (T0).
TypeGrid part_of(const TypeGrid& grid, const Bits& classes) {
  TypeGrid part = grid;
  const auto keep = [&](TypeSide& side) {
    for (Index n = 0; n < side.size(); ++n)
      if (!classes.meets(side.classes[at(n)])) side.weight[at(n)] = 0;
  };
  keep(part.rows);
  keep(part.cols);
  cap_ranks(part);
  return part;
}

/// A class with those that it overlaps, these with those that they overlap, and so on, as long as
/// the part is small enough. Nothing if it never is.
std::optional<TypeGrid> part_around(const TypeGrid& grid, Index start, SearchBudget& budget) {
  Bits classes(grid.classes());
  classes.set(start);
  std::optional<TypeGrid> part;
  while (!budget.over()) {
    TypeGrid larger = part_of(grid, classes);
    if (!CellProblem::of(larger)) break;
    part = std::move(larger);
    Bits more = classes;
    classes.each([&](Index p) {
      budget.spend(grid.classes());
      for (Index q = 0; q < grid.classes(); ++q)
        if (overlap(grid, p, q)) more.set(q);
    });
    if (more == classes) break;
    classes = more;
  }
  return part;
}

}  // namespace

std::optional<FoundWitness> find_pattern(const TypeGrid& grid, SearchBudget& budget) {
  if (const auto whole = CellProblem::of(grid))
    return LimitSearch(grid, *whole, most_limits, budget).run();
  const auto count = static_cast<double>(grid.classes());
  for (Index p = 0; p < grid.classes() && !budget.over(); ++p) {
    const auto part = part_around(grid, p, budget);
    if (!part) continue;
    auto found = LimitSearch(*part, *CellProblem::of(*part), most_limits / count, budget).run();
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace papilio
