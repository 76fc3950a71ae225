"""Transforms of sums and differences: Hadamard, Haar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.index_orders import bit_reversal
from .._util.checks import one_of, power_of_two
from .._util.dtypes import SUPPORTED, as_dtype
from ..operators import Butterfly, butterfly_of
from .common import Axes, Shape, kept, norm_name, over_axes, scale_of

_ORDERS = ("natural", "dyadic", "sequency")


def hadamard(
    n: Shape,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    order: str = "natural",
    norm: str | None = None,
) -> Butterfly:
    """Return the Hadamard matrix of order n.

    Parameters
    ----------
    n : int or sequence of int
        A power of two, or 12, 20 (and so 40) or 28 times one; or the shape of arrays, which are
        held as vectors in C order.
    dtype : dtype_like, default float64
        float32, float64, complex64 or complex128.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed. Default: all.
    order : {"natural", "dyadic", "sequency"}, default "natural"
        Of the rows, for powers of two: natural (Sylvester's), dyadic (Paley's: natural rows in
        bit-reversed order) or sequency (Walsh's: by the number of sign changes).
    norm : {"backward", "ortho", "forward"}, default "backward"
        Forward divides by n, ortho by sqrt(n).

    Returns
    -------
    Butterfly
        For a power of two in natural order equal to ``scipy.linalg.hadamard(n)``. All factors are
        tied: four values each. Other orders are the Kronecker product of Sylvester's matrix and
        Paley's of order 12, 20 (from the residues modulo 11, 19) or 28 (modulo 13).

    Raises
    ------
    TypeError, ValueError
        For another n (the error names the orders below and above it, for padding with zeros),
        dtype, order or norm.

    Notes
    -----
    R. E. A. C. Paley, "On orthogonal matrices", 1933.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.transforms.hadamard(4).toarray()
    array([[ 1.,  1.,  1.,  1.],
           [ 1., -1.,  1., -1.],
           [ 1.,  1., -1., -1.],
           [ 1., -1., -1.,  1.]])
    >>> pp.transforms.hadamard(4, order="sequency").toarray()[1]
    array([ 1.,  1., -1., -1.])
    """
    chosen = as_dtype(dtype, SUPPORTED)
    order, named = one_of(order, "order", _ORDERS), norm_name(norm)
    transform: Butterfly = over_axes(
        n, axes, lambda length: _hadamard(length, chosen, order, named)
    )
    return transform


@kept
def _hadamard(n: int, dtype: np.dtype[Any], order: str, norm: str | None) -> Butterfly:
    twos = n & -n
    odd = n // twos
    if odd not in (1, 3, 5, 7) or (odd > 1 and twos < 4):
        below, above = _nearest(n)
        raise ValueError(
            f"n is {n}, expected a power of two, or 12, 20 or 28 times one: nearest are {below} "
            f"and {above}"
        )
    if odd > 1 and order != "natural":
        raise ValueError(f"order is {order!r}, which is for powers of two, but n is {n}")
    radices = [2] * ((twos if odd == 1 else twos // 4).bit_length() - 1)
    blocks = [np.array([[1, 1], [1, -1]], dtype)] * len(radices)
    if odd > 1 or n == 1:
        radices.append(4 * odd if odd > 1 else 1)
        blocks.append(_paley(4 * odd).astype(dtype) if odd > 1 else np.ones((1, 1), dtype))
    values = [block[None, :, :, None].copy() for block in blocks]
    scale = scale_of(norm, n, False)
    if scale != 1:
        values[-1] *= scale
    rows = None
    if order != "natural":
        rows = bit_reversal(n)
        if order == "sequency":
            k = np.arange(n)
            rows = rows[k ^ (k >> 1)]
    return butterfly_of(Factors(Architecture.mixed_radix(radices), tuple(values), rows))


def _nearest(n: int) -> tuple[int, int]:
    """The orders below and above n."""
    power = 1 << n.bit_length()
    # Orders are 1, 5/4, 3/2 and 7/4 times a power of two, the last three from 12 on.
    quarters = {k * power // 8 for k in (4, 5, 6, 7, 8) if k % 4 == 0 or k * power // 8 >= 12}
    orders = {order for order in quarters if order & 3 == 0 or order < 4}
    return max(o for o in orders if o < n), min(o for o in orders if o > n)


def _paley(m: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A Hadamard matrix of order 12, 20 (Paley's first construction) or 28 (his second)."""
    q = {12: 11, 20: 19, 28: 13}[m]
    residues = {x * x % q for x in range(1, q)}
    difference = (np.arange(q)[None, :] - np.arange(q)[:, None]) % q
    character = np.where(np.isin(difference, list(residues)), 1.0, -1.0)
    np.fill_diagonal(character, 0)
    border = np.zeros((q + 1, q + 1))
    border[0, 1:] = 1
    border[1:, 0] = -1 if q % 4 == 3 else 1
    border[1:, 1:] = character
    if q % 4 == 3:
        result: np.ndarray[Any, np.dtype[np.float64]] = np.eye(q + 1) + border
        return result
    return np.kron(border, [[1, 1], [1, -1]]) + np.kron(np.eye(q + 1), [[1, -1], [-1, -1]])


def haar(n: Shape, dtype: DTypeLike = np.float64, *, axes: Axes = None) -> Butterfly:
    """Return the orthonormal discrete Haar transform of length n.

    Parameters
    ----------
    n : int or sequence of int
        A power of two; or the shape of arrays, which are held as vectors in C order.
    dtype : dtype_like, default float64
        float32, float64, complex64 or complex128.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed, each completely. Default: all.

    Returns
    -------
    Butterfly
        Row 0 is the mean times sqrt(n); rows 2^k, ..., 2^(k+1) - 1 are the details at scale
        n / 2^k, from left to right. Its factors are tied along a.

    Raises
    ------
    TypeError, ValueError
        For an n that isn't a power of two or another dtype.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.transforms.haar(4).toarray().round(3)
    array([[ 0.5  ,  0.5  ,  0.5  ,  0.5  ],
           [ 0.5  ,  0.5  , -0.5  , -0.5  ],
           [ 0.707, -0.707,  0.   ,  0.   ],
           [ 0.   ,  0.   ,  0.707, -0.707]])
    """
    chosen = as_dtype(dtype, SUPPORTED)
    transform: Butterfly = over_axes(n, axes, lambda length: _haar(length, chosen))
    return transform


@kept
def _haar(n: int, dtype: np.dtype[Any]) -> Butterfly:
    power_of_two(n, "n")
    architecture = Architecture.square_dyadic(n)
    if n == 1:
        return butterfly_of(Factors(architecture, (np.ones((1, 1, 1, 1), dtype),)))
    values = []
    rows = np.zeros(n, np.int64)
    for pattern in architecture:
        # In place: the mean of each block stays at its start, the detail goes to its middle.
        block = np.zeros((1, 2, 2, pattern.d), dtype)
        block[0, 0, 0] = block[0, 1, 1] = 1
        block[0, :, :, 0] = np.array([[1, 1], [1, -1]]) * 0.5**0.5
        values.append(block)
        rows[pattern.a : 2 * pattern.a] = np.arange(pattern.a) * 2 * pattern.d + pattern.d
    return butterfly_of(Factors(architecture, tuple(values), rows))
