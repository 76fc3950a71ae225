// Entries of matrices by formulas, and the table that each instruction set fills. Plain structs
// only: this header is compiled once per ISA and must not define any function.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace papilio {
namespace kernels {

/// Numbers that belong to rows or to columns, one array for each, `pitch` apart; all the same
/// (step 0), or one after the other (step 1), then with room for a multiple of widest_run. The
/// index of each, too.
struct FormulaSide {
  const double* fields;
  int64_t pitch;
  const int64_t* index;
  int64_t step;
};

constexpr int64_t widest_run = 16;  // doubles of the two widest SIMD vectors

/// `count` entries, written as real and imaginary parts, rounded up to a multiple of half of
/// widest_run. What comes out for an entry doesn't depend on the others.
struct FormulaRun {
  int64_t count;
  FormulaSide rows, columns;
  const double* parameters;
  double *re, *im;
};

typedef void (*FormulaKernel)(const FormulaRun&);

/// A formula: how many numbers of each row and column it takes, and how many parameters: `fixed`,
/// or as many as `parameters` says where that isn't null, of which the fixed ones are at hand.
struct FormulaEntry {
  const char* name;
  int64_t row_fields, column_fields, fixed;
  int64_t (*parameters)(const double* fixed, int64_t rows, int64_t columns);
  bool is_complex;
  double nanoseconds;  // an entry
  FormulaKernel run;
};

/// All formulas; exp(2 pi i turns) of any count.
struct FormulaTable {
  const FormulaEntry* formulas;
  int64_t count;
  void (*wave)(int64_t count, const double* turns, double* out);
};

}  // namespace kernels
}  // namespace papilio
