#include "factorize/merged_blocks.hpp"

#include <algorithm>
#include <memory>

namespace papilio {

template <class T>
struct MergedBlocks<T>::Range {
  Index first, last, i, e0, e1;
  bool loaded() const { return e1 > 0; }
  /// The number of a block in the interface.
  Index number(const Interface::Sizes& s, Index n) const {
    if (!loaded()) return n;
    const Index width = (e1 - e0) * s.d2, f = n / width, rest = n % width;
    return ((i * s.fn + f) * s.en + e0) * s.d2 + rest;
  }
  /// Where a block's rows are among the loaded ones.
  Interface::MatrixPosition place(const Interface::Sizes& s, Interface::MatrixPosition at) const {
    if (!loaded()) return at;
    const Index in_i = at.row - i * s.b1 * s.en * s.d2;
    return {in_i - e0 * s.d2, at.col, (e1 - e0) * s.d2, at.col_step};
  }
};

template <class T>
struct MergedBlocks<T>::Work {
  BlockSvd<T> svd;
  std::vector<T> copy;
  std::vector<const T*> lines;
};

/// Calls use(range) so that all blocks of the interface pass by; a matrix that isn't in memory is
/// loaded some rows at a time.
template <class T>
template <class Use>
void MergedBlocks<T>::for_ranges(const Interface& blocks, Use use) {
  if (!is_matrix() || matrix_.in_memory()) {
    use(Range{0, blocks.blocks(), 0, 0, 0});
    return;
  }
  const Interface::Sizes sizes = blocks.sizes();
  const Index row_bytes = matrix_.cols() * static_cast<Index>(sizeof(T));
  constexpr Index slab_bytes = Index{16} << 20;
  const Index most = std::clamp(slab_bytes / std::max(row_bytes * sizes.b1 * sizes.d2, Index{1}),
                                Index{1}, sizes.en);
  std::vector<Index> rows;
  for (Index i = 0; i < sizes.a1; ++i)
    for (Index e = 0; e < sizes.en; e += most) {
      const Index end = std::min(e + most, sizes.en);
      rows.clear();
      for (Index j = 0; j < sizes.b1; ++j)
        for (Index row = e * sizes.d2; row < end * sizes.d2; ++row)
          rows.push_back((i * sizes.b1 + j) * sizes.en * sizes.d2 + row);
      matrix_.load(rows);
      // Block numbers run (i, f, e, l): those of this part, counted in its own (f, e, l).
      use(Range{0, sizes.fn * (end - e) * sizes.d2, i, e, end});
    }
}

/// A block as it lies, or a copy where that isn't how it is to be read.
template <class T>
Strided<const T> MergedBlocks<T>::block(const Interface& blocks, const Range& range, Index number,
                                        Work& work) {
  if (!is_matrix()) {
    const Strided<T> found = whole_.block(blocks, number);
    return {found.data, found.row_step, found.col_step};
  }
  if (matrix_.is_plain()) return matrix_.in_place(blocks.matrix(number));
  const Index rows = blocks.rows(), cols = blocks.cols();
  work.copy.resize(static_cast<std::size_t>(rows * cols));
  matrix_.copy_block(range.place(blocks.sizes(), blocks.matrix(number)), rows, cols,
                     work.copy.data(), work.lines);
  return {work.copy.data(), cols, 1};
}

/// Runs worker(svd, block, its number, sums) for all blocks of the interface.
template <class T>
template <class Worker>
std::vector<double> MergedBlocks<T>::for_each(const Interface& blocks, Index rank,
                                              std::size_t width, Worker worker) {
  constexpr bool is_complex = !std::is_same<T, Real<T>>::value;
  const Interface::Sizes sizes = blocks.sizes();
  std::vector<double> sums(width);
  for_ranges(blocks, [&](const Range& range) {
    const std::vector<double> part =
        for_blocks(range.first, range.last, cut_cost(blocks, is_complex), width, tick_, [&]() {
          auto work =
              std::make_shared<Work>(Work{BlockSvd<T>(blocks.rows(), blocks.cols(), rank), {}, {}});
          return [&, work](Index n, double* to) {
            const Index number = range.number(sizes, n);
            worker(work->svd, block(blocks, range, number, *work), number, to);
          };
        });
    for (std::size_t n = 0; n < width; ++n) sums[n] += part[n];
  });
  return sums;
}

template <class T>
Cut MergedBlocks<T>::split(Gauge gauge, const Partial<T>& left, const Partial<T>& right) {
  const Interface blocks(left.pattern, right.pattern);
  const Index rank = blocks.rank(), cols = blocks.cols();
  const std::size_t width = 2 + static_cast<std::size_t>(rank);
  const std::vector<double> sums = for_each(
      blocks, rank, width, [&](BlockSvd<T>& svd, Strided<const T> block, Index n, double* to) {
        if (right.place) {
          // The result goes where the block is: its first rows.
          std::vector<T> rows(static_cast<std::size_t>(rank * cols));
          to[0] += svd.factor(block, gauge, left_block(left, blocks, n), {rows.data(), cols, 1});
          T* target = const_cast<T*>(block.data);
          for (Index rho = 0; rho < rank; ++rho)
            std::copy(rows.data() + rho * cols, rows.data() + (rho + 1) * cols,
                      target + rho * block.row_step);
        } else {
          to[0] +=
              svd.factor(block, gauge, left_block(left, blocks, n), right_block(right, blocks, n));
        }
        to[1] += svd.norm2();
        for (std::size_t k = 0; k < svd.kept().size(); ++k) to[2 + k] += svd.kept()[k];
      });
  // From the smallest on: differences would lose small tails.
  Cut result{sums[0], sums[1], std::vector<double>(width - 1, sums[0])};
  for (std::size_t k = width - 2; k-- > 0;) result.tails[k] = result.tails[k + 1] + sums[2 + k];
  return result;
}

template <class T>
std::vector<double> MergedBlocks<T>::measure(const Interface& blocks, double resolution) {
  const std::size_t width = static_cast<std::size_t>(std::min(blocks.rows(), blocks.cols()));
  const std::vector<double> energies =
      for_each(blocks, 1, width, [&](BlockSvd<T>& svd, Strided<const T> block, Index, double* to) {
        const std::vector<double>& spectrum = svd.spectrum(block, resolution);
        for (std::size_t k = 0; k < width; ++k) to[k] += spectrum[k];
      });
  std::vector<double> tails(width + 1);
  for (std::size_t k = width; k-- > 0;) tails[k] = tails[k + 1] + energies[k];
  return tails;
}

template class MergedBlocks<float>;
template class MergedBlocks<double>;
template class MergedBlocks<std::complex<float>>;
template class MergedBlocks<std::complex<double>>;

}  // namespace papilio
