#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <tuple>

#include <pybind11/complex.h>

#include "bindings.hpp"
#include "papilio/compress.hpp"
#include "papilio/formula.hpp"

namespace papilio {

namespace {

using Positions = py::array_t<Index, py::array::c_style>;
using Scales = py::array_t<double, py::array::c_style>;
using PanelRows = py::array_t<std::uint16_t, py::array::c_style>;

py::tuple interpolate_blocks(const py::array& blocks, Index rank,
                             const std::optional<Scales>& scales) {
  if (blocks.ndim() != 3 || !(blocks.flags() & py::array::c_style))
    throw py::value_error("blocks must be C-contiguous with three axes");
  const Blocks input{dtype_of(blocks, "blocks"), blocks.data(), blocks.shape(0), blocks.shape(1),
                     blocks.shape(2)};
  if (rank < 0 || rank > input.rows)
    throw py::value_error("rank is " + std::to_string(rank) + ", expected 0.." +
                          std::to_string(input.rows));
  if (scales &&
      (scales->ndim() != 2 || scales->shape(0) != input.count || scales->shape(1) != input.cols))
    throw py::value_error("scales must have a number for each column of each block");
  const double* of_columns = scales ? scales->data() : nullptr;
  Positions pivots({input.count, rank});
  py::array weights(blocks.dtype(), std::vector<py::ssize_t>{input.count, input.rows, rank});
  py::array_t<double> residuals({input.count, rank + 1});
  Index* chosen = pivots.mutable_data();
  void* values = weights.mutable_data();
  double* left = residuals.mutable_data();
  {
    const WithoutLock released;
    interpolate(input, of_columns, rank, chosen, values, left);
  }
  return py::make_tuple(pivots, weights, residuals);
}

/// What is left of a text of which one word after the other is taken.
class Words {
 public:
  explicit Words(const char* text) : rest_(text) {}
  bool take(const char* word) {
    const std::size_t length = std::strlen(word);
    if (std::strncmp(rest_, word, length) != 0) return false;
    rest_ += length;
    return true;
  }
  /// The first of these that comes next, or null.
  const char* take_one(std::initializer_list<const char*> words) {
    for (const char* word : words)
      if (take(word)) return word;
    return nullptr;
  }
  bool ended() const { return !*rest_; }

