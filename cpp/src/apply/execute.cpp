#include <algorithm>
#include <array>
#include <cstdlib>

#include "apply/program.hpp"
#include "apply/workspace.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/apply.hpp"
#include "papilio/threads.hpp"

namespace papilio {

namespace {

using kernels::Kernels;
using kernels::Prefetch;
using kernels::StageArguments;

thread_local Workspace workspace;

/// Batches above this leave the caches while they are worked on.
constexpr Index large_bytes = Index{6} << 20;

const Index* index_or_null(const std::vector<Index>& index) {
  return index.empty() ? nullptr : index.data();
}

/// The batch with as few axes as possible, the innermost (smallest strides) last; at least one.
std::vector<BatchAxis> coalesce(std::vector<BatchAxis> axes) {
  axes.erase(std::remove_if(axes.begin(), axes.end(),
                            [](const BatchAxis& axis) { return axis.size == 1; }),
             axes.end());
  std::sort(axes.begin(), axes.end(), [](const BatchAxis& x, const BatchAxis& y) {
    return std::abs(x.in_stride) + std::abs(x.out_stride) >
           std::abs(y.in_stride) + std::abs(y.out_stride);
  });
  std::vector<BatchAxis> merged;
  for (const BatchAxis& axis : axes) {
    if (!merged.empty() && merged.back().in_stride == axis.size * axis.in_stride &&
        merged.back().out_stride == axis.size * axis.out_stride)
      merged.back() = {merged.back().size * axis.size, axis.in_stride, axis.out_stride};
    else
      merged.push_back(axis);
  }
  if (merged.empty()) merged.push_back({1, 0, 0});
  return merged;
}

/// A product under way: the plan, its kernels and the data.
struct Work {
  const Plan& plan;
  const Program& program;
  const Kernels& kernels;
  Index element;
  bool conjugate;
  Index in_stride, out_stride;
  std::vector<BatchAxis> outer;  // all batch axes but the innermost
  BatchAxis inner;
  const char* in;
  char* out;

  Index outer_size() const {
    Index size = 1;
    for (const BatchAxis& axis : outer) size *= axis.size;
    return size;
  }
  Index vectors() const { return outer_size() * inner.size; }
  bool is_large() const {
    return (program.input_rows + program.output_rows) * vectors() * element > large_bytes;
  }
  double nanoseconds() const {
    return plan.predicted * 1e9;  // for about as many vectors
  }

  /// The first element of vector `column` of the inner axis at position `position` of the outer
  /// axes, in the input and in the output.
  std::pair<const char*, char*> at(Index position, Index column) const {
    Index in_offset = column * inner.in_stride, out_offset = column * inner.out_stride;
    for (auto axis = outer.rbegin(); axis != outer.rend(); ++axis) {
      in_offset += position % axis->size * axis->in_stride;
      out_offset += position % axis->size * axis->out_stride;
      position /= axis->size;
    }
    return {in + in_offset * element, out + out_offset * element};
  }

  StageArguments arguments(const Stage& stage) const {
    const Weights& w = stage.weights;
    const Pattern& p = w.pattern;
    StageArguments work{};
    work.b = p.b;
    work.c = p.c;
    work.d = p.d;
    work.weights = w.values;
    work.weight_i = w.i;
    work.weight_j = w.j;
    work.weight_k = w.k;
    work.weight_l = w.l;
    work.same_l = stage.same_l;
    work.conjugate = conjugate;
    work.i1 = p.a;
    work.l1 = p.d;
    work.in_row = work.out_row = 1;
    return work;
  }
};

/// Tiles of the inner batch axis, at all positions of the outer ones.
struct Tiles {
  Index width, first_width, count, columns;

