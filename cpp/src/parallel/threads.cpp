// How many threads: what the user set, the environment, the machine, and what the work is worth.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "papilio/threads.hpp"
#include "parallel/cpus.hpp"
#include "parallel/job.hpp"

namespace papilio {

namespace {

std::atomic<int> requested{0};  // 0: not set by the user

// In nanoseconds. Waking a helper costs the caller a few microseconds; it starts some ten later.
constexpr double usual_worth = 15e3;
std::atomic<double> worth_a_thread{usual_worth};

int threads_from_environment() {
  const char* text = std::getenv("PAPILIO_NUM_THREADS");
  if (!text || !*text) return 0;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > most_threads)
    throw std::invalid_argument(std::string("PAPILIO_NUM_THREADS is '") + text +
                                "', expected a whole number from 1 to " +
                                std::to_string(most_threads));
  return static_cast<int>(value);
}

int default_threads() {
  static const int from_environment = threads_from_environment();
  if (from_environment) return from_environment;
  static const int allowed =
      std::min(most_threads, openmp_threads(std::getenv("OMP_NUM_THREADS"))
                                 .value_or(threads_for_cpus(cpus_of_affinity(), cgroup_quota())));
#ifdef _OPENMP
  // Fewer if somebody has told OpenMP so since (omp_set_num_threads, threadpoolctl).
  return std::clamp(omp_get_max_threads(), 1, allowed);
#else
  return allowed;
#endif
}

}  // namespace

int num_threads() {
  if (in_task) return 1;
#ifdef _OPENMP
  if (omp_in_parallel()) return 1;
#endif
  const int set = requested.load(std::memory_order_relaxed);
  return set ? set : default_threads();
}

void set_num_threads(int threads) {
  if (threads < 1 || threads > most_threads)
    throw std::invalid_argument("threads is " + std::to_string(threads) +
                                ", expected a whole number from 1 to " +
                                std::to_string(most_threads));
  requested.store(threads);
}

void set_worth_a_thread(double work) { worth_a_thread.store(work > 0 ? work : usual_worth); }

int threads_for(Index tasks, double work) {
  const double useful =
      std::min(static_cast<double>(tasks), work / worth_a_thread.load(std::memory_order_relaxed));
  if (useful < 2) return 1;
  const int available = num_threads();
  return useful >= available ? available : static_cast<int>(useful);
}

}  // namespace papilio
