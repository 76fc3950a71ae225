// Runs of entries by a formula, with what they need of rows and columns gathered.
#pragma once

#include <vector>

#include "kernels/formula_kernels.hpp"
#include "papilio/formula.hpp"

namespace papilio {

/// The numbers of some rows, or of some columns, one after the other, with room for whole SIMD
/// vectors: the last one again and again.
class Gathered {
 public:
  Gathered(const Fields& fields, Index most)
      : fields_(fields),
        pitch_((most + kernels::widest_run - 1) / kernels::widest_run * kernels::widest_run),
        values_(static_cast<std::size_t>(pitch_ * fields.count)),
        index_(static_cast<std::size_t>(pitch_)) {}

  /// Negative indices count from the end; all are checked.
  void take(Index count, const Index* given) {
    const Index whole =
        (count + kernels::widest_run - 1) / kernels::widest_run * kernels::widest_run;
    for (Index n = 0; n < whole; ++n) {
      const Index at = given[n < count ? n : count - 1];
      index_[static_cast<std::size_t>(n)] = at < 0 ? at + fields_.size : at;
    }
    for (Index f = 0; f < fields_.count; ++f) {
      const double* from = fields_.values.data() + f * fields_.size;
      double* to = values_.data() + f * pitch_;
      for (Index n = 0; n < whole; ++n) to[n] = from[index_[static_cast<std::size_t>(n)]];
    }
  }

  kernels::FormulaSide each() const { return {values_.data(), pitch_, index_.data(), 1}; }
  /// Number n for all.
  kernels::FormulaSide only(Index n) const {
    return {values_.data() + n, pitch_, index_.data() + n, 0};
  }

 private:
  const Fields& fields_;
  Index pitch_;
  std::vector<double> values_;
  std::vector<Index> index_;
};

}  // namespace papilio
