// A product with a composition under way: by tiles of the batch, or some vectors at a time.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "apply/batch.hpp"
#include "apply/program.hpp"
#include "apply/steps.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/composition.hpp"
#include "papilio/threads.hpp"
#include "parallel/shares.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

using kernels::Kernels;

/// A batch on its way through the steps of a composition.
class Passage {
 public:
  Passage(const Composition& composition, const Layout& layout, const void* in, void* out)
      : composition_(composition),
        layout_(layout),
        kernels_(kernels::kernels_for(composition.real_)),
        in_kernels_(kernels::kernels_for(composition.input())),
        out_kernels_(kernels::kernels_for(composition.output())),
        element_(static_cast<Index>(size_of(composition.real_))),
        in_element_(static_cast<Index>(size_of(composition.input()))),
        out_element_(static_cast<Index>(size_of(composition.output()))),
        outer_(coalesce(layout.batch)),
        in_(static_cast<const char*>(in)),
        out_(static_cast<char*>(out)) {
    // The innermost axis, unless it is too short for the lanes and another one isn't.
    auto inner = outer_.end() - 1;
    if (2 * inner->size < kernels_.lanes)
      inner =
          std::max_element(outer_.begin(), outer_.end(),
                           [](const BatchAxis& x, const BatchAxis& y) { return x.size < y.size; });
    inner_ = *inner;
    outer_.erase(inner);
  }

  bool is_planned() const {
    const auto& steps = composition_.steps_;
    return std::all_of(steps.begin(), steps.end(), [&](const Step& step) {
      if (grid_of(step)) return false;  // never waited for with the interpreter's lock
      const Multiplication* part = butterfly_of(step);
      return !part || part->planner->is_planned(part->transpose, batch_of(*part));
    });
  }

  void run() const { in_tiles() ? run_tiles() : run_rows(); }

 private:
  typedef Composition::Plans Plans;

  bool in_tiles() const {
    const Index lanes_bytes = 2 * composition_.widest_ * kernels_.lanes * element_;
    const bool contiguous = are_contiguous();
    // Where each vector is contiguous, long ones are better off alone.
    Index most = contiguous ? Index{4} << 20 : Index{256} << 20;
    // Grids are gone through in the order of points: outside of the caches a vector alone is faster
    // (16,384 modes, 8 rows: 4.5 against 7.7 ms).
    if (has_grid())
      most = (contiguous ? 1 : 4) * l2_bytes();
    else if (contiguous && composition_.by_vectors_ &&
             (!composition_.wide_ || lanes_bytes > l2_bytes() / 32))  // tiles leave L1
      return false;
    return 2 * inner_.size >= kernels_.lanes && lanes_bytes <= most;
  }

  bool are_contiguous() const { return layout_.in_stride == 1 && layout_.out_stride == 1; }
  bool has_grid() const {
    const auto& steps = composition_.steps_;
    return std::any_of(steps.begin(), steps.end(), grid_of);
  }

  /// Columns of a tile, where threads don't ask for narrower ones.
  Index usual_width() const {
    const Index lanes = kernels_.lanes;
    // Two tiles here and one inside of the butterflies share the cache; but pieces of columns that
    // are shorter than some cache lines cost more than what leaves it.
    const Index fitting = l2_bytes() / 3 / (composition_.widest_ * element_) / lanes * lanes;
    const Index least = inner_.in_stride == 1 && inner_.out_stride == 1 ? 4 * lanes : lanes;
    return std::max(least, std::min(fitting, 8 * lanes));
  }

  /// The batches whose plans a butterfly runs by; they don't depend on the threads.
  BatchClass batch_of(const Multiplication& butterfly) const {
    if (!in_tiles()) return classify(row_layout(butterfly, usual_rows(), row_bytes(), row_bytes()));
    const Index usual = usual_width();
    return classify(Layout{usual, usual, {{usual, 1, 1}}});
  }

  /// A tile of columns between two steps. Row r starts at (r / 2) * pair + (r % 2) * half and goes
  /// on `step` scalars after each SIMD vector.
  struct Tile {
    const char* at;
    Index pair, half, step;
    bool part;  // no room for whole SIMD vectors at the end
  };

  /// Whether a step would write what it has still to read.
  bool needs_copy() const { return in_ == out_ && composition_.vector_steps_.size() == 1; }
  double nanoseconds() const {
    return composition_.nanoseconds_per_vector() *
           static_cast<double>(size_of(outer_) * inner_.size);
  }
  std::pair<const char*, char*> at(Index position, Index column) const {
    const auto [in, out] = offsets_of(outer_, position);
    return {in_ + (in + column * inner_.in_stride) * in_element_,
            out_ + (out + column * inner_.out_stride) * out_element_};
  }

  // ------------------------------------------------------------------ lanes along the batch

