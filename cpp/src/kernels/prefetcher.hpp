// Cache lines that a kernel asks for while it works.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace papilio {
namespace kernels {
namespace {

/// Works through the lines of a Prefetch, some at each call.
class Prefetcher {
 public:
  explicit Prefetcher(const Prefetch& lines) : lines_(lines), left_(lines.lines) {
    if (left_ == 0) return;
    row_ = lines.from + lines.first / lines.lines_per_row * lines.pitch;
    line_ = lines.first % lines.lines_per_row;
  }
  PAPILIO_INLINE void step() {
    if (left_ == 0) return;
    const int64_t now = left_ < lines_.per_block ? left_ : lines_.per_block;
    left_ -= now;
    for (int64_t n = 0; n < now; ++n) {
      prefetch(row_ + line_ * 64);
      if (++line_ == lines_.lines_per_row) {
        line_ = 0;
        row_ += lines_.pitch;
      }
    }
  }

 private:
  const Prefetch lines_;
  int64_t left_;
  const char* row_ = nullptr;
  int64_t line_ = 0;
};

}  // namespace
}  // namespace kernels
}  // namespace papilio
