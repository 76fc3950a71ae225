// Products, plans and forks from many threads at once, for the thread sanitizer: no interpreter
// and no lock of its around them. CTest runs it under both engines (PAPILIO_THREADING); the thread
// sanitizer doesn't see what OpenMP's runtime synchronizes, and runs it under the pool only.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "papilio/apply.hpp"
#include "papilio/composition.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"

using namespace papilio;

namespace {

std::atomic<int> failures{0};

void check(bool good, const char* what) {
  if (good) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

/// Square dyadic factors of random numbers.
struct Values {
  std::vector<std::vector<double>> values;
  Chain chain{DType::float64, {}, {}, {}};

  explicit Values(Index n) {
    std::mt19937 random(1);
    std::normal_distribution<double> normal;
    for (Index a = 1; a < n; a *= 2) {
      values.emplace_back(static_cast<std::size_t>(2 * n));
      for (double& x : values.back()) x = normal(random);
    }
    Index a = 1;
    for (const auto& entries : values) {
      chain.factors.push_back({{a, 2, 2, n / (2 * a)}, entries.data(), false, 1});
      a *= 2;
    }
  }
};

constexpr Index n = 64;

std::vector<double> product(Planner& planner, Index columns) {
  std::vector<double> x(static_cast<std::size_t>(n * columns), 1.0), y(x.size());
  const Layout layout =
      columns == 1 ? Layout{1, 1, {}} : Layout{columns, columns, {{columns, 1, 1}}};
  execute(*planner.plan(false, classify(layout)), layout, false, x.data(), y.data());
  return y;
}

bool is_close(const std::vector<double>& x, const std::vector<double>& y) {
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(y[i]));
    difference = std::max(difference, std::abs(x[i] - y[i]));
  }
  return difference <= 1e-12 * largest;
}

template <class Body>
void in_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&body, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

void test_products_while_plans_change() {
  const Values values(n);
  Planner planner(values.chain);
  const std::vector<double> one = product(planner, 1), many = product(planner, 40);
  in_threads(4, [&](int t) {
    for (int round = 0; round < 60; ++round) {
      if (t == 0) {
        planner.tune(false, {1, Contiguous::rows, Contiguous::rows});
      } else if (t == 1) {
        const Choice choice{round % 2 ? Lanes::rows : Lanes::columns, Index{2} << round % 3, 8};
        planner.force(false, {32, Contiguous::columns, Contiguous::columns}, choice);
      } else {
        check(is_close(product(planner, 1), one), "a vector while plans change");
        check(is_close(product(planner, 40), many), "a batch while plans change");
      }
    }
  });
}

void test_first_products_at_once() {
  for (int round = 0; round < 30; ++round) {
    const Values values(n);
    Planner planner(values.chain);
    in_threads(4, [&](int t) {
      const auto y = product(planner, t % 2 ? 1 : 40);
      check(std::isfinite(y.front()), "first products at once");
    });
  }
}

void test_compositions_at_once() {
  const Values values(n);
  Planner planner(values.chain);
  std::vector<Index> start, columns;
  std::vector<double> ones(static_cast<std::size_t>(n), 2.0);
  for (Index row = 0; row <= n; ++row) start.push_back(row);
  for (Index row = 0; row < n; ++row) columns.push_back(n - 1 - row);
  std::vector<Step> steps;
  steps.emplace_back(SparseMatrix(DType::float64, n, n, start.data(), columns.data(), ones.data()));
  steps.emplace_back(Multiplication{&planner, false, false, 1});
  const Composition composition(DType::float64, false, false, std::move(steps));
  in_threads(4, [&](int t) {
    for (int round = 0; round < 30; ++round) {
      const Index batch = t % 2 ? 1 : 40;
      const std::vector<double> x(static_cast<std::size_t>(n * batch), 1.0);
      std::vector<double> y(x.size());
      composition.execute({batch, batch, {{batch, 1, 1}}}, x.data(), y.data());
      check(is_close(product(planner, batch), std::vector<double>(y.size(), 0)) || y[0] != 0,
            "compositions at once");
    }
  });
}

/// Rows that SIMD vectors work on together, cut wherever the shares of threads end: no thread
/// writes another's, be it the same number.
void test_shares_of_sparse_rows() {
  for (Index rows = 5; rows < 40; ++rows) {
    constexpr Index length = 4;
    std::vector<Index> start{0}, columns;
    std::vector<double> values, x(static_cast<std::size_t>(rows + length), 1.0);
    for (Index row = 0; row < rows; ++row) {
      for (Index k = 0; k < length; ++k) {
        columns.push_back(row + k);
        values.push_back(static_cast<double>(row * length + k));
      }
      start.push_back(static_cast<Index>(columns.size()));
    }
    std::vector<Step> steps;
    steps.emplace_back(SparseMatrix(DType::float64, rows, rows + length, start.data(),
                                    columns.data(), values.data()));
    const Composition composition(DType::float64, false, false, std::move(steps));
    for (int round = 0; round < 20; ++round) {
      std::vector<double> y(static_cast<std::size_t>(rows));
      composition.execute({1, 1, {}}, x.data(), y.data());
      for (Index row = 0; row < rows; ++row)
        check(y[static_cast<std::size_t>(row)] == static_cast<double>(16 * row + 6),
              "shares of sparse rows");
    }
  }
}

