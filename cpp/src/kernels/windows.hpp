// Kernels that interpolate from a periodic grid at points, and spread values at points to it, by
// products of one window per dimension, which is a polynomial between neighbouring cells.
#pragma once

#include "kernels/simd.hpp"
#include "kernels/window_kernels.hpp"

namespace papilio {
namespace kernels {
namespace {

/// The weights of W SIMD vectors of cells for one offset, by Horner's rule.
template <class T, int W>
PAPILIO_INLINE void evaluate_window(const T* coefficients, int64_t degree, T offset,
                                    batch<T> (&weights)[W]) {
  typedef batch<T> V;
  const V x = V::broadcast(offset);
  PAPILIO_UNROLL
  for (int v = 0; v < W; ++v) weights[v] = V::load(coefficients + v * V::lanes);
  for (int64_t k = 1; k <= degree; ++k) {
    coefficients += widest_window;
    PAPILIO_UNROLL
    for (int v = 0; v < W; ++v)
      weights[v] = multiply_add(weights[v], x, V::load(coefficients + v * V::lanes));
  }
}

/// W SIMD vectors of weights to memory.
template <class T, int W>
PAPILIO_INLINE void store_window(const T* coefficients, int64_t degree, T offset, T* weights) {
  batch<T> values[W];
  evaluate_window<T, W>(coefficients, degree, offset, values);
  PAPILIO_UNROLL
  for (int v = 0; v < W; ++v) values[v].store(weights + v * batch<T>::lanes);
}

/// The sum of the elements of a vector, in its first element.
template <class A, int distance>
struct Total {
  PAPILIO_INLINE static typename A::V of(typename A::V x) {
    return Total<A, distance / 2>::of(x +
                                      permute(x, [](int n) { return n ^ (distance * A::parts); }));
  }
};
template <class A>
struct Total<A, 0> {
  PAPILIO_INLINE static typename A::V of(typename A::V x) { return x; }
};

/// The points of a tile: what stays the same from one to the next, for SIMD vectors [begin, begin +
/// N) of the elements of a row of cells. W SIMD vectors have all weights of a window.
template <class A, int N, int W>
struct TileWindows {
  typedef typename A::scalar T;
  typedef typename A::V V;
  static constexpr int per_vector = V::lanes / A::parts;  // cells
  static constexpr int own = (N + A::parts - 1) / A::parts;

  const T *coefficients, *own_coefficients, *offsets;
  const int32_t* cells;
  T* tile;
  int64_t degree, width, dimensions, origin[3], pitch[2];

  PAPILIO_INLINE TileWindows(const WindowArguments& work, int64_t begin)
      : coefficients(static_cast<const T*>(work.polynomials)),
        own_coefficients(coefficients + begin * per_vector),
        offsets(static_cast<const T*>(work.offsets)),
        cells(work.cells),
        tile(static_cast<T*>(work.tile) + begin * V::lanes),
        degree(work.degree),
        width(work.width),
        dimensions(work.dimensions),
        origin{work.origin[0], work.origin[1], work.origin[2]},
        pitch{work.pitch[0] * A::parts, work.pitch[1] * A::parts} {}

  /// The window of the last dimension, an element of each cell after the other.
  PAPILIO_INLINE void last_window(int64_t point, V (&last)[N]) const {
    V weights[own];
    evaluate_window<T, own>(own_coefficients, degree, offsets[point * dimensions + dimensions - 1],
                            weights);
    PAPILIO_UNROLL
    for (int v = 0; v < N; ++v) {
      if constexpr (A::parts == 1)
        last[v] = weights[v];
      else
        last[v] = v % 2 ? permute(weights[v / 2], [](int n) { return V::lanes / 2 + n / 2; })
                        : permute(weights[v / 2], [](int n) { return n / 2; });
    }
  }