  bool reads_input() const {
    return !composition_.complex_input_ && inner_.in_stride == 1 && !needs_copy() &&
           sparse_of(composition_.steps_.front());
  }
  bool writes_output() const {
    return !composition_.complex_output_ && inner_.out_stride == 1 &&
           sparse_of(composition_.steps_.back());
  }

  void run_tiles() const {
    const Index lanes = kernels_.lanes;
    const Index usual = usual_width();
    const Index outer = size_of(outer_);
    const Index threads = threads_for(outer * ((inner_.size + lanes - 1) / lanes), nanoseconds());
    const Index width =
        std::min(usual, rounded_up((inner_.size * outer + threads - 1) / threads, lanes));
    const Index tiles = (inner_.size + width - 1) / width;
    const Plans plans = this->plans();
    parallel_for(static_cast<int>(threads), outer * tiles, [&](Index task) {
      const Index first = task % tiles * width;
      const auto [from, to] = at(task / tiles, first);
      run_tile(plans, std::min(width, inner_.size - first), from, to);
    });
  }

  void run_tile(const Plans& plans, Index columns, const char* from, char* to) const {
    const auto& steps = composition_.steps_;
    const Index lanes = kernels_.lanes, width = rounded_up(columns, lanes);
    const std::size_t bytes = static_cast<std::size_t>(composition_.widest_ * width * element_);
    Lease workspace;
    char* const memory = static_cast<char*>(workspace.reserve(2 * bytes));
    int next = 0;  // the buffer that the next step writes
    const auto whole = [&](char* buffer) { return Tile{buffer, 2 * width, width, lanes, false}; };
    const auto split = [&](char* buffer) {
      return Tile{buffer, 2 * width, lanes, 2 * lanes, false};
    };
    const bool reads = reads_input(), writes = writes_output();
    Tile tile;
    if (reads) {
      tile = {from, 2 * layout_.in_stride, layout_.in_stride, lanes, true};
    } else {
      char* buffer = memory;
      next = 1;
      in_kernels_.pack({composition_.cols(), columns, layout_.in_stride, inner_.in_stride, width,
                        nullptr, nullptr, false, width},
                       from, buffer);
      tile = composition_.complex_input_ ? split(buffer) : whole(buffer);
      if (composition_.complex_input_)
        kernels_.sparse.split({composition_.cols(), width / lanes, 2 * width}, buffer);
    }
    for (std::size_t n = 0; n < steps.size(); ++n) {
      char* const buffer = memory + static_cast<std::size_t>(next) * bytes;
      const bool last = n + 1 == steps.size();
      if (const SparseMatrix* part = sparse_of(steps[n])) {
        const bool pairs = last ? composition_.complex_output_ : is_complex_step(steps[n + 1]);
        const Tile target = last && writes
                                ? Tile{to, 2 * layout_.out_stride, layout_.out_stride, lanes, true}
                            : pairs ? split(buffer)
                                    : whole(buffer);
        multiply(*part, tile, target, columns);
        tile = target;
      } else if (const OnGrid* grid = grid_of(steps[n])) {
        multiply(*grid, width, const_cast<char*>(tile.at), buffer);
        tile = grid->is_complex() ? split(buffer) : whole(buffer);
      } else {
        const Multiplication& butterfly = *butterfly_of(steps[n]);
        multiply(butterfly, *plans[n], width, const_cast<char*>(tile.at), buffer);
        tile = butterfly.is_complex() ? split(buffer) : whole(buffer);
      }
      next = 1 - next;
    }
    if (writes) return;
    char* const result = const_cast<char*>(tile.at);
    if (composition_.complex_output_)
      kernels_.sparse.join({composition_.rows(), width / lanes, 2 * width}, result);
    out_kernels_.unpack({composition_.rows(), columns, layout_.out_stride, inner_.out_stride, width,
                         nullptr, nullptr, false},
                        result, to);
  }

  void multiply(const SparseMatrix& part, const Tile& from, const Tile& to, Index columns) const {
    kernels::SparseArguments work{};
    work.in = from.at;
    work.in_pair = from.pair;
    work.in_half = from.half;
    work.in_step = from.step;
    work.in_part = from.part;
    work.out = const_cast<char*>(to.at);
    work.out_pair = to.pair;
    work.out_half = to.half;
    work.out_step = to.step;
    work.out_part = to.part;
    work.count = columns / kernels_.lanes;
    work.tail = columns % kernels_.lanes;
    for (const SparseMatrix::Run& run : part.runs()) {
      set_run(work, part, run);
      const double each = static_cast<double>((run.length + 1) * (work.count + 1));
      in_shares(run.rows, each, [&](Index first, Index last) {
        kernels::SparseArguments own = work;
        own.first = first;
        own.last = last;
        kernels_.sparse.columns(own);
      });
    }
  }

