// Pairs of a small total cost.
#include <algorithm>
#include <cmath>
#include <limits>

#include "papilio/interruption.hpp"
#include "papilio/pairing.hpp"

namespace papilio {

namespace {

class Matching {
 public:
  Matching(const double* costs, Index size)
      : size_(size), costs_(costs, costs + size * size), partner_(at(size), -1) {
    for (double& cost : costs_)
      if (std::isnan(cost)) cost = std::numeric_limits<double>::infinity();
  }

  std::vector<Index> pairs() {
    for (Index left = size_; left > 0;) left -= 2 * take_cheapest(left);
    for (Index i = 0; i < size_; ++i)
      if (i < partner_[at(i)]) {
        first_.push_back(i);
        second_.push_back(partner_[at(i)]);
      }
    improve();
    std::vector<Index> result;
    for (std::size_t p = 0; p < first_.size(); ++p) {
      result.push_back(first_[p]);
      result.push_back(second_[p]);
    }
    return result;
  }

 private:
  struct Edge {
    double cost;
    Index first, second;
    bool operator<(const Edge& other) const {
      if (cost != other.cost) return cost < other.cost;
      return first != other.first ? first < other.first : second < other.second;
    }
  };

  static std::size_t at(Index n) { return static_cast<std::size_t>(n); }
  double cost(Index i, Index k) const { return costs_[at(i * size_ + k)]; }

  /// Joins those of the `left` without a partner that the cheapest edges between them join first:
  /// greedily, but without sorting the many edges that nobody gets to. Returns how many pairs.
  Index take_cheapest(Index left) {
    std::vector<Edge> edges;
    for (Index i = 0; i < size_; ++i) {
      poll_interruption();
      if (partner_[at(i)] >= 0) continue;
      for (Index k = i + 1; k < size_; ++k)
        if (partner_[at(k)] < 0) edges.push_back({cost(i, k), i, k});
    }
    const auto last = edges.begin() +
                      std::min<std::ptrdiff_t>(4 * left, std::distance(edges.begin(), edges.end()));
    std::nth_element(edges.begin(), last, edges.end());
    std::sort(edges.begin(), last);
    Index found = 0;
    for (auto edge = edges.begin(); edge != last; ++edge) {
      if (partner_[at(edge->first)] >= 0 || partner_[at(edge->second)] >= 0) continue;
      partner_[at(edge->first)] = edge->second;
      partner_[at(edge->second)] = edge->first;
      ++found;
    }
    return found;
  }

  /// What two pairs p < q gain by an exchange: (a, a) and (b, b), or (a, b) and (b, a).
  struct Exchange {
    double gain;
    std::size_t p, q;
  };

  /// Exchanges between two pairs, the best one first, while they gain anything.
  void improve() {
    double most = std::numeric_limits<double>::min();
    for (double cost : costs_) most = std::max(most, cost);
    // An exchange that gains less than the rounding of the costs could be undone for ever.
    const double negligible = 1e2 * std::numeric_limits<double>::epsilon() * most;
    for (;;) {
      poll_interruption();
      Exchange straight{negligible, 0, 0}, crossed{negligible, 0, 0};
      for (std::size_t p = 0; p < first_.size(); ++p) find_exchanges(p, straight, crossed);
      if (straight.q == 0 && crossed.q == 0) return;
      if (straight.gain >= crossed.gain)
        exchange(straight.p, straight.q, first_[straight.q], second_[straight.p],
                 second_[straight.q]);
      else
        exchange(crossed.p, crossed.q, second_[crossed.q], second_[crossed.p], first_[crossed.q]);
    }
  }

  void find_exchanges(std::size_t p, Exchange& straight, Exchange& crossed) const {
    const Index a = first_[p], b = second_[p];
    const double mine = cost(a, b);
    for (std::size_t q = p + 1; q < first_.size(); ++q) {
      const Index c = first_[q], d = second_[q];
      const double now = mine + cost(c, d);
      const double one = now - cost(a, c) - cost(b, d), other = now - cost(a, d) - cost(b, c);
      if (one > straight.gain) straight = {one, p, q};
      if (other > crossed.gain) crossed = {other, p, q};
    }
  }

  /// Pair p becomes (its first, mate), pair q (c, d).
  void exchange(std::size_t p, std::size_t q, Index mate, Index c, Index d) {
    second_[p] = mate;
    first_[q] = c;
    second_[q] = d;
  }

  Index size_;
  std::vector<double> costs_;
  std::vector<Index> partner_, first_, second_;
};

}  // namespace

std::vector<Index> match_pairs(const double* costs, Index size) {
  return Matching(costs, size).pairs();
}

}  // namespace papilio
