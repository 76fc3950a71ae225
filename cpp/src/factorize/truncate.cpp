#include "factorize/truncate.hpp"

#include <algorithm>
#include <memory>

namespace papilio {

template <class T>
void shrink_ranks(std::vector<Partial<T>>& factors) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t s = 0; s + 1 < factors.size(); ++s) {
      Partial<T>&left = factors[s], &right = factors[s + 1];
      const Interface old(left.pattern, right.pattern);
      const Index rank = std::min(old.rows(), old.cols());
      if (rank >= old.rank()) continue;
      const bool into_right = old.rows() <= old.cols();
      auto both = resized(left, right, old.rank(), rank);
      Partial<T>&new_left = both.first, &new_right = both.second;
      const Interface blocks(new_left.pattern, new_right.pattern);
      for (Index n = 0; n < blocks.blocks(); ++n) {
        const Strided<T> x = left_block(left, old, n), y = right_block(right, old, n);
        const Strided<T> u = left_block(new_left, blocks, n);
        const Strided<T> v = right_block(new_right, blocks, n);
        for (Index j = 0; j < old.rows(); ++j) {
          poll_interruption();
          for (Index k = 0; k < old.cols(); ++k) {
            T sum(0);
            for (Index rho = 0; rho < old.rank(); ++rho) sum += x(j, rho) * y(rho, k);
            (into_right ? v(j, k) : u(j, k)) = sum;
          }
        }
        for (Index i = 0; i < rank; ++i)
          for (Index j = 0; j < rank; ++j) (into_right ? u(i, j) : v(i, j)) = T(i == j ? 1 : 0);
      }
      left = std::move(new_left);
      right = std::move(new_right);
      changed = true;
    }
  }
}

namespace {

/// The truncation of one interface; returns what was discarded, squared.
template <class T>
double cut(const Partial<T>& left, const Partial<T>& right, Partial<T>& new_left,
           Partial<T>& new_right, Index rank, double cost) {
  const Interface old(left.pattern, right.pattern);
  const Interface blocks(new_left.pattern, new_right.pattern);
  const Index rows = old.rows(), inner = old.rank(), cols = old.cols();
  return for_blocks(
      0, blocks.blocks(), cost, 1, [](double) {},
      [&]() -> BlockWorker {
        auto svd = std::make_shared<BlockSvd<T>>(rows, inner, rank);
        auto core = std::make_shared<std::vector<T>>(static_cast<std::size_t>(rank * inner));
        return [&, svd, core, rank, inner, cols](Index n, double* to) {
          const Strided<T> x = left_block(left, old, n), y = right_block(right, old, n);
          const Strided<T> z = right_block(new_right, blocks, n);
          *to += svd->factor({x.data, x.row_step, x.col_step}, Gauge::left_orthonormal,
                             left_block(new_left, blocks, n), {core->data(), inner, 1});
          for (Index i = 0; i < rank; ++i) {
            if (inner * cols > 10000) poll_interruption();
            for (Index k = 0; k < cols; ++k) {
              T sum(0);
              for (Index t = 0; t < inner; ++t)
                sum += (*core)[static_cast<std::size_t>(i * inner + t)] * y(t, k);
              z(i, k) = sum;
            }
          }
        };
      })[0];
}

}  // namespace

template <class T>
double truncate(Partial<T>& left, Partial<T>& right, const Allowance& allowed, Index max_rank,
                std::vector<double>& tails) {
  const Interface old(left.pattern, right.pattern);
  const Index rows = old.rows(), inner = old.rank();
  const std::size_t width = static_cast<std::size_t>(std::min(rows, inner));
  const double cost = cut_cost(old, !std::is_same<T, Real<T>>::value);
  const std::vector<double> energies = for_blocks(
      0, old.blocks(), cost, width, [](double) {},
      [&]() -> BlockWorker {
        auto svd = std::make_shared<BlockSvd<T>>(rows, inner, 1);
        return [&, svd](Index n, double* to) {
          const Strided<T> x = left_block(left, old, n);
          const auto& spectrum = svd->spectrum({x.data, x.row_step, x.col_step}, 1e-30);
          for (std::size_t k = 0; k < width; ++k) to[k] += spectrum[k];
        };
      });
  tails.assign(width + 1, 0.0);
  for (std::size_t k = width; k-- > 0;) tails[k] = tails[k + 1] + energies[k];
  Index rank = 1, full = static_cast<Index>(width);
  if (max_rank > 0) full = std::min(full, max_rank);
  while (rank < full && tails[static_cast<std::size_t>(rank)] > allowed.measured) ++rank;
  // What was measured can be off by rounding; what was discarded counts.
  for (;; ++rank) {
    auto both = resized(left, right, inner, rank);
    const double discarded = cut(left, right, both.first, both.second, rank, cost);
    if (discarded > allowed.discarded && rank < full) continue;
    tails[static_cast<std::size_t>(rank)] = discarded;
    left = std::move(both.first);
    right = std::move(both.second);
    return discarded;
  }
}

#define PAPILIO_INSTANTIATE(T)                          \
  template void shrink_ranks(std::vector<Partial<T>>&); \
  template double truncate(Partial<T>&, Partial<T>&, const Allowance&, Index, std::vector<double>&);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
