#include <cstring>
#include <mutex>

#include "bindings.hpp"
#include "papilio/factorize.hpp"

namespace papilio {

namespace {

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

py::tuple factorize_array(const py::array& matrix, const std::vector<PatternTuple>& patterns,
                          const std::vector<Index>& order, bool orthonormalize,
                          const py::object& row_permutation, const py::object& column_permutation,
                          const py::object& progress) {
  if (matrix.ndim() != 2) throw py::value_error("A must have two axes");
  connect_lapack();
  const auto inverse = [](const std::vector<Index>& permutation) {
    std::vector<Index> result(permutation.size());
    for (std::size_t n = 0; n < permutation.size(); ++n)
      result[static_cast<std::size_t>(permutation[n])] = static_cast<Index>(n);
    return result;
  };
  const DType dtype = dtype_of(matrix, "A");
  MatrixView view{
      dtype,
      matrix.data(),
      matrix.shape(0),
      matrix.shape(1),
      element_stride(matrix, 0, "A"),
      element_stride(matrix, 1, "A"),
      inverse(to_permutation(row_permutation, matrix.shape(0), "row_permutation")),
      inverse(to_permutation(column_permutation, matrix.shape(1), "column_permutation"))};
  FactorizeOptions options{order, orthonormalize, [&](double fraction) {
                             const py::gil_scoped_acquire acquire;
                             if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                             if (!progress.is_none()) progress(fraction);
                           }};
  const Patterns chain = to_patterns(patterns);
  Factorization result;
  {
    const py::gil_scoped_release release;
    result = factorize(view, chain, options);
  }
  py::list values;
  for (std::size_t s = 0; s < chain.size(); ++s) {
    const Pattern& p = chain[s];
    py::array array(matrix.dtype(), std::vector<py::ssize_t>{p.a, p.b, p.c, p.d});
    std::memcpy(array.mutable_data(), result.values[s].data(), result.values[s].size());
    values.append(array);
  }
  py::dict report;
  report["relative_error"] = result.relative_error;
  report["lower_bound"] = result.lower_bound;
  report["split_errors"] = result.split_errors;
  report["order"] = result.order;
  report["guarantee"] = result.guarantee;
  return py::make_tuple(values, report);
}

}  // namespace

void register_factorize(py::module_& module) { module.def("factorize", &factorize_array); }

}  // namespace papilio
