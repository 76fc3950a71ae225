// Products with a block: a kernel's call, or several where one would keep Ctrl-C waiting.
#include "factorize/block_svd_parts.hpp"

namespace papilio {

using namespace block_svd;

template <class T>
void BlockSvd<T>::form_gram(const Panel& panel) {
  const Index height = part_of(s_, s_ * t_, 1);
  if (height >= s_) return kernels_.cross(panel, panel, gram_.data());
  const T* data = static_cast<const T*>(panel.data);
  for (Index first = 0; first < s_; first += height) {
    poll_interruption();
    const Index last = std::min(first + height, s_);
    part_.resize(elements((last - first) * last));
    kernels_.cross({data + first * panel.row_step, last - first, t_, panel.row_step},
                   {data, last, t_, panel.row_step}, part_.data());
    for (Index i = first; i < last; ++i)
      for (Index j = 0; j <= i; ++j) {
        const T sum = part_[elements((i - first) * last + j)];
        gram_[elements(j * s_ + i)] = conjugate(sum);
        gram_[elements(i * s_ + j)] = sum;
      }
  }
}

template <class T>
void BlockSvd<T>::cross(const Panel& x, const Panel& y, T* out) {
  const Index height = part_of(x.rows, y.rows * x.columns, 4);
  const T* data = static_cast<const T*>(x.data);
  for (Index first = 0; first < x.rows; first += height) {
    poll_interruption();
    const Index count = std::min(height, x.rows - first);
    kernels_.cross({data + first * x.row_step, count, x.columns, x.row_step}, y,
                   out + first * y.rows);
  }
}

template <class T>
void BlockSvd<T>::project(const Panel& panel, const T* u, Index rank, T* out, Index out_step) {
  const Index lanes = product_kernels_.lanes;
  const Index width = part_of(t_, s_ * rank, lanes);
  const T* data = static_cast<const T*>(panel.data);
  for (Index first = 0; first < t_; first += width) {
    if (width < t_) poll_interruption();
    const Index count = std::min(width, t_ - first);
    kernels::StageArguments stage{};
    stage.b = rank;
    stage.c = s_;
    stage.d = 1;
    stage.weights = u;
    stage.weight_j = s_;
    stage.weight_k = 1;
    stage.conjugate = !std::is_same<T, R>::value;
    stage.in = data + first;
    stage.out = out + first;
    stage.i1 = stage.l1 = 1;
    stage.count = count / lanes;
    stage.tail = count % lanes;
    stage.in_row = panel.row_step;
    stage.out_row = out_step;
    stage.in_step = stage.out_step = lanes;
    product_kernels_.columns(stage);
  }
}

template <class T>
double BlockSvd<T>::residual(const Panel& panel, const T* u, Panel r, T* out, Index out_step) {
  const Index width = part_of(t_, s_ * (r.rows + 1), kernels_.lanes * kernels::chunk_vectors);
  const T *data = static_cast<const T*>(panel.data), *rows = static_cast<const T*>(r.data);
  double total = 0;
  for (Index first = 0; first < t_; first += width) {
    if (width < t_) poll_interruption();
    const Index count = std::min(width, t_ - first);
    total += kernels_.residual({data + first, s_, count, panel.row_step}, u,
                               {rows ? rows + first : nullptr, r.rows, count, r.row_step},
                               out ? out + first : nullptr, out_step);
  }
  return total;
}

#define PAPILIO_INSTANTIATE(T)                                                  \
  template void BlockSvd<T>::form_gram(const Panel&);                           \
  template void BlockSvd<T>::cross(const Panel&, const Panel&, T*);             \
  template void BlockSvd<T>::project(const Panel&, const T*, Index, T*, Index); \
  template double BlockSvd<T>::residual(const Panel&, const T*, Panel, T*, Index);
PAPILIO_FOR_ELEMENT_TYPES(PAPILIO_INSTANTIATE)
#undef PAPILIO_INSTANTIATE

}  // namespace papilio
