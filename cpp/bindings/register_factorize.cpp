#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "bindings.hpp"
#include "papilio/factorize.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

namespace {

/// What a factorization or a rounding found out; see papilio.Report.
struct Figures {
  double relative_error, lower_bound, guarantee, norm;
  std::vector<double> split_errors;
  std::vector<std::vector<double>> split_tails;
  std::vector<Index> order;
};

/// The address behind a capsule of scipy.linalg.cython_lapack, after its C signature was checked:
/// `arguments` lists one letter per argument, c char*, i int*, x the routine's element type*,
/// r the real type of the same precision*.
void* lapack_routine(const py::dict& capsules, const std::string& name, const char* arguments) {
  if (!capsules.contains(name.c_str()))
    throw py::import_error("scipy.linalg.cython_lapack has no " + name);
  const py::object capsule = capsules[name.c_str()];
  const char* signature = PyCapsule_GetName(capsule.ptr());
  if (!signature) throw py::error_already_set();
  // SciPy spells its types by mangled typedefs: s, d for reals, *_float_complex, *_double_complex.
  const char precision = name[0];
  const bool complex = precision == 'c' || precision == 'z';
  const bool single = precision == 's' || precision == 'c';
  std::string text = signature;
  bool matches = text.rfind("void (", 0) == 0 && text.back() == ')';
  text = matches ? text.substr(6, text.size() - 7) : "";
  std::size_t start = 0;
  for (const char* kind = arguments; matches && *kind; ++kind) {
    const std::size_t end = std::min(text.find(", ", start), text.size());
    const std::string type = start <= text.size() ? text.substr(start, end - start) : "";
    const auto ends_with = [&](const std::string& tail) {
      return type.size() >= tail.size() &&
             !type.compare(type.size() - tail.size(), tail.size(), tail);
    };
    if (*kind == 'c')
      matches = type == "char *";
    else if (*kind == 'i')
      matches = type == "int *";
    else if (*kind == 'x' && complex)
      matches = ends_with(single ? "float_complex *" : "double_complex *");
    else
      matches = ends_with(single ? "_s *" : "_d *") || type == (single ? "float *" : "double *");
    start = end + 2;
  }
  if (!matches || start != text.size() + 2)
    throw py::import_error("scipy.linalg.cython_lapack." + name + " has the signature '" +
                           signature + "', which this papilio doesn't know");
  return PyCapsule_GetPointer(capsule.ptr(), signature);
}

}  // namespace

/// LAPACK comes from SciPy: its Cython interface exports plain function pointers.
void connect_lapack() {
  if (has_lapack()) return;
  const py::dict capsules =
      py::module_::import("scipy.linalg.cython_lapack").attr("__pyx_capi__").cast<py::dict>();
  LapackRoutines routines{};
  const char* precisions = "sdcz";
  for (int n = 0; n < dtype_count; ++n) {
    const std::string prefix(1, precisions[n]);
    const bool complex = n >= 2;
    routines.gesdd[n] =
        lapack_routine(capsules, prefix + "gesdd", complex ? "ciixirxixixirii" : "ciixirxixixiii");
    routines.gesvd[n] =
        lapack_routine(capsules, prefix + "gesvd", complex ? "cciixirxixixiri" : "cciixirxixixii");
    routines.geqrf[n] = lapack_routine(capsules, prefix + "geqrf", "iixixxii");
    routines.orgqr[n] =
        lapack_routine(capsules, prefix + (complex ? "ungqr" : "orgqr"), "iiixixxii");
  }
  set_lapack(routines);
}

