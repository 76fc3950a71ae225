#include "papilio/threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "papilio/interruption.hpp"

namespace papilio {

namespace {

std::atomic<int> requested{0};  // 0: not set by the user

// In nanoseconds. Waking a helper costs the caller a few microseconds; it starts some ten later.
constexpr double usual_worth = 15e3;
std::atomic<double> worth_a_thread{usual_worth};
thread_local bool in_task = false;

/// While it lives, this thread works on a task: what it calls runs on it alone.
class InTask {
 public:
  InTask() : before_(std::exchange(in_task, true)) {}
  ~InTask() { in_task = before_; }
  InTask(const InTask&) = delete;
  InTask& operator=(const InTask&) = delete;

 private:
  bool before_;
};

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
#ifdef _OPENMP
  return std::max(1, omp_get_max_threads());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins for a few microseconds, then lets others run between the looks.
template <class Ready>
void wait_until(Ready ready) {
  for (int spins = 0; !ready(); ++spins)
    if (spins < 2000)
      relax();
    else
      std::this_thread::yield();
}

/// Tasks under way. `next` counts phases * tasks tickets; a ticket of phase p may run when p *
/// tasks are done, and that always comes: earlier tickets are held by threads that run, or one of
/// them failed, after which nobody waits or starts a task.
struct Job {
  Index phases, tasks;
  void (*body)(void*, Index, Index);
  void* context;
  int helpers_wanted;
  std::atomic<Index> next{0}, done{0};
  std::atomic<bool> failed{false};
  std::atomic<int> inside{0};  // helpers that may touch this job
  std::exception_ptr failure;
  std::mutex failing;

  void work() {
    for (;;) {
      const Index ticket = next.fetch_add(1, std::memory_order_relaxed);
      if (ticket >= phases * tasks) break;
      const Index phase = ticket / tasks;
      if (phase > 0)
        wait_until([&] {
          poll();
          return done.load(std::memory_order_acquire) >= phase * tasks || has_failed();
        });
      if (has_failed()) break;
      guard([&] {
        poll_interruption();
        body(context, phase, ticket % tasks);
      });
      if (phases > 1) done.fetch_add(1, std::memory_order_release);
    }
  }

  /// For the caller, once it has nothing left to do.
  void wait_for_helpers() {
    wait_until([&] {
      poll();
      return inside.load(std::memory_order_acquire) == 0;
    });
  }

 private:
  bool has_failed() const { return failed.load(std::memory_order_relaxed); }
  void poll() {
    if (!has_failed()) guard(poll_interruption);
  }
  /// Runs what may fail; the first failure is kept.
  template <class Call>
  void guard(const Call& call) {
    try {
      call();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      if (!failure) failure = std::current_exception();
      failed.store(true, std::memory_order_relaxed);
    }
  }
};

/// Helpers that sleep between jobs. One job at a time: who finds the pool busy works alone, so
/// that many callers at once never make more threads than there were callers and helpers.
class Pool {
 public:
  void run(Job& job) {
    const InTask working;
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (owner.owns_lock()) open(job);
    job.work();
    if (owner.owns_lock()) close(job);
  }

 private:
  void open(Job& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (helpers_ < job.helpers_wanted) {
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

  void close(Job& job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_ = nullptr;
    }
    job.wait_for_helpers();
  }

  void serve() {
    const InTask working;
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
        if (job_ && job_->inside.load(std::memory_order_relaxed) < job_->helpers_wanted) {
          job = job_;
          job->inside.fetch_add(1, std::memory_order_relaxed);
        }
      }
      if (!job) continue;
      {
        const Helping helping(job->failed);
        job->work();
      }
      job->inside.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex owner_;  // held by the caller whose job is open
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> serial_{0};  // of the last job opened
  Job* job_ = nullptr;
  int helpers_ = 0, sleeping_ = 0;
};

// Never destroyed: its helpers sleep in it until the process ends. A forked child has none of
// them, and locks in any state; it starts a pool of its own.
std::atomic<Pool*> pool{nullptr};

Pool& the_pool() {
  static const bool watching_forks = [] {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] {
      pool.store(new Pool);
      in_task = false;
    });
#endif
    pool.store(new Pool);
    return true;
  }();
  static_cast<void>(watching_forks);
  return *pool.load();
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

void run_tasks(int threads, Index phases, Index tasks, void (*body)(void*, Index, Index),
               void* context) {
  if (threads <= 1 || tasks <= 1 || in_task) {
    for (Index phase = 0; phase < phases; ++phase)
      for (Index task = 0; task < tasks; ++task) {
        if (tasks > 1) poll_interruption();
        body(context, phase, task);
      }
    return;
  }
  Job job{phases, tasks, body, context, threads - 1, {}, {}, {}, {}, {}, {}};
  the_pool().run(job);
  if (job.failure) std::rethrow_exception(job.failure);
}

const char* threading_layer() {
#ifdef _OPENMP
  static const std::string layer = "pool; OpenMP " + std::to_string(_OPENMP);
  return layer.c_str();
#else
  return "pool";
#endif
}

}  // namespace papilio
