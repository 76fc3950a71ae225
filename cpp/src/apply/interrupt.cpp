#include "papilio/interrupt.hpp"

#include <atomic>
#include <chrono>

namespace papilio {

namespace {

std::atomic<void (*)()> interrupt_check{nullptr};

}  // namespace

void set_interrupt_check(void (*check)()) { interrupt_check.store(check); }

void check_interrupt() {
  using Clock = std::chrono::steady_clock;
  constexpr auto interval = std::chrono::milliseconds(20);
  thread_local Clock::time_point next{};
  const auto check = interrupt_check.load(std::memory_order_relaxed);
  if (!check) return;
  const Clock::time_point now = Clock::now();
  if (now < next) return;
  next = now + interval;
  check();
}

}  // namespace papilio
