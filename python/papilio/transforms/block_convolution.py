"""Convolutions of arrays: block circulant and block Toeplitz matrices of any number of levels."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .._util.checks import positive_ints, shown
from ..operators import Composition, Pairs, no_inverse, shaped
from .common import Shape
from .convolution import (
    array_of,
    as_pairs,
    circulant_of,
    inside,
    lifted,
    reciprocals_of,
    repeated,
    rounding_of,
    spectra_of,
)
from .fourier import dft, fast_length, pairs_of_halves, sparse


def block_circulant(c: ArrayLike) -> Composition:
    """Return the block circulant matrix with circulant blocks: a periodic convolution of arrays.

    Parameters
    ----------
    c : array_like, shape (n1, n2, ...)
        The first column, as an array of any number of axes.

    Returns
    -------
    Composition
        Square, of ``c.size`` rows: it multiplies a flattened array x of c's shape to
        ``y[i1, i2] = sum c[i1 - j1, i2 - j2] x[j1, j2]``, indices modulo n1, n2. For real c it
        works in real arithmetic. ``inv()`` exists where it does for `circulant`.

    Raises
    ------
    TypeError, ValueError
        As `circulant` does.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> c, x = np.zeros((4, 6)), np.arange(24.0).reshape(4, 6)
    >>> c[1, 2] = 1  # shifts by (1, 2)
    >>> F = pp.transforms.block_circulant(c)
    >>> bool(np.allclose((F @ x.ravel()).reshape(4, 6), np.roll(x, (1, 2), (0, 1))))
    True
    """
    return _block_circulant(array_of(c, "c"), "c")


def _block_circulant(values: Any, name: str) -> Composition:
    """The block circulant matrix of what was given under that name."""
    if values.ndim == 1:
        return circulant_of(values, name)
    spectrum = spectra_of(values, name, tuple(range(values.ndim)))
    return _diagonal_in_fourier_of_axes(spectrum, values.dtype, rounding_of(values.size, values))


def block_toeplitz(t: ArrayLike, n: Shape) -> Composition:
    """Return the block Toeplitz matrix with Toeplitz blocks: a convolution of arrays.

    Parameters
    ----------
    t : array_like, shape (m1 + n1 - 1, m2 + n2 - 1, ...)
        The entries: ``t[n1 - 1 + d1, n2 - 1 + d2]`` stands where row minus column is (d1, d2).
    n : sequence of int
        The shape (n1, n2, ...) of the arrays that are multiplied, with as many axes as t.

    Returns
    -------
    Composition
        It multiplies a flattened array of shape n to one of shape (m1, m2, ...):
        ``scipy.signal.convolve(t, x, "valid")``. A part of a block circulant matrix of fast
        lengths.

    Raises
    ------
    TypeError, ValueError
        If t isn't a numeric array of finite numbers, or n isn't inside of its shape.

    Examples
    --------
    >>> import numpy as np, scipy.signal
    >>> import papilio as pp
    >>> rng = np.random.default_rng(0)
    >>> t, x = rng.standard_normal((7, 9)), rng.standard_normal((4, 5))
    >>> y = pp.transforms.block_toeplitz(t, (4, 5)) @ x.ravel()
    >>> bool(np.allclose(y.reshape(4, 5), scipy.signal.convolve(t, x, "valid")))
    True
    """
    values = array_of(t, "t")
    inner = positive_ints(n if np.iterable(n) else [n], "n")
    if len(inner) != values.ndim or any(
        size > whole for size, whole in zip(inner, values.shape, strict=True)
    ):
        raise ValueError(f"n is {shown(n)}, expected a shape inside of t's, {values.shape}")
    outer = [whole - size + 1 for whole, size in zip(values.shape, inner, strict=True)]
    sizes = [fast_length(whole) for whole in values.shape]
    padded = np.zeros(sizes, values.dtype)
    padded[tuple(slice(whole) for whole in values.shape)] = values
    padded = np.roll(padded, [1 - size for size in inner], tuple(range(values.ndim)))
    return shaped(inside(_block_circulant(padded, "t"), (), sizes, outer, inner), outer, inner)


def _diagonal_in_fourier_of_axes(
    spectrum: Any, dtype: np.dtype[Any], rounding: float
) -> Composition:
    """The same for transforms of all axes: of real arrays, the last axis is halved."""
    shape = spectrum.shape
    reciprocals = reciprocals_of(spectrum.ravel(), dtype, rounding)
    inverse: Any = no_inverse
    if reciprocals is not None:
        inverse = partial(_diagonal_in_fourier_of_axes, reciprocals.reshape(shape), dtype, rounding)
    values, scales = lifted(spectrum.ravel(), dtype)
    if dtype.kind == "c":
        transform = dft(shape, dtype)
        diagonal = scipy.sparse.diags_array(values / spectrum.size)
        parts = [*scales, transform.conj(), sparse(diagonal, dtype), transform]
        return shaped(Composition(parts, inverse), shape, shape)
    *others, last = shape
    forward, back = pairs_of_halves(last, dtype)
    before, half = math.prod(others), last // 2 + 1
    along = Pairs(
        dft((*others, half), np.result_type(dtype, np.complex64), axes=range(len(others)))
    )
    halves = values.reshape(shape)[..., :half].ravel()
    pairs = as_pairs(scipy.sparse.diags_array(halves / before))
    made = Composition(
        [
            *scales,
            *(repeated(part, before) for part in back.parts),
            along.T,
            sparse(pairs, dtype),
            along,
            *(repeated(part, before) for part in forward.parts),
        ],
        inverse,
    )
    return shaped(made, shape, shape)
