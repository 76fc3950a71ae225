#include "fixed_support/cover_groups.hpp"

namespace papilio {

namespace {

/// Rows and columns exchanged.
void turn(FoundWitness& found) {
  std::swap(found.rows, found.cols);
  std::swap(found.corner_row, found.corner_col);
  found.by_columns = !found.by_columns;
  for (Pin& pin : found.pins) std::swap(pin.rows, pin.cols);
}

/// All ways to choose r lines of some types, for one class whose columns are fixed: T9.
class PinSearch {
 public:
  PinSearch(const TypeGrid& grid, Index owner, int depth, SearchBudget& budget)
      : grid_(grid), owner_(owner), depth_(depth), budget_(budget), rank_(grid.rank[at(owner)]) {
    grid.cols.of_class[at(owner)].each([&](Index j) {
      if (grid.cols.weight[at(j)] == 0) return;
      Bits clear(grid.rows.size());
      for (Index i = 0; i < grid.rows.size(); ++i) {
        Bits others = grid.cover(i, j);
        others.reset(owner);
        if (grid.rows.weight[at(i)] > 0 && !others.any()) clear.set(i);
      }
      budget.spend(grid.rows.size());
      if (!clear.meets(grid.rows.of_class[at(owner)])) return;
      cols_.push_back(j);
      clear_.push_back(std::move(clear));
    });
  }

  std::optional<FoundWitness> run() {
    Bits all(grid_.rows.size());
    for (Index i = 0; i < grid_.rows.size(); ++i) all.set(i);
    choose_cols(0, all, {});
    return std::move(found_);
  }

 private:
  /// The lines and one more of a type, numbered on after one of the same; none if all are taken.
  static std::optional<std::vector<GridLine>> with_another(const TypeSide& side,
                                                           const std::vector<GridLine>& chosen,
                                                           Index type) {
    const bool again = !chosen.empty() && chosen.back().type == type;
    const Index number = again ? chosen.back().number + 1 : 0;
    if (number >= side.weight[at(type)]) return std::nullopt;
    std::vector<GridLine> more = chosen;
    more.push_back({type, number});
    return more;
  }

  void choose_cols(std::size_t from, const Bits& clear, std::vector<GridLine> chosen) {
    const Bits own = clear & grid_.rows.of_class[at(owner_)];
    if (found_ || !budget_.spend(4 * clear.words()) || grid_.rows.weight_of(own) < rank_) return;
    if (static_cast<Index>(chosen.size()) == rank_) {
      choose_rows(own.list(), 0, clear, chosen, {});
      return;
    }
    for (std::size_t n = from; n < cols_.size(); ++n) {
      std::optional<std::vector<GridLine>> more = with_another(grid_.cols, chosen, cols_[n]);
      if (more) choose_cols(n, clear & clear_[n], std::move(*more));
    }
  }

  void choose_rows(const std::vector<Index>& own, std::size_t from, const Bits& clear,
                   const std::vector<GridLine>& cols, std::vector<GridLine> chosen) {
    if (found_ || !budget_.spend(4 * clear.words())) return;
    if (static_cast<Index>(chosen.size()) == rank_) {
      recurse(clear, cols, chosen);
      return;
    }
    for (std::size_t n = from; n < own.size(); ++n) {
      std::optional<std::vector<GridLine>> more = with_another(grid_.rows, chosen, own[n]);
      if (more) choose_rows(own, n, clear, cols, std::move(*more));
    }
  }

  void recurse(const Bits& clear, const std::vector<GridLine>& cols,
               const std::vector<GridLine>& rows) {
    TypeGrid rest = grid_;
    for (Index i = 0; i < rest.rows.size(); ++i)
      if (!clear[i]) rest.rows.weight[at(i)] = 0;
    for (const GridLine& line : rows) use(rest.rows, line);
    for (const GridLine& line : cols) use(rest.cols, line);
    for (Bits& set : rest.rows.classes) set.reset(owner_);
    for (Bits& set : rest.cols.classes) set.reset(owner_);
    rest.rows.of_class[at(owner_)] = Bits(rest.rows.size());
    rest.cols.of_class[at(owner_)] = Bits(rest.cols.size());
    Index left = 0;
    for (Index p = 0; p < rest.classes(); ++p)
      left += rest.rows.weight_of(rest.rows.of_class[at(p)]) > 0 &&
              rest.cols.weight_of(rest.cols.of_class[at(p)]) > 0;
    if (left < 2 || !budget_.spend(rest.rows.size() + rest.cols.size())) return;
    cap_ranks(rest);
    found_ = find_open(rest, depth_ - 1, budget_);
    if (!found_) return;
    Pin pin{owner_, {}, {}};
    for (GridLine line : rows) pin.rows.push_back({line.type, absolute(grid_.rows, line)});
    for (GridLine line : cols) pin.cols.push_back({line.type, absolute(grid_.cols, line)});
    found_->pins.push_back(std::move(pin));
  }

  static void use(TypeSide& side, const GridLine& line) {
    --side.weight[at(line.type)];
    ++side.base[at(line.type)];
  }
  static Index absolute(const TypeSide& side, const GridLine& line) {
    return side.base[at(line.type)] + line.number;
  }

  const TypeGrid& grid_;
  Index owner_;
  int depth_;
  SearchBudget& budget_;
  Index rank_;
  std::vector<Index> cols_;
  std::vector<Bits> clear_;  // of each of these columns: rows that no other class reaches there
  std::optional<FoundWitness> found_;
};

/// Numbers lines as the whole problem does.
void set_base(FoundWitness& found, const TypeGrid& grid) {
  for (GridLine& line : found.rows) line.number += grid.rows.base[at(line.type)];
  for (GridLine& line : found.cols) line.number += grid.cols.base[at(line.type)];
}

}  // namespace

std::optional<FoundWitness> find_direct(const TypeGrid& grid, SearchBudget& budget) {
  const CoverGroups groups(grid, budget);
  auto found = find_triangular(grid, groups, budget);
  if (!found) found = find_tangent(grid, groups, budget);
  if (found) {
    set_base(*found, grid);
    return found;
  }
  const TypeGrid turned = grid.transposed();
  const CoverGroups turned_groups(turned, budget);
  found = find_tangent(turned, turned_groups, budget);
  if (!found) found = find_triangular(turned, turned_groups, budget);
  if (!found) return found;
  set_base(*found, turned);
  turn(*found);
  return found;
}

std::optional<FoundWitness> find_open(const TypeGrid& grid, int depth, SearchBudget& budget) {
  auto found = find_direct(grid, budget);
  if (found || depth == 0) return found;
  const TypeGrid turned = grid.transposed();
  for (const bool by_rows : {false, true})
    for (Index p = 0; p < grid.classes() && !budget.over(); ++p) {
      if (grid.rank[at(p)] == 0) continue;
      found = PinSearch(by_rows ? turned : grid, p, depth, budget).run();
      if (!found) continue;
      if (by_rows) turn(*found);
      return found;
    }
  return std::nullopt;
}

}  // namespace papilio
