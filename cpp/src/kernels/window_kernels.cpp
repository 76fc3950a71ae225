// The kernels for points on grids, for one instruction set: a unit of its own, of all types.
#include "kernels/windows.hpp"

namespace papilio {
namespace kernels {
namespace {

constexpr WindowTable window_table = {
    {window_kernels(Real<float>{}), window_kernels(Real<double>{}),
     window_kernels(Complex<float>{}), window_kernels(Complex<double>{})}};

}  // namespace

const WindowTable& PAPILIO_JOIN(window_table_, PAPILIO_ISA_NAME)();
const WindowTable& PAPILIO_JOIN(window_table_, PAPILIO_ISA_NAME)() { return window_table; }

}  // namespace kernels
}  // namespace papilio
