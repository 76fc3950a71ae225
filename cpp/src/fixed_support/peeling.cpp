#include "fixed_support/peeling.hpp"

#include "fixed_support/transport.hpp"

namespace papilio {

namespace {

std::int32_t narrow(std::size_t n) { return static_cast<std::int32_t>(n); }

// Sets of so many regions are tried together, where a component has no more regions than this.
constexpr std::size_t largest_set = 4, small_component = 12;
// Pairs of so many regions are looked at for merges.
constexpr std::size_t merged_among = 3000;

}  // namespace

Peeling::Peeling(const TypeGrid& grid, double budget, bool fill)
    : grid_(&grid),
      budget_(budget),
      fill_(fill),
      peeled_(at(grid.rows.size()), Bits(grid.cols.size())),
      peeled_in_col_(at(grid.cols.size()), Bits(grid.rows.size())) {
  for (Index p = 0; p < grid.classes(); ++p) {
    regions.push_back({grid.rank[at(p)], grid.rows.of_class[at(p)], grid.cols.of_class[at(p)],
                       static_cast<std::int32_t>(p), -1, -1, true, false});
    queue_.push_back(static_cast<std::int32_t>(p));
  }
}

std::vector<std::int32_t> Peeling::alive() const {
  std::vector<std::int32_t> result;
  for (std::size_t n = 0; n < regions.size(); ++n)
    if (regions[n].alive) result.push_back(narrow(n));
  return result;
}

Bits Peeling::left_in_row(const Region& region, Index row) const {
  return region.cols - peeled_[at(row)];
}

bool Peeling::is_full(const Region& region) const {
  return region.rows.all_of([&](Index i) { return !region.cols.meets(peeled_[at(i)]); });
}

void Peeling::run() {
  do {
    peel_quick();
  } while (budget_ > 0 && (revise() || merge() || (fill_ && fill_some())));
}

/// Drops rows and columns where nothing is left, until there are more than the rank allows.
bool Peeling::has_few_lines(Region& region) {
  const auto few = [&](Bits& lines, const Bits& across, const std::vector<Bits>& peeled,
                       const std::vector<Index>& weight) {
    Index sum = 0;
    for (Index n : lines.list()) {
      spend(across.words());
      if (across.within(peeled[at(n)]))
        lines.reset(n);
      else if ((sum += weight[at(n)]) > region.rank)
        return false;
    }
    return true;
  };
  return few(region.rows, region.cols, peeled_, grid_->rows.weight) ||
         few(region.cols, region.rows, peeled_in_col_, grid_->cols.weight);
}

void Peeling::peel_quick() {
  while (!queue_.empty() && budget_ > 0) {
    const std::int32_t n = queue_.back();
    queue_.pop_back();
    Region& region = regions[at(n)];
    if (!region.alive || !has_few_lines(region)) continue;
    if (region.rows.any() && region.cols.any())
      peel({n}, PeelStep::Rule::covered);
    else
      region.alive = false;
  }
}

void Peeling::peel(const std::vector<std::int32_t>& chosen, PeelStep::Rule rule) {
  steps.push_back({rule, chosen});
  for (std::int32_t n : chosen) regions[at(n)].alive = false;
  for (std::int32_t n : chosen) {
    const Region& region = regions[at(n)];
    region.rows.each([&](Index i) {
      const Bits fresh = left_in_row(region, i);
      spend(2 * fresh.words());
      peeled_[at(i)] |= fresh;
      fresh.each([&](Index j) { peeled_in_col_[at(j)].set(i); });
    });
    touch(region);
  }
}

/// What overlaps a peeled region is looked at again.
void Peeling::touch(const Region& region) {
  for (std::size_t n = 0; n < regions.size(); ++n) {
    Region& other = regions[n];
    if (!other.alive) continue;
    spend(other.rows.words());
    if (!overlap(other, region)) continue;
    other.dirty = true;
    queue_.push_back(narrow(n));
  }
}

/// Pieces of what has changed, and their term ranks. Whether one was peeled.
bool Peeling::revise() {
  bool changed = false;
  for (std::size_t n = 0; n < regions.size() && budget_ > 0; ++n) {  // pieces are appended
    if (!regions[n].alive || !regions[n].dirty) continue;
    regions[n].dirty = false;
    split(narrow(n));
    if (!is_covered(regions[n])) continue;
    peel({narrow(n)}, PeelStep::Rule::covered);
    changed = true;
  }
  return changed;
}

/// Keeps the first piece of a region and makes regions of the others.
void Peeling::split(std::int32_t number) {
  Bits rows = regions[at(number)].rows;
  const Region whole = regions[at(number)];
  bool first = true;
  while (rows.any()) {
    Region piece = whole;
    piece.rows = Bits(grid_->rows.size());
    piece.cols = Bits(grid_->cols.size());
    for (bool grown = true; grown;) {
      grown = false;
      rows.each([&](Index i) {
        if (piece.rows.any() && grown == false && piece.rows[i]) return;
        const Bits rest = left_in_row(whole, i);
        spend(2 * rest.words());
        if (!rest.any()) {
          rows.reset(i);
        } else if (!piece.rows.any() || rest.meets(piece.cols)) {
          rows.reset(i);
          piece.rows.set(i);
          piece.cols |= rest;
          grown = true;
        }
      });
    }
    if (!piece.rows.any()) continue;
    if (first) {
      regions[at(number)] = piece;
      first = false;
    } else {
      piece.dirty = true;
      regions.push_back(piece);
      queue_.push_back(narrow(regions.size() - 1));
    }
  }
  if (first) regions[at(number)].alive = false;
}

/// Whether lines whose weights add up to at most the rank cover what is left of a region.
bool Peeling::is_covered(const Region& region) {
  if (!region.alive) return false;
  const std::vector<Index> rows = region.rows.list();
  std::vector<Index> supply;
  std::vector<Bits> edges;
  for (Index i : rows) {
    supply.push_back(grid_->rows.weight[at(i)]);
    edges.push_back(left_in_row(region, i));
  }
  Transport transport(std::move(supply), edges, grid_->cols.weight);
  spend((region.rank + 1) * static_cast<Index>(rows.size()) * region.cols.words());
  return transport.run(region.rank) <= region.rank;
}

/// Two rectangles, one within the other, that are one of the sum of the ranks: T6' of the docs.
bool Peeling::merge() {
  const std::vector<std::int32_t> left = alive();
  if (left.size() > merged_among) return false;
  std::vector<std::int32_t> full;
  for (std::int32_t n : left)
    if (is_full(regions[at(n)])) full.push_back(n);
  for (std::int32_t a : full)
    for (std::int32_t b : full) {
      const Region &outer = regions[at(a)], &inner = regions[at(b)];
      spend(1);
      if (a == b || !inner.rows.within(outer.rows) || !inner.cols.within(outer.cols)) continue;
      if (grid_->rows.weight_of(outer.rows - inner.rows) +
              grid_->cols.weight_of(outer.cols - inner.cols) >
          outer.rank)
        continue;
      Region both{outer.rank + inner.rank, outer.rows, outer.cols, -1, a, b, true, false};
      regions[at(a)].alive = regions[at(b)].alive = false;
      queue_.push_back(narrow(regions.size()));
      steps.push_back({PeelStep::Rule::merged, {narrow(regions.size())}});
      regions.push_back(std::move(both));
      return true;
    }
  return false;
}

std::vector<std::vector<std::int32_t>> Peeling::components() const {
  std::vector<std::int32_t> left = alive();
  std::vector<std::vector<std::int32_t>> result;
  while (!left.empty()) {
    std::vector<std::int32_t> found{left.back()};
    left.pop_back();
    for (std::size_t head = 0; head < found.size(); ++head)
      for (std::size_t n = left.size(); n-- > 0;)
        if (overlap(regions[at(found[head])], regions[at(left[n])])) {
          found.push_back(left[n]);
          left.erase(left.begin() + static_cast<std::ptrdiff_t>(n));
        }
    std::sort(found.begin(), found.end());
    result.push_back(std::move(found));
  }
  return result;
}

/// A set that fills all of its entries, row by row or column by column: whole components, and
/// small sets where a component is small. Whether one was found.
bool Peeling::fill_some() {
  if (alive().size() > merged_among) return false;
  for (const std::vector<std::int32_t>& all : components()) {
    if (try_fill(all)) return true;
    if (all.size() > small_component) continue;
    for (std::size_t size = 1; size <= std::min(all.size() - 1, largest_set); ++size) {
      std::vector<char> mask(all.size());
      std::fill(mask.begin(), mask.begin() + static_cast<std::ptrdiff_t>(size), 1);
      do {
        std::vector<std::int32_t> chosen;
        for (std::size_t n = 0; n < all.size(); ++n)
          if (mask[n]) chosen.push_back(all[n]);
        if (budget_ > 0 && try_fill(chosen)) return true;
      } while (std::prev_permutation(mask.begin(), mask.end()));
    }
  }
  return false;
}

bool Peeling::try_fill(const std::vector<std::int32_t>& chosen) {
  for (const bool by_columns : {false, true})
    if (fills(chosen, by_columns)) {
      peel(chosen, by_columns ? PeelStep::Rule::filled_columns : PeelStep::Rule::filled_rows);
      return true;
    }
  return false;
}

/// T2 (b): in each row the members reach all that is left of their regions, for almost all
/// values across.
bool Peeling::fills(const std::vector<std::int32_t>& chosen, bool by_columns) {
  const TypeSide& lines = by_columns ? grid_->cols : grid_->rows;
  const TypeSide& across = by_columns ? grid_->rows : grid_->cols;
  const std::vector<Bits>& peeled = by_columns ? peeled_in_col_ : peeled_;
  const auto own = [&](std::int32_t n) -> const Bits& {
    return by_columns ? regions[at(n)].cols : regions[at(n)].rows;
  };
  const auto other = [&](std::int32_t n) -> const Bits& {
    return by_columns ? regions[at(n)].rows : regions[at(n)].cols;
  };
  Bits all(lines.size());
  for (std::int32_t n : chosen) all |= own(n);
  return all.all_of([&](Index line) {
    Bits wanted(across.size());
    std::vector<Index> supply;
    std::vector<std::int32_t> here;
    for (std::int32_t n : chosen)
      if (own(n)[line]) {
        wanted |= other(n) - peeled[at(line)];
        supply.push_back(regions[at(n)].rank);
        here.push_back(n);
      }
    std::vector<Bits> edges;
    for (std::int32_t n : here) edges.push_back(other(n) & wanted);
    const Index needed = across.weight_of(wanted);
    spend((needed + 1) * static_cast<Index>(here.size()) * wanted.words());
    Index most = 0;
    for (Index r : supply) most += r;
    if (budget_ < 0 || most < needed) return false;
    Transport transport(std::move(supply), edges, across.weight);
    return transport.run(needed) >= needed;
  });
}

bool Peeling::is_disjoint() const {
  const std::vector<std::int32_t> left = alive();
  if (left.size() > merged_among) return false;
  for (std::size_t a = 0; a < left.size(); ++a) {
    if (!is_full(regions[at(left[a])])) return false;
    for (std::size_t b = a + 1; b < left.size(); ++b)
      if (overlap(regions[at(left[a])], regions[at(left[b])])) return false;
  }
  return true;
}

}  // namespace papilio
