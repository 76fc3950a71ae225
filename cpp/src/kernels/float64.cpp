#include "kernels/unit.hpp"

PAPILIO_KERNEL_UNIT(float64, Real<double>)
