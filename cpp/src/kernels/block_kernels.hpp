// The kernels of factorization: products of the rows of a panel, what an approximation leaves of
// it, and the eigenvectors of a small Hermitian matrix. Plain structs only, as in kernels.hpp.
//
// A panel is `rows` rows of `columns` contiguous elements each.
#pragma once

#include <stdint.h>

namespace papilio {
namespace kernels {

struct Panel {
  const void* data;
  int64_t rows, columns;
  int64_t row_step;  // elements from a row to the next
};

/// g[i*y.rows + j] = sum_k x_i[k] conj(y_j[k]). Sums run in chunks, so that rounding errors grow
/// with additions_in_a_sum(), not with the number of columns. If x and y are one panel, the half
/// above the diagonal is the conjugate of the one below it, bit for bit.
typedef void (*CrossKernel)(const Panel& x, const Panel& y, void* g);

/// ||x - u r||^2, u (x.rows x rank, column by column), r a panel of `rank` rows; the difference
/// goes to `out` (rows out_step apart) unless that is null. It may be x itself.
typedef double (*ResidualKernel)(const Panel& x, const void* u, const Panel& r, void* out,
                                 int64_t out_step);

/// The largest eigenvalues of the Hermitian n x n matrix g (destroyed), in descending order in
/// `values` (real; count + 1 of them, or n), and the eigenvectors of the first `count` as rows of
/// `vectors`: Householder tridiagonalization, then implicit QL where many are wanted, else
/// bisection and inverse iteration. `work` holds hermitian_work(n) elements. False if an iteration
/// doesn't converge.
typedef bool (*HermitianKernel)(int64_t n, int64_t count, void* g, void* values, void* vectors,
                                void* work);

struct BlockKernels {
  int64_t lanes;
  CrossKernel cross;
  ResidualKernel residual;
  HermitianKernel hermitian;
};

/// The block kernels of one instruction set, in the order of DType.
struct BlockTable {
  BlockKernels kernels[4];
};

constexpr int64_t chunk_vectors = 16;

constexpr int64_t additions_in_a_sum(int64_t columns, int64_t lanes) {
  return chunk_vectors + columns / (lanes * chunk_vectors) + lanes + 2;
}

constexpr int64_t hermitian_work(int64_t n) { return n * n + 8 * n + 64; }

}  // namespace kernels
}  // namespace papilio
