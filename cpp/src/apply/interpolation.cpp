#include "apply/interpolation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"
#include "parallel/workspace.hpp"

namespace papilio {

namespace {

using kernels::widest_window;
using kernels::WindowArguments;
typedef GridPoints::Sorted Sorted;

// Cells of a tile along each dimension: with its margin a tile of complex128 fits into the L2.
constexpr Index tiles_of_dimensions[3][3] = {{1, 1, 2048}, {1, 32, 64}, {12, 12, 24}};

/// 1 / (2 pi) as a sum of two doubles.
constexpr double turn = 0.15915494309189535, turn_low = -9.839338337591e-18;

/// Beyond, places are not known to a cell: the library wraps angles that are larger than 2^22.
constexpr double largest_angle = 1 << 23;

/// The place of an angle on a circle of `size` cells, from 0 to size, but for a rounding error.
/// Points far away lose nothing: the product is exact to twice the precision.
double place_of(double angle, double size) {
  const double scale = size * turn;
  const double scale_low = std::fma(size, turn, -scale) + size * turn_low;
  const double place = angle * scale;
  const double low = std::fma(angle, scale, -place) + angle * scale_low;
  return std::fma(-size, std::floor(place / size), place) + low;
}

Triple padded(const GridShape& shape) {
  Triple sizes{1, 1, 1};
  std::copy(shape.begin(), shape.end(), sizes.end() - static_cast<Index>(shape.size()));
  return sizes;
}

/// How many tiles there are along a dimension: one, or an even number, so that every second one can
/// be worked on while its neighbours rest, none narrower than the margin of a window.
Index tiles_along(Index size, Index usual, Index width) {
  const Index count = size / std::max(usual, width) / 2 * 2;
  return std::max(count, Index{1});
}

Index index_in(const Triple& sizes, Index i, Index j, Index k) {
  return (i * sizes[1] + j) * sizes[2] + k;
}

/// Where tile number n of a dimension begins, which has `count` of `size` cells.
Index begin_of(Index size, Index count, Index n) { return size * n / count; }

struct Place {
  std::int32_t cells[3];
  double offsets[3];
};

Place placed(const Sorted& sorted, const double* angles) {
  Place place{};
  const Index missing = 3 - sorted.dimensions;
  for (Index d = 0; d < sorted.dimensions; ++d) {
    const Index size = sorted.size[static_cast<std::size_t>(d + missing)];
    const double start =
        place_of(angles[d], static_cast<double>(size)) - 0.5 * static_cast<double>(sorted.width);
    const double first = std::ceil(start);
    Index cell = static_cast<Index>(first);
    cell += cell < 0 ? size : cell >= size ? -size : 0;
    place.cells[d] = static_cast<std::int32_t>(cell);
    place.offsets[d] = 2 * (first - start) - 1;
  }
  return place;
}

Index tile_of(const Sorted& sorted, const Place& place) {
  const Index missing = 3 - sorted.dimensions;
  Triple at{0, 0, 0};
  for (Index d = 0; d < sorted.dimensions; ++d) {
    const std::size_t n = static_cast<std::size_t>(d + missing);
    // The last tile that begins at most here.
    at[n] = ((place.cells[d] + 1) * sorted.tiles[n] - 1) / sorted.size[n];
  }
  return index_in(sorted.tiles, at[0], at[1], at[2]);
}

template <class T>
void sort_points(Sorted& sorted, const double* angles, T) {
  const Index dimensions = sorted.dimensions, points = sorted.points;
  const std::size_t count = static_cast<std::size_t>(points);
  std::vector<Place> places(count);
  std::vector<std::int32_t> tile_numbers(count);
  std::vector<Index>& starts = sorted.starts;
  starts.assign(static_cast<std::size_t>(sorted.tiles[0] * sorted.tiles[1] * sorted.tiles[2]) + 1,
                0);
  for (Index point = 0; point < points; ++point) {
    if (point % 65536 == 0) poll_interruption();
    const std::size_t n = static_cast<std::size_t>(point);
    places[n] = placed(sorted, angles + point * dimensions);
    const Index tile = tile_of(sorted, places[n]);
    tile_numbers[n] = static_cast<std::int32_t>(tile);
    ++starts[static_cast<std::size_t>(tile) + 1];
  }
  for (std::size_t n = 1; n < starts.size(); ++n) starts[n] += starts[n - 1];
  std::vector<Index> next(starts.begin(), starts.end() - 1);
  sorted.cells.resize(count * static_cast<std::size_t>(dimensions));
  sorted.order.resize(count);
  sorted.offsets.resize(count * static_cast<std::size_t>(dimensions) * sizeof(T));
  T* const offsets = reinterpret_cast<T*>(sorted.offsets.data());
  for (Index point = 0; point < points; ++point) {
    const Place& place = places[static_cast<std::size_t>(point)];
    const Index to =
        next[static_cast<std::size_t>(tile_numbers[static_cast<std::size_t>(point)])]++;
    sorted.order[static_cast<std::size_t>(to)] = static_cast<std::int32_t>(point);
    for (Index d = 0; d < dimensions; ++d) {
      sorted.cells[static_cast<std::size_t>(to * dimensions + d)] = place.cells[d];
      offsets[to * dimensions + d] = static_cast<T>(place.offsets[d]);
    }
  }
}

/// A tile of the grid, its own cells and the margin that windows reach into.
struct TileBox {
  Triple origin, cells, extent;  // cells of its own, and with the margin
};

TileBox box_of(const Sorted& sorted, const Triple& at) {
  TileBox box{};
  for (std::size_t d = 0; d < 3; ++d) {
    box.origin[d] = begin_of(sorted.size[d], sorted.tiles[d], at[d]);
    box.cells[d] = begin_of(sorted.size[d], sorted.tiles[d], at[d] + 1) - box.origin[d];
    const bool missing = static_cast<Index>(d) < 3 - sorted.dimensions;
    box.extent[d] = box.cells[d] + (missing ? 0 : sorted.width - 1);
  }
  return box;
}

class Interpolation : public GridStep {
 public:
  Interpolation(std::shared_ptr<const GridPoints> points, bool transpose, bool complex)
      : points_(std::move(points)),
        sorted_(points_->sorted()),
        transpose_(transpose),
        complex_(complex),
        kernels_(kernels::window_kernels_for(complex ? complex_of(sorted_.real) : sorted_.real)),
        real_kernels_(kernels::window_kernels_for(sorted_.real)),
        lanes_(kernels::kernels_for(sorted_.real).lanes),
        element_(static_cast<Index>(size_of(sorted_.real)) * (complex ? 2 : 1)) {
    // Kernels read and write whole SIMD vectors of a row, of which the last may go past the window.
    slack_ = lanes_;
  }

