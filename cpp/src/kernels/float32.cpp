#include "kernels/unit.hpp"

PAPILIO_KERNEL_UNIT(float32, Real<float>)
