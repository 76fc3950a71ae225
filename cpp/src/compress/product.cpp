#include <algorithm>
#include <complex>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

// Of the vectors on their way; some megabytes.
constexpr Index numbers_together = 1 << 19;

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

std::size_t at(Index n) { return static_cast<std::size_t>(n); }

/// Where the block of a factor between the nodes on the way from a row to a column starts; with
/// identities: the number of its panel and of the block in it, together.
Index crossing(const ChainFactor& p, Index width, Index row, Index column) {
  const Index column_radix = p.c / p.right, row_radix = p.b / p.left;
  const Index i = column / (width / p.a);
  const Index f = column / (width / (p.a * column_radix)) % column_radix;
  const Index e = row / p.d % row_radix;
  if (p.rows) return ((i * p.d + row % p.d) * column_radix + f) * row_radix + e;
  return ((i * p.b + e) * p.c + f * p.right) * p.d + row % p.d;
}

/// A panel of a factor with identities: where its rows are, and what they hold.
template <class T>
class Panel {
 public:
  explicit Panel(const ChainFactor& p) : p_(p), places_(p.rows ? at(p.b) : 0) {}

  void enter(Index number) {
    const std::uint16_t* rows = p_.rows + number * p_.b;
    weights_ = static_cast<const T*>(p_.values) + number * (p_.b - p_.right) * p_.right;
    std::fill(places_.begin(), places_.end(), Index{0});
    for (Index n = 0; n < p_.b; ++n)
      if (rows[n] < p_.b) places_[rows[n]] = n;
  }

  /// The column of row j's one, if it is one of the identity, else -1.
  Index unit(Index j) const { return places_[at(j)] < p_.right ? places_[at(j)] : -1; }
  /// The values of another row.
  const T* values(Index j) const { return weights_ + (places_[at(j)] - p_.right) * p_.right; }

 private:
  const ChainFactor& p_;
  const T* weights_ = nullptr;
  std::vector<Index> places_;
};

/// Entries whose vectors go through the factors together. Each factor takes them in the order in
/// which their blocks lie in memory: neighbours share cache lines.
template <class T, class W>
class Together {
 public:
  Together(Index count, Index rank)
      : now_(at(count * rank)), next_(at(count * rank)), start_(at(count)), order_(at(count)) {}

  /// From `start` (count x the first factor's left; null: ones) to out (count x the last's right).
  void run(const std::vector<ChainFactor>& factors, Index width, Index count, const Index* rows,
           const Index* columns, const W* start, W* out) {
    if (start)
      std::copy_n(start, count * factors.front().left, now_.begin());
    else
      std::fill_n(now_.begin(), count, W(1));
    for (const ChainFactor& p : factors) {
      order_.resize(at(count));
      for (Index n = 0; n < count; ++n) {
        order_[at(n)] = n;
        start_[at(n)] = crossing(p, width, rows[n], columns[n]);
      }
      std::sort(order_.begin(), order_.end(),
                [this](Index m, Index n) { return start_[at(m)] < start_[at(n)]; });
      multiply(p, count);
      now_.swap(next_);
    }
    std::copy_n(now_.begin(), count * factors.back().right, out);
  }

 private:
  void multiply(const ChainFactor& p, Index count) {
    const Index down = p.b / p.left * p.c * p.d;
    in_shares(count, 20 + 3.0 * static_cast<double>(p.left * p.right), [&](Index begin, Index end) {
      Panel<T> panel(p);
      for (Index k = begin; k < end; ++k) {
        if ((k - begin) % 256 == 0) poll_interruption();
        const Index n = order_[at(k)];
        const W* in = &now_[at(n * p.left)];
        W* to = &next_[at(n * p.right)];
        std::fill_n(to, p.right, W(0));
        if (p.rows) {
          through(p, panel, start_[at(n)], in, to);
          continue;
        }
        for (Index t = 0; t < p.left; ++t) {
          const T* from = static_cast<const T*>(p.values) + start_[at(n)] + t * down;
          for (Index u = 0; u < p.right; ++u) to[u] += times(in[t], W(from[u * p.d]));
        }
      }
    });
  }

