// The supports of a chain of factors from one of its ends, and what some rows of it can reach.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/chain_kernels.hpp"
#include "papilio/fixed_support.hpp"

namespace papilio {

/// Rows of the product that go through the factors together: one in each lane.
constexpr Index chain_lanes = kernels::chain_lanes;
using LaneMask = std::uint16_t;

/// One factor, seen from one end of the chain.
struct ChainLink {
  Index rows, cols;
  IndexSets by_row, by_col;
  // Where the value of each of their entries stands among all values.
  std::vector<std::int64_t> from_row, from_col;
  Index size() const { return static_cast<Index>(by_row.index.size()); }
};

/// The indices of one level (columns of a factor) that a panel of rows reaches.
struct Reached {
  bool all = true;                    // then `index` is empty
  std::vector<std::int32_t> index{};  // ascending
};

/// A panel is a group of `chain_lanes` neighbouring rows, fewer at the end.
struct ChainPanel {
  Index first, rows;
  std::vector<Reached> levels;  // level 0: the columns of the first factor
  // By reached index of the last level, which rows reach it; empty if all do.
  std::vector<LaneMask> reaching;
  std::vector<Index> met;  // entries of each factor that the panel meets
};

/// The factors from the first to the last, or of the transposed product.
struct ChainSide {
  std::vector<ChainLink> links;
  std::vector<ChainPanel> panels;
  Index widest = 0;          // the longest level
  std::vector<double> work;  // for each factor: its entries that the panels meet, all together
  Index rows() const { return links.front().rows; }
  Index cols() const { return links.back().cols; }

  /// Finds what the panels reach.
  void fill();
};

ChainSide chain_side(const std::vector<FactorSupport>& supports);
ChainSide transposed(const ChainSide& side);

}  // namespace papilio
