#include <algorithm>

#include "bindings.hpp"
#include "papilio/gradients.hpp"

namespace papilio {

namespace {

/// The axes of an array but one, as a batch; ValueError for another length along that one.
VectorArray to_vectors(const py::array& array, int axis, Index length, const char* name) {
  if (axis < 0 || axis >= array.ndim() || array.shape(axis) != length)
    throw py::value_error(std::string(name) + " doesn't have length " + std::to_string(length) +
                          " along axis " + std::to_string(axis));
  VectorArray result{const_cast<void*>(array.data()), element_stride(array, axis, name), {}};
  for (int n = 0; n < array.ndim(); ++n)
    if (n != axis) result.batch.push_back(element_stride(array, n, name));
  return result;
}

std::vector<Index> batch_of(const py::array& array, int axis) {
  std::vector<Index> sizes;
  for (int n = 0; n < array.ndim(); ++n)
    if (n != axis) sizes.push_back(array.shape(n));
  return sizes;
}

/// A chain of patterns, for values that come with each call.
class Gradients {
 public:
  Gradients(const std::vector<PatternTuple>& patterns, const py::dtype& dtype,
            const py::object& row_permutation, const py::object& column_permutation)
      : chain_{dtype_of(dtype, "dtype"), to_patterns(patterns), {}, {}} {
    if (patterns.empty()) throw py::value_error("patterns is empty");
    for (std::size_t s = 1; s < patterns.size(); ++s)
      if (chain_.patterns[s - 1].cols() != chain_.patterns[s].rows())
        throw py::value_error("patterns " + std::to_string(s - 1) + " and " + std::to_string(s) +
                              " don't fit: columns and rows differ");
    chain_.row_permutation =
        to_permutation(row_permutation, chain_.patterns.front().rows(), "row_permutation");
    chain_.column_permutation =
        to_permutation(column_permutation, chain_.patterns.back().cols(), "column_permutation");
    for (const Pattern& p : chain_.patterns) entries_ += static_cast<double>(p.nnz());
  }

  void multiply(const py::sequence& factors, const py::array& x, const py::array& y,
                int axis) const {
    const std::vector<FactorArray> values = to_factors(factors, false, "factors");
    const VectorArray from = vectors(x, axis, chain_.patterns.back().cols(), "x");
    const VectorArray to = vectors(y, axis, chain_.patterns.front().rows(), "y");
    const std::vector<Index> sizes = batch_of(x, axis);
    if (batch_of(y, axis) != sizes || !y.writeable())
      throw py::value_error("y is read-only or doesn't have x's batch");
    released(sizes, [&] { papilio::multiply(chain_, values, sizes, from, to); });
  }

  void pull_back(const py::sequence& factors, const py::array& x, const py::array& gy, int axis,
                 const py::object& gx, const py::sequence& gradients) const {
    const std::vector<FactorArray> values = to_factors(factors, false, "factors");
    const std::vector<FactorArray> wanted = to_factors(gradients, true, "gradients");
    for (std::size_t s = 0; s < values.size(); ++s)
      for (int n : {0, 3})
        if ((values[s].strides[n] == 0) != (wanted[s].strides[n] == 0))
          throw py::value_error("factors and gradients differ in what is tied");
    const VectorArray in = vectors(x, axis, chain_.patterns.back().cols(), "x");
    const VectorArray out = vectors(gy, axis, chain_.patterns.front().rows(), "gy");
    const std::vector<Index> sizes = batch_of(x, axis);
    bool fits = batch_of(gy, axis) == sizes;
    VectorArray back{};
    if (!gx.is_none()) {
      const auto array = gx.cast<py::array>();
      back = vectors(array, axis, chain_.patterns.back().cols(), "gx");
      fits = fits && batch_of(array, axis) == sizes && array.writeable();
    }
    if (!fits) throw py::value_error("gy or gx doesn't have x's batch, or gx is read-only");
    released(sizes, [&] { papilio::pull_back(chain_, values, sizes, in, out, back, wanted); });
  }

 private:
  VectorArray vectors(const py::array& array, int axis, Index length, const char* name) const {
    if (dtype_of(array, name) != chain_.dtype)
      throw py::type_error(std::string(name) + " has another dtype than the chain");
    return to_vectors(array, axis, length, name);
  }

  std::vector<FactorArray> to_factors(const py::sequence& arrays, bool written,
                                      const char* name) const {
    if (arrays.size() != chain_.patterns.size())
      throw py::value_error(std::string(name) + " has " + std::to_string(arrays.size()) +
                            " arrays, expected " + std::to_string(chain_.patterns.size()));
    std::vector<FactorArray> result;
    for (std::size_t s = 0; s < chain_.patterns.size(); ++s) {
      const auto array = arrays[s].cast<py::array>();
      const Pattern& p = chain_.patterns[s];
      const Index sizes[] = {p.a, p.b, p.c, p.d};
      if (dtype_of(array, name) != chain_.dtype)
        throw py::type_error(std::string(name) + " have another dtype than the chain");
      bool fits = array.ndim() == 4 && (!written || array.writeable());
      FactorArray factor{const_cast<void*>(array.data()), {}};
      for (int n = 0; fits && n < 4; ++n) {
        const bool tied = (n == 0 || n == 3) && array.shape(n) == 1;
        fits = tied || array.shape(n) == sizes[n];
        factor.strides[n] = tied && sizes[n] > 1 ? 0 : element_stride(array, n, name);
      }
      if (!fits)
        throw py::value_error(std::string(name) + "[" + std::to_string(s) +
                              "] has another shape than its pattern, or is read-only");
      result.push_back(factor);
    }
    return result;
  }

  /// Without the interpreter's lock, unless giving it to others costs more than it brings.
  template <class Call>
  void released(const std::vector<Index>& sizes, const Call& call) const {
    double work = entries_;
    for (Index size : sizes) work *= static_cast<double>(size);
    if (work < 1e4) return call();
    const WithoutLock released;
    call();
  }

  GradientChain chain_;
  double entries_ = 0;
};

}  // namespace

void register_gradients(py::module_& module) {
  py::class_<Gradients>(module, "Gradients")
      .def(py::init<const std::vector<PatternTuple>&, const py::dtype&, const py::object&,
                    const py::object&>())
      .def("multiply", &Gradients::multiply)
      .def("pull_back", &Gradients::pull_back);
}

}  // namespace papilio
