// Panels of rows on their way through the factors of a chain, shared among threads.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "fixed_support/chain_walker.hpp"
#include "fixed_support/index_sets.hpp"
#include "parallel/shares.hpp"

namespace papilio {

// Panels are added up in so many groups, whatever the number of threads: each has sums of its own.
constexpr Index most_chain_groups = 16;
// Nanoseconds that a multiply-add of all lanes of a panel takes.
constexpr double chain_lanes_cost = 3;

/// The factors seen from one end, with the panels and workers of this side.
template <class T>
class ChainPasses {
 public:
  using Walker = ChainWalker<T>;

  explicit ChainPasses(ChainSide side) : side_(std::move(side)) {
    groups_ = std::min<Index>(most_chain_groups, static_cast<Index>(side_.panels.size()));
  }

  const ChainSide& side() const { return side_; }
  Index links() const { return static_cast<Index>(side_.links.size()); }
  Index groups() const { return groups_; }

  std::vector<LinkValues<T>> values(const T* all) const {
    std::vector<LinkValues<T>> packed(side_.links.size());
    for (std::size_t n = 0; n < packed.size(); ++n) packed[n].take(side_.links[n], all, 0);
    return packed;
  }

  /// Calls body(group, walker) for all panels, those of a group one after another; `work` is a
  /// number of multiply-adds with panels.
  template <class Body>
  void run(double work, const Body& body) const {
    const auto count = static_cast<Index>(side_.panels.size());
    const double each = work * chain_lanes_cost / static_cast<double>(groups_);
    in_shares(groups_, each, [&](Index begin, Index end) {
      std::unique_ptr<Walker> walker = take();
      for (Index group = begin; group < end; ++group)
        for (Index n = count * group / groups_; n < count * (group + 1) / groups_; ++n) {
          poll_interruption();
          walker->start(side_.panels[at(n)]);
          body(group, *walker);
        }
      give(std::move(walker));
    });
  }

  /// Multiply-adds with panels of a pass from the first factor to the last, and one back to `link`.
  double work(Index link) const {
    double sum = 0;
    for (Index n = 0; n < links(); ++n) sum += (n < link ? 1.0 : 2.0) * side_.work[at(n)];
    return sum;
  }

 private:
  std::unique_ptr<Walker> take() const {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Walker> walker = std::move(idle_.back());
        idle_.pop_back();
        return walker;
      }
    }
    return std::make_unique<Walker>(side_);
  }
  void give(std::unique_ptr<Walker> walker) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(walker));
  }

  const ChainSide side_;
  Index groups_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Walker>> idle_;
};

}  // namespace papilio
