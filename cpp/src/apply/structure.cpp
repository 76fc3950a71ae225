#include "apply/structure.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <type_traits>

#include "papilio/interruption.hpp"

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

template <class T>
bool is_close(T found, T wanted, double allowed) {
  return std::abs(found - wanted) <= allowed * std::abs(wanted);
}

/// The number at place n of the order that a kernel for this radix wants: kernels::Digits.
Index number_at(Index n, Index size) {
  if (size == 6 || size == 9 || size == 15) {
    const Index right = size == 6 ? 2 : 3;
    return n / right + n % right * (size / right);
  }
  if (size & (size - 1)) return n;
  Index result = 0;
  for (Index bit = 1; bit < size; bit *= 2, n /= 2) result = 2 * result + n % 2;
  return result;
}

/// From an angle of at most pi/4, so that parts are as exact as they can be and quarter turns
/// exact.
Complex root_of_unity(Index power, Index order) {
  const Index turn = 4 * (power % order), quarter = turn / order, rest = turn % order;
  const bool mirrored = 2 * rest > order;
  const double angle =
      static_cast<double>(mirrored ? order - rest : rest) * (M_PI / 2 / static_cast<double>(order));
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const Complex first = mirrored ? Complex(sine, -cosine) : Complex(cosine, -sine);
  switch (quarter) {
    case 0:
      return first;
    case 1:
      return {first.imag(), -first.real()};
    case 2:
      return -first;
    default:
      return {-first.imag(), first.real()};
  }
}

/// Entry (j, k) of a matrix of this kind.
Complex entry_of(MatrixKind kind, Index n, Index j, Index k) {
  if (kind == MatrixKind::hadamard) {
    Index ones = 0;
    for (Index bits = j & k; bits; bits &= bits - 1) ++ones;
    return ones % 2 ? -1.0 : 1.0;
  }
  const Complex root = root_of_unity(j * k, n);
  return kind == MatrixKind::fourier ? root : std::conj(root);
}

/// The same in the order of the kernels; `outputs` as in Structure.
Complex kernel_entry(MatrixKind kind, bool outputs, Index n, Index j, Index k) {
  if (kind == MatrixKind::hadamard) return entry_of(kind, n, j, k);
  return outputs ? entry_of(kind, n, number_at(j, n), k) : entry_of(kind, n, j, number_at(k, n));
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
      const Complex wanted = kernel_entry(kind, s.outputs, n, j, k);
      if (!is_close(entry, wanted, allowed)) return false;
      entry = wanted;
    }
  return true;
}

/// A factor's values as value(i, j, k, l); for twiddles of the outputs, j and k change places.
template <class T>
struct Entries {
  Entries(const Factor& factor, bool outputs) : w(weights_of(factor, outputs)) {}
  Index place(Index i, Index j, Index k, Index l) const {
    return i * w.i + j * w.j + k * w.k + w.along(l);
  }
  T operator()(Index i, Index j, Index k, Index l) const {
    return static_cast<const T*>(w.values)[place(i, j, k, l)];
  }
  Weights w;
};

/// Whether value(i, j, k, l) is matrix(j, k) * twiddle(i, k, l) within a part `allowed` of itself,
/// for all i < is, j, k < n, l < d, the first of each run. Calls store(i, k, l, twiddle) on the
/// way.
template <class Value, class Matrix, class Twiddle, class Store>
bool is_twiddled(Index is, Index n, Index d, Index run, Value value, Matrix matrix, Twiddle twiddle,
                 double allowed, Store store) {
  SteppedPoll poll;
  for (Index i = 0; i < is; ++i)
    for (Index l = 0; l < d; l += run)
      for (Index k = 0; k < n; ++k) {
        poll.step();
        const auto t = twiddle(i, k, l);
        for (Index j = 0; j < n; ++j)
          if (!is_close(matrix(j, k) * t, value(i, j, k, l), allowed)) return false;
        store(i, k, l, t);
      }
  return true;
}

