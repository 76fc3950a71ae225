// Products with a chain of Kronecker-sparse factors: Chain (the data), Planner (decides, once for
// each kind of batch, and keeps what it decided), Plan (the decision), execute (do it).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/interruption.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// An identity in each panel of a factor's blocks: panel p of block (i, l) is its columns
/// [p * rank, (p + 1) * rank), of which row rows[i, l, p, k] has a 1 in column k and zeros
/// elsewhere, for k < rank; rows[i, l, p, rank...] are its other rows. None if rank is 0.
struct Identities {
  Index rank;
  const std::uint16_t* rows;  // of shape (a, d, c / rank, b)
};

/// Entry (i, j, k, l) is values[tied_a ? 0 : i, j, k, l / run], C-contiguous of shape
/// (tied_a ? 1 : a, b, c, d / run): each stands for a run of neighbouring l, for all of them where
/// run = d. With `by_blocks`, the same values lie as [i, l, j, k]; with identities, they are those
/// of the other rows only, as [i, l, panel, row, column], of a factor that isn't tied. The memory
/// isn't owned.
struct Factor {
  Pattern pattern;
  const void* values;
  bool tied_a;
  Index run;
  bool by_blocks = false;
  Identities identities = {};

  bool tied_d() const { return run == pattern.d; }
  /// How many values of a row are stored.
  Index stored_l() const { return pattern.d / run; }
};

/// Whether a factor has blocks so large that kernels read each in one piece: its values are best
/// stored `by_blocks`, so that all products share them.
bool reads_blocks(const Factor& factor);

/// Factors with identities have at most so many rows and columns in a block.
Index most_interpolative_rows();

/// F[i, j] = K[row_permutation[i], column_permutation[j]], K the product of the factors, left to
/// right. An empty permutation is the identity.
struct Chain {
  DType dtype;
  std::vector<Factor> factors;
  std::vector<Index> row_permutation, column_permutation;

  Index rows() const { return factors.front().pattern.rows(); }
  Index cols() const { return factors.back().pattern.cols(); }
};

/// One axis of a batch; strides in elements, of either sign.
struct BatchAxis {
  Index size, in_stride, out_stride;
};

/// Where the vectors lie: the stride along a vector and the batch axes around it. Split complex
/// numbers come in groups of as many as a SIMD vector has real lanes, real parts first; only where
/// splits_of allows it, for a single batch axis of whole groups with strides of 1.
struct Layout {
  Index in_stride, out_stride;
  std::vector<BatchAxis> batch;
  bool in_split = false, out_split = false;
};

/// Which neighbours are contiguous: the same entry of all vectors, the entries of a vector, none.
enum class Contiguous { columns, rows, neither };

/// What a planner needs to know of a batch.
struct BatchClass {
  Index vectors;  // rounded down to a power of two above 16
  Contiguous in, out;

  bool is_vector() const {
    return vectors == 1 && in == Contiguous::rows && out == Contiguous::rows;
  }

  friend bool operator<(const BatchClass& x, const BatchClass& y) {
    return std::tie(x.vectors, x.in, x.out) < std::tie(y.vectors, y.in, y.out);
  }
  friend bool operator==(const BatchClass& x, const BatchClass& y) {
    return x.vectors == y.vectors && x.in == y.in && x.out == y.out;
  }
};

/// What SIMD lanes run along: the batch, or each vector.
enum class Lanes { columns, rows };

/// How to run a chain: what is free to choose.
struct Choice {
  Lanes lanes;
  Index radix;  // neighbours are multiplied into blocks of at most radix x radix
  Index tile;   // vectors that go through all stages together

  friend bool operator==(const Choice& x, const Choice& y) {
    return x.lanes == y.lanes && x.radix == y.radix && x.tile == y.tile;
  }
};

struct Program;    // the stages of a chain, with weights as their kernels read them
struct Span;       // stages that run part by part
struct Structure;  // what makes a factor cheaper than its values

/// The decision for one kind of batch, and what it is expected to cost.
struct Plan {
  std::shared_ptr<const Program> program;
  Choice choice;
  double predicted;  // seconds on one thread, by the cost model
  std::shared_ptr<const std::vector<Span>> spans;
};

/// A candidate of tune() and how long it took.
struct Timing {
  Choice choice;
  double predicted, measured;  // seconds; measured with all threads
};

/// Plans the products of one chain, and keeps the plans. Safe for many threads, and in a child
/// forked while another thread plans.
class Planner {
 public:
  /// The chain's values must outlive the planner.
  explicit Planner(Chain chain);
  ~Planner();
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  const Chain& chain() const { return chain_; }

  /// The plan for such batches, or null if there is none yet. Never waits for work.
  std::shared_ptr<const Plan> known_plan(bool transpose, const BatchClass& batch) const;

  /// The plan for one contiguous vector, or null if there is none yet; it stays valid. Takes no
  /// lock.
  const Plan* vector_plan(bool transpose) const;

  /// Whether plan() would find one.
  bool is_planned(bool transpose, const BatchClass& batch) const;

  /// The plan for such batches: the cheapest by the cost model, unless tune() or force() set one.
  /// It depends on the CPU's instruction set, never on the number of threads. May poll for
  /// interruption: not to be called with a lock that who is asked could need.
  std::shared_ptr<const Plan> plan(bool transpose, const BatchClass& batch);

  /// Runs the most promising candidates on made-up data and keeps the fastest. Memory: one batch
  /// of input and one of output while it runs, and the weights of the programs it tried.
  std::vector<Timing> tune(bool transpose, const BatchClass& batch, const Progress& progress = {});

  /// Keeps this choice for such batches.
  std::shared_ptr<const Plan> force(bool transpose, const BatchClass& batch, const Choice& choice);

  /// What the plan does and costs, in words.
  std::string describe(bool transpose, const BatchClass& batch);

  /// In the child, after a fork: what another thread was about to change is abandoned.
  void survive_fork();

 private:
  struct State;

  std::shared_ptr<Program> program(bool transpose, Lanes lanes, Index radix);
  /// The plan's program with its weights packed.
  std::shared_ptr<const Program> packed(bool transpose, const Choice& choice);
  const std::vector<std::optional<Structure>>& structures();
  std::vector<Plan> candidates(bool transpose, const BatchClass& batch, bool all_radices);
  void forget_large_losers();
  Plan make_plan(bool transpose, const BatchClass& batch, const Choice& choice);
  std::shared_ptr<const Plan> publish(bool transpose, const BatchClass& batch, Plan plan);

  Chain chain_;
  std::unique_ptr<State> state_;
};

/// Whether a plan can read split complex numbers, and whether it can write them.
struct Splits {
  bool in, out;
};
Splits splits_of(const Plan& plan);

/// From how many bytes on a batch is taken to leave the caches, so that it is prefetched and, from
/// four times as many on, stored past them, and how much a stage works on between two polls; 0 for
/// the usual. So that tests with small batches see that, too.
void set_large_bytes(Index bytes);

/// The class of a batch.
BatchClass classify(const Layout& layout);

/// out = op(F) in for every vector of the batch. in and out don't overlap, or are the same memory
/// with the same strides: then a plan whose stages can't work in place copies a tile at a time into
/// the workspace. Workspace: a tile or
/// two for each thread, of about the size of the L2 cache or one vector where that is larger.
/// The result is the same, bit for bit, for any number of threads.
void execute(const Plan& plan, const Layout& layout, bool conjugate, const void* in, void* out);

}  // namespace papilio
