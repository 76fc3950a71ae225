// Interpolative factors without their identities.
#include <algorithm>
#include <atomic>
#include <complex>
#include <type_traits>
#include <vector>

#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

// Blocks whose values are neighbours along l, and are read together.
constexpr Index together = 8;

/// One panel at a time; one object per thread.
template <class T>
class Panel {
 public:
  Panel(const Pattern& pattern, Index rank) : p_(pattern), rank_(rank), is_identity_(pattern.b) {}

  /// Finds the rows of panel `number` of block (i, l) and copies those with weights; false if the
  /// identity isn't whole.
  bool split(const T* values, Index i, Index l, Index number, std::uint16_t* rows, T* weights) {
    const T* block = values + (i * p_.b * p_.c + number * rank_) * p_.d + l;
    const Index row_step = p_.c * p_.d;
    constexpr std::uint16_t unknown = 0xffff;
    std::fill_n(rows, rank_, unknown);
    Index found = 0;
    for (Index j = 0; j < p_.b; ++j) {
      const Index k = unit_of(block + j * row_step);
      is_identity_[static_cast<std::size_t>(j)] = k >= 0 && rows[k] == unknown;
      if (!is_identity_[static_cast<std::size_t>(j)]) continue;
      rows[k] = static_cast<std::uint16_t>(j);
      ++found;
    }
    if (found < rank_) return false;
    std::uint16_t* other = rows + rank_;
    for (Index j = 0; j < p_.b; ++j) {
      if (is_identity_[static_cast<std::size_t>(j)]) continue;
      *other++ = static_cast<std::uint16_t>(j);
      for (Index k = 0; k < rank_; ++k) *weights++ = block[j * row_step + k * p_.d];
    }
    return true;
  }

 private:
  /// The column of a row's only non-zero if that is 1, else -1.
  Index unit_of(const T* row) const {
    Index unit = -1;
    for (Index k = 0; k < rank_; ++k) {
      const T x = row[k * p_.d];
      if (x == T(0)) continue;
      if (unit >= 0 || x != T(1)) return -1;
      unit = k;
    }
    return unit;
  }

  const Pattern& p_;
  Index rank_;
  std::vector<char> is_identity_;
};

}  // namespace

bool split_identities(DType dtype, const Pattern& p, Index rank, const void* values,
                      std::uint16_t* rows, void* weights) {
  std::atomic<bool> whole{true};
  visit(dtype, [&](auto tag) {
    using T = decltype(tag);
    const Index panels = p.c / rank, groups = (p.d + together - 1) / together;
    const double work = static_cast<double>(p.b * p.c * together);
    in_shares(p.a * groups, work, [&](Index begin, Index end) {
      Panel<T> panel(p, rank);
      for (Index n = begin; n < end && whole; ++n) {
        poll_interruption();
        const Index i = n / groups, first = n % groups * together;
        for (Index l = first; l < std::min(first + together, p.d); ++l)
          for (Index number = 0; number < panels; ++number) {
            const Index at = (i * p.d + l) * panels + number;
            if (!panel.split(static_cast<const T*>(values), i, l, number, rows + at * p.b,
                             static_cast<T*>(weights) + at * (p.b - rank) * rank))
              whole = false;
          }
      }
    });
  });
  return whole;
}

namespace {

template <class T>
constexpr bool is_complex = !std::is_arithmetic<T>::value;

/// x as a T, which is complex if x is.
template <class T, class S>
T as(S x) {
  if constexpr (is_complex<T>) {
    using R = typename T::value_type;
    return T(static_cast<R>(std::real(x)), static_cast<R>(std::imag(x)));
  } else {
    return static_cast<T>(std::real(x));
  }
}

}  // namespace

void write_panels(DType kind, Index count, Index size, Index rank, const Index* pivots,
                  const void* weights, const Index* order, DType dtype, std::uint16_t* rows,
                  Index rows_step, void* out, Index out_step) {
  std::vector<Index> row_at(static_cast<std::size_t>(size));
  for (Index n = 0; n < size; ++n) row_at[static_cast<std::size_t>(order[n])] = n;
  const auto write = [&](auto from, auto to) {
    using S = decltype(from);
    using T = decltype(to);
    in_shares(count, static_cast<double>(size * rank), [&](Index begin, Index end) {
      std::vector<char> chosen(static_cast<std::size_t>(size));
      for (Index n = begin; n < end; ++n) {
        std::fill(chosen.begin(), chosen.end(), char(0));
        std::uint16_t* row = rows + n * rows_step;
        for (Index k = 0; k < rank; ++k) {
          const Index at = order[pivots[n * rank + k]];
          chosen[static_cast<std::size_t>(at)] = 1;
          *row++ = static_cast<std::uint16_t>(at);
        }
        T* weight = static_cast<T*>(out) + n * out_step;
        for (Index j = 0; j < size; ++j) {
          if (chosen[static_cast<std::size_t>(j)]) continue;
          *row++ = static_cast<std::uint16_t>(j);
          const S* of_row = static_cast<const S*>(weights) +
                            (n * size + row_at[static_cast<std::size_t>(j)]) * rank;
          for (Index k = 0; k < rank; ++k) *weight++ = as<T>(of_row[k]);
        }
      }
    });
  };
  visit(kind, [&](auto from) { visit(dtype, [&](auto to) { write(from, to); }); });
}

bool are_permutations(Index count, Index size, const std::uint16_t* rows) {
  std::atomic<bool> all{true};
  in_shares(count, static_cast<double>(2 * size), [&](Index begin, Index end) {
    std::vector<Index> seen(static_cast<std::size_t>(size), -1);
    for (Index n = begin; n < end && all; ++n) {
      if (n % 1024 == 0) poll_interruption();
      for (Index j = 0; j < size; ++j) {
        const Index row = rows[n * size + j];
        if (row >= size || seen[static_cast<std::size_t>(row)] == n) {
          all = false;
          break;
        }
        seen[static_cast<std::size_t>(row)] = n;
      }
    }
  });
  return all;
}

}  // namespace papilio
