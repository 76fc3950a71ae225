// Threads: one place that decides how many run, and one that runs them.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <exception>

#include "papilio/pattern.hpp"

namespace papilio {

/// The number of threads that papilio may use: set_num_threads, else PAPILIO_NUM_THREADS, else
/// what OpenMP would use. One inside a parallel region of somebody else, and one in a forked
/// child, where libgomp's threads no longer exist and a parallel region would never end.
int num_threads();
void set_num_threads(int threads);  // throws std::invalid_argument below 1
bool in_forked_child();

/// How many threads `work` (in nanoseconds or so on one thread) is worth, at most `tasks`.
int threads_for(Index tasks, double work);

/// "OpenMP 4.5" and the like, or "none".
const char* threading_layer();

/// Waits until all threads of the enclosing parallel() have come here.
inline void barrier() {
#ifdef _OPENMP
#pragma omp barrier
#endif
}

/// Runs body(thread, team) on up to `threads` threads; `team` is how many the runtime gave. What
/// a body throws is thrown here, after all ended: no exception crosses the parallel region. A
/// body that waits at barrier() must not throw.
template <class Body>
void parallel(int threads, Body&& body) {
#ifdef _OPENMP
  if (threads > 1) {
    std::exception_ptr failure;
#pragma omp parallel num_threads(threads)
    {
      try {
        body(omp_get_thread_num(), omp_get_num_threads());
      } catch (...) {
#pragma omp critical(papilio_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#else
  static_cast<void>(threads);
#endif
  body(0, 1);
}

}  // namespace papilio
