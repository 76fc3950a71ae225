#include "product.hpp"

#include <memory>

namespace papilio {

/// Whether it is an ndarray, no subclass, of this dtype, aligned.
bool Product::is_plain(const py::handle& x, const py::dtype& dtype) {
  if (Py_TYPE(x.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
  const auto array = py::reinterpret_borrow<py::array>(x);
  return (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) &&
         (array.dtype().is(dtype) || array.dtype().equal(dtype));
}

/// An uninitialized C-contiguous array of the output's dtype.
py::array Product::new_array(std::initializer_list<py::ssize_t> shape) const {
  auto& numpy = py::detail::npy_api::get();
  PyObject* array = numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, py::object(output_).release().ptr(), static_cast<int>(shape.size()),
      shape.begin(), nullptr, nullptr, 0, nullptr);
  if (!array) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(array);
}

py::object Product::multiply(const py::handle& x, int side) {
  if (!is_plain(x, input_)) return py::none();
  const auto array = py::reinterpret_borrow<py::array>(x);
  const Index axes = array.ndim();
  if (axes < 1 || axes > 2 || array.shape(0) != input(side).rows ||
      !(array.flags() & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_))
    return py::none();
  if (axes == 1) {
    py::array out = new_array({output(side).rows});
    run({1, 1, {}}, side, array.data(), out.mutable_data());
    return std::move(out);
  }
  const Index batch = array.shape(1);
  py::array out = new_array({output(side).rows, batch});
  if (batch > 0) run({batch, batch, {{batch, 1, 1}}}, side, array.data(), out.mutable_data());
  return std::move(out);
}

py::object Product::multiplier(const py::object& self, Product* target, int side) {
  struct Bound {
    py::object owner;
    Product* target;
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
  auto bound = std::make_unique<Bound>(Bound{self, target, side});
  const py::capsule capsule(bound.get(), [](void* data) { delete static_cast<Bound*>(data); });
  bound.release();
  py::object function =
      py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
  if (!function) throw py::error_already_set();
  return function;
}

bool Product::multiply_into(const py::handle& x, const py::handle& out,
                            const py::handle& axis_object, int side) {
  if (!is_plain(x, input_) || !is_plain(out, output_) || !PyLong_CheckExact(axis_object.ptr()))
    return false;
  const auto from = py::reinterpret_borrow<py::array>(x);
  auto to = py::reinterpret_borrow<py::array>(out);
  const Index axis = PyLong_AsLongLong(axis_object.ptr()), axes = from.ndim();
  if (axis < 0 || axis >= axes || to.ndim() != axes || !to.writeable() ||
      from.shape(axis) != input(side).rows || to.shape(axis) != output(side).rows)
    return false;
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
        (n != axis && in_size != out_size) || (out_size > 1 && out_stride == 0))
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

void Product::apply(const py::array& x, py::array& out, int axis, int side) {
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
