#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstdlib>

#include "apply/batch.hpp"
#include "apply/program.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/apply.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

using kernels::Kernels;
using kernels::Prefetch;
using kernels::StageArguments;

/// Batches above this leave the caches while they are worked on.
constexpr Index usual_large_bytes = Index{6} << 20;
std::atomic<Index> large_bytes{usual_large_bytes};

const Index* index_or_null(const std::vector<Index>& index) {
  return index.empty() ? nullptr : index.data();
}

/// A product under way: the plan, its kernels and the data.
struct Work {
  const Plan& plan;
  const Program& program;
  const Kernels& kernels;
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
  bool is_large() const {
    return (program.input_rows + program.output_rows) * vectors() * element >
           large_bytes.load(std::memory_order_relaxed);
  }
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
    work.butterflies = stage.butterflies;
    work.butterflies.swap ^= conjugate;
    work.butterflies.blocks = index_or_null(program.permuted_blocks);
    return work;
  }

  /// The kernels that run a stage: those of real numbers where a complex stage is a real one.
  const Kernels& kernels_of(const Stage& stage) const {
    if (!stage.real) return kernels;
    return kernels::kernels_for(program.dtype == DType::complex64 ? DType::float32
                                                                  : DType::float64);
  }
};

/// Tiles of the inner batch axis, at all positions of the outer ones.
struct Tiles {
  Index width, first_width, count, columns;

