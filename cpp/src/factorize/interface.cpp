#include "factorize/interface.hpp"

namespace papilio {

Interface::Interface(const Pattern& left, const Pattern& right)
    : b1_(left.b),
      r_(chain_rank(left, right)),
      c2_(right.c),
      d1_(left.d),
      d2_(right.d),
      fn_(right.a / left.a),
      en_(left.d / right.d),
      blocks_(right.a * left.d) {}

Interface::Coordinates Interface::coordinates(Index block) const {
  const Index l = block % d2_;
  block /= d2_;
  const Index e = block % en_;
  block /= en_;
  return {block / fn_, block % fn_, e, l};
}

BlockPosition Interface::left(Index block) const {
  const auto [i, f, e, l] = coordinates(block);
  const Index c1 = fn_ * r_;
  return {(i * b1_ * c1 + f * r_) * d1_ + e * d2_ + l, c1 * d1_, d1_};
}

BlockPosition Interface::right(Index block) const {
  const auto [i, f, e, l] = coordinates(block);
  return {(((i * fn_ + f) * r_ * en_ + e) * c2_) * d2_ + l, en_ * c2_ * d2_, d2_};
}

BlockPosition Interface::merged(Index block) const {
  const auto [i, f, e, l] = coordinates(block);
  const Index b = b1_ * en_, c = fn_ * c2_;
  return {((i * b + e) * c + f * c2_) * d2_ + l, en_ * c * d2_, d2_};
}

Interface::MatrixPosition Interface::matrix(Index block) const {
  const auto [i, f, e, l] = coordinates(block);
  const Index b = b1_ * en_, c = fn_ * c2_;
  return {(i * b + e) * d2_ + l, (i * c + f * c2_) * d2_ + l, en_ * d2_, d2_};
}

}  // namespace papilio
