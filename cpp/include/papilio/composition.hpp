// Products with butterflies and sparse matrices, one after the other, on tiles that stay in cache.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "papilio/apply.hpp"
#include "papilio/grids.hpp"

namespace papilio {

/// A sparse matrix of real numbers (float32 or float64), kept as runs of consecutive rows that have
/// equally many entries; entry k of row r of a run stands at first + k * rows + r.
class SparseMatrix {
 public:
  struct Run {
    Index row, rows, length;
    std::size_t first;
    std::size_t stretch = 0, stretches = 0;
  };
  /// Rows of a run that SIMD vectors work on: see kernels::SparseStretch. A run has a few at most.
  static constexpr std::size_t most_stretches = 8;
  struct Stretch {
    Index first, last, groups;
    bool wide;
    std::size_t starts, offsets;
  };

  /// From compressed sparse rows, which are copied. Throws std::invalid_argument where they don't
  /// describe a matrix of this shape, or it has 2^31 columns.
  SparseMatrix(DType dtype, Index rows, Index cols, const Index* start, const Index* columns,
               const void* values);

  DType dtype() const { return dtype_; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index nnz() const { return static_cast<Index>(columns_.size()); }
  const std::vector<Run>& runs() const { return runs_; }
  const std::int32_t* columns(const Run& run) const { return columns_.data() + run.first; }
  const void* values(const Run& run) const { return values_.data() + run.first * size_of(dtype_); }
  const std::vector<Stretch>& stretches() const { return stretches_; }
  const std::int32_t* starts(const Stretch& stretch) const {
    return starts_.data() + stretch.starts;
  }
  const std::int32_t* offsets(const Stretch& stretch) const {
    return offsets_.data() + stretch.offsets;
  }
  /// Whether most of its entries are in stretches.
  bool is_regular() const { return 4 * in_stretches_ >= 3 * nnz(); }
  /// Whether lookups in two SIMD vectors, which cost more, are in them.
  bool is_wide() const { return wide_; }

 private:
  void find_stretches(Run& run, Index lanes);

  DType dtype_;
  Index rows_, cols_;
  std::vector<Run> runs_;
  std::vector<std::int32_t> columns_;
  std::vector<char> values_;
  std::vector<Stretch> stretches_;
  std::vector<std::int32_t> starts_, offsets_;
  Index in_stretches_ = 0;  // entries
  bool wide_ = false;
};

/// `copies` of a butterfly side by side. The planner isn't owned.
struct Multiplication {
  Planner* planner;
  bool transpose, conjugate;
  Index copies;

  bool is_complex() const { return holds_complex(planner->chain().dtype); }
  /// Rows of real numbers: a complex one counts twice.
  Index rows() const {
    return scalars(transpose ? planner->chain().cols() : planner->chain().rows());
  }
  Index cols() const {
    return scalars(transpose ? planner->chain().rows() : planner->chain().cols());
  }

 private:
  Index scalars(Index rows) const { return rows * copies * (is_complex() ? 2 : 1); }
};

/// `copies` of a step on a grid side by side.
struct OnGrid {
  std::shared_ptr<const GridStep> step;
  Index copies;

  bool is_complex() const { return step->is_complex(); }
  /// Rows of real numbers: a complex one counts twice.
  Index rows() const { return step->rows() * copies * (is_complex() ? 2 : 1); }
  Index cols() const { return step->cols() * copies * (is_complex() ? 2 : 1); }
};

typedef std::variant<SparseMatrix, Multiplication, OnGrid> Step;

/// A product of steps. All steps act on real numbers: complex vectors are pairs (real part,
/// imaginary part) to sparse matrices. Safe for many threads.
class Composition {
 public:
  /// Steps in the order of their work, in the precision of `real`. Input and output are complex
  /// vectors of half the length where that is asked for. Throws std::invalid_argument if the steps
  /// don't fit.
  Composition(DType real, bool complex_input, bool complex_output, std::vector<Step> steps);

  DType input() const { return complex_input_ ? complex_ : real_; }
  DType output() const { return complex_output_ ? complex_ : real_; }
  Index rows() const;
  Index cols() const;

  /// A rough guess of the time that a vector takes on one thread.
  double nanoseconds_per_vector() const { return nanoseconds_; }

  /// Whether all plans for such batches are made, so that execute() never waits for work.
  bool is_planned(const Layout& layout) const;

  /// out = F in for every vector of the batch. in and out don't overlap, or are the same memory
  /// with the same strides. Workspace: for each thread two tiles, or two groups of contiguous
  /// vectors, of about half of the L2 cache together, or two vectors (or as many as a SIMD vector
  /// has lanes) where those are larger. The result is the same, bit for bit, for any number of
  /// threads.
  void execute(const Layout& layout, const void* in, void* out) const;

 private:
  friend class Passage;
  typedef std::vector<std::shared_ptr<const Plan>> Plans;  // null for all but butterflies

  DType real_, complex_;
  bool complex_input_, complex_output_;
  std::vector<Step> steps_;
  std::vector<std::size_t> vector_steps_;  // those that one vector needs
  // Contiguous vectors stay so: no step prefers lanes along the batch; or none but for short ones.
  bool by_vectors_ = true, wide_ = false;
  Index widest_;  // rows of real numbers before, between or after the steps, rounded up to pairs
  double nanoseconds_;
};

}  // namespace papilio
