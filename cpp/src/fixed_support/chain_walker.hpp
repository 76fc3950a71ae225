// Panels of rows on their way through a chain of factors and back.
#pragma once

#include <complex>
#include <memory>
#include <type_traits>
#include <vector>

#include "factorize/norms.hpp"
#include "fixed_support/chain_reach.hpp"
#include "fixed_support/index_sets.hpp"
#include "kernels/dispatch.hpp"

namespace papilio {

/// One number for each lane; complex ones lie split, as the kernels want them.
template <class T>
struct ChainLine;

template <>
struct alignas(64) ChainLine<double> {
  double re[chain_lanes];
  void set(Index lane, double x) { re[lane] = x; }
  void add(Index lane, double x) { re[lane] += x; }
  double get(Index lane) const { return re[lane]; }
  void clear() {
    for (double& x : re) x = 0;
  }
  void negate() {
    for (double& x : re) x = -x;
  }
};

template <>
struct alignas(64) ChainLine<std::complex<double>> {
  using T = std::complex<double>;
  double re[chain_lanes], im[chain_lanes];
  void set(Index lane, T x) {
    re[lane] = x.real();
    im[lane] = x.imag();
  }
  void add(Index lane, T x) {
    re[lane] += x.real();
    im[lane] += x.imag();
  }
  T get(Index lane) const { return {re[lane], im[lane]}; }
  void clear() {
    for (double& x : re) x = 0;
    for (double& x : im) x = 0;
  }
  void negate() {
    for (double& x : re) x = -x;
    for (double& x : im) x = -x;
  }
};

/// Lines as numbers.
template <class T>
const double* numbers(const ChainLine<T>* lines) {
  return reinterpret_cast<const double*>(lines);
}
template <class T>
double* numbers(ChainLine<T>* lines) {
  return reinterpret_cast<double*>(lines);
}

/// The sum of the lanes of |x|^2.
inline double squared_sum(const ChainLine<double>& x) {
  double sum = 0;
  for (double re : x.re) sum += re * re;
  return sum;
}
inline double squared_sum(const ChainLine<std::complex<double>>& x) {
  double sum = 0;
  for (Index lane = 0; lane < chain_lanes; ++lane)
    sum += x.re[lane] * x.re[lane] + x.im[lane] * x.im[lane];
  return sum;
}

/// The values of one factor in the two orders in which they are read.
template <class T>
struct LinkValues {
  std::vector<T> by_row, by_col;

  /// `shift`: where the first of `values` stands among all.
  void take(const ChainLink& link, const T* values, std::int64_t shift) {
    const auto size = static_cast<std::size_t>(link.size());
    by_row.resize(size);
    by_col.resize(size);
    for (std::size_t k = 0; k < size; ++k) {
      by_row[k] = values[link.from_row[k] - shift];
      by_col[k] = values[link.from_col[k] - shift];
    }
  }
};

/// The lines of one panel; one object per thread.
template <class T>
class ChainWalker {
 public:
  using Line = ChainLine<T>;

  explicit ChainWalker(const ChainSide& side)
      : side_(side),
        kernels_(kernels::chain_kernels_for(!std::is_same<T, double>::value)),
        marks_(static_cast<std::size_t>(side.cols()), 0) {
    for (const ChainLink& link : side.links) levels_.push_back(lines(link.cols));
    for (auto& line : spare_) line = lines(side.widest);
  }

  void start(const ChainPanel& panel) { panel_ = &panel; }

  /// From the level before `link` to the one after it.
  void forward(Index link, const LinkValues<T>& values);

  /// Makes the last level the one that goes back.
  void turn() { back_ = levels_.back().get(); }
  /// Makes A - (the last level) the one that goes back, only where the product reaches; returns its
  /// squared norm. load(first, count, visit) calls visit(n, column, entry) for entries of A.
  template <class Load>
  double turn_residual(const Load& load);

  /// The squared norm of the panel's rows of A where the product doesn't reach.
  template <class Load>
  double squares_outside(const Load& load);

  /// From the level after `link` to the one before it: times the factor's adjoint.
  void backward(Index link, const LinkValues<T>& values);

  /// Adds (prefix)^H (what goes back) at the entries of the link's support to `out`, by rows.
  void sample(Index link, T* out) const;

  const Line* level(Index link) const { return levels_[at(link)].get(); }

  /// Calls visit(index) for all that the panel reaches behind this link, in order.
  template <class Visit>
  void for_reached(Index link, const Visit& visit) const {
    const Reached& reached = panel_->levels[at(link)];
    if (reached.all)
      for (Index n = 0; n < side_.links[at(link)].cols; ++n) visit(n);
    else
      for (std::int32_t n : reached.index) visit(static_cast<Index>(n));
  }

 private:
  /// Calls visit(column, which rows reach it) for the columns of the product.
  template <class Visit>
  void for_marks(const Visit& visit) const;

  /// Calls act(lane, column, entry) for entries of A that the product reaches, or doesn't.
  template <class Load, class Act>
  void load_where(bool reached, const Load& load, const Act& act);

