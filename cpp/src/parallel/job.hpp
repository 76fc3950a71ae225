// Tasks under way, whatever engine gives them their threads: who takes which task when, what the
// first failure does, and how the caller waits.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include "papilio/pattern.hpp"

namespace papilio {

/// True while this thread works on a task: what it calls runs on it alone.
extern thread_local bool in_task;

/// While it lives, this thread works on a task.
class InTask {
 public:
  InTask() : before_(std::exchange(in_task, true)) {}
  ~InTask() { in_task = before_; }
  InTask(const InTask&) = delete;
  InTask& operator=(const InTask&) = delete;

 private:
  bool before_;
};

/// `next_` counts phases * tasks tickets; a ticket of phase p may run when p * tasks are done, and
/// that always comes: earlier tickets are held by threads that run, or one of them failed, after
/// which nobody waits or starts a task. So it doesn't matter how many threads come, or when.
class Job {
 public:
  using Body = void (*)(void*, Index, Index);

  Job(Index phases, Index tasks, Body body, void* context, int helpers_wanted)
      : phases_(phases),
        tasks_(tasks),
        body_(body),
        context_(context),
        helpers_wanted_(helpers_wanted) {}

  int helpers_wanted() const { return helpers_wanted_; }

  /// For the caller: takes tickets until none is left.
  void work();

  /// For a helper: enter(), and if it is let in, help(), after which it doesn't touch the job.
  bool enter();
  void help();

  /// For the caller, once it has nothing left to do: until no helper is inside.
  void wait_for_helpers();

  /// For the caller, after all: throws what was first thrown in a task or a poll.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  bool has_failed() const { return failed_.load(std::memory_order_relaxed); }
  void poll();
  template <class Call>
  void guard(const Call& call);

  const Index phases_, tasks_;
  const Body body_;
  void* const context_;
  const int helpers_wanted_;
  std::atomic<Index> next_{0}, done_{0};
  std::atomic<bool> failed_{false};
  std::atomic<int> inside_{0};  // helpers that may touch this job
  std::exception_ptr failure_;
  std::mutex failing_;
};

/// Lets the core's other thread, or whatever shares this core, do what this thread waits for.
void relax();

}  // namespace papilio
