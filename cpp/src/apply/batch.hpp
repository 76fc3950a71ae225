// The axes of a batch: as few as possible, and where its vectors are.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "papilio/apply.hpp"

namespace papilio {

/// The batch with as few axes as possible, the innermost (smallest strides) last; at least one.
inline std::vector<BatchAxis> coalesce(std::vector<BatchAxis> axes) {
  if (axes.empty()) return {{1, 0, 0}};
  axes.erase(std::remove_if(axes.begin(), axes.end(),
                            [](const BatchAxis& axis) { return axis.size == 1; }),
             axes.end());
  std::sort(axes.begin(), axes.end(), [](const BatchAxis& x, const BatchAxis& y) {
    return std::abs(x.in_stride) + std::abs(x.out_stride) >
           std::abs(y.in_stride) + std::abs(y.out_stride);
  });
  std::vector<BatchAxis> merged;
  for (const BatchAxis& axis : axes) {
    if (!merged.empty() && merged.back().in_stride == axis.size * axis.in_stride &&
        merged.back().out_stride == axis.size * axis.out_stride)
      merged.back() = {merged.back().size * axis.size, axis.in_stride, axis.out_stride};
    else
      merged.push_back(axis);
  }
  if (merged.empty()) merged.push_back({1, 0, 0});
  return merged;
}

inline Index size_of(const std::vector<BatchAxis>& axes) {
  Index size = 1;
  for (const BatchAxis& axis : axes) size *= axis.size;
  return size;
}

/// Offsets, in elements of the input and of the output, of position number `position`.
inline std::pair<Index, Index> offsets_of(const std::vector<BatchAxis>& axes, Index position) {
  Index in = 0, out = 0;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    in += position % axis->size * axis->in_stride;
    out += position % axis->size * axis->out_stride;
    position /= axis->size;
  }
  return {in, out};
}

}  // namespace papilio
