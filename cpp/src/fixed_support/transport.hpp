// Maximal flows from weighted lines to weighted lines: weighted term rank, with a minimal cover.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "fixed_support/type_grid.hpp"

namespace papilio {

/// `supply` at the sources, `capacity` at the sinks, `edges[u]`: the sinks that source u reaches.
class Transport {
 public:
  Transport(std::vector<Index> supply, const std::vector<Bits>& edges, std::vector<Index> capacity)
      : supply_(std::move(supply)), edges_(edges), capacity_(std::move(capacity)) {
    flow_.resize(capacity_.size());
  }

  /// The largest flow, or some number above `limit` if it is larger than that.
  Index run(Index limit) {
    Index total = 0;
    for (std::size_t u = 0; u < supply_.size() && total <= limit; ++u)
      while (supply_[u] > 0 && total <= limit) {
        const Index sent = augment(u);
        if (sent == 0) break;
        total += sent;
      }
    return total;
  }

  /// After run: a cover of all edges by lines whose weights add up to the flow.
  void cover(Bits& sources, Bits& sinks) const {
    Bits seen(static_cast<Index>(capacity_.size())), reached(static_cast<Index>(supply_.size()));
    std::vector<std::size_t> queue;
    for (std::size_t u = 0; u < supply_.size(); ++u)
      if (supply_[u] > 0) {
        queue.push_back(u);
        reached.set(static_cast<Index>(u));
      }
    while (!queue.empty()) {
      const std::size_t u = queue.back();
      queue.pop_back();
      (edges_[u] - seen).each([&](Index j) {
        seen.set(j);
        for (const auto& [v, amount] : flow_[static_cast<std::size_t>(j)])
          if (amount > 0 && !reached[static_cast<Index>(v)]) {
            reached.set(static_cast<Index>(v));
            queue.push_back(v);
          }
      });
    }
    sinks = seen;
    sources = Bits(static_cast<Index>(supply_.size()));
    for (std::size_t u = 0; u < supply_.size(); ++u)
      if (!reached[static_cast<Index>(u)] && edges_[u].any()) sources.set(static_cast<Index>(u));
  }

 private:
  static constexpr std::size_t none_ = static_cast<std::size_t>(-1);

  Index augment(std::size_t from) {
    const std::size_t sinks = capacity_.size();
    Bits seen(static_cast<Index>(sinks));
    std::vector<std::size_t> by(sinks, none_), back(supply_.size(), none_);
    std::vector<std::size_t> queue{from};
    std::vector<char> reached(supply_.size());
    reached[from] = 1;
    std::size_t end = none_;
    for (std::size_t head = 0; head < queue.size() && end == none_; ++head) {
      const std::size_t u = queue[head];
      (edges_[u] - seen).all_of([&](Index j) {
        const auto sink = static_cast<std::size_t>(j);
        seen.set(j);
        by[sink] = u;
        if (capacity_[sink] > 0) {
          end = sink;
          return false;
        }
        for (const auto& [v, amount] : flow_[sink])
          if (amount > 0 && !reached[v]) {
            reached[v] = 1;
            back[v] = sink;
            queue.push_back(v);
          }
        return true;
      });
    }
    return end == none_ ? 0 : push(from, end, by, back);
  }

  Index push(std::size_t from, std::size_t end, const std::vector<std::size_t>& by,
             const std::vector<std::size_t>& back) {
    Index amount = std::min(supply_[from], capacity_[end]);
    for (std::size_t u = by[end]; u != from; u = by[back[u]])
      amount = std::min(amount, flow(back[u], u));
    capacity_[end] -= amount;
    supply_[from] -= amount;
    for (std::size_t sink = end;;) {
      const std::size_t u = by[sink];
      flow(sink, u) += amount;
      if (u == from) return amount;
      sink = back[u];
      flow(sink, u) -= amount;
    }
  }

  Index& flow(std::size_t sink, std::size_t source) {
    for (auto& [u, amount] : flow_[sink])
      if (u == source) return amount;
    flow_[sink].emplace_back(source, 0);
    return flow_[sink].back().second;
  }

  std::vector<Index> supply_;
  const std::vector<Bits>& edges_;
  std::vector<Index> capacity_;
  std::vector<std::vector<std::pair<std::size_t, Index>>> flow_;  // into each sink
};

}  // namespace papilio
