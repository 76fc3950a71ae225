#include "factorize/lapack.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "factorize/long_call.hpp"
#include "papilio/factorize.hpp"

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#endif

namespace papilio {

namespace {

LapackRoutines routines{};
std::once_flag routines_once;
std::atomic<bool> routines_set{false};

template <class T>
constexpr int dtype_index() {
  if (std::is_same<T, float>::value) return 0;
  if (std::is_same<T, double>::value) return 1;
  return std::is_same<T, std::complex<float>>::value ? 2 : 3;
}

template <class T>
constexpr bool is_complex = !std::is_same<T, Real<T>>::value;

double real_part(double x) { return x; }
template <class R>
double real_part(std::complex<R> x) {
  return static_cast<double>(x.real());
}

std::size_t count(Index n) { return static_cast<std::size_t>(std::max<Index>(n, 1)); }

int lapack_size(Index n) {
  if (n > std::numeric_limits<int>::max())
    throw std::invalid_argument("a block of the architecture has " + std::to_string(n) +
                                " rows or columns, more than LAPACK's integers hold");
  return static_cast<int>(n);
}

/// The length of the longer of two work arrays that LAPACK asked for. Single precision rounds large
/// sizes down; one part in a million makes up for it.
template <class T>
std::size_t work_size(const T (&wanted)[2]) {
  const double size = std::max(real_part(wanted[0]), real_part(wanted[1])) * 1.000001 + 1;
  return count(static_cast<Index>(std::min(size, 2147483647.0)));
}

/// Whether so many multiply-adds take longer than an interrupt may wait: some 20 ms.
template <class T>
bool takes_long(double multiply_adds) {
  return (is_complex<T> ? 4 : 1) * multiply_adds > 4e7;
}

void require_success(const char* what, int info) {
  if (info != 0)
    throw std::runtime_error(std::string("LAPACK's ") + what +
                             " of a block failed with info = " + std::to_string(info));
}

using SetThreads = void (*)(int);
using GetThreads = int (*)();

struct OpenBlasThreads {
  SetThreads set = nullptr;
  GetThreads get = nullptr;
};

#if defined(__linux__)
/// The paths of the loaded libraries named openblas. Only collected here: the loader's lock is
/// held, and one who opens a library meanwhile may hold what dlopen waits for.
std::vector<std::string> openblas_paths() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) -> int {
        const std::string path = info->dlpi_name ? info->dlpi_name : "";
        if (path.find("openblas") != std::string::npos)
          static_cast<std::vector<std::string>*>(data)->push_back(path);
        return 0;
      },
      &paths);
  return paths;
}

OpenBlasThreads threads_of(const std::string& path) {
  OpenBlasThreads threads;
  void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return threads;
  for (const std::string prefix : {"scipy_openblas_", "openblas_"}) {
    void* set = dlsym(library, (prefix + "set_num_threads").c_str());
    void* get = dlsym(library, (prefix + "get_num_threads").c_str());
    if (!set || !get) continue;
    threads = {reinterpret_cast<SetThreads>(set), reinterpret_cast<GetThreads>(get)};
    break;
  }
  dlclose(library);
  return threads;
}

/// The thread control of the OpenBLAS with 32-bit integers (SciPy's) in this process, if any.
const OpenBlasThreads& openblas() {
  static const OpenBlasThreads found = [] {
    for (const std::string& path : openblas_paths()) {
      const OpenBlasThreads threads = threads_of(path);
      if (threads.set) return threads;
    }
    return OpenBlasThreads{};
  }();
  return found;
}
#else
const OpenBlasThreads& openblas() {
  static const OpenBlasThreads none;
  return none;
}
#endif

std::mutex blas_mutex;
int blas_holders = 0;
int blas_threads_before = 0;

}  // namespace

void set_lapack(const LapackRoutines& given) {
  std::call_once(routines_once, [&] {
    routines = given;
    routines_set.store(true, std::memory_order_release);
  });
}
bool has_lapack() { return routines_set.load(std::memory_order_acquire); }

template <class T>
Svd<T>::Svd(Index rows, Index cols) : work_(std::make_shared<Work>(rows, cols)) {}

template <class T>
Svd<T>::Work::Work(Index rows_of_a, Index cols_of_a)
    : rows(rows_of_a),
      cols(cols_of_a),
      inner(std::min(rows, cols)),
      sigma(count(inner)),
      u(count(rows * inner)),
      vh(count(inner * cols)),
      copy(count(rows * cols)),
      iwork(count(8 * inner)) {
  const Index large = std::max(rows, cols);
  if (is_complex<T>)  // LAPACK's own bound for gesdd with jobz = 'S'; gesvd needs less
    rwork.resize(count(
        std::max(5 * inner * inner + 7 * inner, 2 * large * inner + 2 * inner * inner + inner)));
  T wanted[2] = {T(1), T(1)};
  require_success("SVD", call(routines.gesdd[dtype_index<T>()], true, copy.data(), &wanted[0], -1));
  require_success("SVD",
                  call(routines.gesvd[dtype_index<T>()], false, copy.data(), &wanted[1], -1));
  memory.resize(work_size(wanted));
}

