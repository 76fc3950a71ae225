"""Convolutions: circulant and Toeplitz matrices, one or several at once; shifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .._chains.scaling import shifted
from .._util.checks import exact_number, finite_number, length, one_of
from .._util.dtypes import as_array, as_dtype, promoted
from .._util.roots import roots_of_unity
from ..operators import Composition, Pairs, Sparse, along_axes, no_inverse, shaped
from .common import or_dense
from .fourier import (
    REAL,
    butterfly_dft,
    fast_length,
    half_spectrum,
    sparse,
)


def circulant(c: ArrayLike) -> Composition:
    """Return the circulant matrix with first column c, or several of them.

    Parameters
    ----------
    c : array_like, shape (n,) or (k, n)
        The first column; its dtype is the operator's (integers become float64). Or those of k
        matrices of the same size.

    Returns
    -------
    Composition
        Equal to ``scipy.linalg.circulant(c)``; of k matrices, to
        ``scipy.linalg.block_diag(*scipy.linalg.circulant(c))``, which multiplies a flattened array
        of shape (k, n) row by row. For real c and even n it works in real arithmetic:
        transforms of n/2 complex numbers, a sparse matrix between them. ``inv()`` exists where all
        values of c's spectrum are larger than n eps times the largest, as in
        `scipy.linalg.solve_circulant`.

    Raises
    ------
    TypeError, ValueError
        If c isn't a numeric array of that shape, of at least one entry, all finite and so small
        that the spectrum doesn't overflow.

    See Also
    --------
    circulant_pinv, block_circulant

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> pp.transforms.circulant([1.0, 2.0, 3.0]).toarray().round(12)
    array([[1., 3., 2.],
           [2., 1., 3.],
           [3., 2., 1.]])
    """
    return circulant_of(_vectors(c, "c"), "c")


def circulant_of(values: Any, name: str) -> Composition:
    """The circulant matrices of what was given under that name."""
    rounding = rounding_of(values.shape[-1], values)
    F = _diagonal_in_fourier(spectra_of(values, name), values.dtype, rounding)
    F = or_dense(F, partial(_blocks, scipy.linalg.circulant, values))
    return _of_rows(F, values.shape, values.shape)


def circulant_pinv(c: ArrayLike, rcond: float | None = None) -> Composition:
    """Return the Moore-Penrose pseudo-inverse of `circulant`, which is circulant.

    Parameters
    ----------
    c : array_like, shape (n,) or (k, n)
        As for `circulant`.
    rcond : float, optional
        Values of the spectrum (the eigenvalues; their moduli are the singular values) below rcond
        times the largest count as zero. Default: n eps, as where ``circulant(c).inv()`` is refused.

    Returns
    -------
    Composition
        Equal to ``numpy.linalg.pinv(scipy.linalg.circulant(c), rcond)``.

    Raises
    ------
    TypeError, ValueError
        As `circulant` does, or for an rcond that isn't between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> c = [2.0, -1.0, 0.0, -1.0]  # the periodic second difference: constants become 0
    >>> P, C = pp.transforms.circulant_pinv(c), pp.transforms.circulant(c).toarray()
    >>> bool(np.allclose(P @ C, np.eye(4) - 0.25))
    True
    """
    values = _vectors(c, "c")
    least = (
        rounding_of(values.shape[-1], values) if rcond is None else finite_number(rcond, "rcond")
    )
    if least > 1:
        raise ValueError(f"rcond is {least}, expected a number from 0 to 1")
    spectra = spectra_of(values, "c")
    sizes = np.abs(spectra)
    counted = sizes > least * sizes.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        inverse = np.where(counted, 1 / spectra, 0)
    if not np.abs(inverse).max() <= np.finfo(values.dtype).max:
        raise ValueError(
            "c has values of its spectrum whose reciprocals overflow, expected larger entries or "
            f"an rcond above {least}"
        )
    F = or_dense(_diagonal_in_fourier(inverse, values.dtype, least))
    return _of_rows(F, values.shape, values.shape)


def toeplitz(c: ArrayLike, r: ArrayLike | None = None) -> Composition:
    """Return the Toeplitz matrix with first column c and first row r, or several of them.

    Parameters
    ----------
    c : array_like, shape (m,) or (k, m)
        The first column, or those of k matrices.
    r : array_like, shape (n,) or (k, n), optional
        The first row, whose first entry is ignored. Default: ``conj(c)``.

    Returns
    -------
    Composition
        Equal to ``scipy.linalg.toeplitz(c, r)``, or to the block diagonal matrix of k of them,
        which multiplies a flattened array of shape (k, n) row by row: a part of a circulant matrix
        of a fast length, or the matrix itself as one factor where it is so small that this is less
        work.

    Raises
    ------
    TypeError, ValueError
        If c or r isn't a numeric array of that shape, of at least one entry, all finite.

    See Also
    --------
    solve_toeplitz, block_toeplitz

    Examples
    --------
    >>> import papilio as pp
    >>> pp.transforms.toeplitz([1.0, 2.0], [1.0, 5.0, 6.0]).toarray().round(12)
    array([[1., 5., 6.],
           [2., 1., 5.]])
    """
    column = _vectors(c, "c")
    row = column.conj() if r is None else _vectors(r, "r")
    if column.shape[:-1] != row.shape[:-1]:
        raise ValueError(f"r has shape {row.shape}, expected as many rows as c, {column.shape}")
    return _toeplitz(column, row, "c" if r is None else "c or r")


def _toeplitz(column: Any, row: Any, name: str) -> Composition:
    """The Toeplitz matrices of what was given under that name."""
    m, n = column.shape[-1], row.shape[-1]
    dtype = np.result_type(column, row)
    size = fast_length(m + n - 1)
    values = np.zeros((*column.shape[:-1], size), dtype)
    values[..., :m] = column
    if n > 1:
        values[..., size - n + 1 :] = row[..., :0:-1]
    F = inside(circulant_of(values, name), column.shape[:-1], (size,), (m,), (n,))
    F = or_dense(F, partial(_blocks, scipy.linalg.toeplitz, column, row))
    return _of_rows(F, column.shape, row.shape)


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
        return circulant_of(np.concatenate([values, np.zeros(n - m, values.dtype)]), "h")
    rows = {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]
    first = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
    # Entry (i, j) is h[i + first - j].
    column, row = np.zeros(rows, values.dtype), np.zeros(n, values.dtype)
    column[: max(0, min(rows, m - first))] = values[first : first + rows]
    row[: first + 1] = values[first::-1][:n]
    return _toeplitz(column, row, "h")


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
    exact = exact_number(distance, "distance")
    distance = float(exact - n * round(exact / n))
    whole = round(distance)
    # Frequencies times the rest are at most a quarter turn: no phase loses digits.
    frequency = np.arange(n) - n * (np.arange(n) > n // 2)
    rest = np.exp(-2j * np.pi / n * (distance - whole) * frequency)
    spectrum = roots_of_unity(n, frequency * whole) * rest
    if n % 2 == 0:
        spectrum[n // 2] = (-1) ** whole * np.cos(np.pi * (distance - whole))
    return _diagonal_in_fourier(spectrum, chosen, float(np.finfo(chosen).eps))


def array_of(values: ArrayLike, name: str, *, empty: bool = False) -> Any:
    """Finite numbers of a dtype that papilio knows, at least one of them unless `empty`."""
    array = as_array(values, name)
    if array.ndim == 0 or (array.size == 0 and not empty):
        raise ValueError(f"{name} has shape {array.shape}, expected an array of at least one entry")
    array = array.astype(promoted(array.dtype, name))
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        raise ValueError(
            f"{name} has {array[place]} at entry {place[0] if array.ndim == 1 else place}, "
            "expected finite numbers"
        )
    return array


def _vectors(values: ArrayLike, name: str) -> Any:
    """One vector, or several as rows."""
    array = as_array(values, name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected a vector, or rows of them")
    return array_of(array, name)


def _vector(values: ArrayLike, name: str) -> Any:
    array = as_array(values, name)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected a vector")
    return array_of(array, name)


def spectra_of(values: Any, name: str, axes: tuple[int, ...] = (-1,)) -> Any:
    """The eigenvalues, in double precision; a ValueError if the dtype can't hold them.

    The name is that of the argument that has the values.
    """
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    with np.errstate(over="ignore", invalid="ignore"):
        spectra = np.fft.fftn(values.astype(wide), axes=axes)
        of_spectra = np.abs(spectra).max()
    count = math.prod(values.shape[axis] for axis in axes)
    if not of_spectra / count <= np.finfo(values.dtype).max:
        largest = max(np.abs(values.real).max(), np.abs(values.imag).max())
        raise ValueError(
            f"{name} has entries up to {largest:.3g}, so that the spectrum overflows "
            f"{values.dtype}, expected smaller ones"
        )
    return spectra


def rounding_of(n: int, values: Any) -> float:
    """What the rounding of n values and of their sums may have made of a zero."""
    return n * float(np.finfo(values.dtype).eps)


def _of_rows(F: Composition, rows: Sequence[int], columns: Sequence[int]) -> Composition:
    """F with the shapes of arrays, if it is that of several matrices at once."""
    return shaped(F, rows, columns) if len(rows) > 1 else F


def _blocks(make: Callable[..., Any], *vectors: Any) -> Any:
    """The block diagonal matrix of what is made of the rows."""
    if vectors[0].ndim == 1:
        return make(*vectors)
    return scipy.linalg.block_diag(*(make(*rows) for rows in zip(*vectors, strict=True)))


def inside(
    F: Composition,
    before: Sequence[int],
    sizes: Sequence[int],
    rows: Sequence[int],
    columns: Sequence[int],
) -> Composition:
    """The leading rows and columns along the axes of F's arrays; all along those before."""
    real = np.dtype(F.dtype.char.lower())

    def leading(shape: Sequence[int]) -> Any:
        places = np.arange(math.prod(before) * math.prod(sizes)).reshape(*before, *sizes)
        inner: Any = (..., *(slice(size) for size in shape))
        chosen = places[inner].ravel()
        ones, starts = np.ones(len(chosen)), np.arange(len(chosen) + 1)
        return scipy.sparse.csr_array((ones, chosen, starts), shape=(len(chosen), places.size))

    return Composition([sparse(leading(rows), real), F, sparse(leading(columns).T, real)])