  /// The same bits as with the identities, whose zeros add nothing to finite numbers.
  static void through(const ChainFactor& p, Panel<T>& panel, Index start, const W* in, W* to) {
    const Index radix = p.b / p.left;
    panel.enter(start / radix);
    for (Index t = 0; t < p.left; ++t) {
      const Index j = t * radix + start % radix, unit = panel.unit(j);
      if (unit >= 0) {
        to[unit] += in[t];
        continue;
      }
      const T* from = panel.values(j);
      for (Index u = 0; u < p.right; ++u) to[u] += times(in[t], W(from[u]));
    }
  }

  std::vector<W> now_, next_;
  std::vector<Index> start_, order_;
};

/// to += some weights, `step` apart, times as many vectors x.
template <class T, class W>
void add_weighted(const T* weights, Index step, Index size, Index count, const W* x, W* to) {
  for (Index k = 0; k < size; ++k) {
    const W weight = static_cast<W>(weights[k * step]);
    const W* in = x + k * count;
    for (Index n = 0; n < count; ++n) to[n] += times(weight, in[n]);
  }
}

/// (a, left, count) = the row's weights (a, left, c) times x (a, c, count).
template <class T, class W>
void multiply_row(const ChainFactor& p, Index row, Index count, const W* x, W* out) {
  const Index radix = p.b / p.left, e = row / p.d % radix, l = row % p.d;
  const Index panels = p.rows ? p.c / p.right : 1, columns = p.c / panels;
  const double work = static_cast<double>(p.left * p.c) * (5.0 + static_cast<double>(count));
  in_shares(p.a, work, [&](Index begin, Index end) {
    Panel<T> panel(p);
    std::fill(out + begin * p.left * count, out + end * p.left * count, W(0));
    for (Index n = begin * panels; n < end * panels; ++n) {
      poll_interruption();
      const Index i = n / panels;
      if (p.rows) panel.enter((i * p.d + l) * panels + n % panels);
      for (Index t = 0; t < p.left; ++t) {
        const Index j = t * radix + e, unit = p.rows ? panel.unit(j) : -1;
        const W* in = x + n * columns * count;
        W* to = out + (i * p.left + t) * count;
        if (unit >= 0) {
          for (Index k = 0; k < count; ++k) to[k] += in[unit * count + k];
        } else if (p.rows) {
          add_weighted(panel.values(j), 1, columns, count, in, to);
        } else {
          const T* from = static_cast<const T*>(p.values) + (i * p.b + j) * p.c * p.d + l;
          add_weighted(from, p.d, columns, count, in, to);
        }
      }
    }
  });
}

}  // namespace

void product_entries(DType dtype, const std::vector<ChainFactor>& factors, Index count,
                     const Index* rows, const Index* columns, const void* start, void* out) {
  const Index width = factors.back().a * factors.back().c * factors.back().d;
  const Index left = factors.front().left, right = factors.back().right;
  Index rank = left;
  for (const ChainFactor& p : factors) rank = std::max(rank, p.right);
  const Index most = std::min(count, std::max<Index>(256, numbers_together / rank));
  visit(dtype, [&](auto tag) {
    using T = decltype(tag);
    using W = std::conditional_t<Kind<T>::complex, std::complex<double>, double>;
    Together<T, W> together(most, rank);
    for (Index first = 0; first < count; first += most)
      together.run(factors, width, std::min(most, count - first), rows + first, columns + first,
                   start ? static_cast<const W*>(start) + first * left : nullptr,
                   static_cast<W*>(out) + first * right);
  });
}

void product_rows(DType dtype, const std::vector<ChainFactor>& factors, Index row, Index rows,
                  DType kind, Index count, const void* x, void* out) {
  visit(dtype, [&](auto of_values) {
    visit(kind, [&](auto of_vectors) {
      using T = decltype(of_values);
      using W = decltype(of_vectors);
      if constexpr (Kind<T>::complex == Kind<W>::complex) {
        std::vector<W> now, next;
        const W* from = static_cast<const W*>(x);
        for (auto p = factors.rbegin(); p + 1 != factors.rend(); ++p) {
          next.resize(at(p->a * p->left * count));
          multiply_row<T, W>(*p, row, count, from, next.data());
          now.swap(next);
          from = now.data();
        }
        const ChainFactor& first = factors.front();
        W* to = static_cast<W*>(out);
        for (Index n = 0; n < rows; ++n, to += first.a * first.left * count)
          multiply_row<T, W>(first, row + n * first.d, count, from, to);
      }
    });
  });
}

}  // namespace papilio
