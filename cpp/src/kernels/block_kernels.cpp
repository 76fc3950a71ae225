// The kernels of factorization, compiled once per instruction set as kernels.cpp is; the object
// exports its table and nothing else and includes C headers only.
#include "kernels/block_kernels.hpp"

#include "kernels/block_products.hpp"
#include "kernels/tridiagonal_eigenproblem.hpp"
#include "kernels/tridiagonalization.hpp"

namespace papilio {
namespace kernels {
namespace {

template <class A>
bool hermitian(int64_t n, int64_t count, void* matrix, void* out_values, void* out_vectors,
               void* work) {
  typedef typename A::element element;
  typedef typename A::scalar R;
  element* g = static_cast<element*>(matrix);
  R* values = static_cast<R*>(out_values);
  element* vectors = static_cast<element*>(out_vectors);
  element* phase = static_cast<element*>(work);
  element *v = phase + n, *w = v + n;  // w takes 2 n
  R* d = reinterpret_cast<R*>(w + 2 * n);
  R *e = d + n, *beta = e + n;
  R* z = reinterpret_cast<R*>(phase + 8 * n);
  tridiagonalize<A>(n, g, d, e, beta, phase, v, w);
  const int64_t wanted = count < n ? count + 1 : n;
  R* free_now = reinterpret_cast<R*>(v);
  bool found = false;
  if (n > 24 && 4 * count < n) {
    largest_eigenvalues(n, count, d, e, free_now, values);
    found = inverse_iteration(n, count, d, e, values, z, free_now);
  }
  if (!found) {
    for (int64_t i = 0; i < n * n; ++i) z[i] = 0;
    for (int64_t i = 0; i < n; ++i) z[i * n + i] = 1;
    if (!implicit_ql(n, d, e, z)) return false;
    for (int64_t number = 0; number < wanted; ++number) {
      int64_t best = number;
      for (int64_t i = number + 1; i < n; ++i)
        if (d[i] > d[best]) best = i;
      values[number] = d[best];
      if (best == number) continue;
      d[best] = d[number];
      for (int64_t i = 0; i < n; ++i) {
        const R t = z[best * n + i];
        z[best * n + i] = z[number * n + i];
        z[number * n + i] = t;
      }
    }
  }
  for (int64_t number = 0; number < count; ++number) {
    element* x = vectors + number * n;
    for (int64_t i = 0; i < n; ++i) x[i] = scaled(phase[i], z[number * n + i]);
    for (int64_t k = n - 2; k >= 0; --k) {
      if (beta[k] == 0) continue;
      const element* conj_v = g + k * n + k + 1;
      element* rest = x + k + 1;
      const element by = scaled(product_of<A>(conj_v, rest, n - k - 1), -beta[k]);
      for (int64_t j = 0; j < n - k - 1; ++j)
        rest[j] = plus(rest[j], times(by, conjugate(conj_v[j])));
    }
  }
  return true;
}

template <class A>
constexpr BlockKernels kernels_of() {
  return {A::lanes, cross<A>, residual<A>, hermitian<A>};
}

constexpr BlockTable table = {{kernels_of<Real<float>>(), kernels_of<Real<double>>(),
                               kernels_of<Complex<float>>(), kernels_of<Complex<double>>()}};

}  // namespace

const BlockTable& PAPILIO_JOIN(block_table_, PAPILIO_ISA_NAME)();
const BlockTable& PAPILIO_JOIN(block_table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
