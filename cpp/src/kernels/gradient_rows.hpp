// Factors and their gradients with SIMD lanes along each vector: no sums across lanes, none of them
// empty for a single vector, weights and gradients as they lie in memory where lanes run along l.
#pragma once

#include "kernels/gradient_kernels.hpp"
#include "kernels/gradient_lines.hpp"

namespace papilio {
namespace kernels {
namespace {

template <class T, bool is_complex>
struct RowsStage {
  typedef Lane<T, is_complex> L;
  typedef batch<T> V;
  typedef GradientRowsStage Arguments;
  static constexpr int parts = L::parts, lanes = V::lanes, numbers = parts * lanes;
  // Lines and SIMD vectors of a product, and gradients of a block, that are in registers together.
  static constexpr int height = 4, width = is_complex ? 1 : 3;
  static constexpr int tile_rows = is_complex ? 2 : 4, tile_columns = is_complex ? 2 : 3;

  PAPILIO_INLINE static L load(const T* from) { return L::load(from, lanes); }
  /// For several multiply-adds.
  PAPILIO_INLINE static L load_for_all(const T* from) {
    L x = load(from);
    load_once(x.re);
    if (is_complex) load_once(x.im);
    return x;
  }

  /// The lines of a block: so many numbers each, so many from one to the next.
  struct Lines {
    int64_t length, step;
  };
  /// Numbers from a row of weights to the next one, and from a column to the next one.
  struct Weights {
    const T* first;
    int64_t row, column;
    PAPILIO_INLINE Weights from_row(int64_t j) const { return {first + j * row, row, column}; }
  };

  // ---------------------------------------------------------------- blocks of any size

