#include "apply/pieces.hpp"

#include <algorithm>

#include "kernels/dispatch.hpp"
#include "papilio/interruption.hpp"

namespace papilio {

namespace {

constexpr Index permuted_radix = 8, permuted_levels = 3;
constexpr Index set_levels = 3;  // of blocks whose lines share a set of a cache

Index log2_of(Index n) {
  Index log = 0;
  for (; n > 1; n /= 2) ++log;
  return log;
}

class Divider {
 public:
  Divider(const Chain& chain, const std::vector<std::optional<Structure>>& structures, Lanes lanes,
          Index radix, bool permuted)
      : chain_(chain),
        structures_(structures),
        columns_(lanes == Lanes::columns),
        radix_(radix),
        permuted_(permuted),
        complex_(chain.dtype == DType::complex64 || chain.dtype == DType::complex128),
        lanes_(kernels::kernels_for(chain.dtype).lanes),
        real_lanes_(complex_ ? 2 * lanes_ : lanes_) {}

  std::vector<Piece> run() {
    const std::size_t count = structures_.size();
    for (std::size_t begin = 0; begin < count;) {
      std::size_t end = begin + 1;
      if (!structures_[begin]) {
        while (end < count && !structures_[end]) ++end;
        add_general(begin, end);
      } else {
        while (end < count && joins(end)) ++end;
        const std::size_t known = pieces_.size();
        if (!add_run(begin, end)) {
          pieces_.resize(known);
          add_general(begin, end);
        }
      }
      begin = end;
    }
    merge_pairs();
    return std::move(pieces_);
  }

 private:
  /// Whether factor s continues the run of radix 2 that factor s - 1 belongs to.
  bool joins(std::size_t s) const {
    const auto &left = structures_[s - 1], &right = structures_[s];
    if (!right || left->radix() != 2 || right->radix() != 2) return false;
    const auto product = compose(*left, *right, chain_.dtype);
    return product && is_supported(*product);
  }

  bool is_real(const Structure& structure) const {
    return structure.t.empty() && kind_of(structure) == MatrixKind::hadamard;
  }

  bool is_supported(const Structure& structure) const {
    const MatrixKind kind = kind_of(structure);
    if (!complex_) return kind == MatrixKind::hadamard;
    return is_real(structure) || structure.radix() == 2 || kind != MatrixKind::hadamard;
  }

  void add_general(std::size_t begin, std::size_t end) {
    for (const auto& [first, last] :
         group_factors(chain_, begin, end, std::min(radix_, Index{8}), columns_ ? 1 : lanes_))
      pieces_.push_back({first, last, std::nullopt, Stage::Kind::columns, false});
  }

  /// Whether a real stage runs as one of complex numbers: order 2 is a Fourier matrix, too, and
  /// their lanes serve any d.
  bool runs_as_complex(const Structure& structure, Stage::Kind kind) const {
    return kind == Stage::Kind::row_butterflies && structure.radix() == 2 &&
           !fits_rows(structure.pattern, true);
  }

  /// One stage of `levels` factors from `first` on; false if they have no common structure.
  bool add(std::size_t first, Index levels, Stage::Kind kind) {
    const std::size_t last = first + static_cast<std::size_t>(levels);
    std::optional<Structure> product = structures_[first];
    for (std::size_t s = first + 1; product && s < last; ++s)
      product = compose(*product, *structures_[s], chain_.dtype);
    if (!product || !is_supported(*product)) return false;
    const bool real = complex_ && is_real(*product) && !runs_as_complex(*product, kind);
    if (kind == Stage::Kind::permuted_butterflies && (real || !product->t.empty())) return false;
    if (kind == Stage::Kind::row_butterflies && !fits_rows(product->pattern, real)) return false;
    pieces_.push_back({first, last, std::move(product), kind, real});
    return true;
  }

  /// Whether kernels know the product of both radices, if not of two powers of two.
  static bool is_pair(Index left, Index right) {
    return (left == 3 && (right == 2 || right == 3)) || (left == 5 && right == 3);
  }

