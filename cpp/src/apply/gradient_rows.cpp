// Gradients with SIMD lanes along each vector: along l where d is a multiple of the lanes, else
// along i. The two orders of a vector are exchanged where neighbouring factors differ.
#include <array>
#include <complex>

#include "apply/gradient_way.hpp"

namespace papilio {

namespace {

// Numbers among packed ones: of complex ones the imaginary part is so many scalars further.
template <class T>
void set_number(char* packed, Index at, Index, T number) {
  reinterpret_cast<T*>(packed)[at] = number;
}
template <class T>
void set_number(char* packed, Index at, Index imaginary, std::complex<T> number) {
  reinterpret_cast<T*>(packed)[at] = number.real();
  reinterpret_cast<T*>(packed)[at + imaginary] = number.imag();
}
template <class T>
void get_number(const char* packed, Index at, Index, T& number) {
  number = reinterpret_cast<const T*>(packed)[at];
}
template <class T>
void get_number(const char* packed, Index at, Index imaginary, std::complex<T>& number) {
  const T* scalars = reinterpret_cast<const T*>(packed);
  number = {scalars[at], scalars[at + imaginary]};
}

class RowsWay final : public GradientWay {
 public:
  RowsWay(GradientProblem& problem, const std::vector<FactorArray>& values,
          const std::vector<FactorArray>& gradients)
      : problem_(problem),
        kernels_(problem.kernels.rows),
        lanes_(problem.kernels.shape.lanes),
        values_(values),
        gradients_(gradients) {
    for (const Pattern& p : problem.chain.patterns)
      for (std::vector<Index>* at : {&problem.weights_at, &problem.sums_at})
        at->push_back(at->back() + round_up(p.nnz() * problem.element(), 64));
  }

  static bool takes(const GradientProblem& problem) {
    const Index lanes = problem.kernels.shape.lanes;
    const Patterns& patterns = problem.chain.patterns;
    for (std::size_t s = 0; s < patterns.size(); ++s) {
      // Of larger blocks nothing was measured; a weight is a whole SIMD vector here.
      constexpr Index most_weights = 1 << 14;
      if (patterns[s].b * patterns[s].c > most_weights) return false;
      if (patterns[s].d % lanes != 0 && patterns[s].a % lanes != 0) return false;
      // Squares of the lanes are exchanged.
      if (s > 0 && along_l(patterns[s - 1], lanes) != along_l(patterns[s], lanes) &&
          patterns[s].rows() % (lanes * lanes) != 0)
        return false;
    }
    return true;
  }

  Index tile_of(Index kept) const override {
    // Large blocks are streamed from L2, once for each tile.
    const Index most = has_large_blocks(problem_.chain) ? 32 : 16;
    const Index vector = widest(problem_.chain) * problem_.element();
    const Index least = 8 * vector <= gradient_tile_bytes ? 8 : 4;  // long ones fill the memory
    const Index fits = gradient_tile_bytes / (kept * problem_.element());
    const Index wanted = std::min(std::max(fits, least), most);
    const Index tiles = std::max<Index>(1, (problem_.vectors + wanted - 1) / wanted);
    return std::max<Index>(1, (problem_.vectors + tiles - 1) / tiles);
  }

  void pack(char* weights) override {
    weights_ = weights;
    const auto extent = [&](std::size_t s) {
      return is_direct(s, values_[s], false) ? 0 : extent_of(s, values_[s]);
    };
    for_factor_slices(problem_, extent, [&](std::size_t s, Index first, Index last) {
      char* packed = weights + problem_.weights_at[s];
      if (memory_of(s, values_[s]) != Memory::other) {
        for_slices(s, values_[s], first, last, [&](const Slice& slice) {
          kernels_.load(slice.numbers, slice.order, slice.memory, packed + slice.bytes);
        });
        return;
      }
      visit(problem_.chain.dtype, [&](auto kind) {
        const auto* from = static_cast<const decltype(kind)*>(values_[s].data);
        for_entries(s, values_[s],
                    [&](Index at, Index place) { set_number(packed, place, lanes_, from[at]); });
      });
    });
  }

  void load(bool input, const kernels::GradientVectors& vectors, const void* memory,
            char* lines) const override {
    kernels_.load(vectors, order_at(input), memory, lines);
  }
  void store(bool input, const kernels::GradientVectors& vectors, const char* lines,
             void* memory) const override {
    kernels_.store(vectors, order_at(input), lines, memory);
  }

  void forward(std::size_t s, const char* in, char* out, char* spare) const override {
    const bool exchanges = s > 0 && high(s - 1) != high(s);
    kernels::GradientRowsStage stage = stage_of(s);
    stage.in = in;
    stage.out = exchanges ? spare : out;
    kernels_.forward(stage);
    if (exchanges) kernels_.exchange(order_of(s - 1, pattern(s).rows()), problem_.tile, spare, out);
  }