  Index rows() const override { return transpose_ ? sorted_.cell_count() : sorted_.points; }
  Index cols() const override { return transpose_ ? sorted_.points : sorted_.cell_count(); }
  bool is_complex() const override { return complex_; }
  double nanoseconds() const override {
    double cells = 1;
    for (Index d = 0; d < sorted_.dimensions; ++d) cells *= static_cast<double>(sorted_.width);
    return static_cast<double>(sorted_.points) * (10 + 0.25 * cells) +
           static_cast<double>(sorted_.cell_count());
  }

  void run_vector(const void* in, void* out, bool) const override {
    transpose_ ? spread(in, static_cast<char*>(out)) : interpolate(in, out);
  }

  void run_tile(void* in, void* out, Index width, Index) const override {
    WindowArguments work = sorted_.arguments();
    const Index scalars = width * (complex_ ? 2 : 1);
    work.count = scalars / lanes_;
    work.pitch[2] = scalars;
    work.pitch[1] = sorted_.size[2] * work.pitch[2];
    work.pitch[0] = sorted_.size[1] * work.pitch[1];
    work.last = sorted_.points;
    work.tile = transpose_ ? out : in;
    work.values = transpose_ ? in : out;
    if (transpose_)
      std::memset(out, 0, static_cast<std::size_t>(sorted_.cell_count() * width * element_));
    (transpose_ ? real_kernels_.spread_columns : real_kernels_.interpolate_columns)(work);
  }

 private:
  static DType complex_of(DType real) {
    return real == DType::float32 ? DType::complex64 : DType::complex128;
  }

  int threads(Index tasks) const { return static_cast<int>(threads_for(tasks, nanoseconds())); }

  std::size_t tile_bytes(const TileBox& box) const {
    return static_cast<std::size_t>((box.extent[0] * box.extent[1] * box.extent[2] + slack_) *
                                    element_);
  }

