"""The chirp z-transform: polynomials on a spiral, spectra on any part of the circle."""

from __future__ import annotations

import math
import warnings
from decimal import Context, Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .._util.checks import complex_number, exact_number, finite_number, flag, length
from .._util.double_double import Pair, added, multiplied
from .._util.dtypes import as_array, as_dtype
from .._util.turns import turns_of, waves
from ..operators import Composition, dense, no_inverse
from .common import or_dense
from .fourier import COMPLEX, butterfly_dft, fast_length, sparse

_Array = np.ndarray[Any, Any]

# Of moduli of w and a that are taken for 1: the rounding of their parts.
_ROUNDING = 2.0**-51
# What rounding may be enlarged by, else the matrix is taken if it has at most so many entries; the
# error above which nothing is left.
_MOST_LOST, _LARGEST_MATRIX, _LARGEST_ERROR = 64.0, 1 << 22, 1e-2


def czt(
    n: int,
    m: int | None = None,
    w: complex | None = None,
    a: complex = 1,
    dtype: DTypeLike = np.complex128,
) -> Composition:
    """Return the chirp z-transform: ``sum_j x[j] z[k]^-j`` at the points ``z[k] = a w^-k``.

    Parameters
    ----------
    n : int
        Length of the vectors.
    m : int, optional
        Number of points. Default: n.
    w : complex, optional
        The ratio between points, not 0. Default: ``exp(-2 pi i / m)``, equally spaced points on the
        whole circle.
    a : complex, default 1
        The first point, not 0.
    dtype : dtype_like, default complex128
        complex64 or complex128.

    Returns
    -------
    Composition
        Of shape (m, n); ``czt(n, m, w, a) @ x`` equals ``scipy.signal.czt(x, m, w, a)``.
        Bluestein's composition of two transforms of at least n + m - 1 between chirps, or the
        matrix as one factor where it is so small that this is less work, or where w and a aren't
        on the circle and their powers have too large a range.

    Raises
    ------
    TypeError, ValueError
        For sizes that aren't positive whole numbers, a w or a that is 0 or isn't a finite number,
        powers of them that overflow, another dtype, or a larger matrix whose outputs would have
        errors above 1e-2 of their size.

    Warns
    -----
    RuntimeWarning
        If the matrix has more than 2^22 entries and errors are more than 64 machine epsilons.

    Notes
    -----
    The angles of w and a are multiplied and reduced as fractions of a turn with 128 bits, those of
    roots of unity up to order 2^20 exactly: a w that is ``exp(-2 pi i / q)`` up to rounding counts
    as that root, and a modulus that is 1 up to rounding as 1. Where the modulus of w isn't 1,
    Bluestein's errors grow with the range of ``abs(w) ** (k**2 / 2)``: an output is off by about as
    many machine epsilons, next to the norm of its row times that of x, as this is predicted to
    enlarge them. Where that is more than 64, the matrix is taken as one factor up to 2^22 entries,
    with errors of a few epsilons.

    L. I. Bluestein, "A linear filtering approach to the computation of discrete Fourier transform",
    1970; L. R. Rabiner, R. W. Schafer, C. M. Rader, "The chirp z-transform algorithm", 1969.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(5.0)
    >>> bool(np.allclose(pp.transforms.czt(5) @ x, np.fft.fft(x)))
    True
    >>> z = 2 * np.exp(2j * np.pi * np.arange(3) / 8)
    >>> F = pp.transforms.czt(5, 3, np.exp(-2j * np.pi / 8), 2)
    >>> bool(np.allclose(F @ x, np.polynomial.polynomial.polyval(1 / z, x)))
    True
    """
    n = length(n, "n")
    m = n if m is None else length(m, "m")
    chosen = as_dtype(dtype, COMPLEX)
    ratio = (Fraction(-1, m), Fraction(0)) if w is None else _polar(w, "w")
    return _chirp(n, m, ratio, _polar(a, "a"), chosen)


