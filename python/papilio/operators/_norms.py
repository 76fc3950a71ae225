"""Norms of operators, from products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from .._chains.scaling import shifted
from .._util.arrays import column_ranges, unit_columns
from .._util.checks import shown
from .._util.dtypes import safe_norm

_Array = np.ndarray[Any, Any]
_DENSE = 64  # rows or columns: no more are handed to LAPACK as they are
_FAR = 700  # exponent of two: where products with ordinary numbers overflow or vanish


def norm(F: Any, ord: Any) -> float:
    """See `Operator.norm`."""
    if isinstance(ord, str) and ord == "fro":
        return float(math.hypot(*(safe_norm(columns) for columns in _columns(F))))
    if isinstance(ord, int | float | np.integer | np.floating):
        if ord == 1:
            with np.errstate(over="ignore"):  # a norm above the largest number is infinite
                return max(
                    float(np.abs(columns).sum(axis=0, dtype=np.float64).max())
                    for columns in _columns(F)
                )
        if ord == np.inf and F.clinear:
            return norm(F.T, 1)
        if ord == 2 and F.clinear:
            return _spectral_norm(F)
        if ord in (2, np.inf):
            raise TypeError(
                f"ord is {shown(ord)}, but {F!r} is linear over the real numbers only: expected "
                "'fro' or 1"
            )
    raise ValueError(f"ord is {shown(ord)}, expected 'fro', 1, 2 or inf")


def _columns(F: Any) -> Iterator[_Array]:
    for start, stop in column_ranges(F.shape, F.dtype.itemsize):
        yield F.apply(unit_columns(F.shape[1], start, stop, F._unit_dtype()))


def _spectral_norm(F: Any) -> float:
    start = np.random.default_rng(0).standard_normal(min(F.shape))
    if min(F.shape) <= _DENSE:
        wide = F.toarray().astype(np.result_type(F.dtype, np.float64))
        if not (wide.any() and np.isfinite(wide).all()):
            return safe_norm(wide)
        return float(np.linalg.svd(wide, compute_uv=False)[0])
    size, exponent = size_of(F)
    if not (size and math.isfinite(size)):
        return size
    found = svds(scaled_operator(F, -exponent), k=1, v0=start, return_singular_vectors=False)
    with np.errstate(over="ignore"):  # a norm above the largest number is infinite
        return float(np.ldexp(found[0], exponent))


def scaled_operator(F: Any, exponent: int) -> LinearOperator:
    """SciPy's operator of F times ``2 ** exponent``, a half of which comes before each product.

    In double precision, so that iterations find the numbers of what float32 operators hold.
    """
    before, after = exponent // 2, exponent - exponent // 2

    def scaled(multiply: Any) -> Any:
        return lambda x: shifted(multiply(shifted(x, before)), after)

    return LinearOperator(
        F.shape,
        matvec=scaled(F.matvec),
        rmatvec=scaled(F.rmatvec),
        matmat=scaled(F.matmat),
        rmatmat=scaled(F.rmatmat),
        dtype=np.result_type(F.dtype, np.float64),
    )


def size_of(F: Any) -> tuple[float, int]:
    """About the Frobenius norm, and the exponent of two that scales it to about 1.

    The norm of a product with random numbers: zero only if F is, NaN or infinite if F is.
    """
    x = np.random.default_rng(0).standard_normal(F.shape[1])
    size, exponent = 0.0, 0
    for exponent in (0, -_FAR, _FAR):
        size = safe_norm(F.apply(np.ldexp(x, exponent)))
        if size and math.isfinite(size):
            break
    return size, int(np.frexp(size)[1]) - exponent