  /// The arguments for the points of a tile, whose cells are in `buffer`.
  WindowArguments arguments(Index tile, const TileBox& box, void* buffer) const {
    WindowArguments work = sorted_.arguments();
    work.first = sorted_.starts[static_cast<std::size_t>(tile)];
    work.last = sorted_.starts[static_cast<std::size_t>(tile) + 1];
    std::copy(box.origin.begin(), box.origin.end(), work.origin);
    work.pitch[2] = 1;
    work.pitch[1] = box.extent[2];
    work.pitch[0] = box.extent[1] * box.extent[2];
    work.tile = buffer;
    return work;
  }

  /// Calls piece(first scalar's cell on the grid, cell of the tile, how many) for all rows of a
  /// box.
  template <class Piece>
  void for_pieces(const TileBox& box, Piece piece) const {
    const Triple& size = sorted_.size;
    for (Index i = 0; i < box.extent[0]; ++i)
      for (Index j = 0; j < box.extent[1]; ++j) {
        const Index row =
            index_in(size, (box.origin[0] + i) % size[0], (box.origin[1] + j) % size[1], 0);
        const Index to = (i * box.extent[1] + j) * box.extent[2];
        for (Index done = 0; done < box.extent[2];) {
          const Index cell = (box.origin[2] + done) % size[2];
          const Index count = std::min(box.extent[2] - done, size[2] - cell);
          piece(row + cell, to + done, count);
          done += count;
        }
      }
  }

  void interpolate(const void* in, void* out) const {
    const Triple& tiles = sorted_.tiles;
    const char* const grid = static_cast<const char*>(in);
    const Index count = tiles[0] * tiles[1] * tiles[2];
    parallel_for(threads(count), count, [&](Index tile) {
      const TileBox box = box_of(
          sorted_, {tile / (tiles[1] * tiles[2]), tile / tiles[2] % tiles[1], tile % tiles[2]});
      if (is_empty(tile)) return;
      Lease workspace;
      char* const buffer = static_cast<char*>(workspace.reserve(tile_bytes(box)));
      for_pieces(box, [&](Index from, Index to, Index cells) {
        std::memcpy(buffer + to * element_, grid + from * element_,
                    static_cast<std::size_t>(cells * element_));
      });
      // What is past the last row is multiplied by zeros: it has to be finite.
      std::memset(buffer + tile_bytes(box) - slack_ * element_, 0,
                  static_cast<std::size_t>(slack_ * element_));
      WindowArguments work = arguments(tile, box, buffer);
      work.values = out;
      kernels_.interpolate(work);
    });
  }

  bool is_empty(Index tile) const {
    const std::size_t n = static_cast<std::size_t>(tile);
    return sorted_.starts[n] == sorted_.starts[n + 1];
  }

  /// Tiles whose margins don't meet are worked on together: of each dimension first the even ones,
  /// then the odd ones. The order of the additions to a cell is that of the phases.
  void spread(const void* in, char* grid) const {
    const Triple& tiles = sorted_.tiles;
    Triple step{}, together{};
    Index phases = 1, tasks = 1;
    for (std::size_t d = 0; d < 3; ++d) {
      step[d] = tiles[d] > 1 ? 2 : 1;
      together[d] = tiles[d] / step[d];
      phases *= step[d];
      tasks *= together[d];
    }
    const Index cells = sorted_.cell_count();
    parallel_phases(threads(tasks), 1 + phases, tasks, [&](Index phase, Index task) {
      if (phase == 0) {  // every task has its share of the zeros
        const Index begin = cells * task / tasks, end = cells * (task + 1) / tasks;
        std::memset(grid + begin * element_, 0, static_cast<std::size_t>((end - begin) * element_));
        return;
      }
      Index color = phase - 1;
      Triple at{task / (together[1] * together[2]), task / together[2] % together[1],
                task % together[2]};
      for (std::size_t d = 0; d < 3; ++d) {
        at[d] = at[d] * step[d] + color % step[d];
        color /= step[d];
      }
      spread_tile(in, grid, at);
    });
  }