  /// J rows of W x for U vectors of the batch; of what W's conjugate gives if `conjugate`.
  template <int J, int U, bool conjugate>
  PAPILIO_INLINE static void multiply_rows(Weights w, int64_t columns, const T* in, T* out,
                                           int64_t step) {
    L sum[J][U];
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) sum[j][u] = L::zero();
    }
    for (int64_t k = 0; k < columns; ++k, in += step, w.first += w.column) {
      L x[U];
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) x[u] = load(in + u * numbers);
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) {
        const L factor = load_for_all(w.first + j * w.row);
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u)
          sum[j][u] =
              conjugate ? sum[j][u].plus_outer(x[u], factor) : sum[j][u].plus_product(factor, x[u]);
      }
    }
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) sum[j][u].store(out + j * step + u * numbers, lanes);
    }
  }

  template <int J, bool conjugate>
  static void multiply_batch(Weights w, int64_t columns, const T* in, T* out, Lines lines) {
    int64_t n = 0;
    for (; n + width * numbers <= lines.length; n += width * numbers)
      multiply_rows<J, width, conjugate>(w, columns, in + n, out + n, lines.step);
    if (width > 1 && n + 2 * numbers <= lines.length) {
      multiply_rows<J, 2, conjugate>(w, columns, in + n, out + n, lines.step);
      n += 2 * numbers;
    }
    if (width > 1 && n < lines.length)
      multiply_rows<J, 1, conjugate>(w, columns, in + n, out + n, lines.step);
  }

  /// In parts of the batch whose lines of x stay in the L1 cache while W passes by.
  template <bool conjugate>
  static void multiply(Weights w, int64_t rows, int64_t columns, const T* in, T* out, Lines lines) {
    constexpr int64_t kept = 16 << 10, bytes = numbers * sizeof(T);
    const int64_t vectors = lines.length / numbers;
    const int64_t shares = (vectors * columns * bytes + kept - 1) / kept;
    const int64_t share = (vectors + shares - 1) / shares, least = 2 * width;
    const int64_t each = (share > least ? share : least) * numbers;
    for (int64_t n = 0; n < lines.length; n += each) {
      const Lines part = {n + each < lines.length ? each : lines.length - n, lines.step};
      multiply_part<conjugate>(w, rows, columns, in + n, out + n, part);
    }
  }

  template <bool conjugate>
  static void multiply_part(Weights w, int64_t rows, int64_t columns, const T* in, T* out,
                            Lines lines) {
    int64_t j = 0;
    for (; j + height <= rows; j += height)
      multiply_batch<height, conjugate>(w.from_row(j), columns, in, out + j * lines.step, lines);
    for (; j + 2 <= rows; j += 2)
      multiply_batch<2, conjugate>(w.from_row(j), columns, in, out + j * lines.step, lines);
    if (j < rows)
      multiply_batch<1, conjugate>(w.from_row(j), columns, in, out + j * lines.step, lines);
  }

  /// The gradient of a block.
  static void outer(const Arguments& s, const T* g, const T* x, T* to, Lines lines) {
    for (int64_t j = 0; j < s.b; j += tile_rows)
      for (int64_t k = 0; k < s.c; k += tile_columns)
        outer_tile(s, g + j * lines.step, x + k * lines.step, s.b - j, s.c - k,
                   to + j * s.gradient_steps[1] + k * s.gradient_steps[2], lines);
  }

  static void outer_tile(const Arguments& s, const T* g, const T* x, int64_t rows, int64_t columns,
                         T* to, Lines lines) {
    const T *left[tile_rows], *right[tile_columns];
    L sum[tile_rows][tile_columns];
    // What is beyond the block is computed like its last row or column and left out.
    PAPILIO_UNROLL
    for (int j = 0; j < tile_rows; ++j) left[j] = g + (j < rows ? j : rows - 1) * lines.step;
    PAPILIO_UNROLL
    for (int k = 0; k < tile_columns; ++k)
      right[k] = x + (k < columns ? k : columns - 1) * lines.step;
    PAPILIO_UNROLL
    for (int j = 0; j < tile_rows; ++j) {
      PAPILIO_UNROLL
      for (int k = 0; k < tile_columns; ++k) sum[j][k] = L::zero();
    }
    for (int64_t n = 0; n < lines.length; n += numbers) {
      L taken[tile_columns];
      PAPILIO_UNROLL
      for (int k = 0; k < tile_columns; ++k) taken[k] = load(right[k] + n);
      PAPILIO_UNROLL
      for (int j = 0; j < tile_rows; ++j) {
        const L given = load_for_all(left[j] + n);
        PAPILIO_UNROLL
        for (int k = 0; k < tile_columns; ++k) sum[j][k] = sum[j][k].plus_outer(given, taken[k]);
      }
    }
    PAPILIO_UNROLL
    for (int j = 0; j < tile_rows; ++j) {
      PAPILIO_UNROLL
      for (int k = 0; k < tile_columns; ++k)
        if (j < rows && k < columns)
          put(sum[j][k], to + j * s.gradient_steps[1] + k * s.gradient_steps[2], s.adds);
    }
  }

  PAPILIO_INLINE static void put(L sum, T* to, bool adds) {
    if (adds) {
      const L before = load(to);
      sum.re = before.re + sum.re;
      if (is_complex) sum.im = before.im + sum.im;
    }
    sum.store(to, lanes);
  }

  // ---------------------------------------------------------------- blocks of 2 x 2

  struct Square {
    L w[4];
    PAPILIO_INLINE explicit Square(Weights from) {
      PAPILIO_UNROLL
      for (int n = 0; n < 4; ++n) w[n] = load(from.first + n / 2 * from.row + n % 2 * from.column);
    }
  };

  PAPILIO_INLINE static void forward_square(const Square& block, const T* in, T* out, Lines lines) {
    for (int64_t n = 0; n < lines.length; n += numbers) {
      const L x = load(in + n), y = load(in + lines.step + n);
      PAPILIO_UNROLL
      for (int j = 0; j < 2; ++j)
        L::zero()
            .plus_product(block.w[2 * j], x)
            .plus_product(block.w[2 * j + 1], y)
            .store(out + j * lines.step + n, lanes);
    }
  }

  /// `back` may be g itself.
  PAPILIO_INLINE static void backward_square(const Square& block, const T* in, const T* g, T* back,
                                             L (&sum)[4], Lines lines) {
    for (int64_t n = 0; n < lines.length; n += numbers) {
      const L x[2] = {load(in + n), load(in + lines.step + n)};
      const L y[2] = {load(g + n), load(g + lines.step + n)};
      PAPILIO_UNROLL
      for (int e = 0; e < 4; ++e) sum[e] = sum[e].plus_outer(y[e / 2], x[e % 2]);
      PAPILIO_UNROLL
      for (int k = 0; k < 2; ++k)
        L::zero()
            .plus_outer(y[0], block.w[k])
            .plus_outer(y[1], block.w[2 + k])
            .store(back + k * lines.step + n, lanes);
    }
  }

  static void forward_squares(const Arguments& s) {
    const int64_t line = s.count * numbers, d = s.d, step = s.steps[3];
    const Lines lines = {line, d * line};
    const T* in = static_cast<const T*>(s.in);
    T* out = static_cast<T*>(s.out);
    for (int64_t i = 0; i < s.a; ++i, in += lines.step, out += lines.step) {
      Weights w = weights_of(s, i, 0);
      for (int64_t l = 0; l < d; ++l, w.first += step, in += line, out += line)
        forward_square(Square(w), in, out, lines);
    }
  }

  template <bool adds>
  static void backward_squares(const Arguments& s) {
    const int64_t line = s.count * numbers, d = s.d, step = s.steps[3];
    const int64_t row = s.gradient_steps[1], column = s.gradient_steps[2];
    const int64_t next = s.gradient_steps[3];
    const Lines lines = {line, d * line};
    const T *in = static_cast<const T*>(s.in), *g = static_cast<const T*>(s.out_gradient);
    T* back = static_cast<T*>(s.in_gradient);
    for (int64_t i = 0; i < s.a; ++i, in += lines.step, g += lines.step, back += lines.step) {
      Weights w = weights_of(s, i, 0);
      T* to = static_cast<T*>(s.gradient) + i * s.gradient_steps[0];
      for (int64_t l = 0; l < d; ++l, w.first += step, to += next) {
        L sum[4] = {L::zero(), L::zero(), L::zero(), L::zero()};
        backward_square(Square(w), in, g, back, sum, lines);
        PAPILIO_UNROLL
        for (int e = 0; e < 4; ++e) put(sum[e], to + e / 2 * row + e % 2 * column, adds);
        in += line;
        g += line;
        back += line;
      }
    }
  }

  // ---------------------------------------------------------------- factors

  static Weights weights_of(const Arguments& s, int64_t i, int64_t l) {
    return {static_cast<const T*>(s.weights) + i * s.steps[0] + l * s.steps[3], s.steps[1],
            s.steps[2]};
  }
  static bool is_square(const Arguments& s) { return s.b == 2 && s.c == 2; }

  static void forward(const Arguments& s) {
    if (is_square(s)) return forward_squares(s);
    const int64_t line = s.count * numbers;
    const Lines lines = {line, s.d * line};
    for (int64_t i = 0; i < s.a; ++i)
      for (int64_t l = 0; l < s.d; ++l)
        multiply<false>(weights_of(s, i, l), s.b, s.c,
                        static_cast<const T*>(s.in) + i * s.c * lines.step + l * line,
                        static_cast<T*>(s.out) + i * s.b * lines.step + l * line, lines);
  }

  static void backward(const Arguments& s) {
    if (is_square(s)) return s.adds ? backward_squares<true>(s) : backward_squares<false>(s);
    const int64_t line = s.count * numbers;
    const Lines lines = {line, s.d * line};
    for (int64_t i = 0; i < s.a; ++i)
      for (int64_t l = 0; l < s.d; ++l) {
        const int64_t columns = i * s.c * lines.step + l * line;
        const T* g = static_cast<const T*>(s.out_gradient) + i * s.b * lines.step + l * line;
        T* to = static_cast<T*>(s.gradient) + i * s.gradient_steps[0] + l * s.gradient_steps[3];
        outer(s, g, static_cast<const T*>(s.in) + columns, to, lines);
        const Weights w = weights_of(s, i, l);
        if (s.in_gradient_wanted)
          multiply<is_complex>({w.first, w.column, w.row}, s.c, s.b, g,
                               static_cast<T*>(s.in_gradient) + columns, lines);
      }
  }

  // ---------------------------------------------------------------- vectors in memory

  // Vectors that are moved side by side: they fill a cache line. More of them would lie in the same
  // sets of L1, far apart by a power of two as vectors often are.
  static constexpr int line_bytes = 64, group_bytes = numbers * sizeof(T);
  static constexpr int64_t group = group_bytes < line_bytes ? line_bytes / group_bytes : 1;

  /// `lanes` numbers that follow each other in memory.
  PAPILIO_INLINE static L read(const T* from) {
    if (!is_complex) return {V::load(from), V{}};
    const V low = V::load(from), high = V::load(from + lanes);
    return {permute(low, high, [](int n) { return 2 * n; }),
            permute(low, high, [](int n) { return 2 * n + 1; })};
  }
  PAPILIO_INLINE static void write(L x, T* to) {
    if (!is_complex) return x.re.store(to);
    permute(x.re, x.im, [](int n) { return n / 2 + n % 2 * lanes; }).store(to);
    permute(x.re, x.im, [](int n) { return (n + lanes) / 2 + n % 2 * lanes; }).store(to + lanes);
  }
  PAPILIO_INLINE static void transpose(V (&re)[lanes], V (&im)[lanes]) {
    Transpose<Real<T>, lanes / 2>::run(re);
    if (is_complex) Transpose<Real<T>, lanes / 2>::run(im);
  }
  /// lanes lines that are so many numbers apart, transposed.
  template <class From, class To>
  PAPILIO_INLINE static void move_square(const From& from, const To& to) {
    V re[lanes], im[lanes];
    PAPILIO_UNROLL
    for (int h = 0; h < lanes; ++h) {
      const L x = from(h);
      re[h] = x.re;
      im[h] = x.im;
    }
    transpose(re, im);
    PAPILIO_UNROLL
    for (int q = 0; q < lanes; ++q) to(q, L{re[q], im[q]});
  }

  /// What is moved by whole SIMD vectors: lines of all vectors if these lie in memory one after the
  /// other, of vectors that lie side by side some in all lines.
  struct Moved {
    int64_t lines, vectors;

    Moved(const GradientVectors& v, const GradientOrder& order) : lines(0), vectors(0) {
      if (v.index) return;
      if (v.stride == 1) lines = order.lane_step == 1 ? order.lines : order.lines / lanes * lanes;
      if (v.stride != 1 && v.together) vectors = v.count / lanes * lanes;
    }
  };

  static void load_vectors(const GradientVectors& v, const GradientOrder& order, const void* memory,
                           void* lines) {
    const Moved moved(v, order);
    const T* const from = static_cast<const T*>(memory);
    T* const to = static_cast<T*>(lines);
    // Short stretches of many vectors are nothing that caches foresee. A request needn't be in the
    // array: nothing is read.
    const int64_t ahead = v.count > group ? (v.offsets[group] - v.offsets[0]) * parts : 0;
    const auto ask = [&](int64_t at) {
      prefetch(reinterpret_cast<const char*>(from + at + ahead));
    };
    for_squares(v, order, moved, [&](int64_t at, int64_t step, int64_t place, int64_t next) {
      PAPILIO_UNROLL
      for (int h = 0; h < lanes; ++h) ask(at + h * step);
      move_square([&](int h) { return read(from + at + h * step); },
                  [&](int r, L x) { x.store(to + place + r * next, lanes); });
    });
    if (order.lane_step == 1)
      for_lines(v, moved, [&](int64_t at, int64_t place) {
        ask(at);
        read(from + at).store(to + place, lanes);
      });
    for (int64_t n = v.count; n < v.pitch / parts; ++n)
      for (int64_t q = 0; q < order.lines; ++q)
        L::zero().store(to + q * v.pitch * lanes + n * numbers, lanes);
    for_numbers(v, order, moved, [&](int64_t at, int64_t place) {
      to[place] = from[at];
      if (is_complex) to[place + lanes] = from[at + 1];
    });
  }

  static void store_vectors(const GradientVectors& v, const GradientOrder& order, const void* lines,
                            void* memory) {
    const Moved moved(v, order);
    const T* const from = static_cast<const T*>(lines);
    T* const to = static_cast<T*>(memory);
    for_squares(v, order, moved, [&](int64_t at, int64_t step, int64_t place, int64_t next) {
      move_square([&](int r) { return load(from + place + r * next); },
                  [&](int h, L x) { write(x, to + at + h * step); });
    });
    if (order.lane_step == 1)
      for_lines(v, moved, [&](int64_t at, int64_t place) { write(load(from + place), to + at); });
    for_numbers(v, order, moved, [&](int64_t at, int64_t place) {
      to[at] = from[place];
      if (is_complex) to[at + 1] = from[place + lanes];
    });
  }

  /// Calls move(place in memory, step there, place in the lines, step there) for squares of lanes
  /// that are moved by SIMD vectors and transposed.
  template <class Move>
  PAPILIO_INLINE static void for_squares(const GradientVectors& v, const GradientOrder& order,
                                         const Moved& moved, const Move& move) {
    const int64_t line = v.pitch * lanes, line_step = order.lane_step == 1 ? lanes : 1;
    if (moved.vectors > 0)
      for (int64_t q = 0; q < order.lines; ++q)
        for (int64_t n = 0; n < moved.vectors; n += lanes)
          move((q * line_step * v.stride + v.offsets[n]) * parts,
               order.lane_step * v.stride * parts, q * line + n * numbers, numbers);
    if (order.lane_step != 1)
      for_groups(v.count, moved.lines / lanes, [&](int64_t n, int64_t square) {
        const int64_t q = square * lanes;
        move((q + v.offsets[n]) * parts, order.lane_step * parts, q * line + n * numbers, line);
      });
  }

  /// Calls move(place in memory, place in the lines) for numbers that follow each other in both.
  template <class Move>
  PAPILIO_INLINE static void for_lines(const GradientVectors& v, const Moved& moved,
                                       const Move& move) {
    for_groups(v.count, moved.lines, [&](int64_t n, int64_t q) {
      move(v.offsets[n] * parts + q * numbers, q * v.pitch * lanes + n * numbers);
    });
  }

  /// Calls body(vector, step) for all of both, some vectors after the other at each step: they lie
  /// side by side in the lines.
  template <class Body>
  PAPILIO_INLINE static void for_groups(int64_t vectors, int64_t steps, const Body& body) {
    for (int64_t n = 0; n < vectors; n += group)
      for (int64_t q = 0; q < steps; ++q)
        for (int64_t m = n; m < n + group && m < vectors; ++m) body(m, q);
  }

  /// Calls move(place in memory, place in the lines) for each of the other numbers.
  template <class Move>
  PAPILIO_INLINE static void for_numbers(const GradientVectors& v, const GradientOrder& order,
                                         const Moved& moved, const Move& move) {
    const auto of_row = [&](int64_t row, int64_t q, int64_t h) {
      for (int64_t n = moved.vectors; n < v.count; ++n)
        move((row * v.stride + v.offsets[n]) * parts, q * v.pitch * lanes + n * numbers + h);
    };
    if (v.index) {
      for (int64_t row = 0; row < order.lines * lanes; ++row) {
        const int64_t number = v.index[row];
        if (order.lane_step == 1)
          of_row(row, number / lanes, number % lanes);
        else
          of_row(row, number % order.lines, number / order.lines);
      }
      return;
    }
    const int64_t line_step = order.lane_step == 1 ? lanes : 1;
    for (int64_t q = moved.lines; q < order.lines; ++q)
      for (int64_t h = 0; h < lanes; ++h) of_row(q * line_step + h * order.lane_step, q, h);
  }

  /// Between the two orders, either way: of lines whose number is a multiple of lanes.
  static void exchange(const GradientOrder& order, int64_t count, const void* from, void* to) {
    const int64_t line = count * numbers, squares = order.lines / lanes;
    const bool high = order.lane_step != 1;
    for (int64_t q = 0; q < squares; ++q)
      for (int64_t n = 0; n < count; ++n) {
        const int64_t low = (q * count + n) * numbers, apart = squares * line;
        const int64_t across = (q * lanes * count + n) * numbers;
        const T* in = static_cast<const T*>(from) + (high ? low : across);
        T* out = static_cast<T*>(to) + (high ? across : low);
        const int64_t in_step = high ? apart : line, out_step = high ? line : apart;
        move_square([&](int h) { return load(in + h * in_step); },
                    [&](int h, L x) { x.store(out + h * out_step, lanes); });
      }
  }

  static constexpr GradientRowsKernels kernels() {
    return {forward, backward, load_vectors, store_vectors, exchange};
  }
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
