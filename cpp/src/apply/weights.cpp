#include "apply/weights.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <optional>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels/kernels.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

namespace {

#if defined(__linux__)
constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Pages of its own, which the system gives when they are first written to, by whichever thread.
std::shared_ptr<void> map_huge_pages(std::size_t bytes) {
  const std::size_t size = bytes + huge_page;
  void* const start =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  void* aligned = start;
  std::size_t space = size;
  std::align(huge_page, bytes, aligned, space);
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return {aligned, [start, size](void*) { munmap(start, size); }};
}
#endif

double magnitude(float x) { return std::abs(static_cast<double>(x)); }
double magnitude(double x) { return std::abs(x); }
template <class R>
double magnitude(std::complex<R> x) {
  return std::max(magnitude(x.real()), magnitude(x.imag()));
}

Index stored_entries(const Factor& factor) {
  const Pattern& p = factor.pattern;
  return (factor.tied_a ? 1 : p.a) * p.b * p.c * factor.stored_l();
}

/// Whether products of three of these values neither overflow nor vanish, so that merged factors
/// give what the factors would have given one after the other.
template <class T>
bool has_moderate_values(const Factor& factor) {
  using R = decltype(std::abs(T{}));
  const double limit = std::ldexp(1.0, std::numeric_limits<R>::max_exponent / 4);
  const T* values = static_cast<const T*>(factor.values);
  std::atomic<bool> moderate{true};
  in_shares(stored_entries(factor), 1, [&](Index begin, Index end) {
    if (!moderate.load(std::memory_order_relaxed)) return;
    const bool here = std::all_of(values + begin, values + end, [limit](T x) {
      const double size = magnitude(x);
      return size == 0 || (size <= limit && size >= 1 / limit);
    });
    if (!here) moderate.store(false, std::memory_order_relaxed);
  });
  return moderate.load();
}

// Nanoseconds of a number that is moved to where kernels read it, memory of the system included.
constexpr double copied = 2;

/// left * right; `shape` is the factor to be filled.
template <class T>
std::shared_ptr<const void> product_values(const Factor& left, const Factor& right,
                                           const Factor& shape) {
  const Weights x = weights_of(left, false), y = weights_of(right, false);
  const Pattern &p = left.pattern, &q = right.pattern;
  const Index blocks_f = q.a / p.a, blocks_e = p.d / q.d, rank = chain_rank(p, q);
  const Index is = shape.tied_a ? 1 : p.a, ls = shape.stored_l();
  const auto values = allocate<T>(stored_entries(shape));
  const T* xs = static_cast<const T*>(x.values);
  const T* ys = static_cast<const T*>(y.values);
  const Index row = blocks_f * q.c * ls;  // entries for one (i, j, e)
  // Where the values of each l stand, and of each (e, l): found once, since that takes divisions.
  std::vector<Index> x_at, y_at;
  for (Index l = 0; l < ls; ++l) y_at.push_back(y.along(l * shape.run));
  for (Index e = 0; e < blocks_e; ++e)
    for (Index l = 0; l < ls; ++l) x_at.push_back(x.along(e * q.d + l * shape.run));
  in_shares(is * p.b * blocks_e, static_cast<double>(row) * (copied + static_cast<double>(rank)),
            [&](Index begin, Index end) {
              T* to = values.get() + begin * row;
              for (Index n = begin; n < end; ++n) {
                const Index i = n / blocks_e / p.b, j = n / blocks_e % p.b, e = n % blocks_e;
                const Index *const x_l = x_at.data() + e * ls, *const y_l = y_at.data();
                for (Index f = 0; f < blocks_f; ++f) {
                  const T* const x_row = xs + i * x.i + j * x.j + f * rank * x.k;
                  const T* const y_row = ys + (i * blocks_f + f) * y.i + e * y.j;
                  for (Index k = 0; k < q.c; ++k)
                    for (Index l = 0; l < ls; ++l) {
                      const T *left_value = x_row + x_l[l], *right_value = y_row + k * y.k + y_l[l];
                      T sum(0);
                      for (Index rho = 0; rho < rank; ++rho)
                        sum += left_value[rho * x.k] * right_value[rho * blocks_e * y.j];
                      *to++ = sum;
                    }
                }
              }
            });
  return values;
}

/// Runs of the product lie within runs of both: those of the right factor divide its d, the step
/// between the rows of the left one.
Factor joined_shape(const Factor& left, const Factor& right) {
  return {chain_product(left.pattern, right.pattern), nullptr, left.tied_a && right.tied_a,
          std::gcd(left.run, right.run)};
}

Product multiply(DType dtype, const Product& left, const Factor& right) {
  Product product{joined_shape(left.factor, right), nullptr};
  product.owner = visit(dtype, [&](auto tag) {
    return product_values<decltype(tag)>(left.factor, right, product.factor);
  });
  product.factor.values = product.owner.get();
  return product;
}

/// Runs of some l written out: kernels know a value for each l, and one for all.
Product spelled_out(DType dtype, const Product& given) {
  const Factor& from = given.factor;
  if (from.run == 1 || from.tied_d()) return given;
  Product product{{from.pattern, nullptr, from.tied_a, 1}, nullptr};
  product.owner = visit(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    using T = decltype(tag);
    const auto values = allocate<T>(stored_entries(product.factor));
    const T* x = static_cast<const T*>(from.values);
    in_shares(stored_entries(from), static_cast<double>(from.run), [&](Index begin, Index end) {
      for (Index n = begin; n < end; ++n) std::fill_n(values.get() + n * from.run, from.run, x[n]);
    });
    return values;
  });
  product.factor.values = product.owner.get();
  return product;
}

