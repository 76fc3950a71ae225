// Kernels for sparse real matrices between butterflies, and for the two ways in which a tile holds
// complex numbers.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/lane_lookup.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Rows of K entries (K = 0: of work.length), lanes along the batch.
template <class T, int K>
void sparse_columns_of(const SparseArguments& work) {
  typedef batch<T> V;
  const T* values = static_cast<const T*>(work.values);
  const int64_t length = K ? K : work.length;
  const auto place = [](int64_t row, int64_t pair, int64_t half) {
    return (row >> 1) * pair + (row & 1) * half;
  };
  for (int64_t r = work.first; r < work.last; ++r) {
    const T* in = static_cast<const T*>(work.in);
    T* out = static_cast<T*>(work.out) + place(work.row + r, work.out_pair, work.out_half);
    const T* from[K ? K : 1];
    V weight[K ? K : 1];
    PAPILIO_UNROLL
    for (int k = 0; k < K; ++k) {
      from[k] = in + place(work.columns[k * work.rows + r], work.in_pair, work.in_half);
      weight[k] = V::broadcast(values[k * work.rows + r]);
    }
    const auto sum_of = [&](auto load, int64_t u) {
      V sum = {typename V::native{}};
      if constexpr (K > 0) {
        sum = weight[0] * load(from[0] + u * work.in_step);
        PAPILIO_UNROLL
        for (int k = 1; k < K; ++k)
          sum = multiply_add(weight[k], load(from[k] + u * work.in_step), sum);
      } else {
        for (int64_t k = 0; k < length; ++k) {
          const int64_t at = k * work.rows + r;
          const T* row = in + place(work.columns[at], work.in_pair, work.in_half);
          sum = multiply_add(V::broadcast(values[at]), load(row + u * work.in_step), sum);
        }
      }
      return sum;
    };
    const auto whole = [](const T* at) { return V::load(at); };
    for (int64_t u = 0; u < work.count; ++u) sum_of(whole, u).store(out + u * work.out_step);
    if (work.tail) {
      const auto part = [&](const T* at) {
        return work.in_part ? V::load_part(at, work.tail) : V::load(at);
      };
      const V sum = sum_of(part, work.count);
      T* at = out + work.count * work.out_step;
      work.out_part ? sum.store_part(at, work.tail) : sum.store(at);
    }
  }
}

/// Rows [first, last) of K entries applied to one contiguous vector.
template <class T, int K>
PAPILIO_INLINE void sparse_rows_of(const SparseArguments& work, const T* __restrict in,
                                   T* __restrict out, int64_t first, int64_t last) {
  const T* __restrict values = static_cast<const T*>(work.values);
  const int32_t* __restrict columns = work.columns;
  const int64_t rows = work.rows, length = work.length;
  for (int64_t r = first; r < last; ++r) {
    T sum = K ? values[r] * in[columns[r]] : 0;
    if constexpr (K > 0) {
      PAPILIO_UNROLL
      for (int k = 1; k < K; ++k)
        sum = multiply_add(values[k * rows + r], in[columns[k * rows + r]], sum);
    } else {
      for (int64_t k = 0; k < length; ++k)
        sum = multiply_add(values[k * rows + r], in[columns[k * rows + r]], sum);
    }
    out[r] = sum;
  }
}

/// The same applied to several, one after the other.
template <class T, int K>
PAPILIO_INLINE void sparse_rows(const SparseArguments& work, int64_t first, int64_t last) {
  if (first >= last) return;
  const T* in = static_cast<const T*>(work.in);
  T* out = static_cast<T*>(work.out) + work.row;
  for (int64_t v = 0; v < work.count; ++v, in += work.in_step, out += work.out_step)
    sparse_rows_of<T, K>(work, in, out, first, last);
}

