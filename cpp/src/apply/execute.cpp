#include <algorithm>
#include <atomic>

#include "apply/work.hpp"

namespace papilio {

namespace {

constexpr Index usual_large_bytes = Index{6} << 20;
std::atomic<Index> chosen_large_bytes{usual_large_bytes};

}  // namespace

Index large_bytes() { return chosen_large_bytes.load(std::memory_order_relaxed); }

void set_large_bytes(Index bytes) {
  chosen_large_bytes.store(bytes > 0 ? bytes : usual_large_bytes);
}

Splits splits_of(const Plan& plan) {
  const Program& program = *plan.program;
  // What goes in split comes out split: the kernels have an order of lanes of their own for what
  // they interleave.
  const bool all =
      std::all_of(program.stages.begin(), program.stages.end(), [&](const Stage& stage) {
        return stage.kind == Stage::Kind::column_butterflies && !stage.real &&
               holds_complex(program.dtype);
      });
  return {all, all};
}

BatchClass classify(const Layout& layout) {
  Index vectors = 1;
  bool columns_in = false, columns_out = false;
  for (const BatchAxis& axis : layout.batch) {
    vectors *= axis.size;
    columns_in |= axis.in_stride == 1 && axis.size > 1;
    columns_out |= axis.out_stride == 1 && axis.size > 1;
  }
  Index rounded = vectors;
  if (vectors > 16)
    for (rounded = 16; 2 * rounded <= vectors;) rounded *= 2;
  const auto contiguous = [](bool columns, Index stride) {
    return columns ? Contiguous::columns : stride == 1 ? Contiguous::rows : Contiguous::neither;
  };
  return {rounded, contiguous(columns_in, layout.in_stride),
          contiguous(columns_out, layout.out_stride)};
}

void execute(const Plan& plan, const Layout& layout, bool conjugate, const void* in, void* out) {
  for (const BatchAxis& axis : layout.batch)
    if (axis.size == 0) return;
  const Program& program = *plan.program;
  std::vector<BatchAxis> batch;
  BatchAxis inner{1, 0, 0};
  if (!layout.batch.empty()) {
    batch = coalesce(layout.batch);
    // Lanes along the batch need its smallest strides; vectors that share weights, a long axis.
    const auto inner_axis = program.lanes == Lanes::columns
                                ? batch.end() - 1
                                : std::max_element(batch.begin(), batch.end(),
                                                   [](const BatchAxis& x, const BatchAxis& y) {
                                                     return x.size < y.size;
                                                   });
    inner = *inner_axis;
    batch.erase(inner_axis);
  }
  const Work work{plan,
                  program,
                  kernels::kernels_for(program.dtype),
                  static_cast<Index>(size_of(program.dtype)),
                  conjugate && holds_complex(program.dtype),
                  layout.in_split,
                  layout.out_split,
                  layout.in_stride,
                  layout.out_stride,
                  std::move(batch),
                  inner,
                  static_cast<const char*>(in),
                  static_cast<char*>(out)};
  if (program.lanes == Lanes::columns)
    run_columns(work);
  else
    run_rows(work);
}

}  // namespace papilio
