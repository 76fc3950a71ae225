// run_tasks, and which engine runs it.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"
#include "parallel/engine.hpp"

namespace papilio {

namespace {

struct Row {
  const char* name;
  Engine* (*make)();
};

// The first is the default; docs/performance.md has the measurements that chose it.
constexpr Row engines[] = {
    {"pool", make_pool_engine},
#ifdef _OPENMP
    {"openmp", make_openmp_engine},
#endif
};

Engine* chosen_engine() {
  const char* wanted = std::getenv("PAPILIO_THREADING");
  if (!wanted || !*wanted) return engines[0].make();
  std::string known;
  for (const Row& row : engines) {
    if (wanted == std::string(row.name)) return row.make();
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw std::invalid_argument(std::string("PAPILIO_THREADING is '") + wanted +
                              "', but this build has: " + known);
}

std::atomic<Engine*> active{nullptr};

/// One job at a time has helpers: who finds them busy works alone, so that many callers at once
/// never make more threads than there were callers and helpers of one.
std::atomic<bool> busy{false};

class Turn {
 public:
  Turn() : mine_(!busy.exchange(true, std::memory_order_acquire)) {}
  ~Turn() {
    if (mine_) busy.store(false, std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool mine() const { return mine_; }

 private:
  bool mine_;
};

Engine& active_engine() {
  static const bool once = [] {
    active.store(chosen_engine());
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] {
      active.store(active.load()->in_child());
      busy.store(false);
      in_task = false;
    });
#endif
    return true;
  }();
  static_cast<void>(once);
  return *active.load(std::memory_order_relaxed);
}

}  // namespace

std::string threading_engine() { return active_engine().name(); }

std::vector<std::string> threading_engines() {
  std::vector<std::string> names;
  for (const Row& row : engines) names.emplace_back(row.name);
  return names;
}

void run_tasks(int threads, Index phases, Index tasks, void (*body)(void*, Index, Index),
               void* context) {
  if (threads <= 1 || tasks <= 1 || in_task) {
    for (Index phase = 0; phase < phases; ++phase)
      for (Index task = 0; task < tasks; ++task) {
        if (tasks > 1) poll_interruption();
        body(context, phase, task);
      }
    return;
  }
  Job job(phases, tasks, body, context, threads - 1);
  {
    Engine& engine = active_engine();
    const InTask working;
    const Turn turn;
    if (turn.mine())
      engine.run(job);
    else
      job.work();
  }
  job.rethrow();
}

}  // namespace papilio