template <class T>
std::optional<Structure> analyse_values(const Factor& factor, bool outputs, double allowed) {
  const Entries<T> raw(factor, outputs);
  const Pattern& p = raw.w.pattern;
  const auto value = [&](Index i, Index j, Index k, Index l) { return Complex(raw(i, j, k, l)); };
  const Index is = factor.tied_a ? 1 : p.a;
  const Complex first = value(0, 0, 0, 0);
  const double scale = first.real();
  if (first.imag() != 0 || scale == 0.0 || !std::isfinite(scale)) return std::nullopt;
  Structure found{factor.pattern, outputs, factor.tied_a, scale, {}, {}, factor.run};
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
  std::vector<Complex> t(static_cast<std::size_t>(is * (p.c - 1) * factor.stored_l()));
  // As the kernels will have it.
  const auto twiddle = [&](Index i, Index k, Index l) {
    return k == 0 ? Complex(1) : Complex(raw(i, 0, k, l) / static_cast<real_of<T>>(scale));
  };
  const auto store = [&](Index i, Index k, Index l, Complex x) {
    if (k == 0) return;
    all_ones &= x == 1.0;
    t[static_cast<std::size_t>((i * (p.c - 1) + k - 1) * factor.stored_l() + l / factor.run)] = x;
  };
  const auto matrix = [&](Index j, Index k) { return scale * at(j, k); };
  if (!is_twiddled(is, p.c, p.d, factor.run, value, matrix, twiddle, allowed, store))
    return std::nullopt;
  if (!all_ones) found.t = std::move(t);
  return found;
}

template <class T>
T conjugate(T x) {
  if constexpr (std::is_same<T, Complex>::value)
    return std::conj(x);
  else
    return x;
}

/// All entries [j][k] of a matrix of this kind; it is symmetric.
template <class T>
std::vector<T> matrix_of(MatrixKind kind, Index n) {
  std::vector<T> matrix(static_cast<std::size_t>(n * n));
  // The second row of a Fourier matrix has all of its entries.
  std::vector<Complex> roots;
  if (kind != MatrixKind::hadamard)
    for (Index m = 0; m < n; ++m) roots.push_back(entry_of(kind, n, 1, m));
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < n; ++k) {
      const Complex entry =
          roots.empty() ? entry_of(kind, n, j, k) : roots[static_cast<std::size_t>(j * k % n)];
      if constexpr (std::is_same<T, Complex>::value)
        matrix[static_cast<std::size_t>(j * n + k)] = entry;
      else
        matrix[static_cast<std::size_t>(j * n + k)] = entry.real();
    }
  return matrix;
}

/// make_structured with one matrix, and twiddles on one side.
template <class T>
bool make_product(T* values, const Pattern& p, const std::vector<T>& entries, bool outputs,
                  double tolerance) {
  const Index n = p.b;
  const Entries<T> value(Factor{p, values, false, 1}, outputs);
  const auto matrix = [&](Index j, Index k) {
    return entries[static_cast<std::size_t>(j * n + k)];
  };
  std::vector<T> t(static_cast<std::size_t>(p.a * n * p.d));
  const auto at = [&](Index i, Index k, Index l) -> T& {
    return t[static_cast<std::size_t>((i * n + k) * p.d + l)];
  };
  const auto mean = [&](Index i, Index k, Index l) {
    T sum(0);
    for (Index j = 0; j < n; ++j) sum += value(i, j, k, l) * conjugate(matrix(j, k));
    return sum / static_cast<double>(n);
  };
  const auto store = [&](Index i, Index k, Index l, T x) { at(i, k, l) = x; };
  if (!is_twiddled(p.a, n, p.d, 1, value, matrix, mean, tolerance, store)) return false;
  SteppedPoll poll;
  for (Index i = 0; i < p.a; ++i)
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < n; ++k)
        for (Index l = 0; l < p.d; ++l, poll.step())
          values[value.place(i, j, k, l)] = matrix(j, k) * at(i, k, l);
  return true;
}

