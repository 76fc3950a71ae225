// Chainable chains as radices and ranks.
#pragma once

#include <vector>

#include "papilio/pattern.hpp"

namespace papilio {

/// A chain as radices and ranks (docs/guarantees.md): b_l = q_l r_{l-1}, c_l = p_l r_l. Partial
/// products follow from them, whatever ranks are still open.
struct Radices {
  explicit Radices(const Patterns& chain)
      : first_a(chain.front().a), last_d(chain.back().d), ranks{1} {
    for (std::size_t s = 0; s < chain.size(); ++s) {
      ranks.push_back(s + 1 < chain.size() ? chain_rank(chain[s], chain[s + 1]) : 1);
      q.push_back(chain[s].b / ranks[s]);
      p.push_back(chain[s].c / ranks[s + 1]);
    }
  }

  /// The product pattern of the factors [first, last).
  Pattern product(std::size_t first, std::size_t last) const {
    Pattern result{first_a, ranks[first], ranks[last], last_d};
    for (std::size_t s = 0; s < q.size(); ++s) {
      if (s < first) result.a *= p[s];
      if (s >= last) result.d *= q[s];
      if (s >= first && s < last) {
        result.b *= q[s];
        result.c *= p[s];
      }
    }
    return result;
  }
  std::size_t size() const { return q.size(); }

  Index first_a, last_d;
  std::vector<Index> q, p, ranks;  // ranks[s] at split s; 1 at both ends
};

}  // namespace papilio
