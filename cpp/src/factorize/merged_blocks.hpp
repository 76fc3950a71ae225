// All blocks of an interface whose two sides are still one: of a partial factor, or of the matrix
// itself, in memory or read some rows at a time.
#pragma once

#include <vector>

#include "factorize/block_svd.hpp"
#include "factorize/interface.hpp"
#include "factorize/matrix.hpp"
#include "factorize/partial.hpp"

namespace papilio {

/// What splitting a partial factor discarded, squared.
struct Cut {
  double discarded, norm2;
  std::vector<double> tails;  // at rank 0, 1, ..., the rank of the cut
};

/// A partial factor without values, and not placed over the matrix, stands for the matrix.
template <class T>
class MergedBlocks {
 public:
  MergedBlocks(Matrix<T>& matrix, const Partial<T>& whole, const Tick& tick)
      : matrix_(matrix), whole_(whole), tick_(tick) {}

  /// Fills `left` and `right`, whose patterns say where to split and at what rank.
  Cut split(Gauge gauge, const Partial<T>& left, const Partial<T>& right);

  /// The squared tails of all ranks at an interface, without cutting it; those below `resolution`
  /// times the squared norm of a block may be off by as much.
  std::vector<double> measure(const Interface& blocks, double resolution);

 private:
  /// Some blocks of an interface: all, or those whose rows are loaded.
  struct Range;
  /// What one thread works with.
  struct Work;

  bool is_matrix() const { return !whole_.values.data() && !whole_.place; }
  template <class Use>
  void for_ranges(const Interface& blocks, Use use);
  template <class Worker>
  std::vector<double> for_each(const Interface& blocks, Index rank, std::size_t width,
                               Worker worker);
  Strided<const T> block(const Interface& blocks, const Range& range, Index number, Work& work);

  Matrix<T>& matrix_;
  const Partial<T>& whole_;
  const Tick& tick_;
};

}  // namespace papilio
