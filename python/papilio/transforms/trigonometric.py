"""Cosine and sine transforms of types 1 to 4."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike

from .._util.checks import flag, number_of
from .._util.dtypes import as_dtype
from .._util.roots import roots_of_unity
from ..operators import Composition, Pairs, Part, complex_rows, real_part
from .common import Axes, Shape, kept, norm_name, or_dense, over_axes, scale_of
from .fourier import REAL, butterfly_dft, half_spectrum, sparse

_INVERSE_TYPE = {1: 1, 2: 3, 3: 2, 4: 4}


def dct(
    n: Shape,
    type: int = 2,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    norm: str | None = None,
    orthogonalize: bool | None = None,
) -> Composition:
    """Return the discrete cosine transform of length n.

    Parameters
    ----------
    n : int or sequence of int
        The length, at least 2 for type 1; or the shape of arrays, which are held as vectors in C
        order.
    type : {1, 2, 3, 4}, default 2
        As in `scipy.fft.dct`.
    dtype : dtype_like, default float64
        float32 or float64.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed, as in `scipy.fft.dctn`. Default: all.
    norm : {"backward", "ortho", "forward"}, default "backward"
        As in `scipy.fft.dct`; ortho makes the matrix orthogonal.
    orthogonalize : bool, optional
        Whether the first (for type 1 also the last) entry is weighted by sqrt(2) or its inverse, as
        in `scipy.fft.dct`, so that the matrix is a multiple of an orthogonal one. Default: for
        ``norm="ortho"`` only. Types 2 and 3, and type 1, are concerned.

    Returns
    -------
    Composition
        ``dct(n, type) @ x`` equals ``scipy.fft.dct(x, type, norm=norm)``: one complex transform of
        half the length (types 2 to 4, n even) or of n - 1 (type 1), in real arithmetic, between
        sparse matrices; or the matrix as one factor where n is so small that this is less work.
        ``inv()`` is the transform of the inverse type.

    Raises
    ------
    TypeError, ValueError
        For an n that isn't a whole number of that size, another type, dtype or norm.

    Notes
    -----
    J. Makhoul, "A fast cosine transform in one and two dimensions", 1980, for types 2 and 3.

    Examples
    --------
    >>> import numpy as np, scipy.fft
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.dct(8) @ x, scipy.fft.dct(x)))
    True
    """
    return _of_type(_dct, n, type, dtype, axes, norm, orthogonalize)


def dst(
    n: Shape,
    type: int = 2,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    norm: str | None = None,
    orthogonalize: bool | None = None,
) -> Composition:
    """Return the discrete sine transform of length n.

    Parameters
    ----------
    n : int or sequence of int
        The length; or the shape of arrays, which are held as vectors in C order.
    type : {1, 2, 3, 4}, default 2
        As in `scipy.fft.dst`.
    dtype : dtype_like, default float64
        float32 or float64.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed, as in `scipy.fft.dstn`. Default: all.
    norm : {"backward", "ortho", "forward"}, default "backward"
        As in `scipy.fft.dst`; ortho makes the matrix orthogonal.
    orthogonalize : bool, optional
        The same for the last entry of types 2 and 3, as in `scipy.fft.dst`.

    Returns
    -------
    Composition
        ``dst(n, type) @ x`` equals ``scipy.fft.dst(x, type, norm=norm)``; types 2 to 4 are the
        cosine transform with signs and reversals. ``inv()`` is the transform of the inverse type.

    Raises
    ------
    TypeError, ValueError
        As `dct` does.

    Examples
    --------
    >>> import numpy as np, scipy.fft
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.dst(8) @ x, scipy.fft.dst(x)))
    True
    """
    return _of_type(_dst, n, type, dtype, axes, norm, orthogonalize)


def _of_type(
    make: Callable[..., Composition],
    n: Any,
    kind: Any,
    dtype: Any,
    axes: Axes,
    norm: Any,
    orthogonalize: Any,
) -> Composition:
    kind = number_of(kind, "type", (1, 2, 3, 4))
    chosen, norm = as_dtype(dtype, REAL), norm_name(norm)
    weighted = norm == "ortho" if orthogonalize is None else flag(orthogonalize, "orthogonalize")
    transform: Composition = over_axes(
        n, axes, lambda length: make(length, kind, chosen, norm, False, weighted)
    )
    return transform


@kept
def _dct(
    n: int,
    kind: int,
    dtype: np.dtype[Any],
    norm: str | None,
    inverse: bool,
    weighted: bool | None = None,  # pickles of 0.1 don't tell: for "ortho" only
) -> Composition:
    weighted = norm == "ortho" if weighted is None else weighted
    if n == kind == 1:
        raise ValueError("n is 1, expected at least 2 for type 1")
    left, parts, right = {1: _cosines_1, 2: _cosines_2, 3: _cosines_3, 4: _cosines_4}[kind](
        n, dtype
    )
    size = 2 * (n - 1) if kind == 1 else 2 * n
    rows, columns = np.ones(n), np.ones(n)
    if weighted:
        # The matrix of cosines is orthogonal after the first (and for type 1 the last) row or
        # column is weighted.
        if kind == 1:
            rows[[0, -1]], columns[[0, -1]] = 0.5**0.5, 2**0.5
        elif kind == 2:
            rows[0] = 0.5**0.5
        elif kind == 3:
            columns[0] = 2**0.5
    rows *= scale_of(norm, size, inverse)
    back = partial(_dct, n, _INVERSE_TYPE[kind], dtype, norm, not inverse, weighted)
    return _weighted(rows, (left, parts, right), columns, dtype, back)


@kept
def _dst(
    n: int,
    kind: int,
    dtype: np.dtype[Any],
    norm: str | None,
    inverse: bool,
    weighted: bool | None = None,  # pickles of 0.1 don't tell: for "ortho" only
) -> Composition:
    weighted = norm == "ortho" if weighted is None else weighted
    size = 2 * (n + 1) if kind == 1 else 2 * n
    signs = scipy.sparse.diags_array((-1.0) ** np.arange(n))
    reversal = scipy.sparse.csr_array(
        (np.ones(n), (np.arange(n), np.arange(n)[::-1])), shape=(n, n)
    )
    rows, columns = np.ones(n), np.ones(n)
    if kind == 1:
        left, parts, right = _sines_1(n, dtype)
    elif kind == 2:
        # sin(pi (k+1) (2 j + 1) / 2 n) = (-1)^j cos(pi (n-1-k) (2 j + 1) / 2 n)
        left, parts, right = _cosines_2(n, dtype)
        left, right = reversal @ left, right @ signs
    elif kind == 3:
        left, parts, right = _cosines_3(n, dtype)
        left, right = signs @ left, right @ reversal
    else:
        # sin(pi (2 k + 1) (2 j + 1) / 4 n) = (-1)^k cos(pi (2 k + 1) (2 (n-1-j) + 1) / 4 n)
        left, parts, right = _cosines_4(n, dtype)
        left, right = signs @ left, right @ reversal
    if weighted and kind == 2:
        rows[-1] = 0.5**0.5
    elif weighted and kind == 3:
        columns[-1] = 2**0.5
    rows *= scale_of(norm, size, inverse)
    back = partial(_dst, n, _INVERSE_TYPE[kind], dtype, norm, not inverse, weighted)
    return _weighted(rows, (left, parts, right), columns, dtype, back)


_Split = tuple[Any, list[Part], Any]  # sparse, real parts, sparse


def _weighted(
    rows: Any, split: _Split, columns: Any, dtype: np.dtype[Any], inverse: Any
) -> Composition:
    left, parts, right = split
    diagonal = scipy.sparse.diags_array
    factors = [sparse(diagonal(rows) @ left, dtype), *parts]
    return or_dense(Composition([*factors, sparse(right @ diagonal(columns), dtype)], inverse))


def _cosines_1(n: int, dtype: np.dtype[Any]) -> _Split:
    """The real part of the transform of the even extension of length 2 (n - 1)."""
    size = 2 * (n - 1)
    spectrum, parts = half_spectrum(size, dtype)
    extension = np.minimum(np.arange(size), size - np.arange(size))
    right = scipy.sparse.csr_array((np.ones(size), (np.arange(size), extension)), shape=(size, n))
    return spectrum[:n].real, parts, right


def _sines_1(n: int, dtype: np.dtype[Any]) -> _Split:
    """Minus the imaginary part of the transform of the odd extension of length 2 (n + 1)."""
    size = 2 * (n + 1)
    spectrum, parts = half_spectrum(size, dtype)
    k = np.arange(n)
    right = scipy.sparse.csr_array(
        (
            np.concatenate([np.ones(n), -np.ones(n)]),
            (np.concatenate([k + 1, size - 1 - k]), np.concatenate([k, k])),
        ),
        shape=(size, n),
    )
    return -spectrum[1 : n + 1].imag, parts, right


def _cosines_2(n: int, dtype: np.dtype[Any]) -> _Split:
    """Even entries, then odd ones backwards; twice the real part of the turned spectrum."""
    spectrum, parts = half_spectrum(n, dtype)
    order = np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)[::-1]])
    right = scipy.sparse.csr_array((np.ones(n), (np.arange(n), order)), shape=(n, n))
    turns = roots_of_unity(4 * n, np.arange(n))
    return 2 * (scipy.sparse.diags_array(turns) @ spectrum).real, parts, right


def _cosines_3(n: int, dtype: np.dtype[Any]) -> _Split:
    """The transpose of type 2, whose first row counts half."""
    left, parts, right = _cosines_2(n, dtype)
    columns = np.ones(n)
    columns[0] = 0.5
    return right.T, [part.T for part in reversed(parts)], left.T @ scipy.sparse.diags_array(columns)


def _cosines_4(n: int, dtype: np.dtype[Any]) -> _Split:
    """Turned pairs (x[2 j], x[n - 1 - 2 j]) as complex numbers, for even n; else zeros double
    the length."""
    complex_dtype = np.result_type(dtype, np.complex64)
    if n % 2:
        # cos(pi (2k+1)(2j+1) / 4n) = Re(e(4 j k) e(2 j) e(2 k + 1)), e(m) = exp(-2 pi i m / 8 n)
        k = np.arange(n)
        before = scipy.sparse.csr_array((roots_of_unity(8 * n, 2 * k), (k, k)), shape=(2 * n, n))
        after = scipy.sparse.csr_array(
            (2 * roots_of_unity(8 * n, 2 * k + 1), (k, k)), shape=(n, 2 * n)
        )
        return (
            real_part(after),
            [Pairs(butterfly_dft(2 * n, complex_dtype))],
            complex_rows(before),
        )
    half = n // 2
    k = np.arange(half)
    turns = roots_of_unity(8 * n, 4 * k + 1)
    # The input: t_j = (x[2 j] + i x[n - 1 - 2 j]) turned.
    before = scipy.sparse.csr_array(
        (
            np.concatenate([turns, 1j * turns]),
            (np.concatenate([k, k]), np.concatenate([2 * k, n - 1 - 2 * k])),
        ),
        shape=(half, n),
    )
    # The output: twice the real part of the turned T_k, and minus the imaginary part.
    turns = roots_of_unity(2 * n, k)
    after = scipy.sparse.csr_array(
        (
            np.concatenate([2 * turns, 2j * turns]),
            (np.concatenate([2 * k, n - 1 - 2 * k]), np.concatenate([k, k])),
        ),
        shape=(n, half),
    )
    return real_part(after), [Pairs(butterfly_dft(half, complex_dtype))], complex_rows(before)
