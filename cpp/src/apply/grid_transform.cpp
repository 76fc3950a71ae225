// Fourier transforms of modes on a larger grid, axis by axis, which leave out what is zero.
#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernels/dispatch.hpp"
#include "papilio/grids.hpp"
#include "papilio/threads.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

/// Modes that are neighbours, and the cells that they are.
struct Range {
  Index mode, cell, count;
};

struct Axis {
  Planner* dft;
  Index modes, cells;
  std::vector<double> scales;
  Range low, high;  // at the start of the cells, at their end

  Index cell_of(Index mode) const {
    const Index from_low = mode - low.mode;
    return from_low >= 0 && from_low < low.count ? from_low : high.cell + mode - high.mode;
  }
};

Axis made(GridAxis given) {
  if (!given.dft || given.dft->chain().rows() != given.dft->chain().cols())
    throw std::invalid_argument("an axis of a grid needs a square transform");
  if (!holds_complex(given.dft->chain().dtype))
    throw std::invalid_argument("an axis of a grid needs a complex transform");
  Axis axis;
  axis.dft = given.dft;
  axis.cells = given.dft->chain().rows();
  axis.modes = static_cast<Index>(given.scales.size());
  axis.scales = std::move(given.scales);
  if (axis.modes < 1 || axis.modes > axis.cells || given.negative < 0 ||
      given.negative > axis.modes)
    throw std::invalid_argument("an axis of a grid has more modes than cells");
  const Index last = axis.modes - given.negative;
  axis.low = {given.centered ? given.negative : 0, 0, last};
  axis.high = {given.centered ? 0 : last, axis.cells - given.negative, given.negative};
  return axis;
}

/// A complex transform along one axis of (before, cells, after) numbers of `width` vectors each,
/// which lie split; or of one vector.
class GridTransform : public GridStep {
 public:
  GridTransform(std::vector<GridAxis> axes, bool transpose, bool conjugate)
      : transpose_(transpose), conjugate_(conjugate) {
    if (axes.empty() || axes.size() > 3)
      throw std::invalid_argument("a grid has one to three dimensions");
    modes_ = cells_ = 1;
    for (GridAxis& given : axes) {
      axes_.push_back(made(std::move(given)));
      const Axis& axis = axes_.back();
      if (axis.cells > std::numeric_limits<std::int32_t>::max() / cells_)
        throw std::invalid_argument("a grid has fewer than 2^31 cells");
      modes_ *= axis.modes;
      cells_ *= axis.cells;
      if (axis.dft->chain().dtype != axes_.front().dft->chain().dtype)
        throw std::invalid_argument("the axes of a grid have one dtype");
    }
    dtype_ = axes_.front().dft->chain().dtype;
    real_ = dtype_ == DType::complex64 ? DType::float32 : DType::float64;
    element_ = static_cast<Index>(size_of(dtype_));
  }

  Index rows() const override { return transpose_ ? modes_ : cells_; }
  Index cols() const override { return transpose_ ? cells_ : modes_; }
  bool is_complex() const override { return true; }
  double nanoseconds() const override {
    return (dtype_ == DType::complex64 ? 5.0 : 8.0) * static_cast<double>(cells_);
  }

  void run_vector(const void* in, void* out, bool scratch) const override {
    transpose_ ? crop_vector(static_cast<const char*>(in), static_cast<char*>(out), scratch)
               : pad_vector(static_cast<const char*>(in), static_cast<char*>(out));
  }

  void run_tile(void* in, void* out, Index width, Index usual) const override {
    transpose_ ? crop_tile(static_cast<char*>(in), static_cast<char*>(out), width, usual)
               : pad_tile(static_cast<char*>(in), static_cast<char*>(out), width, usual);
  }

 private:
  typedef std::shared_ptr<const Plan> PlanPointer;

  const Axis& last() const { return axes_.back(); }
  Index others() const { return static_cast<Index>(axes_.size()) - 1; }

  /// Cells from one of the axis to the next.
  Index after(Index axis) const {
    Index count = 1;
    for (std::size_t n = static_cast<std::size_t>(axis) + 1; n < axes_.size(); ++n)
      count *= axes_[n].cells;
    return count;
  }

