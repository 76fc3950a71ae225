#include "papilio/threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace papilio {

namespace {

std::atomic<bool> forked{false};
std::atomic<int> requested{0};  // 0: not set by the user

// libgomp keeps its threads in a pool that fork() doesn't copy: a child that starts a parallel
// region waits for threads that don't exist. Another library may have filled that pool, so every
// forked child is serial, not only those whose parent used papilio.
const bool watching_forks = [] {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
#endif
  return true;
}();

int threads_from_environment() {
  const char* text = std::getenv("PAPILIO_NUM_THREADS");
  if (!text || !*text) return 0;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*end || value < 1 || value > 4096)
    throw std::invalid_argument(std::string("PAPILIO_NUM_THREADS is '") + text +
                                "', expected a whole number from 1 to 4096");
  return static_cast<int>(value);
}

int default_threads() {
  static const int from_environment = threads_from_environment();
  if (from_environment) return from_environment;
#ifdef _OPENMP
  return std::max(1, omp_get_max_threads());
#else
  return 1;
#endif
}

}  // namespace

bool in_forked_child() { return forked.load(std::memory_order_relaxed); }

int num_threads() {
#ifdef _OPENMP
  if (in_forked_child() || omp_in_parallel()) return 1;
  const int set = requested.load(std::memory_order_relaxed);
  return set ? set : default_threads();
#else
  return 1;
#endif
}

void set_num_threads(int threads) {
  if (threads < 1)
    throw std::invalid_argument("threads is " + std::to_string(threads) + ", expected at least 1");
  requested.store(threads);
}

int threads_for(Index tasks, double work) {
  // Opening a parallel region costs a few microseconds, but milliseconds where another library's
  // threads still spin on the cores (OpenBLAS after a product): below this, one thread is safer.
  constexpr double worth_a_thread = 60e3;
  const double useful = std::min(static_cast<double>(tasks), work / worth_a_thread);
  const int available = num_threads();
  if (useful >= available) return available;
  return std::max(1, static_cast<int>(useful));
}

const char* threading_layer() {
#ifdef _OPENMP
  static const std::string layer = "OpenMP " + std::to_string(_OPENMP);
  return layer.c_str();
#else
  return "none";
#endif
}

}  // namespace papilio
