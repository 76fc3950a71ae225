#include "closedness.hpp"

namespace papilio {

namespace {

const char* name_of(ClosedStep::Rule rule) {
  switch (rule) {
    case ClosedStep::Rule::covered:
      return "covered";
    case ClosedStep::Rule::filled_rows:
      return "filled rows";
    case ClosedStep::Rule::filled_columns:
      return "filled columns";
    case ClosedStep::Rule::merged:
      return "merged";
    case ClosedStep::Rule::eliminated:
      return "eliminated";
    default:
      return "pair";
  }
}

const char* name_of(OpenWitness::Rule rule) {
  switch (rule) {
    case OpenWitness::Rule::triangular:
      return "triangular";
    case OpenWitness::Rule::tangent:
      return "tangent";
    default:
      return "pattern";
  }
}

py::list to_list(const std::vector<WitnessTerm>& terms) {
  py::list list;
  for (const WitnessTerm& t : terms)
    list.append(py::make_tuple(t.row, t.col, t.coefficient, t.power));
  return list;
}

py::tuple to_tuple(const OpenWitness& w) {
  return py::make_tuple(name_of(w.rule), w.first, w.second, w.rows, w.cols, w.by_columns, w.pins,
                        w.pin_rows, w.pin_cols, to_list(w.x), to_list(w.y), to_list(w.limit));
}

}  // namespace

py::tuple to_python(const Closedness& found) {
  py::object answer = py::none();
  if (found.answer != Closedness::Answer::unknown)
    answer = py::bool_(found.answer == Closedness::Answer::closed);
  py::list steps;
  for (const ClosedStep& step : found.steps)
    steps.append(py::make_tuple(name_of(step.rule), step.classes, step.rank, step.rows, step.cols));
  py::object witness = py::none();
  if (!found.found.empty()) witness = to_tuple(found.found.front());
  return py::make_tuple(answer, steps, witness, found.exhausted);
}

py::tuple to_python(const PeeledComponent& peeled) {
  py::list regions;
  for (const PeeledRegion& r : peeled.regions)
    regions.append(py::make_tuple(r.rank, r.row_types, r.col_types, r.owner, r.outer, r.inner));
  py::list order;
  for (const PeeledStep& step : peeled.order)
    order.append(py::make_tuple(name_of(step.rule), step.regions));
  return py::make_tuple(regions, order, peeled.left, peeled.disjoint, peeled.full);
}

}  // namespace papilio
