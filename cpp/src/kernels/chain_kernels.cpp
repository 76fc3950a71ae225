// The kernels of chains of supports, compiled once per instruction set as the others are; the
// object exports its table and nothing else and includes C headers only.
#include "kernels/chain_kernels.hpp"

#include "kernels/lane_sums.hpp"

namespace papilio {
namespace kernels {
namespace {

typedef batch<double> V;

// SIMD vectors of a line that are in registers together; a line takes one or more such rounds.
constexpr int vectors = chain_lanes / V::lanes;
constexpr int width = vectors < 4 ? vectors : 4;
static_assert(chain_lanes % (V::lanes * width) == 0, "a line is a number of rounds");

PAPILIO_INLINE int64_t place_of(const ChainSets& sets, int64_t n) {
  return sets.places ? sets.places[n] : n;
}

/// A round of lines: real parts, or real and imaginary ones.
template <bool complex>
struct Lines {
  static constexpr int parts = complex ? 2 : 1;
  static constexpr int pitch = parts * chain_lanes;  // from a line to the next
  V re[width], im[complex ? width : 1];

  PAPILIO_INLINE void clear() {
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      re[n] = V{};
      if (complex) im[n] = V{};
    }
  }
  PAPILIO_INLINE void load(const double* line) {
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      re[n] = V::load(line + n * V::lanes);
      if (complex) im[n] = V::load(line + chain_lanes + n * V::lanes);
    }
  }
  PAPILIO_INLINE void store(double* line) const {
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      re[n].store(line + n * V::lanes);
      if (complex) im[n].store(line + chain_lanes + n * V::lanes);
    }
  }
  /// += (a + ib) x
  PAPILIO_INLINE void add(V a, V b, const Lines& x) {
    PAPILIO_UNROLL
    for (int n = 0; n < width; ++n) {
      re[n] = multiply_add(a, x.re[n], re[n]);
      if (complex) {
        re[n] = subtract_product(re[n], b, x.im[n]);
        im[n] = multiply_add(b, x.re[n], multiply_add(a, x.im[n], im[n]));
      }
    }
  }
};

/// A value's real and imaginary part in all lanes, the latter times `sign`.
template <bool complex>
struct Value {
  V re, im;
  PAPILIO_INLINE Value(const ChainSets& sets, int64_t k, double sign) {
    const double* values = static_cast<const double*>(sets.values);
    re = V::broadcast(values[complex ? 2 * k : k]);
    im = complex ? V::broadcast(sign * values[2 * k + 1]) : V{};
  }
};

template <bool complex>
void gather(const ChainSets& sets, bool conjugate, const double* in, double* out) {
  typedef Lines<complex> L;
  const double sign = conjugate ? -1 : 1;
  for (int64_t n = 0; n < sets.count; ++n) {
    const int64_t p = place_of(sets, n);
    for (int lane = 0; lane < chain_lanes; lane += width * V::lanes) {
      L sum, x;
      sum.clear();
      for (int64_t k = sets.start[p]; k < sets.start[p + 1]; ++k) {
        const Value<complex> value(sets, k, sign);
        x.load(in + sets.index[k] * static_cast<int64_t>(L::pitch) + lane);
        sum.add(value.re, value.im, x);
      }
      sum.store(out + p * L::pitch + lane);
    }
  }
}

template <bool complex>
void spread(const ChainSets& sets, const double* in, double* out) {
  typedef Lines<complex> L;
  for (int64_t n = 0; n < sets.count; ++n) {
    const int64_t p = place_of(sets, n);
    for (int lane = 0; lane < chain_lanes; lane += width * V::lanes) {
      L x, sum;
      x.load(in + p * L::pitch + lane);
      for (int64_t k = sets.start[p]; k < sets.start[p + 1]; ++k) {
        const Value<complex> value(sets, k, 1);
        double* to = out + sets.index[k] * static_cast<int64_t>(L::pitch) + lane;
        sum.load(to);
        sum.add(value.re, value.im, x);
        sum.store(to);
      }
    }
  }
}

/// conj(x) y, not yet summed over the lanes.
template <bool complex>
PAPILIO_INLINE void product(const Lines<complex>& x, const Lines<complex>& y, V& re, V& im) {
  PAPILIO_UNROLL
  for (int n = 0; n < width; ++n) {
    re = multiply_add(x.re[n], y.re[n], re);
    if (complex) {
      re = multiply_add(x.im[n], y.im[n], re);
      im = subtract_product(multiply_add(x.re[n], y.im[n], im), x.im[n], y.re[n]);
    }
  }
}

template <bool complex>
PAPILIO_INLINE void add_samples(double* out, int64_t first, int count, V re, V im) {
  for (int n = 0; n < count; ++n) {
    double* to = out + (complex ? 2 : 1) * (first + n);
    to[0] += re.v[n];
    if (complex) to[1] += im.v[n];
  }
}

/// One entry's products for each lane of a vector.
template <bool complex>
void sample(const ChainSets& sets, const double* at_place, const double* at_index, void* sums) {
  typedef Lines<complex> L;
  double* out = static_cast<double*>(sums);
  for (int64_t n = 0; n < sets.count; ++n) {
    const int64_t p = place_of(sets, n);
    for (int lane = 0; lane < chain_lanes; lane += width * V::lanes) {
      L x, y;
      x.load(at_place + p * L::pitch + lane);
      int64_t k = sets.start[p];
      const int64_t end = sets.start[p + 1];
      while (k < end) {
        V re[V::lanes] = {}, im[V::lanes] = {};
        const int count = end - k < V::lanes ? static_cast<int>(end - k) : V::lanes;
        const int32_t* index = sets.index + k;
        PAPILIO_UNROLL
        for (int e = 0; e < V::lanes; ++e) {
          if (e >= count) break;
          y.load(at_index + index[e] * static_cast<int64_t>(L::pitch) + lane);
          product<complex>(x, y, re[e], im[e]);
        }
        const V re_sums = LaneSums<V>::of(re);
        const V im_sums = complex ? LaneSums<V>::of(im) : V{};
        if (!complex && count == V::lanes)
          (V::load(out + k) + re_sums).store(out + k);
        else
          add_samples<complex>(out, k, count, re_sums, im_sums);
        k += count;
      }
    }
  }
}

constexpr ChainTable table = {
    {{gather<false>, spread<false>, sample<false>}, {gather<true>, spread<true>, sample<true>}}};

}  // namespace

const ChainTable& PAPILIO_JOIN(chain_table_, PAPILIO_ISA_NAME)();
const ChainTable& PAPILIO_JOIN(chain_table_, PAPILIO_ISA_NAME)() { return table; }

}  // namespace kernels
}  // namespace papilio
