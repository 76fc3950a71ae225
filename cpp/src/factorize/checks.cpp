#include "factorize/checks.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace papilio {

namespace {

std::string text(Index value) { return std::to_string(value); }

}  // namespace

void check_factorize(const MatrixView& matrix, const Patterns& chain,
                     const FactorizeOptions& options) {
  if (chain.empty()) throw std::invalid_argument("architecture has no patterns");
  for (std::size_t s = 1; s < chain.size(); ++s) {
    const std::string failure = chain_failure(chain[s - 1], chain[s]);
    if (!failure.empty())
      throw std::invalid_argument("architecture is not chainable: patterns " +
                                  text(static_cast<Index>(s) - 1) + " and " +
                                  text(static_cast<Index>(s)) + ": " + failure);
  }
  const Index rows = chain.front().rows(), cols = chain.back().cols();
  if (rows != matrix.rows || cols != matrix.cols)
    throw std::invalid_argument("architecture has shape (" + text(rows) + ", " + text(cols) +
                                ") but A has shape (" + text(matrix.rows) + ", " +
                                text(matrix.cols) + ")");
  std::vector<Index> sorted = options.order;
  std::sort(sorted.begin(), sorted.end());
  bool permutation = sorted.size() + 1 == chain.size();
  for (std::size_t n = 0; permutation && n < sorted.size(); ++n)
    permutation = sorted[n] == static_cast<Index>(n) + 1;
  if (!permutation)
    throw std::invalid_argument("order must be a permutation of the splits 1.." +
                                text(static_cast<Index>(chain.size()) - 1));
  if (!(options.tol >= 0) || !std::isfinite(options.tol))
    throw std::invalid_argument("tol must be a number of at least 0");
  if (options.max_rank < 0) throw std::invalid_argument("max_rank must not be negative");
  if (!has_lapack()) throw std::logic_error("set_lapack must be called before factorize");
}

}  // namespace papilio
