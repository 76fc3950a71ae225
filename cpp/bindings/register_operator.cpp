#include <initializer_list>
#include <memory>

#include "bindings.hpp"
#include "papilio/apply.hpp"

namespace papilio {

namespace {

/// What the Python layer knows of a batch: (vectors, input, output), the contiguity by its name.
typedef std::tuple<Index, std::string, std::string> BatchTuple;
/// (lanes, radix, tile).
typedef std::tuple<std::string, Index, Index> ChoiceTuple;

Contiguous to_contiguous(const std::string& name) {
  if (name == "columns") return Contiguous::columns;
  if (name == "rows") return Contiguous::rows;
  if (name == "neither") return Contiguous::neither;
  throw py::value_error("layout is '" + name + "', expected 'columns', 'rows' or 'neither'");
}

BatchClass to_batch(const BatchTuple& batch) {
  const auto& [vectors, in, out] = batch;
  BatchClass result = classify({1, 1, {{vectors, 2, 2}}});
  result.in = to_contiguous(in);
  result.out = to_contiguous(out);
  return result;
}

ChoiceTuple to_tuple(const Choice& choice) {
  return {choice.lanes == Lanes::columns ? "columns" : "rows", choice.radix, choice.tile};
}

/// A chain of factors, the arrays that hold its values, and the planner of its products.
class Operator {
 public:
  Operator(const std::vector<PatternTuple>& patterns, const std::vector<py::array>& values,
           const py::object& row_permutation, const py::object& column_permutation)
      : arrays_(values), planner_(to_chain(patterns, row_permutation, column_permutation)) {}

  /// op(F) x for a C-contiguous vector or matrix (vectors along the first axis) of the operator's
  /// dtype as a new array; None for all else, which the Python layer then looks at.
  py::object multiply(const py::handle& x, int side) {
    const bool transpose = side & 1;
    if (!is_plain(x)) return py::none();
    const auto array = py::reinterpret_borrow<py::array>(x);
    const Index axes = array.ndim();
    if (axes < 1 || axes > 2 || array.shape(0) != input_rows(transpose) ||
        !(array.flags() & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_))
      return py::none();
    if (axes == 1) {
      py::array out = new_array({output_rows(transpose)});
      run(*vector_plan(transpose), {1, 1, {}}, side & 2, array.data(), out.mutable_data());
      return std::move(out);
    }
    const Index batch = array.shape(1);
    py::array out = new_array({output_rows(transpose), batch});
    if (batch > 0) {
      const Layout layout{batch, batch, {{batch, 1, 1}}};
      run(*planner_.plan(transpose, classify(layout)), layout, side & 2, array.data(),
          out.mutable_data());
    }
    return std::move(out);
  }

  /// A builtin function of x that calls multiply for this side: 1 transposes, 2 conjugates. It
  /// takes half of the time that pybind11 needs to find its way to a method.
  static py::object multiplier(const py::object& self, int side) {
    struct Bound {
      py::object owner;
      Operator* target;
      int side;
    };
    static PyMethodDef definition{
        "multiply",
        [](PyObject* capsule, PyObject* x) -> PyObject* {
          const auto* bound = static_cast<const Bound*>(PyCapsule_GetPointer(capsule, nullptr));
          try {
            return bound->target->multiply(x, bound->side).release().ptr();
          } catch (py::error_already_set& error) {
            error.restore();
          } catch (const std::bad_alloc&) {
            PyErr_NoMemory();
          } catch (const std::exception& error) {
            PyErr_SetString(PyExc_RuntimeError, error.what());
          }
          return nullptr;
        },
        METH_O, "F x for plain arrays, None for all else."};
    auto bound = std::make_unique<Bound>(Bound{self, self.cast<Operator*>(), side});
    const py::capsule capsule(bound.get(), [](void* data) { delete static_cast<Bound*>(data); });
    bound.release();
    py::object function =
        py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
    if (!function) throw py::error_already_set();
    return function;
  }

