// The kernels of chains of supports: lines of numbers, one for each row of a panel, through a
// sparse factor and back. Plain structs only, as in kernels.hpp.
#pragma once

#include <stdint.h>

namespace papilio {
namespace kernels {

/// Rows that go through the factors together: the numbers of a line. Complex lines are split: all
/// real parts, then all imaginary ones.
constexpr int chain_lanes = 16;

/// Index sets, one for each place, with a value for each index: a sparse factor seen from its rows
/// or its columns. Only `count` places take part: those of `places`, or the first ones if null.
struct ChainSets {
  const int64_t* start;
  const int32_t* index;
  const void* values;  // real or complex; null where they aren't read
  const int32_t* places;
  int64_t count;
};

/// For all places p, the sums over the indices i of p, in order:
///   gather: out[p] = sum value * in[i], or with the values conjugated.
typedef void (*ChainGather)(const ChainSets& sets, bool conjugate, const double* in, double* out);
///   spread: out[i] += value * in[p].
typedef void (*ChainSpread)(const ChainSets& sets, const double* in, double* out);
///   sample: out[k] += sum over the lanes of conj(at_place[p]) at_index[i], k being the number of
///   the index.
typedef void (*ChainSample)(const ChainSets& sets, const double* at_place, const double* at_index,
                            void* out);

struct ChainKernels {
  ChainGather gather;
  ChainSpread spread;
  ChainSample sample;
};

/// Of one instruction set; real chains first, then complex ones.
struct ChainTable {
  ChainKernels kernels[2];
};

}  // namespace kernels
}  // namespace papilio