  void spread_tile(const void* in, char* grid, const Triple& at) const {
    const Index tile = index_in(sorted_.tiles, at[0], at[1], at[2]);
    if (is_empty(tile)) return;
    const TileBox box = box_of(sorted_, at);
    Lease workspace;
    char* const buffer = static_cast<char*>(workspace.reserve(tile_bytes(box)));
    std::memset(buffer, 0, tile_bytes(box));
    WindowArguments work = arguments(tile, box, buffer);
    work.values = const_cast<void*>(in);
    kernels_.spread(work);
    for_pieces(box, [&](Index to, Index from, Index cells) {
      const Index scalars = cells * (complex_ ? 2 : 1);
      if (sorted_.real == DType::float32)
        add<float>(grid + to * element_, buffer + from * element_, scalars);
      else
        add<double>(grid + to * element_, buffer + from * element_, scalars);
    });
  }

  template <class T>
  static void add(char* to, const char* from, Index count) {
    T* __restrict sum = reinterpret_cast<T*>(to);
    const T* __restrict more = reinterpret_cast<const T*>(from);
    for (Index n = 0; n < count; ++n) sum[n] += more[n];
  }

  std::shared_ptr<const GridPoints> points_;
  const Sorted& sorted_;
  bool transpose_, complex_;
  const kernels::WindowKernels &kernels_, &real_kernels_;
  Index lanes_, element_, slack_;
};

template <class T>
std::vector<char> packed(const double* coefficients, Index degree, Index width, T) {
  const std::size_t rows = static_cast<std::size_t>(degree + 1);
  std::vector<char> bytes(rows * static_cast<std::size_t>(widest_window) * sizeof(T), 0);
  T* const values = reinterpret_cast<T*>(bytes.data());
  for (Index k = 0; k <= degree; ++k)
    for (Index j = 0; j < width; ++j)
      values[k * widest_window + j] = static_cast<T>(coefficients[k * width + j]);
  return bytes;
}

}  // namespace

WindowArguments GridPoints::Sorted::arguments() const {
  WindowArguments work{};
  work.polynomials = polynomials.data();
  work.degree = degree;
  work.width = width;
  work.dimensions = dimensions;
  work.cells = cells.data();
  work.offsets = offsets.data();
  work.order = order.data();
  std::copy(size.begin(), size.end(), work.size);
  return work;
}

GridPoints::GridPoints(DType real, GridShape shape, Index width, Index degree,
                       const double* coefficients, Index points, const double* angles) {
  constexpr Index most = std::numeric_limits<std::int32_t>::max();
  if (holds_complex(real)) throw std::invalid_argument("windows are real");
  if (shape.empty() || shape.size() > 3)
    throw std::invalid_argument("a grid has one to three dimensions");
  if (width < 2 || width > widest_window || degree < 0)
    throw std::invalid_argument("a window has 2 to 16 cells");
  Index cells = 1;
  for (const Index size : shape) {
    if (size < 2 * width || size > most / cells)
      throw std::invalid_argument("a grid has at least two windows' cells, fewer than 2^31 in all");
    cells *= size;
  }
  if (points < 0 || points > most) throw std::invalid_argument("there are 2^31 points");
  auto sorted = std::make_unique<Sorted>();
  sorted->real = real;
  sorted->dimensions = static_cast<Index>(shape.size());
  sorted->width = width;
  sorted->degree = degree;
  sorted->points = points;
  sorted->size = padded(shape);
  for (std::size_t d = 0; d < 3; ++d) {
    const bool missing = static_cast<Index>(d) < 3 - sorted->dimensions;
    const Index usual = tiles_of_dimensions[shape.size() - 1][d];
    sorted->tiles[d] = missing ? 1 : tiles_along(sorted->size[d], usual, width);
  }
  for (Index n = 0; n < points * sorted->dimensions; ++n)
    if (!(std::abs(angles[n]) <= largest_angle))
      throw std::invalid_argument("angles must be finite, and at most 2^23 in size");
  const auto prepare = [&](auto one) {
    sorted->polynomials = packed(coefficients, degree, width, one);
    sort_points(*sorted, angles, one);
  };
  real == DType::float32 ? prepare(float{}) : prepare(double{});
  sorted_ = std::move(sorted);
}

GridPoints::~GridPoints() = default;

std::shared_ptr<const GridStep> interpolation(std::shared_ptr<const GridPoints> points,
                                              bool transpose, bool complex) {
  return std::make_shared<Interpolation>(std::move(points), transpose, complex);
}

}  // namespace papilio
