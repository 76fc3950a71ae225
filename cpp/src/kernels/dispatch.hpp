// Which instruction set runs: the best that the CPU has, or the one that PAPILIO_ISA names.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {
namespace kernels {

/// The table in use, chosen at the first call. Throws std::invalid_argument if PAPILIO_ISA names
/// an instruction set that is unknown or that this CPU lacks.
const Table& active_table();

/// Whether the batch kernel for b x c blocks may write its output over its input: it does so for
/// the blocks that it holds in registers as a whole.
inline bool works_in_place(Index b, Index c) { return b == c && (c == 2 || c == 4); }

inline const Kernels& kernels_for(DType dtype) {
  return active_table().kernels[static_cast<int>(dtype)];
}

}  // namespace kernels
}  // namespace papilio
