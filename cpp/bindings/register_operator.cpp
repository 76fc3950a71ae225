#include "operator.hpp"

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

}  // namespace

Operator::Operator(const std::vector<PatternTuple>& patterns, const std::vector<py::array>& values,
                   const py::object& row_permutation, const py::object& column_permutation)
    : arrays_(values), planner_(to_chain(patterns, row_permutation, column_permutation)) {
  set_dtypes(values.front().dtype(), values.front().dtype());
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

py::list Operator::tune(bool transpose, const BatchTuple& batch) {
  const BatchClass wanted = to_batch(batch);
  std::vector<Timing> timings;
  {
    const WithoutLock released;
    timings = planner_.tune(transpose, wanted);
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
  chain.dtype = dtype_of(arrays_.front(), "values");
  for (std::size_t s = 0; s < patterns.size(); ++s) {
    chain.factors.push_back(to_factor(chain.dtype, to_pattern(patterns[s]), arrays_[s]));
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
      .def(py::init<const std::vector<PatternTuple>&, const std::vector<py::array>&,
                    const py::object&, const py::object&>())
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
}

}  // namespace papilio