  /// out = op(F) x along `axis` and true, if both are arrays of the operator's dtype, of the right
  /// shapes, in separate or in the very same memory; else false, and nothing is done.
  bool multiply_into(const py::handle& x, const py::handle& out, const py::handle& axis_object,
                     int side) {
    const bool transpose = side & 1;
    if (!is_plain(x) || !is_plain(out) || !PyLong_CheckExact(axis_object.ptr())) return false;
    const auto from = py::reinterpret_borrow<py::array>(x);
    auto to = py::reinterpret_borrow<py::array>(out);
    const Index axis = PyLong_AsLongLong(axis_object.ptr()), axes = from.ndim();
    if (axis < 0 || axis >= axes || to.ndim() != axes || !to.writeable() ||
        from.shape(axis) != input_rows(transpose) || to.shape(axis) != output_rows(transpose))
      return false;
    const Index element = static_cast<Index>(size_of(planner_.chain().dtype));
    Layout layout{};
    // The ends of the memory of both arrays.
    Index from_low = 0, from_high = element, to_low = 0, to_high = element;
    bool same_memory = from.data() == to.data();
    for (Index n = 0; n < axes; ++n) {
      const Index in_stride = from.strides(n), out_stride = to.strides(n);
      const Index in_size = from.shape(n), out_size = to.shape(n);
      same_memory = same_memory && in_stride == out_stride && in_size == out_size;
      if (in_size == 0 || out_size == 0 || in_stride % element || out_stride % element ||
          (n != axis && in_size != out_size) || (out_size > 1 && out_stride == 0))
        return false;
      (in_stride < 0 ? from_low : from_high) += (in_size - 1) * in_stride;
      (out_stride < 0 ? to_low : to_high) += (out_size - 1) * out_stride;
      if (n == axis) {
        layout.in_stride = in_stride / element;
        layout.out_stride = out_stride / element;
      } else {
        layout.batch.push_back({in_size, in_stride / element, out_stride / element});
      }
    }
    const char* in = static_cast<const char*>(from.data());
    char* result = static_cast<char*>(to.mutable_data());
    if (!same_memory && in + from_low < result + to_high && result + to_low < in + from_high)
      return false;
    run(*planner_.plan(transpose, classify(layout)), layout, side & 2, in, result);
    return true;
  }

  /// out = op(F) x along `axis`. The arrays were checked by papilio.butterfly; what is checked
  /// again here is what would make the core read or write out of bounds.
  void apply(const py::array& x, py::array& out, int axis, bool transpose, bool conjugate) {
    const Chain& chain = planner_.chain();
    if (dtype_of(x, "x") != chain.dtype || dtype_of(out, "out") != chain.dtype)
      throw py::type_error("x and out must have the operator's dtype");
    if (x.ndim() != out.ndim() || axis < 0 || axis >= x.ndim())
      throw py::value_error("x and out must have equally many axes, and axis must be one");
    if (x.shape(axis) != (transpose ? chain.rows() : chain.cols()) ||
        out.shape(axis) != (transpose ? chain.cols() : chain.rows()))
      throw py::value_error("x or out has the wrong length along axis");
    if (!out.writeable()) throw py::value_error("out is read-only");
    Layout layout{element_stride(x, axis, "x"), element_stride(out, axis, "out"), {}};
    for (int n = 0; n < x.ndim(); ++n) {
      if (n == axis) continue;
      if (x.shape(n) != out.shape(n)) throw py::value_error("x and out differ in a batch axis");
      if (x.shape(n) == 0) return;
      layout.batch.push_back(
          {x.shape(n), element_stride(x, n, "x"), element_stride(out, n, "out")});
    }
    const void* from = x.data();
    void* to = out.mutable_data();
    const py::gil_scoped_release release;
    const std::shared_ptr<const Plan> plan = planner_.plan(transpose, classify(layout));
    execute(*plan, layout, conjugate, from, to);
  }

  /// (text, choice, predicted seconds) of the plan for such batches.
  py::tuple plan(bool transpose, const BatchTuple& batch) {
    const BatchClass wanted = to_batch(batch);
    const std::shared_ptr<const Plan> plan = planner_.plan(transpose, wanted);
    return py::make_tuple(planner_.describe(transpose, wanted), to_tuple(plan->choice),
                          plan->predicted);
  }

  /// Measures, and keeps the best: [(choice, predicted, measured seconds)], the fastest first.
  py::list tune(bool transpose, const BatchTuple& batch) {
    const BatchClass wanted = to_batch(batch);
    std::vector<Timing> timings;
    {
      const py::gil_scoped_release release;
      timings = planner_.tune(transpose, wanted);
    }
    forget_vector_plans();
    py::list rows;
    for (const Timing& timing : timings)
      rows.append(py::make_tuple(to_tuple(timing.choice), timing.predicted, timing.measured));
    return rows;
  }