template <class T>
int Svd<T>::Work::call(void* routine, bool divide_and_conquer, T* a, T* at, int lwork) {
  using R = Real<T>;
  int m = lapack_size(rows), n = lapack_size(cols), k = lapack_size(inner);
  int info = 0;
  char thin = 'S';
  R* s = sigma.data();
  T *left = u.data(), *right = vh.data();
  if constexpr (is_complex<T>) {
    if (divide_and_conquer)
      reinterpret_cast<void (*)(char*, int*, int*, T*, int*, R*, T*, int*, T*, int*, T*, int*, R*,
                                int*, int*)>(routine)(&thin, &m, &n, a, &m, s, left, &m, right, &k,
                                                      at, &lwork, rwork.data(), iwork.data(),
                                                      &info);
    else
      reinterpret_cast<void (*)(char*, char*, int*, int*, T*, int*, R*, T*, int*, T*, int*, T*,
                                int*, R*, int*)>(routine)(
          &thin, &thin, &m, &n, a, &m, s, left, &m, right, &k, at, &lwork, rwork.data(), &info);
  } else {
    if (divide_and_conquer)
      reinterpret_cast<void (*)(char*, int*, int*, T*, int*, R*, T*, int*, T*, int*, T*, int*, int*,
                                int*)>(routine)(&thin, &m, &n, a, &m, s, left, &m, right, &k, at,
                                                &lwork, iwork.data(), &info);
    else
      reinterpret_cast<void (*)(char*, char*, int*, int*, T*, int*, R*, T*, int*, T*, int*, T*,
                                int*, int*)>(routine)(&thin, &thin, &m, &n, a, &m, s, left, &m,
                                                      right, &k, at, &lwork, &info);
  }
  return info;
}

template <class T>
void Svd<T>::Work::compute(T* a) {
  std::copy(a, a + rows * cols, copy.begin());
  const int lwork = static_cast<int>(memory.size());
  int info = call(routines.gesdd[dtype_index<T>()], true, a, memory.data(), lwork);
  if (info > 0)  // divide and conquer failed to converge, which QR iteration hardly ever does
    info = call(routines.gesvd[dtype_index<T>()], false, copy.data(), memory.data(), lwork);
  require_success("SVD", info);
}

template <class T>
void Svd<T>::compute(T* a) {
  Work& work = *work_;
  // Some 20 multiply-adds for each of these.
  if (!takes_long<T>(20 * static_cast<double>(work.rows * work.cols) * work.inner))
    return work.compute(a);
  work.matrix.assign(a, a + work.rows * work.cols);
  run_long_call([owned = work_] { owned->compute(owned->matrix.data()); });
}

template <class T>
using Geqrf = void (*)(int*, int*, T*, int*, T*, T*, int*, int*);
template <class T>
using Orgqr = void (*)(int*, int*, int*, T*, int*, T*, T*, int*, int*);

template <class T>
Qr<T>::Qr(Index rows, Index cols) : work_(std::make_shared<Work>(rows, cols)) {}

template <class T>
Qr<T>::Work::Work(Index rows_of_a, Index cols_of_a)
    : rows(rows_of_a), cols(cols_of_a), inner(std::min(rows, cols)), tau(count(inner)) {
  T wanted[2] = {T(1), T(1)};
  int m = lapack_size(rows), n = lapack_size(cols), k = lapack_size(inner);
  int query = -1, info = 0;
  T unused{};
  reinterpret_cast<Geqrf<T>>(routines.geqrf[dtype_index<T>()])(&m, &n, &unused, &m, tau.data(),
                                                               &wanted[0], &query, &info);
  require_success("QR", info);
  reinterpret_cast<Orgqr<T>>(routines.orgqr[dtype_index<T>()])(&m, &k, &k, &unused, &m, tau.data(),
                                                               &wanted[1], &query, &info);
  require_success("QR", info);
  memory.resize(work_size(wanted));
}

template <class T>
void Qr<T>::Work::compute(T* a, T* r) {
  int m = static_cast<int>(rows), n = static_cast<int>(cols), k = static_cast<int>(inner);
  int lwork = static_cast<int>(memory.size()), info = 0;
  reinterpret_cast<Geqrf<T>>(routines.geqrf[dtype_index<T>()])(&m, &n, a, &m, tau.data(),
                                                               memory.data(), &lwork, &info);
  require_success("QR", info);
  for (Index col = 0; col < cols; ++col)
    for (Index row = 0; row < inner; ++row)
      r[col * inner + row] = row <= col ? a[col * rows + row] : T(0);
  reinterpret_cast<Orgqr<T>>(routines.orgqr[dtype_index<T>()])(&m, &k, &k, a, &m, tau.data(),
                                                               memory.data(), &lwork, &info);
  require_success("QR", info);
}

template <class T>
void Qr<T>::compute(T* a, T* r) {
  Work& work = *work_;
  if (!takes_long<T>(2 * static_cast<double>(work.rows * work.cols) * work.inner))
    return work.compute(a, r);
  work.matrix.assign(a, a + work.rows * work.cols);
  work.triangle.resize(count(work.inner * work.cols));
  run_long_call([owned = work_] { owned->compute(owned->matrix.data(), owned->triangle.data()); });
  std::copy(work.matrix.begin(), work.matrix.end(), a);
  std::copy(work.triangle.begin(), work.triangle.end(), r);
}

template class Svd<float>;
template class Svd<double>;
template class Svd<std::complex<float>>;
template class Svd<std::complex<double>>;
template class Qr<float>;
template class Qr<double>;
template class Qr<std::complex<float>>;
template class Qr<std::complex<double>>;

SingleThreadedBlas::SingleThreadedBlas(bool active) : active_(active && openblas().set) {
  if (!active_) return;
  const std::lock_guard<std::mutex> lock(blas_mutex);
  if (blas_holders++ == 0) {
    blas_threads_before = openblas().get();
    openblas().set(1);
  }
}

SingleThreadedBlas::~SingleThreadedBlas() {
  if (!active_) return;
  const std::lock_guard<std::mutex> lock(blas_mutex);
  if (--blas_holders == 0) openblas().set(blas_threads_before);
}

}  // namespace papilio
