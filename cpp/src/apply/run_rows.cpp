#include <algorithm>
#include <array>

#include "apply/slices.hpp"
#include "apply/stage_kind.hpp"
#include "apply/work.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

using kernels::Prefetch;
using kernels::StageArguments;

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
        pitch_(work.program.pitch),
        gathers_(is_permuted(work.program.stages.front()) &&
                 !work.program.stages.front().butterflies.transposed),
        scatters_(is_permuted(work.program.stages.back()) &&
                  work.program.stages.back().butterflies.transposed),
        read_(work.in_stride == 1 && (gathers_ || work.program.gather.empty()) &&
              !work.needs_copy(work.program.stages.front().is_in_place())),
        write_(work.out_stride == 1 && (scatters_ || work.program.scatter.empty())),
        route_(work.program.routes[read_]) {
    // A long vector between stages takes less of the caches where its result will be, and so does
    // any that is there already. The result of a batch isn't: its scattered stores would wait for
    // memory (on a Cascade Lake twice as long at 2^14), so that only vectors go there that leave
    // the caches anyway.
    const Index bytes = work.program.output_rows * work.element;
    const bool long_enough = work.vectors() == 1 ? bytes >= l2_bytes() / 4 : bytes >= l3_bytes;
    const bool worth_it = work.in_place() ? work.program.stages.front().is_in_place() : long_enough;
    in_output_ = read_ && write_ && !route_.two_buffers && worth_it &&
                 work.program.widest == work.program.output_rows;
  }

  Index steps() const { return static_cast<Index>(work_.plan.spans->size()) + 2; }
  std::size_t buffer_bytes(Index vectors) const {
    return static_cast<std::size_t>(vectors * pitch_ * work_.element);
  }
  bool two_buffers() const { return route_.two_buffers; }

  void run(const RowTile& tile, Index step, Index share, Index shares) const {
    const Program& program = work_.program;
    if (step == 0) {
      if (!read_ && share == 0)
        pack_in_slices(work_,
                       {tile.vectors, program.input_rows, work_.inner.in_stride, work_.in_stride,
                        pitch_, nullptr, gathers_ ? nullptr : index_or_null(program.gather), false},
                       tile.from, tile.buffers[0]);
      return;
    }
    const std::size_t n = static_cast<std::size_t>(step - 1);
    if (n == work_.plan.spans->size()) {
      if (!write_ && share == 0)
        unpack_in_slices(
            work_,
            {tile.vectors, program.output_rows, work_.inner.out_stride, work_.out_stride, pitch_,
             nullptr, scatters_ ? nullptr : index_or_null(program.scatter), false},
            tile.buffers[route_.target.back()], tile.to);
      return;
    }
    const Span& span = (*work_.plan.spans)[n];
    if (span.parts == 1) {
      const Pattern& p = program.stages[span.first].pattern();
      const Index slices = slices_of((p.rows() + p.cols()) * tile.vectors * work_.element, shares);
      for (Index slice = share * slices; slice < (share + 1) * slices; ++slice)
        run_stage(tile, span.first, slice, shares * slices, false);
      return;
    }
    const auto [begin, end] = share_of(span.parts, share, shares);
    span.for_stages(begin, end, [&](std::size_t stage, Index part, Index parts) {
      run_stage(tile, stage, part, parts, true);
    });
  }

 private:
  static bool is_permuted(const Stage& stage) {
    return stage.kind == Stage::Kind::permuted_butterflies;
  }

  /// A stage, or one of the parts or shares that it is divided into. A part is one of blocks i.
  void run_stage(const RowTile& tile, std::size_t n, Index share, Index shares, bool part) const {
    const Program& program = work_.program;
    const std::size_t count = program.stages.size();
    const Stage& stage = program.stages[n];
    work_.poll();
    const bool direct_in = n == 0 && read_, direct_out = n + 1 == count && write_;
    const bool from_output = !direct_in && in_output_, to_output = direct_out || in_output_;
    const void* in = direct_in     ? tile.from
                     : from_output ? tile.to
                                   : tile.buffers[n == 0 ? 0 : route_.target[n - 1]];
    void* out = to_output ? tile.to : tile.buffers[route_.target[n]];
    const Index in_step = direct_in     ? work_.inner.in_stride
                          : from_output ? work_.inner.out_stride
                                        : pitch_;
    const Index out_step = to_output ? work_.inner.out_stride : pitch_;
    const Index lanes = work_.kernels.lanes;
    if (stage.kind == Stage::Kind::within) {
      constexpr std::size_t most = 8;  // at a time; more than log2 of any vector's lanes
      std::array<kernels::WithinStage, most> stages;
      const Index vectors = stage.pattern().rows() / lanes;
      const auto [begin, end] = share_of(vectors, share, shares);
      for (std::size_t first = 0; first < stage.within.size(); first += most) {
        const std::size_t some = std::min(most, stage.within.size() - first);
        for (std::size_t s = 0; s < some; ++s) {
          stages[s] = stage.within[first + s];
          stages[s].conjugate = work_.conjugate;
        }
        work_.kernels.within({stages.data(), static_cast<Index>(some), first == 0 ? in : out, out,
                              begin, end, tile.vectors, first == 0 ? in_step : out_step, out_step,
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
    else if (!take_share(work, stage, simd, share, shares))
      return;
    if (tile.next.lines)
      work.prefetch =
          part_of(part_of(part_of(tile.next, n, count, 1), static_cast<std::size_t>(share),
                          static_cast<std::size_t>(shares), 1),
                  0, 1, steps_of(stage, work, simd));
    if (is_permuted(stage)) {
      work.butterflies.blocks = index_or_null(program.permuted_blocks);
      work.in_index = index_or_null(program.gather);
      work.out_index = index_or_null(program.scatter_from);
    }
    if (stage.real) {
      // Real and imaginary parts are neighbours along l.
      work.d *= 2;
      work.l0 *= 2;
      work.l1 *= 2;
      work.in_step *= 2;
      work.out_step *= 2;
    }
    stage.kernel(work);
  }

  /// How often the stage's kernel asks for lines of what comes next.
  static Index steps_of(const Stage& stage, const StageArguments& work, Index simd) {
    const Index blocks = work.i1 - work.i0;
    if (stage.kind == Stage::Kind::outputs) return blocks;
    if (is_permuted(stage)) return blocks / simd;
    if (stage.butterflies.period) return (blocks * (work.l1 - work.l0) + simd - 1) / simd;
    return blocks / stage.unit * ((work.l1 - work.l0 + simd - 1) / simd);
  }

  const Work& work_;
  Index pitch_;
  bool gathers_, scatters_, read_, write_, in_output_;
  const BufferRoute& route_;
};

}  // namespace

/// SIMD lanes along each vector: tiles of vectors share the weights.
void run_rows(const Work& work) {
  const RowSteps steps(work);
  const Tiles tiles(work, 0, 1);
  const std::size_t buffer = steps.buffer_bytes(tiles.width);
  const Index tasks = work.outer_size() * tiles.count;
  const auto make_tile = [&](Index task, char* memory) {
    const auto [position, number] = tiles.place(task);
    const auto [first, last] = tiles.range(number);
    const auto [from, to] = work.at(position, first);
    return RowTile{
        from, to, last - first, {memory, memory + (steps.two_buffers() ? buffer : 0)}, {}};
  };
  const std::size_t memory_bytes = (steps.two_buffers() ? 2 : 1) * buffer;
  if (tasks == 1 || threads_for(tasks, work.nanoseconds()) < num_threads()) {
    // Few tiles: all threads share each. Every step waits for the one before, so that it is a
    // single step that must be worth it. (In a loop, steps of an eighth of that gain, too; but
    // after a pause, when helpers sleep, products of 0.3 ms lose a tenth by sharing.)
    const int sharing = threads_for(
        work.program.widest, work.nanoseconds() / static_cast<double>(steps.steps() * tasks));
    Lease workspace;
    char* memory = static_cast<char*>(workspace.reserve(memory_bytes));
    for (Index task = 0; task < tasks; ++task) {
      const RowTile tile = make_tile(task, memory);
      if (sharing == 1) {
        for (Index step = 0; step < steps.steps(); ++step) steps.run(tile, step, 0, 1);
        continue;
      }
      parallel_phases(sharing, steps.steps(), sharing,
                      [&](Index step, Index share) { steps.run(tile, step, share, sharing); });
    }
    return;
  }
  const bool prefetching = work.is_large();
  for_runs(work, tasks, [&](Index begin, Index end) {
    Lease workspace;
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

}  // namespace papilio
