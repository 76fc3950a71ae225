// Certificates of the closedness of a set of products, as Python sees them.
#pragma once

#include "bindings.hpp"
#include "papilio/closedness.hpp"

namespace papilio {

/// (answer, steps, witness or None, exhausted): answer None, True or False, as tuples of plain
/// values.
py::tuple to_python(const Closedness& found);

/// (regions, order, left, disjoint, full); a region is (rank, row types, column types, owner,
/// outer, inner), a step of the order (rule, regions).
py::tuple to_python(const PeeledComponent& peeled);

}  // namespace papilio
