// Compositions: which steps fit, and where complex numbers become pairs of real ones.
#include "papilio/composition.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "apply/steps.hpp"

namespace papilio {

namespace {

Step identity(DType dtype, Index rows) {
  const std::size_t size = static_cast<std::size_t>(rows);
  std::vector<Index> start(size + 1);
  for (std::size_t row = 0; row <= size; ++row) start[row] = static_cast<Index>(row);
  return visit(dtype, [&](auto one) {
    const std::vector<decltype(one)> values(size, 1);
    return SparseMatrix(dtype, rows, rows, start.data(), start.data(), values.data());
  });
}

/// Whether its factors' blocks are alike and small, as those of transforms with kernels of their
/// own are: such butterflies are fast with lanes along each vector, others (dense blocks) are so
/// along the batch.
bool is_transform(const Chain& chain) {
  constexpr Index largest_radix = 13;
  return std::all_of(chain.factors.begin(), chain.factors.end(), [](const Factor& factor) {
    const Pattern& p = factor.pattern;
    return (p.a == 1 || factor.tied_a) && std::max(p.b, p.c) <= largest_radix;
  });
}

}  // namespace

Composition::Composition(DType real, bool complex_input, bool complex_output,
                         std::vector<Step> steps)
    : real_(real),
      complex_(real == DType::float32 ? DType::complex64 : DType::complex128),
      complex_input_(complex_input),
      complex_output_(complex_output),
      widest_(2),  // of no rows at all, tiles have a width, too
      nanoseconds_(0) {
  if (steps.empty()) throw std::invalid_argument("a composition has no steps");
  // In tiles, complex numbers are split for butterflies: what comes from and goes to real rows
  // passes a sparse matrix.
  const auto joins = [&](bool left_complex, bool right_complex, Index rows) {
    if (left_complex != right_complex) steps_.push_back(identity(real, rows));
  };
  for (std::size_t n = 0; n < steps.size(); ++n) {
    if (!sparse_of(steps[n])) {
      const bool pairs = is_complex_step(steps[n]);
      if (n == 0)
        joins(complex_input_, pairs, cols_of(steps[n]));
      else if (!sparse_of(steps[n - 1]))
        joins(is_complex_step(steps[n - 1]), pairs, cols_of(steps[n]));
      vector_steps_.push_back(steps_.size());
      steps_.push_back(steps[n]);
      if (n + 1 == steps.size()) joins(pairs, complex_output_, rows_of(steps[n]));
    } else {
      vector_steps_.push_back(steps_.size());
      steps_.push_back(std::move(steps[n]));
    }
  }
  for (std::size_t n = 0; n < steps_.size(); ++n) {
    const Step& step = steps_[n];
    if (n > 0 && rows_of(steps_[n - 1]) != cols_of(step))
      throw std::invalid_argument("steps " + std::to_string(n - 1) + " and " + std::to_string(n) +
                                  " of a composition don't fit");
    if (const SparseMatrix* part = sparse_of(step)) {
      if (part->dtype() != real) throw std::invalid_argument("a sparse part has another dtype");
      nanoseconds_ += 0.4 * static_cast<double>(part->nnz());
      by_vectors_ = by_vectors_ && part->is_regular();
      wide_ = wide_ || part->is_wide();
    } else if (const OnGrid* grid = grid_of(step)) {
      nanoseconds_ += static_cast<double>(grid->copies) * grid->step->nanoseconds();
    } else {
      const Multiplication& butterfly = *butterfly_of(step);
      const Chain& chain = butterfly.planner->chain();
      if (chain.dtype != (holds_complex(chain.dtype) ? complex_ : real))
        throw std::invalid_argument("a butterfly of a composition has another dtype");
      by_vectors_ = by_vectors_ && is_transform(chain);
      nanoseconds_ +=
          0.15 * static_cast<double>(butterfly.rows()) * static_cast<double>(chain.factors.size());
    }
    widest_ = std::max({widest_, rows_of(step), cols_of(step)});
  }
  if ((complex_input_ && cols_of(steps_.front()) % 2) ||
      (complex_output_ && rows_of(steps_.back()) % 2))
    throw std::invalid_argument("complex vectors need pairs of rows");
  widest_ = rounded_up(widest_, 2);
}

Index Composition::rows() const { return rows_of(steps_.back()) / (complex_output_ ? 2 : 1); }
Index Composition::cols() const { return cols_of(steps_.front()) / (complex_input_ ? 2 : 1); }

}  // namespace papilio
