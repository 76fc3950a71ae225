#include "papilio/pairing.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "factorize/row_products.hpp"
#include "factorize/smallest_eigenvalue.hpp"

namespace papilio {

namespace {

/// The norms of all rows and of all columns of a chunk become 1, or stay 0: that changes no rank.
template <class T>
void normalize_chunk(T* values, Index size) {
  std::vector<double> columns(elements(size));
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < size; ++j) columns[elements(j)] += squared(values[i * size + j]);
  for (double& norm : columns) norm = norm > 0 ? 1 / std::sqrt(norm) : 1;
  for (Index i = 0; i < size; ++i) {
    T* row = values + i * size;
    double norm = 0;
    for (Index j = 0; j < size; ++j) norm += squared(row[j] *= columns[elements(j)]);
    const double by = norm > 0 ? 1 / std::sqrt(norm) : 1;
    for (Index j = 0; j < size; ++j) row[j] *= by;
  }
}

/// What the 3 x 3 Gram matrices are products of, for all rows of all chunks.
template <class T>
struct Squares {
  explicit Squares(const RowClasses& classes)
      : values(elements(classes.chunks * classes.size * classes.size)),
        turned(values.size()),
        squares(values.size()),
        weights(std::is_same<T, double>::value ? 0 : values.size()),
        norms(elements(classes.chunks * classes.size)) {
    const Index size = classes.size, chunk = size * size;
    const T* from = static_cast<const T*>(classes.values);
    in_shares(classes.chunks, 10.0 * static_cast<double>(chunk), [&](Index begin, Index end) {
      for (Index c = begin; c < end; ++c) {
        poll_interruption();
        T* to = values.data() + c * chunk;
        std::copy_n(from + c * chunk, chunk, to);
        normalize_chunk(to, size);
        for (Index n = c * chunk; n < (c + 1) * chunk; ++n) set(n, n / size);
      }
    });
  }

  std::vector<T> values, turned, squares;  // x, |x|^2 x, x^2
  std::vector<double> weights;             // |x|^2; of real numbers that is x^2
  std::vector<double> norms;               // of each row of weights, squared

 private:
  void set(Index n, Index row) {
    const T x = values[elements(n)];
    const double weight = squared(x);
    turned[elements(n)] = weight * x;
    squares[elements(n)] = x * x;
    if (!weights.empty()) weights[elements(n)] = weight;
    norms[elements(row)] += weight * weight;
  }
};

template <class T>
void blind_costs(const RowClasses& classes, double* costs) {
  const Index size = classes.size;
  const Squares<T> of(classes);
  const double each = static_cast<double>(block_rows * block_rows * classes.chunks) *
                      (300 + 2 * static_cast<double>(size));
  constexpr bool real = std::is_same<T, double>::value;
  const auto fill = [&](Index first, Index height, Index second, Index width, auto set) {
    RowProducts<T> x_turned(size), turned_x(size), squares(size);
    RowProducts<double> weights(size);
    double smallest[block_rows][block_rows] = {}, trace[block_rows][block_rows] = {};
    for (Index c = 0; c < classes.chunks; ++c) {
      const Index x = (c * size + first) * size, y = (c * size + second) * size;
      turned_x.compute(of.turned.data() + x, height, of.values.data() + y, width);
      x_turned.compute(of.values.data() + x, height, of.turned.data() + y, width);
      squares.compute(of.squares.data() + x, height, of.squares.data() + y, width);
      if (!real) weights.compute(of.weights.data() + x, height, of.weights.data() + y, width);
      for (Index i = 0; i < height; ++i)
        for (Index k = 0; k < width; ++k) {
          const T product = squares(i, k);
          const double middle = 2 * (real ? std::real(product) : weights(i, k));
          const double root = std::sqrt(2.0);
          const Hermitian3<T> gram{of.norms[elements(c * size + first + i)],
                                   middle,
                                   of.norms[elements(c * size + second + k)],
                                   root * turned_x(i, k),
                                   product,
                                   root * x_turned(i, k)};
          smallest[i][k] += smallest_eigenvalue(gram);
          trace[i][k] += gram.d0 + gram.d1 + gram.d2;
        }
    }
    for (Index i = 0; i < height; ++i)
      for (Index k = 0; k < width; ++k)
        set(i, k, trace[i][k] > 0 ? std::max(smallest[i][k], 0.0) / trace[i][k] : 0.0);
  };
  fill_symmetric(size, each, costs, fill);
  for (Index i = 0; i < size; ++i) costs[i * size + i] = 0;  // to rounding it is
}

template <class T>
void costs_of_halves(const RowClasses& classes, const Index* halves, double* costs) {
  const Index size = classes.size, half = size / 2;
  const T* values = static_cast<const T*>(classes.values);
  // The columns of a half side by side: rows of `half` columns, of all rows for one half, then the
  // other, chunk by chunk.
  std::vector<T> sorted(elements(classes.chunks * size * size));
  std::vector<double> norms(elements(classes.chunks * 2 * size));
  in_shares(classes.chunks * 2, 2.0 * static_cast<double>(size * half),
            [&](Index begin, Index end) {
              for (Index n = begin; n < end; ++n)
                for (Index i = 0; i < size; ++i) {
                  const T* from = values + (n / 2 * size + i) * size;
                  T* to = sorted.data() + (n * size + i) * half;
                  for (Index j = 0; j < half; ++j) {
                    to[j] = from[halves[n * half + j]];
                    norms[elements(n * size + i)] += squared(to[j]);
                  }
                }
            });
  const double each = static_cast<double>(block_rows * block_rows * classes.chunks) *
                      (40 + static_cast<double>(size));
  const auto fill = [&](Index first, Index height, Index second, Index width, auto set) {
    RowProducts<T> products(half);
    double sums[block_rows][block_rows] = {};
    for (Index n = 0; n < classes.chunks * 2; ++n) {
      const Index x = n * size + first, y = n * size + second;
      products.compute(sorted.data() + x * half, height, sorted.data() + y * half, width);
      for (Index i = 0; i < height; ++i)
        for (Index k = 0; k < width; ++k) {
          // The smaller eigenvalue of the 2 x 2 Gram matrix.
          const double one = norms[elements(x + i)], other = norms[elements(y + k)];
          const double size2 = squared(one - other) + 4 * squared(products(i, k));
          sums[i][k] += std::max((one + other - std::sqrt(size2)) / 2, 0.0);
        }
    }
    for (Index i = 0; i < height; ++i)
      for (Index k = 0; k < width; ++k) set(i, k, sums[i][k]);
  };
  fill_symmetric(size, each, costs, fill);
  for (Index i = 0; i < size; ++i) costs[i * size + i] = 0;  // to rounding it is
}

}  // namespace

void blind_pair_costs(const RowClasses& classes, double* costs) {
  visit_double(classes.dtype, [&](auto tag) { blind_costs<decltype(tag)>(classes, costs); });
}

void pair_costs(const RowClasses& classes, const Index* halves, double* costs) {
  visit_double(classes.dtype,
               [&](auto tag) { costs_of_halves<decltype(tag)>(classes, halves, costs); });
}

}  // namespace papilio
