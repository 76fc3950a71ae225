#include <algorithm>

#include "bindings.hpp"
#include "papilio/gradients.hpp"
#include "tensors.hpp"

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
    const py::tuple kept(factors);  // whatever the sequence makes of its items when asked again
    const std::vector<FactorArray> values = to_factors(kept, false, "factors");
    const VectorArray from = vectors(x, axis, chain_.patterns.back().cols(), "x");
    const VectorArray to = vectors(y, axis, chain_.patterns.front().rows(), "y");
    const std::vector<Index> sizes = batch_of(x, axis);
    if (batch_of(y, axis) != sizes || !y.writeable())
      throw py::value_error("y is read-only or doesn't have x's batch");
    released(sizes, [&] { papilio::multiply(chain_, values, sizes, from, to); });
  }

  void pull_back(const py::sequence& factors, const py::array& x, const py::array& gy, int axis,
                 const py::object& gx, const py::sequence& gradients) const {
    const py::tuple kept(factors), kept_gradients(gradients);
    const std::vector<FactorArray> values = to_factors(kept, false, "factors");
    const std::vector<FactorArray> wanted = to_factors(kept_gradients, true, "gradients");
    if (!tied_alike(values, wanted))
      throw py::value_error("factors and gradients differ in what is tied");
    const VectorArray in = vectors(x, axis, chain_.patterns.back().cols(), "x");
    const VectorArray out = vectors(gy, axis, chain_.patterns.front().rows(), "gy");
    const std::vector<Index> sizes = batch_of(x, axis);
    bool fits = batch_of(gy, axis) == sizes;
    VectorArray back{};
    if (!gx.is_none()) {
      const auto array = array_in(gx, "gx");
      back = vectors(array, axis, chain_.patterns.back().cols(), "gx");
      fits = fits && batch_of(array, axis) == sizes && array.writeable();
    }
    if (!fits) throw py::value_error("gy or gx doesn't have x's batch, or gx is read-only");
    released(sizes, [&] { papilio::pull_back(chain_, values, sizes, in, out, back, wanted); });
  }

  /// `changes` has None for factors that stay, and dx may be None; not all of them are.
  void push_forward(const py::sequence& factors, const py::sequence& changes, const py::array& x,
                    const py::object& dx, const py::array& y, const py::array& dy, int axis) const {
    const py::tuple kept(factors), kept_changes(changes);
    const std::vector<FactorArray> values = to_factors(kept, false, "factors");
    if (kept_changes.size() != kept.size())
      throw py::value_error("changes isn't as long as factors");
    py::tuple filled(kept.size());
    for (std::size_t s = 0; s < kept.size(); ++s)
      filled[s] = kept_changes[s].is_none() ? kept[s] : kept_changes[s];
    std::vector<FactorArray> moved = to_factors(filled, false, "changes");
    for (std::size_t s = 0; s < kept.size(); ++s)
      if (kept_changes[s].is_none()) moved[s].data = nullptr;
    const Index rows = chain_.patterns.front().rows();
    const VectorArray from = vectors(x, axis, columns(), "x");
    const VectorArray to = vectors(y, axis, rows, "y"), dto = vectors(dy, axis, rows, "dy");
    const std::vector<Index> sizes = batch_of(x, axis);
    bool fits = batch_of(y, axis) == sizes && batch_of(dy, axis) == sizes && y.writeable() &&
                dy.writeable();
    VectorArray dfrom{nullptr, 0, std::vector<Index>(sizes.size())};
    if (!dx.is_none()) {
      const auto array = array_in(dx, "dx");
      dfrom = vectors(array, axis, columns(), "dx");
      fits = fits && batch_of(array, axis) == sizes;
    }
    if (!fits) throw py::value_error("y, dy or dx doesn't have x's batch, or is read-only");
    const bool moves = std::any_of(moved.begin(), moved.end(), [](const FactorArray& change) {
      return change.data != nullptr;
    });
    if (!moves && dx.is_none()) throw py::value_error("neither dx nor any of changes is given");
    released(sizes,
             [&] { papilio::push_forward(chain_, values, moved, sizes, from, dfrom, to, dto); });
  }

  /// `multiply` for rows of tensors. False, and nothing is done, where one isn't plain or doesn't
  /// fit.
  bool multiply_tensors(const py::sequence& factors, const py::handle& x,
                        const py::handle& y) const {
    const Rows from = rows(x, columns()), to = rows(y, chain_.patterns.front().rows());
    const py::tuple kept(factors);
    std::vector<FactorArray> values;
    if (!from.fit || !to.fit || from.sizes != to.sizes || !to_factors(kept, values)) return false;
    released(from.sizes,
             [&] { papilio::multiply(chain_, values, from.sizes, from.array, to.array); });
    return true;
  }

  /// `pull_back` for rows of tensors, as above.
  bool pull_back_tensors(const py::sequence& factors, const py::handle& x, const py::handle& gy,
                         const py::handle& gx, const py::sequence& gradients) const {
    const Rows in = rows(x, columns()), out = rows(gy, chain_.patterns.front().rows());
    const Rows back = gx.is_none() ? Rows{true, {}, in.sizes} : rows(gx, columns());
    if (!in.fit || !out.fit || !back.fit || in.sizes != out.sizes || in.sizes != back.sizes)
      return false;
    const py::tuple kept(factors), kept_gradients(gradients);
    std::vector<FactorArray> values, wanted;
    if (!to_factors(kept, values) || !to_factors(kept_gradients, wanted) ||
        !tied_alike(values, wanted))
      return false;
    released(in.sizes, [&] {
      papilio::pull_back(chain_, values, in.sizes, in.array, out.array, back.array, wanted);
    });
    return true;
  }

 private:
  /// A tensor of two axes, vectors along the second.
  struct Rows {
    bool fit;
    VectorArray array;
    std::vector<Index> sizes;
  };
  Rows rows(const py::handle& tensor, Index length) const {
    TensorView view;
    if (!view_tensor(tensor, chain_.dtype, view) || view.ndim != 2 || view.sizes[1] != length)
      return {};
    return {true, {view.data, view.strides[1], {view.strides[0]}}, {view.sizes[0]}};
  }

  /// False where one isn't plain or doesn't fit its pattern.
  bool to_factors(const py::tuple& tensors, std::vector<FactorArray>& found) const {
    if (tensors.size() != chain_.patterns.size()) return false;
    for (std::size_t s = 0; s < chain_.patterns.size(); ++s) {
      const Pattern& p = chain_.patterns[s];
      const Index sizes[] = {p.a, p.b, p.c, p.d};
      const py::handle tensor = PyTuple_GET_ITEM(tensors.ptr(), static_cast<py::ssize_t>(s));
      TensorView view;
      if (!view_tensor(tensor, chain_.dtype, view) || view.ndim != 4) return false;
      FactorArray factor{view.data, {}};
      for (int n = 0; n < 4; ++n) {
        const bool tied = (n == 0 || n == 3) && view.sizes[n] == 1 && sizes[n] > 1;
        if (!tied && view.sizes[n] != sizes[n]) return false;
        factor.strides[n] = tied ? 0 : view.strides[n];
      }
      found.push_back(factor);
    }
    return true;
  }

  static bool tied_alike(const std::vector<FactorArray>& values,
                         const std::vector<FactorArray>& gradients) {
    for (std::size_t s = 0; s < values.size(); ++s)
      for (int n : {0, 3})
        if ((values[s].strides[n] == 0) != (gradients[s].strides[n] == 0)) return false;
    return true;
  }

  Index columns() const { return chain_.patterns.back().cols(); }

  VectorArray vectors(const py::array& array, int axis, Index length, const char* name) const {
    if (dtype_of(array, name) != chain_.dtype)
      throw py::type_error(std::string(name) + " has another dtype than the chain");
    return to_vectors(array, axis, length, name);
  }

  std::vector<FactorArray> to_factors(const py::tuple& arrays, bool written,
                                      const char* name) const {
    if (arrays.size() != chain_.patterns.size())
      throw py::value_error(std::string(name) + " has " + std::to_string(arrays.size()) +
                            " arrays, expected " + std::to_string(chain_.patterns.size()));
    std::vector<FactorArray> result;
    for (std::size_t s = 0; s < chain_.patterns.size(); ++s) {
      const auto array = array_in(arrays[s], name);
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
      .def("pull_back", &Gradients::pull_back)
      .def("push_forward", &Gradients::push_forward)
      .def("multiply_tensors", &Gradients::multiply_tensors)
      .def("pull_back_tensors", &Gradients::pull_back_tensors);
}

}  // namespace papilio
