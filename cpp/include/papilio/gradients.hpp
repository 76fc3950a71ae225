// Gradients of products with a chain of Kronecker-sparse factors whose values change from call to
// call: nothing is planned, and values and gradients may lie in memory with any strides.
#pragma once

#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// values[i, j, k, l] or a gradient of that shape; strides in elements, 0 along tied axes.
struct FactorArray {
  void* data;
  Index strides[4];
};

/// Where the vectors of a batch lie; strides in elements, of either sign.
struct VectorArray {
  void* data;
  Index stride;              // along a vector
  std::vector<Index> batch;  // one for each axis of the batch
};

/// F[i, j] = K[row_permutation[i], column_permutation[j]], K the product of factors with these
/// patterns, left to right. An empty permutation is the identity.
struct GradientChain {
  DType dtype;
  Patterns patterns;
  std::vector<Index> row_permutation, column_permutation;
};

/// y = F x for all vectors of a batch of these sizes.
void multiply(const GradientChain& chain, const std::vector<FactorArray>& values,
              const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& y);

/// y = F x, and its derivative dy: F dx plus the sum over the factors of the products in which that
/// factor is replaced by its change. Null data of dx, or of a change, stand for zero; at least one
/// isn't. Memory while it runs: the values of all factors twice, and six tiles for each thread.
void push_forward(const GradientChain& chain, const std::vector<FactorArray>& values,
                  const std::vector<FactorArray>& changes, const std::vector<Index>& sizes,
                  const VectorArray& x, const VectorArray& dx, const VectorArray& y,
                  const VectorArray& dy);

/// gradients[s][i, j, k, l] = sum over the vectors of g[i, j, l] conj(z[i, k, l]), z being what
/// factor s multiplies in F x and g what (F_1 ... F_{s-1})^H gy is; tied axes are summed over. And
/// gx = F^H gy, if its data isn't null. What is written to overlaps nothing else.
/// Memory while it runs: for each thread a tile of vectors as they enter about 2 sqrt(L) of the L
/// factors, or all if these take at most 4 MiB; and the values of all factors for the weights and
/// for each of at most 16 parts of the batch, whose sums are added up pairwise.
/// The result is the same, bit for bit, for any number of threads.
void pull_back(const GradientChain& chain, const std::vector<FactorArray>& values,
               const std::vector<Index>& sizes, const VectorArray& x, const VectorArray& gy,
               const VectorArray& gx, const std::vector<FactorArray>& gradients);

}  // namespace papilio
