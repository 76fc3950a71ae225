// What only C++ can reach: the core without Python, every kernel table, the thread wrapper.
#include <atomic>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "papilio/apply.hpp"
#include "papilio/composition.hpp"
#include "papilio/config.hpp"
#include "papilio/factorize.hpp"
#include "papilio/threads.hpp"

using namespace papilio;

namespace {

int failures = 0;

void check(bool good, const char* what) {
  if (good) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

template <class Error, class Call>
void check_throws(Call call, const char* what) {
  try {
    call();
  } catch (const Error&) {
    return;
  } catch (...) {
  }
  check(false, what);
}

void test_patterns() {
  const Pattern p{1, 2, 2, 4}, q{2, 2, 2, 2}, r{4, 2, 2, 1};
  check(chain_rank(p, q) == 1, "dyadic rank is 1");
  check(chain_product({p, q, r}) == Pattern{1, 8, 8, 1}, "dyadic product is dense");
  check(!chain_failure(r, q).empty(), "reversed dyadic pair is not chainable");
  check_throws<std::invalid_argument>([&] { chain_product(r, q); }, "product of a bad pair throws");
  check(reduce_chain({p, q, r}).size() == 3, "dyadic chains stay");
  check(reduce_chain({{1, 4, 4, 1}, {1, 4, 4, 1}}).size() == 1, "redundant pairs merge");
}

void test_threads() {
  for (int threads : {1, 2, 4}) {
    std::atomic<int> calls{0};
    check_throws<std::runtime_error>(
        [&] {
          parallel(threads, [&](int thread, int) {
            ++calls;
            if (thread == 0) throw std::runtime_error("expected");
          });
        },
        "an exception leaves the parallel region");
    check(calls >= 1 && calls <= threads, "each thread ran once");
    // Phases don't overlap, and every task runs once.
    std::vector<int> runs(100);
    std::atomic<int> done{0};
    bool ordered = true;
    parallel_phases(threads, 20, 5, [&](Index phase, Index task) {
      if (done < 5 * phase) ordered = false;
      ++runs[static_cast<std::size_t>(5 * phase + task)];
      check(num_threads() == 1 || threads == 1, "tasks are serial inside");
      ++done;
    });
    check(ordered && runs == std::vector<int>(100, 1), "phases run in order, tasks once");
  }
  // Many callers at once, each with its own tasks.
  std::vector<std::thread> callers;
  std::atomic<int> total{0};
  for (int n = 0; n < 4; ++n)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat) parallel_for(3, 7, [&](Index) { ++total; });
    });
  for (std::thread& caller : callers) caller.join();
  check(total == 4 * 200 * 7, "concurrent callers all get their tasks done");
  check_throws<std::invalid_argument>([] { set_num_threads(0); }, "0 threads are refused");
  set_num_threads(3);
  check(num_threads() == 3, "set_num_threads is heard");
  check(threads_for(1, 1e12) == 1 && threads_for(100, 1.0) == 1, "small work stays serial");
}

template <class T>
void check_product(const std::vector<T>& actual, const std::vector<T>& expected, DType dtype) {
  double worst = 0;
  for (std::size_t n = 0; n < actual.size(); ++n)
    worst = std::max(worst, static_cast<double>(std::abs(actual[n] - expected[n])));
  const bool single =
      size_of(dtype) / (dtype == DType::complex64 || dtype == DType::complex128 ? 2 : 1) == 4;
  check(worst < (single ? 1e-4 : 1e-12), "product equals the obvious one");
}

template <class T>
void test_products(DType dtype) {
  std::mt19937 generator(0);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const Patterns chain{{1, 3, 4, 10}, {2, 2, 3, 10}, {5, 4, 2, 3}};
  Chain factors{};
  factors.dtype = dtype;
  std::vector<std::vector<T>> values;
  for (const Pattern& p : chain) {
    values.emplace_back(static_cast<std::size_t>(p.nnz()));
    for (T& x : values.back()) x = static_cast<T>(uniform(generator));
  }
  for (std::size_t s = 0; s < chain.size(); ++s)
    factors.factors.push_back({chain[s], values[s].data(), false, 1});
  const Index rows = factors.rows(), cols = factors.cols();
  Planner planner(factors);
  for (Index batch : {1, 5, 40}) {
    std::vector<T> x(static_cast<std::size_t>(cols * batch));
    for (T& entry : x) entry = static_cast<T>(uniform(generator));
    std::vector<T> y(static_cast<std::size_t>(rows * batch)), reversed(y.size());
    // The obvious product, factor by factor.
    std::vector<T> expected = x;
    for (std::size_t s = chain.size(); s-- > 0;) {
      const Pattern& p = chain[s];
      std::vector<T> next(static_cast<std::size_t>(p.rows() * batch), T(0));
      for (Index i = 0; i < p.a; ++i)
        for (Index j = 0; j < p.b; ++j)
          for (Index k = 0; k < p.c; ++k)
            for (Index l = 0; l < p.d; ++l)
              for (Index t = 0; t < batch; ++t)
                next[static_cast<std::size_t>((((i * p.b + j) * p.d) + l) * batch + t)] +=
                    values[s][static_cast<std::size_t>(((i * p.b + j) * p.c + k) * p.d + l)] *
                    expected[static_cast<std::size_t>((((i * p.c + k) * p.d) + l) * batch + t)];
      expected = std::move(next);
    }
    // Every way to run it, on one thread and on three; output columns forwards, and backwards
    // through negative strides.
    const Layout forwards{batch, batch, {{batch, 1, 1}}}, backwards{batch, batch, {{batch, 1, -1}}};
    for (const Lanes lanes : {Lanes::columns, Lanes::rows})
      for (const Index radix : {2, 4, 8})
        for (const Index tile : {1, 3, 64})
          for (const int threads : {1, 3}) {
            set_num_threads(threads);
            const auto plan = planner.force(false, classify(forwards), {lanes, radix, tile});
            execute(*plan, forwards, false, x.data(), y.data());
            check_product(y, expected, dtype);
            execute(*plan, backwards, false, x.data(), reversed.data() + batch - 1);
            bool same = true;
            for (Index row = 0; row < rows; ++row)
              for (Index t = 0; t < batch; ++t)
                same = same && reversed[static_cast<std::size_t>(row * batch + batch - 1 - t)] ==
                                   y[static_cast<std::size_t>(row * batch + t)];
            check(same, "negative strides reverse the batch");
          }
    check(planner.tune(false, classify(forwards)).size() > 1, "tune tries several plans");
    execute(*planner.plan(false, classify(forwards)), forwards, false, x.data(), y.data());
    check_product(y, expected, dtype);
  }
}

