// Matrices whose entries are formulas of numbers that belong to their rows and columns.
#pragma once

#include <string>
#include <vector>

#include "papilio/compress.hpp"

namespace papilio {

namespace kernels {
struct FormulaEntry;
}

/// Numbers of the rows, or of the columns: `count` fields, each an array of `size`, one after the
/// other.
struct Fields {
  std::vector<double> values;
  Index count, size;
};

/// Entries by one of the formulas that are compiled for each instruction set: a function of the
/// fields of the row, those of the column, and parameters. An entry has the same bits in whichever
/// call, block and thread it is computed.
class Formula {
 public:
  /// Throws std::invalid_argument for a formula that isn't known, or takes other fields or
  /// parameters.
  Formula(const std::string& name, Fields rows, Fields columns, std::vector<double> parameters);

  const std::string& name() const { return name_; }
  const Fields& rows() const { return rows_; }
  const Fields& columns() const { return columns_; }
  const std::vector<double>& parameters() const { return parameters_; }
  bool is_complex() const;

  /// Negative indices count from the end. Throws std::out_of_range, for any that is beyond, before
  /// anything is written. All use all threads, and a few KiB for each.
  /// Entries (i[n], j[n]) to out[n]: double or std::complex<double>.
  void pairs(Index count, const Index* i, const Index* j, void* out) const;
  /// `count` blocks: i is count x height, j count x width, out count x height x width.
  void blocks(Index count, Index height, Index width, const Index* i, const Index* j,
              void* out) const;
  /// papilio::interpolate of such blocks, the same bits; they are never in memory all at once.
  void interpolate(Index count, Index height, Index width, const Index* i, const Index* j,
                   const double* scales, Index rank, Index* pivots, void* weights,
                   double* residuals) const;

 private:
  void check(const char* name, Index count, const Index* given, Index size) const;

  std::string name_;
  const kernels::FormulaEntry* formula_;
  Fields rows_, columns_;
  std::vector<double> parameters_;
};

}  // namespace papilio
