// The cost model: nanoseconds on one core from multiply-adds and from bytes by the cache level
// they come from. Its constants are those of a server core of the 2020s; they decide between
// plans, and a plan's text tells what they predict.
#include <algorithm>
#include <cmath>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "apply/program.hpp"
#include "apply/stage_kind.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

// Bytes in a nanosecond that a core streams from a cache, or reads and writes in one.
constexpr double l1_rate = 200, l2_rate = 60, l3_rate = 45, memory_rate = 12;
// The part of the peak of multiply-adds that kernels reach: with weights in registers or one
// vector alone, and where several vectors far apart share weights.
constexpr double efficiency = 0.75, shared_efficiency = 0.35;
constexpr double permutation_cost = 0.35;  // ns for a SIMD exchange of lanes
constexpr double element_cost = 0.7;       // ns to copy an element by itself
constexpr double far_element_cost = 6;     // the same, at a place of its own in memory
constexpr double row_cost = 6;             // ns to copy a short row
constexpr double far_line_cost = 20;       // ns for a cache line of each of many rows, beyond L2
constexpr double stage_cost = 10, call_cost = 100;

/// The size of a cache, or `unknown` where the system doesn't tell.
Index cache_bytes(int level, Index unknown, Index least, Index most) {
  long cache = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  cache = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#endif
  return cache > 0 ? std::clamp(Index{cache}, least, most) : unknown;
}

/// Tiles of more than L2 still profit from longer rows while they stay in their share of L3.
Index tile_bytes() {
  static const Index share = cache_bytes(3, Index{1} << 20, Index{1} << 20, Index{32} << 20) / 8;
  return std::max(l2_bytes() / 2, std::min(share, 4 * l2_bytes()));
}

double rate_of(double bytes) {
  if (bytes <= 32 << 10) return l1_rate;
  return bytes <= static_cast<double>(l2_bytes())
             ? l2_rate
             : (bytes <= static_cast<double>(l3_bytes) ? l3_rate : memory_rate);
}

Index ceil_of(Index n, Index step) { return (n + step - 1) / step; }

/// ns to copy `vectors` vectors of `rows` elements (of `element` bytes) to or from a tile that has
/// lanes along `lanes`.
double copy_cost(Index rows, double vectors, double element, Contiguous contiguous, Lanes lanes,
                 bool permuted, Index simd) {
  const double elements = static_cast<double>(rows) * vectors, bytes = elements * element;
  const bool same = (lanes == Lanes::columns) == (contiguous == Contiguous::columns);
  if (contiguous == Contiguous::neither || (permuted && lanes == Lanes::rows) ||
      (permuted && !same))
    return elements *
           (permuted && bytes > static_cast<double>(l3_bytes) ? far_element_cost : element_cost);
  const double exchanges = same ? 1 : 2 + std::log2(static_cast<double>(simd));
  const bool crosses = lanes == Lanes::rows && contiguous == Contiguous::columns;
  const double lines = crosses && bytes > static_cast<double>(l2_bytes())
                           ? static_cast<double>(rows) * std::ceil(vectors * element / 64)
                           : 0;
  return elements / static_cast<double>(simd) * permutation_cost * exchanges +
         lines * far_line_cost;
}

}  // namespace

Index l2_bytes() {
  static const Index bytes = cache_bytes(2, Index{512} << 10, Index{256} << 10, Index{2} << 20);
  return bytes;
}

Index row_pitch(const Program& program) {
  const Index line = 64 / static_cast<Index>(size_of(program.dtype));
  return ceil_of(program.widest, line) * line + line;
}

Index columns_at_once(const Program& program) {
  // Butterflies of complex numbers hold two SIMD vectors of them, split into their parts.
  const bool split =
      std::any_of(program.stages.begin(), program.stages.end(),
                  [](const Stage& stage) { return stage.has_butterflies() && !stage.real; });
  const Index lanes = kernels::kernels_for(program.dtype).lanes;
  return split && holds_complex(program.dtype) ? 2 * lanes : lanes;
}

bool has_butterflies_at_an_end(const Program& program) {
  return program.stages.front().has_butterflies() || program.stages.back().has_butterflies();
}

