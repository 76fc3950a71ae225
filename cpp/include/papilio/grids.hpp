// Steps of compositions on periodic grids of one to three dimensions: Fourier transforms that are
// padded or cropped, and interpolation at points.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "papilio/apply.hpp"

namespace papilio {

/// A step of a composition that is neither a butterfly nor a sparse matrix. Vectors of `cols()`
/// elements become vectors of `rows()`: complex numbers if is_complex(), else real ones.
class GridStep {
 public:
  virtual ~GridStep() = default;
  virtual Index rows() const = 0;
  virtual Index cols() const = 0;
  virtual bool is_complex() const = 0;
  virtual double nanoseconds() const = 0;

  /// One contiguous vector, by all threads; `in` may be overwritten if `scratch`.
  virtual void run_vector(const void* in, void* out, bool scratch) const = 0;

  /// A tile of `width` vectors, a multiple of the lanes: what belongs to one element is contiguous,
  /// complex numbers are split. `in` may be overwritten. Plans are those for `usual` vectors.
  virtual void run_tile(void* in, void* out, Index width, Index usual) const = 0;
};

/// The sizes of a grid; in C order, of one to three dimensions.
typedef std::vector<Index> GridShape;

/// Points on a periodic grid and the window around each: a product of one polynomial per dimension
/// and cell.
class GridPoints {
 public:
  /// `angles` are points x dimensions numbers, of which 2 pi is a period of the grid. Weight j of a
  /// window at offset u from -1 to 1 is sum_k coefficients[k * width + j] u^(degree - k); the
  /// window starts at the first cell that is at most width / 2 cells before the point, u being
  /// twice the distance between the two less one. Throws std::invalid_argument if the sizes don't
  /// fit.
  GridPoints(DType real, GridShape shape, Index width, Index degree, const double* coefficients,
             Index points, const double* angles);
  ~GridPoints();
  GridPoints(const GridPoints&) = delete;
  GridPoints& operator=(const GridPoints&) = delete;

  struct Sorted;
  const Sorted& sorted() const { return *sorted_; }

 private:
  std::unique_ptr<const Sorted> sorted_;
};

/// Interpolation from the grid at the points, or (transpose) spreading from the points to it, of
/// complex or real numbers.
std::shared_ptr<const GridStep> interpolation(std::shared_ptr<const GridPoints> points,
                                              bool transpose, bool complex);

/// One dimension of a grid: the transform of its cells, and its modes. The negative ones, which the
/// grid ends with, are the first (centered) or the last of them.
struct GridAxis {
  Planner* dft;                // not owned
  std::vector<double> scales;  // of the modes
  Index negative;
  bool centered;
};

/// Modes times their scales, on a grid with zeros elsewhere, transformed: sum_k x_k exp(-i k p) at
/// all cells p, with the other sign if conjugate. The transpose transforms the grid and keeps the
/// modes. Where modes are zeros or aren't kept, nothing is transformed.
std::shared_ptr<const GridStep> grid_transform(std::vector<GridAxis> axes, bool transpose,
                                               bool conjugate);

}  // namespace papilio
