// The best rank-r approximation of one block: what a cut does, thousands of times.
//
// The short side of a block is held as the rows of a panel X (s x t, s <= t). The left singular
// vectors of X are the eigenvectors of its Gram matrix X X^H, and X ~ U (U^H X): two passes over
// the panel while it is in cache. What rounding in the Gram matrix can cost is bounded block by
// block (docs/guarantees.md); where the bound isn't small enough, the dominant part is taken off
// and the rest gets a Gram matrix of its own, again until it is. Large blocks get subspace
// iteration with a certificate, and LAPACK's SVD where there is none.
#pragma once

#include <vector>

#include "factorize/lapack.hpp"
#include "factorize/norms.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

/// Which factor takes the singular values of a cut.
enum class Gauge {
  left_orthonormal,   // U | S Vh
  right_orthonormal,  // U S | Vh
  balanced            // U sqrt(S) | sqrt(S) Vh; at full rank the identity and the block
};

/// A matrix in strided memory: element (row, col) is data[row*row_step + col*col_step].
template <class T>
struct Strided {
  T* data;
  Index row_step, col_step;
  T& operator()(Index row, Index col) const { return data[row * row_step + col * col_step]; }
  Strided transposed() const { return {data, col_step, row_step}; }
};

/// The DType of T.
template <class T>
constexpr DType dtype_of_type = std::is_same<T, float>::value                 ? DType::float32
                                : std::is_same<T, double>::value              ? DType::float64
                                : std::is_same<T, std::complex<float>>::value ? DType::complex64
                                                                              : DType::complex128;

/// Truncated SVDs of rows x cols blocks at one rank; one object per thread.
template <class T>
class BlockSvd {
 public:
  BlockSvd(Index rows, Index cols, Index rank);

  /// block (column-major) ~ left * right; left[j, rho] at left[j + rho*rows], right[rho, k] at
  /// right[rho + k*rank]. What there is no singular value for is filled with zeros. Returns the
  /// squared Frobenius norm of what was discarded.
  double factor(const T* block, Index rows, Index cols, Gauge gauge, T* left, T* right);

  /// The same for blocks anywhere. left and right may not overlap the block. The results are within
  /// rounding, and 1e-10 of the discarded norm, of the best ones.
  double factor(Strided<const T> block, Gauge gauge, Strided<T> left, Strided<T> right);

  /// The squared singular values of a block, descending, min(rows, cols) of them; those whose sum
  /// is below `resolution` times the squared norm of the block may be off by as much.
  const std::vector<double>& spectrum(Strided<const T> block, double resolution);

  /// Of the last block: its squared norm, and the squared singular values that were kept.
  double norm2() const { return norm2_; }
  const std::vector<double>& kept() const { return kept_; }

 private:
  using R = Real<T>;
  using Panel = kernels::Panel;

  /// The block as a panel, read in place where its rows are contiguous.
  Panel panel_of(Strided<const T> block);
  /// Fills u_ (s x rank, column by column) and kept_; sets norm2_.
  void find_subspace(Panel panel, Index rank, double resolution);
  void subspace_by_gram(Panel panel, Index rank, double resolution);
  /// Subspace iteration with the matrix G that multiply(u, z) multiplies by: z = G u, u one vector
  /// after the other, z[j*rank + n]. True if the result is certified to be as good as BlockSvd
  /// promises; then vectors_ and values_ hold it. `error` bounds that of G; `rest2(kept2)` bounds
  /// the squared largest eigenvalue outside, from the kept eigenvalues' sum of squares.
  template <class Multiply, class Rest>
  bool iterate(Index rank, double trace, double norm2, double error, int rounds, Multiply multiply,
               Rest rest2);
  bool iterate_gram(Index rank, double norm2);
  double gram_error() const;
  bool subspace_by_iteration(const Panel& panel, Index rank);
  void subspace_by_lapack(const Panel& panel, Index rank);
  Index append(const T* vectors, Index count);
  // Products with the panel: a kernel's call, or several where one would keep Ctrl-C waiting.
  /// gram_ = X X^H.
  void form_gram(const Panel& panel);
  /// out = X Y^H.
  void cross(const Panel& x, const Panel& y, T* out);
  /// out = U^H X.
  void project(const Panel& panel, const T* u, Index rank, T* out, Index out_step);
  /// ||X - U R||^2; the difference goes to `out` unless that is null.
  double residual(const Panel& panel, const T* u, Panel r, T* out, Index out_step);
  void orthonormalize_rows(T* rows, T* u);

  Index s_, t_, rank_;
  bool transposed_;
  const kernels::BlockKernels& kernels_;
  const kernels::Kernels& product_kernels_;
  double norm2_ = 0;
  Index found_ = 0;
  std::vector<double> kept_;
  std::vector<T> packed_, rest_, gram_, vectors_, work_, u_, right_, basis_, image_, ritz_, mixed_,
      conjugated_, part_;
  std::vector<R> values_;
  std::vector<Svd<T>> svd_;  // made at the first block that needs it
};

}  // namespace papilio
