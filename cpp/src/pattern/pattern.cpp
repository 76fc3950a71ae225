#include "papilio/pattern.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace papilio {

namespace {

std::string number(Index value) { return std::to_string(value); }

void require_chainable(const Pattern& p, const Pattern& q) {
  const std::string failure = chain_failure(p, q);
  if (!failure.empty()) throw std::invalid_argument("the pair is not chainable: " + failure);
}

}  // namespace

std::string chain_failure(const Pattern& p, const Pattern& q) {
  if (p.cols() != q.rows())
    return "the left factor has " + number(p.cols()) + " columns but the right one has " +
           number(q.rows()) + " rows";
  if (q.a % p.a != 0) return "a1 = " + number(p.a) + " does not divide a2 = " + number(q.a);
  if (p.d % q.d != 0) return "d2 = " + number(q.d) + " does not divide d1 = " + number(p.d);
  // With equal inner dimensions a1*c1/a2 = b2*d2/d1, so that one test decides both.
  if ((p.a * p.c) % q.a != 0)
    return "a2 = " + number(q.a) + " does not divide a1*c1 = " + number(p.a * p.c);
  return {};
}

Index chain_rank(const Pattern& p, const Pattern& q) {
  require_chainable(p, q);
  return p.a * p.c / q.a;
}

Pattern chain_product(const Pattern& p, const Pattern& q) {
  require_chainable(p, q);
  // Each of these divides a size of p or q; only their product may overflow.
  const Pattern product{p.a, p.b * (p.d / q.d), q.c * (q.a / p.a), q.d};
  const Index rows = product.a * product.b * product.d;
  if (product.c > std::numeric_limits<Index>::max() / rows)
    throw std::invalid_argument("the product pattern (" + number(product.a) + ", " +
                                number(product.b) + ", " + number(product.c) + ", " +
                                number(product.d) + ") has more entries than fit in 63 bits");
  return product;
}

bool is_redundant(const Pattern& p, const Pattern& q) {
  return chain_rank(p, q) >= std::min(p.b, q.c);
}

Pattern chain_product(const Patterns& chain) {
  Pattern product = chain.front();
  for (std::size_t s = 1; s < chain.size(); ++s) product = chain_product(product, chain[s]);
  return product;
}

std::vector<std::pair<std::size_t, std::size_t>> reduce_chain(const Patterns& chain) {
  Patterns reduced = chain;
  std::vector<std::pair<std::size_t, std::size_t>> groups;
  for (std::size_t s = 0; s < chain.size(); ++s) groups.emplace_back(s, s + 1);
  for (std::size_t s = 0; s + 1 < reduced.size();) {
    if (!is_redundant(reduced[s], reduced[s + 1])) {
      ++s;
      continue;
    }
    reduced[s] = chain_product(reduced[s], reduced[s + 1]);
    groups[s].second = groups[s + 1].second;
    reduced.erase(reduced.begin() + static_cast<std::ptrdiff_t>(s) + 1);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(s) + 1);
    s = 0;  // a merged pattern may have made an earlier pair redundant
  }
  return groups;
}

}  // namespace papilio
