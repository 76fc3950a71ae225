#include "kernels/unit.hpp"

PAPILIO_KERNEL_UNIT(complex128, Complex<double>)