  void multiply(const OnGrid& grid, Index width, char* from, char* to) const {
    const Index in_copy = grid.cols() / grid.copies * width * element_;
    const Index out_copy = grid.rows() / grid.copies * width * element_;
    for (Index copy = 0; copy < grid.copies; ++copy, from += in_copy, to += out_copy)
      grid.step->run_tile(from, to, width, usual_width());
  }

  /// `from` and `to` are tiles of `width` columns; what is past the batch's end is computed too.
  void multiply(const Multiplication& butterfly, const Plan& plan, Index width, char* from,
                char* to) const {
    const Index in_copy = butterfly.cols() / butterfly.copies * width * element_;
    const Index out_copy = butterfly.rows() / butterfly.copies * width * element_;
    for (Index copy = 0; copy < butterfly.copies; ++copy, from += in_copy, to += out_copy) {
      Layout layout{width, width, {{width, 1, 1}}};
      if (butterfly.is_complex()) {
        const Splits splits = splits_of(plan);
        layout.in_split = splits.in;
        layout.out_split = splits.out;
        if (!splits.in)
          kernels_.sparse.join(
              {butterfly.cols() / butterfly.copies / 2, width / kernels_.lanes, 2 * width}, from);
      }
      papilio::execute(plan, layout, butterfly.conjugate, from, to);
      if (butterfly.is_complex() && !layout.out_split)
        kernels_.sparse.split(
            {butterfly.rows() / butterfly.copies / 2, width / kernels_.lanes, 2 * width}, to);
    }
  }

  // ------------------------------------------------------------------ some vectors at a time

  /// Contiguous vectors of real numbers, `step` bytes from one to the next.
  struct Rows {
    char* at;
    Index step;
  };

  /// From a row of the workspace to the next: not a power of two, whose rows share sets of a cache.
  Index row_bytes() const { return rounded_up(composition_.widest_ * element_, 64) + 64; }

  /// Vectors that go through the steps together, where threads don't ask for fewer: the next step
  /// finds them in L2, beside the matrices.
  Index usual_rows() const {
    if (inner_.size == 1 || !are_contiguous() || has_grid()) return 1;
    return std::max<Index>(1, std::min({l2_bytes() / 8 / row_bytes(), inner_.size, Index{64}}));
  }

  void run_rows() const {
    const Plans plans = this->plans();
    const Index outer = size_of(outer_), vectors = outer * inner_.size;
    if (vectors == 1) return run_group(plans, 1, in_, out_);  // which doesn't wait for a division
    const int threads = threads_for(vectors, nanoseconds());
    // Many vectors are shared out; of a few, each is worked on by all threads.
    const bool shared = threads > 1 && vectors >= 2 * threads;
    const Index most = shared ? vectors / (2 * threads) : threads == 1 ? vectors : 1;
    const Index width = std::min(usual_rows(), most), groups = (inner_.size + width - 1) / width;
    auto run_group = [&](Index group) {
      const Index first = group % groups * width;
      const auto [from, to] = at(group / groups, first);
      this->run_group(plans, std::min(width, inner_.size - first), from, to);
    };
    if (shared)
      parallel_for(threads, outer * groups, run_group);
    else
      for (Index group = 0; group < outer * groups; ++group) run_group(group);
  }

  /// Rows for the copies of a butterfly, in its elements.
  static Layout row_layout(const Multiplication& butterfly, Index rows, Index in_step,
                           Index out_step) {
    const Index parts = butterfly.copies * (butterfly.is_complex() ? 2 : 1);
    const Index element = static_cast<Index>(size_of(butterfly.planner->chain().dtype));
    Layout layout{1, 1, {}};
    if (rows > 1) layout.batch.push_back({rows, in_step / element, out_step / element});
    if (butterfly.copies > 1)
      layout.batch.push_back(
          {butterfly.copies, butterfly.cols() / parts, butterfly.rows() / parts});
    return layout;
  }

