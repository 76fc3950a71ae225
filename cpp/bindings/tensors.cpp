#include "tensors.hpp"

#include <cstdint>

namespace papilio {

namespace {

/// What belongs to torch: looked up in it once, so that nobody else's objects can pass for tensors.
/// Never freed: the interpreter may be gone by then.
struct Torch {
  py::object tensor, parameter;
  std::array<py::object, 4> dtypes;  // in the order of DType
  py::object data_ptr, shape, stride, dtype, is_cpu, is_neg, is_conj;

  static Torch* find() {
    const py::module_ module = py::module_::import("torch");
    const auto name = [](const char* text) {
      return py::reinterpret_steal<py::object>(PyUnicode_InternFromString(text));
    };
    return new Torch{module.attr("Tensor"),
                     module.attr("nn").attr("Parameter"),
                     {module.attr("float32"), module.attr("float64"), module.attr("complex64"),
                      module.attr("complex128")},
                     name("data_ptr"),
                     name("shape"),
                     name("stride"),
                     name("dtype"),
                     name("is_cpu"),
                     name("is_neg"),
                     name("is_conj")};
  }
  static const Torch& get() {
    // The interpreter's lock guards it: a guard of C++ could wait for a thread that waits for that.
    static const Torch* torch = nullptr;
    if (!torch) torch = find();
    return *torch;
  }
};

py::object attribute(py::handle object, const py::object& name) {
  return py::reinterpret_steal<py::object>(PyObject_GetAttr(object.ptr(), name.ptr()));
}
py::object call(py::handle object, const py::object& method) {
  return py::reinterpret_steal<py::object>(PyObject_CallMethodNoArgs(object.ptr(), method.ptr()));
}

/// Up to four integers; how many, or -1.
int integers(const py::object& tuple, Index* to) {
  if (!tuple || !PyTuple_Check(tuple.ptr()) || PyTuple_GET_SIZE(tuple.ptr()) > 4) return -1;
  const int count = static_cast<int>(PyTuple_GET_SIZE(tuple.ptr()));
  for (int n = 0; n < count; ++n) {
    PyObject* const item = PyTuple_GET_ITEM(tuple.ptr(), n);
    if (!PyLong_Check(item)) return -1;  // a symbol, where torch traces
    to[n] = PyLong_AsSsize_t(item);
    if (to[n] < 0) return -1;
  }
  return count;
}

bool looks_plain(const Torch& torch, py::handle object, DType dtype) {
  const auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
  if (type != torch.tensor.ptr() && type != torch.parameter.ptr()) return false;
  return attribute(object, torch.dtype).is(torch.dtypes[static_cast<std::size_t>(dtype)]) &&
         attribute(object, torch.is_cpu).is(py::handle(Py_True)) &&
         call(object, torch.is_neg).is(py::handle(Py_False)) &&
         (!holds_complex(dtype) || call(object, torch.is_conj).is(py::handle(Py_False)));
}

bool view(const Torch& torch, py::handle object, DType dtype, TensorView& found) {
  if (!looks_plain(torch, object, dtype)) return false;
  const py::object data = call(object, torch.data_ptr);
  if (!data) return false;  // wrappers of transforms have none
  found.data = PyLong_AsVoidPtr(data.ptr());
  found.ndim = integers(attribute(object, torch.shape), found.sizes);
  if (found.ndim < 0 || integers(call(object, torch.stride), found.strides) != found.ndim)
    return false;
  const std::size_t number = size_of(dtype) / (holds_complex(dtype) ? 2 : 1);
  return found.data && reinterpret_cast<std::uintptr_t>(found.data) % number == 0;
}

}  // namespace

bool view_tensor(py::handle object, DType dtype, TensorView& found) {
  const bool fits = view(Torch::get(), object, dtype, found);
  const bool raised = PyErr_Occurred() != nullptr;
  PyErr_Clear();
  return fits && !raised;
}

}  // namespace papilio