namespace {

std::vector<Index> inverse(const std::vector<Index>& permutation) {
  std::vector<Index> result(permutation.size());
  for (std::size_t n = 0; n < permutation.size(); ++n)
    result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
  return result;
}

py::list to_arrays(const py::dtype& dtype, const Patterns& patterns,
                   const std::vector<std::vector<unsigned char>>& values) {
  py::list arrays;
  for (std::size_t s = 0; s < patterns.size(); ++s) {
    const Pattern& p = patterns[s];
    py::array array(dtype, std::vector<py::ssize_t>{p.a, p.b, p.c, p.d});
    auto* to = static_cast<unsigned char*>(array.mutable_data());
    constexpr std::size_t part = std::size_t{16} << 20;  // some milliseconds
    for (std::size_t first = 0; first < values[s].size(); first += part) {
      poll_interruption();
      std::memcpy(to + first, values[s].data() + first, std::min(part, values[s].size() - first));
    }
    arrays.append(array);
  }
  return arrays;
}

std::vector<PatternTuple> to_tuples(const Patterns& patterns) {
  std::vector<PatternTuple> tuples;
  for (const Pattern& p : patterns) tuples.push_back(to_tuple(p));
  return tuples;
}

/// `read` is None, or a callable that gives rows [first, first + count) of a matrix of this shape
/// as a C-contiguous array of matrix.dtype; `matrix` is then empty.
py::tuple factorize_array(const py::array& matrix, const std::array<Index, 2>& shape,
                          const py::object& read, const std::vector<PatternTuple>& patterns,
                          const std::vector<Index>& order, bool orthonormalize, double tol,
                          Index max_rank, bool overwrite, const py::object& row_permutation,
                          const py::object& column_permutation, const py::object& progress) {
  if (matrix.ndim() != 2) throw py::value_error("A must have two axes");
  const auto [rows, cols] = shape;
  if (rows < 1 || cols < 1 || rows > std::numeric_limits<Index>::max() / 16 / cols)
    throw py::value_error("shape is " + std::string(py::str(py::cast(shape))) +
                          ", expected numbers of at least 1 whose product fits in memory");
  connect_lapack();
  MatrixView view{dtype_of(matrix, "A"),
                  matrix.data(),
                  rows,
                  cols,
                  element_stride(matrix, 0, "A"),
                  element_stride(matrix, 1, "A"),
                  inverse(to_permutation(row_permutation, rows, "row_permutation")),
                  inverse(to_permutation(column_permutation, cols, "column_permutation"))};
  if (read.is_none()) {
    if (matrix.shape(0) != rows || matrix.shape(1) != cols)
      throw py::value_error("A doesn't have the shape that was told");
    if (overwrite && !matrix.writeable()) throw py::value_error("A is read-only");
  } else {
    const auto row_bytes = static_cast<std::size_t>(cols * matrix.itemsize());
    view.read = [&, row_bytes, width = cols](Index first, Index count, void* to) {
      const WithLock held;
      const py::array slab = read(first, count);
      if (slab.ndim() != 2 || slab.shape(0) != count || slab.shape(1) != width ||
          !slab.dtype().equal(matrix.dtype()) || !(slab.flags() & py::array::c_style))
        throw py::value_error("rows of A were read with a wrong shape, dtype or order");
      std::memcpy(to, slab.data(), static_cast<std::size_t>(count) * row_bytes);
    };
  }
  FactorizeOptions options;
  options.order = order;
  options.orthonormalize = orthonormalize;
  options.tol = tol;
  options.max_rank = max_rank;
  options.overwrite = overwrite;
  options.progress = to_progress(progress);
  const Patterns chain = to_patterns(patterns);
  Factorization result;
  {
    const WithoutLock released;
    result = factorize(view, chain, options);
  }
  return py::make_tuple(
      to_tuples(result.patterns), to_arrays(matrix.dtype(), result.patterns, result.values),
      Figures{result.relative_error, result.lower_bound, result.guarantee, result.norm,
              result.split_errors, result.split_tails, result.order});
}

Chain to_chain(const std::vector<PatternTuple>& patterns, const std::vector<py::array>& values) {
  connect_lapack();
  Chain chain{};
  if (patterns.empty() || patterns.size() != values.size())
    throw py::value_error("expected as many arrays of values as patterns, and at least one");
  chain.dtype = dtype_of(values.front(), "values");
  for (std::size_t s = 0; s < patterns.size(); ++s)
    chain.factors.push_back(to_factor(chain.dtype, to_pattern(patterns[s]), values[s]));
  return chain;
}

/// Rounding cuts from left to right: the error of each cut is one that no chain of these ranks is
/// below, and their squares add up.
Figures figures_of(const SweptChain& swept) {
  const auto& errors = swept.split_errors;
  Figures figures{swept.relative_error, 0, 1, swept.norm, errors, swept.split_tails, {}};
  for (std::size_t s = 0; s < errors.size(); ++s) {
    figures.lower_bound = std::max(figures.lower_bound, errors[s]);
    figures.order.push_back(static_cast<Index>(s) + 1);
  }
  figures.guarantee = std::sqrt(std::max(1.0, static_cast<double>(errors.size())));
  return figures;
}

py::tuple round_values(const std::vector<PatternTuple>& patterns,
                       const std::vector<py::array>& values, double tol, Index max_rank,
                       const py::object& progress) {
  const Chain chain = to_chain(patterns, values);
  const Progress tell = to_progress(progress);
  SweptChain swept;
  {
    const WithoutLock released;
    swept = round_chain(chain, tol, max_rank, tell);
  }
  return py::make_tuple(to_tuples(swept.patterns),
                        to_arrays(values.front().dtype(), swept.patterns, swept.values),
                        figures_of(swept));
}

py::tuple orthonormalize_values(const std::vector<PatternTuple>& patterns,
                                const std::vector<py::array>& values, std::size_t centre) {
  const Chain chain = to_chain(patterns, values);
  SweptChain swept;
  {
    const WithoutLock released;
    swept = orthonormalize_chain(chain, centre);
  }
  return py::make_tuple(to_tuples(swept.patterns),
                        to_arrays(values.front().dtype(), swept.patterns, swept.values));
}

double norm_of_values(const std::vector<PatternTuple>& patterns,
                      const std::vector<py::array>& values) {
  const Chain chain = to_chain(patterns, values);
  const WithoutLock released;
  return chain_norm(chain);
}

}  // namespace

void register_factorize(py::module_& module) {
  py::class_<Figures>(module, "Figures")
      .def_readonly("relative_error", &Figures::relative_error)
      .def_readonly("lower_bound", &Figures::lower_bound)
      .def_readonly("guarantee", &Figures::guarantee)
      .def_readonly("norm", &Figures::norm)
      .def_readonly("split_errors", &Figures::split_errors)
      .def_readonly("split_tails", &Figures::split_tails)
      .def_readonly("order", &Figures::order);
  module.def("factorize", &factorize_array);
  module.def("round", &round_values);
  module.def("orthonormalize", &orthonormalize_values);
  module.def("norm", &norm_of_values);
  module.def("cheapest_order", [](const std::vector<PatternTuple>& patterns) {
    return cheapest_order(to_patterns(patterns));
  });
}

}  // namespace papilio
