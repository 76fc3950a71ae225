#include "product.hpp"

#include <cstdlib>
#include <memory>

namespace papilio {

namespace {

typedef py::detail::npy_api Api;

// Of a batch that is converted as a whole: butterfly.py converts so much at a time.
constexpr Index chunk_bytes = Index{1} << 20;

bool is_ndarray(const py::handle& x) { return Py_TYPE(x.ptr()) == Api::get().PyArray_Type_; }

/// Whether an array is aligned and of this dtype.
bool is_ready(const py::array& x, const py::dtype& dtype) {
  const py::dtype own = x.dtype();
  return (x.flags() & Api::NPY_ARRAY_ALIGNED_) &&
         (own.is(dtype) ||
          (own.kind() == dtype.kind() && own.itemsize() == dtype.itemsize() && is_native(own)));
}

/// An aligned, C-contiguous copy of x in another dtype.
py::array converted(const py::array& x, const py::dtype& dtype) {
  PyObject* copy = Api::get().PyArray_FromAny_(
      x.ptr(), py::object(dtype).release().ptr(), 0, 0,
      Api::NPY_ARRAY_C_CONTIGUOUS_ | Api::NPY_ARRAY_ALIGNED_ | Api::NPY_ARRAY_FORCECAST_, nullptr);
  if (!copy) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(copy);
}

/// Whether entries of an array with these strides (in bytes) all lie in places of their own, as far
/// as the strides tell: along each axis, steps over all that lies along shorter ones.
bool is_nested(const py::array& x) {
  for (Index n = 0; n < x.ndim(); ++n) {
    if (x.shape(n) < 2) continue;
    const Index step = std::abs(x.strides(n));
    Index extent = x.itemsize();
    for (Index other = 0; other < x.ndim(); ++other) {
      const Index shorter = std::abs(x.strides(other));
      if (shorter < step || (shorter == step && other < n))
        extent += (x.shape(other) - 1) * shorter;
    }
    if (step < extent) return false;
  }
  return true;
}

/// An uninitialized array, C-contiguous or else F-contiguous.
py::array new_array(const py::dtype& dtype, std::initializer_list<py::ssize_t> shape,
                    bool columns_first = false) {
  auto& numpy = Api::get();
  PyObject* array = numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, py::object(dtype).release().ptr(), static_cast<int>(shape.size()),
      shape.begin(), nullptr, nullptr, columns_first ? Api::NPY_ARRAY_F_CONTIGUOUS_ : 0, nullptr);
  if (!array) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(array);
}

}  // namespace

void Product::set_dtypes(const py::dtype& input, const py::dtype& output) {
  input_ = input;
  output_ = output;
  if (input.kind() == 'f' && output.kind() == 'f')
    pairs_ = py::dtype(input.itemsize() == 4 ? "complex64" : "complex128");
}

/// Whether an x of this dtype is converted to the input's for a result of the output's dtype:
/// NumPy's promotion, in which integers and bools count as float64.
bool Product::takes(const py::dtype& x) const {
  const char kind = x.kind();
  const auto size = x.itemsize();
  const bool pairs = input_.kind() == 'c', wide = input_.itemsize() == (pairs ? 16 : 8);
  if (kind == 'b' || kind == 'i' || kind == 'u') return wide;
  if (kind == 'f') return size == 2 || size == 4 || (size == 8 && wide);
  return kind == 'c' && pairs && (size == 8 || (size == 16 && wide));
}

py::object Product::multiply(const py::handle& x, Side side, bool rows) {
  if (!is_ndarray(x)) return py::none();
  auto array = py::reinterpret_borrow<py::array>(x);
  const Index axes = array.ndim(), length = input(side).rows, height = output(side).rows;
  if (axes < 1 || axes > 2 || array.shape(rows ? axes - 1 : 0) != length) return py::none();
  const Index batch = axes == 1 ? 1 : array.shape(rows ? 0 : 1);
  const bool ready = is_ready(array, input_);
  const auto new_output = [&](const py::dtype& dtype, bool columns_first) {
    return axes == 1 ? new_array(dtype, {height})
           : rows    ? new_array(dtype, {batch, height}, columns_first)
                     : new_array(dtype, {height, batch}, columns_first);
  };
  if (!(array.flags() & Api::NPY_ARRAY_C_CONTIGUOUS_)) {
    if (!ready) return py::none();
    py::array out = new_output(output_, array.flags() & Api::NPY_ARRAY_F_CONTIGUOUS_);
    const bool is_written = write(array, out, rows ? axes - 1 : 0, side);
    return is_written ? py::object(std::move(out)) : py::none();
  }
  // A real operator acts on real and imaginary parts, which lie side by side.
  const bool pairs = !ready && pairs_.ptr() && is_ready(array, pairs_);
  if (!ready && !pairs) {
    if (!takes(array.dtype()) || length * batch * input_.itemsize() > chunk_bytes)
      return py::none();
    array = converted(array, input_);
  }
  const py::dtype& dtype = pairs ? pairs_ : output_;
  py::array out = new_output(dtype, false);
  if (batch == 0) return std::move(out);
  const char* from = static_cast<const char*>(array.data());
  char* to = static_cast<char*>(out.mutable_data());
  const Index parts = pairs ? 2 : 1;
  if (axes == 2 && !rows) {
    const Index columns = parts * batch;
    run({columns, columns, {{columns, 1, 1}}}, side, from, to);
    return std::move(out);
  }
  Layout layout{parts, parts, {}};
  if (axes == 2) layout.batch.push_back({batch, parts * length, parts * height});
  for (Index part = 0; part < parts; ++part)
    run(layout, side, from + part * input_.itemsize(), to + part * input_.itemsize());
  return std::move(out);
}

