// What only C++ can reach: the core without Python, every kernel table, the thread wrapper.
#include <atomic>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <vector>

#include "papilio/apply.hpp"
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
  }
  check_throws<std::invalid_argument>([] { set_num_threads(0); }, "0 threads are refused");
  set_num_threads(3);
  check(num_threads() == 3, "set_num_threads is heard");
  check(threads_for(1, 1e12) == 1 && threads_for(100, 1.0) == 1, "small work stays serial");
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
    factors.factors.push_back({chain[s], values[s].data(), false, false});
  merge_factors(factors);
  const Index rows = factors.rows(), cols = factors.cols();
  for (Index batch : {1, 5, 40}) {
    std::vector<T> x(static_cast<std::size_t>(cols * batch));
    for (T& entry : x) entry = static_cast<T>(uniform(generator));
    std::vector<T> y(static_cast<std::size_t>(rows * batch)), reversed(y.size());
    const Plan plan = Plan::compile(factors, false, false);
    execute(plan, {batch, batch, {{batch, 1, 1}}}, x.data(), y.data());
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
    double worst = 0;
    for (std::size_t n = 0; n < y.size(); ++n)
      worst = std::max(worst, static_cast<double>(std::abs(y[n] - expected[n])));
    const bool single =
        size_of(dtype) / (dtype == DType::complex64 || dtype == DType::complex128 ? 2 : 1) == 4;
    check(worst < (single ? 1e-4 : 1e-12), "product equals the obvious one");
    // Output columns backwards, through negative strides.
    execute(plan, {batch, batch, {{batch, 1, -1}}}, x.data(), reversed.data() + batch - 1);
    bool same = true;
    for (Index row = 0; row < rows; ++row)
      for (Index t = 0; t < batch; ++t)
        same = same && reversed[static_cast<std::size_t>(row * batch + batch - 1 - t)] ==
                           y[static_cast<std::size_t>(row * batch + t)];
    check(same, "negative strides reverse the batch");
  }
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
      check(std::system("./core_test") == 0, ("kernels of " + isa).c_str());
    }
    unsetenv("PAPILIO_ISA");
  }
  test_threads();
  test_products<float>(DType::float32);
  test_products<double>(DType::float64);
  test_products<std::complex<float>>(DType::complex64);
  test_products<std::complex<double>>(DType::complex128);
  test_factorize_needs_lapack();
  if (!failures) std::printf("all good on %s\n", active_isa().c_str());
  return failures ? 1 : 0;
}
