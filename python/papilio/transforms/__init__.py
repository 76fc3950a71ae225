"""Classical fast transforms, as exact butterflies or short compositions of them.

Normalizations are named as in `scipy.fft`: ``norm="backward"`` (the default) scales the inverse
only, ``"forward"`` the transform only, ``"ortho"`` both by the square root.

Operators are immutable; the last 64 of at most 4096 rows are remembered, so that the same call
gives the same operator at once.

NaN and infinity in the input of a product spread over all outputs that their sums reach: of
Fourier, cosine, sine and Hartley transforms, convolutions and shifts all of that vector's outputs,
as in `scipy.fft`. In what an operator is made of (``c`` of `circulant`) they are a ValueError.
"""

from .convolution import circulant, convolution, shift, toeplitz
from .fourier import dft, hartley, idft, rdft
from .hadamard import haar, hadamard
from .nonuniform import nudft
from .polynomials import chebyshev_to_legendre, legendre_to_chebyshev
from .trigonometric import dct, dst

__all__ = [
    "chebyshev_to_legendre",
    "circulant",
    "convolution",
    "dct",
    "dft",
    "dst",
    "haar",
    "hadamard",
    "hartley",
    "idft",
    "legendre_to_chebyshev",
    "nudft",
    "rdft",
    "shift",
    "toeplitz",
]
