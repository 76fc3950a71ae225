// The kernels of gradients, compiled once per instruction set as the others are; the object exports
// its table and nothing else and includes C headers only.
#include "kernels/gradient_kernels.hpp"

#include "kernels/gradient_lines.hpp"
#include "kernels/gradient_rows.hpp"
#include "kernels/lane_sums.hpp"

namespace papilio {
namespace kernels {
namespace {

/// `rows` lines that are a number of lines apart, from the first one.
template <class T>
struct Rows {
  T* first;
  int64_t step;
  PAPILIO_INLINE T* operator[](int64_t n) const { return first + n * step; }
};

template <class T, bool is_complex>
struct Stage {
  typedef Lane<T, is_complex> L;
  typedef batch<T> V;
  static constexpr int parts = L::parts, lanes = V::lanes;
  static constexpr int tile = lanes > 8 ? lanes : 8;
  static constexpr int tile_rows = 4, tile_columns = tile / tile_rows;
  // Lines and SIMD vectors of a product that are in registers together.
  static constexpr int height = registers > 16 ? 8 : 4, width = is_complex ? 1 : 2;

  /// Rows [row, row + J) of W x for U SIMD vectors, W's entries being so many numbers apart.
  template <int J, int U, bool conjugate>
  PAPILIO_INLINE static void multiply_rows(const T* w, int64_t row_step, int64_t column_step,
                                           int64_t columns, Rows<const T> in, Rows<T> out,
                                           int64_t half) {
    L sum[J][U];
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) sum[j][u] = L::zero();
    }
    for (int64_t k = 0; k < columns; ++k) {
      L x[U];
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) x[u] = L::load(in[k] + u * lanes, half);
      PAPILIO_UNROLL
      for (int j = 0; j < J; ++j) {
        const L factor = L::weight(w + j * row_step + k * column_step, conjugate);
        PAPILIO_UNROLL
        for (int u = 0; u < U; ++u) sum[j][u] = sum[j][u].plus_product(factor, x[u]);
      }
    }
    PAPILIO_UNROLL
    for (int j = 0; j < J; ++j) {
      PAPILIO_UNROLL
      for (int u = 0; u < U; ++u) sum[j][u].store(out[j] + u * lanes, half);
    }
  }

  template <int U, bool conjugate>
  PAPILIO_INLINE static void multiply_vectors(const T* w, int64_t row_step, int64_t column_step,
                                              int64_t rows, int64_t columns, Rows<const T> in,
                                              Rows<T> out, int64_t half) {
    int64_t row = 0;
    for (; row + height <= rows; row += height)
      multiply_rows<height, U, conjugate>(w + row * row_step, row_step, column_step, columns, in,
                                          {out[row], out.step}, half);
    for (; row + 2 <= rows; row += 2)
      multiply_rows<2, U, conjugate>(w + row * row_step, row_step, column_step, columns, in,
                                     {out[row], out.step}, half);
    if (row < rows)
      multiply_rows<1, U, conjugate>(w + row * row_step, row_step, column_step, columns, in,
                                     {out[row], out.step}, half);
  }

  /// A block: out = W in, or with `conjugate` what that matrix's conjugate gives.
  template <bool conjugate>
  static void multiply(const T* w, int64_t row_step, int64_t column_step, int64_t rows,
                       int64_t columns, Rows<const T> in, Rows<T> out, int64_t half) {
    int64_t n = 0;
    for (; n + width * lanes <= half; n += width * lanes)
      multiply_vectors<width, conjugate>(w, row_step, column_step, rows, columns,
                                         {in.first + n, in.step}, {out.first + n, out.step}, half);
    for (; n < half; n += lanes)
      multiply_vectors<1, conjugate>(w, row_step, column_step, rows, columns,
                                     {in.first + n, in.step}, {out.first + n, out.step}, half);
  }

