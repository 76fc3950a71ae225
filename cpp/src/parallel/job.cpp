#include "parallel/job.hpp"

#include <thread>

#include "papilio/interruption.hpp"

namespace papilio {

thread_local bool in_task = false;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

namespace {

/// Spins for a few microseconds, then lets others run between the looks.
template <class Ready>
void wait_until(Ready ready) {
  for (int spins = 0; !ready(); ++spins)
    if (spins < 2000)
      relax();
    else
      std::this_thread::yield();
}

}  // namespace

/// Runs what may fail; the first failure is kept.
template <class Call>
void Job::guard(const Call& call) {
  try {
    call();
  } catch (...) {
    const std::lock_guard<std::mutex> lock(failing_);
    if (!failure_) failure_ = std::current_exception();
    failed_.store(true, std::memory_order_relaxed);
  }
}

void Job::poll() {
  if (!has_failed()) guard(poll_interruption);
}

void Job::work() {
  for (;;) {
    const Index ticket = next_.fetch_add(1, std::memory_order_relaxed);
    if (ticket >= phases_ * tasks_) break;
    const Index phase = ticket / tasks_;
    if (phase > 0)
      wait_until([&] {
        poll();
        return done_.load(std::memory_order_acquire) >= phase * tasks_ || has_failed();
      });
    if (has_failed()) break;
    guard([&] {
      poll_interruption();
      body_(context_, phase, ticket % tasks_);
    });
    if (phases_ > 1) done_.fetch_add(1, std::memory_order_release);
  }
}

bool Job::enter() {
  if (inside_.fetch_add(1, std::memory_order_relaxed) < helpers_wanted_) return true;
  inside_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void Job::help() {
  {
    const InTask working;
    const Helping helping(failed_);
    work();
  }
  inside_.fetch_sub(1, std::memory_order_release);
}

void Job::wait_for_helpers() {
  wait_until([&] {
    poll();
    return inside_.load(std::memory_order_acquire) == 0;
  });
}

}  // namespace papilio
