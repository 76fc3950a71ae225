#include "kernels/dispatch.hpp"
#include "papilio/compress.hpp"
#include "papilio/interruption.hpp"
#include "parallel/shares.hpp"

namespace papilio {

void evaluate(EntryFunction function, void* user_data, Index count, Index rows, Index cols,
              const Index* i, const Index* j, void* out, Index element) {
  const double work = 10 * static_cast<double>(rows * cols);
  in_shares(count, work, [&](Index begin, Index end) {
    for (Index n = begin; n < end; ++n) {
      poll_interruption();
      function(rows, cols, i + n * rows, j + n * cols,
               static_cast<char*>(out) + n * rows * cols * element, user_data);
    }
  });
}

void wave(Index count, const double* turns, std::complex<double>* out) {
  const auto run = kernels::formula_table().wave;
  in_shares(count, 2, [&](Index begin, Index end) {
    run(end - begin, turns + begin, reinterpret_cast<double*>(out + begin));
  });
}

}  // namespace papilio
