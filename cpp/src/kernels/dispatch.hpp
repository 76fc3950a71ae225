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

inline const Kernels& kernels_for(DType dtype) {
  return active_table().kernels[static_cast<int>(dtype)];
}

}  // namespace kernels
}  // namespace papilio
