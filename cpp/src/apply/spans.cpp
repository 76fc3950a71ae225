// Which stages run part by part, so that a part stays in a cache from stage to stage.
#include <iterator>
#include <numeric>

#include "apply/program.hpp"

namespace papilio {

namespace {

/// The spans of the stages [first, end), which all work on a multiple of `outer` parts, for caches
/// of so many bytes, the nearest one last.
std::vector<Span> divide_stages(const Program& program, Index row_bytes, std::size_t first,
                                std::size_t end, Index outer, const Index* cache,
                                const Index* caches_end) {
  std::vector<Span> spans;
  // What fits a cache needn't be divided for it.
  const Index bytes = program.widest / outer * row_bytes;
  while (cache != caches_end && bytes <= *cache) ++cache;
  const auto& stages = program.stages;
  while (first < end) {
    Span span{first, first + 1, outer, {}};
    Index parts = stages[first].units;
    for (std::size_t n = first; n < end && cache != caches_end && stages[n].in_registers; ++n) {
      parts = std::gcd(parts, stages[n].units);
      if (parts == 1 || stages[first].pattern().rows() / parts * row_bytes > *cache) break;
      // A permutation may lead from one part to another.
      if (n > first && n + 1 == stages.size() && !program.scatter.empty()) break;
      if (n > first) span.parts = parts;
      span.last = n + 1;
    }
    if (span.last > first + 1 && cache != caches_end && cache + 1 != caches_end) {
      span.inner =
          divide_stages(program, row_bytes, first, span.last, span.parts, cache + 1, caches_end);
      if (span.inner.size() == 1) span = span.inner.front();
    }
    first = span.last;
    spans.push_back(std::move(span));
  }
  return spans;
}

}  // namespace

std::vector<Span> spans_of(const Program& program, Index row_bytes) {
  const Index caches[] = {l2_bytes() / 2, 24 << 10};
  return divide_stages(program, row_bytes, 0, program.stages.size(), 1, std::begin(caches),
                       std::end(caches));
}

}  // namespace papilio
