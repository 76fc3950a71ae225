// The few LAPACK calls that factorize needs, typed. Matrices are column-major.
#pragma once

#include <complex>
#include <memory>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

template <class T>
struct real_type {
  using type = T;
};
template <class R>
struct real_type<std::complex<R>> {
  using type = R;
};
template <class T>
using Real = typename real_type<T>::type;

inline float conjugate(float x) { return x; }
inline double conjugate(double x) { return x; }
template <class R>
std::complex<R> conjugate(std::complex<R> x) {
  return std::conj(x);
}

/// Thin SVDs of matrices of one shape: A = U diag(sigma) Vh, with min(rows, cols) = inner.
/// Owns the work memory; one object per thread. Large ones poll for interruption.
template <class T>
class Svd {
 public:
  Svd(Index rows, Index cols);
  /// Destroys a (rows x cols). u() is rows x inner, vh() inner x cols. Throws std::runtime_error
  /// if neither of LAPACK's two algorithms converges.
  void compute(T* a);
  const Real<T>* sigma() const { return work_->sigma.data(); }
  const T* u() const { return work_->u.data(); }
  const T* vh() const { return work_->vh.data(); }
  Index inner() const { return work_->inner; }

 private:
  /// What a call touches; it may have to outlive this object.
  struct Work {
    Work(Index rows, Index cols);
    void compute(T* a);
    int call(void* routine, bool divide_and_conquer, T* a, T* memory, int lwork);

    Index rows, cols, inner;
    std::vector<Real<T>> sigma, rwork;
    std::vector<T> u, vh, memory, copy, matrix;
    std::vector<int> iwork;
  };
  std::shared_ptr<Work> work_;
};

/// Thin QR of matrices of one shape, with inner = min(rows, cols): the first `inner` columns of a
/// become Q, and r (inner x cols) becomes R. Throws std::runtime_error if LAPACK refuses. Large
/// ones poll for interruption.
template <class T>
class Qr {
 public:
  Qr(Index rows, Index cols);
  void compute(T* a, T* r);
  Index inner() const { return work_->inner; }

 private:
  struct Work {
    Work(Index rows, Index cols);
    void compute(T* a, T* r);

    Index rows, cols, inner;
    std::vector<T> tau, memory, matrix, triangle;
  };
  std::shared_ptr<Work> work_;
};

/// Holds the BLAS behind LAPACK to one thread while papilio's own threads call it; an OpenBLAS
/// that can't be found is left as it is.
class SingleThreadedBlas {
 public:
  explicit SingleThreadedBlas(bool active);
  ~SingleThreadedBlas();
  SingleThreadedBlas(const SingleThreadedBlas&) = delete;
  SingleThreadedBlas& operator=(const SingleThreadedBlas&) = delete;

 private:
  bool active_;
};

}  // namespace papilio
