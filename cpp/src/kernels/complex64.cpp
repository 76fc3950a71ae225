#include "kernels/unit.hpp"

PAPILIO_KERNEL_UNIT(complex64, Complex<float>)
