#include "fixed_support/cover_groups.hpp"

namespace papilio {

namespace {

// Nodes of the search for one set of classes of rank 2 or more.
constexpr Index nodes_of_a_group = 20'000;
// Of pairs of row types that are compared, where hundreds of them reach the same classes.
constexpr std::size_t most_lines = 512;

/// The search for one set G of classes of rank r: `own[i]` are the columns j with cover(i, j) = G.
class TriangleSearch {
 public:
  TriangleSearch(const TypeGrid& grid, const CoverGroups& groups, Index group, SearchBudget& budget)
      : grid_(grid),
        budget_(budget),
        classes_(groups.classes[at(group)]),
        rank_(groups.rank(grid, group)) {
    Bits all_cols(grid.cols.size());
    for (Index j = 0; j < grid.cols.size(); ++j)
      if (classes_.within(grid.cols.classes[at(j)])) all_cols.set(j);
    bool holes = false;
    for (Index i = 0; i < grid.rows.size(); ++i) {
      if (!classes_.within(grid.rows.classes[at(i)])) continue;
      Bits own(grid.cols.size());
      all_cols.each([&](Index j) {
        if (groups.of(i, j) == group) own.set(j);
      });
      budget.spend(all_cols.count() / 8 + 1);
      holes = holes || !all_cols.within(own);
      rows_.push_back(i);
      own_.push_back(std::move(own));
    }
    Index height = 0;
    for (Index i : rows_) height += grid.rows.weight[at(i)];
    possible_ = holes && height > rank_ && grid.cols.weight_of(all_cols) > rank_;
  }

  std::optional<FoundWitness> run() {
    if (!possible_) return std::nullopt;
    const std::size_t lines = std::min(rows_.size(), most_lines);
    for (std::size_t u = 0; u < lines && !budget_.over(); ++u)
      for (std::size_t v = 0; v < lines; ++v)
        if (u != v && from_pair(u, v)) return result();
    // For one inner index pairs miss nothing.
    if (rank_ == 1) return std::nullopt;
    nodes_ = nodes_of_a_group;
    used_rows_.assign(rows_.size(), 0);
    used_cols_.assign(at(grid_.cols.size()), 0);
    chosen_cols_ = Bits(grid_.cols.size());
    if (grow(false)) return result();
    return std::nullopt;
  }

 private:
  /// T6: rows that reach all of `shared` and `more`, and others, u among them, that reach `shared`.
  bool from_pair(std::size_t u, std::size_t v) {
    if (!budget_.spend(own_[u].words())) return false;
    const Bits shared = own_[u] & own_[v], more = own_[v] - own_[u];
    if (!shared.any() || !more.any()) return false;
    if (from_hole(u, shared, more)) return true;
    if (rank_ == 1) return false;
    return !more.all_of([&](Index j) {
      Bits one(grid_.cols.size());
      one.set(j);
      return budget_.over() || !from_hole(u, shared, one);
    });
  }

  bool from_hole(std::size_t u, const Bits& shared, const Bits& more) {
    std::vector<std::size_t> whole, part;
    Index height = 0, tall = 0;
    for (std::size_t w = 0; w < rows_.size(); ++w) {
      if (!shared.within(own_[w])) continue;
      const Index weight = grid_.rows.weight[at(rows_[w])];
      (more.within(own_[w]) ? whole : part).push_back(w);
      height += weight;
      if (more.within(own_[w])) tall += weight;
    }
    budget_.spend(static_cast<Index>(rows_.size()) * shared.words());
    const Index wide = grid_.cols.weight_of(shared), rest = grid_.cols.weight_of(more);
    if (height <= rank_ || wide + rest <= rank_ || tall + wide <= rank_) return false;
    const Index lower = std::max<Index>(1, rank_ + 1 - tall), upper = rank_ + 1 - lower;
    std::swap(*std::find(part.begin(), part.end(), u), part.front());
    sequence_.clear();
    take_rows(part, lower);
    take_rows(whole, upper);
    std::vector<GridLine> first = lines_of(shared, rank_ + 1), last = lines_of(more, upper);
    std::vector<GridLine> cols(first.begin(), first.begin() + lower);
    cols.insert(cols.end(), last.begin(), last.end());
    for (Index n = lower; cols.size() < sequence_.size(); ++n) cols.push_back(first[at(n)]);
    for (std::size_t n = 0; n < cols.size(); ++n) sequence_[n].col = cols[n];
    return true;
  }

