"""Eigenvalues and singular values: of small operators by LAPACK, of large ones by ARPACK."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse.linalg

from .._util.checks import flag, whole_number
from ._norms import scaled_operator, size_of

_Array = np.ndarray[Any, Any]
_DENSE = 64  # up to this size LAPACK takes less time than ARPACK
#: What each `which` of ARPACK's puts first.
_ORDERS: dict[str, Callable[[_Array], _Array]] = {
    "LM": lambda values: -abs(values),
    "SM": abs,
    "LR": lambda values: -values.real,
    "SR": lambda values: values.real,
    "LI": lambda values: -abs(values.imag),
    "SI": lambda values: abs(values.imag),
    "LA": lambda values: -values.real,
    "SA": lambda values: values.real,
}
_OF_ITERATIONS = {"tol", "v0", "ncv"}  # options that don't tell which values are asked for


def eigs(F: Any, neigs: Any, symmetric: bool, niter: Any, options: Mapping[str, Any]) -> _Array:
    """See `PylopsNames.eigs`."""
    count = min(F.shape)
    if neigs is not None:
        count = min(count, whole_number(neigs, "neigs", 1))
    symmetric = flag(symmetric, "symmetric")
    steps = None if niter is None else whole_number(niter, "niter", 1)
    first = _ORDERS.get(options.get("which", "LM"))
    if min(F.shape) <= _DENSE and first and set(options) <= {"which", *_OF_ITERATIONS}:
        values = _all_values(F, symmetric)
        found = values[np.argsort(first(values), kind="stable")][:count]
    else:
        found = _some_values(F, count, symmetric, {"maxiter": steps, **options})
    descending: _Array = -np.sort(-found)
    return descending


def _all_values(F: Any, symmetric: bool) -> _Array:
    dense: _Array = F.toarray()
    if F.shape[0] != F.shape[1]:
        real_parts = dense if F.clinear else np.concatenate((dense.real, dense.imag))
        return np.linalg.svd(real_parts, compute_uv=False)
    values: _Array = np.linalg.eigvalsh(dense) if symmetric else np.linalg.eigvals(dense)
    return values


def _some_values(F: Any, count: int, symmetric: bool, options: dict[str, Any]) -> _Array:
    rows, columns = F.shape
    start = np.random.default_rng(0).standard_normal(columns).astype(F.dtype)
    options = {"v0": start, "k": min(count, columns - 2), "return_eigenvectors": False, **options}
    find = scipy.sparse.linalg.eigsh if symmetric else scipy.sparse.linalg.eigs
    if rows == columns:
        return np.asarray(find(F, **options))
    size, exponent = size_of(F)
    if not (size and math.isfinite(size)):
        return np.full(count, size)
    operator = scaled_operator(F, -exponent)  # so that squares neither overflow nor vanish
    squares = scipy.sparse.linalg.eigsh(operator.H @ operator, **options)
    values: _Array = np.ldexp(np.sqrt(np.maximum(squares.real, 0)), exponent)
    return values
