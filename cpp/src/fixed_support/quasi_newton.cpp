#include "fixed_support/quasi_newton.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/chain_kernels.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

namespace {

using Vector = std::vector<double>;

// Steps that are remembered; more cost more than they gain on chains of supports.
constexpr std::size_t memory = 20;
// The conditions of Wolfe: what part of the predicted decrease is enough, and how much of the slope
// may be left (Nocedal and Wright, Numerical Optimization, 3.1).
constexpr double enough = 1e-3, flat = 0.9;
// Evaluations along one direction, and how many of them may go on beyond the first: where slopes
// are rounding they never end.
constexpr int trials = 20, longer = 5;
// Of the unit: a smaller decrease, or smaller slopes, are rounding.
constexpr double least_gain = 1e-16, least_slope = 1e-13;

double product(const Vector& x, const Vector& y) {
  return kernels::active_chain_table().product(static_cast<Index>(x.size()), x.data(), y.data());
}
/// y += a x
void add(double a, const Vector& x, Vector& y) {
  kernels::active_chain_table().add(static_cast<Index>(x.size()), a, x.data(), y.data());
}

struct Point {
  Vector x, gradient;
  double value = 0;
};

/// The last steps, and how the gradient changed along them.
class Memory {
 public:
  bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }

  void add_step(const Point& from, const Point& to) {
    Pair pair = pairs_.size() < memory ? Pair{} : std::move(pairs_.front());
    if (pairs_.size() == memory) pairs_.erase(pairs_.begin());
    pair.step = to.x;
    add(-1, from.x, pair.step);
    pair.change = to.gradient;
    add(-1, from.gradient, pair.change);
    pair.curvature = product(pair.step, pair.change);
    pair.change2 = product(pair.change, pair.change);
    if (pair.curvature > std::numeric_limits<double>::epsilon() * pair.change2)
      pairs_.push_back(std::move(pair));
  }

  /// direction = -H gradient, H being the estimate of the inverse Hessian.
  void direction(const Vector& gradient, Vector& direction) const {
    direction = gradient;
    Vector shares(pairs_.size());
    for (std::size_t n = pairs_.size(); n-- > 0;) {
      poll_interruption();
      shares[n] = product(pairs_[n].step, direction) / pairs_[n].curvature;
      add(-shares[n], pairs_[n].change, direction);
    }
    const double scale = empty() ? 1.0 : pairs_.back().curvature / pairs_.back().change2;
    for (double& d : direction) d *= -scale;
    for (std::size_t n = 0; n < pairs_.size(); ++n) {
      poll_interruption();
      const double share = product(pairs_[n].change, direction) / pairs_[n].curvature;
      add(-shares[n] - share, pairs_[n].step, direction);
    }
  }

 private:
  struct Pair {
    Vector step, change;
    double curvature = 0, change2 = 0;
  };
  std::vector<Pair> pairs_;
};

/// A point of a line: how far, the value, and the slope.
struct Trial {
  double length, value, slope;
};

/// The minimum of the cubic through both, not too near to either.
double between(const Trial& low, const Trial& high) {
  const double width = high.length - low.length;
  const double a = low.slope + high.slope - 3 * (high.value - low.value) / width;
  const double root = std::sqrt(a * a - low.slope * high.slope);
  const double part = 1 - (high.slope + root - a) / (high.slope - low.slope + 2 * root);
  if (!std::isfinite(part)) return low.length + 0.5 * width;
  return low.length + std::min(0.9, std::max(0.1, part)) * width;
}

/// From a point along a direction to one where Wolfe's conditions hold, or at least lower.
bool search(const QuasiNewton& problem, const Point& from, const Vector& direction, double length,
            Point& to) {
  const double slope = product(from.gradient, direction);
  if (!(slope < 0)) return false;
  Trial low{0, from.value, slope}, high{0, 0, 0};
  bool bounded = false;
  for (int n = 0; n < trials; ++n) {
    to.x = from.x;
    add(length, direction, to.x);
    to.value = problem.objective(to.x.data(), to.gradient.data());
    const Trial here{length, to.value, product(to.gradient, direction)};
    if (!(here.value < from.value && here.value <= from.value + enough * length * slope)) {
      high = here;
      bounded = true;
    } else if (here.slope < flat * slope && (bounded || n < longer)) {
      low = here;
    } else {
      return true;
    }
    length = bounded ? between(low, high) : 4 * length;
  }
  return to.value < from.value;
}

}  // namespace

double QuasiNewton::descend(double* x) const {
  const auto count = static_cast<std::size_t>(size);
  Point here{Vector(x, x + count), Vector(count), 0}, next{Vector(count), Vector(count), 0};
  here.value = objective(here.x.data(), here.gradient.data());
  Memory remembered;
  Vector direction(count);
  for (Index step = 0; step < steps; ++step) {
    const double norm = std::sqrt(product(here.gradient, here.gradient));
    if (!(norm > least_slope * unit)) break;
    remembered.direction(here.gradient, direction);
    const double first = remembered.empty() ? std::min(1 / unit, 1 / norm) : 1.0;
    bool found = search(*this, here, direction, first, next);
    if (!found && !remembered.empty()) {
      remembered.clear();
      remembered.direction(here.gradient, direction);
      found = search(*this, here, direction, std::min(1 / unit, 1 / norm), next);
    }
    if (!found) break;
    remembered.add_step(here, next);
    std::swap(here, next);
    after_step(here.value);
    if (next.value - here.value <= least_gain * std::max(unit, here.value)) break;
  }
  std::copy(here.x.begin(), here.x.end(), x);
  return here.value;
}

}  // namespace papilio