  void backward(const Step& step, char*& g, char*& other) const override {
    const std::size_t s = step.s;
    const Pattern& p = pattern(s);
    const bool in_place = p.b == 2 && p.c == 2;
    kernels::GradientRowsStage stage = stage_of(s);
    stage.in = step.in;
    stage.out_gradient = g;
    stage.in_gradient = in_place ? g : other;
    stage.in_gradient_wanted = step.wanted;
    stage.adds = step.adds;
    if (!step.apart && is_direct(s, gradients_[s], true)) {
      stage.gradient = gradients_[s].data;
      set_steps(stage.gradient_steps, gradients_[s]);
    } else {
      stage.gradient = step.sums + problem_.sums_at[s];
      set_packed_steps(stage.gradient_steps, s, gradients_[s]);
    }
    kernels_.backward(stage);
    if (!in_place) std::swap(g, other);
    if (step.wanted && s + 1 < problem_.factors() && high(s) != high(s + 1)) {
      kernels_.exchange(order_of(s + 1, p.cols()), problem_.tile, g, other);
      std::swap(g, other);
    }
  }

  void unpack(const char* sums, bool apart) const override {
    const auto extent = [&](std::size_t s) {
      return !apart && is_direct(s, gradients_[s], true) ? 0 : extent_of(s, gradients_[s]);
    };
    for_factor_slices(problem_, extent, [&](std::size_t s, Index first, Index last) {
      const char* packed = sums + problem_.sums_at[s];
      if (memory_of(s, gradients_[s]) != Memory::other) {
        for_slices(s, gradients_[s], first, last, [&](const Slice& slice) {
          kernels_.store(slice.numbers, slice.order, packed + slice.bytes, slice.memory);
        });
        return;
      }
      visit(problem_.chain.dtype, [&](auto kind) {
        typedef decltype(kind) T;
        T* to = static_cast<T*>(gradients_[s].data);
        const Index* step = gradients_[s].strides;
        const bool adds = step[0] == 0 || step[3] == 0;
        for_entries(s, gradients_[s], [&](Index at, Index place) {
          T found;
          get_number(packed, place, lanes_, found);
          to[at] = adds ? to[at] + found : found;
        });
      });
    });
  }

 private:
  const Pattern& pattern(std::size_t s) const { return problem_.chain.patterns[s]; }

  // ------------------------------------------------------------------ orders

  static bool along_l(const Pattern& p, Index lanes) { return p.d % lanes == 0; }
  /// Whether lanes are far apart in a vector: along i.
  bool high(std::size_t s) const { return !along_l(pattern(s), lanes_); }
  /// Of so many numbers, as factor s has them.
  kernels::GradientOrder order_of(std::size_t s, Index numbers) const {
    return {numbers / lanes_, high(s) ? numbers / lanes_ : 1};
  }
  kernels::GradientOrder order_at(bool input) const {
    const std::size_t last = problem_.factors() - 1;
    return input ? order_of(last, pattern(last).cols()) : order_of(0, pattern(0).rows());
  }

  kernels::GradientRowsStage stage_of(std::size_t s) const {
    const Pattern& p = pattern(s);
    kernels::GradientRowsStage stage{};
    stage.a = high(s) ? p.a / lanes_ : p.a;
    stage.b = p.b;
    stage.c = p.c;
    stage.d = high(s) ? p.d : p.d / lanes_;
    stage.count = problem_.tile;
    if (is_direct(s, values_[s], false)) {
      stage.weights = values_[s].data;
      set_steps(stage.steps, values_[s]);
    } else {
      stage.weights = weights_ + problem_.weights_at[s];
      set_packed_steps(stage.steps, s, values_[s]);
    }
    return stage;
  }

  // ------------------------------------------------------------------ values

  Index lines_of(std::size_t s) const { return pattern(s).nnz() / lanes_; }

  /// Whether kernels can use an array as it lies in memory.
  bool is_direct(std::size_t s, const FactorArray& array, bool written) const {
    const Index* step = array.strides;
    return problem_.parts == 1 && !high(s) && step[3] == 1 &&
           !(written && step[0] == 0 && pattern(s).a > 1);
  }
  void set_steps(std::int64_t* steps, const FactorArray& array) const {
    std::copy(array.strides, array.strides + 3, steps);
    steps[3] = lanes_;
  }
  void set_packed_steps(std::int64_t* steps, std::size_t s, const FactorArray& array) const {
    const Pattern& p = pattern(s);
    const Index numbers = problem_.parts * lanes_, unit = high(s) ? numbers : problem_.parts;
    if (memory_of(s, array) == Memory::blocks) {
      steps[3] = p.b * p.c * numbers;
      steps[0] = (high(s) ? p.d : p.d / lanes_) * steps[3];
      steps[1] = p.c * numbers;
      steps[2] = numbers;
    } else {
      steps[0] = p.b * p.c * p.d * unit;
      steps[1] = p.c * p.d * unit;
      steps[2] = p.d * unit;
      steps[3] = numbers;
    }
  }