def zoom_fft(
    n: int,
    fn: ArrayLike,
    m: int | None = None,
    dtype: DTypeLike = np.complex128,
    *,
    fs: float = 2,
    endpoint: bool = False,
) -> Composition:
    """Return the Fourier transform at equally spaced frequencies of a range: a zoom.

    Parameters
    ----------
    n : int
        Length of the vectors.
    fn : float or (float, float)
        The range of frequencies ``f1, f2``; one number stands for ``0, f2``.
    m : int, optional
        Number of frequencies. Default: n.
    dtype : dtype_like, default complex128
        complex64 or complex128.
    fs : float, default 2
        The sampling frequency, in the units of fn.
    endpoint : bool, default False
        Whether f2 is the last frequency; it takes an m of at least 2.

    Returns
    -------
    Composition
        Of shape (m, n), with entries ``exp(-2 pi i j f[k] / fs)``: ``zoom_fft(n, fn, m) @ x``
        equals ``scipy.signal.zoom_fft(x, fn, m)``. Angles are exact fractions of a turn.

    Raises
    ------
    TypeError, ValueError
        For sizes that aren't positive whole numbers, frequencies that aren't one or two finite
        numbers, an fs that isn't positive or another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> t = np.arange(100) / 100
    >>> F = pp.transforms.zoom_fft(100, [10.0, 15.0], 21, fs=100, endpoint=True)
    >>> float(10 + 0.25 * np.argmax(abs(F @ np.cos(2 * np.pi * 12.25 * t))))
    12.25
    """
    n = length(n, "n")
    m = n if m is None else length(m, "m")
    chosen, endpoint = as_dtype(dtype, COMPLEX), flag(endpoint, "endpoint")
    ends = as_array(fn, "fn")
    if ends.size not in (1, 2) or ends.ndim > 1:
        raise ValueError(f"fn has shape {ends.shape}, expected one or two frequencies")
    first, last = [Fraction(0)] * (2 - ends.size) + [
        exact_number(f, "fn") for f in ends.ravel().tolist()
    ]
    finite_number(fs, "fs", positive=True)
    rate = exact_number(fs, "fs")
    if endpoint and m == 1:
        raise ValueError("m is 1, expected at least 2 frequencies for endpoint=True")
    step = (last - first) / (m - endpoint) / rate
    return _chirp(n, m, (-step, Fraction(0)), (first / rate, Fraction(0)), chosen)


_Polar = tuple[Fraction, Fraction]  # the angle in turns, the logarithm of the modulus


def _polar(value: Any, name: str) -> _Polar:
    number = complex_number(value, name)
    if number == 0:
        raise ValueError(f"{name} is {number}, expected a number that isn't 0")
    log_modulus = _log_modulus(number)  # of any number: the modulus itself may overflow
    return turns_of(number), Fraction(0) if abs(log_modulus) <= _ROUNDING else log_modulus


def _log_modulus(z: complex) -> Fraction:
    """To 40 digits of its own, also near 1: it is multiplied by ``j k``."""
    square = Fraction(z.real) ** 2 + Fraction(z.imag) ** 2
    digits = Context(prec=60)
    parts = Decimal(square.numerator), Decimal(square.denominator)
    return Fraction(digits.ln(digits.divide(*parts))) / 2


def _chirp(n: int, m: int, ratio: _Polar, start: _Polar, dtype: np.dtype[Any]) -> Composition:
    """``j k = (j^2 + k^2 - (k - j)^2) / 2``: a convolution with a chirp between two chirps."""
    largest, size = max(n, m), fast_length(n + m - 1)
    of_ratio, of_start = float(ratio[1]), float(start[1])
    lost = _lost_digits(n, m, size, of_ratio, of_start)
    # Powers of a that vanish, of a w on the circle, are entries that do.
    falling_start = abs(of_start) if of_ratio else max(0.0, -of_start)
    log_size = abs(of_ratio) * largest**2 / 2 + falling_start * n
    overflows = log_size > math.log(np.finfo(dtype).max) - math.log(2 * size)
    if (overflows or lost > math.log(_MOST_LOST)) and n * m <= _LARGEST_MATRIX:
        return _as_matrix(n, m, ratio, start, dtype)
    if overflows:
        raise _overflow(log_size)
    _check_lost(lost, ratio, dtype)
    half = ratio[0] / 2, ratio[1] / 2
    k, j = np.arange(m), np.arange(n)
    kernel = np.zeros(size, np.complex128)
    d = np.arange(largest)
    falling = _powers(half, -d * d)
    kernel[:m] = falling[:m]
    kernel[size - n + 1 :] = falling[n - 1 : 0 : -1]
    before = _powers(half, j * j) * _powers(start, -j)
    after = _powers(half, k * k)
    transform = butterfly_dft(size, dtype)
    array = scipy.sparse.csr_array
    F = Composition(
        [
            sparse(array((after, (k, k)), shape=(m, size)), dtype),
            transform.conj(),
            sparse(scipy.sparse.diags_array(np.fft.fft(kernel) / size), dtype),
            transform,
            sparse(array((before, (j, j)), shape=(size, n)), dtype),
        ]
    )
    return or_dense(F, partial(_matrix, j, k[:, None], ratio, start))


