#include "fixed_support/closing.hpp"

namespace papilio {

namespace {

/// The classes of which a region was merged.
void list_classes(const Peeling& peeling, std::int32_t region, std::vector<std::int32_t>& classes) {
  const Region& r = peeling.regions[at(region)];
  if (r.owner >= 0) {
    classes.push_back(r.owner);
    return;
  }
  list_classes(peeling, r.outer, classes);
  list_classes(peeling, r.inner, classes);
}

ClosedStep describe(const Peeling& peeling, ClosedStep::Rule rule,
                    const std::vector<std::int32_t>& regions) {
  ClosedStep step{rule, {}, {}, {}, {}};
  for (std::int32_t n : regions) {
    const Region& region = peeling.regions[at(n)];
    step.classes.emplace_back();
    list_classes(peeling, n, step.classes.back());
    step.rank.push_back(region.rank);
    step.rows.push_back(peeling.grid().rows.weight_of(region.rows));
    step.cols.push_back(peeling.grid().cols.weight_of(region.cols));
  }
  return step;
}

/// T3': a full rectangle that lies below, or above, all that it overlaps. -1 if there is none.
std::int32_t find_extreme(Peeling& peeling, const std::vector<std::int32_t>& left) {
  for (std::int32_t a : left) {
    const Region& A = peeling.regions[at(a)];
    bool least = true, greatest = true;
    for (std::int32_t b : left) {
      peeling.spend(A.rows.words());
      const Region& B = peeling.regions[at(b)];
      if (a == b || !Peeling::overlap(A, B)) continue;
      least = least && A.rows.within(B.rows) && B.cols.within(A.cols);
      greatest = greatest && B.rows.within(A.rows) && A.cols.within(B.cols);
      if (!least && !greatest) break;
    }
    if ((least || greatest) && peeling.is_full(A)) return a;
  }
  return -1;
}

/// T7 for two rectangles with the same rows, or the same columns: exact.
bool is_closed_pair(const Peeling& peeling, const Region& A, const Region& B) {
  if (!peeling.is_full(A) || !peeling.is_full(B)) return false;
  const auto closed = [&](const Bits& a, const Bits& b, const TypeSide& across, Index lines) {
    const Index only_a = std::min(A.rank, across.weight_of(a - b));
    const Index only_b = std::min(B.rank, across.weight_of(b - a));
    const bool open = only_a > 0 && only_b > 0 &&
                      across.weight_of(a & b) >= A.rank + B.rank - only_a - only_b + 1 &&
                      lines >= A.rank + B.rank + 1 - std::min(only_a, only_b);
    return !open;
  };
  const TypeGrid& grid = peeling.grid();
  if (A.rows == B.rows) return closed(A.cols, B.cols, grid.cols, grid.rows.weight_of(A.rows));
  if (A.cols == B.cols) return closed(A.rows, B.rows, grid.rows, grid.cols.weight_of(A.cols));
  return false;
}

/// A pair of regions that overlap each other only, with a closed set. Empty if there is none.
std::vector<std::int32_t> find_pair(Peeling& peeling, const std::vector<std::int32_t>& left) {
  for (std::int32_t a : left) {
    if (peeling.exhausted()) break;
    peeling.spend(2 * static_cast<Index>(left.size()));
    std::vector<std::int32_t> met;
    for (std::int32_t b : left)
      if (a != b && Peeling::overlap(peeling.regions[at(a)], peeling.regions[at(b)]))
        met.push_back(b);
    if (met.size() != 1 || met[0] < a) continue;
    const auto alone = [&](std::int32_t c) {
      return c == a || c == met[0] ||
             !Peeling::overlap(peeling.regions[at(met[0])], peeling.regions[at(c)]);
    };
    if (!std::all_of(left.begin(), left.end(), alone)) continue;
    if (is_closed_pair(peeling, peeling.regions[at(a)], peeling.regions[at(met[0])]))
      return {a, met[0]};
  }
  return {};
}

ClosedProof try_proof(Peeling& peeling) {
  ClosedProof proof{false, {}};
  const auto out = [&](ClosedStep::Rule rule, const std::vector<std::int32_t>& regions) {
    proof.steps.push_back(describe(peeling, rule, regions));
    for (std::int32_t n : regions) peeling.regions[at(n)].alive = false;
  };
  std::size_t told = 0;
  while (true) {
    peeling.run();
    for (; told < peeling.steps.size(); ++told)
      proof.steps.push_back(
          describe(peeling, rule_of(peeling.steps[told].rule), peeling.steps[told].regions));
    bool changed = false;
    for (std::vector<std::int32_t> left = peeling.alive(); !peeling.exhausted();
         left = peeling.alive()) {
      const std::int32_t extreme = find_extreme(peeling, left);
      if (extreme < 0) break;
      out(ClosedStep::Rule::eliminated, {extreme});
      changed = true;
    }
    const std::vector<std::int32_t> pair = find_pair(peeling, peeling.alive());
    if (!pair.empty()) out(ClosedStep::Rule::pair, pair);
    proof.proved = peeling.alive().empty();
    if (proof.proved || peeling.exhausted() || (!changed && pair.empty())) return proof;
  }
}

}  // namespace

ClosedStep::Rule rule_of(PeelStep::Rule rule) {
  switch (rule) {
    case PeelStep::Rule::covered:
      return ClosedStep::Rule::covered;
    case PeelStep::Rule::filled_rows:
      return ClosedStep::Rule::filled_rows;
    case PeelStep::Rule::filled_columns:
      return ClosedStep::Rule::filled_columns;
    default:
      return ClosedStep::Rule::merged;
  }
}

ClosedProof prove_closed(const TypeGrid& grid, double budget) {
  ClosedProof proof{false, {}};
  for (const bool merged_first : {false, true}) {
    Peeling peeling(grid, budget, true);
    if (merged_first) {
      peeling.merge_all();
      if (peeling.steps.empty()) break;  // the same again
    }
    proof = try_proof(peeling);
    if (proof.proved) break;
  }
  return proof;
}

}  // namespace papilio
