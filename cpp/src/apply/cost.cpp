// The cost model: nanoseconds on one core from multiply-adds and from bytes by the cache level
// they come from. Its constants are those of a server core of the 2020s; they decide between
// plans, and a plan's text tells what they predict.
#include <algorithm>
#include <cmath>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "apply/program.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

constexpr double l2_rate = 50, l3_rate = 20, memory_rate = 10;  // bytes in a nanosecond
constexpr double l3_bytes = 8 << 20;                            // that a core may count on
constexpr double permutation_cost = 0.35;  // ns for a SIMD exchange of lanes
constexpr double element_cost = 0.7;       // ns to copy an element by itself
constexpr double stage_cost = 10, call_cost = 100;

double rate_of(double bytes) {
  return bytes <= static_cast<double>(l2_bytes()) ? l2_rate
                                                  : (bytes <= l3_bytes ? l3_rate : memory_rate);
}

Index ceil_of(Index n, Index step) { return (n + step - 1) / step; }

/// ns to copy `vectors` vectors of `rows` elements to or from a tile that has lanes along `lanes`.
double copy_cost(Index rows, double vectors, Contiguous contiguous, Lanes lanes, bool permuted,
                 Index simd) {
  const double elements = static_cast<double>(rows) * vectors;
  const bool same = (lanes == Lanes::columns) == (contiguous == Contiguous::columns);
  if (contiguous == Contiguous::neither || (permuted && lanes == Lanes::rows) ||
      (permuted && !same))
    return elements * element_cost;
  const double exchanges = same ? 1 : 2 + std::log2(static_cast<double>(simd));
  return elements / static_cast<double>(simd) * permutation_cost * exchanges;
}

}  // namespace

Index l2_bytes() {
  static const Index bytes = [] {
    long cache = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return cache > 0 ? std::clamp(Index{cache}, Index{256} << 10, Index{2} << 20)
                     : Index{512} << 10;
  }();
  return bytes;
}

Index row_pitch(const Program& program) {
  const Index line = 64 / static_cast<Index>(size_of(program.dtype));
  return ceil_of(program.widest, line) * line + line;
}

Index default_tile(const Program& program, Index vectors) {
  const Index lanes = kernels::kernels_for(program.dtype).lanes;
  const Index element = static_cast<Index>(size_of(program.dtype));
  if (program.lanes == Lanes::rows)
    return std::clamp(l2_bytes() / 4 / (row_pitch(program) * element), Index{1},
                      std::clamp(vectors, Index{1}, Index{32}));
  const Index fitting = l2_bytes() / 2 / (program.widest * element) / lanes;
  return std::clamp(fitting, Index{1}, std::clamp(ceil_of(vectors, lanes), Index{1}, Index{16})) *
         lanes;
}

double predict(const Program& program, const BatchClass& batch, Index tile) {
  const kernels::Kernels& kernels = kernels::kernels_for(program.dtype);
  const double element = static_cast<double>(size_of(program.dtype));
  const double parts =
      program.dtype == DType::complex64 || program.dtype == DType::complex128 ? 2 : 1;
  // Loads and stores take turns with the multiply-adds: two thirds of the peak is what is seen.
  const double rate = kernels::active_table().multiply_adds * 0.66 / parts;
  const Index simd = kernels.lanes;
  const bool columns = program.lanes == Lanes::columns;
  const double vectors = static_cast<double>(batch.vectors);
  const double tiles = std::ceil(vectors / static_cast<double>(tile));
  // SIMD vectors in a row of a tile, or vectors that share weights.
  const double width =
      columns ? std::ceil(std::min(vectors, static_cast<double>(tile)) / static_cast<double>(simd))
              : std::min(vectors, static_cast<double>(tile));
  const double tile_bytes = static_cast<double>(program.widest * tile) * element;
  double time = call_cost;
  for (const Stage& stage : program.stages) {
    const Pattern& p = stage.pattern();
    double products = 0, blocks = 0, exchanges = 0;  // for one SIMD vector or one of the batch
    switch (stage.kind) {
      case Stage::Kind::columns:
        products = static_cast<double>(p.nnz());
        blocks = static_cast<double>(p.a * p.d);
        break;
      case Stage::Kind::rows:
        products = static_cast<double>(p.a * p.b * p.c * ceil_of(p.d, simd));
        blocks = static_cast<double>(p.a * ceil_of(p.d, simd));
        break;
      case Stage::Kind::outputs:
        products = static_cast<double>(p.a * ceil_of(p.b * p.d, simd) * p.c);
        exchanges = static_cast<double>(p.a * p.c * (p.d == 1 ? 0 : 2));
        blocks = static_cast<double>(p.a);
        break;
      case Stage::Kind::within:
        for (const kernels::WithinStage& within : stage.within) {
          products += static_cast<double>(p.rows() / simd * within.c);
          exchanges += static_cast<double>(p.rows() / simd * (within.c - 1));
        }
        break;
    }
    const double moved = static_cast<double>(p.rows() + p.cols()) * element *
                         (columns ? static_cast<double>(simd) : 1) * width;
    // One vector alone can't share weights: its products wait for them.
    time += tiles * (stage_cost + blocks * 2 + width * (products / rate + exchanges * permutation_cost) +
                     moved / (tile_bytes <= 32 << 10 ? 4 * l2_rate : 2 * rate_of(tile_bytes)));
  }
  time += tiles * program.weight_bytes / rate_of(program.weight_bytes + tile_bytes);
  const bool read = batch.in == (columns ? Contiguous::columns : Contiguous::rows);
  const bool write = batch.out == (columns ? Contiguous::columns : Contiguous::rows);
  const bool direct_in = read && (program.gather.empty() ||
                                  (columns && program.stages.front().in_registers));
  const bool direct_out = write && (program.scatter.empty() ||
                                    (columns && program.stages.back().in_registers));
  if (!direct_in)
    time += copy_cost(program.input_rows, vectors, batch.in, program.lanes,
                      !program.gather.empty(), simd);
  if (!direct_out)
    time += copy_cost(program.output_rows, vectors, batch.out, program.lanes,
                      !program.scatter.empty(), simd);
  const double bytes =
      static_cast<double>(program.input_rows + program.output_rows) * vectors * element;
  time += bytes / rate_of(bytes);
  return time * 1e-9;
}

}  // namespace papilio
