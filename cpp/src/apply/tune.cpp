#include <algorithm>
#include <chrono>

#include "apply/planner_state.hpp"
#include "apply/program.hpp"
#include "kernels/dispatch.hpp"
#include "parallel/shares.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

/// A batch of the class, its vectors one after the other or side by side.
Layout layout_of(const BatchClass& batch, Index input_rows, Index output_rows) {
  const auto strides = [&](Contiguous contiguous, Index rows) -> std::pair<Index, Index> {
    if (contiguous == Contiguous::columns) return {batch.vectors, 1};
    if (contiguous == Contiguous::rows) return {1, rows};
    return {2, 2 * rows};
  };
  const auto [in, in_batch] = strides(batch.in, input_rows);
  const auto [out, out_batch] = strides(batch.out, output_rows);
  return {in, out, {{batch.vectors, in_batch, out_batch}}};
}

/// So many zeros.
void* zeros(Workspace& workspace, std::size_t bytes) {
  char* const to = static_cast<char*>(workspace.reserve(bytes));
  constexpr Index piece = 1 << 16;
  const Index size = static_cast<Index>(bytes);
  in_shares((size + piece - 1) / piece, 1e4, [&](Index begin, Index end) {
    std::fill(to + begin * piece, to + std::min(end * piece, size), 0);
  });
  return to;
}

double seconds_of(const Plan& plan, const Layout& layout, Index repetitions, const void* in,
                  void* out) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (Index n = 0; n < repetitions; ++n) execute(plan, layout, false, in, out);
  return std::chrono::duration<double>(Clock::now() - start).count() /
         static_cast<double>(repetitions);
}

}  // namespace

std::vector<Timing> Planner::tune(bool transpose, const BatchClass& batch,
                                  const Progress& progress) {
  std::vector<Plan> plans;
  {
    const std::lock_guard<std::recursive_mutex> lock(state_->planning);
    plans = candidates(transpose, batch, true);
    // What the model finds four times as slow as the best won't win.
    const double limit = 4 * plans.front().predicted;
    plans.erase(std::remove_if(plans.begin(), plans.end(),
                               [&](const Plan& plan) { return plan.predicted > limit; }),
                plans.end());
    for (Plan& plan : plans) plan.program = packed(transpose, plan.choice);
  }
  const Index input = plans.front().program->input_rows;
  const Index output = plans.front().program->output_rows;
  const Layout layout = layout_of(batch, input, output);
  const std::size_t element = size_of(chain_.dtype);
  const auto bytes = [&](Index rows) {
    return 2 * static_cast<std::size_t>(rows * batch.vectors) * element;
  };
  Workspace in, out;
  void* from = zeros(in, bytes(input));
  void* to = zeros(out, bytes(output));
  constexpr std::size_t samples = 7;
  std::vector<Index> repetitions;
  std::vector<std::vector<double>> times(plans.size());
  // The first of all: workspace, caches, helpers, and how long one takes.
  std::size_t done = 0;
  const auto measured = [&] {
    if (progress)
      progress(static_cast<double>(++done) / static_cast<double>(plans.size() * (1 + samples)));
  };
  for (const Plan& plan : plans) {
    seconds_of(plan, layout, 1, from, to);
    const double once = seconds_of(plan, layout, 1, from, to);
    repetitions.push_back(std::clamp(static_cast<Index>(1e-3 / once), Index{1}, Index{1000}));
    measured();
  }
  for (std::size_t sample = 0; sample < samples; ++sample)
    for (std::size_t n = 0; n < plans.size(); ++n) {
      times[n].push_back(seconds_of(plans[n], layout, repetitions[n], from, to));
      measured();
    }
  std::vector<Timing> timings;
  for (std::size_t n = 0; n < plans.size(); ++n) {
    std::nth_element(times[n].begin(), times[n].begin() + samples / 2, times[n].end());
    timings.push_back({plans[n].choice, plans[n].predicted, times[n][samples / 2]});
  }
  std::stable_sort(timings.begin(), timings.end(),
                   [](const Timing& x, const Timing& y) { return x.measured < y.measured; });
  plans.clear();
  force(transpose, batch, timings.front().choice);
  return timings;
}

}  // namespace papilio
