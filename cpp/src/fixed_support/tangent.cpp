#include "fixed_support/cover_groups.hpp"

namespace papilio {

namespace {

constexpr Index nodes_of_a_pair = 5'000;

/// The search for two disjoint sets of classes: rows I and the columns that all of them have in
/// the first set alone, in the second alone, in both.
class TangentSearch {
 public:
  TangentSearch(const TypeGrid& grid, const CoverGroups& groups, Index g1, Index g2, Index g0,
                SearchBudget& budget)
      : grid_(grid),
        budget_(budget),
        groups_{g1, g2, g0},
        numbered_(groups),
        rank1_(groups.rank(grid, g1)),
        rank2_(groups.rank(grid, g2)) {}

  std::optional<FoundWitness> run() {
    for (Index i = 0; i < grid_.rows.size(); ++i) {
      if (!numbered_.classes[at(groups_[2])].within(grid_.rows.classes[at(i)])) continue;
      Columns own;
      for (std::size_t k = 0; k < 3; ++k) {
        own[k] = Bits(grid_.cols.size());
        for (Index j = 0; j < grid_.cols.size(); ++j)
          if (numbered_.of(i, j) == groups_[k]) own[k].set(j);
      }
      budget_.spend(grid_.cols.size());
      if (!promising(own)) continue;
      rows_.push_back(i);
      own_.push_back(own);
    }
    for (std::size_t n = 0; n < rows_.size(); ++n)
      if (grow(n, own_[n], 0)) return result();
    return std::nullopt;
  }

 private:
  using Columns = std::array<Bits, 3>;  // J1, J2, J0

  Index used(const Columns& columns, std::size_t k) const {
    return std::min(k == 0 ? rank1_ : rank2_, grid_.cols.weight_of(columns[k]));
  }

  /// More rows leave fewer columns: what fails here fails with more of them.
  bool promising(const Columns& columns) const {
    const Index used1 = used(columns, 0), used2 = used(columns, 1);
    return used1 > 0 && used2 > 0 &&
           grid_.cols.weight_of(columns[2]) >= rank1_ + rank2_ - used1 - used2 + 1;
  }

  bool grow(std::size_t n, const Columns& columns, Index weight) {
    if (--nodes_ < 0 || !budget_.spend(6 * columns[0].words()) || !promising(columns)) return false;
    chosen_.push_back(n);
    weight += grid_.rows.weight[at(rows_[n])];
    if (weight >= rank1_ + rank2_ + 1 - std::min(used(columns, 0), used(columns, 1))) {
      columns_ = columns;
      return true;
    }
    for (std::size_t next = n + 1; next < rows_.size(); ++next) {
      Columns fewer = columns;
      for (std::size_t k = 0; k < 3; ++k) fewer[k] &= own_[next][k];
      if (grow(next, fewer, weight)) return true;
    }
    chosen_.pop_back();
    return false;
  }

  FoundWitness result() const {
    const Index used1 = used(columns_, 0), used2 = used(columns_, 1);
    FoundWitness found{OpenWitness::Rule::tangent,
                       numbered_.classes[at(groups_[0])],
                       numbered_.classes[at(groups_[1])],
                       {},
                       {},
                       0,
                       0,
                       rank1_,
                       rank2_,
                       used1,
                       used2,
                       false,
                       {}};
    const Index height = rank1_ + rank2_ + 1 - std::min(used1, used2);
    for (std::size_t n : chosen_)
      for (Index k = 0; k < grid_.rows.weight[at(rows_[n])]; ++k)
        if (static_cast<Index>(found.rows.size()) < height) found.rows.push_back({rows_[n], k});
    const std::array<Index, 3> widths{used1, used2, rank1_ + rank2_ - used1 - used2 + 1};
    for (std::size_t k = 0; k < 3; ++k) {
      Index missing = widths[k];
      columns_[k].each([&](Index j) {
        for (Index n = 0; n < grid_.cols.weight[at(j)] && missing > 0; ++n, --missing)
          found.cols.push_back({j, n});
      });
    }
    return found;
  }

  const TypeGrid& grid_;
  SearchBudget& budget_;
  std::array<Index, 3> groups_;
  const CoverGroups& numbered_;
  Index rank1_, rank2_;
  std::vector<Index> rows_;
  std::vector<Columns> own_;
  std::vector<std::size_t> chosen_;
  Columns columns_;
  Index nodes_ = nodes_of_a_pair;
};

}  // namespace

std::optional<FoundWitness> find_tangent(const TypeGrid& grid, const CoverGroups& groups,
                                         SearchBudget& budget) {
  const auto count = static_cast<Index>(groups.classes.size());
  for (Index g1 = 0; g1 < count; ++g1)
    for (Index g2 = 0; g2 < g1; ++g2) {
      const Bits &first = groups.classes[at(g1)], &second = groups.classes[at(g2)];
      if (!budget.spend(4 * first.words())) return std::nullopt;
      if (first.meets(second)) continue;
      const auto both = groups.number.find(first | second);
      if (both == groups.number.end()) continue;
      auto found = TangentSearch(grid, groups, g1, g2, both->second, budget).run();
      if (found) return found;
    }
  return std::nullopt;
}

}  // namespace papilio
