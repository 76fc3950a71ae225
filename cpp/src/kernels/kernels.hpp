// What a kernel is told, and the table that each element type and instruction set fills. Plain
// structs only:
// this header is compiled once per ISA and must not define any function.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace papilio {
namespace kernels {

/// Cache lines to ask for while a stage runs: `lines` of them from line number `first` on, of a
/// matrix with `lines_per_row` lines in each row and `pitch` bytes from a row to the next. Each
/// block of the stage asks for `per_block`. None if lines is 0.
struct Prefetch {
  const char* from;
  int64_t first, lines, lines_per_row, pitch, per_block;
};

/// A stage of the form "constant matrix times diagonal twiddles"; b = c is its radix. The constant
/// matrix is the Hadamard matrix (real types) or the Fourier matrix with bit-reversed columns
/// (complex types; that of order 6 has column f + 3 k at 2 f + k). `weights`, null if all are 1,
/// are the twiddles of k = 1, 2, ...: for columns the scalars of one l together, for rows SIMD
/// vectors of them (of real parts, of imaginary ones). Strides of weights count scalars here. Lanes
/// are those of a real SIMD vector.
struct Butterflies {
  bool transposed;           // transposed matrix, twiddles of the outputs
  bool swap;                 // conjugated matrix and twiddles
  bool in_split, out_split;  // complex: real and imaginary parts of the tile lie apart
  double scale;              // of the outputs
  int64_t run;               // so many neighbouring l share their twiddles: a multiple of the lanes
                             // for rows; 1: none do
  int64_t period;            // see butterfly_rows_across; 0 for other stages
  const int64_t* blocks;     // permuted: the block numbers in the order of their work
};

/// Blocks of at least so many rows and at most so many columns copy their inputs first where those
/// lie far apart. Fewer rows read them once or twice only.
constexpr int64_t least_gathering = 9, most_gathered = 256;

/// One factor applied to many vectors: for i in [i0, i1), l in [l0, l1), all j
///   out[i, j, l] = sum_k w[i, j, k, l] * in[i, k, l],
/// (i, k, l) being row (i*c + k)*d + l of the input and (i, j, l) row (i*b + j)*d + l of the
/// output. SIMD lanes run along one of these, each with a kernel of its own:
///   columns: along the batch, whose elements are contiguous. A weight is broadcast. There are
///     `count` SIMD vectors in a row and `tail` elements after them.
///   rows: along l; `count` vectors of the batch, contiguous each, share the weights. l0 is a
///     multiple of the lanes.
///   outputs: along (j, l), for d that divides the lanes; otherwise as rows.
///   blocks: along (j, k) of a block that lies in one piece, as [j][k] whichever side is
///   multiplied;
///     `count` vectors of the batch, contiguous each. d is 1, or there are at most most_rows rows
///     and columns.
///   interpolations: along the batch, for interpolative blocks: of each of their panels only the
///     rows with weights are stored.
/// Strides count elements. weight_l leads from one l (columns) or from the l of one SIMD vector
/// (rows) to the next; for outputs, weight_j leads from one SIMD vector of outputs to the next.
struct StageArguments {
  int64_t b, c, d;
  const void* weights;
  int64_t weight_i, weight_j, weight_k, weight_l;
  bool same_l;     // rows: one weight for all l
  bool conjugate;  // use conj(w)
  const void* in;
  void* out;
  int64_t i0, i1, l0, l1;
  int64_t count, tail;
  int64_t in_row, out_row;    // from a row to the next: 1 but for columns
  int64_t in_step, out_step;  // from a SIMD vector to the next (columns), or one of the batch
  const int64_t *in_index, *out_index;  // columns, small squares: where the rows are; or null
  bool stream;                          // columns: store past the caches
  Prefetch prefetch;
  Butterflies butterflies;
  // Of the kernels for blocks that are stored as they are: whether the factor is transposed, and of
  // interpolative ones the columns of a panel (else 0) and, for each panel [i][l][panel], its rows:
  // those of the identity, one for each column, then the others.
  bool transposed;
  int64_t rank;
  const uint16_t* rows;
  // blocks, interpolations: weights are asked for so many bytes before they are read, by the first
  // vectors that read them; 0: they stay in a cache.
  int64_t ahead;
};

/// Blocks of so many rows and columns at most fit the buffers of those kernels; others only where
/// d = 1 and nothing is interpolative.
constexpr int64_t most_rows = 256;

/// A square factor whose c*d rows of each block lie within one SIMD vector (c a power of two, c*d
/// divides the lanes): lane n of output vector v is
///   sum_q w[v, q, n] * in[v, n ^ (q*d)],
/// the weights being packed so. vector_step is 0 where they are the same for all v.
struct WithinStage {
  int64_t c, d;
  const void* weights;
  int64_t vector_step;  // elements from the weights of one vector to those of the next
  bool conjugate;
};

/// Stages that run one after the other on each SIMD vector in [first, last) of `count` vectors of
/// the batch while it is in registers.
struct WithinArguments {
  const WithinStage* stages;
  int64_t stage_count;
  const void* in;
  void* out;
  int64_t first, last;
  int64_t count, in_step, out_step;
  Prefetch prefetch;
};

/// Copies rows x columns elements between a strided matrix and a tile whose rows are contiguous.
/// An index, if not null, names the row (column) of the source for each row of the target.
struct CopyArguments {
  int64_t rows, columns;
  int64_t row_stride, column_stride;  // of the strided matrix, in elements
  int64_t tile_row;                   // elements from a row of the tile to the next
  const int64_t *row_index, *column_index;
  bool stream;        // unpack: store past the caches
  int64_t width = 0;  // pack: zeros go to the columns of the tile from `columns` to this one
};

/// Rows of a run, from row `first` on, in groups of as many as a SIMD vector has lanes; the last
/// group starts at row `last`, within the one before or behind it. Entry k of lane n of all groups
/// g is at starts[g * length + k] + offsets[k * lanes + n] of the vector, the offset being below
/// the lanes. If wide, an entry has two starts, 2 (g * length + k) and the one after it: the second
/// is for offsets from the lanes on, less the lanes. There are as many numbers as lanes after all.
struct SparseStretch {
  int64_t first, last, groups;
  bool wide;
  const int32_t *starts, *offsets;
};

/// Rows [first, last) of a run of `rows` rows of a sparse real matrix that have `length` entries
/// each; entry k of row r stands at k * rows + r of `columns` and `values`, and the run starts at
/// row `row` of the matrix. For columns (lanes along the batch) row r of input or output lies at
/// (r / 2) * pair + (r % 2) * half, so that the parts of split complex numbers are rows; there are
/// `count` SIMD vectors in a row and `tail` elements after them, which have room for a whole vector
/// but where in_part or out_part is set. For a vector, only in and out are used, contiguous, and
/// the run's stretches.
struct SparseArguments {
  const SparseStretch* stretches;
  int64_t stretch_count;
  const int32_t* columns;
  const void* values;
  int64_t row, rows, length, first, last;
  const void* in;
  void* out;
  int64_t in_pair, in_half, in_step, out_pair, out_half, out_step;
  int64_t count, tail;
  bool in_part, out_part;
};

/// Rows of complex numbers, `groups` times two SIMD vectors in each; `pitch` scalars from a row to
/// the next.
struct TileArguments {
  int64_t rows, groups, pitch;
};

/// The columns of a samples x columns matrix, whose rows are `stride` apart, real and imaginary
/// parts apart, and a vector q of a value for each sample. `columns` is a multiple of the lanes.
/// im, q_im and c_im are unused for real matrices.
///   deflate: a step of a pivoted Gram-Schmidt process; for each column m, c = <m, q>, m -= c q,
///            norm = <m, m>.
///   reduce:  c -= <m, q>.
struct DeflateArguments {
  double *re, *im;
  int64_t samples, columns, stride;
  const double *q_re, *q_im;
  double *c_re, *c_im, *norms;
};

typedef void (*DeflateKernel)(const DeflateArguments&);
typedef void (*StageKernel)(const StageArguments&);
typedef void (*SparseKernel)(const SparseArguments&);
typedef void (*TileKernel)(const TileArguments&, void* tile);
typedef void (*WithinKernel)(const WithinArguments&);
typedef void (*PackKernel)(const CopyArguments&, const void* matrix, void* tile);
typedef void (*UnpackKernel)(const CopyArguments&, const void* tile, void* matrix);

/// Kernels of stages with Butterflies, each for some patterns:
///   columns, rows: radix 2, 4, ..., `radix`, complex also 3, 5, 6, 7, 9, 11, 13, 15.
///   within: real, b * d = 1, 2, 4, 8 or (radix 16) 16 SIMD vectors, d < lanes.
///   permuted: complex, radix 8, d = 1, no twiddles; the first stage, or transposed the last one.
struct ButterflyKernels {
  int64_t radix;
  StageKernel columns, rows, within, permuted;
};

/// For real types: sparse matrices, and complex numbers in tiles: interleaved to split and back.
struct SparseKernels {
  SparseKernel columns, vectors;
  TileKernel split, join;
};

/// The kernels of one element type and one instruction set.
struct Kernels {
  int64_t lanes;         // elements in a SIMD vector
  double multiply_adds;  // vectors of them that a core of this kind does in a nanosecond or so
  StageKernel columns, rows, outputs, blocks, interpolations;
  WithinKernel within;
  PackKernel pack;
  UnpackKernel unpack;
  ButterflyKernels butterflies;
  SparseKernels sparse;
  DeflateKernel deflate, reduce;  // for double only
};

}  // namespace kernels
}  // namespace papilio
