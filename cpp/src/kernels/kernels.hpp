// What a kernel is told, and the table that each instruction set fills. Plain structs only:
// this header is compiled once per ISA and must not define any function.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace papilio {
namespace kernels {

/// One factor applied to part of its input: for i in [i0, i1), l in [l0, l1), all j
///   out[i, j, l] = sum_k w[i, j, k, l] * in[i, k, l],
/// (i, k, l) being row (i*c + k)*d + l of the input and (i, j, l) row (i*b + j)*d + l of the
/// output. Strides count elements; a tied weight axis has stride 0.
struct StageArguments {
  int64_t b, c, d;
  const void* weights;
  int64_t weight_i, weight_j, weight_k, weight_l;
  bool conjugate;  // use conj(w)
  const void* in;
  void* out;
  int64_t i0, i1, l0, l1;
  // Batch axis only: columns of a row, a multiple of Kernels::lanes, and the elements from a row
  // to the next in the input and in the output.
  int64_t width, in_row, out_row;
};

/// A square factor whose c*d rows of each block lie within one vector (c a power of two, c*d
/// divides the lanes): lane n of output vector v is
///   sum_q w[v, q, n] * in[v, n ^ (q*d)],
/// the weights being packed so. vector_step is 0 where they are the same for all v.
struct WithinStage {
  int64_t c, d;
  const void* weights;
  int64_t vector_step;  // elements from the weights of one vector to those of the next
  bool conjugate;
};

/// Stages that run one after the other on each vector in [first, last) while it is in registers.
struct WithinArguments {
  const WithinStage* stages;
  int64_t count;
  const void* in;
  void* out;
  int64_t first, last;
};

/// Copies rows x columns elements between a strided matrix and a tile whose rows are contiguous.
/// index, if not null, names the row of the strided matrix for each row of the tile.
struct CopyArguments {
  int64_t rows, columns;
  int64_t row_stride, column_stride;  // of the strided matrix, in elements
  const int64_t* index;
  int64_t tile_width;  // elements from a row of the tile to the next
};

typedef void (*StageKernel)(const StageArguments&);
typedef void (*WithinKernel)(const WithinArguments&);
typedef void (*PackKernel)(const CopyArguments&, const void* matrix, void* tile);
typedef void (*UnpackKernel)(const CopyArguments&, const void* tile, void* matrix);

/// The kernels of one element type.
struct Kernels {
  int64_t lanes;           // elements in a vector
  StageKernel batch_axis;  // vectors run along the batch: a row is `width` contiguous elements
  StageKernel l_axis;      // one vector of input; vectors run along l
  WithinKernel within;     // one vector of input; all stages on each register
  PackKernel pack;         // tile <- matrix; columns up to tile_width are filled with zeros
  UnpackKernel unpack;     // matrix <- tile
};

/// The kernels of one instruction set, in the order of DType.
struct Table {
  const char* isa;
  int64_t vector_bytes;
  Kernels kernels[4];
};

}  // namespace kernels
}  // namespace papilio