/// A kernel holds C x C blocks in registers for these; half as much arithmetic again is a fair
/// price for a pass less (radix 8 needs 4/3).
bool is_worth_it(const Pattern& merged, Index separate_nnz, Index radix) {
  const Index c = merged.c;
  return merged.b == c && c <= radix && (c == 2 || c == 4 || c == 8) &&
         2 * merged.nnz() <= (c == 8 ? 3 : 2) * separate_nnz;
}

}  // namespace

std::shared_ptr<void> allocate_bytes(std::size_t bytes) {
#if defined(__linux__)
  if (bytes >= 4 * huge_page) return map_huge_pages(bytes);
#endif
  constexpr std::align_val_t line{64};
  const std::shared_ptr<void> memory(::operator new(bytes, line),
                                     [](void* values) { ::operator delete(values, line); });
  std::memset(memory.get(), 0, bytes);
  return memory;
}

Weights weights_of(const Factor& factor, bool transpose) {
  const Pattern& p = factor.pattern;
  const Index d = factor.stored_l();
  Weights weights{p,
                  factor.values,
                  factor.tied_a ? 0 : p.b * p.c * d,
                  p.c * d,
                  d,
                  factor.tied_d() ? 0 : Index{1},
                  factor.run,
                  factor.identities};
  const Index rows = p.b - factor.identities.rank;  // with weights
  if (factor.by_blocks || factor.identities.rank) {
    weights.i = factor.tied_a ? 0 : rows * p.c * d;
    weights.j = factor.identities.rank ? factor.identities.rank : p.c;
    weights.k = 1;
    weights.l = rows * p.c;
  }
  if (transpose) {
    std::swap(weights.pattern.b, weights.pattern.c);
    std::swap(weights.j, weights.k);
  }
  return weights;
}

bool reads_blocks(const Factor& factor) {
  const Pattern& p = factor.pattern;
  if (factor.identities.rank > 0) return true;
  // Below that, blocks take few of the memory's lines each, and lanes along l are faster.
  constexpr Index entries = 256, side = 8;
  return p.b * p.c >= entries && std::min(p.b, p.c) >= side &&
         (p.d == 1 || (factor.run == 1 && std::max(p.b, p.c) <= kernels::most_rows));
}

Index most_interpolative_rows() { return kernels::most_rows; }

Factor product_shape(const Chain& chain, std::size_t first, std::size_t last) {
  Factor shape = chain.factors[first];
  for (std::size_t s = first + 1; s < last; ++s) shape = joined_shape(shape, chain.factors[s]);
  shape.values = nullptr;
  return shape;
}

Product multiply(const Chain& chain, std::size_t first, std::size_t last) {
  Product product{chain.factors[first], nullptr};
  for (std::size_t s = first + 1; s < last; ++s)
    product = multiply(chain.dtype, product, chain.factors[s]);
  return spelled_out(chain.dtype, product);
}

std::vector<std::pair<std::size_t, std::size_t>> group_factors(const Chain& chain,
                                                               std::size_t begin, std::size_t end,
                                                               Index radix, Index least_d) {
  std::vector<std::optional<bool>> known(chain.factors.size());
  const auto is_moderate = [&](std::size_t s) {
    if (!known[s])
      known[s] = visit(chain.dtype, [&](auto tag) {
        return has_moderate_values<decltype(tag)>(chain.factors[s]);
      });
    return *known[s];
  };
  std::vector<std::pair<std::size_t, std::size_t>> groups;
  for (std::size_t first = begin; first < end;) {
    // The longest run from here on whose product is worth it.
    std::size_t best = first + 1;
    Pattern merged = chain.factors[first].pattern;
    Index separate = merged.nnz();
    for (std::size_t s = first + 1; s < end; ++s) {
      const Pattern& next = chain.factors[s].pattern;
      if (next.d < least_d || !chain_failure(merged, next).empty()) break;
      if (chain.factors[s - 1].identities.rank || chain.factors[s].identities.rank) break;
      merged = chain_product(merged, next);
      separate += next.nnz();
      // All values are read only where they are few to a row.
      if (std::max(merged.b, merged.c) > radix || !is_moderate(s - 1) || !is_moderate(s)) break;
      if (is_worth_it(merged, separate, radix)) best = s + 1;
    }
    groups.emplace_back(first, best);
    first = best;
  }
  return groups;
}