  void force(bool transpose, const BatchTuple& batch, const ChoiceTuple& choice) {
    const auto& [lanes, radix, tile] = choice;
    if (lanes != "columns" && lanes != "rows")
      throw py::value_error("lanes is '" + lanes + "', expected 'columns' or 'rows'");
    if (radix < 1 || tile < 1) throw py::value_error("radix and tile must be positive");
    planner_.force(transpose, to_batch(batch),
                   {lanes == "columns" ? Lanes::columns : Lanes::rows, radix, tile});
    forget_vector_plans();
  }

 private:
  /// Whether it is an ndarray, no subclass, of the operator's dtype, aligned.
  bool is_plain(const py::handle& x) const {
    if (Py_TYPE(x.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
    const auto array = py::reinterpret_borrow<py::array>(x);
    return (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) &&
           (array.dtype().is(dtype_) || array.dtype().equal(dtype_));
  }
  Index input_rows(bool transpose) const {
    return transpose ? planner_.chain().rows() : planner_.chain().cols();
  }
  Index output_rows(bool transpose) const { return input_rows(!transpose); }

  /// An uninitialized C-contiguous array of the operator's dtype.
  py::array new_array(std::initializer_list<py::ssize_t> shape) const {
    auto& numpy = py::detail::npy_api::get();
    PyObject* array = numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, py::object(dtype_).release().ptr(), static_cast<int>(shape.size()),
        shape.begin(), nullptr, nullptr, 0, nullptr);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(array);
  }

  static void run(const Plan& plan, const Layout& layout, bool conjugate, const void* from,
                  void* to) {
    // Giving the interpreter to others for less than some microseconds costs more than it brings.
    if (plan.predicted < 5e-6) return execute(plan, layout, conjugate, from, to);
    const py::gil_scoped_release release;
    execute(plan, layout, conjugate, from, to);
  }

  /// Under the interpreter's lock, as all that touches vector_plans_.
  const std::shared_ptr<const Plan>& vector_plan(bool transpose) {
    std::shared_ptr<const Plan>& plan = vector_plans_[transpose];
    if (!plan) plan = planner_.plan(transpose, {1, Contiguous::rows, Contiguous::rows});
    return plan;
  }
  void forget_vector_plans() { vector_plans_[0] = vector_plans_[1] = nullptr; }

  Chain to_chain(const std::vector<PatternTuple>& patterns, const py::object& row_permutation,
                 const py::object& column_permutation) {
    if (patterns.empty() || patterns.size() != arrays_.size())
      throw py::value_error("expected as many arrays of values as patterns, and at least one");
    Chain chain{};
    chain.dtype = dtype_of(arrays_.front(), "values");
    dtype_ = arrays_.front().dtype();
    for (std::size_t s = 0; s < patterns.size(); ++s) {
      chain.factors.push_back(to_factor(chain.dtype, to_pattern(patterns[s]), arrays_[s]));
      if (s > 0 && chain.factors[s - 1].pattern.cols() != chain.factors[s].pattern.rows())
        throw py::value_error("factors " + std::to_string(s - 1) + " and " + std::to_string(s) +
                              " don't fit: columns and rows differ");
    }
    chain.row_permutation = to_permutation(row_permutation, chain.rows(), "row_permutation");
    chain.column_permutation =
        to_permutation(column_permutation, chain.cols(), "column_permutation");
    return chain;
  }

  std::vector<py::array> arrays_;
  py::dtype dtype_;
  Planner planner_;
  std::shared_ptr<const Plan> vector_plans_[2];
};

}  // namespace

void register_operator(py::module_& module) {
  py::class_<Operator>(module, "Operator")
      .def(py::init<const std::vector<PatternTuple>&, const std::vector<py::array>&,
                    const py::object&, const py::object&>())
      .def("multiplier", &Operator::multiplier)
      .def("multiply_into", &Operator::multiply_into)
      .def("apply", &Operator::apply)
      .def("plan", &Operator::plan)
      .def("tune", &Operator::tune)
      .def("force", &Operator::force);
}

}  // namespace papilio
