#include <algorithm>
#include <cstdlib>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "apply/workspace.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/apply.hpp"
#include "papilio/threads.hpp"

namespace papilio {

namespace {

using kernels::CopyArguments;
using kernels::Kernels;
using kernels::StageArguments;

/// Half of the L2 cache; the other half is left to weights and to what streams through.
Index tile_bytes() {
  static const Index bytes = [] {
    long cache = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return cache > 0 ? std::clamp(Index{cache} / 2, Index{128} << 10, Index{1} << 20)
                     : Index{256} << 10;
  }();
  return bytes;
}

thread_local Workspace workspace;

StageArguments arguments(const Stage& stage, const void* in, void* out, Index width) {
  const Pattern& p = stage.pattern;
  return {p.b,
          p.c,
          p.d,
          stage.weights,
          stage.weight_i,
          stage.weight_j,
          stage.weight_k,
          stage.weight_l,
          stage.conjugate,
          in,
          out,
          0,
          p.a,
          0,
          p.d,
          width,
          width,
          width};
}

const Index* index_or_null(const std::vector<Index>& index) {
  return index.empty() ? nullptr : index.data();
}

/// The batch with as few axes as possible, the innermost (smallest strides) last; at least one.
std::vector<BatchAxis> coalesce(std::vector<BatchAxis> axes) {
  axes.erase(std::remove_if(axes.begin(), axes.end(),
                            [](const BatchAxis& axis) { return axis.size == 1; }),
             axes.end());
  std::sort(axes.begin(), axes.end(), [](const BatchAxis& x, const BatchAxis& y) {
    return std::abs(x.in_stride) + std::abs(x.out_stride) >
           std::abs(y.in_stride) + std::abs(y.out_stride);
  });
  std::vector<BatchAxis> merged;
  for (const BatchAxis& axis : axes) {
    if (!merged.empty() && merged.back().in_stride == axis.size * axis.in_stride &&
        merged.back().out_stride == axis.size * axis.out_stride)
      merged.back() = {merged.back().size * axis.size, axis.in_stride, axis.out_stride};
    else
      merged.push_back(axis);
  }
  if (merged.empty()) merged.push_back({1, 1, 1});
  return merged;
}

/// A product under way: the plan, its kernels and the data, with strides in bytes.
struct Product {
  const Plan& plan;
  const Kernels& kernels;
  Index element;
  Index in_stride, out_stride;
  std::vector<BatchAxis> outer;  // all batch axes but the innermost
  BatchAxis inner;
  const char* in;
  char* out;

  Index outer_size() const {
    Index size = 1;
    for (const BatchAxis& axis : outer) size *= axis.size;
    return size;
  }

  /// The first element of vector `column` of the inner axis at position `position` of the outer
  /// axes, in the input and in the output.
  std::pair<const char*, char*> at(Index position, Index column) const {
    Index in_offset = column * inner.in_stride, out_offset = column * inner.out_stride;
    for (auto axis = outer.rbegin(); axis != outer.rend(); ++axis) {
      in_offset += position % axis->size * axis->in_stride;
      out_offset += position % axis->size * axis->out_stride;
      position /= axis->size;
    }
    return {in + in_offset * element, out + out_offset * element};
  }