 private:
  const char* rest_;
};

/// The element type that a function of this C signature writes: void, float or double; null for
/// signatures that aren't those of a function of entries.
const char* written_type(const char* signature) {
  Words words(signature);
  if (!words.take("void (")) return nullptr;
  for (int n = 0; n < 2; ++n)
    if (!words.take_one({"int64_t, ", "long long, ", "long, "})) return nullptr;
  for (int n = 0; n < 2; ++n) {
    words.take("const ");
    if (!words.take_one({"int64_t ", "long long ", "long ", "void "})) return nullptr;
    words.take("const ");
    if (!words.take("*, ")) return nullptr;
  }
  const char* const written = words.take_one({"void", "float", "double"});
  return written && words.take(" *, void *)") && words.ended() ? written : nullptr;
}

/// The capsule of a scipy.LowLevelCallable, whose name is the function's C signature.
void evaluate_blocks(const py::object& function, const Positions& i, const Positions& j,
                     py::array& out) {
  if (!PyCapsule_CheckExact(function.ptr())) throw py::type_error("function must be a capsule");
  const char* signature = PyCapsule_GetName(function.ptr());
  const char* const written = signature ? written_type(signature) : nullptr;
  if (!written)
    throw py::value_error(
        "entries has the C signature '" + std::string(signature ? signature : "") +
        "', expected 'void (int64_t, int64_t, int64_t *, int64_t *, void *, void *)'");
  dtype_of(out, "out");
  const bool single = out.dtype().char_() == 'f' || out.dtype().char_() == 'F';
  if (!std::strcmp(written, single ? "double" : "float"))
    throw py::value_error("entries writes " + std::string(written) + " *, but dtype is " +
                          std::string(py::str(out.dtype())));
  if (i.ndim() != 2 || j.ndim() != 2 || out.ndim() != 3 || i.shape(0) != j.shape(0) ||
      out.shape(0) != i.shape(0) || out.shape(1) != i.shape(1) || out.shape(2) != j.shape(1) ||
      !(out.flags() & py::array::c_style))
    throw py::value_error("i, j and out must be (p, rows), (p, cols) and (p, rows, cols)");
  void* address = PyCapsule_GetPointer(function.ptr(), signature);
  if (!address) throw py::error_already_set();
  void* user_data = PyCapsule_GetContext(function.ptr());
  if (!user_data && PyErr_Occurred()) throw py::error_already_set();
  const Index *rows = i.data(), *cols = j.data();
  const Index count = i.shape(0), height = i.shape(1), width = j.shape(1);
  const Index element = out.itemsize();
  void* values = out.mutable_data();
  const WithoutLock released;
  evaluate(reinterpret_cast<EntryFunction>(address), user_data, count, height, width, rows, cols,
           values, element);
}

py::array_t<std::complex<double>> wave_of(const py::array_t<double, py::array::c_style>& turns) {
  py::array_t<std::complex<double>> out(
      std::vector<py::ssize_t>(turns.shape(), turns.shape() + turns.ndim()));
  const double* from = turns.data();
  std::complex<double>* to = out.mutable_data();
  const Index count = turns.size();
  const WithoutLock released;
  wave(count, from, to);
  return out;
}

/// A factor between interfaces of two ranks, checked: an array, or (rows, weights).
ChainFactor factor_of(const py::object& given, DType dtype, Index left, Index right) {
  if (left < 1 || right < 1) throw py::value_error("ranks must be positive");
  ChainFactor p{nullptr, 0, 0, 0, 0, left, right};
  py::array values;
  if (py::isinstance<py::tuple>(given)) {
    const auto [first, second] = given.cast<std::tuple<py::object, py::object>>();
    const py::array rows = array_in(first, "factors");
    values = array_in(second, "factors");
    if (!py::isinstance<PanelRows>(rows) || rows.ndim() != 4 || rows.size() == 0 ||
        values.ndim() != 5 || values.shape(4) != right)
      throw py::value_error("rows must be C-contiguous uint16 with four axes, weights with five");
    p.a = rows.shape(0), p.d = rows.shape(1), p.c = rows.shape(2) * right, p.b = rows.shape(3);
    p.rows = static_cast<const std::uint16_t*>(rows.data());
    if (values.shape(0) != p.a || values.shape(1) != p.d || values.shape(2) != rows.shape(2) ||
        values.shape(3) != p.b - right)
      throw py::value_error("rows and weights must fit each other");
  } else {
    values = array_in(given, "factors");
    if (values.ndim() != 4 || values.size() == 0)
      throw py::value_error("factors must be C-contiguous with four axes, none of them empty");
    p.a = values.shape(0), p.b = values.shape(1), p.c = values.shape(2), p.d = values.shape(3);
  }
  if (!(values.flags() & py::array::c_style))
    throw py::value_error("factors must be C-contiguous with four axes, none of them empty");
  if (dtype_of(values, "factors") != dtype) throw py::type_error("factors must have one dtype");
  if (p.b % left != 0 || p.c % right != 0)
    throw py::value_error("ranks must divide the axes of the factors");
  p.values = values.data();
  return p;
}

/// The factors of a dense chainable chain, checked: nothing that they say leads out of bounds. With
/// ranks at both ends, too, they are a part of one.
struct ChainOfFactors {
  DType dtype;
  std::vector<ChainFactor> factors;
  Index rows = 1, columns = 1;

