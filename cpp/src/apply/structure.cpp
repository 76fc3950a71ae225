#include "apply/structure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace papilio {

namespace {

using Complex = std::complex<double>;

/// How far entries may be from the structure, relative to the largest of their block: what rounding
/// makes of a factor that was computed to have it.
double tolerance(DType dtype) {
  const bool single = dtype == DType::float32 || dtype == DType::complex64;
  return 4 *
         (single ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon());
}

Index bit_reversed(Index n, Index size) {
  if (size & (size - 1)) return n;
  Index result = 0;
  for (Index bit = 1; bit < size; bit *= 2, n /= 2) result = 2 * result + n % 2;
  return result;
}

Complex root_of_unity(Index power, Index order) {
  const double angle = -2 * M_PI * static_cast<double>(power % order) / static_cast<double>(order);
  return std::polar(1.0, angle);
}

template <class T>
std::optional<Structure> analyse_values(const Factor& factor, bool outputs, double allowed) {
  // For twiddles of the outputs, j and k change places.
  const Weights w = weights_of(factor, outputs);
  const Pattern& p = w.pattern;
  const T* values = static_cast<const T*>(w.values);
  const auto value = [&](Index i, Index j, Index k, Index l) {
    return Complex(values[i * w.i + j * w.j + k * w.k + l * w.l]);
  };
  const Index is = factor.tied_a ? 1 : p.a, ls = factor.tied_d ? 1 : p.d;
  const Complex scale = value(0, 0, 0, 0);
  if (scale.imag() != 0 || scale == 0.0 || !std::isfinite(scale.real())) return std::nullopt;
  Structure found{factor.pattern, outputs, factor.tied_a, scale.real(), {}, {}};
  std::vector<Complex> matrix(static_cast<std::size_t>(p.b * p.c));
  const auto at = [&](Index j, Index k) -> Complex& {
    return matrix[static_cast<std::size_t>(j * p.c + k)];
  };
  for (Index k = 0; k < p.c; ++k) {
    const Complex first = value(0, 0, k, 0);
    if (first == 0.0) return std::nullopt;
    for (Index j = 0; j < p.b; ++j) at(j, k) = value(0, j, k, 0) / first;
  }
  const double bound = allowed * std::abs(scale);
  bool all_ones = true;
  std::vector<Complex> t(static_cast<std::size_t>(is * (p.c - 1) * p.d));
  for (Index i = 0; i < is; ++i)
    for (Index l = 0; l < ls; ++l)
      for (Index k = 0; k < p.c; ++k) {
        const Complex twiddle = value(i, 0, k, l) / scale;
        for (Index j = 0; j < p.b; ++j) {
          const double error = std::abs(value(i, j, k, l) - scale * at(j, k) * twiddle);
          if (!(error <= bound * std::max(1.0, std::abs(twiddle)))) return std::nullopt;
        }
        if (k == 0) {
          if (!(std::abs(twiddle - 1.0) <= allowed)) return std::nullopt;
          continue;
        }
        all_ones &= twiddle == 1.0;
        Complex* to = t.data() + (i * (p.c - 1) + k - 1) * p.d + l;
        for (Index repeat = 0; repeat < (factor.tied_d ? p.d : 1); ++repeat) to[repeat] = twiddle;
      }
  found.matrix.resize(matrix.size());
  for (Index j = 0; j < p.b; ++j)
    for (Index k = 0; k < p.c; ++k)
      found.matrix[static_cast<std::size_t>(outputs ? k * p.b + j : j * p.c + k)] = at(j, k);
  if (!all_ones) found.t = std::move(t);
  return found;
}

/// twiddle(i, k, l) for all k, as scalars of the dtype: the real part, then if complex the other.
template <class Store>
void for_twiddles(DType dtype, const Structure& s, bool conjugate, Store store) {
  const Pattern& p = s.pattern;
  for (Index i = 0; i < (s.tied_a ? 1 : p.a); ++i)
    for (Index k = 1; k < p.c; ++k)
      for (Index l = 0; l < p.d; ++l) {
        const Complex t = s.t[static_cast<std::size_t>((i * (p.c - 1) + k - 1) * p.d + l)];
        store(i, k - 1, l, 0, t.real());
        if (holds_complex(dtype)) store(i, k - 1, l, 1, conjugate ? -t.imag() : t.imag());
      }
}

template <class Visitor>
std::shared_ptr<const void> with_scalar(DType dtype, Visitor visitor) {
  if (dtype == DType::float32 || dtype == DType::complex64) return visitor(float{});
  return visitor(double{});
}

}  // namespace

MatrixKind kind_of(const Structure& s) {
  const Index n = s.radix();
  bool real = (n & (n - 1)) == 0, forward = true, backward = true;
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < n; ++k) {
      const Complex entry = s.matrix[static_cast<std::size_t>(j * n + k)];
      Index ones = 0;
      for (Index bits = j & k; bits; bits &= bits - 1) ++ones;
      constexpr double close = 1e-5;  // the matrices are far from each other
      real = real && std::abs(entry - (ones % 2 ? -1.0 : 1.0)) < close;
      if (!forward && !backward) continue;
      const Index power = s.outputs ? bit_reversed(j, n) * k : j * bit_reversed(k, n);
      const Complex root = root_of_unity(power, n);
      forward = forward && std::abs(entry - root) < close;
      backward = backward && std::abs(entry - std::conj(root)) < close;
    }
  return real       ? MatrixKind::hadamard
         : forward  ? MatrixKind::fourier
         : backward ? MatrixKind::conjugate_fourier
                    : MatrixKind::unknown;
}

