// Products X Y of two matrices with given supports: which such problems can be solved exactly
// (docs/supports.md proves it), and their exact and local solution.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/interruption.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// One set of ascending indices.
struct IndexSpan {
  const std::int32_t *first, *last;
  const std::int32_t* begin() const { return first; }
  const std::int32_t* end() const { return last; }
  Index size() const { return last - first; }
  std::int32_t operator[](Index n) const { return first[n]; }
};

/// Sets of indices in the memory of somebody else: set n is index[start[n]] .. index[start[n+1]-1].
struct IndexSetsView {
  Index size;
  const std::int64_t* start;
  const std::int32_t* index;
  IndexSpan operator[](Index n) const { return {index + start[n], index + start[n + 1]}; }
};

/// Sets of indices that own their memory.
struct IndexSets {
  std::vector<std::int64_t> start{0};
  std::vector<std::int32_t> index;
  Index size() const { return static_cast<Index>(start.size()) - 1; }
  IndexSetsView view() const { return {size(), start.data(), index.data()}; }
  IndexSpan operator[](Index n) const { return view()[n]; }
  void close() { start.push_back(static_cast<std::int64_t>(index.size())); }
};

/// Where X (rows x inner) and Y (inner x cols) may differ from zero.
struct Supports {
  Index rows, cols;
  IndexSetsView left;   // the rows of each column of X
  IndexSetsView right;  // the columns of each row of Y
  Index inner() const { return left.size; }
};

enum class ComponentKind : std::uint8_t {
  disjoint,  // one class, which overlaps no other
  complete,  // tractable through its complete classes
  open       // neither: no exact method is known
};

/// Inner indices with the same rectangle (rows of X's column) x (columns of Y's row) form a class;
/// classes that overlap, directly or through others, a component. Work and memory are near-linear
/// in the entries of the supports, but for the sweep that looks for overlaps: it costs the area of
/// the rectangles, counting equal rows and equal columns once, and leaves out what can't change
/// the components any more.
struct SupportAnalysis {
  explicit SupportAnalysis(const Supports& supports);

  /// By inner index; -1 where the rectangle is empty.
  std::vector<std::int32_t> class_of;
  /// The inner indices of each class; the first one represents it.
  IndexSets members;
  /// By class: whether it has at least as many members as its rectangle has rows or columns.
  std::vector<std::uint8_t> complete;
  std::vector<std::int32_t> component;
  std::vector<ComponentKind> kinds;  // by component
  /// Rows that lie in the same classes have one type (-1: in none); columns likewise.
  std::vector<std::int32_t> row_type, col_type;
  IndexSets class_row_types, class_col_types;
  /// In components of kind `complete`: what each incomplete class is left with outside of the
  /// complete ones, rectangles as positions within the rows and columns of the class.
  std::vector<std::int32_t> piece_class;
  IndexSets piece_rows, piece_cols;
};

/// A matrix by rows. column == nullptr: dense, strides in elements. Else sparse: row r has columns
/// column[row_start[r]] .. column[row_start[r+1]-1], ascending. Errors are those of the matrix
/// times `scale`, a power of four that brings its entries near 1: their squares neither overflow
/// nor vanish.
struct RowMatrix {
  DType dtype;
  const void* values;
  Index rows, cols;
  Index row_stride, col_stride;
  const std::int64_t* row_start;
  const std::int32_t* column;
  double scale;
};

/// The norm of the matrix, times scale, outside of all rectangles. One buffer per thread, no copy.
double norm_outside(const RowMatrix& matrix, const SupportAnalysis& analysis);

/// out[n] = entry n of the sets (the columns of each row), times scale, in double precision.
void gather_entries(const RowMatrix& matrix, const IndexSetsView& entries, void* out);

/// Solves the classes of `disjoint` components and the pieces of `complete` ones by block SVDs, on
/// all threads. x holds the values of X's columns, one after another as in supports.left; y those
/// of Y's rows; both are zero before. With a ridge mu > 0 the aim is ||A - XY||^2 + mu (||X||^2 +
/// ||Y||^2), and only `disjoint` components are solved. Returns the norm, times scale, of what no
/// factors of these ranks can keep. Each block is scaled by a power of two of its own. Memory: a
/// few blocks per thread.
double solve_pieces(const RowMatrix& matrix, const Supports& supports,
                    const SupportAnalysis& analysis, double ridge, void* x, void* y,
                    const Progress& progress);

