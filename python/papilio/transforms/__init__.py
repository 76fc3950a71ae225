"""Classical fast transforms, as exact butterflies or short compositions of them.

Normalizations are named as in `scipy.fft`: ``norm="backward"`` (the default) scales the inverse
only, ``"forward"`` the transform only, ``"ortho"`` both by the square root.

Operators are immutable; the last 64 of at most 4096 rows are remembered, so that the same call
gives the same operator at once.

NaN and infinity in the input of a product spread over all outputs that their sums reach: of
Fourier, cosine, sine and Hartley transforms, convolutions and shifts all of that vector's outputs,
as in `scipy.fft`. In what an operator is made of (``c`` of `circulant`) they are a ValueError.
"""

from .block_convolution import block_circulant, block_toeplitz
from .chirp import czt, zoom_fft
from .convolution import circulant, circulant_pinv, convolution, shift, toeplitz
from .fourier import dft, hartley, idft, irdft, rdft
from .hadamard import haar, hadamard
from .nonuniform import NonuniformFourier, ToleranceWarning, nudft
from .nonuniform_report import NonuniformReport
from .polynomials import chebyshev_to_legendre, legendre_to_chebyshev
from .toeplitz_solver import ToeplitzSolution, solve_toeplitz
from .trigonometric import dct, dst

__all__ = [
    "NonuniformFourier",
    "NonuniformReport",
    "ToeplitzSolution",
    "ToleranceWarning",
    "block_circulant",
    "block_toeplitz",
    "chebyshev_to_legendre",
    "circulant",
    "circulant_pinv",
    "convolution",
    "czt",
    "dct",
    "dft",
    "dst",
    "haar",
    "hadamard",
    "hartley",
    "idft",
    "irdft",
    "legendre_to_chebyshev",
    "nudft",
    "rdft",
    "shift",
    "solve_toeplitz",
    "toeplitz",
    "zoom_fft",
]


def __dir__() -> list[str]:
    return __all__