  /// The row of cells (along the last axis) and the scale of row number `row` of the modes.
  std::pair<Index, double> place_of(Index row) const {
    Index cell = 0, step = 1;
    double scale = 1;
    for (Index n = others() - 1; n >= 0; --n) {
      const Axis& axis = axes_[static_cast<std::size_t>(n)];
      const Index mode = row % axis.modes;
      row /= axis.modes;
      cell += step * axis.cell_of(mode);
      step *= axis.cells;
      scale *= axis.scales[static_cast<std::size_t>(mode)];
    }
    return {cell, scale};
  }

  /// Calls slab(first cell) for all slabs of (cells of the axis, after) that have modes in them.
  template <class Slab>
  void for_slabs(Index axis, Slab slab) const {
    Index count = 1;
    for (Index n = 0; n < axis; ++n) count *= axes_[static_cast<std::size_t>(n)].modes;
    const Index size = axes_[static_cast<std::size_t>(axis)].cells * after(axis);
    for (Index number = 0; number < count; ++number) {
      Index rest = number, place = 0, step = 1;
      for (Index n = axis - 1; n >= 0; --n) {
        const Axis& other = axes_[static_cast<std::size_t>(n)];
        place += step * other.cell_of(rest % other.modes);
        rest /= other.modes;
        step *= other.cells;
      }
      slab(place * size);
    }
  }

  // ------------------------------------------------------------------ one vector

  template <class T>
  static void scaled(const T* from, T* to, const double* scales, T scale, Index count) {
    for (Index n = 0; n < count; ++n) {
      const T factor = scale * static_cast<T>(scales[n]);
      to[2 * n] = from[2 * n] * factor;
      to[2 * n + 1] = from[2 * n + 1] * factor;
    }
  }

