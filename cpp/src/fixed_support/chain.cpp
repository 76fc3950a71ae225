#include <cmath>
#include <limits>

#include "fixed_support/chain_passes.hpp"
#include "fixed_support/row_entries.hpp"

namespace papilio {

namespace {

// Of the squared gradient: what conjugate gradients leave is rounding.
constexpr double negligible = 1e-26;
// Of the largest curvature met: directions with less have one made of rounding, as the normal
// equations are singular where entries can take each other's place; steps along them have any
// length.
constexpr double least_curvature = 1e-14;

double real_part(double x) { return x; }
double real_part(std::complex<double> x) { return x.real(); }

/// Re sum conj(a) b
template <class T>
double real_product(const std::vector<T>& a, const std::vector<T>& b) {
  double sum = 0;
  for (std::size_t n = 0; n < a.size(); ++n) sum += real_part(conjugate(a[n]) * b[n]);
  return sum;
}

}  // namespace

template <class T>
struct SupportChain<T>::State {
  const RowMatrix matrix;
  const ChainPasses<T> rows, cols;
  std::vector<std::int64_t> offset{0};  // of the values of each factor
  double unreached = 0;

  State(const RowMatrix& A, const std::vector<FactorSupport>& supports)
      : matrix(A), rows(chain_side(supports)), cols(transposed(rows.side())) {
    for (const ChainLink& link : rows.side().links) offset.push_back(offset.back() + link.size());
    unreached = squares_outside();
  }

  Index links() const { return rows.links(); }

  /// Calls act(load) with what calls visit(column, entry) for a row of A.
  template <class Act>
  void with_entries(const Act& act) const {
    visit(matrix.dtype, [&](auto tag) {
      using D = decltype(tag);
      if constexpr (std::is_same<Wide<D>, T>::value) {
        const RowEntries<D> entries(matrix);
        act([&](Index first, Index count, const auto& visit) {
          entries.for_rows(first, count, visit);
        });
      }
    });
  }

  double squares_outside() const {
    std::vector<double> sums(at(rows.groups()));
    with_entries([&](const auto& load) {
      rows.run(static_cast<double>(matrix.rows * matrix.cols / chain_lanes),
               [&](Index group, ChainWalker<T>& walker) {
                 sums[at(group)] += walker.squares_outside(load);
               });
    });
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  }

  /// The squared error. With `only` < 0 the gradients of all factors are added to sums[group], else
  /// that of one; links() for none. They are sum conj(prefix) residual conj(suffix).
  double residual_pass(const T* values, Index only, std::vector<std::vector<T>>& sums) const {
    const auto packed = rows.values(values);
    const Index last = links() - 1, stop = only < 0 ? 0 : only;
    std::vector<double> errors(at(rows.groups()));
    with_entries([&](const auto& load) {
      rows.run(1.5 * rows.work(0), [&](Index group, ChainWalker<T>& walker) {
        for (Index n = 0; n <= last; ++n) walker.forward(n, packed[at(n)]);
        errors[at(group)] += walker.turn_residual(load);
        for (Index n = last; n >= stop; --n) {
          if (only < 0) walker.sample(n, sums[at(group)].data() + offset[at(n)]);
          if (n == only) walker.sample(n, sums[at(group)].data());
          if (n > stop) walker.backward(n, packed[at(n)]);
        }
      });
    });
    return unreached + std::accumulate(errors.begin(), errors.end(), 0.0);
  }

  /// out = sum of the sums, in order.
  static void add_up(const std::vector<std::vector<T>>& sums, T* out) {
    for (std::size_t k = 0; k < sums[0].size(); ++k) {
      T sum(0);
      for (const std::vector<T>& part : sums) sum += part[k];
      out[k] = sum;
    }
  }

  static std::vector<std::vector<T>> zeros(Index groups, std::int64_t size) {
    return std::vector<std::vector<T>>(at(groups), std::vector<T>(at(size)));
  }

  /// P^H P X Q Q^H at the entries of factor n's support, for the values of X there.
  std::vector<T> normal(const ChainPasses<T>& side, const std::vector<LinkValues<T>>& packed,
                        Index n, const std::vector<T>& direction) const {
    const bool mirrored = &side == &cols;
    const Index last = links() - 1, link = mirrored ? last - n : n;
    const ChainLink& factor = side.side().links[at(link)];
    LinkValues<T> own;
    own.take(factor, direction.data(), offset[at(n)]);
    auto sums = zeros(side.groups(), factor.size());
    side.run(side.work(link), [&](Index group, ChainWalker<T>& walker) {
      for (Index k = 0; k <= last; ++k) walker.forward(k, k == link ? own : packed[at(k)]);
      walker.turn();
      for (Index k = last; k > link; --k) walker.backward(k, packed[at(k)]);
      walker.sample(link, sums[at(group)].data());
    });
    std::vector<T> found(at(factor.size())), image(at(factor.size()));
    add_up(sums, found.data());
    for (std::size_t k = 0; k < found.size(); ++k)
      image[at(factor.from_row[k] - offset[at(n)])] = found[k];
    return image;
  }

