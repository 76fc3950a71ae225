"""Norms of operators, from products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, svds

from .._util.arrays import column_ranges, unit_columns
from .._util.checks import shown
from .._util.dtypes import safe_norm

_Array = np.ndarray[Any, Any]
_DENSE = 64  # rows or columns: no more are handed to LAPACK as they are


def norm(F: Any, ord: Any) -> float:
    """See `Operator.norm`."""
    if isinstance(ord, str) and ord == "fro":
        return float(math.hypot(*(safe_norm(columns) for columns in _columns(F))))
    if isinstance(ord, int | float | np.integer | np.floating):
        if ord == 1:
            return max(float(np.abs(columns).sum(axis=0).max()) for columns in _columns(F))
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
    if min(F.shape) <= _DENSE:
        wide = F.toarray().astype(np.result_type(F.dtype, np.float64))
        return float(np.linalg.svd(wide, compute_uv=False)[0]) if wide.any() else 0.0
    # In double precision, so that float32 operators get the norm of what they hold.
    operator = LinearOperator(
        F.shape,
        matvec=F.matvec,
        rmatvec=F.rmatvec,
        matmat=F.matmat,
        rmatmat=F.rmatmat,
        dtype=np.result_type(F.dtype, np.float64),
    )
    start = np.random.default_rng(0).standard_normal(min(F.shape))
    try:
        found = svds(operator, k=1, v0=start, return_singular_vectors=False)
    except ArpackError:
        if norm(F, "fro") == 0:  # whose products no iteration can start from
            return 0.0
        raise
    return float(found[0])
