#include "factorize/entrywise.hpp"

#include <algorithm>

#include "papilio/apply.hpp"
#include "papilio/threads.hpp"

namespace papilio {

template <class T>
double squared_norm_outside(Matrix<T>& matrix, const Pattern& p) {
  double outside2 = 0;
  matrix.for_rows(0, matrix.rows(), [&](Index row, Index place) {
    const Index block = row / (p.b * p.d), l = row % p.d;
    double out = 0;
    for (Index col = 0; col < matrix.cols(); ++col)
      if (col / (p.c * p.d) != block || col % p.d != l) out += squared(matrix(place, col));
    outside2 += out;
  });
  return outside2;
}

template <class T>
double copy_matrix(Matrix<T>& matrix, Partial<T>& partial) {
  const Pattern& p = partial.pattern;
  partial.values = Buffer<T>(p.nnz());
  double norm2 = 0;
  matrix.for_rows(0, matrix.rows(), [&](Index row, Index place) {
    const Index i = row / (p.b * p.d), j = row / p.d % p.b, l = row % p.d;
    for (Index k = 0; k < p.c; ++k) {
      const T x = matrix(place, (i * p.c + k) * p.d + l);
      partial.values.data()[((i * p.b + j) * p.c + k) * p.d + l] = x;
      norm2 += squared(x);
    }
  });
  return norm2;
}

namespace {

/// How many rows squared_error forms at a time: some 10 ms of work.
template <class T>
Index height_of(const std::vector<Partial<T>>& factors, Index rows) {
  double work = 1;
  for (const Partial<T>& factor : factors) work += static_cast<double>(factor.pattern.nnz());
  const auto fitting = static_cast<Index>(1e8 / work);
  return std::min(rows, std::clamp(fitting, Index{1}, Index{128}));
}

}  // namespace

template <class T>
double squared_error(Matrix<T>& matrix, const std::vector<Partial<T>>& factors, const Tick& tick) {
  Chain chain{};
  chain.dtype = dtype_of_type<T>;
  for (const Partial<T>& factor : factors)
    chain.factors.push_back({factor.pattern, factor.values.data(), false, 1});
  const Index rows = matrix.rows(), cols = matrix.cols(), height = height_of(factors, rows);
  std::vector<T> unit(static_cast<std::size_t>(rows * height));
  std::vector<T> product(static_cast<std::size_t>(cols * height));
  std::vector<double> errors(static_cast<std::size_t>(rows));
  Planner planner(std::move(chain));
  const Layout layout{1, 1, {{height, rows, cols}}};
  const auto plan = planner.plan(true, classify(layout));
  std::vector<Index> numbers;
  for (Index begin = 0; begin < rows; begin += height) {
    const Index count = std::min(height, rows - begin);
    numbers.clear();
    for (Index t = 0; t < count; ++t) {
      unit[static_cast<std::size_t>(t * rows + begin + t)] = T(1);
      numbers.push_back(begin + t);
    }
    execute(*plan, layout, false, unit.data(), product.data());
    for (Index t = 0; t < count; ++t) unit[static_cast<std::size_t>(t * rows + begin + t)] = T(0);
    if (!matrix.in_memory()) matrix.load(numbers);
    parallel(threads_for(count, static_cast<double>(cols * count)), [&](int thread, int team) {
      for (Index t = count * thread / team; t < count * (thread + 1) / team; ++t) {
        const Index place = matrix.in_memory() ? begin + t : t;
        double sum = 0;
        for (Index col = 0; col < cols; ++col)
          sum += squared(matrix(place, col) - product[static_cast<std::size_t>(t * cols + col)]);
        errors[static_cast<std::size_t>(begin + t)] = sum;
      }
    });
    tick(0);
  }
  double sum = 0;
  for (double e : errors) sum += e;
  return sum;
}

#define PAPILIO_INSTANTIATE(T)                                      \
  template double squared_norm_outside(Matrix<T>&, const Pattern&); \
  template double copy_matrix(Matrix<T>&, Partial<T>&);             \
  template double squared_error(Matrix<T>&, const std::vector<Partial<T>>&, const Tick&);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
