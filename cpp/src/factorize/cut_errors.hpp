// What the cuts of a factorization discarded, and what they may.
#pragma once

#include <cstddef>
#include <vector>

#include "papilio/factorize.hpp"

namespace papilio {

/// Whether each cut takes an end factor off what is left of a chain of `length` factors.
bool is_peeling(const std::vector<std::size_t>& order, std::size_t length);

/// The squared errors of the cuts so far, and what they add up to.
struct CutErrors {
  double norm2 = 0;          // of the matrix
  double unreachable2 = 0;   // of its part that no factor can reach
  std::vector<double> cuts;  // in the order of the cuts
  std::size_t cuts_in_all = 0;
  bool peeling = false;

  /// The root of a squared error next to that of norm2.
  double relative(double squared_error) const;

  /// What the next cut may discard (squared): an equal share of what the others before left over.
  double allowance(double tol) const;

  /// Whether the errors of the cuts tell the error of the product.
  bool tell_all(bool orthonormalize) const { return is_proved(orthonormalize) && peeling; }

  /// Sets what the cuts prove; the error of the product too if they tell it.
  void describe(bool orthonormalize, Factorization& result) const;

 private:
  /// One cut is optimal by itself, whatever is orthonormal.
  bool is_proved(bool orthonormalize) const { return orthonormalize || cuts.size() <= 1; }
};

}  // namespace papilio
