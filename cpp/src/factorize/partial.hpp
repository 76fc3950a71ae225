// Partial factors: neighbouring factors of a chain whose product is still one 4-D array; and what
// sweeps over the interfaces between them do.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "factorize/block_svd.hpp"
#include "factorize/interface.hpp"
#include "papilio/interruption.hpp"

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

/// Calls worker(block, sums) for blocks first..last-1 on all threads, and poll_interruption;
/// make_worker() makes one for each thread. Returns the sums (`width` of them), added in an order
/// that doesn't depend on the threads. `cost` is the work of one block in nanoseconds or so.
using BlockWorker = std::function<void(Index, double*)>;
std::vector<double> for_blocks(Index first, Index last, double cost, std::size_t width,
                               const Tick& tick, const std::function<BlockWorker()>& make_worker);

/// What a cut costs per block, in nanoseconds or so.
double cut_cost(const Interface& blocks, bool complex);

/// left block = Q R; left <- Q, right <- R right: the product stays, and the blocks of `left` get
/// orthonormal columns. A rank above the rows of a left block becomes their number: so many columns
/// can't be orthonormal, nor are they needed. Returns the rank.
template <class T>
Index pass_right(Partial<T>& left, Partial<T>& right, const Tick& tick);
/// right block = R^H Q^H; right <- Q^H, left <- left R^H; likewise with the columns of right
/// blocks.
template <class T>
Index pass_left(Partial<T>& left, Partial<T>& right, const Tick& tick);

/// The two factors at another rank of the interface between them; their values are to be filled.
template <class T>
std::pair<Partial<T>, Partial<T>> resized(const Partial<T>& left, const Partial<T>& right,
                                          Index from, Index to) {
  Pattern l = left.pattern, r = right.pattern;
  l.c = l.c / from * to;
  r.b = r.b / from * to;
  return {Partial<T>{left.first, left.last, l, Buffer<T>(l.nnz()), nullptr, 0},
          Partial<T>{right.first, right.last, r, Buffer<T>(r.nnz()), nullptr, 0}};
}

/// Makes column rho of a left block and row rho of the right block equally long at every interface,
/// nearly, and the norms of the factors equal.
template <class T>
void balance(std::vector<Partial<T>>& factors);

/// Calls use(first, count) for parts of `size` elements that take some milliseconds each.
template <class Use>
void in_parts(Index size, Use use) {
  constexpr Index part = Index{1} << 20;
  for (Index first = 0; first < size; first += part) {
    poll_interruption();
    use(first, std::min(part, size - first));
  }
}

/// Multiplies all values by 2^exponent.
template <class T>
void scale_by_power_of_two(const Buffer<T>& values, int exponent) {
  constexpr int most = std::numeric_limits<Real<T>>::max_exponent - 2;
  while (exponent != 0) {
    const int step = std::clamp(exponent, -most, most);
    exponent -= step;
    const Real<T> by = std::ldexp(Real<T>(1), step);
    in_parts(values.size(), [&](Index first, Index count) {
      for (Index n = first; n < first + count; ++n) values.data()[n] *= by;
    });
  }
}

/// Multiplies the product by 2^exponent, spread over the factors, so that none overflows alone.
template <class T>
void spread_power_of_two(std::vector<Partial<T>>& factors, int exponent) {
  const int count = static_cast<int>(factors.size());
  for (int n = 0; n < count; ++n) {
    const int share = exponent / (count - n);
    exponent -= share;
    scale_by_power_of_two(factors[static_cast<std::size_t>(n)].values, share);
  }
}

/// The factors as the bytes that Factorization::values holds.
template <class T>
std::vector<std::vector<unsigned char>> to_bytes(const std::vector<Partial<T>>& factors) {
  std::vector<std::vector<unsigned char>> values;
  for (const Partial<T>& factor : factors) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(factor.values.data());
    const Index size = factor.values.size() * static_cast<Index>(sizeof(T));
    values.emplace_back();
    values.back().reserve(static_cast<std::size_t>(size));
    in_parts(size, [&](Index first, Index count) {
      values.back().insert(values.back().end(), bytes + first, bytes + first + count);
    });
  }
  return values;
}

}  // namespace papilio
