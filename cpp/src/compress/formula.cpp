#include "papilio/formula.hpp"

#include <algorithm>
#include <complex>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "compress/formula_runs.hpp"
#include "compress/interpolator.hpp"
#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

using kernels::FormulaEntry;
using kernels::FormulaRun;

constexpr Index longest_run = 512;  // entries whose fields and values stay in the nearest cache

const FormulaEntry& formula_called(const std::string& name) {
  const kernels::FormulaTable& known = kernels::formula_table();
  for (Index n = 0; n < known.count; ++n)
    if (name == known.formulas[n].name) return known.formulas[n];
  throw std::invalid_argument("there is no formula '" + name + "'");
}

void require(const Fields& fields, Index count, const char* what) {
  if (fields.count != count || fields.size < 1 ||
      fields.values.size() != static_cast<std::size_t>(count * fields.size))
    throw std::invalid_argument(std::string(what) + " must have " + std::to_string(count) +
                                " numbers each");
}

/// The values of a run, and their way to where they are wanted.
class Values {
 public:
  Values() : re_(longest_run), im_(longest_run) {}

  /// Runs the formula, whose entries go to out[at] and beyond.
  void write(const FormulaEntry& formula, FormulaRun run, void* out, Index at) {
    run.re = re_.data();
    run.im = im_.data();
    formula.run(run);
    if (!formula.is_complex) {
      std::copy_n(re_.data(), run.count, static_cast<double*>(out) + at);
      return;
    }
    double* to = static_cast<double*>(out) + 2 * at;
    for (Index n = 0; n < run.count; ++n) {
      to[2 * n] = re_[static_cast<std::size_t>(n)];
      to[2 * n + 1] = im_[static_cast<std::size_t>(n)];
    }
  }

 private:
  std::vector<double> re_, im_;
};

}  // namespace

Formula::Formula(const std::string& name, Fields rows, Fields columns,
                 std::vector<double> parameters)
    : name_(name),
      formula_(&formula_called(name)),
      rows_(std::move(rows)),
      columns_(std::move(columns)),
      parameters_(std::move(parameters)) {
  require(rows_, formula_->row_fields, "rows");
  require(columns_, formula_->column_fields, "columns");
  const Index given = static_cast<Index>(parameters_.size());
  Index wanted = formula_->fixed;
  if (given >= wanted && formula_->parameters)
    wanted = formula_->parameters(parameters_.data(), rows_.size, columns_.size);
  if (wanted < 0)
    throw std::invalid_argument("parameters of the formula '" + name +
                                "' don't fit rows, columns or each other");
  if (given != wanted)
    throw std::invalid_argument("parameters has " + std::to_string(given) + " numbers, expected " +
                                std::to_string(wanted));
}

bool Formula::is_complex() const { return formula_->is_complex; }

void Formula::check(const char* name, Index count, const Index* given, Index size) const {
  for (Index n = 0; n < count; ++n)
    if (given[n] < -size || given[n] >= size)
      throw std::out_of_range(std::string(name) + " has " + std::to_string(given[n]) +
                              ", expected indices below " + std::to_string(size));
}

void Formula::pairs(Index count, const Index* i, const Index* j, void* out) const {
  check("i", count, i, rows_.size);
  check("j", count, j, columns_.size);
  in_shares(count, formula_->nanoseconds, [&](Index begin, Index end) {
    Gathered rows(rows_, longest_run), columns(columns_, longest_run);
    Values values;
    for (Index at = begin; at < end; at += longest_run) {
      poll_interruption();
      const Index here = std::min(longest_run, end - at);
      rows.take(here, i + at);
      columns.take(here, j + at);
      const FormulaRun run{here, rows.each(), columns.each(), parameters_.data(), nullptr, nullptr};
      values.write(*formula_, run, out, at);
    }
  });
}

void Formula::blocks(Index count, Index height, Index width, const Index* i, const Index* j,
                     void* out) const {
  check("i", count * height, i, rows_.size);
  check("j", count * width, j, columns_.size);
  if (height == 1 && width == 1) return pairs(count, i, j, out);
  const double work = formula_->nanoseconds * static_cast<double>(width);
  in_shares(count * height, work, [&](Index begin, Index end) {
    Gathered row(rows_, 1), columns(columns_, longest_run);
    Values values;
    Index gathered = -1;  // the block whose columns are at hand, where they are a single run
    for (Index line = begin; line < end; ++line) {
      row.take(1, i + line);
      const Index block = line / height;
      for (Index at = 0; at < width; at += longest_run) {
        poll_interruption();
        const Index here = std::min(longest_run, width - at);
        if (gathered != block || width > longest_run) columns.take(here, j + block * width + at);
        gathered = block;
        const FormulaRun run{here,    row.only(0), columns.each(), parameters_.data(),
                             nullptr, nullptr};
        values.write(*formula_, run, out, line * width + at);
      }
    }
  });
}

namespace {

/// The rows of a block, sample by sample, for an Interpolator.
struct Samples {
  const FormulaEntry& formula;
  const Gathered &rows, &columns;
  const double* parameters;

  void operator()(Index sample, Index count, double* re, double* im) const {
    formula.run({count, rows.each(), columns.only(sample), parameters, re, im});
  }
};

}  // namespace

void Formula::interpolate(Index count, Index height, Index width, const Index* i, const Index* j,
                          const double* scales, Index rank, Index* pivots, void* weights,
                          double* residuals) const {
  check("i", count * height, i, rows_.size);
  check("j", count * width, j, columns_.size);
  const double work = static_cast<double>(height) * width * (rank + formula_->nanoseconds);
  const auto run_all = [&](auto tag) {
    using T = decltype(tag);
    in_shares(count, work, [&](Index begin, Index end) {
      Interpolator<T> interpolator(height, width, rank);
      Gathered rows(rows_, height), columns(columns_, width);
      for (Index n = begin; n < end; ++n) {
        poll_interruption();
        rows.take(height, i + n * height);
        columns.take(width, j + n * width);
        interpolator.run(Samples{*formula_, rows, columns, parameters_.data()},
                         scales ? scales + n * width : nullptr, pivots + n * rank,
                         static_cast<T*>(weights) + n * height * rank, residuals + n * (rank + 1));
      }
    });
  };
  if (is_complex())
    run_all(std::complex<double>{});
  else
    run_all(double{});
}

}  // namespace papilio
