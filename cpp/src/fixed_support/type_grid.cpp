#include "fixed_support/type_grid.hpp"

#include <algorithm>

#include "fixed_support/index_sets.hpp"

namespace papilio {

namespace {

TypeSide side_of(const IndexSets& classes_in, const std::vector<Index>& weight,
                 const std::vector<std::int32_t>& types, const std::vector<std::int32_t>& local,
                 Index classes) {
  TypeSide side;
  const auto count = static_cast<Index>(types.size());
  side.of_class.assign(at(classes), Bits(count));
  Pulse pulse;
  for (Index n = 0; n < count; ++n) {
    const std::int32_t type = types[at(n)];
    side.type.push_back(type);
    side.weight.push_back(weight[at(type)]);
    side.base.push_back(0);
    side.classes.emplace_back(classes);
    pulse(1 + classes_in[type].size());
    for (std::int32_t p : classes_in[type]) {
      if (local[at(p)] < 0) continue;
      side.classes.back().set(local[at(p)]);
      side.of_class[at(local[at(p)])].set(n);
    }
  }
  return side;
}

void cap_weights(TypeSide& side, const std::vector<Index>& rank) {
  for (Index n = 0; n < side.size(); ++n) {
    Index members = 0;
    side.classes[at(n)].each([&](Index p) { members += rank[at(p)]; });
    side.weight[at(n)] = std::min(side.weight[at(n)], members);
  }
}

}  // namespace

TypeGrid type_grid(const SupportAnalysis& analysis, std::int32_t component,
                   const IndexSets& classes_in_row, const IndexSets& classes_in_col,
                   const std::vector<Index>& row_weight, const std::vector<Index>& col_weight,
                   const std::vector<std::int32_t>& row_types,
                   const std::vector<std::int32_t>& col_types) {
  std::vector<char> seen(at(analysis.members.size()));
  for (std::int32_t type : row_types)
    for (std::int32_t p : classes_in_row[type])
      if (analysis.component[at(p)] == component) seen[at(p)] = 1;
  for (std::int32_t type : col_types)
    for (std::int32_t p : classes_in_col[type])
      if (seen[at(p)] == 1) seen[at(p)] = 2;
  TypeGrid grid;
  std::vector<std::int32_t> local(seen.size(), -1);
  for (std::size_t p = 0; p < seen.size(); ++p)
    if (seen[p] == 2) {
      local[p] = static_cast<std::int32_t>(grid.number.size());
      grid.number.push_back(static_cast<std::int32_t>(p));
      grid.rank.push_back(analysis.members[static_cast<Index>(p)].size());
    }
  grid.rows = side_of(classes_in_row, row_weight, row_types, local, grid.classes());
  grid.cols = side_of(classes_in_col, col_weight, col_types, local, grid.classes());
  cap_ranks(grid);
  return grid;
}

void cap_ranks(TypeGrid& grid) {
  for (Index p = 0; p < grid.classes(); ++p)
    grid.rank[at(p)] = std::min({grid.rank[at(p)], grid.rows.weight_of(grid.rows.of_class[at(p)]),
                                 grid.cols.weight_of(grid.cols.of_class[at(p)])});
}

TypeGrid kernel_of(TypeGrid grid) {
  cap_weights(grid.rows, grid.rank);
  cap_weights(grid.cols, grid.rank);
  cap_ranks(grid);
  return grid;
}

}  // namespace papilio
