"""kron: the Kronecker product of operators as one butterfly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .architecture import Architecture
from .butterfly import Butterfly, from_owned
from .dtypes import as_array

_Array = np.ndarray[Any, Any]


def kron(*operators: Butterfly | ArrayLike) -> Butterfly:
    """Return the Kronecker product of butterflies and small dense matrices as one butterfly.

    For C-contiguous arrays, ``kron(F1, F2) @ X.ravel()`` is ``(F1 @ X @ F2.T).ravel()``: a
    transform of both axes. Nothing of the product's size is formed but permutations.

    Parameters
    ----------
    *operators : Butterfly or array_like
        At least one. A dense matrix becomes a single factor.

    Returns
    -------
    Butterfly
        ``F1 (x) F2 (x) ...``, in the common dtype. Its factors are those of all operators; values
        of left operators repeat along d, those of right ones along a, and are stored once where
        the factor is tied there or has one entry along that axis; others are repeated.

    Raises
    ------
    TypeError, ValueError
        For no operators, or something that is neither a Butterfly nor a numeric matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.kron(pp.transforms.hadamard(4), [[1.0, 2.0], [3.0, 4.0]])
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> bool(np.allclose(F @ X.ravel(), np.kron(pp.transforms.hadamard(4).toarray(),
    ...                                         [[1, 2], [3, 4]]) @ X.ravel()))
    True
    """
    if not operators:
        raise ValueError("kron got no operators, expected at least one")
    factors = [_as_butterfly(given, f"operators[{n}]") for n, given in enumerate(operators)]
    product = factors[0]
    for factor in factors[1:]:
        product = _pair(product, factor)
    return product


def _as_butterfly(given: Any, name: str) -> Butterfly:
    if isinstance(given, Butterfly):
        return given
    matrix = as_array(given, name)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} has shape {matrix.shape}, expected a matrix")
    return Butterfly([matrix[None, :, :, None]])


def _pair(left: Butterfly, right: Butterfly) -> Butterfly:
    """``(left (x) I) (I (x) right)``."""
    dtype = np.result_type(left.dtype, right.dtype)
    rows, cols = right.shape[0], left.shape[1]
    patterns, values = [], []
    for pattern, array in zip(left.architecture, left.factors, strict=True):
        patterns.append((pattern.a, pattern.b, pattern.c, pattern.d * rows))
        # Along l = (l of the factor, row of the identity).
        repeats = 1 if array.shape[3] == 1 else rows
        values.append(np.repeat(array.astype(dtype), repeats, axis=3))
    for pattern, array in zip(right.architecture, right.factors, strict=True):
        patterns.append((pattern.a * cols, pattern.b, pattern.c, pattern.d))
        repeats = 1 if array.shape[0] == 1 else cols
        values.append(np.tile(array.astype(dtype), (repeats, 1, 1, 1)))
    return from_owned(
        Architecture(patterns),
        [np.ascontiguousarray(array) for array in values],
        _permutation(left.row_permutation, right.row_permutation, left.shape[0], rows),
        _permutation(left.column_permutation, right.column_permutation, cols, right.shape[1]),
    )


def _permutation(
    left: NDArray[np.int64] | None, right: NDArray[np.int64] | None, outer: int, inner: int
) -> NDArray[np.int64] | None:
    if left is None and right is None:
        return None
    left = np.arange(outer) if left is None else left
    right = np.arange(inner) if right is None else right
    return (left[:, None] * inner + right).ravel()
