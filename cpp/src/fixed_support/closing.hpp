// Proofs that a set of products is closed: peeling, then elimination of classes one by one.
#pragma once

#include <vector>

#include "fixed_support/peeling.hpp"
#include "papilio/closedness.hpp"

namespace papilio {

/// The order of elimination, as far as it went.
struct ClosedProof {
  bool proved;
  std::vector<ClosedStep> steps;
};

/// In words of proofs.
ClosedStep::Rule rule_of(PeelStep::Rule rule);

/// `grid` is the kernel or the whole.
ClosedProof prove_closed(const TypeGrid& grid, double budget);

}  // namespace papilio