template <class T>
MatrixKind make_any_product(T* values, const Pattern& p, double tolerance) {
  for (const MatrixKind kind :
       {MatrixKind::hadamard, MatrixKind::fourier, MatrixKind::conjugate_fourier}) {
    const bool exists =
        kind == MatrixKind::hadamard ? (p.b & (p.b - 1)) == 0 : std::is_same<T, Complex>::value;
    if (!exists) continue;
    const std::vector<T> matrix = matrix_of<T>(kind, p.b);
    for (const bool outputs : {false, true})
      if (make_product(values, p, matrix, outputs, tolerance)) return kind;
  }
  return MatrixKind::unknown;
}

/// For all twiddles store(i, l, k - 1, part, x), x being a scalar of the dtype: the real part and,
/// if complex, the other.
template <class Store>
void for_twiddles(DType dtype, const Structure& s, bool conjugate, Store store) {
  const Pattern& p = s.pattern;
  SteppedPoll poll;
  for (Index i = 0; i < (s.tied_a ? 1 : p.a); ++i)
    for (Index k = 1; k < p.c; ++k)
      for (Index l = 0; l < p.d; ++l) {
        poll.step();
        const Index at = (i * (p.c - 1) + k - 1) * (p.d / s.run) + l / s.run;
        const Complex t = s.t[static_cast<std::size_t>(at)];
        store(i, l, k - 1, Index{0}, t.real());
        if (holds_complex(dtype)) store(i, l, k - 1, Index{1}, conjugate ? -t.imag() : t.imag());
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
      real =
          real && std::abs(entry - kernel_entry(MatrixKind::hadamard, s.outputs, n, j, k)) < close;
      if (!forward && !backward) continue;
      const Complex root = kernel_entry(MatrixKind::fourier, s.outputs, n, j, k);
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
  constexpr Index known[] = {2, 3,  5,
                             7, 11, 13};  // those of the kernels, which make others of them
  if (p.b != p.c || std::find(std::begin(known), std::end(known), p.b) == std::end(known))
    return std::nullopt;
  if (factor.by_blocks || factor.identities.rank) return std::nullopt;  // of large blocks only
  return visit(dtype, [&](auto tag) -> std::optional<Structure> {
    for (const bool outputs : {false, true}) {
      auto found = analyse_values<decltype(tag)>(factor, outputs, tolerance(dtype));
      if (found) return found;
    }
    return std::nullopt;
  });
}

MatrixKind make_structured(DType dtype, void* values, Index a, Index n, Index d, double tolerance) {
  const Pattern pattern{a, n, n, d};
  if (dtype == DType::float64)
    return make_any_product(static_cast<double*>(values), pattern, tolerance);
  if (dtype == DType::complex128)
    return make_any_product(static_cast<Complex*>(values), pattern, tolerance);
  throw std::invalid_argument("values must be float64 or complex128");
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
    const Index row = (s.tied_a ? 0 : i) * (s.pattern.c - 1) + k - 1;
    const Index at = row * (s.pattern.d / s.run) + l / s.run;
    return s.t[static_cast<std::size_t>(at)];
  };
  // The left twiddles must be those of e = 0 times a constant of (f, e), which joins the matrix.
  std::vector<Complex> constant(static_cast<std::size_t>(fs * es), 1.0);
  const Index is = left.tied_a ? 1 : p.a;
  SteppedPoll poll;
  if (!left.t.empty())
    for (Index f = 1; f < fs; ++f)
      for (Index e = 1; e < es; ++e) {
        const Complex g = twiddle(left, 0, f, e * d) / twiddle(left, 0, f, 0);
        constant[static_cast<std::size_t>(f * es + e)] = g;
        for (Index i = 0; i < is; ++i)
          for (Index l = 0; l < d; l += std::gcd(left.run, d), poll.step())
            if (!is_close(g * twiddle(left, i, f, l), twiddle(left, i, f, e * d + l),
                          tolerance(dtype)))
              return std::nullopt;
      }
  const Index run = std::gcd(std::gcd(left.shared(), right.shared()), d);
  Structure product{merged, false, left.tied_a && right.tied_a, left.scale * right.scale, {},
                    {},     run};
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
  std::vector<Complex> t(static_cast<std::size_t>(steps * (n - 1) * (d / run)));
  for (Index i = 0; i < steps; ++i)
    for (Index k = 1; k < n; ++k)
      for (Index l = 0; l < d; l += run) {
        poll.step();
        const Index f = k / q.c, k2 = k % q.c;
        const Complex x = twiddle(left, i, f, l), y = twiddle(right, i * fs + f, k2, l);
        if (x != 0.0 && y != 0.0 && !is_normal(dtype, std::abs(x * y))) return std::nullopt;
        t[static_cast<std::size_t>((i * (n - 1) + k - 1) * (d / run) + l / run)] = x * y;
      }
  if (!std::all_of(t.begin(), t.end(), is_one)) product.t = std::move(t);
  return product;
}

