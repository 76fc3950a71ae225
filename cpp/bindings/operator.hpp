// A chain of factors as Python holds it.
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "product.hpp"

namespace papilio {

/// What the Python layer knows of a batch: (vectors, input, output), the contiguity by its name.
typedef std::tuple<Index, std::string, std::string> BatchTuple;
/// (lanes, radix, tile).
typedef std::tuple<std::string, Index, Index> ChoiceTuple;

/// A chain of factors, the arrays that hold its values, and the planner of its products. Values are
/// C-contiguous, or where `reads_blocks` says so contiguous as (a, d, b, c), or (rows, weights) of
/// interpolative factors.
class Operator : public Product {
 public:
  Operator(const std::vector<PatternTuple>& patterns, const py::tuple& values,
           const py::object& row_permutation, const py::object& column_permutation);

  Planner& planner() { return planner_; }

  /// (text, choice, predicted seconds) of the plan for such batches.
  py::tuple plan(bool transpose, const BatchTuple& batch);
  /// Measures, and keeps the best: [(choice, predicted, measured seconds)], the fastest first.
  py::list tune(bool transpose, const BatchTuple& batch, const py::object& progress);
  void force(bool transpose, const BatchTuple& batch, const ChoiceTuple& choice);

 private:
  End input(Side side) const override { return {planner_.chain().dtype, rows(!side.transposed)}; }
  End output(Side side) const override { return {planner_.chain().dtype, rows(side.transposed)}; }
  Index rows(bool transpose) const {
    return transpose ? planner_.chain().cols() : planner_.chain().rows();
  }
  void run(const Layout& layout, Side side, const void* in, void* out) override;
  void execute(const Layout& layout, Side side, const void* in, void* out) override;

  Chain to_chain(const std::vector<PatternTuple>& patterns, const py::object& row_permutation,
                 const py::object& column_permutation);

  py::tuple arrays_;
  Planner planner_;
};

}  // namespace papilio
