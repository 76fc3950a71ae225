// Planner: which plan for which batches, and who may look it up when.
#include <algorithm>
#include <mutex>
#include <unordered_set>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "apply/planner_state.hpp"
#include "apply/program.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

// Seconds that butterflies may take longer than plain blocks, for each stage: they add and subtract
// before they multiply, so that equal inputs give exact zeros, as users of FFTs expect (and SciPy's
// tests, of 3 x 3 numbers). Few columns of up to 16 rows differ by so much.
constexpr double exactness = 170e-9;

double plain_stages(const Program& program) {
  return static_cast<double>(
      std::count_if(program.stages.begin(), program.stages.end(),
                    [](const Stage& stage) { return !stage.has_butterflies(); }));
}

/// All planners, for forked children. Never destroyed: planners may outlive static objects.
class Planners {
 public:
  void add(Planner* planner) {
    const std::lock_guard<std::mutex> lock(mutex_);
    planners_.insert(planner);
  }
  void remove(Planner* planner) {
    const std::lock_guard<std::mutex> lock(mutex_);
    planners_.erase(planner);
  }
  static Planners& all() {
    static Planners* const planners = [] {
      static Planners* const made = new Planners;
#if defined(__unix__) || defined(__APPLE__)
      pthread_atfork([] { made->mutex_.lock(); }, [] { made->mutex_.unlock(); },
                     [] {
                       for (Planner* planner : made->planners_) planner->survive_fork();
                       made->mutex_.unlock();
                     });
#endif
      return made;
    }();
    return *planners;
  }

 private:
  std::mutex mutex_;
  std::unordered_set<Planner*> planners_;
};

}  // namespace

Planner::Planner(Chain chain) : chain_(std::move(chain)), state_(std::make_unique<State>()) {
  Planners::all().add(this);
}
Planner::~Planner() { Planners::all().remove(this); }

void Planner::survive_fork() {
  const bool usable = state_->publishing.try_lock();
  if (usable && state_->planning.try_lock()) {
    state_->planning.unlock();
    state_->publishing.unlock();
    return;
  }
  // Held by a thread that the child doesn't have, in any state: left alone, never freed.
  static_cast<void>(state_.release());
  state_ = std::make_unique<State>();
}

Plan Planner::make_plan(bool transpose, const BatchClass& batch, const Choice& choice) {
  Plan plan{program(transpose, choice.lanes, choice.radix), choice, 0, nullptr};
  Index& tile = plan.choice.tile;
  if (tile <= 0) tile = default_tile(*plan.program, batch);
  if (choice.lanes == Lanes::columns) {
    const Index unit = columns_at_once(*plan.program);
    tile = (tile + unit - 1) / unit * unit;
  }
  plan.spans = std::make_shared<const std::vector<Span>>(spans_of(
      *plan.program,
      (choice.lanes == Lanes::columns ? tile : 1) * static_cast<Index>(size_of(chain_.dtype))));
  plan.predicted = predict(*plan.program, batch, tile);
  return plan;
}

std::vector<Plan> Planner::candidates(bool transpose, const BatchClass& batch, bool for_tuning) {
  std::vector<Plan> plans;
  // Structured stages hold more in registers, because no weights are there.
  const bool structured =
      std::any_of(structures().begin(), structures().end(), [](const auto& s) { return bool(s); });
  for (const Lanes lanes : {Lanes::columns, Lanes::rows}) {
    // One vector fills one lane of those along the batch.
    if (lanes == Lanes::columns && batch.vectors == 1 && !for_tuning) continue;
    for (const Index radix : {4, 2, 8, 16}) {
      if (radix == 16 && !structured) continue;
      if (radix != (structured ? 16 : 4) && !for_tuning) continue;
      plans.push_back(make_plan(transpose, batch, {lanes, radix, 0}));
      if (!for_tuning) continue;
      const Index tile = plans.back().choice.tile;
      for (const Index other : {tile / 4, tile / 2, tile * 2}) {
        if (other < 1 || other > batch.vectors) continue;
        Plan plan = make_plan(transpose, batch, {lanes, radix, other});
        const bool known = std::any_of(plans.begin(), plans.end(),
                                       [&](const Plan& p) { return p.choice == plan.choice; });
        if (!known) plans.push_back(std::move(plan));
      }
    }
  }
  const auto price = [&](const Plan& plan) {
    return plan.predicted + (structured ? exactness * plain_stages(*plan.program) : 0);
  };
  std::stable_sort(plans.begin(), plans.end(),
                   [&](const Plan& x, const Plan& y) { return price(x) < price(y); });
  return plans;
}

std::shared_ptr<const Plan> Planner::known_plan(bool transpose, const BatchClass& batch) const {
  const std::lock_guard<std::mutex> lock(state_->publishing);
  const auto found = state_->plans.find({transpose, batch});
  return found == state_->plans.end() ? nullptr : found->second;
}

const Plan* Planner::vector_plan(bool transpose) const {
  return state_->vector_plans[transpose].load(std::memory_order_acquire);
}

bool Planner::is_planned(bool transpose, const BatchClass& batch) const {
  return batch.is_vector() ? vector_plan(transpose) != nullptr
                           : known_plan(transpose, batch) != nullptr;
}

std::shared_ptr<const Plan> Planner::publish(bool transpose, const BatchClass& batch, Plan plan) {
  auto published = std::make_shared<const Plan>(std::move(plan));
  const std::lock_guard<std::mutex> lock(state_->publishing);
  if (batch.is_vector()) {
    auto& kept = state_->kept;
    const auto same = std::find_if(kept.begin(), kept.end(), [&](const auto& other) {
      return other->program == published->program && other->choice == published->choice;
    });
    if (same == kept.end())
      kept.push_back(published);
    else
      published = *same;
    state_->vector_plans[transpose].store(published.get(), std::memory_order_release);
  }
  state_->plans[{transpose, batch}] = published;
  return published;
}

std::shared_ptr<const Plan> Planner::plan(bool transpose, const BatchClass& batch) {
  if (auto known = known_plan(transpose, batch)) return known;
  const std::lock_guard<std::recursive_mutex> lock(state_->planning);
  if (auto known = known_plan(transpose, batch)) return known;
  Plan best = candidates(transpose, batch, false).front();
  best.program = packed(transpose, best.choice);
  return publish(transpose, batch, std::move(best));
}

/// Packed weights that no plan uses may be used by the next one, and are kept unless they are
/// large.
void Planner::forget_large_losers() {
  constexpr double large = 64 << 20;
  auto& programs = state_->programs;
  auto& weights = state_->weights;
  double bytes = 0;
  for (const auto& entry : programs)
    if (entry.second->unpacked.empty()) bytes += entry.second->weight_bytes;
  if (bytes < large) return;
  for (auto entry = programs.begin(); entry != programs.end();)
    entry = entry->second.use_count() == 1 ? programs.erase(entry) : std::next(entry);
  for (auto entry = weights.begin(); entry != weights.end();)
    entry = entry->second.use_count() == 1 ? weights.erase(entry) : std::next(entry);
}

std::shared_ptr<const Plan> Planner::force(bool transpose, const BatchClass& batch,
                                           const Choice& choice) {
  const std::lock_guard<std::recursive_mutex> lock(state_->planning);
  Plan plan = make_plan(transpose, batch, choice);
  plan.program = packed(transpose, plan.choice);
  auto published = publish(transpose, batch, std::move(plan));
  forget_large_losers();
  return published;
}

}  // namespace papilio
