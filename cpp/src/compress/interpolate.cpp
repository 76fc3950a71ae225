#include <complex>

#include "compress/interpolator.hpp"
#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

void interpolate(const Blocks& blocks, const double* scales, Index rank, Index* pivots,
                 void* weights, double* residuals) {
  const Index rows = blocks.rows, cols = blocks.cols;
  visit(blocks.dtype, [&](auto tag) {
    using T = decltype(tag);
    const double work = static_cast<double>(rows) * cols * rank;
    in_shares(blocks.count, work, [&](Index begin, Index end) {
      Interpolator<T> interpolator(rows, cols, rank);
      for (Index n = begin; n < end; ++n) {
        poll_interruption();
        const T* block = static_cast<const T*>(blocks.values) + n * rows * cols;
        const auto column = [&](Index sample, Index count, double* re, double* im) {
          for (Index i = 0; i < count; ++i) {
            const T entry = block[i * cols + sample];
            re[i] = std::real(entry);
            if (has_imaginary_parts<T>) im[i] = std::imag(entry);
          }
        };
        interpolator.run(column, scales ? scales + n * cols : nullptr, pivots + n * rank,
                         static_cast<T*>(weights) + n * rows * rank, residuals + n * (rank + 1));
      }
    });
  });
}

}  // namespace papilio