  /// All tiles but the first start at column `first` + a multiple of `unit`, and there are enough
  /// of them for all threads that the work is worth.
  Tiles(const Work& work, Index first, Index unit) {
    columns = work.inner.size;
    width = std::min(work.plan.choice.tile, columns);
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
  parallel_for(threads, runs, [&](Index number) {
    run(tasks * number / runs, tasks * (number + 1) / runs);
    workspace.trim();
  });
}

/// What a tile reads, as rows of cache lines.
Prefetch lines_of(const Work& work, const char* from, Index columns) {
  Prefetch lines{};
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

/// The lines that stage number n of `stages` asks for while it works through `blocks` blocks.
Prefetch part_of(Prefetch lines, std::size_t n, std::size_t stages, Index blocks) {
  if (lines.lines == 0) return lines;
  const Index all = lines.lines, count = static_cast<Index>(stages);
  const Index first = all * static_cast<Index>(n) / count;
  lines.first = first;
  lines.lines = all * static_cast<Index>(n + 1) / count - first;
  lines.per_block = (lines.lines + blocks - 1) / std::max(blocks, Index{1});
  return lines;
}

/// SIMD lanes along the batch: tiles of columns go through all stages while they stay in cache.
/// The arithmetic of a column doesn't depend on its tile.
void run_columns(const Work& work) {
  const Program& program = work.program;
  const Index lanes = work.kernels.lanes, element = work.element;
  // Where rows of the output start at multiples of a SIMD vector from each other, tiles that
  // start at such multiples can be stored past the caches.
  const Index vector_bytes = lanes * element;
  const auto address = reinterpret_cast<std::uintptr_t>(work.out);
  const Index offset = static_cast<Index>(address % static_cast<std::uintptr_t>(vector_bytes));
  const bool can_stream = work.is_large() && work.inner.out_stride == 1 && work.outer.empty() &&
                          work.out_stride * element % vector_bytes == 0 && offset % element == 0;
  // And two threads don't write to one cache line.
  const bool aligns = work.inner.out_stride == 1 && offset && offset % element == 0 &&
                      work.out_stride * element % vector_bytes == 0;
  const Tiles tiles(work, aligns ? (vector_bytes - offset) / element : 0, lanes);
  const Index pitch = (tiles.widest() + lanes - 1) / lanes * lanes;
  const std::size_t buffer = static_cast<std::size_t>(program.widest * pitch * element);
  // The first stage reads the input and the last one writes the output where rows of the batch
  // are contiguous there; stages in registers find permuted rows by their index, but not in place.
  const bool gathers = !program.gather.empty() && program.stages.front().in_registers;
  const bool scatters = !program.scatter.empty() && program.stages.back().in_registers;
  const bool read = work.inner.in_stride == 1 && (program.gather.empty() || gathers) &&
                    !program.stages.front().rereads;
  const bool write = work.inner.out_stride == 1 && (program.scatter.empty() || scatters);
  const auto in_place = [&](std::size_t n) {
    return program.stages[n].in_registers && !(n == 0 && gathers) &&
           !(n + 1 == program.stages.size() && scatters);
  };
  bool two_buffers = false;
  for (std::size_t n = 0; n < program.stages.size(); ++n)
    two_buffers |= !in_place(n) && !(n == 0 && read) && !(n + 1 == program.stages.size() && write);
  const bool prefetching = work.is_large();
  const Index tasks = work.outer_size() * tiles.count;
  for_runs(work, tasks, [&](Index begin, Index end) {
    char* here = static_cast<char*>(workspace.reserve((two_buffers ? 2 : 1) * buffer));
    char* there = two_buffers ? here + buffer : here;
    for (Index task = begin; task < end; ++task) {
      const auto [first, last] = tiles.range(task % tiles.count);
      const Index columns = last - first;
      const auto [from, to] = work.at(task / tiles.count, first);
      Prefetch next{};
      if (prefetching && task + 1 < end) {
        const auto [next_first, next_last] = tiles.range((task + 1) % tiles.count);
        next = lines_of(work, work.at((task + 1) / tiles.count, next_first).first,
                        next_last - next_first);
      }
      const char* source = from;
      Index source_row = work.in_stride;
      if (!read) {
        work.kernels.pack({program.input_rows, columns, work.in_stride, work.inner.in_stride, pitch,
                           gathers ? nullptr : index_or_null(program.gather), nullptr, false},
                          from, here);
        source = here;
        source_row = pitch;
      }
      for (std::size_t n = 0; n < program.stages.size(); ++n) {
        const Stage& stage = program.stages[n];
        const bool final_stage = n + 1 == program.stages.size();
        const bool to_output = final_stage && write;
        if (source == here && !in_place(n) && !to_output) std::swap(here, there);
        StageArguments stage_work = work.arguments(stage);
        stage_work.in = source;
        stage_work.in_row = source_row;
        stage_work.out = to_output ? to : here;
        stage_work.out_row = to_output ? work.out_stride : pitch;
        if (n == 0 && gathers) stage_work.in_index = program.gather.data();
        if (final_stage && scatters) stage_work.out_index = program.scatter_from.data();
        if (to_output)
          stage_work.stream =
              can_stream &&
              reinterpret_cast<std::uintptr_t>(to) % static_cast<std::uintptr_t>(vector_bytes) == 0;
        stage_work.count = columns / lanes;
        stage_work.tail = columns % lanes;
        stage_work.in_step = stage_work.out_step = lanes;
        stage_work.prefetch =
            part_of(next, n, program.stages.size(), stage.pattern().a * stage.pattern().d);
        work.kernels.columns(stage_work);
        source = static_cast<const char*>(stage_work.out);
        source_row = stage_work.out_row;
      }
      if (!write)
        work.kernels.unpack(
            {program.output_rows, columns, work.out_stride, work.inner.out_stride, pitch,
             scatters ? nullptr : index_or_null(program.scatter), nullptr, work.is_large()},
            source, to);
    }
  });
}

/// Limits a stage to one of `shares` shares: blocks i where there are enough of them, else ranges
/// of l that start at whole SIMD vectors.
void share_stage(StageArguments& work, Stage::Kind kind, const Pattern& p, Index lanes, Index share,
                 Index shares) {
  if (p.a >= shares || kind == Stage::Kind::outputs) {
    work.i0 = p.a * share / shares;
    work.i1 = p.a * (share + 1) / shares;
  } else {
    const Index vectors = (p.d + lanes - 1) / lanes;
    work.l0 = std::min(vectors * share / shares * lanes, p.d);
    work.l1 = std::min(vectors * (share + 1) / shares * lanes, p.d);
  }
}

/// Where a tile of vectors is on its way through the stages of a program with lanes along rows.
struct RowTile {
  const char* from;
  char* to;
  Index vectors;
  char* buffers[2];
  Prefetch next;
};

/// One step of a tile: packing (step 0), a stage, unpacking (the last); this share of it.
class RowSteps {
 public:
  explicit RowSteps(const Work& work)
      : work_(work),
        pitch_(row_pitch(work.program)),
        read_(work.in_stride == 1 && work.program.gather.empty()),
        write_(work.out_stride == 1 && work.program.scatter.empty()) {
    // Buffers change after a stage that doesn't work in place.
    const auto& stages = work.program.stages;
    int buffer = 0;
    for (std::size_t n = 0; n < stages.size(); ++n) {
      const bool in_place =
          stages[n].in_registers || stages[n].kind == Stage::Kind::within || (n == 0 && read_);
      if (!in_place) {
        buffer = 1 - buffer;
        two_buffers_ = true;
      }
      target_.push_back(buffer);
    }
  }

  Index steps() const { return static_cast<Index>(work_.program.stages.size()) + 2; }
  std::size_t buffer_bytes(Index vectors) const {
    return static_cast<std::size_t>(vectors * pitch_ * work_.element);
  }
  bool two_buffers() const { return two_buffers_; }

  void run(const RowTile& tile, Index step, Index share, Index shares) const {
    const Program& program = work_.program;
    if (step == 0) {
      if (!read_ && share == 0)
        work_.kernels.pack({tile.vectors, program.input_rows, work_.inner.in_stride,
                            work_.in_stride, pitch_, nullptr, index_or_null(program.gather), false},
                           tile.from, tile.buffers[0]);
      return;
    }
    const std::size_t n = static_cast<std::size_t>(step - 1), count = program.stages.size();
    if (n == count) {
      if (!write_ && share == 0)
        work_.kernels.unpack(
            {tile.vectors, program.output_rows, work_.inner.out_stride, work_.out_stride, pitch_,
             nullptr, index_or_null(program.scatter), false},
            tile.buffers[target_.back()], tile.to);
      return;
    }
    const Stage& stage = program.stages[n];
    const Pattern& p = stage.pattern();
    const bool direct_in = n == 0 && read_, direct_out = n + 1 == count && write_;
    const void* in = direct_in ? tile.from : tile.buffers[n == 0 ? 0 : target_[n - 1]];
    void* out = direct_out ? tile.to : tile.buffers[target_[n]];
    const Index in_step = direct_in ? work_.inner.in_stride : pitch_;
    const Index out_step = direct_out ? work_.inner.out_stride : pitch_;
    const Index lanes = work_.kernels.lanes;
    if (stage.kind == Stage::Kind::within) {
      constexpr std::size_t most = 8;  // at a time; more than log2 of any vector's lanes
      std::array<kernels::WithinStage, most> stages;
      const Index vectors = p.rows() / lanes;
      for (std::size_t first = 0; first < stage.within.size(); first += most) {
        const std::size_t some = std::min(most, stage.within.size() - first);
        for (std::size_t s = 0; s < some; ++s) {
          stages[s] = stage.within[first + s];
          stages[s].conjugate = work_.conjugate;
        }
        work_.kernels.within({stages.data(), static_cast<Index>(some), first == 0 ? in : out, out,
                              vectors * share / shares, vectors * (share + 1) / shares,
                              tile.vectors, first == 0 ? in_step : out_step, out_step,
                              part_of(tile.next, n, count, vectors)});
      }
      return;
    }
    StageArguments work = work_.arguments(stage);
    work.in = in;
    work.out = out;
    work.in_step = in_step;
    work.out_step = out_step;
    work.count = tile.vectors;
    if (shares > 1) share_stage(work, stage.kind, p, lanes, share, shares);
    if (stage.kind == Stage::Kind::outputs) {
      work.prefetch = part_of(tile.next, n, count, p.a);
      work_.kernels.outputs(work);
    } else {
      work.prefetch = part_of(tile.next, n, count, p.a * ((p.d + lanes - 1) / lanes));
      work_.kernels.rows(work);
    }
  }

 private:
  const Work& work_;
  Index pitch_;
  bool read_, write_, two_buffers_ = false;
  std::vector<int> target_;  // the buffer that each stage writes, where it writes one
};

/// SIMD lanes along each vector: tiles of vectors share the weights.
void run_rows(const Work& work) {
  const RowSteps steps(work);
  const Tiles tiles(work, 0, 1);
  const std::size_t buffer = steps.buffer_bytes(tiles.width);
  const Index tasks = work.outer_size() * tiles.count;
  const auto make_tile = [&](Index task, char* memory) {
    const auto [first, last] = tiles.range(task % tiles.count);
    const auto [from, to] = work.at(task / tiles.count, first);
    return RowTile{
        from, to, last - first, {memory, memory + (steps.two_buffers() ? buffer : 0)}, {}};
  };
  const std::size_t memory_bytes = (steps.two_buffers() ? 2 : 1) * buffer;
  if (tasks == 1 || threads_for(tasks, work.nanoseconds()) < num_threads()) {
    // Few tiles: all threads share each. Every step waits for the one before, so that it is a
    // single step that must be worth it.
    const int sharing = threads_for(
        work.program.widest, work.nanoseconds() / static_cast<double>(8 * steps.steps() * tasks));
    char* memory = static_cast<char*>(workspace.reserve(memory_bytes));
    for (Index task = 0; task < tasks; ++task) {
      const RowTile tile = make_tile(task, memory);
      if (sharing == 1)
        for (Index step = 0; step < steps.steps(); ++step) steps.run(tile, step, 0, 1);
      else
        parallel_phases(sharing, steps.steps(), sharing,
                        [&](Index step, Index share) { steps.run(tile, step, share, sharing); });
    }
    workspace.trim();
    return;
  }
  const bool prefetching = work.is_large();
  for_runs(work, tasks, [&](Index begin, Index end) {
    char* memory = static_cast<char*>(workspace.reserve(memory_bytes));
    for (Index task = begin; task < end; ++task) {
      RowTile tile = make_tile(task, memory);
      if (prefetching && task + 1 < end) {
        const RowTile next = make_tile(task + 1, memory);
        tile.next = lines_of(work, next.from, next.vectors);
      }
      for (Index step = 0; step < steps.steps(); ++step) steps.run(tile, step, 0, 1);
    }
  });
}

}  // namespace

BatchClass classify(const Layout& layout) {
  Index vectors = 1;
  bool columns_in = false, columns_out = false;
  for (const BatchAxis& axis : layout.batch) {
    vectors *= axis.size;
    columns_in |= axis.in_stride == 1 && axis.size > 1;
    columns_out |= axis.out_stride == 1 && axis.size > 1;
  }
  Index rounded = vectors;
  if (vectors > 16)
    for (rounded = 16; 2 * rounded <= vectors;) rounded *= 2;
  const auto contiguous = [](bool columns, Index stride) {
    return columns ? Contiguous::columns : stride == 1 ? Contiguous::rows : Contiguous::neither;
  };
  return {rounded, contiguous(columns_in, layout.in_stride),
          contiguous(columns_out, layout.out_stride)};
}

void execute(const Plan& plan, const Layout& layout, bool conjugate, const void* in, void* out) {
  for (const BatchAxis& axis : layout.batch)
    if (axis.size == 0) return;
  const Program& program = *plan.program;
  std::vector<BatchAxis> batch = coalesce(layout.batch);
  // Lanes along the batch need its smallest strides; vectors that share weights, a long axis.
  const auto inner_axis = program.lanes == Lanes::columns
                              ? batch.end() - 1
                              : std::max_element(batch.begin(), batch.end(),
                                                 [](const BatchAxis& x, const BatchAxis& y) {
                                                   return x.size < y.size;
                                                 });
  const BatchAxis inner = *inner_axis;
  batch.erase(inner_axis);
  const Work work{
      plan,
      program,
      kernels::kernels_for(program.dtype),
      static_cast<Index>(size_of(program.dtype)),
      conjugate && (program.dtype == DType::complex64 || program.dtype == DType::complex128),
      layout.in_stride,
      layout.out_stride,
      std::move(batch),
      inner,
      static_cast<const char*>(in),
      static_cast<char*>(out)};
  if (program.lanes == Lanes::columns)
    run_columns(work);
  else
    run_rows(work);
}

}  // namespace papilio