  /// All tiles but the first start at column `first` + a multiple of `unit`, and there are enough
  /// of them for all threads that the work is worth.
  Tiles(const Work& work, Index first, Index unit) {
    columns = work.inner.size;
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

/// The lines that part number n of `stages` asks for while it works through `blocks` blocks.
Prefetch part_of(Prefetch lines, std::size_t n, std::size_t stages, Index blocks) {
  if (lines.lines == 0) return lines;
  const Index all = lines.lines, count = static_cast<Index>(stages);
  const Index first = all * static_cast<Index>(n) / count;
  lines.first += first;
  lines.lines = all * static_cast<Index>(n + 1) / count - first;
  lines.per_block = (lines.lines + blocks - 1) / std::max(blocks, Index{1});
  return lines;
}

/// Limits a stage to one of `parts` equal parts of its blocks i.
void take_part(StageArguments& work, const Stage& stage, Index part, Index parts) {
  assert(stage.pattern().a % stage.unit == 0 && stage.units() % parts == 0);
  work.i0 = stage.units() / parts * part * stage.unit;
  work.i1 = stage.units() / parts * (part + 1) * stage.unit;
}

/// SIMD lanes along the batch: tiles of columns go through all stages while they stay in cache.
/// The arithmetic of a column doesn't depend on its tile.
void run_columns(const Work& work) {
  const Program& program = work.program;
  const Index lanes = work.kernels.lanes, element = work.element;
  // Butterflies read and write whole vectors of complex numbers, which are two of the others.
  const Index group = holds_complex(program.dtype) ? 2 * lanes : lanes;
  // Where rows of the output start at multiples of a SIMD vector from each other, tiles that
  // start at such multiples can be stored past the caches.
  const Index vector_bytes = lanes * element;
  const auto address = reinterpret_cast<std::uintptr_t>(work.out);
  const Index offset = static_cast<Index>(address % static_cast<std::uintptr_t>(vector_bytes));
  const bool can_stream = work.is_large() && !work.in_place() && work.inner.out_stride == 1 &&
                          work.outer.empty() && work.out_stride * element % vector_bytes == 0 &&
                          offset % element == 0;
  // And two threads don't write to one cache line.
  const bool aligns = work.inner.out_stride == 1 && offset && offset % element == 0 &&
                      work.out_stride * element % vector_bytes == 0;
  const bool split = work.in_split || work.out_split;
  const Tiles tiles(work, aligns && !split ? (vector_bytes - offset) / element : 0,
                    split ? group : lanes);
  const Index pitch = (tiles.widest() + group - 1) / group * group;
  const std::size_t buffer = static_cast<std::size_t>(program.widest * pitch * element);
  // The first stage reads the input and the last one writes the output where rows of the batch
  // are contiguous there; stages in registers find permuted rows by their index, but not in place.
  const bool gathers = !program.gather.empty() && program.stages.front().in_registers;
  const bool scatters = !program.scatter.empty() && program.stages.back().in_registers;
  const auto in_place = [&](std::size_t n) {
    return program.stages[n].in_registers && !(n == 0 && gathers) &&
           !(n + 1 == program.stages.size() && scatters);
  };
  const bool read = work.inner.in_stride == 1 && (program.gather.empty() || gathers) &&
                    !program.stages.front().rereads && !work.needs_copy(in_place(0));
  const bool write = work.inner.out_stride == 1 && (program.scatter.empty() || scatters);
  bool two_buffers = false;
  for (std::size_t n = 0; n < program.stages.size(); ++n)
    two_buffers |= !in_place(n) && !(n == 0 && read) && !(n + 1 == program.stages.size() && write);
  const bool prefetching = work.is_large();
  const Index tasks = work.outer_size() * tiles.count;
  for_runs(work, tasks, [&](Index begin, Index end) {
    Lease workspace;
    char* here = static_cast<char*>(workspace.reserve((two_buffers ? 2 : 1) * buffer));
    char* there = two_buffers ? here + buffer : here;
    for (Index task = begin; task < end; ++task) {
      work.poll();
      const auto [first, last] = tiles.range(task % tiles.count);
      const Index columns = last - first;
      const auto place = work.at(task / tiles.count, first);
      const char* from = place.first;
      char* to = place.second;
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
      std::size_t first_of_span = 0;
      const auto run_stage = [&](std::size_t n, Index part, Index parts) {
        const Stage& stage = program.stages[n];
        const bool from_span = n == first_of_span;
        const Pattern& p = stage.pattern();
        const bool to_output = n + 1 == program.stages.size() && write;
        StageArguments stage_work = work.arguments(stage);
        take_part(stage_work, stage, part, parts);
        stage_work.in = from_span ? source : here;
        stage_work.in_row = from_span ? source_row : pitch;
        stage_work.out = to_output ? to : here;
        stage_work.out_row = to_output ? work.out_stride : pitch;
        stage_work.butterflies.in_split |= n == 0 && work.in_split;
        stage_work.butterflies.out_split |= to_output && work.out_split;
        if (n == 0 && gathers) stage_work.in_index = program.gather.data();
        if (n + 1 == program.stages.size() && scatters)
          stage_work.out_index = program.scatter_from.data();
        if (to_output)
          stage_work.stream =
              can_stream &&
              reinterpret_cast<std::uintptr_t>(to) % static_cast<std::uintptr_t>(vector_bytes) == 0;
        Index simd = lanes, elements = columns;
        if (stage.has_butterflies() && holds_complex(program.dtype)) simd *= 2;
        if (stage.real) {
          elements *= 2;
          stage_work.in_row *= 2;
          stage_work.out_row *= 2;
        }
        stage_work.count = elements / simd;
        stage_work.tail = elements % simd;
        stage_work.in_step = stage_work.out_step = lanes;
        stage_work.prefetch =
            part_of(part_of(next, n, program.stages.size(), 1), static_cast<std::size_t>(part),
                    static_cast<std::size_t>(parts), (stage_work.i1 - stage_work.i0) * p.d);
        if (stage.has_butterflies())
          work.kernels_of(stage).butterflies.columns(stage_work);
        else
          work.kernels.columns(stage_work);
      };
      for (const Span& span : *work.plan.spans) {
        if (source == here && !in_place(span.first) &&
            !(span.first + 1 == program.stages.size() && write))
          std::swap(here, there);
        first_of_span = span.first;
        span.for_stages(0, span.parts, run_stage);
        source = here;
        source_row = pitch;
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
void take_share(StageArguments& work, const Stage& stage, Index lanes, Index share, Index shares) {
  const Pattern& p = stage.pattern();
  const bool along_l =
      stage.kind == Stage::Kind::rows || stage.kind == Stage::Kind::row_butterflies;
  if (stage.units() >= shares || !along_l) {
    work.i0 = stage.units() * share / shares * stage.unit;
    work.i1 = stage.units() * (share + 1) / shares * stage.unit;
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
        gathers_(is_permuted(work.program.stages.front()) &&
                 !work.program.stages.front().butterflies.transposed),
        scatters_(is_permuted(work.program.stages.back()) &&
                  work.program.stages.back().butterflies.transposed),
        read_(work.in_stride == 1 && (gathers_ || work.program.gather.empty()) &&
              !work.needs_copy(works_in_place(work.program.stages.front()))),
        write_(work.out_stride == 1 && (scatters_ || work.program.scatter.empty())) {
    // Buffers change after a stage that doesn't work in place.
    const auto& stages = work.program.stages;
    int buffer = 0;
    target_.reserve(stages.size());
    for (std::size_t n = 0; n < stages.size(); ++n) {
      if (!works_in_place(stages[n]) && !(n == 0 && read_)) {
        buffer = 1 - buffer;
        two_buffers_ = true;
      }
      target_.push_back(buffer);
    }
    // A long vector between stages takes less of the caches where its result will be, and so does
    // any that is there already.
    const Index bytes = work.program.output_rows * work.element;
    const bool worth_it =
        work.in_place() ? works_in_place(stages.front()) : bytes >= l2_bytes() / 4;
    in_output_ = read_ && write_ && !two_buffers_ && worth_it &&
                 work.program.widest == work.program.output_rows;
  }

  Index steps() const { return static_cast<Index>(work_.plan.spans->size()) + 2; }
  std::size_t buffer_bytes(Index vectors) const {
    return static_cast<std::size_t>(vectors * pitch_ * work_.element);
  }
  bool two_buffers() const { return two_buffers_; }

  void run(const RowTile& tile, Index step, Index share, Index shares) const {
    const Program& program = work_.program;
    if (step == 0) {
      if (!read_ && share == 0)
        work_.kernels.pack(
            {tile.vectors, program.input_rows, work_.inner.in_stride, work_.in_stride, pitch_,
             nullptr, gathers_ ? nullptr : index_or_null(program.gather), false},
            tile.from, tile.buffers[0]);
      return;
    }
    const std::size_t n = static_cast<std::size_t>(step - 1);
    if (n == work_.plan.spans->size()) {
      if (!write_ && share == 0)
        work_.kernels.unpack(
            {tile.vectors, program.output_rows, work_.inner.out_stride, work_.out_stride, pitch_,
             nullptr, scatters_ ? nullptr : index_or_null(program.scatter), false},
            tile.buffers[target_.back()], tile.to);
      return;
    }
    const Span& span = (*work_.plan.spans)[n];
    if (span.parts == 1) return run_stage(tile, span.first, share, shares, false);
    span.for_stages(span.parts * share / shares, span.parts * (share + 1) / shares,
                    [&](std::size_t stage, Index part, Index parts) {
                      run_stage(tile, stage, part, parts, true);
                    });
  }

 private:
  static bool is_permuted(const Stage& stage) {
    return stage.kind == Stage::Kind::permuted_butterflies;
  }
  static bool works_in_place(const Stage& stage) {
    return stage.in_registers || stage.kind == Stage::Kind::within;
  }

  /// A stage, or one of the parts or shares that it is divided into. A part is one of blocks i.
  void run_stage(const RowTile& tile, std::size_t n, Index share, Index shares, bool part) const {
    const Program& program = work_.program;
    const std::size_t count = program.stages.size();
    const Stage& stage = program.stages[n];
    const Pattern& p = stage.pattern();
    const bool direct_in = n == 0 && read_, direct_out = n + 1 == count && write_;
    const bool from_output = !direct_in && in_output_, to_output = direct_out || in_output_;
    const void* in = direct_in     ? tile.from
                     : from_output ? tile.to
                                   : tile.buffers[n == 0 ? 0 : target_[n - 1]];
    void* out = to_output ? tile.to : tile.buffers[target_[n]];
    const Index in_step = direct_in     ? work_.inner.in_stride
                          : from_output ? work_.inner.out_stride
                                        : pitch_;
    const Index out_step = to_output ? work_.inner.out_stride : pitch_;
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
    const bool complex_lanes = stage.has_butterflies() && holds_complex(program.dtype);
    const Index simd = complex_lanes ? 2 * lanes : lanes;
    if (part)
      take_part(work, stage, share, shares);
    else if (shares > 1)
      take_share(work, stage, simd, share, shares);
    const Prefetch lines = part_of(part_of(tile.next, n, count, 1), static_cast<std::size_t>(share),
                                   static_cast<std::size_t>(shares), 1);
    const auto asking_for = [&](Index blocks) { return part_of(lines, 0, 1, blocks); };
    const Index blocks_i = work.i1 - work.i0;
    if (stage.kind == Stage::Kind::outputs) {
      work.prefetch = asking_for(blocks_i);
      return work_.kernels.outputs(work);
    }
    work.prefetch = asking_for(is_permuted(stage) ? blocks_i / simd
                                                  : blocks_i / stage.unit *
                                                        ((work.l1 - work.l0 + simd - 1) / simd));
    if (stage.kind == Stage::Kind::rows) return work_.kernels.rows(work);
    const kernels::ButterflyKernels& kernels = work_.kernels_of(stage).butterflies;
    if (is_permuted(stage)) {
      work.in_index = index_or_null(program.gather);
      work.out_index = index_or_null(program.scatter_from);
      return kernels.permuted(work);
    }
    if (stage.real) {
      // Real and imaginary parts are neighbours along l.
      work.d *= 2;
      work.l0 *= 2;
      work.l1 *= 2;
      work.in_step *= 2;
      work.out_step *= 2;
    }
    stage.kind == Stage::Kind::within_butterflies ? kernels.within(work) : kernels.rows(work);
  }

  const Work& work_;
  Index pitch_;
  bool gathers_, scatters_, read_, write_, two_buffers_ = false, in_output_;
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
    Lease workspace;
    char* memory = static_cast<char*>(workspace.reserve(memory_bytes));
    for (Index task = 0; task < tasks; ++task) {
      const RowTile tile = make_tile(task, memory);
      parallel_phases(sharing, steps.steps(), sharing, [&](Index step, Index share) {
        work.poll();
        steps.run(tile, step, share, sharing);
      });
    }
    return;
  }
  const bool prefetching = work.is_large();
  for_runs(work, tasks, [&](Index begin, Index end) {
    Lease workspace;
    char* memory = static_cast<char*>(workspace.reserve(memory_bytes));
    for (Index task = begin; task < end; ++task) {
      work.poll();
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

void set_large_bytes(Index bytes) { large_bytes.store(bytes > 0 ? bytes : usual_large_bytes); }

Splits splits_of(const Plan& plan) {
  const Program& program = *plan.program;
  const auto splits = [&](const Stage& stage) {
    return stage.kind == Stage::Kind::column_butterflies && !stage.real &&
           holds_complex(program.dtype);
  };
  return {splits(program.stages.front()), splits(program.stages.back())};
}

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
  const Work work{plan,
                  program,
                  kernels::kernels_for(program.dtype),
                  static_cast<Index>(size_of(program.dtype)),
                  conjugate && holds_complex(program.dtype),
                  layout.in_split,
                  layout.out_split,
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