namespace {

/// What a builtin function made by bound_function has.
struct Bound {
  py::object owner;
  Product* target;
  Side side;
  bool rows;
};

/// Calls call(bound); what it throws becomes Python's exception.
template <class Call>
PyObject* calling(PyObject* capsule, const Call& call) {
  try {
    return call(*static_cast<const Bound*>(PyCapsule_GetPointer(capsule, nullptr)));
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

py::object bound_function(PyMethodDef& definition, Bound what) {
  auto bound = std::make_unique<Bound>(std::move(what));
  const py::capsule capsule(bound.get(), [](void* data) { delete static_cast<Bound*>(data); });
  bound.release();
  py::object function =
      py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
  if (!function) throw py::error_already_set();
  return function;
}

PyObject* call_multiply(PyObject* capsule, PyObject* x) {
  return calling(capsule, [&](const Bound& bound) {
    return bound.target->multiply(x, bound.side, bound.rows).release().ptr();
  });
}

PyObject* call_multiply_into(PyObject* capsule, PyObject* const* given, Py_ssize_t count) {
  if (count != 3) {
    PyErr_SetString(PyExc_TypeError, "expected x, out and axis");
    return nullptr;
  }
  return calling(capsule, [&](const Bound& bound) {
    return PyBool_FromLong(bound.target->multiply_into(given[0], given[1], given[2], bound.side));
  });
}

}  // namespace

py::object Product::multiplier(const py::object& self, Product* target, Side side, bool rows) {
  static PyMethodDef definition{"multiply", call_multiply, METH_O,
                                "F x for plain arrays, None for all else."};
  return bound_function(definition, {self, target, side, rows});
}

py::object Product::writer(const py::object& self, Product* target, Side side) {
  static PyMethodDef definition{
      "multiply_into",
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_multiply_into)),
      METH_FASTCALL, "out = F x along axis and True for plain arrays, False for all else."};
  return bound_function(definition, {self, target, side, false});
}

bool Product::multiply_into(const py::handle& x, const py::handle& out,
                            const py::handle& axis_object, Side side) {
  if (!is_ndarray(x) || !is_ndarray(out) || !PyLong_CheckExact(axis_object.ptr())) return false;
  const auto from = py::reinterpret_borrow<py::array>(x);
  auto to = py::reinterpret_borrow<py::array>(out);
  if (!is_ready(from, input_) || !is_ready(to, output_) || !is_nested(to)) return false;
  int overflow = 0;
  Index axis = PyLong_AsLongLongAndOverflow(axis_object.ptr(), &overflow);
  if (axis < 0 && overflow == 0) axis += from.ndim();
  return axis >= 0 && axis < from.ndim() && to.ndim() == from.ndim() && to.writeable() &&
         from.shape(axis) == input(side).rows && to.shape(axis) == output(side).rows &&
         write(from, to, axis, side);
}

bool Product::write(const py::array& from, py::array& to, Index axis, Side side) {
  const Index axes = from.ndim();
  const Index in_element = static_cast<Index>(size_of(input(side).dtype));
  const Index out_element = static_cast<Index>(size_of(output(side).dtype));
  Layout layout{};
  // The ends of the memory of both arrays.
  Index from_low = 0, from_high = in_element, to_low = 0, to_high = out_element;
  bool same_memory = from.data() == to.data() && in_element == out_element;
  for (Index n = 0; n < axes; ++n) {
    const Index in_stride = from.strides(n), out_stride = to.strides(n);
    const Index in_size = from.shape(n), out_size = to.shape(n);
    same_memory = same_memory && in_stride == out_stride && in_size == out_size;
    if (in_size == 0 || out_size == 0 || in_stride % in_element || out_stride % out_element ||
        (n != axis && in_size != out_size))
      return false;
    (in_stride < 0 ? from_low : from_high) += (in_size - 1) * in_stride;
    (out_stride < 0 ? to_low : to_high) += (out_size - 1) * out_stride;
    if (n == axis) {
      layout.in_stride = in_stride / in_element;
      layout.out_stride = out_stride / out_element;
    } else {
      layout.batch.push_back({in_size, in_stride / in_element, out_stride / out_element});
    }
  }
  const char* in = static_cast<const char*>(from.data());
  char* result = static_cast<char*>(to.mutable_data());
  if (!same_memory && in + from_low < result + to_high && result + to_low < in + from_high)
    return false;
  run(layout, side, in, result);
  return true;
}

void Product::apply(const py::array& x, py::array& out, int axis, Side side) {
  if (dtype_of(x, "x") != input(side).dtype || dtype_of(out, "out") != output(side).dtype)
    throw py::type_error("x and out must have the operator's dtype");
  if (x.ndim() != out.ndim() || axis < 0 || axis >= x.ndim())
    throw py::value_error("x and out must have equally many axes, and axis must be one");
  if (x.shape(axis) != input(side).rows || out.shape(axis) != output(side).rows)
    throw py::value_error("x or out has the wrong length along axis");
  if (!out.writeable()) throw py::value_error("out is read-only");
  Layout layout{element_stride(x, axis, "x"), element_stride(out, axis, "out"), {}};
  for (int n = 0; n < x.ndim(); ++n) {
    if (n == axis) continue;
    if (x.shape(n) != out.shape(n)) throw py::value_error("x and out differ in a batch axis");
    if (x.shape(n) == 0) return;
    layout.batch.push_back({x.shape(n), element_stride(x, n, "x"), element_stride(out, n, "out")});
  }
  const void* from = x.data();
  void* to = out.mutable_data();
  const WithoutLock released;
  execute(layout, side, from, to);
}

}  // namespace papilio
