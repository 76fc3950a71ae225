"""kron: the Kronecker product of operators, and operators along axes of flattened arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from ._along_axis import AlongAxis
from ._as_part import as_operator
from ._base import Operator
from ._butterfly import Butterfly, butterfly_of
from ._composition import Composition
from ._dims import shaped

_Array = np.ndarray[Any, Any]


def kron(*operators: Operator | ArrayLike) -> Operator:
    """Return the Kronecker product of operators and matrices.

    For C-contiguous arrays, ``kron(F1, F2) @ X.ravel()`` is ``(F1 @ X @ F2.T).ravel()``: a
    transform of both axes. Nothing of the product's size is formed but permutations.

    Parameters
    ----------
    *operators : operator or array_like
        At least one: whatever `Composition` takes as a part. A dense matrix becomes a single
        factor.

    Returns
    -------
    Butterfly or Composition
        ``F1 (x) F2 (x) ...``, in the common dtype: one Butterfly if all operators are.
        Its factors are those of all operators. Values of left operators repeat along d and are
        stored once; those of right ones repeat along a, and are stored once where the factor is
        tied there or has one entry along that axis. A Composition multiplies along one axis after
        the other, the last one first, and repeats nothing. Its ``inv()`` is that of the operators.

    Raises
    ------
    TypeError, ValueError
        For no operators, or something that is neither an operator nor a numeric matrix; for an
        operator that is linear over the real numbers only (`irdft`) beside a complex one.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.kron(pp.transforms.hadamard(4), [[1.0, 2.0], [3.0, 4.0]])
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> bool(np.allclose(F @ X.ravel(), np.kron(pp.transforms.hadamard(4).toarray(),
    ...                                         [[1, 2], [3, 4]]) @ X.ravel()))
    True
    >>> pp.kron(pp.transforms.dct(8), pp.transforms.hadamard(4)).shape
    (32, 32)
    """
    if not operators:
        raise ValueError("kron got no operators, expected at least one")
    factors = [as_operator(given, f"operators[{n}]") for n, given in enumerate(operators)]
    for n, F in enumerate(factors):
        others = [m for m, G in enumerate(factors) if m != n and G.dtype.kind == "c"]
        if not F.clinear and others:
            raise TypeError(
                f"operators[{n}] is linear over the real numbers only and operators[{others[0]}] "
                "is complex: their product would depend on which of them multiplies first"
            )
    return along_axes([F.shape[1] for F in factors], list(enumerate(factors)))


def along_axes(shape: Sequence[int], operators: Sequence[tuple[int, Operator]]) -> Operator:
    """Operators along different axes of arrays of this shape, flattened; the last acts first."""
    if len(shape) == 1:
        return operators[0][1]
    sizes = list(shape)
    parts = []
    for axis, F in reversed(operators):
        parts.append(AlongAxis(F, math.prod(sizes[:axis]), math.prod(sizes[axis + 1 :])))
        sizes[axis] = F.shape[0]
    parts.reverse()
    butterflies = [(axis, F) for axis, F in operators if isinstance(F, Butterfly)]
    made: Operator
    if len(butterflies) == len(operators):
        made = _butterfly(shape, sizes, butterflies, parts)
    else:
        # Inverses of what isn't square are known for real-linear transforms.
        square = all(F.shape[0] == F.shape[1] or not F.clinear for _, F in operators)
        made = Composition(parts, partial(_inverse, sizes, operators) if square else None)
    return shaped(made, sizes, shape)


def _inverse(shape: Sequence[int], operators: Sequence[tuple[int, Operator]]) -> Operator:
    return along_axes(shape, [(axis, F.inv()) for axis, F in reversed(operators)])


def _butterfly(
    columns: Sequence[int],
    rows: Sequence[int],
    operators: Sequence[tuple[int, Butterfly]],
    parts: Sequence[AlongAxis],
) -> Butterfly:
    """One chain of all factors; the permutations of one axis commute with the rest."""
    dtype = np.result_type(*(F.dtype for _, F in operators))
    patterns, values = [], []
    for part in parts:
        before, after = part.before, part.after
        F: Any = part.operator
        for (a, b, c, d), array in zip(F.architecture, F.factors.stored, strict=True):
            patterns.append((a * before, b, c, d * after))
            # Along i = (index of the identity, i of the factor); each value is stored once for all
            # l = (l of the factor, index).
            copies = 1 if array.shape[0] == 1 else before, 1, 1, 1
            values.append(np.tile(array, copies).astype(dtype, order="C"))
    return butterfly_of(
        Factors(
            Architecture(patterns),
            tuple(values),
            _permutation(rows, {axis: F.row_permutation for axis, F in operators}),
            _permutation(columns, {axis: F.column_permutation for axis, F in operators}),
        )
    )


def _permutation(
    shape: Sequence[int], of_axes: dict[int, NDArray[np.int64] | None]
) -> NDArray[np.int64] | None:
    """The flat index of what the permutations of the axes put at each place."""
    if all(permutation is None for permutation in of_axes.values()):
        return None
    index = np.arange(math.prod(shape)).reshape(shape)
    for axis, permutation in of_axes.items():
        if permutation is not None:
            index = index.take(permutation, axis)
    return np.ascontiguousarray(index.ravel())