def reciprocals_of(spectra: Any, dtype: np.dtype[Any], rounding: float) -> Any:
    """None if a value is below `rounding` times the largest of its own, or the dtype overflows."""
    axis = None if spectra.ndim == 1 else -1
    sizes = np.abs(spectra)
    if not np.all(sizes > rounding * sizes.max(axis=axis, keepdims=True)):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        reciprocals = 1 / spectra
    return reciprocals if np.abs(reciprocals).max() <= np.finfo(dtype).max else None


def _diagonal_in_fourier(spectrum: Any, dtype: np.dtype[Any], rounding: float = 0.0) -> Composition:
    """``dft.H @ diag(spectrum / n) @ dft``, whose result is real if dtype is; of k spectra, k.

    It has an inverse if no value is below `rounding` times the largest.
    """
    n = spectrum.shape[-1]
    copies = spectrum.size // n
    reciprocals = reciprocals_of(spectrum, dtype, rounding)
    inverse: Any = no_inverse
    if reciprocals is not None:
        inverse = partial(_diagonal_in_fourier, reciprocals, dtype, rounding)
    values, scales = lifted(spectrum, dtype)
    diagonal = scipy.sparse.diags_array(values.ravel() / n)

    def made(*parts: Any) -> Composition:
        F = Composition([*scales, *parts], inverse)
        return _of_rows(F, spectrum.shape, spectrum.shape)

    if dtype.kind == "c":
        transform = repeated(butterfly_dft(n, dtype), copies)
        return made(transform.conj(), sparse(diagonal, dtype), transform)
    # dft = S R with R real (a transform of pairs) and S.H S = 2 I, or for odd n S a sum of pairs.
    S, parts = half_spectrum(n, dtype)
    S, parts = _repeated_sparse(S, copies), [repeated(part, copies) for part in parts]
    back = Pairs(parts[0].butterfly.conj())
    if n % 2:
        pairs = scipy.sparse.csr_array(as_pairs(diagonal))
        return made(parts[1].T, back, sparse(pairs, dtype), *parts)
    between = (S.conj().T @ diagonal @ S).real
    return made(back, sparse(between, dtype), *parts)


