"""What users hand in as a factor or a term: operators, matrices, diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.arrays import is_foreign_operator
from .._util.checks import items_of, shown
from .._util.dtypes import plain_array, promoted
from ._base import Operator
from ._butterfly import Butterfly, butterfly_of
from ._foreign import Foreign
from ._grids import GridFourier, Interpolation
from ._parts import Pairs, Sparse


def parts_in(given: Any, name: str) -> list[Any]:
    """What is in a sequence of operators. An operator or a matrix has rows, too: it isn't one."""
    alone = isinstance(given, Operator | Sparse | Pairs | Interpolation | GridFourier)
    alone |= scipy.sparse.issparse(given) or is_foreign_operator(given)
    alone |= isinstance(given, np.ndarray) and given.ndim < 3 and given.dtype != object
    if alone:
        raise TypeError(
            f"{name} is {shown(given)}, expected a sequence of operators: a list, if it is one"
        )
    return items_of(given, name, "a sequence of operators")


def as_part(given: Any, name: str) -> Any:
    """An operator, matrix or diagonal as a part of a composition, copied where it is an array."""
    if isinstance(given, Operator | Sparse | Pairs | Interpolation | GridFourier):
        return given
    if scipy.sparse.issparse(given):
        if given.ndim != 2 or 0 in given.shape:
            raise ValueError(
                f"{name} has shape {given.shape}, expected a matrix of at least one entry"
            )
        return Sparse.copy_of(given, name)
    if is_foreign_operator(given):
        return Foreign(aslinearoperator(given))
    try:
        array = plain_array(given, name)
    except TypeError as error:
        raise TypeError(
            f"{name} is {shown(given)}, expected an operator, a matrix or a diagonal"
        ) from error
    if array.ndim == 0:
        raise TypeError(f"{name} is {shown(given)}, expected an operator, a matrix or a diagonal")
    dtype = promoted(array.dtype, name)
    if array.ndim > 2 or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected a matrix or a vector, of at least one entry"
        )
    if array.ndim == 1:
        return Sparse(scipy.sparse.diags_array(array.astype(dtype), format="csr"))
    return dense(array.astype(dtype))


def as_operator(given: Any, name: str) -> Operator:
    """The same as an Operator: sparse matrices become compositions of one."""
    part = as_part(given, name)
    if isinstance(part, Operator):
        return part
    made: Operator = Operator._family.composition([part])
    return made


def dense(matrix: Any) -> Butterfly:
    """A matrix that nobody else writes to as a butterfly of one factor."""
    values = np.ascontiguousarray(matrix)[None, :, :, None]
    return butterfly_of(Factors(Architecture([values.shape]), (values,)))