void test_failing_phases() {
  for (int round = 0; round < 200; ++round) {
    bool thrown = false;
    try {
      parallel_phases(4, 50, 4, [&](Index phase, Index task) {
        if (phase == round % 50 && task == 1) throw std::runtime_error("expected");
      });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    check(thrown, "what a phase throws comes out, and nobody waits for it");
  }
}

void test_interruption() {
  struct Ended {};
  static std::atomic<bool> wanted{false};
  set_interruption([] {
    if (wanted.exchange(false)) throw Ended{};
  });
  for (int round = 0; round < 5; ++round) {
    wanted = true;
    bool ended = false;
    std::atomic<int> tasks{0};
    try {
      parallel_for(4, 100000, [&](Index) {
        ++tasks;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
    } catch (const Ended&) {
      ended = true;
    }
    check(ended && tasks < 1000, "an interruption ends the work");
  }
  set_interruption(nullptr);
}

/// Waits until `ready`, for so long that only what never comes takes longer.
template <class Ready>
bool comes(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!ready() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return ready();
}

void test_helpers_help() {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  const auto count = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return seen.size();
  };
  parallel(3, [&](int, int) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      seen.insert(std::this_thread::get_id());
    }
    check(comes([&] { return count() == 3; }), "three threads run three tasks at once");
  });
}

void test_tasks_within_tasks() {
  std::atomic<int> tasks{0};
  parallel_for(3, 20, [&](Index) {
    const auto self = std::this_thread::get_id();
    check(num_threads() == 1, "a task may use one thread");
    parallel_for(3, 10, [&](Index) {
      check(std::this_thread::get_id() == self, "tasks within a task run on its thread");
      ++tasks;
    });
  });
  check(tasks == 200 && num_threads() == 3, "all tasks within tasks run");
}

void test_same_bits_for_any_callers_and_threads() {
  const Values values(n);
  Planner planner(values.chain);
  const std::vector<double> expected = product(planner, 40);
  for (const int threads : {1, 2, 5, 3}) {
    set_num_threads(threads);
    in_threads(3, [&](int) {
      for (int round = 0; round < 20; ++round)
        check(product(planner, 40) == expected, "the same bits from any callers and threads");
    });
  }
}

/// A helper that is in the middle of a long task ends soon after the caller was interrupted.
void test_interruption_of_a_helper() {
  struct Ended {};
  static std::atomic<bool> wanted{false};
  set_interruption([] {
    if (wanted.exchange(false)) throw Ended{};
  });
  const auto caller = std::this_thread::get_id();
  std::atomic<int> inside{0};
  std::atomic<bool> cancelled{false};
  bool ended = false;
  try {
    parallel(2, [&](int, int) {
      ++inside;
      comes([&] { return inside == 2; });
      if (std::this_thread::get_id() == caller) {
        wanted = true;
        return;
      }
      try {
        comes([] {
          poll_interruption();
          return false;
        });
      } catch (const Cancelled&) {
        cancelled = true;
        throw;
      }
    });
  } catch (const Ended&) {
    ended = true;
  }
  check(ended && cancelled, "the caller is interrupted while it waits, and its helper ends");
  set_interruption(nullptr);
}

#ifdef _OPENMP
void test_inside_another_region() {
  const Values values(n);
  Planner planner(values.chain);
  const std::vector<double> expected = product(planner, 40);
#pragma omp parallel num_threads(3)
  for (int round = 0; round < 10; ++round) {
    check(num_threads() == 1, "one thread inside a region of somebody else");
    check(product(planner, 40) == expected, "products inside a region of somebody else");
  }
  check(num_threads() == 3 && product(planner, 40) == expected, "and after it");
}
#endif

#if defined(__unix__) || defined(__APPLE__)
/// A child forked while others plan can use every planner.
void test_forks_while_planning() {
  const Values values(n);
  Planner planner(values.chain);
  const std::vector<double> expected = product(planner, 40);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (int round = 0; !stop; ++round)
      planner.force(false, {32, Contiguous::columns, Contiguous::columns},
                    {round % 2 ? Lanes::rows : Lanes::columns, 4, 8});
  });
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      _exit(is_close(product(planner, 40), expected) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child forked while a thread plans");
  }
  stop = true;
  other.join();
}

/// A child of a thread that has used all of its helpers has helpers, and so has a child of that.
void test_forks_after_work() {
  const auto works = [] {
    std::atomic<int> inside{0};
    bool all = true;
    parallel(2, [&](int, int) {
      ++inside;
      if (!comes([&] { return inside == 2; })) all = false;
    });
    return all;
  };
  check(works(), "two threads before the fork");
  for (int round = 0; round < 10; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      const bool good = works() && threading_engine() == "pool" && num_threads() == 3;
      const pid_t grandchild = fork();
      if (grandchild == 0) _exit(works() ? 0 : 1);
      int status = 0;
      waitpid(grandchild, &status, 0);
      _exit(good && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child has two threads");
    check(works(), "two threads after the fork");
  }
}
#endif

}  // namespace

int main(int count, char**) {
  set_num_threads(3);
  set_worth_a_thread(10);  // so that small products run on all of them
  test_products_while_plans_change();
  test_first_products_at_once();
  test_compositions_at_once();
  set_num_threads(10);  // shares of a row each
  test_shares_of_sparse_rows();
  set_num_threads(3);
  test_failing_phases();
  test_interruption();
  test_interruption_of_a_helper();
  test_helpers_help();
  test_tasks_within_tasks();
  test_same_bits_for_any_callers_and_threads();
  set_num_threads(3);
#ifdef _OPENMP
  // Under the thread sanitizer OpenMP's own threads look like races.
  if (count == 1) test_inside_another_region();
#endif
#if defined(__unix__) || defined(__APPLE__)
  // The thread sanitizer can't follow a child that makes threads: any argument leaves these out.
  if (count == 1) {
    test_forks_while_planning();
    test_forks_after_work();
  }
#endif
  std::printf("%s: ", threading_engine().c_str());
  std::printf(failures ? "%d failed\n" : "all passed\n", failures.load());
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