Index default_tile(const Program& program, const BatchClass& batch) {
  // Batches of one class have up to twice as many vectors.
  const Index vectors = batch.vectors >= 16 ? 2 * batch.vectors : batch.vectors;
  const Index lanes = kernels::kernels_for(program.dtype).lanes;
  const Index element = static_cast<Index>(size_of(program.dtype));
  const bool butterflies = std::all_of(program.stages.begin(), program.stages.end(),
                                       [](const Stage& stage) { return stage.has_butterflies(); });
  if (program.lanes == Lanes::rows) {
    // Vectors that share few weights or none need no more than some for each call of a kernel: on a
    // Cascade Lake with AVX2, DFTs of 64 to 2048 take 5 to 25 % less in an eighth of L2 than in
    // half of L1, those of 4096 7 % more in a quarter of it. Of columns of a matrix as many go
    // together as share cache lines.
    const bool crosses = batch.in == Contiguous::columns || batch.out == Contiguous::columns;
    const Index least = crosses ? std::max(64 / element, Index{1}) : 1;
    const Index cache = l2_bytes() / (butterflies ? 8 : 4);
    return std::min(std::clamp(cache / (row_pitch(program) * element), least, Index{32}),
                    std::max(vectors, Index{1}));
  }
  // Rows of 16 SIMD vectors make the weights cheap; more only as long as the tile is in L2.
  const Index vector_bytes = program.widest * element * lanes;
  // What is transposed on its way is read and written once more.
  const bool direct = batch.in == Contiguous::columns && batch.out == Contiguous::columns;
  const bool rereads = std::any_of(program.stages.begin(), program.stages.end(),
                                   [](const Stage& stage) { return stage.rereads; });
  // One stage's inputs and outputs; of two stages the first reads from where the batch is.
  const Index buffers =
      direct && program.stages.size() == 2 && program.stages.front().gathers ? 1 : 2;
  const Index fitting = rereads
                            ? std::clamp(l2_bytes() / buffers / vector_bytes, Index{4}, Index{16})
                        : direct ? std::max(std::min(tile_bytes() / vector_bytes, Index{16}),
                                            std::min(l2_bytes() / vector_bytes, Index{64}))
                                 : std::min(l2_bytes() / 2 / vector_bytes, Index{16});
  return std::clamp(fitting, Index{1}, std::max((vectors + lanes - 1) / lanes, Index{1})) * lanes;
}

double predict(const Program& program, const BatchClass& batch, Index tile) {
  const kernels::Kernels& kernels = kernels::kernels_for(program.dtype);
  const double element = static_cast<double>(size_of(program.dtype));
  const double parts =
      program.dtype == DType::complex64 || program.dtype == DType::complex128 ? 2 : 1;
  const Index simd = kernels.lanes;
  const bool columns = program.lanes == Lanes::columns;
  const double vectors = static_cast<double>(batch.vectors);
  const double tiles = std::ceil(vectors / static_cast<double>(tile));
  // SIMD vectors in a row of a tile, or vectors that share weights.
  const double unit = static_cast<double>(columns ? columns_at_once(program) : 1);
  const double width = std::ceil(std::min(vectors, static_cast<double>(tile)) / unit) * unit /
                       static_cast<double>(columns ? simd : 1);
  const double peak = kernels.multiply_adds / parts;
  const double tile_bytes = static_cast<double>(program.widest) * element * width *
                            (columns ? static_cast<double>(simd) : 1);
  double time = call_cost;
  for (const Stage& stage : program.stages) {
    const Pattern& p = stage.pattern();
    const auto [products, exchanges, overhead] = descriptor(stage.kind).effort(stage, simd, parts);
    const bool shared = !columns && width > 1 && !stage.has_butterflies();
    const double rate = peak * (shared ? shared_efficiency : efficiency);
    const double moved = static_cast<double>(p.rows() + p.cols()) * element *
                         (columns ? static_cast<double>(simd) : 1) * width;
    const double data_rate = (tile_bytes <= 32 << 10 ? 1 : 1.5) * rate_of(tile_bytes);
    time += tiles *
            (stage_cost + overhead +
             std::max(width * (products / rate + exchanges * permutation_cost), moved / data_rate));
  }
  time += tiles * program.weight_bytes / rate_of(program.weight_bytes + tile_bytes);
  const bool read = batch.in == (columns ? Contiguous::columns : Contiguous::rows);
  const bool write = batch.out == (columns ? Contiguous::columns : Contiguous::rows);
  const auto folds = [&](const Stage& stage) {
    return columns ? stage.in_registers : stage.kind == Stage::Kind::permuted_butterflies;
  };
  const bool gathered = !program.gather.empty() && !folds(program.stages.front());
  const bool scattered = !program.scatter.empty() && !folds(program.stages.back());
  if (!read || gathered || (columns && !program.stages.front().reads_from_far()))
    time +=
        copy_cost(program.input_rows, vectors, element, batch.in, program.lanes, gathered, simd);
  if (!write || scattered)
    time +=
        copy_cost(program.output_rows, vectors, element, batch.out, program.lanes, scattered, simd);
  const double rows = static_cast<double>(program.input_rows + program.output_rows);
  if (columns && read && write && has_butterflies_at_an_end(program) &&
      std::fmod(vectors, unit) != 0)
    time += rows * row_cost;
  const double bytes = rows * vectors * element;
  time += bytes / rate_of(bytes);
  return time * 1e-9;
}

}  // namespace papilio