  /// Calls row(first scalar of the row, weight of the other dimensions) for all rows of a window.
  template <int dimensions, class Row>
  PAPILIO_INLINE void for_rows(int64_t point, Row row) const {
    const int32_t* own_cells = cells + point * dimensions;
    const T* own_offsets = offsets + point * dimensions;
    T* at = tile + (own_cells[dimensions - 1] - origin[2]) * A::parts;
    if constexpr (dimensions == 1) {
      row(at, T(1));
    } else {
      T second[W * V::lanes];
      store_window<T, W>(coefficients, degree, own_offsets[dimensions - 2], second);
      at += (own_cells[dimensions - 2] - origin[1]) * pitch[1];
      if constexpr (dimensions == 2) {
        for (int64_t j = 0; j < width; ++j) row(at + j * pitch[1], second[j]);
      } else {
        T first[W * V::lanes];
        store_window<T, W>(coefficients, degree, own_offsets[0], first);
        at += (own_cells[0] - origin[0]) * pitch[0];
        for (int64_t i = 0; i < width; ++i, at += pitch[0]) {
          T* to = at;
          const T weight = first[i];
          for (int64_t j = 0; j < width; ++j, to += pitch[1]) row(to, weight * second[j]);
        }
      }
    }
  }
};

/// Values lie in the order in which the points were given: the line of a later one is asked for.
template <class Element>
PAPILIO_INLINE void ask_for_value(const Element* values, const int32_t* order, int64_t point,
                                  int64_t last) {
  constexpr int64_t ahead = 16;
  if (point + ahead < last) __builtin_prefetch(values + order[point + ahead]);
}

template <class A, int N, int W, int dimensions>
void interpolate_of(const WindowArguments& work, int64_t begin) {
  typedef typename A::V V;
  typedef typename A::scalar T;
  const TileWindows<A, N, W> windows(work, begin);
  typename A::element* const values = static_cast<typename A::element*>(work.values);
  const int32_t* const order = work.order;
  const int64_t last = work.last;
  for (int64_t point = work.first; point < last; ++point) {
    V weights[N], sum[N];
    ask_for_value(values, order, point, last);
    windows.last_window(point, weights);
    PAPILIO_UNROLL
    for (int v = 0; v < N; ++v) sum[v] = {typename V::native{}};
    windows.template for_rows<dimensions>(point, [&](const T* from, T weight) {
      const V factor = V::broadcast(weight);
      PAPILIO_UNROLL
      for (int v = 0; v < N; ++v) {
        const V cells = V::load(from + v * V::lanes);
        sum[v] = dimensions == 1 ? cells : multiply_add(factor, cells, sum[v]);
      }
    });
    V total = weights[0] * sum[0];
    PAPILIO_UNROLL
    for (int v = 1; v < N; ++v) total = multiply_add(weights[v], sum[v], total);
    total = Total<A, A::lanes / 2>::of(total);
    typename A::element* to = values + order[point];
    if (begin > 0) total = total + load_part<A>(to, 1);
    memcpy(to, &total.v, sizeof(typename A::element));
  }
}

template <class A, int N, int W, int dimensions>
void spread_of(const WindowArguments& work, int64_t begin) {
  typedef typename A::V V;
  typedef typename A::scalar T;
  const TileWindows<A, N, W> windows(work, begin);
  const typename A::element* const values = static_cast<const typename A::element*>(work.values);
  const int32_t* const order = work.order;
  const int64_t last = work.last;
  for (int64_t point = work.first; point < last; ++point) {
    V row_of[N];
    ask_for_value(values, order, point, last);
    windows.last_window(point, row_of);
    const V value = A::broadcast(values + order[point]);
    PAPILIO_UNROLL
    for (int v = 0; v < N; ++v) row_of[v] = row_of[v] * value;
    windows.template for_rows<dimensions>(point, [&](T* to, T weight) {
      const V factor = V::broadcast(weight);
      PAPILIO_UNROLL
      for (int v = 0; v < N; ++v) {
        const V old = V::load(to + v * V::lanes);
        (dimensions == 1 ? old + row_of[v] : multiply_add(factor, row_of[v], old))
            .store(to + v * V::lanes);
      }
    });
  }
}

template <class A, int N, int W, bool spreading>
PAPILIO_INLINE void windows_in(const WindowArguments& work, int64_t begin) {
  switch (work.dimensions) {
    case 1:
      return spreading ? spread_of<A, N, W, 1>(work, begin)
                       : interpolate_of<A, N, W, 1>(work, begin);
    case 2:
      return spreading ? spread_of<A, N, W, 2>(work, begin)
                       : interpolate_of<A, N, W, 2>(work, begin);
    default:
      return spreading ? spread_of<A, N, W, 3>(work, begin)
                       : interpolate_of<A, N, W, 3>(work, begin);
  }
}

template <class A>
constexpr int vectors_of_widest = widest_window / A::lanes;

/// SIMD vectors of a row that are worked on together. Each number of them is code of its own: of
/// 128 bits on x86-64, for CPUs without AVX2, there are few.
constexpr int together_at_most = PAPILIO_X86_BITS == 128 ? 4 : 8;
template <class A>
constexpr int most_vectors =
    vectors_of_widest<A> < together_at_most ? vectors_of_widest<A> : together_at_most;

template <class A, int N, bool spreading>
void windows_of(const WindowArguments& work, int64_t begin, int64_t vectors) {
  if constexpr (N > 1)
    if (vectors < N) return windows_of<A, N - 1, spreading>(work, begin, vectors);
  // Those of all weights, of which these may be a part.
  constexpr int all = widest_window / A::V::lanes, own = (N + A::parts - 1) / A::parts;
  constexpr bool whole = most_vectors<A> == vectors_of_widest<A>;
  windows_in<A, N, whole ? own : all, spreading>(work, begin);
}

template <class A, bool spreading>
void windows(const WindowArguments& work) {
  constexpr int most = most_vectors<A>;
  const int64_t vectors = (work.width + A::lanes - 1) / A::lanes;
  for (int64_t begin = 0; begin < vectors; begin += most)
    windows_of<A, most, spreading>(work, begin, vectors - begin < most ? vectors - begin : most);
}

/// The cells of one point on the whole grid, and their weights: w per dimension, 1 where there is
/// none.
template <class T>
struct PointCells {
  T weights[3][widest_window];
  int64_t places[3][widest_window];
  int64_t counts[3];

