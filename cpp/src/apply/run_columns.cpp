#include <cstdint>

#include "apply/slices.hpp"
#include "apply/work.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

using kernels::Prefetch;
using kernels::StageArguments;

// Stores past the caches that leave lines of several rows half written are sent in parts: on a
// Cascade Lake with AVX2 a DFT of 4096 in batches of 256 took four times as long.
constexpr Index cache_line = 64;

/// A tile of columns on its way through the stages: what it reads next, and where it goes.
struct ColumnTile {
  Index columns;
  const char* from;
  char* to;
  Prefetch next;
  char *here, *there;
  const char* source;
  Index source_row;
  bool padded;  // to whole groups of columns
  std::size_t first_of_span = 0;
};

/// Tiles of columns go through all stages while they stay in cache. The arithmetic of a column
/// doesn't depend on its tile.
class ColumnSteps {
 public:
  explicit ColumnSteps(const Work& work)
      : work_(work),
        program_(work.program),
        lanes_(work.kernels.lanes),
        line_bytes_(std::max(lanes_ * work.element, cache_line)),
        group_(columns_at_once(program_)),
        may_pad_(!work.in_split && !work.out_split && program_.stages.size() > 1 &&
                 has_butterflies_at_an_end(program_) &&
                 program_.widest * group_ * work.element <= l3_bytes),
        tiles_(make_tiles()),
        pitch_(pitch_of((tiles_.widest() + group_ - 1) / group_ * group_)),
        buffer_(static_cast<std::size_t>(program_.widest * pitch_ * work.element)),
        // The first stage reads the input and the last one writes the output where rows of the
        // batch are contiguous there; stages in registers find permuted rows by their index, but
        // not in place.
        gathers_(!program_.gather.empty() && program_.stages.front().in_registers),
        scatters_(!program_.scatter.empty() && program_.stages.back().in_registers),
        read_(work.inner.in_stride == 1 && (program_.gather.empty() || gathers_) &&
              program_.stages.front().reads_from_far() && !work.needs_copy(in_place(0))),
        write_(work.inner.out_stride == 1 && (program_.scatter.empty() || scatters_)) {
    // All but the first and the last one have the same width.
    for (const Index tile : {Index{0}, tiles_.count / 2, tiles_.count - 1}) {
      const auto [first, last] = tiles_.range(tile);
      pads_ |= is_padded(last - first);
    }
    for (std::size_t n = 0; n < program_.stages.size(); ++n)
      two_buffers_ |= !in_place(n) && !(n == 0 && read_ && !pads_) &&
                      !(n + 1 == program_.stages.size() && write_ && !pads_);
  }

  Index tasks() const { return work_.outer_size() * tiles_.count; }

  /// Tiles number [begin, end), one after the other.
  void run(Index begin, Index end) const {
    const bool prefetching = work_.is_large() && !(read_ && program_.stages.front().gathers);
    Lease workspace;
    char* here = static_cast<char*>(workspace.reserve((two_buffers_ ? 2 : 1) * buffer_));
    char* there = two_buffers_ ? here + buffer_ : here;
    for (Index task = begin; task < end; ++task) {
      work_.poll();
      const auto [position, number] = tiles_.place(task);
      const auto [first, last] = tiles_.range(number);
      const auto [from, to] = work_.at(position, first);
      ColumnTile tile{last - first,           from, to, {}, here, there, from, work_.in_stride,
                      is_padded(last - first)};
      if (prefetching && task + 1 < end) {
        const auto [next_position, next_number] = tiles_.place(task + 1);
        const auto [next_first, next_last] = tiles_.range(next_number);
        tile.next =
            lines_of(work_, work_.at(next_position, next_first).first, next_last - next_first);
      }
      run_tile(tile);
    }
  }

 private:
  /// From a row of a tile to the next. Rows an eighth of a page apart share eight sets of the
  /// nearest cache with what is transposed into them: DFTs of 60 to 250 in rows take 7 to 15 % less
  /// with a line between them.
  Index pitch_of(Index columns) const {
    constexpr Index eighth = 512;
    const bool competes = work_.inner.in_stride != 1 && columns * work_.element % eighth == 0;
    return competes ? columns + cache_line / work_.element : columns;
  }
  /// The offset of the output from the start of a cache line, in bytes.
  Index offset() const {
    return static_cast<Index>(reinterpret_cast<std::uintptr_t>(work_.out) %
                              static_cast<std::uintptr_t>(line_bytes_));
  }
  /// Whether rows of the output start at multiples of a cache line from each other.
  bool rows_align() const {
    return work_.inner.out_stride == 1 && work_.out_stride * work_.element % line_bytes_ == 0 &&
           offset() % work_.element == 0;
  }
  Tiles make_tiles() const {
    // Tiles that start at cache lines can be stored past the caches: for that the first one is a
    // little wider.
    const Index line = std::max(group_, line_bytes_ / work_.element);
    const bool worth_it = work_.is_far() && work_.inner.size >= 8 * line;
    const bool aligns = worth_it && rows_align() && offset() && !work_.in_split && !work_.out_split;
    return Tiles(work_, aligns ? (line_bytes_ - offset()) / work_.element : 0,
                 worth_it ? line : group_);
  }
  /// Whether a tile is copied to whole groups of columns first, and from them at the end.
  /// Butterflies work on whole groups: of what is left each stage copies each row from and to a
  /// group of its own, which takes as long as a copy of so many bytes of each row.
  bool is_padded(Index columns) const {
    constexpr Index worth_it = 256;
    return may_pad_ && columns % group_ != 0 && columns * work_.element <= worth_it;
  }
  bool can_stream(const char* to) const {
    return work_.is_far() && !work_.in_place() && work_.outer.empty() && rows_align() &&
           reinterpret_cast<std::uintptr_t>(to) % static_cast<std::uintptr_t>(line_bytes_) == 0;
  }
  bool in_place(std::size_t n) const {
    return program_.stages[n].in_registers && !(n == 0 && gathers_) &&
           !(n + 1 == program_.stages.size() && scatters_);
  }

