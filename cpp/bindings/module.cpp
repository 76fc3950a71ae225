// papilio._core: the compiled core as Python sees it. Private; papilio's modules are its users.
#include "bindings.hpp"

#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace papilio {

Pattern to_pattern(const PatternTuple& sizes) {
  Index product = 1;
  bool fits = true;
  for (const Index size : sizes) {
    fits = fits && size >= 1 && product <= std::numeric_limits<Index>::max() / size;
    if (fits) product *= size;
  }
  if (!fits) {
    // Nothing of Python's: some callers have released its lock.
    std::string text;
    for (const Index size : sizes) text += (text.empty() ? "(" : ", ") + std::to_string(size);
    throw std::invalid_argument("pattern is " + text +
                                "), expected numbers of at least 1 whose product fits in 63 bits");
  }
  return {sizes[0], sizes[1], sizes[2], sizes[3]};
}

bool is_native(const py::dtype& dtype) {
  const std::uint16_t one = 1;
  unsigned char first;
  std::memcpy(&first, &one, 1);
  const char order = dtype.byteorder();
  return order == '=' || order == '|' || order == (first == 1 ? '<' : '>');
}

DType dtype_of(const py::dtype& dtype, const char* name) {
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (is_native(dtype)) {
    if (kind == 'f' && size == 4) return DType::float32;
    if (kind == 'f' && size == 8) return DType::float64;
    if (kind == 'c' && size == 8) return DType::complex64;
    if (kind == 'c' && size == 16) return DType::complex128;
  }
  throw py::type_error(std::string(name) + " has dtype " + std::string(py::str(dtype)) +
                       ", expected native float32, float64, complex64 or complex128");
}

DType dtype_of(const py::array& array, const char* name) {
  if (!(array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
    throw py::value_error(std::string(name) + " is not aligned");
  return dtype_of(array.dtype(), name);
}

py::array array_in(const py::handle& object, const char* name) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(std::string(name) + " must be made of arrays");
  return py::reinterpret_borrow<py::array>(object);
}

Index element_stride(const py::array& array, int axis, const char* name) {
  const Index bytes = array.strides(axis), size = array.itemsize();
  if (bytes % size != 0 && array.shape(axis) > 1)
    throw py::value_error(std::string(name) + " has a stride of " + std::to_string(bytes) +
                          " bytes, which is not a multiple of its element size " +
                          std::to_string(size));
  return array.shape(axis) > 1 ? bytes / size : 1;
}

std::vector<Index> to_permutation(const py::object& object, Index size, const char* name) {
  if (object.is_none()) return {};
  const auto array = py::array_t<Index, py::array::c_style | py::array::forcecast>::ensure(object);
  if (!array) throw py::error_already_set();
  if (array.ndim() != 1 || array.shape(0) != size)
    throw py::value_error(std::string(name) + " must have " + std::to_string(size) + " entries");
  std::vector<Index> permutation(array.data(), array.data() + size);
  std::vector<bool> seen(static_cast<std::size_t>(size));
  for (Index target : permutation) {
    if (target < 0 || target >= size || seen[static_cast<std::size_t>(target)])
      throw py::value_error(std::string(name) + " is not a permutation of 0.." +
                            std::to_string(size - 1));
    seen[static_cast<std::size_t>(target)] = true;
  }
  return permutation;
}

Factor to_factor(DType dtype, const Pattern& pattern, const py::array& values) {
  if (dtype_of(values, "values") != dtype) throw py::type_error("all values must have one dtype");
  if (values.ndim() != 4 || !(values.flags() & py::array::c_style))
    throw py::value_error("values must be C-contiguous with four axes");
  const Index sizes[4] = {pattern.a, pattern.b, pattern.c, pattern.d};
  for (int n = 0; n < 4; ++n) {
    const Index size = values.shape(n);
    const bool tied = (n == 0 && size == 1) || (n == 3 && size > 0 && sizes[n] % size == 0);
    if (size != sizes[n] && !tied)
      throw py::value_error("values don't have the shape of their pattern");
  }
  return {pattern, values.data(), values.shape(0) < pattern.a, pattern.d / values.shape(3)};
}

}  // namespace papilio

namespace py = pybind11;

// Without py::mod_gil_not_used(): a free-threaded interpreter takes its lock back for papilio. The
// core doesn't need it (tests/cpp/concurrency_test.cpp runs without one, under the thread
// sanitizer), but nothing here was tried on such an interpreter.
PYBIND11_MODULE(_core, module) {
  module.doc() = "The compiled core of papilio (private).";
  papilio::register_config(module);  // first: a bad PAPILIO_ISA must fail the import
  papilio::register_pattern(module);
  papilio::register_operator(module);
  papilio::register_composition(module);
  papilio::register_gradients(module);
  papilio::register_structure(module);
  papilio::register_factorize(module);
  papilio::register_pairing(module);
  papilio::register_fixed_support(module);
  papilio::register_compress(module);
}
