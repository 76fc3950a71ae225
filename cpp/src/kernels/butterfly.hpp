// What happens to one block of a butterfly stage between its load and its store.
#pragma once

#include "kernels/constant_matrices.hpp"
#include "kernels/kernels.hpp"
#include "kernels/prefetcher.hpp"

namespace papilio {
namespace kernels {
namespace {

/// How a stage's input and output hold their numbers. Split ones are swapped by where they are read
/// and written, or lie swapped between stages that both are (`swaps_split` is false).
template <class X>
class Ends {
 public:
  typedef typename X::scalar T;

  explicit Ends(const StageArguments& stage, bool swaps_split = true)
      : in_split_(stage.butterflies.in_split),
        out_split_(stage.butterflies.out_split),
        swap_(stage.butterflies.swap),
        scaled_(stage.butterflies.scale != 1),
        plain_(!scaled_ && (out_split_ || !(swap_ || stage.stream))),
        re_in_(swaps_split && swap_ && in_split_ ? X::lanes : 0),
        re_out_(swaps_split && swap_ && out_split_ ? X::lanes : 0),
        scale_(X::V::broadcast(static_cast<T>(stage.butterflies.scale))) {}

  /// The numbers at(0), at(1), ...; `half` scalars after them is their second half.
  template <int count, class At>
  PAPILIO_INLINE void load(X (&x)[count], At at, int64_t half) const {
    if (in_split_) {
      PAPILIO_UNROLL
      for (int k = 0; k < count; ++k) x[k] = X::load(at(k) + re_in_, at(k) + X::lanes - re_in_);
      return;
    }
    PAPILIO_UNROLL
    for (int k = 0; k < count; ++k) x[k] = X::load_interleaved(at(k), at(k) + half);
    if (swap_) {
      PAPILIO_UNROLL
      for (int k = 0; k < count; ++k) x[k] = x[k].swapped();
    }
  }

  /// Whether store() does all that is to be done; else finish() gets what it left in `slow`.
  PAPILIO_INLINE bool is_plain() const { return plain_; }
  PAPILIO_INLINE void store(X x, T* to, int64_t half) const {
    out_split_ ? store_split(x, to) : x.store_interleaved(to, to + half);
  }
  /// Scales, exchanges parts, stores past the caches: a loop that takes little code.
  template <int count, class At>
  PAPILIO_INLINE void finish(const X (&slow)[count], At at, int64_t half, bool stream) const {
    PAPILIO_ROLLED
    for (int k = 0; k < count; ++k) {
      X x = slow[k];
      if (scaled_) x = x.scaled(scale_);
      if (!out_split_ && swap_) x = x.swapped();
      stream && !out_split_ ? x.stream(at(k)) : store(x, at(k), half);
    }
  }

 private:
  PAPILIO_INLINE void store_split(X x, T* to) const {
    x.store(to + re_out_, to + X::lanes - re_out_);
  }

  const bool in_split_, out_split_, swap_, scaled_, plain_;
  const int64_t re_in_, re_out_;
  const typename X::V scale_;
};

/// A block on its way: read(first, x) gives the numbers from `first` on, write(j, x, k, y) takes
/// two, or one for k = -1. Twiddles are read where they are used: the registers are full.
template <class X, class Matrix, int R, class Twiddle, class Read, class Write>
PAPILIO_INLINE void butterfly(bool transposed, bool twiddled, Twiddle twiddle, Read read,
                              Write write) {
  const bool before = twiddled && !transposed, after = twiddled && transposed;
  const auto take = [&](int first, auto& x) __attribute__((always_inline)) {
    constexpr int count = sizeof x / sizeof x[0];
    read(first, x);
    if (before) {
      PAPILIO_UNROLL
      for (int k = 0; k < count; ++k)
        if (first + k > 0) x[k] = x[k] * twiddle(first + k);
    }
  };
  const auto put = [&](int j, X x, int k, X y) __attribute__((always_inline)) {
    if (after) {
      if (j > 0) x = x * twiddle(j);
      if (k > 0) y = y * twiddle(k);
    }
    write(j, x, k, y);
  };
  Matrix::template run<R, X>(transposed, take, put);
}

}  // namespace
}  // namespace kernels
}  // namespace papilio
