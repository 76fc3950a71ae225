"""What operators make of others: products, sums, powers, selections, stacks."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .._util.checks import shown
from .._util.dtypes import is_scalar, plain_array
from ._as_part import as_operator, parts_in
from ._base import Family, Operator
from ._blocks import Blocks
from ._composition import Composition
from ._dims import shaped, shaped_as
from ._files import save
from ._parts import Pairs, Sparse
from ._planning import plan_of
from ._products import of_real_parts
from ._scalar import Scalar

_LARGEST_POWER = 1000  # each is a part of the product


def product(left: Any, right: Any) -> Composition:
    """``left @ right``, one after the other."""
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"shapes {left.shape} and {right.shape} don't fit: columns and rows differ"
        )
    F, G = as_operator(left, "left"), as_operator(right, "right")
    made = Composition([F, G], partial(_inverse_product, F, G))
    if (F._dims or G._dims) and _follow(F, G):
        shaped(made, F.dimsd, G.dims)
    return made


def _follow(F: Operator, G: Operator) -> bool:
    """Whether arrays that G gives are of the shape that F takes, or one of them takes vectors."""
    return F.dims == G.dimsd or 1 in (len(F.dims), len(G.dimsd))


def _inverse_product(F: Operator, G: Operator) -> Any:
    # Of complex vectors, inverses of those that give real ones see the real parts.
    return (of_real_parts(G.inv()) if F.dtype.kind == "c" else G.inv()) @ F.inv()


def total(left: Any, right: Any) -> Any:
    """``left + right`` of operators or matrices; 0 may stand for none, as `sum` starts from it."""
    for given, other in ((left, right), (right, left)):
        if is_scalar(given) and not isinstance(given, str | bytes) and given == 0:
            return other
    if not (_has_two_axes(left) and _has_two_axes(right)):
        return NotImplemented
    F, G = as_operator(left, "left"), as_operator(right, "right")
    if F.shape != G.shape:
        raise ValueError(f"shapes {F.shape} and {G.shape} differ")
    made = Blocks([*_terms(F), *_terms(G)], F.shape)
    return shaped_as(made, F) if (F.dims, F.dimsd) == (G.dims, G.dimsd) else made


def _has_two_axes(value: Any) -> bool:
    shape = getattr(value, "shape", ())
    return isinstance(shape, tuple) and len(shape) == 2


def _terms(F: Operator) -> Sequence[Any]:
    return F.terms if isinstance(F, Blocks) else [(0, 0, F)]


def scaled(F: Operator, number: Scalar) -> Composition:
    """F times a number."""
    dtype = number.promoted(F.dtype)
    own = dtype if isinstance(number.mantissa, complex) else np.dtype(dtype.char.lower())
    diagonals = [
        Sparse(scipy.sparse.diags_array(np.full(F.shape[0], share), format="csr"))
        for share in number.shares(own)
    ]
    return shaped_as(Composition([*diagonals, F], partial(_inverse_scaled, F, number)), F)


def _inverse_scaled(F: Operator, number: Any) -> Any:  # pickles may have plain numbers
    try:
        return F.inv() / number
    except ZeroDivisionError:
        raise ValueError("an operator times 0 has no inverse") from None


def power(F: Operator, exponent: int) -> Any:
    """F applied so many times."""
    if F.shape[0] != F.shape[1]:
        raise ValueError(f"the operator has shape {F.shape}, expected a square one for a power")
    if abs(exponent) > _LARGEST_POWER:
        raise ValueError(f"exponent is {shown(exponent)}, expected at most {_LARGEST_POWER}")
    if exponent < 0:
        return power(F.inv(), -exponent)
    if exponent == 1:
        return F
    if exponent == 0:
        one = scipy.sparse.eye_array(F.shape[0], dtype=F.dtype, format="csr")
        made = Composition([Sparse(one)])
    else:
        made = Composition([F] * exponent, partial(_inverse_power, F, exponent))
    return shaped_as(made, F) if _follow(F, F) else made


def _inverse_power(F: Operator, exponent: int) -> Any:
    return power(F.inv(), exponent)


def selected(F: Operator, key: Any) -> Any:
    """Some rows and columns of F: an operator, a row or column as an array, or an entry."""
    given = key if isinstance(key, tuple) else (key,)
    keys = tuple(slice(None) if k is Ellipsis else k for k in given)
    if len(keys) > 2:
        raise IndexError(f"an operator has 2 axes, but {len(keys)} indices came")
    keys = (*keys, slice(None), slice(None))[:2]
    wanted = [_places(k, size) for k, size in zip(keys, F.shape, strict=True)]
    rows, columns = wanted
    if isinstance(columns, int):
        unit = np.zeros(F.shape[1], F._unit_dtype())
        unit[columns] = 1
        column = F @ unit
        return column if rows is None else column[rows]
    if isinstance(rows, int) and not F.clinear:  # whose transpose is none of the matrix
        row = Composition([Sparse(_selection([rows], F.shape[0], F.dtype.char.lower())), F])
        return row.toarray()[0] if columns is None else row.toarray()[0, columns]
    if isinstance(rows, int):
        unit = np.zeros(F.shape[0], F._unit_dtype())
        unit[rows] = 1
        row = F.T @ unit
        return row if columns is None else row[columns]
    real = F.dtype.char.lower()
    parts: list[Any] = [F]
    if rows is not None:
        parts.insert(0, Sparse(_selection(rows, F.shape[0], real)))
    if columns is not None:
        parts.append(Sparse(_selection(columns, F.shape[1], real).T))
    return F if len(parts) == 1 else Composition(parts)


def _places(key: Any, size: int) -> Any:
    """None for all places, a number, or an array of numbers."""
    if isinstance(key, slice):
        chosen = np.arange(size)[key]
        if len(chosen) == 0:
            raise IndexError(f"the slice {key} of {size} is empty, expected at least one index")
        return None if len(chosen) == size and chosen[0] == 0 else chosen
    if key is None:
        raise IndexError(f"index {shown(key)}, expected a slice, whole numbers or a mask")
    places = plain_array(key, "index")
    if places.dtype == bool:
        if places.shape != (size,):
            raise IndexError(f"the mask has shape {places.shape}, expected ({size},)")
        places = np.flatnonzero(places)
    if places.dtype.kind not in "iu" or places.ndim > 1 or places.size == 0:
        raise IndexError(f"index {shown(key)}, expected a slice, whole numbers or a mask")
    largest = np.iinfo(np.int64).max
    wide = places if places.dtype.kind == "i" else np.minimum(places.astype(np.uint64), largest)
    wide = wide.astype(np.int64)  # narrow ones may not hold the size
    wrong = (wide < -size) | (wide >= size)
    if wrong.any():
        raise IndexError(f"index {int(places[wrong].flat[0])} is out of range for {size}")
    places = np.where(wide < 0, wide + size, wide)
    return operator.index(places[()]) if places.ndim == 0 else places


def _selection(places: Any, size: int, dtype: Any) -> Any:
    ones, starts = np.ones(len(places), dtype), np.arange(len(places) + 1)
    return scipy.sparse.csr_array((ones, places, starts), shape=(len(places), size))


def part_of_complex(F: Operator, which: int) -> Any:
    """The real (0) or imaginary part (1) of the matrix."""
    F._unit_dtype()  # a TypeError where there is no matrix
    m, n = F.shape
    real = np.dtype(F.dtype.char.lower())
    if F.dtype.kind == "f":
        if which == 0:
            return F
        return shaped_as(Composition([Sparse(scipy.sparse.csr_array((m, n), dtype=real))]), F)
    # F times real vectors, of which one part is taken.
    select = Sparse(_selection(2 * np.arange(m) + which, 2 * m, real))
    embed = Sparse(_selection(2 * np.arange(n), 2 * n, real).T)
    return shaped_as(Composition([select, Pairs(of_real_parts(F)), embed]), F)


def hstack(operators: Sequence[Operator | ArrayLike]) -> Operator:
    """Stack operators beside each other: ``[F1 F2 ...]``.

    Parameters
    ----------
    operators : sequence
        Operators or matrices, as `Composition` takes them, with equally many rows.

    Raises
    ------
    TypeError, ValueError
        For no operators, something else, or numbers of rows that differ.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> pp.hstack([pp.transforms.hadamard(2), np.eye(2)]).toarray()
    array([[ 1.,  1.,  1.,  0.],
           [ 1., -1.,  0.,  1.]])
    """
    made = _several(operators, 0)
    column, terms = 0, []
    for F in made:
        terms.append((0, column, F))
        column += F.shape[1]
    return Blocks(terms, (made[0].shape[0], column))


def vstack(operators: Sequence[Operator | ArrayLike]) -> Operator:
    """Stack operators on top of each other.

    Parameters
    ----------
    operators : sequence
        Operators or matrices, as `Composition` takes them, with equally many columns.

    Raises
    ------
    TypeError, ValueError
        For no operators, something else, or numbers of columns that differ.

    Examples
    --------
    >>> import papilio as pp
    >>> F = pp.transforms.hadamard(2)
    >>> pp.vstack([F, F]) @ [1.0, 2.0]
    array([ 3., -1.,  3., -1.])
    """
    made = _several(operators, 1)
    row, terms = 0, []
    for F in made:
        terms.append((row, 0, F))
        row += F.shape[0]
    return Blocks(terms, (row, made[0].shape[1]))


def block_diag(operators: Sequence[Operator | ArrayLike]) -> Operator:
    """Put operators on the diagonal of a larger one, with zeros elsewhere.

    Parameters
    ----------
    operators : sequence
        Operators or matrices, as `Composition` takes them.

    Raises
    ------
    TypeError, ValueError
        For no operators or something else.

    Examples
    --------
    >>> import papilio as pp
    >>> F = pp.transforms.hadamard(2)
    >>> pp.block_diag([F, [[5.0]]]).toarray()
    array([[ 1.,  1.,  0.],
           [ 1., -1.,  0.],
           [ 0.,  0.,  5.]])
    """
    row = column = 0
    terms = []
    for F in _several(operators, None):
        terms.append((row, column, F))
        row, column = row + F.shape[0], column + F.shape[1]
    return Blocks(terms, (row, column))


def _several(operators: Any, axis: int | None) -> list[Operator]:
    given = parts_in(operators, "operators")
    if not given:
        raise ValueError("operators is empty, expected at least one")
    made = [as_operator(F, f"operators[{n}]") for n, F in enumerate(given)]
    sizes = {F.shape[axis] for F in made} if axis is not None else {0}
    if len(sizes) > 1:
        name = ("rows", "columns")[axis or 0]
        raise ValueError(f"operators have {sorted(sizes)} {name}, expected equally many")
    return made


Operator._family = Family(
    product=product,
    total=total,
    scaled=scaled,
    power=power,
    selected=selected,
    part_of_complex=part_of_complex,
    composition=Composition,
    plan=plan_of,
    save=save,
)
