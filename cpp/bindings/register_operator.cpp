#include <memory>
#include <mutex>

#include "bindings.hpp"
#include "papilio/apply.hpp"

namespace papilio {

namespace {

/// A chain of factors, the arrays that hold its values, and the plans of its four products.
class Operator {
 public:
  Operator(const std::vector<PatternTuple>& patterns, const std::vector<py::array>& values,
           const py::object& row_permutation, const py::object& column_permutation)
      : arrays_(values) {
    if (patterns.empty() || patterns.size() != values.size())
      throw py::value_error("expected as many arrays of values as patterns, and at least one");
    chain_.dtype = dtype_of(values.front(), "values");
    for (std::size_t s = 0; s < patterns.size(); ++s) {
      chain_.factors.push_back(to_factor(to_pattern(patterns[s]), values[s]));
      if (s > 0 && chain_.factors[s - 1].pattern.cols() != chain_.factors[s].pattern.rows())
        throw py::value_error("factors " + std::to_string(s - 1) + " and " + std::to_string(s) +
                              " don't fit: columns and rows differ");
    }
    chain_.row_permutation = to_permutation(row_permutation, chain_.rows(), "row_permutation");
    chain_.column_permutation =
        to_permutation(column_permutation, chain_.cols(), "column_permutation");
  }

  /// out = op(F) x along `axis`. The arrays were checked by papilio.butterfly; what is checked
  /// again here is what would make the core read or write out of bounds.
  void apply(const py::array& x, py::array& out, int axis, bool transpose, bool conjugate) {
    const Plan& plan = this->plan(transpose, conjugate);
    if (dtype_of(x, "x") != chain_.dtype || dtype_of(out, "out") != chain_.dtype)
      throw py::type_error("x and out must have the operator's dtype");
    if (x.ndim() != out.ndim() || axis < 0 || axis >= x.ndim())
      throw py::value_error("x and out must have equally many axes, and axis must be one");
    if (x.shape(axis) != plan.input_rows || out.shape(axis) != plan.output_rows)
      throw py::value_error("x or out has the wrong length along axis");
    if (!out.writeable()) throw py::value_error("out is read-only");
    Layout layout{element_stride(x, axis, "x"), element_stride(out, axis, "out"), {}};
    for (int n = 0; n < x.ndim(); ++n) {
      if (n == axis) continue;
      if (x.shape(n) != out.shape(n)) throw py::value_error("x and out differ in a batch axis");
      layout.batch.push_back(
          {x.shape(n), element_stride(x, n, "x"), element_stride(out, n, "out")});
    }
    const void* from = x.data();
    void* to = out.mutable_data();
    const py::gil_scoped_release release;
    execute(plan, layout, from, to);
  }

 private:
  Factor to_factor(const Pattern& pattern, const py::array& values) const {
    if (dtype_of(values, "values") != chain_.dtype)
      throw py::type_error("all values must have one dtype");
    if (values.ndim() != 4 || !(values.flags() & py::array::c_style))
      throw py::value_error("values must be C-contiguous with four axes");
    const Index sizes[4] = {pattern.a, pattern.b, pattern.c, pattern.d};
    for (int n = 0; n < 4; ++n) {
      const bool tied = (n == 0 || n == 3) && values.shape(n) == 1;
      if (values.shape(n) != sizes[n] && !tied)
        throw py::value_error("values don't have the shape of their pattern");
    }
    return {pattern, values.data(), values.shape(0) < pattern.a, values.shape(3) < pattern.d};
  }

  const Plan& plan(bool transpose, bool conjugate) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (chain_.merged.empty()) merge_factors(chain_);
    std::unique_ptr<Plan>& plan = plans_[(transpose ? 2 : 0) + (conjugate ? 1 : 0)];
    if (!plan) plan = std::make_unique<Plan>(Plan::compile(chain_, transpose, conjugate));
    return *plan;
  }

  std::vector<py::array> arrays_;
  Chain chain_;
  std::mutex mutex_;
  std::unique_ptr<Plan> plans_[4];
};

}  // namespace

void register_operator(py::module_& module) {
  py::class_<Operator>(module, "Operator")
      .def(py::init<const std::vector<PatternTuple>&, const std::vector<py::array>&,
                    const py::object&, const py::object&>())
      .def("apply", &Operator::apply);
}

}  // namespace papilio