/// Sets the complete classes of all components but `disjoint` ones (which solve_pieces solves) so
/// that XY equals the matrix on all their rectangles, whatever the other classes contribute. Where
/// they overlap, the first takes the entry.
void fill_complete(const RowMatrix& matrix, const Supports& supports,
                   const SupportAnalysis& analysis, void* x, void* y);

/// ||A - XY||, times scale, with the product in double precision, whatever made the factors.
double residual(const RowMatrix& matrix, const Supports& supports, const void* x, const void* y);

/// The problem min sum over observed (r, c) of |a_rc - (XY)_rc|^2 + ridge (||X||^2 + ||Y||^2) for
/// T = double or std::complex<double>: block coordinate descent and the gradient. Holds about four
/// numbers per observed entry and per entry of the supports. Results are the same bits for any
/// number of threads.
template <class T>
class Alternating {
 public:
  /// observed: the columns of each row, all within the rectangles; values: in their order.
  Alternating(const Supports& supports, const IndexSetsView& observed, const T* values);
  ~Alternating();

  /// Minimizes over the rows of X (given Y), then over the columns of Y, `sweeps` times, or until a
  /// sweep makes the objective smaller by less than `tolerance` of itself. Returns the objective
  /// after each sweep. before_sweep is called before each, by the calling thread; it may throw.
  std::vector<double> sweep(T* x, T* y, Index sweeps, double ridge, double tolerance,
                            const std::function<void()>& before_sweep) const;

  /// The objective, and its gradient (by real and imaginary part, as one complex number).
  double gradient(const T* x, const T* y, double ridge, T* gradient_x, T* gradient_y) const;

  enum class Order { mass, exclusiveness };

  /// A start: the classes one after another, each fitted to what those before have left. By mass:
  /// the classes with most of it that overlap no other chosen one are solved exactly, then the
  /// others. By exclusiveness, as elimination does: next the class most of whose entries no later
  /// class reaches, fitted to these. Memory: three numbers per observed entry, one class's block.
  void deflate(const IndexSetsView& classes, Order order, T* x, T* y) const;

  /// Scales each column of X and row of Y to the same norm; returns the largest ||x_i|| ||y_i||.
  double balance(T* x, T* y) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The support of one factor of a chain: the columns of each row.
struct FactorSupport {
  Index cols;
  IndexSetsView by_row;
  Index rows() const { return by_row.size; }
};

/// The problem min ||A - X_1 X_2 ... X_L||^2 over the values of factors with given supports, for
/// T = double or std::complex<double>. `values` are those of all factors, one after another, each
/// in the order of its support. The matrix (times its scale) stays where it is.
///
/// Nothing of the size of the matrix is formed: products with the factors run on the rows of A (or,
/// for the normal equations, on its columns, where that is less), 16 at a time, from the first
/// factor to the last and back, and look only at what these rows can reach; gradients are sampled
/// on the supports. The gradient by all factors costs three multiply-adds for each row of A and
/// each value. Memory: 16 numbers for each inner index per thread, about 25 numbers for each value,
/// and four bytes for each index that 16 rows reach where they don't reach all. Results are the
/// same bits for any number of threads.
template <class T>
class SupportChain {
 public:
  SupportChain(const RowMatrix& matrix, const std::vector<FactorSupport>& supports);
  ~SupportChain();

  Index size() const;  // of `values`

  /// The squared norm of A where no product of these factors reaches: part of all errors.
  double unreached() const;

  /// ||A - X_1 ... X_L||^2.
  double squared_error(const T* values) const;

  /// The squared error, and its gradient (by real and imaginary part, as one complex number).
  double gradient(const T* values, T* gradient) const;

  /// Each factor in turn: at most so many steps of conjugate gradients on its least squares
  /// problem. The error never grows.
  void sweep(T* values, Index steps) const;

  /// ||X_1 ... X_L||^2.
  double squared_norm(const T* values) const;

  /// The largest ||column i of X_1 ... X_s|| ||row i of X_s+1 ... X_L|| of all s and i.
  double growth(const T* values) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Holds the BLAS of SciPy's LAPACK to one thread while the result lives: its threads cost more
/// than they bring where SciPy calls it for tiny matrices again and again.
std::shared_ptr<void> hold_blas_to_one_thread();

}  // namespace papilio
