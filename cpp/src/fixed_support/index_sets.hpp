// Sets of indices: which are equal, and who contains what.
#pragma once

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "papilio/fixed_support.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"

namespace papilio {

/// An index of the standard containers.
inline std::size_t at(Index n) { return static_cast<std::size_t>(n); }

/// Polls for interruption each time that some hundred thousand steps of work were done.
class Pulse {
 public:
  void operator()(Index steps) {
    if ((left_ -= steps) > 0) return;
    left_ = 100'000;
    poll_interruption();
  }

 private:
  Index left_ = 100'000;
};

/// parallel() with a pulse for each thread.
template <class Body>
void parallel_with_pulse(int threads, const Body& body) {
  parallel(threads, [&](int thread, int team) {
    Pulse pulse;
    body(thread, team, pulse);
  });
}

inline bool equal(IndexSpan a, IndexSpan b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

/// Numbers sets in the order of their first appearance, equal ones alike. A hash finds candidates;
/// they are compared.
class SetNumbers {
 public:
  /// `lookup(n)` returns the set that got number n.
  template <class Lookup>
  std::int32_t number(IndexSpan set, const Lookup& lookup) {
    std::uint64_t hash = static_cast<std::uint64_t>(set.size()) * 0x9e3779b97f4a7c15u;
    for (std::int32_t x : set) {
      hash = (hash ^ static_cast<std::uint64_t>(x)) * 0xff51afd7ed558ccdu;
      hash ^= hash >> 29;
    }
    const auto next = static_cast<std::int32_t>(chain_.size());
    const auto [place, fresh] = first_.try_emplace(hash, next);
    std::int32_t last = -1;
    if (!fresh)
      for (std::int32_t n = place->second; n >= 0; n = chain_[static_cast<std::size_t>(n)]) {
        if (equal(lookup(n), set)) return n;
        last = n;
      }
    chain_.push_back(-1);
    if (last >= 0) chain_[static_cast<std::size_t>(last)] = next;
    return next;
  }

  std::int32_t size() const { return static_cast<std::int32_t>(chain_.size()); }

 private:
  std::unordered_map<std::uint64_t, std::int32_t> first_;
  std::vector<std::int32_t> chain_;  // the next number with the same hash
};

/// The same number for equal sets, by order of appearance; -1 for empty ones.
inline std::vector<std::int32_t> number_sets(const IndexSetsView& sets,
                                             std::vector<std::int32_t>& first_with) {
  SetNumbers numbers;
  Pulse pulse;
  std::vector<std::int32_t> result(static_cast<std::size_t>(sets.size), -1);
  for (Index n = 0; n < sets.size; ++n) {
    pulse(1 + sets[n].size());
    if (sets[n].size() == 0) continue;
    const std::int32_t number = numbers.number(
        sets[n], [&](std::int32_t k) { return sets[first_with[static_cast<std::size_t>(k)]]; });
    if (number == static_cast<std::int32_t>(first_with.size()))
      first_with.push_back(static_cast<std::int32_t>(n));
    result[static_cast<std::size_t>(n)] = number;
  }
  return result;
}

/// Set t of the result: the positions n, ascending, of the sets that contain t < count. With
/// `offsets`, also where in sets.index each of them stands.
inline IndexSets transposed(const IndexSetsView& sets, Index count,
                            std::vector<std::int64_t>* offsets = nullptr) {
  IndexSets result;
  result.start.assign(static_cast<std::size_t>(count) + 1, 0);
  const std::int64_t begin = sets.start[0], total = sets.start[sets.size] - begin;
  Pulse pulse;
  for (std::int64_t k = begin; k < begin + total; ++k) {
    pulse(1);
    ++result.start[static_cast<std::size_t>(sets.index[k]) + 1];
  }
  std::partial_sum(result.start.begin(), result.start.end(), result.start.begin());
  result.index.resize(static_cast<std::size_t>(total));
  if (offsets) offsets->resize(static_cast<std::size_t>(total));
  std::vector<std::int64_t> next(result.start.begin(), result.start.end() - 1);
  for (Index n = 0; n < sets.size; ++n) {
    pulse(1 + 4 * sets[n].size());
    for (std::int64_t k = sets.start[n]; k < sets.start[n + 1]; ++k) {
      const auto place = static_cast<std::size_t>(next[static_cast<std::size_t>(sets.index[k])]++);
      result.index[place] = static_cast<std::int32_t>(n);
      if (offsets) (*offsets)[place] = k;
    }
  }
  return result;
}

}  // namespace papilio
