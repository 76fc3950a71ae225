// Many small equal tasks on all threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "papilio/threads.hpp"

namespace papilio {

/// Share number `share` of `shares` of 0..count, from begin to before end. What is whole isn't
/// divided: a division takes up to 90 cycles (Skylake), and a stage of a short vector some hundred.
inline std::pair<Index, Index> share_of(Index count, Index share, Index shares) {
  if (shares == 1) return {0, count};
  return {count * share / shares, count * (share + 1) / shares};
}

/// Runs body(begin, end) on shares of 0..count: a few for each thread, of a millisecond where
/// one of 0..count takes less, so that an interruption is answered between them, even if the work
/// takes 30 times as long as its caller thinks.
template <class Body>
void in_shares(Index count, double nanoseconds_each, Body&& body) {
  constexpr double longest = 1e6;
  const double work = static_cast<double>(count) * nanoseconds_each;
  const int threads = threads_for(count, work);
  const Index least = threads == 1 ? 1 : 4 * threads;
  const Index shares =
      std::min(count, std::max(least, static_cast<Index>(std::ceil(work / longest))));
  parallel_for(threads, shares, [&](Index share) {
    const auto [begin, end] = share_of(count, share, shares);
    body(begin, end);
  });
}

}  // namespace papilio