Index shared_run(const Structure& s) {
  const Index stored = s.pattern.d / s.run;
  Index run = stored;
  for (std::size_t n = 0; n < s.t.size() && run > 1; ++n)
    if (const Index l = static_cast<Index>(n) % stored; l > 0 && s.t[n] != s.t[n - 1])
      run = std::gcd(run, l);
  return run * s.run;
}

Structure without_repeats(const Structure& s, Index run, Index copies) {
  Structure kept = s;
  const Index d = s.pattern.d / run * copies;
  kept.pattern.d = d;
  kept.run = 1;
  kept.t.resize(static_cast<std::size_t>(s.entries() / run * copies));
  SteppedPoll poll;
  for (std::size_t n = 0; n < kept.t.size(); ++n) {
    poll.step();
    const Index at = static_cast<Index>(n), l = at % d / copies * run;
    kept.t[n] = s.t[static_cast<std::size_t>(at / d * (s.pattern.d / s.run) + l / s.run)];
  }
  return kept;
}

std::shared_ptr<const void> pack_twiddles(DType dtype, const Structure& s, bool conjugate) {
  const Index parts = holds_complex(dtype) ? 2 : 1, ks = s.pattern.c - 1, d = s.pattern.d;
  return with_scalar(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    const auto packed = allocate<decltype(tag)>(s.entries() * parts);
    for_twiddles(dtype, s, conjugate, [&](Index i, Index l, Index k, Index part, double x) {
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

Index twiddle_period(const Structure& s, Index lanes) {
  const Index d = s.pattern.d, all = (s.pattern.a * d + lanes - 1) / lanes;
  return s.tied_a ? std::min(d / std::gcd(d, lanes), all) : all;
}

std::shared_ptr<const void> pack_twiddle_lanes(DType dtype, const Structure& s, bool conjugate,
                                               Index lanes) {
  const Index parts = holds_complex(dtype) ? 2 : 1, ks = s.pattern.c - 1, d = s.pattern.d;
  const Index numbers = twiddle_period(s, lanes) * lanes;
  return with_scalar(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    const auto packed = allocate<decltype(tag)>(numbers * ks * parts);
    constexpr Index together = 16 / (2 * sizeof tag);
    for_twiddles(dtype, s, conjugate, [&](Index i, Index l, Index k, Index part, double x) {
      const Index first = i * d + l, end = s.tied_a ? numbers : first + 1;
      for (Index number = first; number < end; number += d) {
        const Index lane = number % lanes;
        packed.get()[((number / lanes * ks + k) * parts + part) * lanes +
                     (parts == 2 ? lane_of(lane, lanes, together) : lane)] =
            static_cast<decltype(tag)>(x);
      }
    });
    return packed;
  });
}

}  // namespace papilio