  explicit ChainOfFactors(const std::vector<py::object>& given, const std::vector<Index>& ranks) {
    const bool part = ranks.size() == given.size() + 1;
    if (given.empty() || !(part || ranks.size() + 1 == given.size()))
      throw py::value_error("factors must not be empty, and have a rank between each two");
    const py::object first_values =
        py::isinstance<py::tuple>(given[0])
            ? std::get<1>(given[0].cast<std::tuple<py::object, py::object>>())
            : given[0];
    dtype = dtype_of(array_in(first_values, "factors"), "factors");
    for (std::size_t n = 0; n < given.size(); ++n)
      factors.push_back(factor_of(given[n], dtype, part ? ranks[n] : (n ? ranks[n - 1] : 1),
                                  part ? ranks[n + 1] : (n < ranks.size() ? ranks[n] : 1)));
    const ChainFactor &first = factors.front(), &last = factors.back();
    rows = first.a * first.b * first.d;
    columns = last.a * last.c * last.d;
    if (!part && (first.a != 1 || last.d != 1))
      throw py::value_error("the first factor's a and the last one's d must be 1");
    Index below = first.a, of_rows = first.d * (first.b / first.left);
    for (std::size_t n = 0; n < factors.size(); ++n) {
      const ChainFactor& p = factors[n];
      if (p.a != below || p.d * (p.b / p.left) != of_rows)
        throw py::value_error("factors must fit each other");
      below *= p.c / p.right;
      of_rows = p.d;
    }
    if (!part && (below != columns || of_rows != 1 || first.left != 1))
      throw py::value_error("factors must fit each other");
  }
};

py::array product_entries_of(const std::vector<py::object>& given_factors,
                             const std::vector<Index>& ranks, const Positions& rows,
                             const Positions& columns, const py::object& given) {
  const ChainOfFactors chain(given_factors, ranks);
  if (rows.ndim() != 1 || columns.ndim() != 1 || rows.size() != columns.size())
    throw py::value_error("rows and columns must have one axis of the same length");
  for (Index n = 0; n < rows.size(); ++n)
    if (rows.data()[n] < 0 || rows.data()[n] >= chain.rows || columns.data()[n] < 0 ||
        columns.data()[n] >= chain.columns)
      throw py::index_error("rows and columns must be within the product");
  const Index *i = rows.data(), *j = columns.data(), count = rows.size();
  const py::dtype kind(holds_complex(chain.dtype) ? "complex128" : "float64");
  const Index left = chain.factors.front().left, right = chain.factors.back().right;
  const bool starts = !given.is_none();
  if (!starts && left != 1) throw py::value_error("a part of a chain needs vectors to start from");
  const py::array start = starts ? py::array(given) : py::array(kind, 0);
  if (starts && (start.ndim() != 2 || start.shape(0) != count || start.shape(1) != left ||
                 !(start.flags() & py::array::c_style) || !start.dtype().is(kind)))
    throw py::value_error("start must be C-contiguous, in double precision, and (rows, left)");
  const std::vector<py::ssize_t> shape = starts || right != 1
                                             ? std::vector<py::ssize_t>{count, right}
                                             : std::vector<py::ssize_t>{count};
  py::array out(kind, shape);
  const void* from = starts ? start.data() : nullptr;
  void* to = out.mutable_data();
  const WithoutLock released;
  product_entries(chain.dtype, chain.factors, count, i, j, from, to);
  return out;
}

py::array product_rows_of(const std::vector<py::object>& arrays, const std::vector<Index>& ranks,
                          Index row, Index rows, const py::array& x) {
  const ChainOfFactors chain(arrays, ranks);
  const ChainFactor &first = chain.factors.front(), &last = chain.factors.back();
  const Index radix = first.b / first.left;
  if (row < 0 || row >= chain.rows) throw py::index_error("row must be within the product");
  if (rows < 1 || rows > radix - row / first.d % radix)
    throw py::index_error("rows must be within the first factor's block");
  const Index height = rows * first.a * first.left;
  if (x.ndim() != 2 || x.shape(0) != last.a * last.c || !(x.flags() & py::array::c_style))
    throw py::value_error("x must be C-contiguous with a row for each column of the product");
  const DType kind = dtype_of(x, "x");
  if (holds_complex(kind) != holds_complex(chain.dtype))
    throw py::type_error("x and the factors must both be real or both be complex");
  py::array out(x.dtype(), std::vector<py::ssize_t>{height, x.shape(1)});
  const void* from = x.data();
  void* to = out.mutable_data();
  const Index count = x.shape(1);
  const WithoutLock released;
  product_rows(chain.dtype, chain.factors, row, rows, kind, count, from, to);
  return out;
}

/// Arrays with a row for each field.
Fields fields_of(const Scales& given, const char* name) {
  if (given.ndim() != 2) throw py::value_error(std::string(name) + " must have two axes");
  return {std::vector<double>(given.data(), given.data() + given.size()), given.shape(0),
          given.shape(1)};
}

py::array_t<double> array_of(const Fields& fields) {
  return py::array_t<double>({fields.count, fields.size}, fields.values.data());
}

py::array entries_of(const Formula& formula, const std::vector<py::ssize_t>& shape) {
  return py::array(py::dtype(formula.is_complex() ? "complex128" : "float64"), shape);
}

py::array pairs_of(const Formula& formula, const Positions& i, const Positions& j) {
  if (i.ndim() != 1 || j.ndim() != 1 || i.size() != j.size())
    throw py::value_error("i and j must have one axis of the same length");
  py::array out = entries_of(formula, {i.size()});
  const Index *rows = i.data(), *columns = j.data(), count = i.size();
  void* to = out.mutable_data();
  const WithoutLock released;
  formula.pairs(count, rows, columns, to);
  return out;
}

void require_blocks(const Positions& i, const Positions& j) {
  if (i.ndim() != 2 || j.ndim() != 2 || i.shape(0) != j.shape(0))
    throw py::value_error("i and j must be (p, rows) and (p, cols)");
}

py::array blocks_of(const Formula& formula, const Positions& i, const Positions& j) {
  require_blocks(i, j);
  const Index count = i.shape(0), height = i.shape(1), width = j.shape(1);
  py::array out = entries_of(formula, {count, height, width});
  const Index *rows = i.data(), *columns = j.data();
  void* to = out.mutable_data();
  const WithoutLock released;
  formula.blocks(count, height, width, rows, columns, to);
  return out;
}

py::tuple interpolate_formula(const Formula& formula, const Positions& i, const Positions& j,
                              Index rank, const Scales& scales) {
  require_blocks(i, j);
  const Index count = i.shape(0), height = i.shape(1), width = j.shape(1);
  if (rank < 0 || rank > height)
    throw py::value_error("rank is " + std::to_string(rank) + ", expected 0.." +
                          std::to_string(height));
  if (scales.ndim() != 2 || scales.shape(0) != count || scales.shape(1) != width)
    throw py::value_error("scales must have a number for each column of each block");
  Positions pivots({count, rank});
  py::array weights = entries_of(formula, {count, height, rank});
  py::array_t<double> residuals({count, rank + 1});
  const Index *rows = i.data(), *columns = j.data();
  const double* of_columns = scales.data();
  Index* chosen = pivots.mutable_data();
  void* values = weights.mutable_data();
  double* left = residuals.mutable_data();
  {
    const WithoutLock released;
    formula.interpolate(count, height, width, rows, columns, of_columns, rank, chosen, values,
                        left);
  }
  return py::make_tuple(pivots, weights, residuals);
}

void register_formula(py::module_& module) {
  py::class_<Formula>(module, "Formula")
      .def(py::init([](const std::string& name, const Scales& rows, const Scales& columns,
                       const Scales& parameters) {
        return Formula(name, fields_of(rows, "rows"), fields_of(columns, "columns"),
                       {parameters.data(), parameters.data() + parameters.size()});
      }))
      .def_property_readonly(
          "shape", [](const Formula& f) { return py::make_tuple(f.rows().size, f.columns().size); })
      .def_property_readonly("is_complex", &Formula::is_complex)
      .def("pairs", &pairs_of)
      .def("blocks", &blocks_of)
      .def("interpolate", &interpolate_formula)
      .def("__reduce__", [](const py::object& self) {
        const auto& f = self.cast<const Formula&>();
        const py::array_t<double> parameters(static_cast<py::ssize_t>(f.parameters().size()),
                                             f.parameters().data());
        return py::make_tuple(
            py::type::of(self),
            py::make_tuple(f.name(), array_of(f.rows()), array_of(f.columns()), parameters));
      });
}

}  // namespace

/// Writes to rows and weights what is left of a factor without its identities, and whether those
/// are whole; see `split_identities`.
bool split_identities_of(const py::array& values, Index rank, PanelRows& rows, py::array& weights) {
  if (values.ndim() != 4 || !(values.flags() & py::array::c_style) || values.size() == 0)
    throw py::value_error("values must be C-contiguous with four axes, none of them empty");
  const DType dtype = dtype_of(values, "values");
  const Pattern p{values.shape(0), values.shape(1), values.shape(2), values.shape(3)};
  if (rank < 1 || rank > p.b || p.c % rank != 0 || p.b > 0xffff)
    throw py::value_error("rank must be at most b, which is below 65536, and divide c");
  const std::vector<Index> of_rows{p.a, p.d, p.c / rank, p.b};
  const std::vector<Index> of_weights{p.a, p.d, p.c / rank, p.b - rank, rank};
  const auto has_shape = [](const py::array& array, const std::vector<Index>& shape) {
    return array.ndim() == static_cast<py::ssize_t>(shape.size()) &&
           std::equal(shape.begin(), shape.end(), array.shape()) &&
           (array.flags() & py::array::c_style);
  };
  if (!has_shape(rows, of_rows) || !has_shape(weights, of_weights) ||
      dtype_of(weights, "weights") != dtype)
    throw py::value_error("rows and weights must be C-contiguous, of the shapes of their factor");
  std::uint16_t* const to_rows = rows.mutable_data();
  void* const to_weights = weights.mutable_data();
  const void* from = values.data();
  const WithoutLock released;
  return split_identities(dtype, p, rank, from, to_rows, to_weights);
}

/// Writes what is stored of interpolated blocks; see `write_panels`.
void write_panels_of(const Positions& pivots, const py::array& weights, const Positions& order,
                     py::array& rows, py::array& out) {
  if (pivots.ndim() != 2 || weights.ndim() != 3 || !(weights.flags() & py::array::c_style) ||
      rows.ndim() != 2 || out.ndim() != 3 || order.ndim() != 1)
    throw py::value_error("pivots, C-contiguous weights, order, rows, out: 2, 3, 1, 2, 3 axes");
  const Index count = weights.shape(0), size = weights.shape(1), rank = weights.shape(2);
  if (rank < 1 || rank > size || size > 0xffff || pivots.shape(0) != count ||
      pivots.shape(1) != rank || order.size() != size || rows.shape(0) != count ||
      rows.shape(1) != size || out.shape(0) != count || out.shape(1) != size - rank ||
      out.shape(2) != rank)
    throw py::value_error("pivots, weights, order, rows and out must have shapes that fit");
  if (!py::isinstance<py::array_t<std::uint16_t>>(rows))
    throw py::type_error("rows must be of dtype uint16");
  const Index element = rows.itemsize(), value = out.itemsize();
  if (rows.strides(1) != element || rows.strides(0) % element != 0 || out.strides(0) % value != 0 ||
      (out.size() > 0 && rank > 1 && out.strides(2) != value) ||
      (out.size() > 0 && out.shape(1) > 1 && out.strides(1) != value * rank))
    throw py::value_error("the lines of rows and out must be contiguous");
  // Of kernels that must not write elsewhere, whatever they are told.
  std::vector<char> seen(static_cast<std::size_t>(size));
  const Index* to = order.data();
  for (Index n = 0; n < size; ++n) {
    if (to[n] < 0 || to[n] >= size || seen[static_cast<std::size_t>(to[n])]++)
      throw py::value_error("order must be a permutation");
  }
  const Index* chosen = pivots.data();
  for (Index n = 0; n < count; ++n) {
    std::fill(seen.begin(), seen.end(), char(0));
    for (Index k = 0; k < rank; ++k, ++chosen)
      if (*chosen < 0 || *chosen >= size || seen[static_cast<std::size_t>(*chosen)]++)
        throw py::value_error("pivots must be distinct rows");
  }
  const DType kind = dtype_of(weights, "weights"), dtype = dtype_of(out, "out");
  if (weights.dtype().kind() == 'c' && out.dtype().kind() != 'c')
    throw py::value_error("out must be complex, as weights are");
  auto* const to_rows = static_cast<std::uint16_t*>(rows.mutable_data());
  void* const to_out = out.mutable_data();
  const void* from = weights.data();
  const Index rows_step = rows.strides(0) / element, out_step = out.strides(0) / value;
  const Index* pivot = pivots.data();
  const WithoutLock released;
  write_panels(kind, count, size, rank, pivot, from, to, dtype, to_rows, rows_step, to_out,
               out_step);
}

void register_compress(py::module_& module) {
  module.def("write_panels", &write_panels_of, py::arg("pivots"), py::arg("weights"),
             py::arg("order"), py::arg("rows").noconvert(), py::arg("out").noconvert());
  module.def("split_identities", &split_identities_of, py::arg("values"), py::arg("rank"),
             py::arg("rows").noconvert(), py::arg("weights").noconvert());
  register_formula(module);
  module.def("interpolate", &interpolate_blocks, py::arg("blocks"), py::arg("rank"),
             py::arg("scales") = py::none());
  module.def("evaluate", &evaluate_blocks);
  module.def("wave", &wave_of);
  module.def("product_entries", &product_entries_of, py::arg("factors"), py::arg("ranks"),
             py::arg("rows"), py::arg("columns"), py::arg("start") = py::none());
  module.def("product_rows", &product_rows_of);
}

}  // namespace papilio
