#include "fixed_support/chain_reach.hpp"

#include <algorithm>
#include <numeric>

#include "fixed_support/index_sets.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

/// Finds what panels reach; one object per thread.
class Explorer {
 public:
  explicit Explorer(const ChainSide& side)
      : side_(side), before_(at(side.widest)), after_(at(side.widest)) {}

  void fill(ChainPanel& panel) {
    for (const ChainLink& link : side_.links) {
      const bool first = panel.levels.empty();
      met_ = 0;
      std::fill_n(after_.begin(), link.cols, LaneMask(0));
      if (first)
        for (Index lane = 0; lane < panel.rows; ++lane)
          spread(link, panel.first + lane, static_cast<LaneMask>(1u << lane));
      else
        for (Index row = 0; row < link.rows; ++row)
          if (before_[at(row)]) spread(link, row, before_[at(row)]);
      panel.levels.push_back(reached(link.cols));
      panel.met.push_back(met_);
      before_.swap(after_);
    }
    keep_masks(panel);
  }

 private:
  void spread(const ChainLink& link, Index row, LaneMask mask) {
    const IndexSpan columns = link.by_row[row];
    pulse_(1 + columns.size());
    met_ += columns.size();
    for (std::int32_t column : columns) after_[at(column)] |= mask;
  }

  Reached reached(Index size) const {
    Reached level;
    for (Index n = 0; n < size; ++n)
      if (after_[at(n)]) level.index.push_back(static_cast<std::int32_t>(n));
    level.all = static_cast<Index>(level.index.size()) == size;
    if (level.all) level.index.clear();
    level.index.shrink_to_fit();
    return level;
  }

  void keep_masks(ChainPanel& panel) const {
    const auto full = static_cast<LaneMask>((1u << panel.rows) - 1u);
    std::vector<LaneMask> masks;
    bool whole = true;
    for (Index n = 0; n < side_.cols(); ++n)
      if (const LaneMask mask = before_[at(n)]) {
        masks.push_back(mask);
        whole = whole && mask == full;
      }
    if (!whole) {
      masks.shrink_to_fit();
      panel.reaching = std::move(masks);
    }
  }

  const ChainSide& side_;
  std::vector<LaneMask> before_, after_;
  Index met_ = 0;
  Pulse pulse_;
};

}  // namespace

void ChainSide::fill() {
  panels.clear();
  for (Index first = 0; first < rows(); first += chain_lanes)
    panels.push_back({first, std::min(chain_lanes, rows() - first), {}, {}, {}});
  double each = 0;
  for (const ChainLink& link : links) each += static_cast<double>(link.size() + 2 * link.cols);
  in_shares(static_cast<Index>(panels.size()), each, [&](Index begin, Index end) {
    Explorer explorer(*this);
    for (Index n = begin; n < end; ++n) explorer.fill(panels[at(n)]);
  });
  work.assign(links.size(), 0.0);
  for (const ChainPanel& panel : panels)
    for (std::size_t n = 0; n < links.size(); ++n) work[n] += static_cast<double>(panel.met[n]);
}

ChainSide chain_side(const std::vector<FactorSupport>& supports) {
  ChainSide side;
  std::int64_t before = 0;
  for (const FactorSupport& support : supports) {
    ChainLink link{support.rows(), support.cols, {}, {}, {}, {}};
    const std::int64_t size = support.by_row.start[link.rows];
    link.by_row.start.assign(support.by_row.start, support.by_row.start + link.rows + 1);
    link.by_row.index.assign(support.by_row.index, support.by_row.index + size);
    link.by_col = transposed(support.by_row, link.cols, &link.from_col);
    link.from_row.resize(at(size));
    std::iota(link.from_row.begin(), link.from_row.end(), before);
    for (std::int64_t& place : link.from_col) place += before;
    before += size;
    side.widest = std::max({side.widest, link.rows, link.cols});
    side.links.push_back(std::move(link));
  }
  side.fill();
  return side;
}

ChainSide transposed(const ChainSide& side) {
  ChainSide other;
  other.widest = side.widest;
  for (auto link = side.links.rbegin(); link != side.links.rend(); ++link)
    other.links.push_back(
        {link->cols, link->rows, link->by_col, link->by_row, link->from_col, link->from_row});
  other.fill();
  return other;
}

}  // namespace papilio
