// A product under way, and how it is divided into tiles and shares.
#pragma once

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "apply/batch.hpp"
#include "apply/program.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/apply.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"
#include "parallel/shares.hpp"

namespace papilio {

/// Batches above so many bytes leave the caches while they are worked on.
Index large_bytes();

inline const Index* index_or_null(const std::vector<Index>& index) {
  return index.empty() ? nullptr : index.data();
}

/// A product under way: the plan, its kernels and the data.
struct Work {
  const Plan& plan;
  const Program& program;
  const kernels::Kernels& kernels;
  Index element;
  bool conjugate;
  bool in_split, out_split;
  Index in_stride, out_stride;
  std::vector<BatchAxis> outer;  // all batch axes but the innermost
  BatchAxis inner;
  const char* in;
  char* out;

  Index outer_size() const { return papilio::size_of(outer); }
  Index vectors() const { return outer_size() * inner.size; }
  /// Whether the result replaces the input.
  bool in_place() const { return in == out; }
  Index bytes() const { return (program.input_rows + program.output_rows) * vectors() * element; }
  /// Whether what comes next is asked for while something else is worked on.
  bool is_large() const { return bytes() > large_bytes(); }
  /// Whether what is stored will have left every cache before anybody reads it.
  bool is_far() const { return bytes() > 4 * large_bytes(); }
  /// Polls for interruption, where that costs nothing beside the work.
  void poll() const {
    if (nanoseconds() > 1e5) poll_interruption();
  }
  double nanoseconds() const {
    return plan.predicted * 1e9;  // for about as many vectors
  }
  /// Whether stages would write into the output what they have still to read from the input, which
  /// is the same memory. Between other stages there is a tile.
  bool needs_copy(bool first_in_place) const {
    return in_place() && !first_in_place && plan.spans->front().last == program.stages.size();
  }

  /// The first element of vector `column` of the inner axis at position `position` of the outer
  /// axes, in the input and in the output.
  std::pair<const char*, char*> at(Index position, Index column) const {
    auto [in_offset, out_offset] = offsets_of(outer, position);
    in_offset += column * inner.in_stride;
    out_offset += column * inner.out_stride;
    return {in + in_offset * element, out + out_offset * element};
  }

  /// What a stage's kernel is told, but for where it reads and writes.
  kernels::StageArguments arguments(const Stage& stage) const {
    kernels::StageArguments work = stage.arguments;
    work.conjugate = conjugate;
    work.butterflies.swap ^= conjugate;
    return work;
  }
};

/// Tiles of the inner batch axis, at all positions of the outer ones.
struct Tiles {
  Index width, first_width, count, columns;

  /// All tiles but the first start at column `first` + a multiple of `unit`, and there are enough
  /// of them for all threads that the work is worth.
  Tiles(const Work& work, Index first, Index unit) {
    columns = width = first_width = count = work.inner.size;
    if (columns == 1) return;
    width = std::min((work.plan.choice.tile + unit - 1) / unit * unit, columns);
    first_width = std::min(first > 0 ? first + width : width, columns);
    const Index units = (columns + unit - 1) / unit;
    const Index threads = threads_for(units * work.outer_size(), work.nanoseconds());
    // Threads that write to neighbouring cache lines of each row disturb each other, and narrow
    // tiles read as many weights as wide ones: worth it for long rows or much work only.
    const bool far_apart = work.program.lanes == Lanes::rows || work.inner.out_stride != 1 ||
                           columns * work.element >= 512 * threads || work.nanoseconds() > 1e6;
    if (threads > work.outer_size() && columns <= threads * width && far_apart) {
      const Index base = (columns - first) / threads / unit * unit;
      if (base > 0) {
        first_width = first + base;
        const Index others = (columns - first_width + threads - 2) / (threads - 1);
        width = (others + unit - 1) / unit * unit;
      }
    }
    count = 1 + (columns - first_width + width - 1) / width;
  }
  Index widest() const { return std::max(width, first_width); }
  /// The position of the outer axes and the tile of the inner one that a task is.
  std::pair<Index, Index> place(Index task) const {
    if (task < count) return {0, task};
    return {task / count, task % count};
  }
  std::pair<Index, Index> range(Index tile) const {
    const Index begin = tile == 0 ? 0 : first_width + (tile - 1) * width;
    const Index end = first_width + tile * width;
    return {begin, std::min(end, columns)};
  }
};

/// Shares the tiles out in runs, some for each thread, so that who comes late costs little and a
/// thread knows which tile comes next.
template <class Run>
void for_runs(const Work& work, Index tasks, Run run) {
  const int threads = threads_for(tasks, work.nanoseconds());
  const Index runs = threads == 1 ? 1 : std::min(tasks, Index{4} * threads);
  parallel_for(threads, runs,
               [&](Index number) { run(tasks * number / runs, tasks * (number + 1) / runs); });
}

/// What a tile reads, as rows of cache lines.
inline kernels::Prefetch lines_of(const Work& work, const char* from, Index columns) {
  kernels::Prefetch lines{};
  const Index rows = work.program.input_rows;
  Index count, row_bytes;
  if (work.inner.in_stride == 1) {
    count = rows;
    row_bytes = columns * work.element;
    lines.pitch = work.in_stride * work.element;
  } else if (work.in_stride == 1) {
    count = columns;
    row_bytes = rows * work.element;
    lines.pitch = work.inner.in_stride * work.element;
  } else {
    return lines;
  }
  lines.from = from;
  lines.lines_per_row = (row_bytes + 63) / 64;
  lines.lines = count * lines.lines_per_row;
  return lines;
}

/// The lines that part number n of `stages` asks for while it works through `blocks` blocks.
inline kernels::Prefetch part_of(kernels::Prefetch lines, std::size_t n, std::size_t stages,
                                 Index blocks) {
  if (lines.lines == 0) return lines;
  const auto [first, end] =
      share_of(lines.lines, static_cast<Index>(n), static_cast<Index>(stages));
  lines.first += first;
  lines.lines = end - first;
  lines.per_block = (lines.lines + blocks - 1) / std::max(blocks, Index{1});
  return lines;
}

/// Limits a stage to one of `parts` equal parts of its blocks i.
inline void take_part(kernels::StageArguments& work, const Stage& stage, Index part, Index parts) {
  assert(stage.pattern().a % stage.unit == 0 && stage.units % parts == 0);
  const Index blocks = stage.pattern().a / parts;
  work.i0 = blocks * part;
  work.i1 = work.i0 + blocks;
}

/// Runs a program with SIMD lanes along the batch.
void run_columns(const Work& work);
/// Runs a program with SIMD lanes along each vector.
void run_rows(const Work& work);

}  // namespace papilio
