#include <algorithm>
#include <complex>
#include <type_traits>
#include <vector>

#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

template <class T>
struct Kind {
  static constexpr bool complex = false;
};
template <class R>
struct Kind<std::complex<R>> {
  static constexpr bool complex = true;
};

double times(double a, double b) { return a * b; }
float times(float a, float b) { return a * b; }
/// Without the special cases of infinities, which std::complex looks for each time.
template <class R>
std::complex<R> times(std::complex<R> a, std::complex<R> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

/// The block of a factor between the nodes on the way from a row to a column.
template <class T>
struct Crossing {
  const T* first;
  Index down, across;  // from node to node of the left interface, of the right one

  Crossing(const ChainFactor& p, Index width, Index row, Index column) {
    const Index row_radix = p.b / p.left, column_radix = p.c / p.right;
    const Index i = column / (width / p.a);
    const Index f = column / (width / (p.a * column_radix)) % column_radix;
    const Index e = row / p.d % row_radix;
    down = row_radix * p.c * p.d;
    across = p.d;
    first = static_cast<const T*>(p.values) + ((i * p.b + e) * p.c + f * p.right) * p.d + row % p.d;
  }
};

template <class T, class W>
W entry_of(const std::vector<ChainFactor>& factors, Index width, Index row, Index column,
           std::vector<W>& vector, std::vector<W>& next) {
  vector.assign(1, W(1));
  for (const ChainFactor& p : factors) {
    const Crossing<T> block(p, width, row, column);
    next.assign(static_cast<std::size_t>(p.right), W(0));
    for (Index t = 0; t < p.left; ++t) {
      const W weight = vector[static_cast<std::size_t>(t)];
      const T* from = block.first + t * block.down;
      for (Index u = 0; u < p.right; ++u)
        next[static_cast<std::size_t>(u)] += times(weight, W(from[u * block.across]));
    }
    vector.swap(next);
  }
  return vector[0];
}

/// (a, left, count) = the row's weights (a, left, c) times x (a, c, count).
template <class T, class W>
void multiply_row(const ChainFactor& p, Index row, Index count, const W* x, W* out) {
  const Index radix = p.b / p.left, e = row / p.d % radix;
  const double work = static_cast<double>(p.left * p.c) * (5.0 + static_cast<double>(count));
  in_shares(p.a, work, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      poll_interruption();
      for (Index t = 0; t < p.left; ++t) {
        W* to = out + (i * p.left + t) * count;
        std::fill_n(to, count, W(0));
        const T* from =
            static_cast<const T*>(p.values) + ((i * p.b + t * radix + e) * p.c) * p.d + row % p.d;
        for (Index k = 0; k < p.c; ++k) {
          const W weight = static_cast<W>(from[k * p.d]);
          const W* in = x + (i * p.c + k) * count;
          for (Index n = 0; n < count; ++n) to[n] += times(weight, in[n]);
        }
      }
    }
  });
}

}  // namespace

void product_entries(DType dtype, const std::vector<ChainFactor>& factors, Index count,
                     const Index* rows, const Index* columns, void* out) {
  const Index width = factors.back().a * factors.back().c * factors.back().d;
  double work = 50;
  for (const ChainFactor& p : factors) work += 3.0 * static_cast<double>(p.left * p.right);
  visit(dtype, [&](auto tag) {
    using T = decltype(tag);
    using W = std::conditional_t<Kind<T>::complex, std::complex<double>, double>;
    in_shares(count, work, [&](Index begin, Index end) {
      std::vector<W> vector, next;
      for (Index n = begin; n < end; ++n) {
        if ((n - begin) % 256 == 0) poll_interruption();
        static_cast<W*>(out)[n] = entry_of<T, W>(factors, width, rows[n], columns[n], vector, next);
      }
    });
  });
}

void product_row(DType dtype, const std::vector<ChainFactor>& factors, Index row, DType kind,
                 Index count, const void* x, void* out) {
  visit(dtype, [&](auto of_values) {
    visit(kind, [&](auto of_vectors) {
      using T = decltype(of_values);
      using W = decltype(of_vectors);
      if constexpr (Kind<T>::complex == Kind<W>::complex) {
        std::vector<W> now, next;
        const W* from = static_cast<const W*>(x);
        for (auto p = factors.rbegin(); p != factors.rend(); ++p) {
          next.resize(static_cast<std::size_t>(p->a * p->left * count));
          multiply_row<T, W>(*p, row, count, from, next.data());
          now.swap(next);
          from = now.data();
        }
        std::copy_n(from, count, static_cast<W*>(out));
      }
    });
  });
}

}  // namespace papilio