  /// Adds the sums over the lanes.
  PAPILIO_INLINE static void add_lane_sums(V* sums, T* to) {
    PAPILIO_UNROLL
    for (int n = 0; n < tile; n += lanes)
      (V::load(to + n) + LaneSums<V>::of(sums + n)).store(to + n);
  }

  /// The gradient of a block.
  static void outer(int64_t b, int64_t c, Rows<const T> g, Rows<const T> x, int64_t half, T* to) {
    for (int64_t j = 0; j < b; j += tile_rows) {
      const T* left[tile_rows];
      for (int r = 0; r < tile_rows; ++r) left[r] = g[j + r < b ? j + r : b - 1];
      for (int64_t k = 0; k < c; k += tile_columns, to += parts * tile) {
        const T* right[tile_columns];
        for (int r = 0; r < tile_columns; ++r) right[r] = x[k + r < c ? k + r : c - 1];
        V re[tile], im[is_complex ? tile : 1];
        PAPILIO_UNROLL
        for (int n = 0; n < tile; ++n) {
          re[n] = V{};
          if (is_complex) im[n] = V{};
        }
        for (int64_t n = 0; n < half; n += lanes) add_outer(left, right, n, half, re, im);
        add_lane_sums(re, to);
        if (is_complex) add_lane_sums(im, to + tile);
      }
    }
  }

  PAPILIO_INLINE static void add_outer(const T* const* left, const T* const* right, int64_t n,
                                       int64_t half, V* re, V* im) {
    L x[tile_columns];
    PAPILIO_UNROLL
    for (int k = 0; k < tile_columns; ++k) x[k] = L::load(right[k] + n, half);
    PAPILIO_UNROLL
    for (int j = 0; j < tile_rows; ++j) {
      const L g = L::load(left[j] + n, half);
      PAPILIO_UNROLL
      for (int k = 0; k < tile_columns; ++k) {
        const int e = j * tile_columns + k;
        const L sum = L{re[e], is_complex ? im[e] : V{}}.plus_outer(g, x[k]);
        re[e] = sum.re;
        if (is_complex) im[e] = sum.im;
      }
    }
  }

  // ---------------------------------------------------------------- blocks of 2 x 2

  struct Square {
    L w[4];
    PAPILIO_INLINE explicit Square(const T* weights) {
      PAPILIO_UNROLL
      for (int n = 0; n < 4; ++n) w[n] = L::weight(weights + n * parts, false);
    }
  };

  static void forward_squares(const GradientStage& stage) {
    const int64_t half = stage.pitch / parts, next = stage.d * stage.pitch;
    const T* w = static_cast<const T*>(stage.weights);
    const T* in = static_cast<const T*>(stage.in);
    T* out = static_cast<T*>(stage.out);
    for (int64_t i = 0; i < stage.a; ++i, in += next, out += next) {
      for (int64_t l = 0; l < stage.d; ++l, w += 4 * parts, in += stage.pitch, out += stage.pitch) {
        const Square block(w);
        for (int64_t n = 0; n < half; n += lanes) {
          const L x = L::load(in + n, half), y = L::load(in + next + n, half);
          L::zero().plus_product(block.w[0], x).plus_product(block.w[1], y).store(out + n, half);
          L::zero()
              .plus_product(block.w[2], x)
              .plus_product(block.w[3], y)
              .store(out + next + n, half);
        }
      }
    }
  }

  /// W^H of a block times a pair of lines.
  PAPILIO_INLINE static void pull_back(const Square& block, L g, L h, T* to, int64_t next,
                                       int64_t half) {
    PAPILIO_UNROLL
    for (int k = 0; k < 2; ++k) {
      // conj(w) g = g conj(w), an outer product.
      L sum = L::zero().plus_outer(g, block.w[k]).plus_outer(h, block.w[2 + k]);
      sum.store(to + k * next, half);
    }
  }

