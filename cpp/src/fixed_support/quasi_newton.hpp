// L-BFGS: local minima of smooth functions of many real numbers.
#pragma once

#include <functional>

#include "papilio/pattern.hpp"

namespace papilio {

struct QuasiNewton {
  Index size;   // of x
  Index steps;  // at most
  double unit;  // what counts as a large value: gains of 1e-16 of it end the descent
  /// The value at x, and its gradient.
  std::function<double(const double* x, double* gradient)> objective;
  /// Is told the value after each step.
  std::function<void(double value)> after_step;

  /// From x to where it ends; returns the value there, which is never above that at the start.
  double descend(double* x) const;
};

}  // namespace papilio