std::shared_ptr<const void> pack_blocks(DType dtype, const Factor& factor) {
  return visit(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    using T = decltype(tag);
    const Pattern& p = factor.pattern;
    const auto packed = allocate<T>(stored_entries(factor));
    const T* from = static_cast<const T*>(factor.values);
    const Index block = p.b * p.c, d = factor.stored_l();
    const Index blocks = (factor.tied_a ? 1 : p.a) * d;
    in_shares(blocks, copied * static_cast<double>(block), [&](Index begin, Index end) {
      T* to = packed.get() + begin * block;
      for (Index number = begin; number < end; ++number) {
        const T* at = from + number / d * block * d + number % d;
        for (Index n = 0; n < block; ++n) {
          if (n % (1 << 16) == 0) poll_interruption();
          *to++ = at[n * d];
        }
      }
    });
    return packed;
  });
}

std::shared_ptr<const void> pack_lanes(DType dtype, const Factor& factor, Index lanes) {
  return visit(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    using T = decltype(tag);
    const Pattern& p = factor.pattern;
    const T* from = static_cast<const T*>(factor.values);
    const Index block = p.b * p.c, d = factor.stored_l(), is = factor.tied_a ? 1 : p.a;
    if (d < lanes) {
      const auto packed = allocate<T>(is * block * d + lanes);
      in_shares(is * block * d, copied, [&](Index begin, Index end) {
        std::copy(from + begin, from + end, packed.get() + begin);
      });
      return packed;
    }
    const Index vectors = (d + lanes - 1) / lanes;
    const auto packed = allocate<T>(is * vectors * block * lanes);
    // Some SIMD vectors of a row at a time, which are neighbours where they come from.
    constexpr Index together = 8;
    const Index runs = (vectors + together - 1) / together;
    const double work = copied * static_cast<double>(together * lanes * block);
    in_shares(is * runs, work, [&](Index first_run, Index last_run) {
      for (Index run = first_run; run < last_run; ++run) {
        const Index i = run / runs, begin = run % runs * together;
        const Index end = std::min(begin + together, vectors);
        for (Index n = 0; n < block; ++n) {
          if (n % 1024 == 0) poll_interruption();
          const T* row = from + (i * block + n) * d;
          for (Index v = begin; v < end; ++v)
            std::copy(row + v * lanes, row + std::min((v + 1) * lanes, d),
                      packed.get() + ((i * vectors + v) * block + n) * lanes);
        }
      }
    });
    return packed;
  });
}

std::shared_ptr<const void> pack_outputs(DType dtype, const Weights& weights, Index lanes) {
  return visit(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    using T = decltype(tag);
    const Pattern& p = weights.pattern;
    const Index outputs = p.b * p.d, vectors = (outputs + lanes - 1) / lanes;
    const Index is = weights.i == 0 ? 1 : p.a;
    const auto packed = allocate<T>(is * vectors * p.c * lanes);
    const T* from = static_cast<const T*>(weights.values);
    const double work = copied * static_cast<double>(p.c * lanes);
    in_shares(is * vectors, work, [&](Index begin, Index end) {
      T* to = packed.get() + begin * p.c * lanes;
      std::vector<const T*> rows;  // found once for all k, since that takes divisions
      for (Index number = begin; number < end; ++number) {
        const Index i = number / vectors, first = number % vectors * lanes;
        rows.clear();
        for (Index n = first; n < std::min(first + lanes, outputs); ++n)
          rows.push_back(from + i * weights.i + n / p.d * weights.j + weights.along(n % p.d));
        for (Index k = 0; k < p.c; ++k, to += lanes)
          for (std::size_t n = 0; n < rows.size(); ++n) to[n] = rows[n][k * weights.k];
      }
    });
    return packed;
  });
}

std::shared_ptr<const void> pack_within(DType dtype, const Weights& weights, Index lanes) {
  return visit(dtype, [&](auto tag) -> std::shared_ptr<const void> {
    using T = decltype(tag);
    const Pattern& p = weights.pattern;
    const Index vectors = weights.i == 0 ? 1 : p.rows() / lanes;
    const auto packed = allocate<T>(vectors * p.c * lanes);
    const T* from = static_cast<const T*>(weights.values);
    // Every SIMD vector holds whole blocks: where its weights stand in them is found once.
    const Index blocks = lanes / (p.c * p.d);
    std::vector<Index> at;
    for (Index q = 0; q < p.c; ++q)
      for (Index n = 0; n < lanes; ++n) {
        const Index i = n / (p.c * p.d), j = n / p.d % p.c, l = n % p.d;
        at.push_back(i * weights.i + j * weights.j + (j ^ q) * weights.k + weights.along(l));
      }
    in_shares(vectors, copied * static_cast<double>(at.size()), [&](Index begin, Index end) {
      T* to = packed.get() + begin * p.c * lanes;
      for (Index v = begin; v < end; ++v)
        for (const Index offset : at) *to++ = from[v * blocks * weights.i + offset];
    });
    return packed;
  });
}

}  // namespace papilio