  /// Columns that the stages work on. Those beyond the batch are zeros: what another product left
  /// there may be denormal, and take a hundred times as long.
  Index width_of(const ColumnTile& tile) const {
    return tile.padded ? (tile.columns + group_ - 1) / group_ * group_ : tile.columns;
  }

  /// Whether the last stage writes the output.
  bool writes_from(const ColumnTile& tile) const { return write_ && !tile.padded; }

  void run_tile(ColumnTile& tile) const {
    const bool writes = writes_from(tile);
    if (!read_ || tile.padded) {
      pack_in_slices(
          work_,
          {program_.input_rows, tile.columns, work_.in_stride, work_.inner.in_stride, pitch_,
           gathers_ ? nullptr : index_or_null(program_.gather), nullptr, false, width_of(tile)},
          tile.from, tile.here);
      tile.source = tile.here;
      tile.source_row = pitch_;
    }
    for (const Span& span : *work_.plan.spans) {
      if (tile.source == tile.here && !in_place(span.first) &&
          !(span.first + 1 == program_.stages.size() && writes))
        std::swap(tile.here, tile.there);
      tile.first_of_span = span.first;
      span.for_stages(0, span.parts, [&](std::size_t n, Index part, Index parts) {
        run_stage(tile, n, part, parts);
      });
      tile.source = tile.here;
      tile.source_row = pitch_;
    }
    if (!writes)
      unpack_in_slices(
          work_,
          {program_.output_rows, tile.columns, work_.out_stride, work_.inner.out_stride, pitch_,
           scatters_ ? nullptr : index_or_null(program_.scatter), nullptr, work_.is_far()},
          tile.source, tile.to);
  }

  /// A stage, or one of the parts that it is divided into.
  void run_stage(const ColumnTile& tile, std::size_t n, Index part, Index parts) const {
    const Stage& stage = program_.stages[n];
    const bool from_span = n == tile.first_of_span;
    const bool to_output = n + 1 == program_.stages.size() && writes_from(tile);
    StageArguments work = work_.arguments(stage);
    work.in = from_span ? tile.source : tile.here;
    work.in_row = from_span ? tile.source_row : pitch_;
    work.out = to_output ? tile.to : tile.here;
    work.out_row = to_output ? work_.out_stride : pitch_;
    work.butterflies.in_split |= n == 0 && work_.in_split;
    work.butterflies.out_split |= to_output && work_.out_split;
    if (n == 0 && gathers_) work.in_index = program_.gather.data();
    if (n + 1 == program_.stages.size() && scatters_) work.out_index = program_.scatter_from.data();
    if (to_output) work.stream = can_stream(tile.to);
    Index simd = lanes_, elements = width_of(tile);
    if (stage.has_butterflies() && holds_complex(program_.dtype)) simd *= 2;
    if (stage.real) {
      elements *= 2;
      work.in_row *= 2;
      work.out_row *= 2;
    }
    work.tail = elements & (simd - 1);  // a power of two
    work.count = elements >> __builtin_ctzll(static_cast<unsigned long long>(simd));
    work.in_step = work.out_step = lanes_;
    const Prefetch next = part_of(tile.next, n, program_.stages.size(), 1);
    if (parts > 1) {
      take_part(work, stage, part, parts);
      run_share(work, stage, next, part, parts);
      return;
    }
    const Pattern& p = stage.pattern();
    const Index slices = slices_of((p.rows() + p.cols()) * width_of(tile) * work_.element);
    for (Index slice = 0; slice < slices; ++slice)
      if (take_share(work, stage, 1, slice, slices)) run_share(work, stage, next, slice, slices);
  }

  /// One of `shares` shares of a stage.
  void run_share(StageArguments& work, const Stage& stage, const Prefetch& next, Index share,
                 Index shares) const {
    work_.poll();
    work.prefetch = part_of(next, static_cast<std::size_t>(share), static_cast<std::size_t>(shares),
                            (work.i1 - work.i0) * (work.l1 - work.l0));
    stage.kernel(work);
  }

  const Work& work_;
  const Program& program_;
  Index lanes_, line_bytes_, group_;
  bool may_pad_;
  Tiles tiles_;
  Index pitch_;
  std::size_t buffer_;
  bool gathers_, scatters_, read_, write_, pads_ = false, two_buffers_ = false;
};

}  // namespace

void run_columns(const Work& work) {
  const ColumnSteps steps(work);
  for_runs(work, steps.tasks(), [&](Index begin, Index end) { steps.run(begin, end); });
}

}  // namespace papilio
