"""Certificates of closedness: matrices without a best approximation, and orders of elimination."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .. import _core
from .._util.checks import finite_number

_Terms = NDArray[np.float64]  # rows of (row, column, coefficient, power of epsilon)


@dataclass(frozen=True, eq=False)
class Witness:
    """A matrix that products with these supports come arbitrarily close to, but never reach.

    Attributes
    ----------
    rule : {"triangular", "tangent", "pattern"}
        Which theorem of docs/supports.md says so: T5 or T7, after T9 if there are `pins`, or T11.
    inner : ndarray of int
        T5: inner indices, r of them, that alone reach the lower triangle and the diagonal of
        ``limit[rows][:, columns]`` in some order. T7: those of the first set of classes.
        T11: all that `approximation` uses.
    other : int
        T5: an inner index of another class whose rectangle contains the corner,
        ``rows[0], columns[0]``. T7: one of the second set. T11: the last of `inner`.
    rows, columns : ndarray of int
        Where; of T5 r + 1 each, and the corner comes first. T11: the ones of `limit` one by one,
        and last the entry that is `epsilon` in its approximation.
    shape : tuple of int
        Rows, inner indices and columns of the problem.
    pins : tuple of (ndarray, ndarray, ndarray)
        T9: inner indices that are fixed by what `limit` is at these rows and columns, so that the
        others are left alone with the rest.

    Examples
    --------
    >>> import papilio as pp
    >>> witness = pp.analyze_supports([[1, 0], [1, 1]], [[1, 1], [0, 1]]).witness
    >>> witness.rule, witness.inner, witness.other, witness.rows, witness.columns
    ('triangular', array([0]), 1, array([1, 0]), array([1, 0]))
    """

    rule: str
    inner: NDArray[np.int64]
    other: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    shape: tuple[int, int, int]
    pins: tuple[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], ...]
    _x: _Terms = field(repr=False)
    _y: _Terms = field(repr=False)
    _limit: _Terms = field(repr=False)

    @property
    def limit(self) -> Any:
        """The matrix without a best approximation, as a `scipy.sparse.csr_array`.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((2, 2)))
        >>> pp.analyze_supports(L, L.T).witness.limit.toarray()
        array([[0., 1.],
               [1., 0.]])
        """
        m, _, n = self.shape
        return _matrix(self._limit, (m, n), 1.0)

    def target(self) -> Any:
        """Return `limit`. Its name in 0.1.0, deprecated.

        Examples
        --------
        >>> import warnings
        >>> import papilio as pp
        >>> witness = pp.analyze_supports([[1, 0], [1, 1]], [[1, 1], [0, 1]]).witness
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", DeprecationWarning)
        ...     witness.target().toarray()
        array([[0., 1.],
               [1., 0.]])
        """
        warnings.warn(
            "Witness.target() is now the property limit", DeprecationWarning, stacklevel=2
        )
        return self.limit

    def approximation(self, epsilon: float) -> tuple[Any, Any]:
        """Return X and Y, as `scipy.sparse.csr_array`, whose product is `epsilon` from `limit`.

        Raises
        ------
        TypeError, ValueError
            If epsilon isn't a positive number whose inverse is finite.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((2, 2)))
        >>> X, Y = pp.analyze_supports(L, L.T).witness.approximation(0.125)
        >>> X.toarray(), Y.toarray()
        (array([[1., 0.],
               [8., 1.]]), array([[ 0.125,  1.   ],
               [ 0.   , -8.   ]]))
        """
        epsilon = finite_number(epsilon, "epsilon", positive=True)
        if math.isinf(1 / epsilon):
            raise ValueError(f"epsilon is {epsilon}, expected a number whose inverse is finite")
        m, k, n = self.shape
        return _matrix(self._x, (m, k), epsilon), _matrix(self._y, (k, n), epsilon)

    @property
    def reason(self) -> str:
        """Why no product with these supports is `limit`, in words."""
        pinned = "".join(
            f"the entries at rows {_some(rows)}, columns {_some(cols)} fix all that inner "
            f"{_some(inner)} can contribute, and nothing of it is left for the others' rows and "
            "columns; there, "
            for inner, rows, cols in self.pins
        )
        if self.rule == "triangular":
            return pinned + (
                f"on rows {_some(self.rows)} and columns {_some(self.columns)} only inner "
                f"{_some(self.inner)} reach one triangle and the diagonal of what is a permuted "
                f"identity of rank {len(self.rows)}, which {len(self.inner)} of them can't make; "
                f"but with inner {self.other} to cancel what they do in row {self.rows[0]}, column "
                f"{self.columns[0]}, they come as close as one likes"
            )
        if self.rule == "pattern":
            return (
                f"no zeros of factors fit the zeros of the limit, with ones at "
                f"{_entries(self.rows[:-1], self.columns[:-1])}: each leaves an entry that is one "
                "product where it should vanish, or no product where it shouldn't; but with "
                f"epsilon at {_entries(self.rows[-1:], self.columns[-1:])}, inner "
                f"{_some(self.inner)} make it exactly"
            )
        return pinned + (
            f"on rows {_some(self.rows)} and columns {_some(self.columns)} two sets of classes, "
            f"with inner {_some(self.inner)} and with inner {self.other}, each alone on some "
            "lines, have to span more on their common lines than their ranks allow; where their "
            "spans become tangent, they come as close as one likes"
        )


def _some(numbers: NDArray[np.int64]) -> str:
    shown = ", ".join(str(int(n)) for n in numbers[:8])
    return shown + (f", ... ({len(numbers)})" if len(numbers) > 8 else "")


def _entries(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> str:
    return ", ".join(f"({int(i)}, {int(j)})" for i, j in zip(rows, columns, strict=True))


def _matrix(terms: _Terms, shape: tuple[int, int], epsilon: float) -> Any:
    values = terms[:, 2] * epsilon ** terms[:, 3]
    places = terms[:, 0].astype(np.int32), terms[:, 1].astype(np.int32)
    return scipy.sparse.csr_array((values, places), shape=shape)


def make_witness(found: Any, core: _core.SupportClasses, shape: tuple[int, int, int]) -> Witness:
    """What the core found, as `Witness`."""
    rule, first, second, rows, cols, _, pins, pin_rows, pin_cols, *terms = found
    x, y, limit = (np.array(t, float).reshape(-1, 4) for t in terms)
    class_of = core.class_of()
    used = np.unique(np.r_[x[:, 1], y[:, 0]]).astype(np.int64)

    def of(classes: Any) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = used[np.isin(class_of[used], classes)]
        return chosen

    pinned = tuple(
        (of([p]), np.array(r, np.int64), np.array(c, np.int64))
        for p, r, c in zip(pins, pin_rows, pin_cols, strict=True)
    )
    return Witness(
        rule=rule,
        inner=of(first),
        other=int(of(second if rule != "pattern" else first)[-1 if rule == "pattern" else 0]),
        rows=np.array(rows, np.int64),
        columns=np.array(cols, np.int64),
        shape=shape,
        pins=pinned[::-1],
        _x=x,
        _y=y,
        _limit=limit,
    )


@dataclass(frozen=True)
class Elimination:
    """One step of a proof that the products of some supports are a closed set.

    Attributes
    ----------
    rule : str
        ``"covered"``, ``"filled rows"``, ``"filled columns"``, ``"merged"``, ``"eliminated"`` or
        ``"pair"``: see docs/supports.md. `str` says it in words.
    classes : tuple of tuple of int
        The classes of each part that the step is about; several where they were merged.
    ranks, rows, columns : tuple of int
        Of each part, on the kernel (T1): at most as many equal lines as inner indices reach them.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> U = np.triu(np.ones((4, 4)))
    >>> steps = pp.analyze_supports(U, U).elimination
    >>> len(steps), steps[0].classes, steps[0].rule
    (4, ((3,),), 'covered')
    >>> print(steps[0])
    class 3 makes every matrix on what is left of it (4 x 1, rank 1): peeled
    """

    rule: str
    classes: tuple[tuple[int, ...], ...]
    ranks: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __str__(self) -> str:
        parts = [
            f"class {' with '.join(str(p) for p in classes)}"
            if len(classes) == 1
            else f"the classes {', '.join(str(p) for p in classes)} as one"
            for classes in self.classes
        ]
        sizes = [
            f"{height} x {width}, rank {rank}"
            for rank, height, width in zip(self.ranks, self.rows, self.columns, strict=True)
        ]
        what = f"{parts[0]} ({sizes[0]})"
        if self.rule == "covered":
            return f"{parts[0]} makes every matrix on what is left of it ({sizes[0]}): peeled"
        if self.rule == "merged":
            return f"{what}: one lies within another, and both are all matrices of this rank"
        if self.rule == "eliminated":
            return f"{what} is nested crosswise into all that it overlaps: eliminated"
        together = ", ".join(f"{part} ({size})" for part, size in zip(parts, sizes, strict=True))
        if self.rule == "pair":
            return f"{together} share their rows or columns, in a closed set: left out"
        lines = self.rule.split()[1]
        return f"{together} reach all that is left of them, {lines[:-1]} by {lines[:-1]}: peeled"


def make_elimination(steps: Any) -> tuple[Elimination, ...]:
    """What the core did, step by step."""
    return tuple(
        Elimination(rule, tuple(tuple(p) for p in classes), tuple(r), tuple(h), tuple(w))
        for rule, classes, r, h, w in steps
    )
