#include "papilio/interruption.hpp"

#include <chrono>

namespace papilio {

namespace {

using Clock = std::chrono::steady_clock;

// A fifth of the time within which who waits wants an answer; asking costs microseconds.
constexpr std::chrono::milliseconds between_polls{20};

std::atomic<void (*)()> hook{nullptr};
thread_local const std::atomic<bool>* helped = nullptr;
thread_local Clock::time_point next_poll{};

}  // namespace

void set_interruption(void (*wanted)()) { hook.store(wanted); }

void poll_interruption() {
  if (helped) {
    if (helped->load(std::memory_order_relaxed)) throw Cancelled{};
    return;
  }
  void (*const ask)() = hook.load(std::memory_order_relaxed);
  if (!ask) return;
  const auto now = Clock::now();
  if (now < next_poll) return;
  next_poll = now + between_polls;
  ask();
}

Helping::Helping(const std::atomic<bool>& failed) { helped = &failed; }
Helping::~Helping() { helped = nullptr; }

}  // namespace papilio