def lifted(spectra: Any, dtype: np.dtype[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Spectra times powers of two where, divided by n, they would underflow; and what undoes it."""
    n, limits = spectra.shape[-1], np.finfo(dtype)
    largest = np.abs(spectra).max(axis=-1, keepdims=True)
    small = (largest > 0) & (largest < n * float(limits.tiny))
    if not small.any():
        return spectra, ()
    least = np.frexp(float(limits.smallest_subnormal))[1]
    powers = np.where(small, np.maximum(np.frexp(largest)[1] - n.bit_length(), least), 0)
    scales = np.ldexp(1.0, np.broadcast_to(powers, spectra.shape).ravel())
    undone = sparse(scipy.sparse.diags_array(scales), np.dtype(dtype.char.lower()))
    return shifted(spectra, -powers), (undone,)


def repeated(part: Any, copies: int) -> Any:
    """The part for so many vectors that lie one after the other."""
    if copies == 1:
        return part
    if isinstance(part, Sparse):
        return Sparse(_repeated_sparse(part.matrix, copies))
    if isinstance(part, Pairs):
        return Pairs(repeated(part.butterfly, copies))
    return along_axes([copies, part.shape[1]], [(1, part)])


def _repeated_sparse(matrix: Any, copies: int) -> Any:
    if copies == 1:
        return matrix
    return scipy.sparse.kron(scipy.sparse.eye_array(copies, dtype=np.int8), matrix, format="csr")


def as_pairs(diagonal: Any) -> Any:
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
