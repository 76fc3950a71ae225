// Halves of the columns of chunks, by spectral clustering.
#include <cmath>
#include <numeric>

#include "factorize/row_products.hpp"

namespace papilio {

namespace {

/// |<p, q>|^2 is the inner product of p p^H and q q^H, which are some real numbers for each pair of
/// rows: (|x|^2, |y|^2, sqrt(2) x y), the last one in two parts if it is complex.
template <class T>
constexpr Index features_of_a_pair = std::is_same<T, double>::value ? 3 : 4;

inline void set_mixed(double* to, double mixed) { to[0] = mixed; }
inline void set_mixed(double* to, std::complex<double> mixed) {
  to[0] = mixed.real();
  to[1] = mixed.imag();
}

/// The features of one column after the other: `count` pairs each.
template <class T>
void set_features(const T* chunk, Index size, const Index* pairs, Index count, double normalization,
                  double* features) {
  constexpr Index each = features_of_a_pair<T>;
  constexpr Index together = 8;  // columns that share cache lines
  for (Index begin = 0; begin < size; begin += together)
    for (Index n = 0; n < count; ++n) {
      const T *upper = chunk + pairs[2 * n] * size, *lower = chunk + pairs[2 * n + 1] * size;
      for (Index j = begin; j < std::min(begin + together, size); ++j) {
        const T x = upper[j], y = lower[j];
        const double x2 = squared(x), y2 = squared(y), norm = x2 + y2;
        double by = 1;
        if (norm > 0) by = normalization == 1 ? 1 / norm : std::pow(norm, -normalization);
        double* to = features + (j * count + n) * each;
        to[0] = x2 * by;
        to[1] = y2 * by;
        set_mixed(to + 2, std::sqrt(2.0) * by * conjugate(x) * y);
      }
    }
}

/// The columns of one chunk in the order of the second eigenvector of its affinities, which are
/// destroyed.
class Sorter {
 public:
  explicit Sorter(Index size)
      : kernels_(kernels::block_kernels_for(DType::float64)),
        size_(size),
        scale_(elements(size)),
        values_(elements(size + 1)),
        vectors_(elements(2 * size)),
        work_(elements(kernels::hermitian_work(size))) {}

  void sort(double* affinity, Index* order) {
    for (Index i = 0; i < size_; ++i) {
      const double degree = std::accumulate(affinity + i * size_, affinity + (i + 1) * size_, 0.0);
      scale_[elements(i)] = degree > 0 ? 1 / std::sqrt(degree) : 1;
    }
    for (Index i = 0; i < size_; ++i)
      for (Index j = 0; j < size_; ++j)
        affinity[i * size_ + j] *= scale_[elements(i)] * scale_[elements(j)];
    if (!kernels_.hermitian(size_, 2, affinity, values_.data(), vectors_.data(), work_.data()))
      throw std::runtime_error("the eigenvectors of an affinity matrix were not found");
    double* second = vectors_.data() + size_;
    for (Index i = 0; i < size_; ++i) second[i] *= scale_[elements(i)];
    std::iota(order, order + size_, Index{0});
    std::stable_sort(order, order + size_, [&](Index i, Index k) { return second[i] < second[k]; });
  }

 private:
  const kernels::BlockKernels& kernels_;
  Index size_;
  std::vector<double> scale_, values_, vectors_, work_;
};

template <class T>
void bisect(const RowClasses& classes, const Index* pairs, Index count, double normalization,
            Index* halves) {
  const Index size = classes.size, width = count * features_of_a_pair<T>;
  const T* values = static_cast<const T*>(classes.values);
  const auto entries = static_cast<double>(size * size);
  std::vector<double> features(elements(classes.chunks * size * width));
  in_shares(classes.chunks, 4.0 * static_cast<double>(size * count), [&](Index begin, Index end) {
    for (Index c = begin; c < end; ++c)
      set_features(values + c * size * size, size, pairs, count, normalization,
                   features.data() + c * size * width);
  });
  std::vector<double> affinity(elements(classes.chunks * size * size));
  for (Index c = 0; c < classes.chunks; ++c) {
    const double* rows = features.data() + c * size * width;
    fill_symmetric(size, 30.0 * static_cast<double>(width), affinity.data() + c * size * size,
                   [&](Index first, Index height, Index second, Index across, auto set) {
                     RowProducts<double> products(width);
                     products.compute(rows + first * width, height, rows + second * width, across);
                     for (Index i = 0; i < height; ++i)
                       for (Index k = 0; k < across; ++k) set(i, k, products(i, k));
                   });
  }
  in_shares(classes.chunks, entries * static_cast<double>(size) / 4, [&](Index begin, Index end) {
    Sorter sorter(size);
    for (Index c = begin; c < end; ++c) {
      poll_interruption();
      sorter.sort(affinity.data() + c * size * size, halves + c * size);
    }
  });
}

}  // namespace

void bisect_columns(const RowClasses& classes, const Index* pairs, Index count,
                    double normalization, Index* halves) {
  visit_double(classes.dtype, [&](auto tag) {
    bisect<decltype(tag)>(classes, pairs, count, normalization, halves);
  });
}

}  // namespace papilio
