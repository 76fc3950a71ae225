// The order in which a chain is cut: what the cuts of each order cost, and the cheapest one.
#include <algorithm>
#include <vector>

#include "papilio/factorize.hpp"

namespace papilio {

namespace {

/// A cut's cost in nanoseconds or so: reading the part, the products with its blocks' short sides,
/// their eigenproblems.
double cost_of_cut(const Pattern& left, const Pattern& right) {
  const auto rows = static_cast<double>(left.b), cols = static_cast<double>(right.c);
  const auto rank = static_cast<double>(chain_rank(left, right));
  const auto blocks = static_cast<double>(right.a * left.d);
  const double small = std::min(rows, cols), entries = rows * cols;
  // Tall blocks are read across the rows of the matrix.
  const double read = entries * (cols < rows ? 4.0 : 1.0);
  return blocks * (read + entries * 0.1 * (small / 2 + rank) + 0.5 * small * small * small + 300);
}

}  // namespace

std::vector<Index> cheapest_order(const Patterns& chain) {
  const std::size_t length = chain.size();
  // Of the factors [first, last): their product, what cutting them up costs, and whether the first
  // of them goes first. Each interval follows from the two that are shorter by one.
  struct Part {
    Pattern product;
    double cost;
    bool from_the_left;
  };
  std::vector<Part> parts(length * (length + 1));
  const auto part = [&](std::size_t first, std::size_t last) -> Part& {
    return parts[first * (length + 1) + last];
  };
  for (std::size_t size = 1; size <= length; ++size)
    for (std::size_t first = 0; first + size <= length; ++first) {
      const std::size_t last = first + size;
      if (size == 1) {
        part(first, last) = {chain[first], 0, true};
        continue;
      }
      const Part &without_first = part(first + 1, last), &without_last = part(first, last - 1);
      const double left = cost_of_cut(chain[first], without_first.product) + without_first.cost;
      const double right = cost_of_cut(without_last.product, chain[last - 1]) + without_last.cost;
      part(first, last) = {chain_product(without_last.product, chain[last - 1]),
                           std::min(left, right), left <= right};
    }
  std::vector<Index> order;
  for (std::size_t first = 0, last = length; last - first > 1;)
    order.push_back(static_cast<Index>(part(first, last).from_the_left ? ++first : --last));
  return order;
}

}  // namespace papilio