def _lost_digits(n: int, m: int, size: int, ratio: float, start: float) -> float:
    """The logarithm of what Bluestein's rounding is at most, in machine epsilons next to an output.

    Of a convolution with a vector b each output is off by about ``eps ||kernel|| ||b||`` over the
    square root of the transforms' length; the chirp before makes b, the one after goes over it.
    Row k of the matrix has the entries ``exp(j (k ratio - start))``.
    """
    if ratio == 0:
        return 0.0
    j, k, d = np.arange(n), np.arange(m), np.arange(1 - n, m)
    before = _log_norm(ratio * j * j / 2 - start * j)
    kernel = _log_norm(-ratio * d * d / 2)
    step = 2 * np.abs(k * ratio - start)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(step > 0, np.log(np.expm1(-n * step) / np.expm1(-step)), math.log(n))
    rows = np.maximum(0.0, (n - 1) * (k * ratio - start)) + terms / 2
    lost = (ratio / 2 * k * k + before + kernel - rows).max() - math.log(size) / 2
    return max(0.0, float(lost))


def _log_norm(logarithms: _Array) -> float:
    """The logarithm of the Euclidean norm of a vector whose entries' logarithms are given."""
    largest = float(logarithms.max())
    return largest + math.log(float(np.exp(2 * (logarithms - largest)).sum())) / 2


def _as_matrix(n: int, m: int, ratio: _Polar, start: _Polar, dtype: np.dtype[Any]) -> Composition:
    """The matrix as one factor: its rounding is that of each entry."""
    of_ratio, of_start = float(ratio[1]), float(start[1])
    corners = [j * (k * of_ratio - of_start) for j in (0, n - 1) for k in (0, m - 1)]
    if max(corners) > math.log(np.finfo(dtype).max) - math.log(2 * n):
        raise _overflow(max(corners))
    j, k = np.arange(n), np.arange(m)
    matrix = _matrix(j, k[:, None], ratio, start)
    return Composition([dense(matrix.astype(dtype))], no_inverse)


def _check_lost(lost: float, ratio: _Polar, dtype: np.dtype[Any]) -> None:
    """Warn where Bluestein's rounding is large, refuse where nothing but rounding is left."""
    if lost <= math.log(_MOST_LOST):
        return
    error = lost + math.log(np.finfo(dtype).eps)
    helps = "moduli of w closer to 1, fewer points" + (
        " or complex128" if dtype == np.complex64 else ""
    )
    told = (
        f"w has modulus {math.exp(ratio[1]):.8g}: outputs would be off by about "
        f"{math.exp(min(error, 700.0)):.1e} of their size; expected {helps}"
    )
    if error > math.log(_LARGEST_ERROR):
        raise ValueError(told)
    warnings.warn(told, RuntimeWarning, stacklevel=4)


def _overflow(log_size: float) -> ValueError:
    return ValueError(
        f"w and a have powers of size exp({log_size:.4g}) here, which overflow; expected moduli "
        "closer to 1 or fewer points"
    )


def _matrix(j: _Array, k: _Array, ratio: _Polar, start: _Polar) -> _Array:
    product: _Array = waves(ratio[0], j * k) * waves(start[0], -j)
    if ratio[1] or start[1]:
        product *= _exponential(added(_multiples(ratio[1], j * k), _multiples(start[1], -j)))
    return product


def _powers(polar: _Polar, exponents: _Array) -> _Array:
    angle, log_modulus = polar
    result = waves(angle, exponents)
    return result * _exponential(_multiples(log_modulus, exponents)) if log_modulus else result


def _multiples(logarithm: Fraction, numbers: _Array) -> Pair:
    """Of hundreds, the rounding of one double would be seen that many times."""
    high = float(logarithm)
    low = float(logarithm - Fraction(high))
    exact = numbers.astype(np.float64)
    return multiplied((np.asarray(high), np.asarray(low)), (exact, np.zeros_like(exact)))


def _exponential(x: Pair) -> _Array:
    values: _Array = np.exp(x[0]) * (1 + x[1])
    return values
