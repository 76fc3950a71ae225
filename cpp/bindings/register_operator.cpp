#include "operator.hpp"

#include <algorithm>
#include <cstdint>

#include "papilio/compress.hpp"

namespace papilio {

namespace {

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

/// A factor whose values lie as [i][l][j][k] in memory.
Factor to_factor_by_blocks(DType dtype, const Pattern& p, const py::array& blocks) {
  if (dtype_of(blocks, "values") != dtype) throw py::type_error("all values must have one dtype");
  Factor factor{p, blocks.data(), blocks.shape(0) < p.a, 1, true};
  if ((blocks.shape(0) != p.a && blocks.shape(0) != 1) || blocks.shape(1) != p.d ||
      blocks.shape(2) != p.b || blocks.shape(3) != p.c || !reads_blocks(factor))
    throw py::value_error("values by blocks must be untied along d, and large: see reads_blocks");
  return factor;
}

/// A factor with identities, of their rows and the weights of the others.
Factor to_interpolative_factor(DType dtype, const Pattern& p, const py::array& given,
                               const py::array& weights) {
  typedef py::array_t<std::uint16_t, py::array::c_style> Rows;
  if (dtype_of(weights, "values") != dtype) throw py::type_error("all values must have one dtype");
  if (!py::isinstance<Rows>(given) || given.ndim() != 4 || weights.ndim() != 5 ||
      !(weights.flags() & py::array::c_style))
    throw py::value_error("rows must be C-contiguous uint16 with four axes, weights with five");
  const auto rows = given.cast<Rows>();
  const Index rank = weights.shape(4), panels = rows.shape(2);
  const bool fits = rank > 0 && rank <= p.b && std::max(p.b, p.c) <= most_interpolative_rows() &&
                    panels * rank == p.c && rows.shape(0) == p.a && rows.shape(1) == p.d &&
                    rows.shape(3) == p.b && weights.shape(0) == p.a && weights.shape(1) == p.d &&
                    weights.shape(2) == panels && weights.shape(3) == p.b - rank &&
                    reads_blocks({p, nullptr, false, 1});
  if (!fits)
    throw py::value_error(
        "rows and weights don't have the shapes of their pattern, or it isn't of large blocks");
  if (!are_permutations(p.a * p.d * panels, p.b, rows.data()))
    throw py::value_error("rows must be permutations of those of a block");
  return {p, weights.data(), false, 1, false, {rank, rows.data()}};
}

Factor to_stored_factor(DType dtype, const Pattern& pattern, const py::handle& stored) {
  if (py::isinstance<py::tuple>(stored)) {
    const auto [rows, weights] = stored.cast<std::tuple<py::object, py::object>>();
    return to_interpolative_factor(dtype, pattern, array_in(rows, "values"),
                                   array_in(weights, "values"));
  }
  const auto values = array_in(stored, "values");
  if (values.ndim() == 4 && !(values.flags() & py::array::c_style)) {
    const py::array blocks = values.attr("transpose")(0, 3, 1, 2);
    if (blocks.flags() & py::array::c_style) return to_factor_by_blocks(dtype, pattern, blocks);
  }
  return to_factor(dtype, pattern, values);
}

py::array values_of(const py::handle& stored) {
  if (py::isinstance<py::tuple>(stored))
    return array_in(std::get<1>(stored.cast<std::tuple<py::object, py::object>>()), "values");
  return array_in(stored, "values");
}

}  // namespace

Operator::Operator(const std::vector<PatternTuple>& patterns, const py::tuple& values,
                   const py::object& row_permutation, const py::object& column_permutation)
    : arrays_(values), planner_(to_chain(patterns, row_permutation, column_permutation)) {
  const py::dtype dtype = values_of(values[0]).dtype();
  set_dtypes(dtype, dtype);
}

void Operator::run(const Layout& layout, Side side, const void* in, void* out) {
  const BatchClass batch = classify(layout);
  if (const Plan* plan = batch.is_vector() ? planner_.vector_plan(side.transposed) : nullptr)
    return released(plan->predicted,
                    [&] { papilio::execute(*plan, layout, side.conjugated, in, out); });
  // Kept: another thread may force another plan meanwhile.
  const std::shared_ptr<const Plan> plan = planner_.known_plan(side.transposed, batch);
  if (plan)
    return released(plan->predicted,
                    [&] { papilio::execute(*plan, layout, side.conjugated, in, out); });
  const WithoutLock while_planning;
  execute(layout, side, in, out);
}

void Operator::execute(const Layout& layout, Side side, const void* in, void* out) {
  papilio::execute(*planner_.plan(side.transposed, classify(layout)), layout, side.conjugated, in,
                   out);
}

py::tuple Operator::plan(bool transpose, const BatchTuple& batch) {
  const BatchClass wanted = to_batch(batch);
  std::shared_ptr<const Plan> plan;
  std::string words;
  {
    const WithoutLock released;
    plan = planner_.plan(transpose, wanted);
    words = planner_.describe(transpose, wanted);
  }
  return py::make_tuple(words, to_tuple(plan->choice), plan->predicted);
}

py::list Operator::tune(bool transpose, const BatchTuple& batch, const py::object& progress) {
  const BatchClass wanted = to_batch(batch);
  const Progress tell = to_progress(progress);
  std::vector<Timing> timings;
  {
    const WithoutLock released;
    timings = planner_.tune(transpose, wanted, tell);
  }
  py::list rows;
  for (const Timing& timing : timings)
    rows.append(py::make_tuple(to_tuple(timing.choice), timing.predicted, timing.measured));
  return rows;
}

void Operator::force(bool transpose, const BatchTuple& batch, const ChoiceTuple& choice) {
  const auto& [lanes, radix, tile] = choice;
  if (lanes != "columns" && lanes != "rows")
    throw py::value_error("lanes is '" + lanes + "', expected 'columns' or 'rows'");
  if (radix < 1 || tile < 1) throw py::value_error("radix and tile must be positive");
  const BatchClass wanted = to_batch(batch);
  const Choice forced{lanes == "columns" ? Lanes::columns : Lanes::rows, radix, tile};
  const WithoutLock released;
  planner_.force(transpose, wanted, forced);
}

Chain Operator::to_chain(const std::vector<PatternTuple>& patterns,
                         const py::object& row_permutation, const py::object& column_permutation) {
  if (patterns.empty() || patterns.size() != arrays_.size())
    throw py::value_error("expected as many arrays of values as patterns, and at least one");
  Chain chain{};
  chain.dtype = dtype_of(values_of(arrays_[0]), "values");
  for (std::size_t s = 0; s < patterns.size(); ++s) {
    chain.factors.push_back(to_stored_factor(chain.dtype, to_pattern(patterns[s]), arrays_[s]));
    if (s > 0 && chain.factors[s - 1].pattern.cols() != chain.factors[s].pattern.rows())
      throw py::value_error("factors " + std::to_string(s - 1) + " and " + std::to_string(s) +
                            " don't fit: columns and rows differ");
  }
  chain.row_permutation = to_permutation(row_permutation, chain.rows(), "row_permutation");
  chain.column_permutation = to_permutation(column_permutation, chain.cols(), "column_permutation");
  return chain;
}

void register_operator(py::module_& module) {
  py::class_<Operator>(module, "Operator")
      .def(py::init<const std::vector<PatternTuple>&, const py::tuple&, const py::object&,
                    const py::object&>())
      .def("multiplier",
           [](const py::object& self, Side side, bool rows) {
             return Product::multiplier(self, self.cast<Operator*>(), side, rows);
           })
      .def("writer", [](const py::object& self,
                        Side side) { return Product::writer(self, self.cast<Operator*>(), side); })
      .def("apply", &Operator::apply)
      .def("plan", &Operator::plan)
      .def("tune", &Operator::tune)
      .def("force", &Operator::force);
  module.def("are_permutations", [](const py::array_t<std::uint16_t, py::array::c_style>& rows) {
    if (rows.ndim() != 4) throw py::value_error("rows must have four axes");
    const Index size = rows.shape(3), count = rows.shape(0) * rows.shape(1) * rows.shape(2);
    const WithoutLock released;
    return are_permutations(count, size, rows.data());
  });
  module.def("reads_blocks", [](const PatternTuple& pattern) {
    return reads_blocks({to_pattern(pattern), nullptr, false, 1});
  });
  module.attr("most_interpolative_rows") = most_interpolative_rows();
}

}  // namespace papilio
