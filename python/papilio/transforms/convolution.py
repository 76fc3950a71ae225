"""Convolutions: circulant and Toeplitz matrices, shifts."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .._util.checks import length, one_of, real_number
from .._util.dtypes import as_array, as_dtype, promoted
from .._util.roots import roots_of_unity
from ..operators import Composition, Pairs, no_inverse
from .common import or_dense
from .fourier import REAL, butterfly_dft, fast_length, half_spectrum, sparse


def circulant(c: ArrayLike) -> Composition:
    """Return the circulant matrix with first column c.

    Parameters
    ----------
    c : array_like, shape (n,)
        The first column; its dtype is the operator's (integers become float64).

    Returns
    -------
    Composition
        Equal to ``scipy.linalg.circulant(c)``. For real c and even n it works in real arithmetic:
        transforms of n/2 complex numbers, a sparse matrix between them. ``inv()`` exists where all
        values of c's spectrum are larger than n eps times the largest, as in
        `scipy.linalg.solve_circulant`.

    Raises
    ------
    TypeError, ValueError
        If c isn't a numeric vector of at least one entry, all finite and so small that the
        spectrum doesn't overflow.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> pp.transforms.circulant([1.0, 2.0, 3.0]).toarray().round(12)
    array([[1., 3., 2.],
           [2., 1., 3.],
           [3., 2., 1.]])
    """
    values = _vector(c, "c")
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    with np.errstate(over="ignore", invalid="ignore"):
        spectrum = np.fft.fft(values.astype(wide))
    largest = np.abs(spectrum).max() / len(values)
    if not largest <= np.finfo(values.dtype).max:
        raise ValueError(
            f"c has entries up to {np.abs(values).max()}, so that its spectrum overflows"
        )
    # What the rounding of c and of its sums may have made of a zero.
    rounding = len(values) * float(np.finfo(values.dtype).eps)
    F = _diagonal_in_fourier(spectrum, values.dtype, rounding)
    return or_dense(F, partial(scipy.linalg.circulant, values))


def toeplitz(c: ArrayLike, r: ArrayLike | None = None) -> Composition:
    """Return the Toeplitz matrix with first column c and first row r.

    Parameters
    ----------
    c : array_like, shape (m,)
        The first column.
    r : array_like, shape (n,), optional
        The first row, whose first entry is ignored. Default: ``conj(c)``.

    Returns
    -------
    Composition
        Equal to ``scipy.linalg.toeplitz(c, r)``: a part of a circulant matrix of a fast length, or
        the matrix itself as one factor where it is so small that this is less work.

    Raises
    ------
    TypeError, ValueError
        If c or r isn't a numeric vector of at least one entry, all finite.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.transforms.toeplitz([1.0, 2.0], [1.0, 5.0, 6.0]).toarray().round(12)
    array([[1., 5., 6.],
           [2., 1., 5.]])
    """
    column = _vector(c, "c")
    row = column.conj() if r is None else _vector(r, "r")
    m, n = len(column), len(row)
    dtype = np.result_type(column, row)
    size = fast_length(m + n - 1)
    values = np.zeros(size, dtype)
    values[:m] = column
    if n > 1:
        values[size - n + 1 :] = row[:0:-1]
    padding = scipy.sparse.eye_array(size, n, format="csr")
    selection = scipy.sparse.eye_array(m, size, format="csr")
    real = np.dtype(dtype.char.lower())
    F = Composition([sparse(selection, real), circulant(values), sparse(padding, real)])
    return or_dense(F, partial(scipy.linalg.toeplitz, column, row))


def convolution(h: ArrayLike, n: int, mode: str = "full") -> Composition:
    """Return the convolution of vectors of length n with h.

    Parameters
    ----------
    h : array_like, shape (m,)
        The other vector.
    n : int
        Length of the vectors that the operator takes.
    mode : {"full", "same", "valid", "circular"}, default "full"
        "full", "same" and "valid" as in `scipy.signal.convolve` (for valid, m <= n); "circular" is
        the periodic convolution of length n, of an h of at most n entries.

    Returns
    -------
    Composition
        Of shape (n + m - 1, n), (n, n) or (n - m + 1, n).

    Raises
    ------
    TypeError, ValueError
        If h isn't a numeric vector of at least one entry, all finite, or too long, n isn't a
        positive whole number, or the mode is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.transforms.convolution([1.0, 2.0], 3)
    >>> (F @ np.array([1.0, 0.0, 1.0])).round(12)
    array([1., 2., 1., 2.])
    """
    values = _vector(h, "h")
    n = length(n, "n")
    m = len(values)
    mode = one_of(mode, "mode", ("full", "same", "valid", "circular"))
    if m > n and mode in ("valid", "circular"):
        raise ValueError(f"h has {m} entries, expected at most n = {n} for mode {mode!r}")
    if mode == "circular":
        return circulant(np.concatenate([values, np.zeros(n - m, values.dtype)]))
    rows = {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]
    first = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
    # Entry (i, j) is h[i + first - j].
    column, row = np.zeros(rows, values.dtype), np.zeros(n, values.dtype)
    column[: max(0, min(rows, m - first))] = values[first : first + rows]
    row[: first + 1] = values[first::-1][:n]
    return toeplitz(column, row)


def shift(n: int, distance: float, dtype: DTypeLike = np.float64) -> Composition:
    """Return the periodic shift of n samples by a real distance, by Fourier interpolation.

    Parameters
    ----------
    n : int
        Number of samples.
    distance : float
        In samples, to the right: entry j of the result is the interpolant at ``j - distance``. For
        whole numbers it is ``numpy.roll(x, distance)``, up to rounding. Only ``distance`` modulo n
        counts, however large it is.
    dtype : dtype_like, default float64
        float32 or float64.

    Returns
    -------
    Composition
        Real: for even n the highest frequency is multiplied by ``cos(pi distance)``. ``inv()`` is
        the shift back, if that isn't zero.

    Raises
    ------
    TypeError, ValueError
        For an n that isn't a positive whole number, a distance that isn't a finite number, or
        another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> (pp.transforms.shift(4, 1) @ np.arange(4.0)).round(12)
    array([3., 0., 1., 2.])
    """
    n = length(n, "n")
    chosen = as_dtype(dtype, REAL)
    distance = math.remainder(real_number(distance, "distance"), n)  # exact
    whole = round(distance)
    # Frequencies times the rest are at most a quarter turn: no phase loses digits.
    frequency = np.arange(n) - n * (np.arange(n) > n // 2)
    rest = np.exp(-2j * np.pi / n * (distance - whole) * frequency)
    spectrum = roots_of_unity(n, frequency * whole) * rest
    if n % 2 == 0:
        spectrum[n // 2] = (-1) ** whole * np.cos(np.pi * (distance - whole))
    return _diagonal_in_fourier(spectrum, chosen, float(np.finfo(chosen).eps))


def _vector(values: ArrayLike, name: str) -> Any:
    array = as_array(values, name)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected a vector")
    vector = array.astype(promoted(array.dtype, name))
    wrong = np.flatnonzero(~np.isfinite(vector))
    if len(wrong):
        raise ValueError(
            f"{name} has {vector[wrong[0]]} at entry {wrong[0]}, expected finite numbers"
        )
    return vector


def _diagonal_in_fourier(spectrum: Any, dtype: np.dtype[Any], rounding: float = 0.0) -> Composition:
    """``dft.H @ diag(spectrum / n) @ dft``, whose result is real if dtype is.

    It has an inverse if no value is below `rounding` times the largest.
    """
    n = len(spectrum)
    inverse: Any = no_inverse
    if np.all(np.abs(spectrum) > rounding * np.abs(spectrum).max()):
        with np.errstate(over="ignore", invalid="ignore"):
            reciprocals = 1 / spectrum
        if np.abs(reciprocals).max() <= np.finfo(dtype).max:
            inverse = partial(_diagonal_in_fourier, reciprocals, dtype, rounding)
    diagonal = scipy.sparse.diags_array(spectrum / n)
    if dtype.kind == "c":
        transform = butterfly_dft(n, dtype)
        return Composition([transform.conj(), sparse(diagonal, dtype), transform], inverse)
    # dft = S R with R real (a transform of pairs) and S.H S = 2 I, or for odd n S a sum of pairs.
    S, parts = half_spectrum(n, dtype)
    back = Pairs(parts[0].butterfly.conj())
    if n % 2:
        pairs = scipy.sparse.csr_array(_as_pairs(diagonal))
        return Composition([parts[1].T, back, sparse(pairs, dtype), *parts], inverse)
    between = (S.conj().T @ diagonal @ S).real
    return Composition([back, sparse(between, dtype), *parts], inverse)


def _as_pairs(diagonal: Any) -> Any:
    """A complex diagonal matrix on pairs of real and imaginary parts."""
    values = diagonal.diagonal()
    n = len(values)
    even = 2 * np.arange(n)
    return scipy.sparse.csr_array(
        (
            np.concatenate([values.real, -values.imag, values.imag, values.real]),
            (
                np.concatenate([even, even, even + 1, even + 1]),
                np.concatenate([even, even + 1, even, even + 1]),
            ),
        ),
        shape=(2 * n, 2 * n),
    )
