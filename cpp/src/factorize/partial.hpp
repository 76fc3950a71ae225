// Partial factors: neighbouring factors of a chain whose product is still one 4-D array; and what
// sweeps over the interfaces between them do.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "factorize/block_svd.hpp"
#include "factorize/interface.hpp"

namespace papilio {

/// Uninitialized memory: whole matrices are written once, and not for being read first. Large ones
/// are in huge pages where the system has them, which are got many times faster.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes);
  void* data() const { return data_.get(); }
  std::size_t bytes() const { return data_ ? bytes_ : 0; }

 private:
  struct Free {
    std::size_t alignment;
    void operator()(void* data) const { ::operator delete(data, std::align_val_t{alignment}); }
  };
  std::unique_ptr<void, Free> data_{nullptr, Free{64}};
  std::size_t bytes_ = 0;
};

/// Elements in a Memory that may be larger.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index size, Memory memory = {}) : memory_(std::move(memory)), size_(size) {
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    if (memory_.bytes() < bytes) memory_ = Memory(bytes);
  }
  T* data() const { return static_cast<T*>(memory_.data()); }
  Index size() const { return size_; }
  T* begin() const { return data(); }
  T* end() const { return data() + size_; }
  /// What the elements were in, for others.
  Memory take() && { return std::move(memory_); }

 private:
  Memory memory_;
  Index size_ = 0;
};

/// The product of the factors [first, last) of a chain.
template <class T>
struct Partial {
  std::size_t first, last;
  Pattern pattern;
  Buffer<T> values;  // its 4-D array, C-contiguous; none if `place` is set or it is the matrix
  /// Set where the values were written over the matrix: value [i, j, k, 0] at row j, column
  /// i*c + k of a matrix whose rows are `place_step` apart.
  T* place = nullptr;
  Index place_step = 0;

  /// The merged block of an interface inside of this partial factor.
  Strided<T> block(const Interface& blocks, Index n) const {
    if (place) {
      const Interface::MatrixPosition at = blocks.matrix(n);
      return {place + at.row % pattern.b * place_step + at.col, at.row_step * place_step, 1};
    }
    const BlockPosition at = blocks.merged(n);
    return {values.data() + at.base, at.row_step, at.col_step};
  }
};

template <class T>
Strided<T> left_block(const Partial<T>& left, const Interface& blocks, Index n) {
  const BlockPosition at = blocks.left(n);
  return {left.values.data() + at.base, at.row_step, at.col_step};
}
template <class T>
Strided<T> right_block(const Partial<T>& right, const Interface& blocks, Index n) {
  const BlockPosition at = blocks.right(n);
  return {right.values.data() + at.base, at.row_step, at.col_step};
}

/// Called now and then with the work done since, in nanoseconds or so; may throw.
using Tick = std::function<void(double)>;

/// Calls worker(block, sums) for blocks first..last-1 on all threads; make_worker() makes one for
/// each thread. Returns the sums (`width` of them), added in an order that doesn't depend on the
/// threads. `cost` is the work of one block in nanoseconds or so.
using BlockWorker = std::function<void(Index, double*)>;
std::vector<double> for_blocks(Index first, Index last, double cost, std::size_t width,
                               const Tick& tick, const std::function<BlockWorker()>& make_worker);

/// What a cut costs per block, in nanoseconds or so.
double cut_cost(const Interface& blocks, bool complex);

/// left block = Q R; left <- Q, right <- R right: the product stays, and the blocks of `left` get
/// orthonormal columns.
template <class T>
void pass_right(Partial<T>& left, Partial<T>& right, const Tick& tick);
/// right block = R^H Q^H; right <- Q^H, left <- left R^H.
template <class T>
void pass_left(Partial<T>& left, Partial<T>& right, const Tick& tick);

/// Makes column rho of a left block and row rho of the right block equally long at every interface,
/// nearly, and the norms of the factors equal.
template <class T>
void balance(std::vector<Partial<T>>& factors);

/// The factors as the bytes that Factorization::values holds.
template <class T>
std::vector<std::vector<unsigned char>> to_bytes(const std::vector<Partial<T>>& factors) {
  std::vector<std::vector<unsigned char>> values;
  for (const Partial<T>& factor : factors) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(factor.values.data());
    values.emplace_back(bytes, bytes + static_cast<std::size_t>(factor.values.size()) * sizeof(T));
  }
  return values;
}

}  // namespace papilio
