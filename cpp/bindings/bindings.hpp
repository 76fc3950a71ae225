// What the register_*.cpp files share: numpy arrays to the core's types.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <vector>

#include "gil.hpp"
#include "papilio/apply.hpp"
#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

namespace py = pybind11;
using PatternTuple = std::array<Index, 4>;

/// ValueError for sizes below 1 or of a product that overflows.
Pattern to_pattern(const PatternTuple& sizes);
inline PatternTuple to_tuple(const Pattern& p) { return {p.a, p.b, p.c, p.d}; }

inline Patterns to_patterns(const std::vector<PatternTuple>& tuples) {
  Patterns patterns;
  for (const PatternTuple& p : tuples) patterns.push_back(to_pattern(p));
  return patterns;
}

/// Whether values of this dtype are in the machine's byte order. NumPy writes that as '=' as a
/// rule, but keeps an explicit '<' or '>' that means the same.
bool is_native(const py::dtype& dtype);

/// The DType that a NumPy dtype is; TypeError for any other element type or byte order.
DType dtype_of(const py::dtype& dtype, const char* name);

/// The DType of an array; TypeError for any other element type or byte order, ValueError for
/// misaligned data.
DType dtype_of(const py::array& array, const char* name);

/// What is an array, whose memory lives as long as its owner; TypeError for anything else, which
/// would be copied to an array that dies with this call.
py::array array_in(const py::handle& object, const char* name);

/// Stride along `axis` in elements; ValueError where it isn't whole or the data is misaligned.
Index element_stride(const py::array& array, int axis, const char* name);

/// A permutation of 0..size-1 as a vector; empty for None. ValueError otherwise.
std::vector<Index> to_permutation(const py::object& array, Index size, const char* name);

/// What calls the object; empty for None. The object must outlive it: copies of it would need the
/// interpreter's lock.
inline Progress to_progress(const py::object& progress) {
  if (progress.is_none()) return {};
  return [called = &progress](double fraction) {
    const WithLock held;
    (*called)(fraction);
  };
}

/// Hands SciPy's LAPACK to the core; to be called before anything that computes an SVD.
void connect_lapack();

/// A factor's 4-D values, tied where an axis is shorter: 1 along a, a divisor of d along d.
/// TypeError, ValueError for other arrays.
Factor to_factor(DType dtype, const Pattern& pattern, const py::array& values);

void register_pattern(py::module_& module);
void register_operator(py::module_& module);
void register_composition(py::module_& module);
void register_gradients(py::module_& module);
void register_structure(py::module_& module);
void register_factorize(py::module_& module);
void register_pairing(py::module_& module);
void register_fixed_support(py::module_& module);
void register_support_solvers(py::module_& module);  // by the above
void register_compress(py::module_& module);
void register_config(py::module_& module);

}  // namespace papilio
