"""Changes between the bases of Legendre and Chebyshev polynomials."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import scipy
import scipy.sparse
from numpy.typing import DTypeLike

from .._util.checks import tolerance
from .._util.dtypes import as_dtype
from .._util.formulas import Compiled
from .._util.legendre import Angles
from .._util.progress import Progress, reporter
from ..compression import IncompressibleError, compress
from ..operators import Composition, Sparse, dense
from .common import Axes, Shape, over_axes
from .fourier import REAL, sparse
from .trigonometric import dct

_Array = np.ndarray[Any, Any]
_SMALL = 1 << 16  # entries: products with the dense matrix take no longer than with a butterfly


def legendre_to_chebyshev(
    n: Shape,
    tol: float | None = None,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    progress: Progress = False,
) -> Composition:
    """Return the change from Legendre to Chebyshev coefficients of polynomials.

    The c of ``sum c[k] P_k(x)`` becomes the a of ``sum a[m] T_m(x)``, k and m below n.

    Parameters
    ----------
    n : int or sequence of int
        Number of coefficients, of degrees up to n - 1; or the shape of arrays of coefficients of
        polynomials in several variables, which are held as vectors in C order.
    tol : float, optional
        Error of the operator relative to its Frobenius norm, as far as the sampled error of
        `compress` tells (99 % confidence), besides rounding errors. Default: 1e-12 for float64,
        1e-6 for float32.
    dtype : dtype_like, default float64
        float32 or float64. It is built in float64.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed. Default: all.
    progress : bool or callable, default False
        As in `compress`; again from 0 for each axis.

    Returns
    -------
    Composition
        The values ``P_k(cos theta[j])`` at n Chebyshev points, compressed to a butterfly (up to
        n = 256, where products by that are no faster, the dense matrix), and a cosine transform.
        ``inv()`` builds `chebyshev_to_legendre` for the same tol.

    Raises
    ------
    TypeError, ValueError
        For an n that isn't a positive whole number, a tol that isn't between 0 and 1, other axes
        or another dtype.

    Warns
    -----
    CompressionWarning
        If the error of the butterfly is above ``tol / sqrt(2)`` (a third of tol for the inverse).

    Notes
    -----
    docs/transforms.md has the bounds, the time and the memory.

    References
    ----------
    M. O'Neil, F. Woolfe, V. Rokhlin, "An algorithm for the rapid evaluation of special function
    transforms", Appl. Comput. Harmon. Anal. 2010; B. K. Alpert, V. Rokhlin, "A fast algorithm for
    the evaluation of Legendre expansions", SIAM J. Sci. Stat. Comput. 1991.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.transforms.legendre_to_chebyshev(3)
    >>> F.toarray().round(12) + 0.0  # P_2 = 1/4 T_0 + 3/4 T_2
    array([[1.  , 0.  , 0.25],
           [0.  , 1.  , 0.  ],
           [0.  , 0.  , 0.75]])
    """
    return _change(n, tol, dtype, axes, progress, _to_chebyshev)


def chebyshev_to_legendre(
    n: Shape,
    tol: float | None = None,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    progress: Progress = False,
) -> Composition:
    """Return the change from Chebyshev to Legendre coefficients of polynomials.

    The a of ``sum a[m] T_m(x)`` becomes the c of ``sum c[k] P_k(x)``, k and m below n. Parameters,
    errors and warnings are those of `legendre_to_chebyshev`, which its ``inv()`` builds. It is a
    cosine transform of 2 n values, which are weighted by Fejer's rule, and the transpose of a
    butterfly of 2 n x n Legendre polynomials.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.transforms.chebyshev_to_legendre(3)
    >>> bool(np.allclose(F.toarray()[:, 2], [-1 / 3, 0, 4 / 3]))  # T_2 = 4/3 P_2 - 1/3 P_0
    True
    """
    return _change(n, tol, dtype, axes, progress, _to_legendre)


def _change(
    n: Any, tol: float | None, dtype: Any, axes: Axes, progress: Progress, make: Any
) -> Composition:
    chosen = as_dtype(dtype, REAL)
    if tol is None:
        tol = 1e-12 if chosen == np.float64 else 1e-6
    tol = tolerance(tol)
    with reporter(progress, "compress") as tell:
        change: Composition = over_axes(
            n, axes, lambda length: make(length, tol, chosen, progress=tell or False)
        )
    return change


def _to_chebyshev(
    n: int, tol: float, dtype: np.dtype[Any], progress: Progress = False
) -> Composition:
    """The coefficients of what interpolates the values at the n Chebyshev points."""
    entries = Compiled(lambda: Angles.chebyshev(n).formula(np.ones(n)))
    values = _compressed(entries, (n, n), tol / math.sqrt(2), progress)
    doubled = np.full(n, 2.0)
    doubled[0] = 1
    return Composition(
        [_diagonal(doubled, dtype), dct(n, 2, dtype, norm="forward"), values.astype(dtype)],
        partial(_to_legendre, n, tol, dtype),
    )


def _to_legendre(
    n: int, tol: float, dtype: np.dtype[Any], progress: Progress = False
) -> Composition:
    """``c[k] = (k + 1/2) integral P_k f`` by quadrature at 2 n points.

    The roots of the weights and of k + 1/2 make the columns of the compressed matrix orthonormal.
    """
    roots, degrees = np.sqrt(_fejer_weights(2 * n)), np.sqrt(np.arange(n) + 0.5)
    entries = Compiled(lambda: Angles.chebyshev(2 * n).formula(degrees, roots))
    values = _compressed(entries, (2 * n, n), tol / 3, progress)
    halves = np.full(n, 0.5)
    halves[0] = 1
    padding = scipy.sparse.csr_array((halves, (np.arange(n), np.arange(n))), shape=(2 * n, n))
    return Composition(
        [
            _diagonal(degrees, dtype),
            values.astype(dtype).T,
            _diagonal(roots, dtype),
            dct(2 * n, 3, dtype),
            sparse(padding, dtype),
        ],
        partial(_to_chebyshev, n, tol, dtype),
    )


def _compressed(
    entries: Compiled,
    shape: tuple[int, int],
    tol: float,
    progress: Progress,
) -> Composition:
    """The butterfly of these entries, or the dense matrix where none is smaller or n is small."""
    if shape[0] * shape[1] > _SMALL:
        # Rounding would take as long again for a few per cent of the memory.
        with suppress(IncompressibleError):
            return Composition([compress(entries, shape, tol, progress=progress)])
    j, k = np.ogrid[: shape[0], : shape[1]]
    return Composition([dense(entries(j, k))])


def _diagonal(values: _Array, dtype: np.dtype[Any]) -> Sparse:
    return sparse(scipy.sparse.diags_array(values), dtype)


def _fejer_weights(points: int) -> _Array:
    """Of the rule at the Chebyshev points that is exact for polynomials of less degree."""
    moments = np.zeros(points)  # of the Chebyshev polynomials
    moments[::2] = 2 / (1 - np.arange(0.0, points, 2) ** 2)
    weights: _Array = scipy.fft.dct(moments, 3) / points
    return weights
