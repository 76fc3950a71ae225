// A chain compiled for one side and one direction of SIMD lanes: stages in the order in which
// they run, with their weights packed (only if it is the one to run).
#pragma once

#include <memory>
#include <vector>

#include "apply/weights.hpp"
#include "kernels/kernels.hpp"
#include "papilio/apply.hpp"

namespace papilio {

/// One pass over the data.
struct Stage {
  enum class Kind {
    columns,
    rows,
    outputs,
    within,
    column_butterflies,
    row_butterflies,
    within_butterflies,
    permuted_butterflies,
    blocks,
    interpolations,
  };
  Kind kind;
  std::size_t first, last;  // the factors it multiplies by
  Weights weights;          // packed; for outputs, j leads from a SIMD vector to the next
  bool same_l;
  bool transposed;
  bool in_registers;  // holds its blocks in registers: works in place, may read rows by index
  bool rereads;       // reads its inputs many times: from near, a tile or what it has gathered
  bool gathers;       // copies inputs that lie far apart itself, and asks for them in time
  std::vector<kernels::WithinStage> within;  // for Kind::within; `weights` is the first's
  std::vector<std::shared_ptr<const void>> owners;
  kernels::Butterflies butterflies;  // for kinds with butterflies
  bool real;                         // a complex stage run by the kernels of real numbers
  // What every product tells the stage's kernel (null for Kind::within) alike: set by ready().
  kernels::StageArguments arguments;
  kernels::StageKernel kernel;
  /// So many blocks i share SIMD vectors: whoever divides the stage, for spans, threads or kernels,
  /// does so at multiples of it, of which there are `units`.
  Index unit, units;

  const Pattern& pattern() const { return weights.pattern; }
  /// With lanes along the batch: whether its inputs may be where the batch is.
  bool reads_from_far() const { return !rereads || gathers; }
  bool has_butterflies() const {
    return kind >= Kind::column_butterflies && kind <= Kind::permuted_butterflies;
  }
  /// Whether its output may be where its input is, with lanes along vectors.
  bool is_in_place() const { return in_registers || kind == Kind::within; }
};

/// Weights that a program has no memory for yet: the product of the factors [first, last), for a
/// stage or for one of the stages within SIMD vectors that make a run.
struct Unpacked {
  std::size_t stage, within, first, last;
};

/// Which of two buffers each stage of a program writes; buffers change where a stage doesn't work
/// in place.
struct BufferRoute {
  std::vector<unsigned char> target;
  bool two_buffers;
};

/// gather[t] is the row of the input that becomes row t of the first stage's input; row i of the
/// output is row scatter[i] of the last stage's output, and scatter_from is the inverse of scatter.
/// All empty for the identity.
struct Program {
  DType dtype;
  Lanes lanes;
  Index radix;
  std::vector<Stage> stages;
  std::vector<Index> gather, scatter, scatter_from;
  Index input_rows, output_rows;
  Index widest;         // rows of the longest vector between, before or after the stages
  double weight_bytes;  // once they are packed
  std::vector<Unpacked> unpacked;
  std::vector<Index> permuted_blocks;  // for Stage::Kind::permuted_butterflies
  // For lanes along vectors, set by ready(): where stages write if the first one reads a buffer,
  // and if it reads the input.
  Index pitch;  // see row_pitch
  BufferRoute routes[2];
};

/// Stages [first, last) that work on `parts` parts of the rows one after the other, so that a part
/// stays in a cache from stage to stage; a part in turn may go through `inner` spans, whose parts
/// stay in a nearer cache. Without inner spans it goes through stage after stage.
struct Span {
  std::size_t first, last;
  Index parts;
  std::vector<Span> inner;

  /// visit(n, part, parts) for all stages n, in order, and their parts of the span's parts
  /// [begin, end).
  template <class Visit>
  void for_stages(Index begin, Index end, const Visit& visit) const {
    for (Index part = begin; part < end; ++part) {
      for (const Span& span : inner)
        span.for_stages(span.parts / parts * part, span.parts / parts * (part + 1), visit);
      if (inner.empty())
        for (std::size_t n = first; n < last; ++n) visit(n, part, parts);
    }
  }
};

/// Sets what products would otherwise work out again and again. For a program whose weights are
/// where they will be.
void ready(Program& program);

/// The spans of a program whose rows have so many bytes in a tile.
std::vector<Span> spans_of(const Program& program, Index row_bytes);

/// Bytes of L3 cache that a core may count on.
constexpr Index l3_bytes = Index{8} << 20;
/// Bytes of L2 cache of a core.
Index l2_bytes();

/// How many elements a vector takes in a tile for Lanes::rows: not a power of two, so that the
/// vectors don't compete for the same cache sets.
Index row_pitch(const Program& program);

/// How many columns a stage works on at once: less than that takes as long and is copied besides.
Index columns_at_once(const Program& program);

/// Whether butterflies read the input or write the output: of columns that aren't a multiple of
/// those they copy the rest from and to groups of their own.
bool has_butterflies_at_an_end(const Program& program);

/// The tile that fits the caches.
Index default_tile(const Program& program, const BatchClass& batch);

/// Expected seconds on one thread.
double predict(const Program& program, const BatchClass& batch, Index tile);

}  // namespace papilio