  void run_group(const Plans& plans, Index rows, const char* from, char* to) const {
    const auto& steps = composition_.steps_;
    const std::size_t bytes = static_cast<std::size_t>(rows * row_bytes());
    Lease workspace;
    char* const memory = static_cast<char*>(workspace.reserve(2 * bytes));
    int next = 0;
    // Nothing is written to where it comes from but by steps that own all of it.
    Rows group{const_cast<char*>(from), inner_.in_stride * in_element_};
    const Rows result{to, inner_.out_stride * out_element_};
    if (layout_.in_stride != 1 || needs_copy()) {
      for (Index row = 0; row < rows; ++row)
        in_kernels_.pack({1, composition_.cols(), 0, layout_.in_stride, 0, nullptr, nullptr, false},
                         group.at + row * group.step, memory + row * row_bytes());
      group = {memory, row_bytes()};
      next = 1;
    }
    const std::size_t last = composition_.vector_steps_.back();
    for (const std::size_t n : composition_.vector_steps_) {
      const Rows target = n == last && layout_.out_stride == 1
                              ? result
                              : Rows{memory + static_cast<std::size_t>(next) * bytes, row_bytes()};
      if (const SparseMatrix* part = sparse_of(steps[n]))
        multiply(*part, rows, group, target);
      else if (const OnGrid* grid = grid_of(steps[n]))
        multiply(*grid, group.at, target.at, group.at != from);
      else
        multiply(*butterfly_of(steps[n]), *plans[n], rows, group, target);
      group = target;
      next = 1 - next;
    }
    if (layout_.out_stride == 1) return;
    for (Index row = 0; row < rows; ++row)
      out_kernels_.unpack(
          {1, composition_.rows(), 0, layout_.out_stride, 0, nullptr, nullptr, false},
          group.at + row * group.step, result.at + row * result.step);
  }

  void multiply(const Multiplication& butterfly, const Plan& plan, Index rows, Rows from,
                Rows to) const {
    const Index element = static_cast<Index>(size_of(butterfly.planner->chain().dtype));
    // Complex numbers may be read from rows of real ones that aren't a whole number of them apart.
    const bool together = rows == 1 || (from.step % element == 0 && to.step % element == 0);
    for (Index row = 0; row < rows; row += together ? rows : 1)
      papilio::execute(plan, row_layout(butterfly, together ? rows : 1, from.step, to.step),
                       butterfly.conjugate, from.at + row * from.step, to.at + row * to.step);
  }

  void multiply(const OnGrid& grid, const char* from, char* to, bool scratch) const {
    const Index in_copy = grid.cols() / grid.copies * element_;
    const Index out_copy = grid.rows() / grid.copies * element_;
    for (Index copy = 0; copy < grid.copies; ++copy, from += in_copy, to += out_copy)
      grid.step->run_vector(from, to, scratch);
  }

  void multiply(const SparseMatrix& part, Index rows, Rows from, Rows to) const {
    kernels::SparseStretch stretches[SparseMatrix::most_stretches];
    kernels::SparseArguments work{};
    work.stretches = stretches;
    work.in = from.at;
    work.out = to.at;
    work.count = rows;
    if (rows > 1) {
      work.in_step = from.step / element_;
      work.out_step = to.step / element_;
    }
    for (const SparseMatrix::Run& run : part.runs()) {
      set_run(work, part, run);
      for (std::size_t n = 0; n < run.stretches; ++n) {
        const SparseMatrix::Stretch& own = part.stretches()[run.stretch + n];
        stretches[n] = {own.first, own.last,         own.groups,
                        own.wide,  part.starts(own), part.offsets(own)};
      }
      work.stretch_count = static_cast<Index>(run.stretches);
      const double each = static_cast<double>(run.length + 1) * static_cast<double>(rows);
      in_shares(run.rows, each, [&](Index first, Index last) {
        kernels::SparseArguments own = work;
        // As many of its rows as stay in a cache while all vectors pass.
        const Index each_bytes = (run.length + 1) * (element_ + 4);
        const Index some = rows == 1 ? last : std::max<Index>(1, 65536 / each_bytes);
        for (own.first = first; own.first < last; own.first = own.last) {
          own.last = std::min(last, own.first + some);
          kernels_.sparse.vectors(own);
        }
      });
    }
  }

  // ------------------------------------------------------------------ both

  static void set_run(kernels::SparseArguments& work, const SparseMatrix& part,
                      const SparseMatrix::Run& run) {
    work.columns = part.columns(run);
    work.values = part.values(run);
    work.row = run.row;
    work.rows = run.rows;
    work.length = run.length;
  }

  Plans plans() const {
    Plans plans;
    for (const Step& step : composition_.steps_) {
      const Multiplication* part = butterfly_of(step);
      plans.push_back(part ? part->planner->plan(part->transpose, batch_of(*part)) : nullptr);
    }
    return plans;
  }

  const Composition& composition_;
  const Layout& layout_;
  const Kernels &kernels_, &in_kernels_, &out_kernels_;
  const Index element_, in_element_, out_element_;
  std::vector<BatchAxis> outer_;  // all batch axes but the innermost
  BatchAxis inner_;
  const char* in_;
  char* out_;
};

bool Composition::is_planned(const Layout& layout) const {
  return Passage(*this, layout, nullptr, nullptr).is_planned();
}

void Composition::execute(const Layout& layout, const void* in, void* out) const {
  for (const BatchAxis& axis : layout.batch)
    if (axis.size == 0) return;
  Passage(*this, layout, in, out).run();
}

}  // namespace papilio
