// Many small equal tasks on all threads.
#pragma once

#include <algorithm>

#include "papilio/threads.hpp"

namespace papilio {

/// Runs body(begin, end) on shares of 0..count, a few for each thread.
template <class Body>
void in_shares(Index count, double nanoseconds_each, Body&& body) {
  const int threads = threads_for(count, static_cast<double>(count) * nanoseconds_each);
  const Index shares = threads == 1 ? 1 : std::min<Index>(count, 4 * threads);
  parallel_for(threads, shares,
               [&](Index share) { body(count * share / shares, count * (share + 1) / shares); });
}

}  // namespace papilio