  /// For the places at this level that the panel reaches.
  kernels::ChainSets sets(const IndexSets& places, const T* values, Index level) const;

  static std::unique_ptr<Line[]> lines(Index count) {
    return std::unique_ptr<Line[]>(new Line[at(count)]);
  }

  const ChainSide& side_;
  const kernels::ChainKernels& kernels_;
  const ChainPanel* panel_ = nullptr;
  std::vector<std::unique_ptr<Line[]>> levels_;
  std::unique_ptr<Line[]> spare_[2];  // what goes back stands in one, or in the last level
  const Line* back_ = nullptr;
  std::vector<LaneMask> marks_;  // of the columns of the product; zeros between calls
};

template <class T>
kernels::ChainSets ChainWalker<T>::sets(const IndexSets& places, const T* values,
                                        Index level) const {
  const Reached& reached = panel_->levels[at(level)];
  kernels::ChainSets sets{places.start.data(), places.index.data(), values, nullptr,
                          side_.links[at(level)].cols};
  if (!reached.all) {
    sets.places = reached.index.data();
    sets.count = static_cast<Index>(reached.index.size());
  }
  return sets;
}

template <class T>
void ChainWalker<T>::forward(Index link, const LinkValues<T>& values) {
  const ChainLink& factor = side_.links[at(link)];
  Line* out = levels_[at(link)].get();
  if (link > 0 && panel_->levels[at(link - 1)].all)
    return kernels_.gather(sets(factor.by_col, values.by_col.data(), link), false,
                           numbers(levels_[at(link - 1)].get()), numbers(out));
  for_reached(link, [&](Index column) { out[column].clear(); });
  if (link > 0)
    return kernels_.spread(sets(factor.by_row, values.by_row.data(), link - 1),
                           numbers(levels_[at(link - 1)].get()), numbers(out));
  for (Index lane = 0; lane < panel_->rows; ++lane) {
    const std::size_t row = at(panel_->first + lane);
    for (std::int64_t k = factor.by_row.start[row]; k < factor.by_row.start[row + 1]; ++k)
      out[factor.by_row.index[at(k)]].set(lane, values.by_row[at(k)]);
  }
}

template <class T>
template <class Visit>
void ChainWalker<T>::for_marks(const Visit& visit) const {
  const auto whole = static_cast<LaneMask>((1u << panel_->rows) - 1u);
  Index n = 0;
  for_reached(static_cast<Index>(side_.links.size()) - 1, [&](Index column) {
    visit(column, panel_->reaching.empty() ? whole : panel_->reaching[at(n)]);
    ++n;
  });
}

template <class T>
template <class Load>
double ChainWalker<T>::turn_residual(const Load& load) {
  Line* const last = levels_.back().get();
  for_marks([&](Index column, LaneMask) { last[column].negate(); });
  load_where(true, load, [&](Index lane, Index column, T value) { last[column].add(lane, value); });
  double sum = 0;
  for_marks([&](Index column, LaneMask) { sum += squared_sum(last[column]); });
  turn();
  return sum;
}

template <class T>
template <class Load>
double ChainWalker<T>::squares_outside(const Load& load) {
  double sum = 0;
  load_where(false, load, [&](Index, Index, T value) { sum += squared(value); });
  return sum;
}

template <class T>
template <class Load, class Act>
void ChainWalker<T>::load_where(bool reached, const Load& load, const Act& act) {
  if (panel_->levels.back().all && panel_->reaching.empty()) {
    if (reached) load(panel_->first, panel_->rows, act);
    return;
  }
  for_marks([&](Index column, LaneMask mask) { marks_[at(column)] = mask; });
  load(panel_->first, panel_->rows, [&](Index lane, Index column, T value) {
    if (static_cast<bool>(marks_[at(column)] >> lane & 1u) == reached) act(lane, column, value);
  });
  for_marks([&](Index column, LaneMask) { marks_[at(column)] = 0; });
}

template <class T>
void ChainWalker<T>::backward(Index link, const LinkValues<T>& values) {
  Line* out = spare_[back_ == spare_[0].get() ? 1 : 0].get();
  kernels_.gather(sets(side_.links[at(link)].by_row, values.by_row.data(), link - 1), true,
                  numbers(back_), numbers(out));
  back_ = out;
}

template <class T>
void ChainWalker<T>::sample(Index link, T* out) const {
  const IndexSets& by_row = side_.links[at(link)].by_row;
  if (link > 0)
    return kernels_.sample(sets(by_row, nullptr, link - 1), numbers(level(link - 1)),
                           numbers(back_), out);
  for (Index lane = 0; lane < panel_->rows; ++lane) {
    const std::size_t row = at(panel_->first + lane);
    for (std::int64_t k = by_row.start[row]; k < by_row.start[row + 1]; ++k)
      out[k] += back_[by_row.index[at(k)]].get(lane);
  }
}

}  // namespace papilio
