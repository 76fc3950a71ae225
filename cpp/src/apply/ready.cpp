// What products have in common, worked out once.
#include "apply/program.hpp"
#include "apply/stage_kind.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

namespace {

/// The kernel that runs a stage, of real numbers where a complex stage is a real one.
kernels::StageKernel kernel_of(const Stage& stage, DType dtype) {
  if (stage.real) dtype = dtype == DType::complex64 ? DType::float32 : DType::float64;
  return descriptor(stage.kind).kernel(kernels::kernels_for(dtype));
}

/// Weights that no cache holds are read in runs of a few hundred bytes, of which the hardware alone
/// keeps too few under way. Vectors through 66 MB of complex64 blocks of 26 x 28 to 104 x 44 are
/// 1.15 times as fast with 512 bytes as with none, 1.4 times with 4 or 8 KiB, 1.35 times with 16
/// KiB. Through 12 MB, which an idle host has in L3, 4 KiB make 1.15 times; on a busy one 1.7.
constexpr Index bytes_ahead = 4096;

kernels::StageArguments arguments_of(const Stage& stage, double weight_bytes) {
  const Weights& w = stage.weights;
  const Pattern& p = w.pattern;
  kernels::StageArguments work{};
  work.b = p.b;
  work.c = p.c;
  work.d = p.d;
  work.weights = w.values;
  work.weight_i = w.i;
  work.weight_j = w.j;
  work.weight_k = w.k;
  work.weight_l = w.l;
  work.same_l = stage.same_l;
  work.i1 = p.a;
  work.l1 = p.d;
  work.in_row = work.out_row = 1;
  work.butterflies = stage.butterflies;
  work.transposed = stage.transposed;
  work.rank = w.identities.rank;
  work.rows = w.identities.rows;
  // Several vectors that share weights wait less for those from L3.
  const bool is_shared = stage.kind != Stage::Kind::blocks;
  const Index near = is_shared ? l3_bytes : l2_bytes();
  work.ahead = weight_bytes > static_cast<double>(near) ? bytes_ahead : 0;
  return work;
}

BufferRoute route_of(const Program& program, bool reads_input) {
  BufferRoute route{{}, false};
  unsigned char buffer = 0;
  for (std::size_t n = 0; n < program.stages.size(); ++n) {
    if (!program.stages[n].is_in_place() && !(n == 0 && reads_input)) {
      buffer = 1 - buffer;
      route.two_buffers = true;
    }
    route.target.push_back(buffer);
  }
  return route;
}

}  // namespace

void ready(Program& program) {
  for (Stage& stage : program.stages) {
    stage.arguments = arguments_of(stage, program.weight_bytes);
    stage.kernel = kernel_of(stage, program.dtype);
  }
  program.pitch = row_pitch(program);
  for (const bool reads_input : {false, true})
    program.routes[reads_input] = route_of(program, reads_input);
}

}  // namespace papilio
