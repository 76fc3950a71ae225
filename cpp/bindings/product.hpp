// What products with operators of all kinds share: NumPy arrays in and out.
#pragma once

#include <initializer_list>

#include "bindings.hpp"

namespace papilio {

/// Which product with an operator, as far as the operator knows others than its own: Python's Side.
struct Side {
  bool transposed, conjugated;
};

}  // namespace papilio

/// Python's Side is a whole number: 1 transposes, 2 conjugates.
template <>
struct pybind11::detail::type_caster<papilio::Side> {
  PYBIND11_TYPE_CASTER(papilio::Side, const_name("Side"));
  bool load(handle source, bool) {
    const long bits = PyLong_Check(source.ptr()) ? PyLong_AsLong(source.ptr()) : -1;
    if (bits == -1) PyErr_Clear();
    value = {(bits & 1) != 0, (bits & 2) != 0};
    return bits >= 0 && bits < 4;
  }
};

namespace papilio {

/// Something that multiplies arrays of one dtype into arrays of another.
class Product {
 public:
  virtual ~Product() = default;

  /// F x for a vector or matrix (vectors along the first axis, or with `rows` along the last one)
  /// of the input's dtype, or a small C-contiguous one that can be converted to it, as a new array
  /// (F-contiguous if x is that only); None for all else, which the Python layer then looks at.
  py::object multiply(const py::handle& x, Side side, bool rows);

  /// out = F x along `axis` and true, if both are arrays of the right dtypes and shapes in separate
  /// or in the very same memory; else false, and nothing is done.
  bool multiply_into(const py::handle& x, const py::handle& out, const py::handle& axis, Side side);

  /// out = F x along `axis`. The arrays were checked by the Python layer; what is checked again
  /// here is what would make the core read or write out of bounds.
  void apply(const py::array& x, py::array& out, int axis, Side side);

  /// A builtin function of x that calls target's multiply for this side and keeps `self` alive. It
  /// takes half of the time that pybind11 needs to find its way to a method.
  static py::object multiplier(const py::object& self, Product* target, Side side, bool rows);
  /// One of (x, out, axis) that calls multiply_into.
  static py::object writer(const py::object& self, Product* target, Side side);

 protected:
  /// An end of the operator: what its input or its output consists of.
  struct End {
    DType dtype;
    Index rows;
  };

  /// The dtypes are those of the arrays in question; to be called by constructors.
  void set_dtypes(const py::dtype& input, const py::dtype& output);

  virtual End input(Side side) const = 0;
  virtual End output(Side side) const = 0;
  /// The product; called with the interpreter's lock, which long ones give up for a while.
  virtual void run(const Layout& layout, Side side, const void* in, void* out) = 0;
  /// Calls what takes about so many seconds; without the interpreter's lock, unless giving it to
  /// others costs more than it brings.
  template <class Call>
  static void released(double seconds, const Call& call) {
    if (seconds < 5e-6) return call();
    const WithoutLock released;
    call();
  }
  /// The product; called without the interpreter's lock.
  virtual void execute(const Layout& layout, Side side, const void* in, void* out) = 0;

 private:
  bool takes(const py::dtype& x) const;
  /// The same as multiply_into for arrays of the right dtypes and lengths; false for steps that
  /// aren't whole elements, empty arrays and memory that overlaps in another way.
  bool write(const py::array& from, py::array& to, Index axis, Side side);

  py::dtype input_, output_;
  py::dtype pairs_;  // the complex dtype that is pairs of a real input and output; else null
};

}  // namespace papilio
