"""Supports as users give them: which entries of a matrix may differ from zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._util.dtypes import as_array
from .pattern import Pattern

Support = Any  # a Pattern, a scipy.sparse matrix or array of any format, or an array_like
Sets = tuple[NDArray[np.int64], NDArray[np.int32]]
_CHUNK = 2_000_000  # entries that are looked at between two looks at signals


def as_support(mask: Support, name: str) -> scipy.sparse.csr_array:
    """Return a support as a boolean CSR array: sorted, without duplicates or stored zeros.

    Raises
    ------
    TypeError
        If it isn't numeric.
    ValueError
        If it hasn't two axes, one of them is empty or longer than 2**31 - 1, or no entry is
        different from zero.
    """
    if isinstance(mask, Pattern):
        mask = mask.support()
    elif not scipy.sparse.issparse(mask):
        mask = as_array(mask, name)
    if mask.ndim != 2:
        raise ValueError(f"{name} has {mask.ndim} axes, expected 2")
    if not 0 < min(mask.shape) <= max(mask.shape) < 2**31:
        raise ValueError(f"{name} has shape {mask.shape}, expected 1 to 2**31 - 1 along each axis")
    support = scipy.sparse.csr_array(mask) if scipy.sparse.issparse(mask) else _sparse(mask)
    if support.dtype != bool:
        support = scipy.sparse.csr_array(
            (support.data != 0, support.indices, support.indptr), support.shape
        )
    if not (support.has_canonical_format and support.data.all()):
        support = support.copy()
        support.sum_duplicates()
        support.eliminate_zeros()
    if support.nnz == 0:
        raise ValueError(f"{name} has no entry that may differ from zero")
    return support


def _sparse(mask: NDArray[Any]) -> scipy.sparse.csr_array:
    """Where a matrix differs from zero: some rows at a time, between which signals are handled."""
    m, n = mask.shape
    height = max(1, _CHUNK // n)
    parts = [mask[first : first + height] != 0 for first in range(0, m, height)]
    columns = np.concatenate([np.nonzero(part)[1].astype(np.int32) for part in parts])
    counts = np.concatenate([np.count_nonzero(part, axis=1) for part in parts])
    starts = np.r_[0, np.cumsum(counts)]
    if starts[-1] < 2**31:
        starts = starts.astype(np.int32)
    return scipy.sparse.csr_array((np.ones(len(columns), bool), columns, starts), shape=(m, n))


def as_supports(left: Support, right: Support) -> tuple[Any, Any]:
    """Return the left support as a CSC array and the right one as a CSR array that fits it."""
    rows, cols = as_support(left, "left"), as_support(right, "right")
    if rows.shape[1] != cols.shape[0]:
        raise ValueError(f"left has {rows.shape[1]} columns but right has {cols.shape[0]} rows")
    return scipy.sparse.csc_array(rows), cols


def sets_of(compressed: Any) -> Sets:
    """The start and index arrays of a CSR or CSC array as the core takes them."""
    return compressed.indptr.astype(np.int64), compressed.indices.astype(np.int32)
