// Products of all rows of a panel with each other, block by block.
#pragma once

#include <algorithm>
#include <complex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "factorize/block_svd.hpp"
#include "factorize/norms.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"
#include "papilio/pairing.hpp"
#include "parallel/shares.hpp"

namespace papilio {

inline std::size_t elements(Index n) { return static_cast<std::size_t>(n); }

/// Rows in a block: two blocks of 512 complex columns fit in a level-2 cache.
constexpr Index block_rows = 16;

/// Blocks of rows, and the pairs of them that hold all pairs of rows once.
struct BlockPairs {
  explicit BlockPairs(Index rows) : rows(rows), blocks((rows + block_rows - 1) / block_rows) {}
  Index count() const { return blocks * (blocks + 1) / 2; }
  /// Pair number n, as the first rows of its two blocks; the first block isn't after the second.
  std::pair<Index, Index> operator[](Index n) const {
    Index first = 0;
    for (; n >= blocks - first; ++first) n -= blocks - first;
    return {first * block_rows, (first + n) * block_rows};
  }
  Index height(Index first) const { return std::min(block_rows, rows - first); }
  Index rows, blocks;
};

/// Products of rows: out[i*block_rows + k] = sum_j x_i[j] conj(y_k[j]).
template <class T>
class RowProducts {
 public:
  explicit RowProducts(Index columns)
      : kernels_(kernels::block_kernels_for(dtype_of_type<T>)),
        columns_(columns),
        products_(elements(block_rows * block_rows)) {}
  void compute(const T* x, Index x_rows, const T* y, Index y_rows) {
    kernels_.cross({x, x_rows, columns_, columns_}, {y, y_rows, columns_, columns_},
                   products_.data());
    width_ = y_rows;
  }
  T operator()(Index i, Index k) const { return products_[elements(i * width_ + k)]; }

 private:
  const kernels::BlockKernels& kernels_;
  Index columns_, width_ = 0;
  std::vector<T> products_;
};

/// Fills a symmetric matrix: fill(rows of one block, rows of another) is called for all
/// pairs of blocks, on all threads.
template <class Fill>
void fill_symmetric(Index size, double nanoseconds_each, double* matrix, Fill fill) {
  const BlockPairs pairs(size);
  in_shares(pairs.count(), nanoseconds_each, [&](Index begin, Index end) {
    for (Index n = begin; n < end; ++n) {
      poll_interruption();
      const auto [first, second] = pairs[n];
      const auto set = [&, first = first, second = second](Index i, Index k, double value) {
        matrix[(first + i) * size + second + k] = matrix[(second + k) * size + first + i] = value;
      };
      fill(first, pairs.height(first), second, pairs.height(second), set);
    }
  });
}

/// Calls use with the type of the values.
template <class Use>
void visit_double(DType dtype, Use use) {
  if (dtype == DType::float64)
    use(double{});
  else if (dtype == DType::complex128)
    use(std::complex<double>{});
  else
    throw std::invalid_argument("values must be float64 or complex128");
}

}  // namespace papilio
