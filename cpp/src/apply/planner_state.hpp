// What a planner keeps, for its own files.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "apply/program.hpp"
#include "apply/structure.hpp"

namespace papilio {

typedef std::tuple<std::size_t, std::size_t, int> WeightsKey;  // first, last factor, layout

/// What a planner found out. `publishing` guards what products look up, for moments only;
/// `planning` all else, while plans are made. It may be entered again, by a signal handler that
/// multiplies: nothing is half-done where that can happen.
struct Planner::State {
  std::mutex publishing;
  std::shared_ptr<const Plan> vector_plans[2];
  std::map<std::tuple<bool, BatchClass>, std::shared_ptr<const Plan>> plans;

  std::recursive_mutex planning;
  std::shared_ptr<const std::vector<std::optional<Structure>>> structures;  // of the factors
  std::map<std::tuple<bool, Lanes, Index>, std::shared_ptr<Program>> programs;
  std::map<WeightsKey, std::shared_ptr<const void>> weights;
};

}  // namespace papilio
