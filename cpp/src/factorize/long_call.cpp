#include "factorize/long_call.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "papilio/interruption.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace papilio {

namespace {

// A quarter of the time between two polls.
constexpr std::chrono::milliseconds between_looks{5};

long process() {
#if defined(__unix__) || defined(__APPLE__)
  return static_cast<long>(getpid());
#else
  return 0;
#endif
}

/// A call, its end, and what it threw.
class Ending {
 public:
  void tell(std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    error_ = std::move(error);
    ended_ = true;
    changed_.notify_all();
  }
  /// Whether it has ended, after a short wait.
  bool wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, between_looks, [this] { return ended_; });
  }
  bool ended() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ended_;
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::exception_ptr error_;
};

/// Threads whose call nobody waits for any more. The process does: libraries must not be taken down
/// under them. A forked child has none of them.
class LeftAlone {
 public:
  ~LeftAlone() { clear(true); }

  void add(std::thread thread, std::shared_ptr<Ending> ending) {
    const std::lock_guard<std::mutex> lock(mutex_);
    clear(false);
    threads_.push_back({std::move(thread), std::move(ending), process()});
  }

 private:
  struct Entry {
    std::thread thread;
    std::shared_ptr<Ending> ending;
    long process;
  };

  /// Takes out those that have ended, or all of them.
  void clear(bool all) {
    std::vector<Entry> rest;
    for (Entry& entry : threads_) {
      if (entry.process != process())
        entry.thread.detach();
      else if (all || entry.ending->ended())
        entry.thread.join();
      else
        rest.push_back(std::move(entry));
    }
    threads_ = std::move(rest);
  }

  std::mutex mutex_;
  std::vector<Entry> threads_;
};

LeftAlone& left_alone() {
  static LeftAlone threads;
  return threads;
}

}  // namespace

void run_long_call(const std::function<void()>& call) {
  LeftAlone& left = left_alone();  // before the call: it is destroyed after what the call made
  const auto ending = std::make_shared<Ending>();
  std::thread thread;
  try {
    thread = std::thread([ending, call = std::function<void()>(call)]() mutable {
      std::exception_ptr error;
      try {
        call();
      } catch (...) {
        error = std::current_exception();
      }
      call = nullptr;  // what it owns is free when its end is told
      ending->tell(std::move(error));
    });
  } catch (const std::system_error&) {
    return call();  // no thread to be had: then without an answer
  }
  try {
    while (!ending->wait()) poll_interruption();
  } catch (...) {
    left.add(std::move(thread), ending);
    throw;
  }
  thread.join();
  ending->rethrow();
}

}  // namespace papilio