  /// Makes one stage of each two neighbours of such radices: a pass less. From the right end, so
  /// that of 5, 3, 3 the last two are one and of 5, 3, 2 too: small radices hold more in registers.
  void merge_pairs() {
    if (radix_ < permuted_radix) return;
    for (std::size_t n = pieces_.size(); n-- > 1;) {
      Piece &left = pieces_[n - 1], &right = pieces_[n];
      const bool mergeable = left.structure && right.structure && left.kind == right.kind &&
                             is_pair(left.structure->radix(), right.structure->radix());
      if (!mergeable) continue;
      std::optional<Structure> product = compose(*left.structure, *right.structure, chain_.dtype);
      if (!product || !is_supported(*product)) continue;
      if (!columns_ && !fits_rows(product->pattern, false)) continue;
      if (product->radix() > Index{1} << set_levels && shares_a_set(product->pattern, left.kind))
        continue;
      left = {left.first, right.last, std::move(product), left.kind, false};
      pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }

  /// Whether all lines of a block share one set of the nearest cache, which holds 8 of them or a
  /// few more: those that are a multiple of a page apart.
  bool shares_a_set(const Pattern& pattern, Stage::Kind kind) const {
    constexpr Index page = 4096;
    const Index bytes = pattern.d * static_cast<Index>(size_of(chain_.dtype));
    return kind == Stage::Kind::row_butterflies && bytes % page == 0;
  }

  /// How many of `most` levels a stage may have whose last factor is s.
  Index limit(std::size_t s, Index most, Stage::Kind kind) const {
    return shares_a_set(chain_.factors[s].pattern, kind) ? std::min(most, set_levels) : most;
  }

  /// Into how few stages the limit of levels allows to divide the factors [begin, end).
  Index least_stages(std::size_t begin, std::size_t end, Index most, Stage::Kind kind) const {
    Index count = 0;
    for (std::size_t last = end; last > begin; ++count)
      last -= std::min(last - begin, static_cast<std::size_t>(limit(last - 1, most, kind)));
    return count;
  }

  /// Divides the factors [begin, end) evenly into as few stages as may be, the larger ones at the
  /// right end. One level may go to a radix of 3 on the left, where that saves a stage.
  bool add_evenly(std::size_t begin, std::size_t end, Index most, Stage::Kind kind) {
    Index count = least_stages(begin, end, most, kind);
    const bool after_three = !pieces_.empty() && pieces_.back().last == begin &&
                             pieces_.back().structure && pieces_.back().structure->radix() == 3;
    if (after_three && least_stages(begin + 1, end, most, kind) < count) {
      if (!add(begin, 1, kind)) return false;
      ++begin, --count;
    }
    std::vector<Index> stages;
    for (std::size_t last = end; count > 0; --count) {
      stages.push_back((static_cast<Index>(last - begin) + count - 1) / count);
      last -= static_cast<std::size_t>(stages.back());
    }
    for (auto levels = stages.rbegin(); levels != stages.rend(); ++levels) {
      if (!add(begin, *levels, kind)) return false;
      begin += static_cast<std::size_t>(*levels);
    }
    return true;
  }

  /// Whether lanes along l serve such a stage: of complex numbers they run on through the next
  /// block, as long as they fill a SIMD vector.
  bool fits_rows(const Pattern& p, bool real) const {
    if (complex_ && !real) return p.a * p.d >= real_lanes_;
    return (complex_ ? 2 : 1) * p.d % real_lanes_ == 0;
  }

  bool add_run(std::size_t begin, std::size_t end) {
    const Pattern& smallest = chain_.factors[end - 1].pattern;
    const Index levels = static_cast<Index>(end - begin);
    bool real = true;
    for (std::size_t s = begin; s < end; ++s) real &= is_real(*structures_[s]);
    const DType real_type = chain_.dtype == DType::complex64    ? DType::float32
                            : chain_.dtype == DType::complex128 ? DType::float64
                                                                : chain_.dtype;
    const kernels::ButterflyKernels& kernels =
        kernels::kernels_for(real ? real_type : chain_.dtype).butterflies;
    const Index most = std::max(log2_of(std::min(radix_, kernels.radix)), Index{1});
    if (columns_) return add_evenly(begin, end, most, Stage::Kind::column_butterflies);
    // What is left of `stop` runs with lanes along l, the rest otherwise.
    std::size_t stop = end;
    enum class Rest { none, permuted, within, general } rest = Rest::none;
    const Index d = real && complex_ ? 2 * smallest.d : smallest.d;
    const bool whole_vectors = real && smallest.b == 2 && d < real_lanes_ && real_lanes_ % d == 0;
    if (!real && permuted_ && end == structures_.size() && smallest.d == 1 &&
        levels >= permuted_levels && radix_ >= permuted_radix) {
      rest = Rest::permuted;
      stop = end - permuted_levels;
    } else if (whole_vectors && levels >= log2_of(real_lanes_ / d)) {
      rest = Rest::within;
      const Index exchanges = log2_of(real_lanes_ / d), others = levels - exchanges;
      const Index stages = (others + most - 1) / most;
      stop =
          end - static_cast<std::size_t>(exchanges + (stages ? (others + stages - 1) / stages : 0));
    } else {
      if (complex_ && levels == 1 && !fits_rows(smallest, real)) real = false;
      while (stop > begin && !fits_rows(chain_.factors[stop - 1].pattern, real)) --stop;
      if (stop < end || !fits_rows(smallest, real)) rest = Rest::general;
    }
    if (stop > begin && !add_evenly(begin, stop, most, Stage::Kind::row_butterflies)) return false;
    if (rest == Rest::general) add_general(stop, end);
    if (rest == Rest::permuted)
      return add(stop, permuted_levels, Stage::Kind::permuted_butterflies);
    if (rest == Rest::within)
      return add(stop, static_cast<Index>(end - stop), Stage::Kind::within_butterflies);
    return true;
  }

  const Chain& chain_;
  const std::vector<std::optional<Structure>>& structures_;
  bool columns_;
  Index radix_;
  bool permuted_, complex_;
  Index lanes_, real_lanes_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<Piece> divide(const Chain& chain,
                          const std::vector<std::optional<Structure>>& structures, Lanes lanes,
                          Index radix, const std::vector<Index>& permuted_blocks) {
  return Divider(chain, structures, lanes, radix, !permuted_blocks.empty()).run();
}

std::vector<Index> order_blocks(const std::vector<Index>& gather, Index lanes) {
  const Index count = static_cast<Index>(gather.size()) / permuted_radix;
  if (gather.empty() || static_cast<Index>(gather.size()) % permuted_radix || count < lanes)
    return {};
  const auto row = [&](Index block, Index k) {
    return gather[static_cast<std::size_t>(block * permuted_radix + k)];
  };
  // In the order of their first rows, each of which is that of one block.
  std::vector<Index> block_at(gather.size(), -1), blocks;
  for (Index block = 0; block < count; ++block)
    block_at[static_cast<std::size_t>(row(block, 0))] = block;
  for (const Index block : block_at)
    if (block >= 0) blocks.push_back(block);
  poll_interruption();
  // The last run is whole too: it repeats some blocks of the one before.
  if (const Index rest = count % lanes) {
    const std::vector<Index> last(blocks.end() - lanes, blocks.end());
    blocks.resize(static_cast<std::size_t>(count - rest));
    blocks.insert(blocks.end(), last.begin(), last.end());
  }
  for (std::size_t n = 0; n < blocks.size(); n += static_cast<std::size_t>(lanes))
    for (Index lane = 1; lane < lanes; ++lane)
      for (Index k = 0; k < permuted_radix; ++k)
        if (row(blocks[n + static_cast<std::size_t>(lane)], k) != row(blocks[n], k) + lane)
          return {};
  return blocks;
}

}  // namespace papilio
