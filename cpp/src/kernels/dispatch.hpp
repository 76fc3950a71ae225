// Which instruction set runs: the best that the CPU has, or the one that PAPILIO_ISA names.
#pragma once

#include <string>
#include <vector>

#include "kernels/block_kernels.hpp"
#include "kernels/chain_kernels.hpp"
#include "kernels/formula_kernels.hpp"
#include "kernels/gradient_kernels.hpp"
#include "kernels/kernels.hpp"
#include "kernels/window_kernels.hpp"
#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {
namespace kernels {

/// What one instruction set has; kernels in the order of DType.
struct Table {
  const char* isa;
  const Kernels* kernels[4];
  const BlockTable* blocks;
  const ChainTable* chains;
  const GradientTable* gradients;
  const WindowTable* windows;
  const FormulaTable* formulas;
};

/// The table in use, chosen at the first call. Throws std::invalid_argument if PAPILIO_ISA names
/// an instruction set that is unknown or that this CPU lacks.
const Table& active_table();

inline const Kernels& kernels_for(DType dtype) {
  return *active_table().kernels[static_cast<int>(dtype)];
}
inline const BlockKernels& block_kernels_for(DType dtype) {
  return active_table().blocks->kernels[static_cast<int>(dtype)];
}
inline const ChainKernels& chain_kernels_for(bool is_complex) {
  return active_table().chains->kernels[is_complex ? 1 : 0];
}
inline const GradientKernels& gradient_kernels_for(DType dtype) {
  return active_table().gradients->kernels[static_cast<int>(dtype)];
}
inline const WindowKernels& window_kernels_for(DType dtype) {
  return active_table().windows->kernels[static_cast<int>(dtype)];
}

inline const FormulaTable& formula_table() { return *active_table().formulas; }

}  // namespace kernels
}  // namespace papilio
