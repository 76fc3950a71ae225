// Starts of the local solver: classes one after another.
#pragma once

#include "fixed_support/line_problem.hpp"

namespace papilio {

/// Sets classes one after another, each to fit what those before have left.
template <class T>
class Deflation {
 public:
  Deflation(const Supports& supports, const IndexSets& observed, const std::vector<T>& values,
            const IndexSetsView& classes, T* x, T* y)
      : supports_(supports),
        observed_(observed),
        classes_(classes),
        rest_(values),
        covers_(values.size()),
        sum_of_covers_(values.size()),
        x_(x),
        y_(y) {
    std::fill(x, x + supports.left.start[supports.inner()], T(0));
    std::fill(y, y + supports.right.start[supports.inner()], T(0));
    for (Index p = 0; p < classes.size; ++p) {
      double mass = 0, entries = 0;
      for_entries(p, [&](Index, Index, std::size_t n) {
        mass += squared(rest_[n]);
        entries += 1;
        ++covers_[n];
        sum_of_covers_[n] += p;
      });
      mass_.push_back(mass);
      entries_.push_back(entries);
    }
  }

  /// By mass: first classes that don't overlap, which is exact for them, then the others.
  void by_mass() {
    std::vector<Index> order(mass_.size()), chosen, others;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](Index p, Index q) { return mass_[at(p)] > mass_[at(q)]; });
    std::vector<char> taken(rest_.size());
    for (Index p : order) {
      bool overlaps = false;
      for_entries(p, [&](Index, Index, std::size_t n) { overlaps = overlaps || taken[n]; });
      (overlaps ? others : chosen).push_back(p);
      if (!overlaps) for_entries(p, [&](Index, Index, std::size_t n) { taken[n] = 1; });
    }
    chosen.insert(chosen.end(), others.begin(), others.end());
    for (Index p : chosen) fit(p, [](std::size_t) { return true; });
  }

  /// As elimination does: next the class with the largest share of entries that no other class
  /// which is still to come reaches, fitted to these entries alone.
  void by_exclusiveness() {
    std::vector<double> exclusive(mass_.size());
    std::vector<char> done(mass_.size());
    for (std::size_t n = 0; n < rest_.size(); ++n)
      if (covers_[n] == 1) exclusive[at(sum_of_covers_[n])] += 1;
    for (Index step = 0; step < classes_.size; ++step) {
      pulse_(classes_.size);
      Index best = -1;
      for (Index p = 0; p < classes_.size; ++p)
        if (!done[at(p)] && (best < 0 || exclusive[at(p)] * entries_[at(best)] >
                                             exclusive[at(best)] * entries_[at(p)]))
          best = p;
      done[at(best)] = 1;
      const bool alone = exclusive[at(best)] > 0;
      fit(best, [&](std::size_t n) { return !alone || covers_[n] == 1; });
      for_entries(best, [&](Index, Index, std::size_t n) {
        --covers_[n];
        sum_of_covers_[n] -= best;
        if (covers_[n] == 1) exclusive[at(sum_of_covers_[n])] += 1;
      });
    }
  }

 private:
  IndexSpan rows(Index p) const { return supports_.left[classes_[p][0]]; }
  IndexSpan cols(Index p) const { return supports_.right[classes_[p][0]]; }

  /// Calls visit(row position, column position, observed number) for what is seen of a class.
  template <class Visit>
  void for_entries(Index p, const Visit& visit) const {
    for (Index j = 0; j < rows(p).size(); ++j) {
      const std::int32_t row = rows(p)[j];
      pulse_(1 + 8 * cols(p).size());
      const IndexSpan seen = observed_[row];
      const std::int32_t* place = seen.begin();
      for (Index k = 0; k < cols(p).size(); ++k) {
        place = std::lower_bound(place, seen.end(), cols(p)[k]);
        if (place != seen.end() && *place == cols(p)[k])
          visit(j, k, at(observed_.start[at(row)] + (place - seen.begin())));
      }
    }
  }

  /// The class alone on the entries that `fits` accepts. If there are others: they are completed
  /// from the rows and columns without any, and some sweeps follow.
  template <class Fits>
  void fit(Index p, const Fits& fits) {
    const IndexSpan inner = classes_[p];
    const Index height = rows(p).size(), width = cols(p).size(), count = inner.size(),
                rank = std::min({height, width, count});
    std::vector<T> block(at(height * width)), left(at(height * count)), right(at(rank * width)),
        wanted;
    std::vector<Index> in_row(at(height)), in_col(at(width));
    IndexSets entries;
    Index row = 0;
    for_entries(p, [&](Index j, Index k, std::size_t n) {
      if (!fits(n)) return;
      for (; row < j; ++row) entries.close();
      entries.index.push_back(static_cast<std::int32_t>(k));
      wanted.push_back(rest_[n]);
      block[at(j + k * height)] = rest_[n];
      ++in_row[at(j)];
      ++in_col[at(k)];
    });
    for (; row < height; ++row) entries.close();
    const bool whole = static_cast<Index>(wanted.size()) == height * width;
    if (!whole) complete(block, entries, in_row, in_col, rank);
    BlockSvd<T>(height, width, rank)
        .factor(block.data(), height, width, Gauge::balanced, left.data(), right.data());
    std::vector<T> across(at(width * count));
    for (Index rho = 0; rho < rank; ++rho)
      for (Index k = 0; k < width; ++k) across[at(rho * width + k)] = right[at(rho + k * rank)];
    if (!whole) {
      const IndexSets whole_rows = copies(height, count), whole_cols = copies(width, count);
      const Supports alone{height, width, whole_rows.view(), whole_cols.view()};
      Alternating<T>(alone, entries.view(), wanted.data())
          .sweep(left.data(), across.data(), 50, 0, 1e-8, nullptr);
    }
    for (Index rho = 0; rho < count; ++rho) {
      std::copy_n(&left[at(rho * height)], height, x_ + supports_.left.start[inner[rho]]);
      std::copy_n(&across[at(rho * width)], width, y_ + supports_.right.start[inner[rho]]);
    }
    for_entries(p, [&](Index j, Index k, std::size_t n) {
      for (Index rho = 0; rho < count; ++rho)
        rest_[n] -= times(left[at(j + rho * height)], across[at(rho * width + k)]);
    });
  }

  /// Sets the entries of the block that aren't among `entries` to those of C W^+ R, where R are the
  /// rows and C the columns of which all entries are, and W is where they cross.
  void complete(std::vector<T>& block, const IndexSets& entries, const std::vector<Index>& in_row,
                const std::vector<Index>& in_col, Index most) const {
    const Index height = static_cast<Index>(in_row.size()),
                width = static_cast<Index>(in_col.size());
    std::vector<Index> full_rows, full_cols;
    for (Index j = 0; j < height; ++j)
      if (in_row[at(j)] == width) full_rows.push_back(j);
    for (Index k = 0; k < width; ++k)
      if (in_col[at(k)] == height) full_cols.push_back(k);
    const auto down = static_cast<Index>(full_rows.size()),
               across = static_cast<Index>(full_cols.size());
    const Index rank = std::min({down, across, most});
    if (rank == 0) return;
    std::vector<T> crossing(at(down * across));
    for (Index k = 0; k < across; ++k)
      for (Index j = 0; j < down; ++j)
        crossing[at(j + k * down)] = block[at(full_rows[at(j)] + full_cols[at(k)] * height)];
    Svd<T> svd(down, across);
    svd.compute(crossing.data());
    // W^+ = V S^-1 U^H.
    std::vector<T> from_cols(at(height * rank)), from_rows(at(rank * width));
    for (Index rho = 0; rho < rank; ++rho) {
      const double sigma = svd.sigma()[rho];
      if (!(sigma > 1e-12 * svd.sigma()[0])) break;
      pulse_(across * height + width * down);
      for (Index k = 0; k < across; ++k)
        for (Index j = 0; j < height; ++j)
          from_cols[at(j + rho * height)] +=
              times(block[at(j + full_cols[at(k)] * height)],
                    conjugate(svd.vh()[rho + k * svd.inner()]) / sigma);
      for (Index k = 0; k < width; ++k)
        for (Index j = 0; j < down; ++j)
          from_rows[at(rho + k * rank)] +=
              times(conjugate(svd.u()[j + rho * down]), block[at(full_rows[at(j)] + k * height)]);
    }
    for (Index j = 0; j < height; ++j) {
      const IndexSpan known = entries[j];
      pulse_(1 + width * rank);
      const std::int32_t* next = known.begin();
      for (Index k = 0; k < width; ++k) {
        if (next != known.end() && *next == k) {
          ++next;
          continue;
        }
        T sum(0);
        for (Index rho = 0; rho < rank; ++rho)
          sum += times(from_cols[at(j + rho * height)], from_rows[at(rho + k * rank)]);
        block[at(j + k * height)] = sum;
      }
    }
  }

  static IndexSets copies(Index size, Index count) {
    IndexSets sets;
    for (Index n = 0; n < count; ++n) {
      for (Index k = 0; k < size; ++k) sets.index.push_back(static_cast<std::int32_t>(k));
      sets.close();
    }
    return sets;
  }

  const Supports& supports_;
  const IndexSets& observed_;
  const IndexSetsView classes_;
  std::vector<T> rest_;
  std::vector<Index> covers_, sum_of_covers_;  // how many classes, and the sum of their numbers
  std::vector<double> mass_, entries_;         // of each class
  T *x_, *y_;
  mutable Pulse pulse_;
};

}  // namespace papilio