  /// How entries follow each other in memory without gaps: as (i, j, k, l), as (i, l, j, k), which
  /// is how products keep large blocks, or otherwise. Packed ones follow each other alike.
  enum class Memory { entries, blocks, other };
  Memory memory_of(std::size_t s, const FactorArray& array) const {
    if (are_in_order(s, array, {0, 1, 2, 3})) return Memory::entries;
    return are_in_order(s, array, {0, 3, 1, 2}) ? Memory::blocks : Memory::other;
  }
  bool are_in_order(std::size_t s, const FactorArray& array,
                    const std::array<std::size_t, 4>& axes) const {
    const Pattern& p = pattern(s);
    const Index sizes[] = {p.a, p.b, p.c, p.d};
    Index step = 1;
    for (std::size_t n = 4; n-- > 0; step *= sizes[axes[n]])
      if (sizes[axes[n]] > 1 && array.strides[axes[n]] != step) return false;
    return true;
  }

  /// Lines that one call of a kernel moves: of some blocks side by side, or as many as it is told.
  Index lines_together(std::size_t s, const FactorArray& array) const {
    const Pattern& p = pattern(s);
    return memory_of(s, array) == Memory::blocks && !high(s) ? p.b * p.c : lines_of(s);
  }
  /// How far the moving of an array can be divided.
  Index extent_of(std::size_t s, const FactorArray& array) const {
    if (memory_of(s, array) == Memory::other) return 1;
    const Index together = lines_together(s, array);
    return together == lines_of(s) ? together : lines_of(s) / together;
  }

  /// Lines of an array.
  struct Slice {
    kernels::GradientVectors numbers;
    kernels::GradientOrder order;
    char* memory;
    Index bytes;  // where they begin among packed ones
  };
  /// Calls visit(slice) for the part [first, last) of an array's extent.
  template <class Visit>
  void for_slices(std::size_t s, const FactorArray& array, Index first, Index last,
                  const Visit& visit) const {
    static constexpr Index none = 0;
    const Index together = lines_together(s, array), element = problem_.element();
    const bool whole = together == lines_of(s);
    const bool across = high(s) || memory_of(s, array) == Memory::blocks;
    Slice slice{};
    slice.numbers.rows = pattern(s).nnz();
    slice.numbers.stride = slice.numbers.count = 1;
    slice.numbers.offsets = &none;
    slice.numbers.pitch = problem_.parts;
    slice.order = {whole ? last - first : together, across ? together : 1};
    for (Index n = first; n < last; n += whole ? last - first : 1) {
      const Index line = whole ? n : n * together;
      slice.memory =
          static_cast<char*>(array.data) + (whole && across ? line : line * lanes_) * element;
      slice.bytes = line * lanes_ * element;
      visit(slice);
    }
  }

  /// Calls visit(place in memory, in elements; place among packed ones, in scalars).
  template <class Visit>
  void for_entries(std::size_t s, const FactorArray& array, const Visit& visit) const {
    const Pattern& p = pattern(s);
    const Index* step = array.strides;
    const Index numbers = problem_.parts * lanes_, lines = lines_of(s);
    Index line = 0, lane = 0;
    for (Index i = 0; i < p.a; ++i)
      for (Index j = 0; j < p.b; ++j)
        for (Index k = 0; k < p.c; ++k)
          for (Index l = 0; l < p.d; ++l) {
            visit(i * step[0] + j * step[1] + k * step[2] + l * step[3], line * numbers + lane);
            Index& inner = high(s) ? line : lane;
            if (++inner < (high(s) ? lines : lanes_)) continue;
            inner = 0;
            ++(high(s) ? lane : line);
          }
  }

  const GradientProblem& problem_;
  const kernels::GradientRowsKernels& kernels_;
  Index lanes_;
  const std::vector<FactorArray>& values_;
  const std::vector<FactorArray>& gradients_;
  const char* weights_ = nullptr;
};

}  // namespace

std::unique_ptr<GradientWay> gradient_rows_way(GradientProblem& problem,
                                               const std::vector<FactorArray>& values,
                                               const std::vector<FactorArray>& gradients) {
  if (!RowsWay::takes(problem)) return nullptr;
  return std::make_unique<RowsWay>(problem, values, gradients);
}

}  // namespace papilio
