#include "bindings.hpp"
#include "papilio/pairing.hpp"

namespace papilio {

namespace {

using Costs = py::array_t<double, py::array::c_style>;
using Halves = py::array_t<std::int64_t, py::array::c_style>;

RowClasses to_classes(const py::array& values) {
  const DType dtype = dtype_of(values, "values");
  if (dtype != DType::float64 && dtype != DType::complex128)
    throw py::type_error("values must be float64 or complex128");
  if (values.ndim() != 3 || values.shape(1) != values.shape(2) || values.shape(1) < 1 ||
      !(values.flags() & py::array::c_style))
    throw py::value_error("values must be C-contiguous chunks of square matrices");
  return {dtype, values.data(), values.shape(0), values.shape(1)};
}

Costs square(Index size) { return Costs(std::vector<py::ssize_t>{size, size}); }

Costs blind_costs(const py::array& values) {
  const RowClasses classes = to_classes(values);
  Costs costs = square(classes.size);
  double* const to = costs.mutable_data();
  {
    const WithoutLock released;
    blind_pair_costs(classes, to);
  }
  return costs;
}

Costs costs_of_halves(const py::array& values, const Halves& halves) {
  const RowClasses classes = to_classes(values);
  if (classes.size % 2 != 0 || halves.ndim() != 2 || halves.shape(0) != classes.chunks ||
      halves.shape(1) != classes.size)
    throw py::value_error("halves must have a row for each chunk, of all its columns");
  const std::vector<Index> columns(halves.data(), halves.data() + halves.size());
  for (Index column : columns)
    if (column < 0 || column >= classes.size) throw py::value_error("halves has no such column");
  Costs costs = square(classes.size);
  double* const to = costs.mutable_data();
  {
    const WithoutLock released;
    pair_costs(classes, columns.data(), to);
  }
  return costs;
}

py::array_t<std::int64_t> bisect(const py::array& values, const Halves& pairs,
                                 double normalization) {
  const RowClasses classes = to_classes(values);
  if (classes.size % 2 != 0 || pairs.ndim() != 2 || pairs.shape(0) < 1 || pairs.shape(1) != 2)
    throw py::value_error("pairs must have two columns");
  const std::vector<Index> rows(pairs.data(), pairs.data() + pairs.size());
  for (Index row : rows)
    if (row < 0 || row >= classes.size) throw py::value_error("pairs has no such row");
  py::array_t<std::int64_t> halves(std::vector<py::ssize_t>{classes.chunks, classes.size});
  Index* const to = halves.mutable_data();
  {
    const WithoutLock released;
    bisect_columns(classes, rows.data(), static_cast<Index>(rows.size()) / 2, normalization, to);
  }
  return halves;
}

py::array_t<std::int64_t> match(const Costs& costs) {
  if (costs.ndim() != 2 || costs.shape(0) != costs.shape(1) || costs.shape(0) % 2 != 0)
    throw py::value_error("costs must be a square matrix of even size");
  const Index size = costs.shape(0);
  const double* const from = costs.data();
  std::vector<Index> pairs;
  {
    const WithoutLock released;
    pairs = match_pairs(from, size);
  }
  py::array_t<std::int64_t> result(std::vector<py::ssize_t>{size / 2, 2});
  std::copy(pairs.begin(), pairs.end(), result.mutable_data());
  return result;
}

}  // namespace

void register_pairing(py::module_& module) {
  module.def("blind_pair_costs", &blind_costs);
  module.def("pair_costs", &costs_of_halves);
  module.def("bisect_columns", &bisect);
  module.def("match_pairs", &match);
}

}  // namespace papilio