  void scale_range(const char* from, char* to, Index mode, double scale, Index count) const {
    const double* scales = last().scales.data() + mode;
    if (real_ == DType::float32)
      scaled(reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to), scales,
             static_cast<float>(scale), count);
    else
      scaled(reinterpret_cast<const double*>(from), reinterpret_cast<double*>(to), scales, scale,
             count);
  }

  void zero(char* cells, Index count) const {
    std::memset(cells, 0, static_cast<std::size_t>(count * element_));
  }

  void pad_row(const char* modes, char* cells, double scale) const {
    const Range &low = last().low, &high = last().high;
    scale_range(modes + low.mode * element_, cells, low.mode, scale, low.count);
    zero(cells + low.count * element_, high.cell - low.count);
    scale_range(modes + high.mode * element_, cells + high.cell * element_, high.mode, scale,
                high.count);
  }
  void crop_row(const char* cells, char* modes, double scale) const {
    const Range &low = last().low, &high = last().high;
    scale_range(cells, modes + low.mode * element_, low.mode, scale, low.count);
    scale_range(cells + high.cell * element_, modes + high.mode * element_, high.mode, scale,
                high.count);
  }

  /// Rows of cells that are worked on together: some that stay in cache.
  Index block_rows() const { return std::max(Index{1}, Index{65536} / (last().cells * element_)); }
  Layout row_layout(Index rows) const { return {1, 1, {{rows, last().cells, last().cells}}}; }
  PlanPointer row_plan() const {
    return last().dft->plan(false,
                            classify(others() ? row_layout(block_rows()) : Layout{1, 1, {}}));
  }

  /// Calls block(first row, rows, buffer for as many rows of cells) for all rows of modes.
  template <class Block>
  void for_blocks(Block block) const {
    const Index rows = modes_ / last().modes, most = block_rows();
    const Index count = (rows + most - 1) / most;
    const int threads = threads_for(count, 5 * static_cast<double>(rows * last().cells));
    parallel_for(threads, count, [&](Index number) {
      const Index first = number * most;
      Lease workspace;
      char* const buffer = static_cast<char*>(
          workspace.reserve(static_cast<std::size_t>(most * last().cells * element_)));
      block(first, std::min(most, rows - first), buffer);
    });
  }

  void transform(const Plan& plan, const Layout& layout, const char* in, char* out) const {
    papilio::execute(plan, layout, conjugate_, in, out);
  }

  void pad_vector(const char* in, char* out) const {
    const PlanPointer plan = row_plan();
    if (others() == 0) {
      Lease workspace;
      char* const padded =
          static_cast<char*>(workspace.reserve(static_cast<std::size_t>(cells_ * element_)));
      pad_row(in, padded, 1);
      return transform(*plan, {1, 1, {}}, padded, out);
    }
    for_gaps([&](Index cell, Index count) { zero(out + cell * element_, count); });
    for_blocks([&](Index first, Index rows, char* buffer) {
      const Index row_bytes = last().cells * element_;
      Index at[2] = {place_of(first).first, 0};
      for (Index row = 0, begun = 0; row < rows; ++row) {
        const auto [place, scale] = place_of(first + row);
        pad_row(in + (first + row) * last().modes * element_, buffer + row * row_bytes, scale);
        at[1] = row + 1 < rows ? place_of(first + row + 1).first : -1;
        if (at[1] == place + 1) continue;
        // Rows that lie together are transformed together.
        transform(*plan, row_layout(row + 1 - begun), buffer + begun * row_bytes,
                  out + at[0] * row_bytes);
        begun = row + 1;
        at[0] = at[1];
      }
    });
    for (Index axis = others() - 1; axis >= 0; --axis) along(axis, out, out);
  }

  /// Calls gap(first cell, cells) for what no row of modes covers.
  template <class Gap>
  void for_gaps(Gap gap) const {
    for (Index axis = 0; axis < others(); ++axis) {
      const Axis& own = axes_[static_cast<std::size_t>(axis)];
      const Index step = after(axis), from = own.low.count, to = own.high.cell;
      for_slabs(axis, [&](Index slab) { gap(slab + from * step, (to - from) * step); });
    }
  }

  /// A transform along one of the other axes.
  void along(Index axis, const char* in, char* out) const {
    const Index step = after(axis);
    Planner& dft = *axes_[static_cast<std::size_t>(axis)].dft;
    const Layout layout{step, step, {{step, 1, 1}}};
    const PlanPointer plan = dft.plan(false, classify(layout));
    for_slabs(axis, [&](Index slab) {
      transform(*plan, layout, in + slab * element_, out + slab * element_);
    });
  }

  void crop_vector(const char* in, char* out, bool scratch) const {
    const PlanPointer plan = row_plan();
    Lease workspace;
    char* cells = const_cast<char*>(in);
    if (!scratch || others() == 0)
      cells = static_cast<char*>(workspace.reserve(static_cast<std::size_t>(cells_ * element_)));
    if (others() == 0) {
      transform(*plan, {1, 1, {}}, in, cells);
      return crop_row(cells, out, 1);
    }
    for (Index axis = 0; axis < others(); ++axis) along(axis, axis == 0 ? in : cells, cells);
    for_blocks([&](Index first, Index rows, char* buffer) {
      const Index row_bytes = last().cells * element_;
      for (Index row = 0; row < rows;) {
        const Index place = place_of(first + row).first;
        Index count = 1;
        while (row + count < rows && place_of(first + row + count).first == place + count) ++count;
        transform(*plan, row_layout(count), cells + place * row_bytes, buffer);
        for (Index n = 0; n < count; ++n)
          crop_row(buffer + n * row_bytes, out + (first + row + n) * last().modes * element_,
                   place_of(first + row + n).second);
        row += count;
      }
    });
  }

  // ------------------------------------------------------------------ a tile of vectors

  template <class T>
  static void scaled_block(const char* from, char* to, double scale, Index scalars) {
    const T factor = static_cast<T>(scale);
    const T* __restrict x = reinterpret_cast<const T*>(from);
    T* __restrict y = reinterpret_cast<T*>(to);
    for (Index n = 0; n < scalars; ++n) y[n] = x[n] * factor;
  }

  /// Calls mode(its number, its cell, its scale) for all modes.
  template <class Mode>
  void for_modes(Mode mode) const {
    const Index rows = modes_ / last().modes;
    for (Index row = 0; row < rows; ++row) {
      const auto [place, scale] = place_of(row);
      for (Index n = 0; n < last().modes; ++n)
        mode(row * last().modes + n, place * last().cells + last().cell_of(n),
             scale * last().scales[static_cast<std::size_t>(n)]);
    }
  }

  void scale_block(const char* from, char* to, double scale, Index width) const {
    real_ == DType::float32 ? scaled_block<float>(from, to, scale, 2 * width)
                            : scaled_block<double>(from, to, scale, 2 * width);
  }

  /// The transform along an axis of a tile, from one memory to another.
  void along(Index axis, char* in, char* out, Index width, Index usual) const {
    const Index cells = axes_[static_cast<std::size_t>(axis)].cells, step = after(axis);
    Planner& dft = *axes_[static_cast<std::size_t>(axis)].dft;
    const Index vectors = step * width, planned = step * usual;
    const PlanPointer plan = dft.plan(false, classify({planned, planned, {{planned, 1, 1}}}));
    Layout layout{vectors, vectors, {{vectors, 1, 1}}};
    const Splits splits = splits_of(*plan);
    layout.in_split = splits.in;
    layout.out_split = splits.out;
    const kernels::Kernels& real = kernels::kernels_for(real_);
    const kernels::TileArguments tile{cells * step, width / real.lanes, 2 * width};
    const Index bytes = width * element_;
    for_slabs(axis, [&](Index slab) {
      if (!splits.in) real.sparse.join(tile, in + slab * bytes);
      transform(*plan, layout, in + slab * bytes, out + slab * bytes);
      if (!splits.out) real.sparse.split(tile, out + slab * bytes);
    });
  }

  std::size_t tile_bytes(Index width) const {
    return static_cast<std::size_t>(cells_ * width * element_);
  }

  void pad_tile(char* in, char* out, Index width, Index usual) const {
    Lease workspace;
    char* const other = static_cast<char*>(workspace.reserve(tile_bytes(width)));
    // The last axis, which writes into `out`, is the first one.
    char* cells = others() % 2 ? out : other;
    const Index bytes = width * element_;
    std::memset(cells, 0, tile_bytes(width));
    for_modes([&](Index mode, Index cell, double scale) {
      scale_block(in + mode * bytes, cells + cell * bytes, scale, width);
    });
    for (Index axis = others(); axis >= 0; --axis) {
      char* const next = cells == out ? other : out;
      if (axis > 0) clear_gaps(axis, next, width);
      along(axis, cells, next, width, usual);
      cells = next;
    }
  }

  /// Slabs that a transform along `axis` leaves out are zeros.
  void clear_gaps(Index axis, char* cells, Index width) const {
    const Index bytes = width * element_;
    for (Index other = 0; other < axis; ++other) {
      const Axis& own = axes_[static_cast<std::size_t>(other)];
      const Index step = after(other), from = own.low.count, to = own.high.cell;
      for_slabs(other, [&](Index slab) {
        std::memset(cells + (slab + from * step) * bytes, 0,
                    static_cast<std::size_t>((to - from) * step * bytes));
      });
    }
  }

  void crop_tile(char* in, char* out, Index width, Index usual) const {
    Lease workspace;
    char* const other = static_cast<char*>(workspace.reserve(tile_bytes(width)));
    char* cells = in;
    for (Index axis = 0; axis <= others(); ++axis) {
      char* const next = cells == in ? other : in;
      along(axis, cells, next, width, usual);
      cells = next;
    }
    const Index bytes = width * element_;
    for_modes([&](Index mode, Index cell, double scale) {
      scale_block(cells + cell * bytes, out + mode * bytes, scale, width);
    });
  }

  std::vector<Axis> axes_;
  bool transpose_, conjugate_;
  Index modes_, cells_, element_;
  DType dtype_, real_;
};

}  // namespace

std::shared_ptr<const GridStep> grid_transform(std::vector<GridAxis> axes, bool transpose,
                                               bool conjugate) {
  return std::make_shared<GridTransform>(std::move(axes), transpose, conjugate);
}

}  // namespace papilio
