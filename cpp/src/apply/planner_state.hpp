// What a planner keeps, for its own files.
#pragma once

#include <atomic>
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
  std::map<std::tuple<bool, BatchClass>, std::shared_ptr<const Plan>> plans;

  // The plans of single vectors, for calls that take less than a lock does: once published, they
  // are kept. There are few different ones, and they share their programs.
  std::atomic<const Plan*> vector_plans[2] = {};
  std::vector<std::shared_ptr<const Plan>> kept;

  std::recursive_mutex planning;
  std::shared_ptr<const std::vector<std::optional<Structure>>> structures;  // of the factors
  std::map<std::tuple<bool, Lanes, Index>, std::shared_ptr<Program>> programs;
  std::map<WeightsKey, std::shared_ptr<const void>> weights;
};

}  // namespace papilio
