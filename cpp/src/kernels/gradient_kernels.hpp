// The kernels of gradients: a tile of a batch, kept as lines of numbers (one for each row, lanes
// along the batch), through a factor and back. Plain structs only, as in kernels.hpp.
#pragma once

#include <stdint.h>

namespace papilio {
namespace kernels {

/// A factor on a tile. A line has `pitch` numbers: those of each vector, or of complex ones first
/// all real parts and then all imaginary ones; the number of vectors is a multiple of the SIMD
/// lanes, those beyond the batch are zero.
struct GradientStage {
  int64_t a, b, c, d;
  int64_t pitch;
  const void* weights;  // [i][l][j][k], complex ones with real and imaginary part side by side
  const void* in;       // a c d lines: what the factor multiplies
  void* out;            // a b d lines: what it gives
  const void* out_gradient;
  void* in_gradient;  // null if not wanted; out_gradient itself where blocks are 2 x 2
  void* gradient;     // += that of the weights, in tiles (gradient_tile)
};

/// How many gradients of weights lie together in memory, of complex ones first the real and then
/// the imaginary parts. Of 2 x 2 blocks those of gradient_tile / 4 blocks, in the order of (i, l);
/// else those of 4 rows and gradient_tile / 4 columns of a block, tile by tile, rows first. What is
/// beyond the block is never read.
struct GradientShape {
  int64_t tile, lanes;
};

/// Vectors in memory: a row of the batch has the numbers memory[row * stride + offsets[n]] for n <
/// count, and is line number index[row], or row if null. (Where lanes run along vectors, that is
/// the number of the number; and the pitch tells how many vectors a line has: the others become
/// zero.)
struct GradientVectors {
  int64_t rows, stride, count;
  const int64_t* offsets;
  const int64_t* index;
  int64_t pitch;
  bool together;  // whether the offsets follow each other
};

/// A factor on a tile whose lanes run along each vector: a line has so many SIMD vectors, one for
/// each vector of the batch (of complex ones the real parts and then the imaginary ones), and a or
/// d is that of the factor over the lanes.
struct GradientRowsStage {
  int64_t a, b, c, d, count;
  const void* weights;
  int64_t steps[4];  // of weights, in numbers, from each i, j, k and line of l to the next
  const void* in;    // a c d lines: what the factor multiplies
  void* out;         // a b d lines: what it gives
  const void* out_gradient;
  void* in_gradient;  // out_gradient itself where blocks are 2 x 2
  bool in_gradient_wanted;
  void* gradient;  // of the weights
  int64_t gradient_steps[4];
  bool adds;  // to what `gradient` holds
};

/// Which numbers of a vector are a line, there being `lines` of them: with lane_step 1 those that
/// follow each other, with lane_step `lines` those that are so far apart.
struct GradientOrder {
  int64_t lines, lane_step;
};

struct GradientRowsKernels {
  void (*forward)(const GradientRowsStage& stage);
  void (*backward)(const GradientRowsStage& stage);
  void (*load)(const GradientVectors& vectors, const GradientOrder& order, const void* memory,
               void* lines);
  void (*store)(const GradientVectors& vectors, const GradientOrder& order, const void* lines,
                void* memory);
  /// Lines, of a number that the lanes divide, in the other order than `order` to lines in it.
  void (*exchange)(const GradientOrder& order, int64_t count, const void* from, void* to);
};

struct GradientKernels {
  /// out = W in.
  void (*forward)(const GradientStage& stage);
  /// gradient += out_gradient in^H on the blocks; in_gradient = W^H out_gradient.
  void (*backward)(const GradientStage& stage);
  void (*load)(const GradientVectors& vectors, const void* memory, void* lines);
  void (*store)(const GradientVectors& vectors, const void* lines, void* memory);
  GradientShape shape;
  GradientRowsKernels rows;
};

/// Of one instruction set, in the order of DType.
struct GradientTable {
  GradientKernels kernels[4];
};

}  // namespace kernels
}  // namespace papilio
