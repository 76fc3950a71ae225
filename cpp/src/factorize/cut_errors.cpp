#include "factorize/cut_errors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace papilio {

bool is_peeling(const std::vector<std::size_t>& order, std::size_t length) {
  std::size_t first = 0, last = length;
  for (std::size_t split : order) {
    if (split == first + 1)
      first = split;
    else if (split + 1 == last)
      last = split;
    else
      return false;
  }
  return true;
}

double CutErrors::relative(double squared_error) const {
  return norm2 > 0 ? std::sqrt(squared_error / norm2) : 0.0;
}

/// Squares add up where each cut takes off an end factor, else errors do.
double CutErrors::allowance(double tol) const {
  const double left_cuts = static_cast<double>(cuts_in_all - cuts.size());
  const double fair = tol / static_cast<double>(cuts_in_all);
  if (peeling) {
    double used = unreachable2;
    for (double e : cuts) used += e;
    // A little less than there is: rounding must not turn a tolerance that is met into a missed
    // one.
    const double budget = tol * tol * norm2 * (1 - 1e-14) - used;
    return std::max(budget / left_cuts, fair * fair * norm2 * 1e-2);
  }
  double used = std::sqrt(unreachable2);
  for (double e : cuts) used += std::sqrt(e);
  const double budget = (tol * std::sqrt(norm2) - used) / left_cuts;
  const double share = std::max(budget, fair * std::sqrt(norm2) * 1e-1);
  return share * share;
}

void CutErrors::describe(bool orthonormalize, Factorization& result) const {
  const bool proved = is_proved(orthonormalize);
  double sum = unreachable2, largest = 0;
  for (double e : cuts) {
    sum += e;
    largest = std::max(largest, e);
  }
  // Without orthonormalization only the first cut sees A itself, and so bounds from below.
  const double bound = proved ? largest : cuts.front();
  result.lower_bound = relative(unreachable2 + bound);
  const double splits = static_cast<double>(std::max<std::size_t>(cuts.size(), 1));
  result.guarantee = tell_all(orthonormalize) ? std::sqrt(splits)
                     : proved                 ? splits
                                              : std::numeric_limits<double>::infinity();
  if (tell_all(orthonormalize)) result.relative_error = relative(sum);
}

}  // namespace papilio
