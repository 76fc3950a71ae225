// The pool: helpers of papilio's own that sleep between jobs. A caller waits only for those that
// have taken a task, so that one which the system doesn't start in time costs nothing.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "parallel/engine.hpp"

namespace papilio {

namespace {

class PoolEngine final : public Engine {
 public:
  const char* name() const override { return "pool"; }

  void run(Job& job) override {
    open(job);
    job.work();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    job.wait_for_helpers();
  }

  Engine* in_child() override { return new PoolEngine; }

 private:
  void open(Job& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (helpers_ < job.helpers_wanted()) {
      try {
        std::thread([this] { serve(); }).detach();
      } catch (const std::system_error&) {
        break;  // no more threads to be had: those that there are will do
      }
      ++helpers_;
    }
    job_ = &job;
    serial_.fetch_add(1, std::memory_order_release);
    if (sleeping_ > 0) wake_.notify_all();
  }

  void serve() {
    unsigned seen = 0;
    for (;;) {
      // A loop of products opens jobs microseconds apart; sleeping and waking takes longer.
      for (int spins = 0; spins < 4000 && serial_.load(std::memory_order_acquire) == seen; ++spins)
        relax();
      Job* job = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return serial_.load(std::memory_order_relaxed) != seen; });
        --sleeping_;
        seen = serial_.load(std::memory_order_relaxed);
        if (job_ && job_->enter()) job = job_;
      }
      if (job) job->help();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> serial_{0};  // of the last job opened
  Job* job_ = nullptr;
  int helpers_ = 0, sleeping_ = 0;
};

}  // namespace

Engine* make_pool_engine() { return new PoolEngine; }

}  // namespace papilio
