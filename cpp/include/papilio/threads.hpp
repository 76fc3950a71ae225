// Threads: one place that decides how many run, and engines that run them.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "papilio/pattern.hpp"

namespace papilio {

/// More than any machine has; so many threads a process may have to start at once.
constexpr int most_threads = 4096;

/// The number of threads that papilio may use: set_num_threads, else PAPILIO_NUM_THREADS, else
/// OMP_NUM_THREADS or what OpenMP was told since, else the CPUs of the process's affinity and the
/// quotas of its cgroups. One inside an OpenMP region of somebody else or one of our own tasks.
int num_threads();
void set_num_threads(int threads);  // throws std::invalid_argument below 1, above most_threads

/// How many threads `work` (in nanoseconds or so on one thread) is worth, at most `tasks`.
int threads_for(Index tasks, double work);

/// How much work (in nanoseconds) is worth a thread; 0 for the usual. So that tests with little
/// work run on several threads, too.
void set_worth_a_thread(double work);

/// What runs tasks: the engine that PAPILIO_THREADING names, or the default; throws
/// std::invalid_argument if this build doesn't have it. A forked child may have another.
std::string threading_engine();

/// The engines of this build, the default first.
std::vector<std::string> threading_engines();

/// Runs body(context, phase, task) for all phases and tasks, on the caller and up to threads - 1
/// helpers of the engine. A phase starts when the one before has ended. Tasks are handed out in
/// order to whoever is free; a caller that finds the helpers busy with another's tasks does all of
/// its own, and so does a task that calls this.
/// The first that a body throws is thrown here, after all ended: no task starts after it. The
/// caller polls for interruption (interruption.hpp) between tasks; bodies that take longer than
/// some milliseconds do so themselves.
void run_tasks(int threads, Index phases, Index tasks, void (*body)(void*, Index, Index),
               void* context);

/// run_tasks for one phase of any callable body(task).
template <class Body>
void parallel_for(int threads, Index tasks, Body&& body) {
  using Callable = std::remove_reference_t<Body>;
  run_tasks(
      threads, 1, tasks,
      [](void* context, Index, Index task) { (*static_cast<Callable*>(context))(task); }, &body);
}

/// run_tasks for body(thread, team) with one task for each of `threads` threads.
template <class Body>
void parallel(int threads, Body&& body) {
  parallel_for(threads, threads, [&](Index task) { body(static_cast<int>(task), threads); });
}

/// run_tasks for any callable body(phase, task).
template <class Body>
void parallel_phases(int threads, Index phases, Index tasks, Body&& body) {
  using Callable = std::remove_reference_t<Body>;
  run_tasks(
      threads, phases, tasks,
      [](void* context, Index phase, Index task) {
        (*static_cast<Callable*>(context))(phase, task);
      },
      &body);
}

}  // namespace papilio