std::optional<Structure> analyse(DType dtype, const Factor& factor) {
  const Pattern& p = factor.pattern;
  if (p.b != p.c || !(p.b == 2 || p.b == 3 || p.b == 5 || p.b == 7)) return std::nullopt;
  return visit(dtype, [&](auto tag) -> std::optional<Structure> {
    for (const bool outputs : {false, true}) {
      auto found = analyse_values<decltype(tag)>(factor, outputs, tolerance(dtype));
      if (found && kind_of(*found) != MatrixKind::unknown) return found;
    }
    return std::nullopt;
  });
}

std::optional<Structure> compose(const Structure& left, const Structure& right, DType dtype) {
  const Pattern &p = left.pattern, &q = right.pattern;
  if (!chain_failure(p, q).empty()) return std::nullopt;
  const Pattern merged = chain_product(p, q);
  // One path, and square blocks of the product of both radices.
  if (chain_rank(p, q) != 1 || merged.b != p.b * q.b || merged.c != merged.b) return std::nullopt;
  const auto usable = [](const Structure& s) { return !s.outputs || s.t.empty(); };
  if (!usable(left) || !usable(right)) return std::nullopt;
  const Index es = q.b, fs = p.c, n = merged.b, d = q.d;
  const auto twiddle = [](const Structure& s, Index i, Index k, Index l) {
    if (k == 0 || s.t.empty()) return Complex(1);
    const Index at = ((s.tied_a ? 0 : i) * (s.pattern.c - 1) + k - 1) * s.pattern.d + l;
    return s.t[static_cast<std::size_t>(at)];
  };
  // The left twiddles must be those of e = 0 times a constant of (f, e), which joins the matrix.
  std::vector<Complex> constant(static_cast<std::size_t>(fs * es), 1.0);
  const Index is = left.tied_a ? 1 : p.a;
  if (!left.t.empty())
    for (Index f = 1; f < fs; ++f)
      for (Index e = 1; e < es; ++e) {
        const Complex g = twiddle(left, 0, f, e * d) / twiddle(left, 0, f, 0);
        constant[static_cast<std::size_t>(f * es + e)] = g;
        for (Index i = 0; i < is; ++i)
          for (Index l = 0; l < d; ++l) {
            const Complex expected = g * twiddle(left, i, f, l);
            if (!(std::abs(twiddle(left, i, f, e * d + l) - expected) <=
                  tolerance(dtype) * std::max(1.0, std::abs(expected))))
              return std::nullopt;
          }
      }
  Structure product{merged, false, left.tied_a && right.tied_a, left.scale * right.scale, {}, {}};
  product.matrix.resize(static_cast<std::size_t>(n * n));
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < n; ++k) {
      const Index j1 = j / es, e = j % es, f = k / q.c, k2 = k % q.c;
      product.matrix[static_cast<std::size_t>(j * n + k)] =
          left.matrix[static_cast<std::size_t>(j1 * fs + f)] *
          constant[static_cast<std::size_t>(f * es + e)] *
          right.matrix[static_cast<std::size_t>(e * q.c + k2)];
    }
  if (kind_of(product) == MatrixKind::unknown) return std::nullopt;
  const auto is_one = [](Complex x) { return x == 1.0; };
  const Index steps = product.tied_a ? 1 : p.a;
  std::vector<Complex> t(static_cast<std::size_t>(steps * (n - 1) * d));
  for (Index i = 0; i < steps; ++i)
    for (Index k = 1; k < n; ++k)
      for (Index l = 0; l < d; ++l) {
        const Index f = k / q.c, k2 = k % q.c;
        t[static_cast<std::size_t>((i * (n - 1) + k - 1) * d + l)] =
            twiddle(left, i, f, l) * twiddle(right, i * fs + f, k2, l);
      }
  if (!std::all_of(t.begin(), t.end(), is_one)) product.t = std::move(t);
  return product;
}

std::shared_ptr<const void> pack_twiddles(DType dtype, const Structure& s, bool conjugate) {
  const Index parts = holds_complex(dtype) ? 2 : 1, ks = s.pattern.c - 1, d = s.pattern.d;
  return with_scalar(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    const auto packed = allocate<decltype(tag)>(static_cast<Index>(s.t.size()) * parts);
    for_twiddles(dtype, s, conjugate, [&](Index i, Index k, Index l, Index part, double x) {
      packed.get()[((i * d + l) * ks + k) * parts + part] = static_cast<decltype(tag)>(x);
    });
    return packed;
  });
}

std::shared_ptr<const void> pack_twiddle_lanes(DType dtype, const Structure& s, bool conjugate,
                                               Index lanes) {
  const Index parts = holds_complex(dtype) ? 2 : 1, ks = s.pattern.c - 1, d = s.pattern.d;
  const Index repeats = d < lanes && s.tied_a ? lanes / d : 1;
  return with_scalar(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    const auto packed = allocate<decltype(tag)>(static_cast<Index>(s.t.size()) * parts * repeats);
    for_twiddles(dtype, s, conjugate, [&](Index i, Index k, Index l, Index part, double x) {
      for (Index repeat = 0; repeat < repeats; ++repeat) {
        const Index at = (i + repeat) * d + l;
        packed.get()[((at / lanes * ks + k) * parts + part) * lanes + at % lanes] =
            static_cast<decltype(tag)>(x);
      }
    });
    return packed;
  });
}

}  // namespace papilio
