#include "apply/structure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace papilio {

namespace {

using Complex = std::complex<double>;

template <class T>
using real_of = decltype(std::abs(T()));

bool is_single(DType dtype) { return dtype == DType::float32 || dtype == DType::complex64; }

/// How far an entry may be from the structure, relative to itself (what is small may be right):
/// what rounding makes of a factor that was computed to have it.
double tolerance(DType dtype) {
  return 4 * (is_single(dtype) ? std::numeric_limits<float>::epsilon()
                               : std::numeric_limits<double>::epsilon());
}

/// Whether products with x keep their digits in the dtype.
bool is_normal(DType dtype, double x) {
  const double size = std::abs(x);
  return is_single(dtype) ? size >= std::numeric_limits<float>::min() &&
                                size <= static_cast<double>(std::numeric_limits<float>::max())
                          : size >= std::numeric_limits<double>::min() && std::isfinite(size);
}

bool is_close(Complex found, Complex wanted, double allowed) {
  return std::abs(found - wanted) <= allowed * std::abs(wanted);
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

/// Entry (j, k) of a matrix of this kind; `outputs` as in Structure.
Complex entry_of(MatrixKind kind, bool outputs, Index n, Index j, Index k) {
  if (kind == MatrixKind::hadamard) {
    Index ones = 0;
    for (Index bits = j & k; bits; bits &= bits - 1) ++ones;
    return ones % 2 ? -1.0 : 1.0;
  }
  const Index power = outputs ? bit_reversed(j, n) * k : j * bit_reversed(k, n);
  const Complex root = root_of_unity(power, n);
  return kind == MatrixKind::fourier ? root : std::conj(root);
}

/// Gives the structure's matrix exactly the entries of its kind; false if that is unknown, or if
/// an entry is farther off than `allowed`.
bool make_exact(Structure& s, double allowed) {
  const MatrixKind kind = kind_of(s);
  if (kind == MatrixKind::unknown) return false;
  const Index n = s.radix();
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < n; ++k) {
      Complex& entry = s.matrix[static_cast<std::size_t>(j * n + k)];
      const Complex wanted = entry_of(kind, s.outputs, n, j, k);
      if (!is_close(entry, wanted, allowed)) return false;
      entry = wanted;
    }
  return true;
}

template <class T>
std::optional<Structure> analyse_values(const Factor& factor, bool outputs, double allowed) {
  // For twiddles of the outputs, j and k change places.
  const Weights w = weights_of(factor, outputs);
  const Pattern& p = w.pattern;
  const T* values = static_cast<const T*>(w.values);
  const auto raw = [&](Index i, Index j, Index k, Index l) {
    return values[i * w.i + j * w.j + k * w.k + l * w.l];
  };
  const auto value = [&](Index i, Index j, Index k, Index l) { return Complex(raw(i, j, k, l)); };
  const Index is = factor.tied_a ? 1 : p.a, ls = factor.tied_d ? 1 : p.d;
  const Complex first = value(0, 0, 0, 0);
  const double scale = first.real();
  if (first.imag() != 0 || scale == 0.0 || !std::isfinite(scale)) return std::nullopt;
  Structure found{factor.pattern, outputs, factor.tied_a, scale, {}, {}};
  found.matrix.resize(static_cast<std::size_t>(p.b * p.c));
  const auto at = [&](Index j, Index k) -> Complex& {
    return found.matrix[static_cast<std::size_t>(outputs ? k * p.b + j : j * p.c + k)];
  };
  for (Index k = 0; k < p.c; ++k) {
    const Complex top = value(0, 0, k, 0);
    if (top == 0.0) return std::nullopt;
    for (Index j = 0; j < p.b; ++j) at(j, k) = value(0, j, k, 0) / top;
  }
  // Two roundings of `allowed` each are in a quotient; every entry is looked at below.
  if (!make_exact(found, 2 * allowed)) return std::nullopt;
  bool all_ones = true;
  std::vector<Complex> t(static_cast<std::size_t>(is * (p.c - 1) * p.d));
  for (Index i = 0; i < is; ++i)
    for (Index l = 0; l < ls; ++l)
      for (Index k = 0; k < p.c; ++k) {
        // As the kernels will have it.
        const Complex twiddle =
            k == 0 ? Complex(1) : Complex(raw(i, 0, k, l) / static_cast<real_of<T>>(scale));
        for (Index j = 0; j < p.b; ++j)
          if (!is_close(scale * at(j, k) * twiddle, value(i, j, k, l), allowed))
            return std::nullopt;
        if (k == 0) continue;
        all_ones &= twiddle == 1.0;
        Complex* to = t.data() + (i * (p.c - 1) + k - 1) * p.d + l;
        for (Index repeat = 0; repeat < (factor.tied_d ? p.d : 1); ++repeat) to[repeat] = twiddle;
      }
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
      constexpr double close = 1e-5;  // the matrices are far from each other
      real = real && std::abs(entry - entry_of(MatrixKind::hadamard, s.outputs, n, j, k)) < close;
      if (!forward && !backward) continue;
      const Complex root = entry_of(MatrixKind::fourier, s.outputs, n, j, k);
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
      if (found) return found;
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
          for (Index l = 0; l < d; ++l)
            if (!is_close(g * twiddle(left, i, f, l), twiddle(left, i, f, e * d + l),
                          tolerance(dtype)))
              return std::nullopt;
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
  // The constants are quotients of two twiddles, each within the tolerance of what it stands for.
  if (!is_normal(dtype, product.scale) || !make_exact(product, 2 * tolerance(dtype)))
    return std::nullopt;
  const auto is_one = [](Complex x) { return x == 1.0; };
  const Index steps = product.tied_a ? 1 : p.a;
  std::vector<Complex> t(static_cast<std::size_t>(steps * (n - 1) * d));
  for (Index i = 0; i < steps; ++i)
    for (Index k = 1; k < n; ++k)
      for (Index l = 0; l < d; ++l) {
        const Index f = k / q.c, k2 = k % q.c;
        const Complex x = twiddle(left, i, f, l), y = twiddle(right, i * fs + f, k2, l);
        if (x != 0.0 && y != 0.0 && !is_normal(dtype, std::abs(x * y))) return std::nullopt;
        t[static_cast<std::size_t>((i * (n - 1) + k - 1) * d + l)] = x * y;
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

/// The lane of a number in the kernels' vectors: ComplexLanes::lane_of.
static Index lane_of(Index number, Index lanes, Index together) {
  const Index n = number % (lanes / 2);
  return n / together * 2 * together + n % together + number / (lanes / 2) * together;
}

std::shared_ptr<const void> pack_twiddle_lanes(DType dtype, const Structure& s, bool conjugate,
                                               Index lanes) {
  const Index parts = holds_complex(dtype) ? 2 : 1, ks = s.pattern.c - 1, d = s.pattern.d;
  const Index repeats = d < lanes && s.tied_a ? lanes / d : 1;
  return with_scalar(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    const auto packed = allocate<decltype(tag)>(static_cast<Index>(s.t.size()) * parts * repeats);
    constexpr Index together = 16 / (2 * sizeof tag);
    const auto place = [&](Index number) {
      return parts == 2 ? lane_of(number, lanes, together) : number;
    };
    for_twiddles(dtype, s, conjugate, [&](Index i, Index k, Index l, Index part, double x) {
      for (Index repeat = 0; repeat < repeats; ++repeat) {
        const Index at = (i + repeat) * d + l;
        packed.get()[((at / lanes * ks + k) * parts + part) * lanes + place(at % lanes)] =
            static_cast<decltype(tag)>(x);
      }
    });
    return packed;
  });
}

}  // namespace papilio
