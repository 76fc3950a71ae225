#include <cstring>

#include "bindings.hpp"
#include "papilio/structure.hpp"

namespace papilio {

namespace {

/// What Python calls the matrices.
py::object name_of(MatrixKind kind) {
  switch (kind) {
    case MatrixKind::hadamard:
      return py::str("hadamard");
    case MatrixKind::fourier:
      return py::str("fourier");
    case MatrixKind::conjugate_fourier:
      return py::str("conjugate fourier");
    default:
      return py::none();
  }
}

/// The name of the matrix in such values, and a copy of them that is exactly it times twiddles; or
/// None and the values.
py::tuple structured(const py::array& values, double tolerance) {
  const DType dtype = dtype_of(values, "values");
  if (values.ndim() != 4 || values.shape(1) != values.shape(2) ||
      !(values.flags() & py::array::c_style))
    throw py::value_error("values must be C-contiguous with four axes, in square blocks");
  py::array copy(values.dtype(), std::vector<py::ssize_t>(values.shape(), values.shape() + 4));
  const void* const from = values.data();
  void* const to = copy.mutable_data();
  const std::size_t bytes = static_cast<std::size_t>(values.nbytes());
  const Index a = values.shape(0), n = values.shape(1), d = values.shape(3);
  MatrixKind kind;
  {
    const WithoutLock released;
    std::memcpy(to, from, bytes);
    kind = make_structured(dtype, to, a, n, d, tolerance);
  }
  return py::make_tuple(name_of(kind), copy);
}

}  // namespace

void register_structure(py::module_& module) { module.def("structured", &structured); }

}  // namespace papilio