/// A sparse matrix from (start, columns, values).
SparseMatrix sparse(Index cols, const std::vector<Index>& start, const std::vector<Index>& columns,
                    const std::vector<double>& values) {
  return SparseMatrix(DType::float64, static_cast<Index>(start.size()) - 1, cols, start.data(),
                      columns.data(), values.data());
}

void test_compositions() {
  // [[1, 2], [0, 0], [0, 3]] after a Hadamard butterfly of order 2: runs of 2, 0 and 1 entries.
  const std::vector<double> hadamard{1, 1, 1, -1};
  Planner planner({DType::float64, {{{1, 2, 2, 1}, hadamard.data(), false, 1}}, {}, {}});
  const SparseMatrix last = sparse(2, {0, 2, 2, 3}, {0, 1, 1}, {1, 2, 3});
  check(last.runs().size() == 3, "rows of equal length are runs");
  const Composition composition(DType::float64, false, false,
                                {Multiplication{&planner, false, false, 1}, last});
  for (const Index batch : {1, 3, 40}) {
    const std::size_t size = static_cast<std::size_t>(batch);
    std::vector<double> x(2 * size), y(3 * size);
    for (std::size_t n = 0; n < x.size(); ++n) x[n] = static_cast<double>(n * n % 7);
    composition.execute({batch, batch, {{batch, 1, 1}}}, x.data(), y.data());
    bool same = true;
    for (std::size_t n = 0; n < size; ++n) {
      const double sum = x[n] + x[size + n], difference = x[n] - x[size + n];
      same &= y[n] == sum + 2 * difference && y[size + n] == 0 && y[2 * size + n] == 3 * difference;
    }
    check(same, "a composition of a butterfly and a sparse matrix");
  }
  check_throws<std::invalid_argument>([] { sparse(2, {0, 1}, {2}, {1}); },
                                      "an entry outside of the columns throws");
  check_throws<std::invalid_argument>([] { sparse(2, {0, 1, 0}, {0}, {1}); },
                                      "rows that end before they start throw");
  check_throws<std::invalid_argument>(
      [&] {
        Composition(DType::float64, false, false,
                    {last, Multiplication{&planner, false, false, 1}});
      },
      "steps that don't fit throw");
  check_throws<std::invalid_argument>([&] { Composition(DType::float64, false, true, {last}); },
                                      "complex output needs pairs of rows");
  check_throws<std::invalid_argument>([] { Composition(DType::float64, false, false, {}); },
                                      "no steps throw");
}

void test_factorize_needs_lapack() {
  const double matrix[4] = {1, 2, 3, 4};
  const MatrixView view{DType::float64, matrix, 2, 2, 2, 1, {}, {}};
  FactorizeOptions options;
  check_throws<std::logic_error>([&] { factorize(view, {{1, 2, 2, 1}}, options); },
                                 "factorize without LAPACK says so");
  check_throws<std::invalid_argument>([&] { factorize(view, {{1, 2, 3, 1}}, options); },
                                      "a wrong shape is refused");
}

}  // namespace

int main() {
  test_patterns();
  // Every instruction set runs in a process of its own: `core_test` starts itself for each.
  if (!std::getenv("PAPILIO_ISA")) {
    for (const std::string& isa : available_isas()) {
      setenv("PAPILIO_ISA", isa.c_str(), 1);
      const char* runner = std::getenv("PAPILIO_TEST_RUNNER");  // the emulator, compiled for others
      const std::string command = std::string(runner ? runner : "") + " ./core_test";
      check(std::system(command.c_str()) == 0, ("kernels of " + isa).c_str());
    }
    unsetenv("PAPILIO_ISA");
  }
  test_threads();
  test_products<float>(DType::float32);
  test_products<double>(DType::float64);
  test_products<std::complex<float>>(DType::complex64);
  test_products<std::complex<double>>(DType::complex128);
  test_compositions();
  test_factorize_needs_lapack();
  if (!failures) std::printf("all good on %s\n", active_isa().c_str());
  return failures ? 1 : 0;
}