  PAPILIO_INLINE PointCells(const WindowArguments& work, int64_t point) {
    const int64_t missing = 3 - work.dimensions;
    for (int64_t d = 0; d < 3; ++d) {
      if (d < missing) {
        counts[d] = 1;
        weights[d][0] = 1;
        places[d][0] = 0;
        continue;
      }
      const int64_t place = point * work.dimensions + d - missing;
      counts[d] = work.width;
      store_window<T, widest_window / batch<T>::lanes>(
          static_cast<const T*>(work.polynomials), work.degree,
          static_cast<const T*>(work.offsets)[place], weights[d]);
      int64_t cell = work.cells[place];
      for (int64_t j = 0; j < work.width; ++j) {
        places[d][j] = cell * work.pitch[d];
        if (++cell == work.size[d]) cell = 0;
      }
    }
  }

  /// Calls cell(its scalars, its weight) for all cells.
  template <class Cell>
  PAPILIO_INLINE void for_cells(Cell cell) const {
    for (int64_t i = 0; i < counts[0]; ++i)
      for (int64_t j = 0; j < counts[1]; ++j) {
        const T weight = weights[0][i] * weights[1][j];
        const int64_t row = places[0][i] + places[1][j];
        for (int64_t k = 0; k < counts[2]; ++k) cell(row + places[2][k], weight * weights[2][k]);
      }
  }
};

/// N SIMD vectors of each cell, from vector number u on.
template <class T, int N, bool spreading>
PAPILIO_INLINE void columns_of(const PointCells<T>& cells, T* grid, T* value) {
  typedef batch<T> V;
  V sum[N];
  PAPILIO_UNROLL
  for (int v = 0; v < N; ++v)
    sum[v] = spreading ? V::load(value + v * V::lanes) : V{typename V::native{}};
  cells.for_cells([&](int64_t place, T weight) {
    T* at = grid + place;
    const V factor = V::broadcast(weight);
    PAPILIO_UNROLL
    for (int v = 0; v < N; ++v) {
      const V old = V::load(at + v * V::lanes);
      if constexpr (spreading)
        multiply_add(factor, sum[v], old).store(at + v * V::lanes);
      else
        sum[v] = multiply_add(factor, old, sum[v]);
    }
  });
  if constexpr (!spreading) {
    PAPILIO_UNROLL
    for (int v = 0; v < N; ++v) sum[v].store(value + v * V::lanes);
  }
}

/// Lanes along the batch: cells and values are `count` SIMD vectors each, on the whole grid.
template <class T, bool spreading>
void window_columns(const WindowArguments& work) {
  typedef batch<T> V;
  const int64_t scalars = work.count * V::lanes;
  for (int64_t point = work.first; point < work.last; ++point) {
    const PointCells<T> cells(work, point);
    T* grid = static_cast<T*>(work.tile);
    T* value = static_cast<T*>(work.values) + work.order[point] * scalars;
    int64_t left = work.count;
    for (; left >= 4; left -= 4, grid += 4 * V::lanes, value += 4 * V::lanes)
      columns_of<T, 4, spreading>(cells, grid, value);
    for (; left >= 2; left -= 2, grid += 2 * V::lanes, value += 2 * V::lanes)
      columns_of<T, 2, spreading>(cells, grid, value);
    if (left) columns_of<T, 1, spreading>(cells, grid, value);
  }
}

template <class T>
constexpr WindowKernels window_kernels(Real<T>) {
  return {windows<Real<T>, false>, windows<Real<T>, true>, window_columns<T, false>,
          window_columns<T, true>};
}
template <class T>
constexpr WindowKernels window_kernels(Complex<T>) {
  return {windows<Complex<T>, false>, windows<Complex<T>, true>, nullptr, nullptr};
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
