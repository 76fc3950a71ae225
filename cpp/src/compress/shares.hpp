// Many small equal tasks on all threads, which stop when the caller is interrupted.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "papilio/threads.hpp"

namespace papilio {

/// Asks now and then whether to stop. Only the thread that made it may ask the caller, whose check
/// throws; the others are told by a flag.
class Watch {
 public:
  explicit Watch(const std::function<void()>& check) : check_(check) {}

  /// True when work should end; throws what the check throws. Cheap enough for every few
  /// microseconds of work.
  bool stops() {
    if (stopped_.load(std::memory_order_relaxed)) return true;
    if (!check_ || std::this_thread::get_id() != caller_) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return false;
    last_ = now;
    try {
      check_();
    } catch (...) {
      stopped_.store(true, std::memory_order_relaxed);
      throw;
    }
    return false;
  }

 private:
  const std::function<void()>& check_;
  const std::thread::id caller_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::atomic<bool> stopped_{false};
};

/// Runs body(begin, end) on shares of 0..count, a few for each thread.
template <class Body>
void in_shares(Index count, double nanoseconds_each, Body&& body) {
  if (count == 0) return;
  const int threads = threads_for(count, static_cast<double>(count) * nanoseconds_each);
  const Index shares = threads == 1 ? 1 : std::min<Index>(count, 4 * threads);
  parallel_for(threads, shares,
               [&](Index share) { body(count * share / shares, count * (share + 1) / shares); });
}

}  // namespace papilio
