#include "tensors.hpp"

#include <cstdint>

namespace papilio {

namespace {

// ------------------------------------------------------------------ DLPack 1.x, its C interface
// dmlc.github.io/dlpack: what a type gives out as __dlpack_c_exchange_api__.

struct DlVersion {
  std::uint32_t major, minor;
};
struct DlTensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t ndim;
  std::uint8_t code, bits;  // of the dtype
  std::uint16_t lanes;
  std::int64_t *shape, *strides;
  std::uint64_t byte_offset;
};
struct DlExchange {
  DlVersion version;
  void* previous;
  void (*functions_not_used_here[3])();
  int (*tensor_from_object)(void* object, DlTensor* found);  // borrows; -1 with an exception
};
constexpr std::int32_t dl_cpu = 1;
constexpr std::uint8_t dl_float = 2, dl_complex = 5;

/// What belongs to torch: looked up in it once, so that nobody else's objects can pass for tensors.
/// Never freed: the interpreter may be gone by then.
struct Torch {
  py::object tensor, parameter, is_neg, is_conj;
  const DlExchange* exchange;  // null where torch is older

  static const DlExchange* exchange_of(const py::object& type) {
    const py::object capsule = py::getattr(type, "__dlpack_c_exchange_api__", py::none());
    if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
    const auto* found =
        static_cast<const DlExchange*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    capsule.inc_ref();
    return found->version.major == 1 && found->tensor_from_object ? found : nullptr;
  }
  static const Torch& get() {
    // The interpreter's lock guards it: a guard of C++ could wait for a thread that waits for that.
    static const Torch* torch = nullptr;
    if (!torch) {
      const py::module_ module = py::module_::import("torch");
      const py::object tensor = module.attr("Tensor");
      torch = new Torch{tensor, module.attr("nn").attr("Parameter"), py::str("is_neg"),
                        py::str("is_conj"), exchange_of(tensor)};
    }
    return *torch;
  }
};

bool is_false(py::handle object, const py::object& method) {
  const auto found =
      py::reinterpret_steal<py::object>(PyObject_CallMethodNoArgs(object.ptr(), method.ptr()));
  return found.ptr() == Py_False;
}

bool has_dtype(const DlTensor& tensor, DType dtype) {
  return tensor.code == (holds_complex(dtype) ? dl_complex : dl_float) &&
         tensor.bits == 8 * size_of(dtype) && tensor.lanes == 1;
}

bool view(const Torch& torch, py::handle object, DType dtype, TensorView& found) {
  const auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
  if (type != torch.tensor.ptr() && type != torch.parameter.ptr()) return false;
  DlTensor tensor{};
  // Wrappers of transforms, sparse tensors and the like raise.
  if (torch.exchange->tensor_from_object(object.ptr(), &tensor) != 0) return false;
  if (tensor.device_type != dl_cpu || tensor.ndim > 4 || !tensor.data || !tensor.strides ||
      !has_dtype(tensor, dtype))
    return false;
  if (!is_false(object, torch.is_neg) || (holds_complex(dtype) && !is_false(object, torch.is_conj)))
    return false;
  found.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  found.ndim = tensor.ndim;
  for (int n = 0; n < tensor.ndim; ++n) {
    found.sizes[n] = tensor.shape[n];
    found.strides[n] = tensor.strides[n];
  }
  const std::size_t number = size_of(dtype) / (holds_complex(dtype) ? 2 : 1);
  return reinterpret_cast<std::uintptr_t>(found.data) % number == 0;
}

}  // namespace

bool view_tensor(py::handle object, DType dtype, TensorView& found) {
  const Torch& torch = Torch::get();
  const bool fits = torch.exchange && view(torch, object, dtype, found);
  if (!fits) PyErr_Clear();
  return fits;
}

}  // namespace papilio
