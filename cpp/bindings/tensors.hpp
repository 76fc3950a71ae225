// Tensors of PyTorch as the core reads and writes them: in place, without NumPy arrays in between,
// which would cost a microsecond each. By DLPack's C interface, which newer versions of torch have.
#pragma once

#include "bindings.hpp"

namespace papilio {

/// Where a tensor of up to four axes lies; strides in elements.
struct TensorView {
  void* data;
  int ndim;
  Index sizes[4], strides[4];
};

/// Looks at a tensor. False for whatever isn't a plain one with memory on the CPU, of `dtype`, with
/// aligned numbers that stand for themselves (not for their conjugates or negatives), or has more
/// axes: what came is for NumPy to judge then. False for all where torch lacks the interface;
/// ImportError without torch.
bool view_tensor(py::handle object, DType dtype, TensorView& view);

}  // namespace papilio