  /// A few steps for min ||A - P X Q|| over the values of X = X_n.
  void improve(T* values, Index n, Index steps) const {
    const std::int64_t size = offset[at(n + 1)] - offset[at(n)];
    if (size == 0) return;
    auto sums = zeros(rows.groups(), size);
    residual_pass(values, n, sums);
    std::vector<T> rest(at(size));
    add_up(sums, rest.data());
    sums.clear();
    const ChainPasses<T>& side = rows.work(n) <= cols.work(links() - 1 - n) ? rows : cols;
    const auto packed = side.values(values);
    T* own = values + offset[at(n)];
    std::vector<T> direction = rest;
    double left = real_product(rest, rest);
    const double stop = negligible * left;
    double largest = 0;
    for (Index step = 0; step < steps && left > stop; ++step) {
      const std::vector<T> image = normal(side, packed, n, direction);
      const double curvature = real_product(direction, image);
      const double size2 = real_product(direction, direction);
      largest = std::max(largest, curvature / size2);
      if (!(curvature > least_curvature * largest * size2)) break;
      const double length = left / curvature;
      for (std::size_t k = 0; k < rest.size(); ++k) {
        own[k] += length * direction[k];
        rest[k] -= length * image[k];
      }
      const double before = left;
      left = real_product(rest, rest);
      for (std::size_t k = 0; k < rest.size(); ++k)
        direction[k] = rest[k] + left / before * direction[k];
    }
  }

  /// The squared norms of the columns of X_1, X_1 X_2, ..., seen from one end.
  static std::vector<std::vector<double>> prefix_norms(const ChainPasses<T>& side,
                                                       const T* values) {
    const auto packed = side.values(values);
    std::vector<std::vector<std::vector<double>>> sums(at(side.groups()));
    for (auto& levels : sums)
      for (const ChainLink& link : side.side().links) levels.emplace_back(at(link.cols));
    side.run(side.work(side.links()), [&](Index group, ChainWalker<T>& walker) {
      for (Index n = 0; n < side.links(); ++n) {
        walker.forward(n, packed[at(n)]);
        walker.for_reached(n, [&](Index column) {
          sums[at(group)][at(n)][at(column)] += squared_sum(walker.level(n)[column]);
        });
      }
    });
    for (std::size_t group = 1; group < sums.size(); ++group)
      for (std::size_t n = 0; n < sums[0].size(); ++n)
        for (std::size_t k = 0; k < sums[0][n].size(); ++k) sums[0][n][k] += sums[group][n][k];
    return sums[0];
  }
};

template <class T>
SupportChain<T>::SupportChain(const RowMatrix& matrix, const std::vector<FactorSupport>& supports)
    : state_(std::make_unique<State>(matrix, supports)) {}

template <class T>
SupportChain<T>::~SupportChain() = default;

template <class T>
Index SupportChain<T>::size() const {
  return state_->offset.back();
}

template <class T>
double SupportChain<T>::unreached() const {
  return state_->unreached;
}

template <class T>
double SupportChain<T>::squared_error(const T* values) const {
  std::vector<std::vector<T>> none;
  return state_->residual_pass(values, state_->links(), none);
}

template <class T>
double SupportChain<T>::gradient(const T* values, T* gradient) const {
  auto sums = State::zeros(state_->rows.groups(), size());
  const double error = state_->residual_pass(values, -1, sums);
  State::add_up(sums, gradient);
  for (Index k = 0; k < size(); ++k) gradient[k] *= -2.0;
  return error;
}

template <class T>
void SupportChain<T>::sweep(T* values, Index steps) const {
  for (Index n = 0; n < state_->links(); ++n) state_->improve(values, n, steps);
}

template <class T>
double SupportChain<T>::squared_norm(const T* values) const {
  const auto norms = State::prefix_norms(state_->rows, values);
  return std::accumulate(norms.back().begin(), norms.back().end(), 0.0);
}

template <class T>
double SupportChain<T>::growth(const T* values) const {
  const auto left = State::prefix_norms(state_->rows, values);
  const auto right = State::prefix_norms(state_->cols, values);
  double largest = 0;
  for (std::size_t n = 0; n + 1 < left.size(); ++n) {
    const std::vector<double>& other = right[left.size() - 2 - n];
    for (std::size_t k = 0; k < other.size(); ++k)
      largest = std::max(largest, std::sqrt(left[n][k]) * std::sqrt(other[k]));
  }
  return largest;
}

template class SupportChain<double>;
template class SupportChain<std::complex<double>>;

}  // namespace papilio
