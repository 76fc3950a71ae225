"""Classical fast transforms as exact butterflies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .architecture import Architecture
from .butterfly import Butterfly, from_owned
from .dtypes import SUPPORTED
from .pattern import power_of_two
from .permutations import as_permutation, bit_reversal

__all__ = ["dft", "hadamard", "idft"]


def hadamard(n: int, dtype: DTypeLike = np.float64) -> Butterfly:
    """Return the Hadamard matrix of order n in natural order.

    Parameters
    ----------
    n : int
        A power of two.
    dtype : dtype_like, default float64
        float32, float64, complex64 or complex128.

    Returns
    -------
    Butterfly
        Equal to ``scipy.linalg.hadamard(n)``. All factors are tied: four values each.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.transforms.hadamard(4).toarray()
    array([[ 1.,  1.,  1.,  1.],
           [ 1., -1.,  1., -1.],
           [ 1.,  1., -1., -1.],
           [ 1., -1., -1.,  1.]])
    """
    n = power_of_two(n, "n")
    chosen = _chosen(dtype, SUPPORTED)
    architecture = Architecture.square_dyadic(n)
    if n == 1:
        return from_owned(architecture, [np.ones((1, 1, 1, 1), chosen)], None, None)
    block = np.array([[1, 1], [1, -1]], chosen)[None, :, :, None]
    return from_owned(architecture, [block.copy() for _ in architecture], None, None)


def dft(n: int, dtype: DTypeLike = np.complex128) -> Butterfly:
    """Return the discrete Fourier transform of length n: ``exp(-2 pi i j k / n)``.

    Parameters
    ----------
    n : int
        A power of two.
    dtype : dtype_like, default complex128
        complex64 or complex128.

    Returns
    -------
    Butterfly
        ``dft(n) @ x`` equals ``scipy.fft.fft(x)``. The columns are permuted by bit reversal; the
        factors are tied along a, where the Cooley-Tukey twiddles repeat.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.dft(8) @ x, np.fft.fft(x)))
    True
    """
    return _fourier(n, dtype, inverse=False)


def idft(n: int, dtype: DTypeLike = np.complex128) -> Butterfly:
    """Return the inverse discrete Fourier transform: ``exp(2 pi i j k / n) / n``.

    Parameters and structure are those of `dft`; ``idft(n) @ x`` equals ``scipy.fft.ifft(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.idft(8) @ (pp.transforms.dft(8) @ x), x))
    True
    """
    return _fourier(n, dtype, inverse=True)


def _fourier(n: int, dtype: DTypeLike, inverse: bool) -> Butterfly:
    n = power_of_two(n, "n")
    chosen = _chosen(dtype, SUPPORTED[2:])
    architecture = Architecture.square_dyadic(n)
    if n == 1:
        return from_owned(architecture, [np.ones((1, 1, 1, 1), chosen)], None, None)
    values = []
    for pattern in architecture:
        roots = _roots_of_unity(2 * pattern.d)[: pattern.d]
        block = np.empty((1, 2, 2, pattern.d), np.complex128)
        block[0, :, 0] = 1
        block[0, 0, 1] = roots
        block[0, 1, 1] = -roots
        # 1/n is a half for each factor, which is exact.
        values.append((block.conj() / 2 if inverse else block).astype(chosen))
    reversal = as_permutation(bit_reversal(n), n, "column_permutation")
    return from_owned(architecture, values, None, reversal)


def _roots_of_unity(m: int) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """``exp(-2 pi i l / m)`` for l < m, from angles of at most pi/4, so that none is off by more
    than the rounding of its own parts and the quarter turns are exact."""
    quarter, rest = np.divmod(4 * np.arange(m), m)
    mirrored = 2 * rest > m
    angle = np.where(mirrored, m - rest, rest) * (np.pi / 2 / m)
    cosine, sine = np.cos(angle), np.sin(angle)
    first = np.where(mirrored, sine, cosine) - 1j * np.where(mirrored, cosine, sine)
    turned: np.ndarray[Any, np.dtype[np.complex128]] = np.select(
        [quarter == 0, quarter == 1, quarter == 2],
        [first, first.imag - 1j * first.real, -first],
        -first.imag + 1j * first.real,
    )
    return turned


def _chosen(dtype: DTypeLike, allowed: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    chosen = np.dtype(dtype)
    if chosen not in allowed:
        names = ", ".join(str(candidate) for candidate in allowed)
        raise TypeError(f"dtype is {chosen}, expected one of {names}")
    return chosen
