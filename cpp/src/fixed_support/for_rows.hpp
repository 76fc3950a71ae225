// Rows shared among threads.
#pragma once

#include "fixed_support/index_sets.hpp"

namespace papilio {

/// Runs body(begin, end, pulse) for ranges of rows on threads.
template <class Body>
void for_rows(Index rows, double work, const Body& body) {
  parallel_with_pulse(threads_for(rows, work), [&](int thread, int team, Pulse& pulse) {
    body(rows * thread / team, rows * (thread + 1) / team, pulse);
  });
}

}  // namespace papilio