  template <bool wanted>
  static void backward_squares(const GradientStage& stage) {
    constexpr int together = tile / 4;
    const int64_t half = stage.pitch / parts, next = stage.d * stage.pitch;
    const int64_t blocks = stage.a * stage.d;
    const T* w = static_cast<const T*>(stage.weights);
    T* to = static_cast<T*>(stage.gradient);
    int64_t line = 0, l = 0;
    for (int64_t block = 0; block < blocks; block += together, to += parts * tile) {
      V re[tile], im[is_complex ? tile : 1];
      for (int q = 0; q < together; ++q) {
        L sum[4] = {L::zero(), L::zero(), L::zero(), L::zero()};
        if (block + q < blocks) {
          const Square square(w);
          const T* x = static_cast<const T*>(stage.in) + line;
          const T* g = static_cast<const T*>(stage.out_gradient) + line;
          T* gx = static_cast<T*>(stage.in_gradient) + (wanted ? line : 0);
          for (int64_t n = 0; n < half; n += lanes) {
            const L x0 = L::load(x + n, half), x1 = L::load(x + next + n, half);
            const L g0 = L::load(g + n, half), g1 = L::load(g + next + n, half);
            sum[0] = sum[0].plus_outer(g0, x0);
            sum[1] = sum[1].plus_outer(g0, x1);
            sum[2] = sum[2].plus_outer(g1, x0);
            sum[3] = sum[3].plus_outer(g1, x1);
            if (wanted) pull_back(square, g0, g1, gx + n, next, half);
          }
          w += 4 * parts;
          line += stage.pitch;
          if (++l == stage.d) {
            l = 0;
            line += next;
          }
        }
        PAPILIO_UNROLL
        for (int n = 0; n < 4; ++n) {
          re[4 * q + n] = sum[n].re;
          if (is_complex) im[4 * q + n] = sum[n].im;
        }
      }
      add_lane_sums(re, to);
      if (is_complex) add_lane_sums(im, to + tile);
    }
  }

  // ---------------------------------------------------------------- factors

  static void forward(const GradientStage& stage) {
    if (stage.b == 2 && stage.c == 2) return forward_squares(stage);
    const T* w = static_cast<const T*>(stage.weights);
    const int64_t half = stage.pitch / parts, step = stage.d * stage.pitch;
    for (int64_t i = 0; i < stage.a; ++i)
      for (int64_t l = 0; l < stage.d; ++l, w += parts * stage.b * stage.c) {
        const T* in = static_cast<const T*>(stage.in) + i * stage.c * step + l * stage.pitch;
        T* out = static_cast<T*>(stage.out) + i * stage.b * step + l * stage.pitch;
        multiply<false>(w, parts * stage.c, parts, stage.b, stage.c, {in, step}, {out, step}, half);
      }
  }

  static void backward(const GradientStage& stage) {
    if (stage.b == 2 && stage.c == 2)
      return stage.in_gradient ? backward_squares<true>(stage) : backward_squares<false>(stage);
    const T* w = static_cast<const T*>(stage.weights);
    T* to = static_cast<T*>(stage.gradient);
    const int64_t half = stage.pitch / parts, step = stage.d * stage.pitch;
    const int64_t tiles =
        ((stage.b + tile_rows - 1) / tile_rows) * ((stage.c + tile_columns - 1) / tile_columns);
    for (int64_t i = 0; i < stage.a; ++i)
      for (int64_t l = 0; l < stage.d; ++l, w += parts * stage.b * stage.c) {
        const int64_t columns = i * stage.c * step + l * stage.pitch;
        const T* in = static_cast<const T*>(stage.in) + columns;
        const T* g =
            static_cast<const T*>(stage.out_gradient) + i * stage.b * step + l * stage.pitch;
        outer(stage.b, stage.c, {g, step}, {in, step}, half, to);
        to += tiles * parts * tile;
        if (stage.in_gradient)
          multiply<true>(w, parts, parts * stage.c, stage.c, stage.b, {g, step},
                         {static_cast<T*>(stage.in_gradient) + columns, step}, half);
      }
  }

  // ---------------------------------------------------------------- vectors in memory