/// Groups [first, last) of a stretch, with lanes along the rows.
template <class T, int K, bool wide, int... k>
PAPILIO_APART void sparse_groups(const SparseArguments& work, const SparseStretch& stretch,
                                 int64_t first, int64_t last, Numbers<k...>) {
  typedef batch<T> V;
  const T* __restrict values = static_cast<const T*>(work.values) + stretch.first;
  const LaneLookup<T> lookups[K] = {LaneLookup<T>(stretch.offsets + k * V::lanes)...};
  const int64_t rows = work.rows, last_row = stretch.last - stretch.first;
  for (int64_t v = 0; v < work.count; ++v) {
    const T* __restrict in = static_cast<const T*>(work.in) + v * work.in_step;
    T* __restrict out = static_cast<T*>(work.out) + v * work.out_step + work.row + stretch.first;
    for (int64_t g = first; g < last; ++g) {
      const int32_t* starts = stretch.starts + g * (wide ? 2 * K : K);
      const int64_t row = g * V::lanes < last_row ? g * V::lanes : last_row;
      const auto product = [&](int n, V sum) __attribute__((always_inline)) {
        const V w = V::load(values + n * rows + row);
        const V x = wide ? lookups[n].wide(in + starts[2 * n], in + starts[2 * n + 1])
                         : lookups[n].narrow(in + starts[n]);
        return n ? multiply_add(w, x, sum) : w * x;
      };
      V sum = {typename V::native{}};
      ((sum = product(k, sum)), ...);
      sum.store(out + row);
    }
  }
}

/// Rows of K entries applied to contiguous vectors. A row has the same bits in a stretch and
/// outside of it.
template <class T, int K>
void sparse_vectors_of(const SparseArguments& work) {
  int64_t row = work.first;
  if constexpr (K > 0) {
    constexpr int64_t L = batch<T>::lanes;
    for (int64_t n = 0; n < work.stretch_count; ++n) {
      const SparseStretch& stretch = work.stretches[n];
      // The groups that are ours as a whole.
      int64_t first = row <= stretch.first ? 0 : (row - stretch.first + L - 1) / L;
      int64_t last = (work.last - stretch.first) / L;
      // The last group starts earlier than others would: rows before `row` may be another thread's.
      if (first + 1 >= stretch.groups) first = stretch.groups - (row <= stretch.last);
      last = work.last >= stretch.last + L ? stretch.groups
             : last < stretch.groups       ? last
                                           : stretch.groups - 1;
      if (first >= last) continue;
      const auto row_of = [&](int64_t g) {
        return g + 1 < stretch.groups ? stretch.first + g * L : stretch.last;
      };
      sparse_rows<T, K>(work, row, row_of(first));
      const typename NumbersBelow<K>::type entries;
      stretch.wide ? sparse_groups<T, K, true>(work, stretch, first, last, entries)
                   : sparse_groups<T, K, false>(work, stretch, first, last, entries);
      row = row_of(last - 1) + L;
    }
  }
  sparse_rows<T, K>(work, row, work.last);
}

template <int K>
struct Length {
  static constexpr int value = K;
};

/// Calls with the length as a constant where rows are short, else with 0.
template <class Call>
PAPILIO_INLINE void with_length(int64_t length, Call call) {
  switch (length) {
    case 1:
      return call(Length<1>{});
    case 2:
      return call(Length<2>{});
    case 3:
      return call(Length<3>{});
    case 4:
      return call(Length<4>{});
    default:
      return call(Length<0>{});
  }
}

template <class T>
void sparse_columns(const SparseArguments& work) {
  with_length(work.length, [&](auto k) { sparse_columns_of<T, decltype(k)::value>(work); });
}

template <class T>
void sparse_vectors(const SparseArguments& work) {
  with_length(work.length, [&](auto k) { sparse_vectors_of<T, decltype(k)::value>(work); });
}

/// Parts the interleaved complex numbers of a tile, in place, or joins them again: in their own
/// order, since real rows may be mixed with them.
template <class T, bool join>
void part_tile(const TileArguments& work, void* tile) {
  typedef batch<T> V;
  constexpr int lanes = V::lanes;
  for (int64_t row = 0; row < work.rows; ++row) {
    T* at = static_cast<T*>(tile) + row * work.pitch;
    for (int64_t group = 0; group < work.groups; ++group, at += 2 * lanes) {
      const V first = V::load(at), second = V::load(at + lanes);
      if constexpr (join) {
        permute(first, second, [](int n) { return n / 2 + n % 2 * lanes; }).store(at);
        permute(first, second, [](int n) {
          return lanes / 2 + n / 2 + n % 2 * lanes;
        }).store(at + lanes);
      } else {
        permute(first, second, [](int n) { return 2 * n; }).store(at);
        permute(first, second, [](int n) { return 2 * n + 1; }).store(at + lanes);
      }
    }
  }
}

template <class T>
constexpr SparseKernels sparse_kernels(Real<T>) {
  return {sparse_columns<T>, sparse_vectors<T>, part_tile<T, false>, part_tile<T, true>};
}
template <class T>
constexpr SparseKernels sparse_kernels(Complex<T>) {
  return {nullptr, nullptr, nullptr, nullptr};
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