  void take_rows(const std::vector<std::size_t>& from, Index count) {
    for (std::size_t w : from)
      for (Index n = 0; n < grid_.rows.weight[at(rows_[w])] && count > 0; ++n, --count)
        sequence_.push_back({w, {rows_[w], n}, {}});
  }

  std::vector<GridLine> lines_of(const Bits& cols, Index most) const {
    std::vector<GridLine> lines;
    cols.each([&](Index j) {
      for (Index n = 0; n < grid_.cols.weight[at(j)] && static_cast<Index>(lines.size()) < most;
           ++n)
        lines.push_back({j, n});
    });
    return lines;
  }

  /// Depth first: the next row reaches all columns so far, the next column lies in that row.
  bool grow(bool has_corner) {
    if (static_cast<Index>(sequence_.size()) == rank_ + 1) return has_corner;
    for (std::size_t w = 0; w < rows_.size(); ++w) {
      if (used_rows_[w] >= grid_.rows.weight[at(rows_[w])] || !chosen_cols_.within(own_[w]))
        continue;
      const bool found = !own_[w].all_of([&](Index j) { return !extend(w, j, has_corner); });
      if (found) return true;
      if (nodes_ < 0) return false;
    }
    return false;
  }

  bool extend(std::size_t w, Index j, bool has_corner) {
    Index& used = used_cols_[at(j)];
    if (used >= grid_.cols.weight[at(j)]) return false;
    if (--nodes_ < 0 || !budget_.spend(4 * own_[w].words())) return false;
    for (const Entry& entry : sequence_) has_corner = has_corner || !own_[entry.place][j];
    sequence_.push_back({w, {rows_[w], used_rows_[w]}, {j, used}});
    const bool fresh = used == 0;
    ++used_rows_[w];
    ++used;
    chosen_cols_.set(j);
    if (grow(has_corner)) return true;
    --used_rows_[w];
    --used;
    if (fresh) chosen_cols_.reset(j);
    sequence_.pop_back();
    return false;
  }

  FoundWitness result() const {
    FoundWitness found{OpenWitness::Rule::triangular,
                       classes_,
                       Bits(grid_.classes()),
                       {},
                       {},
                       0,
                       0,
                       rank_,
                       0,
                       0,
                       0,
                       false,
                       {}};
    for (std::size_t n = 0; n < sequence_.size(); ++n) {
      found.rows.push_back(sequence_[n].row);
      found.cols.push_back(sequence_[n].col);
      for (std::size_t before = 0; before < n; ++before)
        if (!own_[sequence_[before].place][sequence_[n].col.type]) {
          found.corner_row = static_cast<Index>(before);
          found.corner_col = static_cast<Index>(n);
        }
    }
    return found;
  }

  struct Entry {
    std::size_t place;  // in rows_
    GridLine row, col;
  };

  const TypeGrid& grid_;
  SearchBudget& budget_;
  const Bits& classes_;
  Index rank_;
  bool possible_;
  std::vector<Index> rows_;
  std::vector<Bits> own_;
  std::vector<Entry> sequence_;
  Index nodes_ = 0;
  std::vector<Index> used_rows_, used_cols_;
  Bits chosen_cols_;
};

}  // namespace

CoverGroups::CoverGroups(const TypeGrid& grid, SearchBudget& budget) : cols(grid.cols.size()) {
  for (Index i = 0; i < grid.rows.size(); ++i)
    for (Index j = 0; j < cols; ++j) {
      const bool present = grid.rows.weight[at(i)] > 0 && grid.cols.weight[at(j)] > 0;
      const Bits cover = grid.cover(i, j);
      budget.spend(2 * cover.words());
      if (!present || !cover.any()) {
        cell.push_back(-1);
        continue;
      }
      const auto [place, fresh] = number.try_emplace(cover, static_cast<Index>(classes.size()));
      if (fresh) classes.push_back(cover);
      cell.push_back(place->second);
    }
}

Index CoverGroups::rank(const TypeGrid& grid, Index group) const {
  Index sum = 0;
  classes[at(group)].each([&](Index p) { sum += grid.rank[at(p)]; });
  return sum;
}

std::optional<FoundWitness> find_triangular(const TypeGrid& grid, const CoverGroups& groups,
                                            SearchBudget& budget) {
  for (Index g = 0; g < static_cast<Index>(groups.classes.size()) && !budget.over(); ++g) {
    auto found = TriangleSearch(grid, groups, g, budget).run();
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace papilio