  PAPILIO_INLINE static void load_number(const T* from, T* line, int64_t half) {
    line[0] = from[0];
    if (is_complex) line[half] = from[1];
  }
  PAPILIO_INLINE static void store_number(const T* line, int64_t half, T* to) {
    to[0] = line[0];
    if (is_complex) to[1] = line[half];
  }

  static void load(const GradientVectors& v, const void* memory, void* lines) {
    const T* from = static_cast<const T*>(memory);
    const int64_t half = v.pitch / parts;
    int64_t row = 0;
    if (!is_complex && v.stride == 1 && !v.together)
      for (; row + lanes <= v.rows; row += lanes) load_transposed(v, from, row, lines);
    for (; row < v.rows; ++row) {
      T* line = static_cast<T*>(lines) + (v.index ? v.index[row] : row) * v.pitch;
      const T* at = from + row * v.stride * parts;
      if (!is_complex && v.together)
        memcpy(line, at + v.offsets[0], v.count * sizeof(T));
      else
        for (int64_t n = 0; n < v.count; ++n)
          load_number(at + v.offsets[n] * parts, line + n, half);
      for (int64_t n = v.count; n < half; ++n) {
        line[n] = 0;
        if (is_complex) line[half + n] = 0;
      }
    }
  }

  /// So many rows as a SIMD vector has lanes, which follow each other in memory.
  static void load_transposed(const GradientVectors& v, const T* from, int64_t row, void* lines) {
    for (int64_t n = 0; n < v.pitch; n += lanes) {
      V x[lanes];
      PAPILIO_UNROLL
      for (int r = 0; r < lanes; ++r)
        x[r] = n + r < v.count ? V::load(from + v.offsets[n + r] + row) : V{};
      Transpose<Real<T>, lanes / 2>::run(x);
      PAPILIO_UNROLL
      for (int r = 0; r < lanes; ++r)
        x[r].store(static_cast<T*>(lines) + (v.index ? v.index[row + r] : row + r) * v.pitch + n);
    }
  }

  static void store(const GradientVectors& v, const void* lines, void* memory) {
    T* to = static_cast<T*>(memory);
    const int64_t half = v.pitch / parts;
    int64_t row = 0;
    if (!is_complex && v.stride == 1 && !v.together)
      for (; row + lanes <= v.rows; row += lanes) store_transposed(v, lines, row, to);
    for (; row < v.rows; ++row) {
      const T* line = static_cast<const T*>(lines) + (v.index ? v.index[row] : row) * v.pitch;
      T* at = to + row * v.stride * parts;
      if (!is_complex && v.together)
        memcpy(at + v.offsets[0], line, v.count * sizeof(T));
      else
        for (int64_t n = 0; n < v.count; ++n)
          store_number(line + n, half, at + v.offsets[n] * parts);
    }
  }

  static void store_transposed(const GradientVectors& v, const void* lines, int64_t row, T* to) {
    for (int64_t n = 0; n < v.count; n += lanes) {
      V x[lanes];
      PAPILIO_UNROLL
      for (int r = 0; r < lanes; ++r)
        x[r] = V::load(static_cast<const T*>(lines) +
                       (v.index ? v.index[row + r] : row + r) * v.pitch + n);
      Transpose<Real<T>, lanes / 2>::run(x);
      for (int r = 0; r < lanes && n + r < v.count; ++r) x[r].store(to + v.offsets[n + r] + row);
    }
  }

  static constexpr GradientKernels kernels() {
    return {forward, backward, load, store, {tile, lanes}, RowsStage<T, is_complex>::kernels()};
  }
};

constexpr GradientTable table = {{Stage<float, false>::kernels(), Stage<double, false>::kernels(),
                                  Stage<float, true>::kernels(), Stage<double, true>::kernels()}};

}  // namespace

const GradientTable& PAPILIO_JOIN(gradient_table_, PAPILIO_ISA_NAME)();
const GradientTable& PAPILIO_JOIN(gradient_table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
