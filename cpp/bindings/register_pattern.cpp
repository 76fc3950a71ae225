#include "bindings.hpp"

namespace papilio {

void register_pattern(py::module_& module) {
  module.def("chain_failure", [](const PatternTuple& p, const PatternTuple& q) {
    return chain_failure(to_pattern(p), to_pattern(q));
  });
  module.def("chain_rank", [](const PatternTuple& p, const PatternTuple& q) {
    return chain_rank(to_pattern(p), to_pattern(q));
  });
  module.def("chain_product", [](const PatternTuple& p, const PatternTuple& q) {
    return to_tuple(chain_product(to_pattern(p), to_pattern(q)));
  });
  module.def("reduce_chain", [](const std::vector<PatternTuple>& chain) {
    std::vector<std::vector<std::size_t>> groups;
    for (const auto& [first, last] : reduce_chain(to_patterns(chain))) {
      groups.emplace_back();
      for (std::size_t s = first; s < last; ++s) groups.back().push_back(s);
    }
    return groups;
  });
}

}  // namespace papilio