  void pack(const char* from, Index columns, Index width, char* tile) const {
    kernels.pack(
        {plan.input_rows, columns, in_stride, inner.in_stride, index_or_null(plan.gather), width},
        from, tile);
  }
  void unpack(const char* tile, Index columns, Index width, char* to) const {
    kernels.unpack({plan.output_rows, columns, out_stride, inner.out_stride,
                    index_or_null(plan.scatter), width},
                   tile, to);
  }
};

/// Batches: tiles of columns go through all stages while they stay in cache; vectors run along
/// the batch. The arithmetic of a column doesn't depend on its tile.
void run_tiles(const Product& product) {
  const Plan& plan = product.plan;
  const Index lanes = product.kernels.lanes;
  const Index columns = product.inner.size;
  const Index column_bytes = plan.widest * product.element;
  const Index fitting =
      std::clamp(tile_bytes() / column_bytes / lanes, Index{1}, Index{16}) * lanes;
  const Index width = std::min(fitting, (columns + lanes - 1) / lanes * lanes);
  const Index tiles = (columns + width - 1) / width;
  const Index tasks = product.outer_size() * tiles;
  const int threads = threads_for(tasks, plan.work * static_cast<double>(columns) *
                                             static_cast<double>(product.outer_size()) / 16);
  const std::size_t buffer = static_cast<std::size_t>(column_bytes * width);
  parallel(threads, [&](int thread, int team) {
    char* here = static_cast<char*>(workspace.reserve(2 * buffer));
    char* there = here + buffer;
    const Index first = tasks * thread / team, last = tasks * (thread + 1) / team;
    for (Index task = first; task < last; ++task) {
      const Index column = task % tiles * width;
      const Index count = std::min(width, columns - column);
      const auto [from, to] = product.at(task / tiles, column);
      // The first stage reads the input and the last one writes the output where a tile's rows
      // lie there as in a tile, but for the distance between them.
      const bool whole = count == width;
      const bool read = whole && product.inner.in_stride == 1 && plan.gather.empty();
      const bool write = whole && product.inner.out_stride == 1 && plan.scatter.empty();
      const char* source = read ? from : here;
      Index source_row = read ? product.in_stride : width;
      if (!read) product.pack(from, count, width, here);
      for (const Stage& stage : plan.stages) {
        const bool last_stage = &stage == &plan.stages.back();
        const bool in_place =
            source == here && kernels::works_in_place(stage.pattern.b, stage.pattern.c);
        if (source == here && !in_place) std::swap(here, there);
        char* target = last_stage && write ? to : here;
        const Index target_row = last_stage && write ? product.out_stride : width;
        StageArguments work = arguments(stage, source, target, width);
        work.in_row = source_row;
        work.out_row = target_row;
        product.kernels.batch_axis(work);
        source = target;
        source_row = target_row;
      }
      if (!write) product.unpack(source, count, width, to);
    }
    workspace.trim();
  });
}

/// The share of a stage that falls to one of `threads` threads: blocks i where there are enough
/// of them, else ranges of l that start at whole vectors.
StageArguments share(StageArguments stage, const Pattern& pattern, Index lanes, int thread,
                     int threads) {
  if (pattern.a >= threads) {
    stage.i0 = pattern.a * thread / threads;
    stage.i1 = pattern.a * (thread + 1) / threads;
  } else {
    const Index vectors = (pattern.d + lanes - 1) / lanes;
    stage.l0 = std::min(vectors * thread / threads * lanes, pattern.d);
    stage.l1 = std::min(vectors * (thread + 1) / threads * lanes, pattern.d);
  }
  return stage;
}

/// This thread's share of the stages that stay within SIMD vectors.
void run_within(const Product& product, const VectorStep& step, const char* source, char* target,
                int thread, int threads) {
  constexpr std::size_t most = 8;  // stages at a time; more than log2 of any vector's lanes
  kernels::WithinStage stages[most];
  const Index vectors = step.rows / product.kernels.lanes;
  for (std::size_t first = 0; first < step.within.size(); first += most) {
    const std::size_t count = std::min(most, step.within.size() - first);
    for (std::size_t s = 0; s < count; ++s) {
      const WithinStage& stage = step.within[first + s];
      stages[s] = {stage.c, stage.d, stage.weights.data(), stage.vector_step, stage.conjugate};
    }
    product.kernels.within({stages, static_cast<Index>(count), first == 0 ? source : target, target,
                            vectors * thread / threads, vectors * (thread + 1) / threads});
  }
}

/// One vector through all stages by `threads` threads, of which this is one; vectors run along l.
/// The first stage reads the input and the last one writes the output where those are contiguous
/// and in order; else they are copied to and from the buffers.
void run_vector(const Product& product, const char* from, char* to, char* here, char* there,
                int thread, int threads) {
  const Plan& plan = product.plan;
  const bool in_place = product.in_stride == 1 && plan.gather.empty();
  const bool out_place = product.out_stride == 1 && plan.scatter.empty();
  const char* source = from;
  if (!in_place) {
    if (thread == 0) product.pack(from, 1, 1, here);
    if (threads > 1) barrier();
    source = here;
  }
  for (const VectorStep& step : plan.vector_steps) {
    const bool last = &step == &plan.vector_steps.back();
    char* target = last && out_place ? to : there;
    if (step.stage < 0) {
      run_within(product, step, source, target, thread, threads);
    } else {
      const Stage& stage = plan.vector_stages[static_cast<std::size_t>(step.stage)];
      const StageArguments whole = arguments(stage, source, target, 1);
      product.kernels.l_axis(
          threads > 1 ? share(whole, stage.pattern, product.kernels.lanes, thread, threads)
                      : whole);
    }
    if (threads > 1) barrier();
    source = target;
    std::swap(here, there);
  }
  if (!out_place && thread == 0) product.unpack(source, 1, 1, to);
  if (threads > 1) barrier();
}

void run_vectors(const Product& product) {
  const Plan& plan = product.plan;
  const Index outer = product.outer_size(), inner = product.inner.size, vectors = outer * inner;
  const std::size_t buffer =
      (static_cast<std::size_t>(plan.widest * product.element) + 63) / 64 * 64;
  const int threads = threads_for(vectors, plan.work * static_cast<double>(vectors) / 8);
  if (vectors == 1 || threads < num_threads()) {
    // Few vectors: all threads share each. The caller's buffers serve them all. Every stage ends
    // at a barrier, so that it is a single stage that must be worth it.
    const int sharing =
        threads_for(plan.widest, plan.work / (2.0 * static_cast<double>(plan.stages.size())));
    char* here = static_cast<char*>(workspace.reserve(2 * buffer));
    parallel(sharing, [&](int thread, int team) {
      for (Index n = 0; n < vectors; ++n) {
        const auto [from, to] = product.at(n / inner, n % inner);
        run_vector(product, from, to, here, here + buffer, thread, team);
      }
    });
    workspace.trim();
    return;
  }
  parallel(threads, [&](int thread, int team) {
    char* here = static_cast<char*>(workspace.reserve(2 * buffer));
    const Index last = vectors * (thread + 1) / team;
    for (Index n = vectors * thread / team; n < last; ++n) {
      const auto [from, to] = product.at(n / inner, n % inner);
      run_vector(product, from, to, here, here + buffer, 0, 1);
    }
    workspace.trim();
  });
}

}  // namespace

void execute(const Plan& plan, const Layout& layout, const void* in, void* out) {
  for (const BatchAxis& axis : layout.batch)
    if (axis.size == 0) return;
  std::vector<BatchAxis> batch = coalesce(layout.batch);
  const BatchAxis inner = batch.back();
  batch.pop_back();
  const Kernels& kernels = kernels::kernels_for(plan.dtype);
  const Product product{plan,
                        kernels,
                        static_cast<Index>(size_of(plan.dtype)),
                        layout.in_stride,
                        layout.out_stride,
                        std::move(batch),
                        inner,
                        static_cast<const char*>(in),
                        static_cast<char*>(out)};
  // A tile narrower than half a vector would waste most of the arithmetic.
  if (inner.size > 1 && 2 * inner.size >= kernels.lanes)
    run_tiles(product);
  else
    run_vectors(product);
}

}  // namespace papilio
