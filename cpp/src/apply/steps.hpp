// What a step of a composition is, and what all kinds of them have.
#pragma once

#include <variant>

#include "papilio/composition.hpp"

namespace papilio {

inline Index rounded_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

inline const SparseMatrix* sparse_of(const Step& step) { return std::get_if<SparseMatrix>(&step); }
inline const Multiplication* butterfly_of(const Step& step) {
  return std::get_if<Multiplication>(&step);
}
inline const OnGrid* grid_of(const Step& step) { return std::get_if<OnGrid>(&step); }

inline Index rows_of(const Step& step) {
  return std::visit([](const auto& part) { return part.rows(); }, step);
}
inline Index cols_of(const Step& step) {
  return std::visit([](const auto& part) { return part.cols(); }, step);
}

/// Whether it takes and gives complex numbers, split in tiles.
inline bool is_complex_step(const Step& step) {
  if (const OnGrid* part = grid_of(step)) return part->is_complex();
  const Multiplication* part = butterfly_of(step);
  return part && part->is_complex();
}

}  // namespace papilio
