"""analyze_supports: what is known about products X Y of two matrices with given supports."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .. import _core
from .._chains.support_masks import Sets, as_supports, sets_of
from .._util.checks import positive_int
from .._util.once import once
from .._util.plotting import new_axes
from .._util.printed import Printed
from ._drawing import Drawing, mark_ones, mark_peeled
from ._peeled import Peeled, lines_of, peel
from ._repair import Goal, Repair, repair
from ._stairs import Stairs
from ._witness import Elimination, Witness, make_elimination, make_witness

Kind = Literal["disjoint", "complete", "peeled", "open"]
_KINDS: tuple[Kind, ...] = ("disjoint", "complete", "peeled", "open")
_CORE_KINDS: tuple[Kind, ...] = ("disjoint", "complete", "open")  # as the core numbers them

# A component with more rows times columns than this isn't peeled: it would be held dense.
_DENSE = 25_000_000
# A search for bounds looks at the rectangles of a component on the grid of its types
# of rows and columns; components with more cells than this are left out.
_CELLS = 4_000_000
_WORK = 20_000_000  # cells of all classes' rectangles that are looked at


def _incidence(sets: Sets, length: int) -> Any:
    """Index sets as the rows of a sparse matrix of ones."""
    start, index = sets
    ones = np.ones(len(index), np.int32)
    return scipy.sparse.csr_array((ones, index, start), (len(start) - 1, length))


@dataclass(frozen=True, eq=False)
class SupportReport(Printed):
    """What is known about min ||A - XY|| with supports of X and Y given.

    Inner index i contributes to the entries of one rectangle: the rows of X's column i times the
    columns of Y's row i. Inner indices with the same rectangle form a class. Classes that overlap,
    directly or through others, form a component; components are problems of their own.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of XY.
    inner : int
        Columns of X, rows of Y.
    nnz : int
        Entries of both supports: the unknowns.
    class_of : ndarray of int
        The class of each inner index; -1 if its rectangle is empty.
    sizes, rows, columns : ndarray of int
        Of each class: how many inner indices, and of how many rows and columns its rectangle is.
    complete : ndarray of bool
        Of each class: whether ``size >= min(rows, columns)``, so that it alone expresses every
        matrix on its rectangle.
    component_of : ndarray of int
        The component of each class.
    component_kinds : ndarray of str
        Of each component. ``"disjoint"``: one class. ``"complete"``: several, but tractable,
        because outside of the complete ones each entry belongs to one class only and these rest
        in rectangles (docs/supports.md, theorem 2). ``"peeled"``: tractable, because disjoint
        rectangles rest after peeling and merging (theorem 5). ``"open"``: none of these, and no
        exact method is known.
    seconds : float
        Time of the analysis.

    Examples
    --------
    >>> import papilio as pp
    >>> report = pp.analyze_supports([[1, 0, 1], [1, 1, 1]], [[1, 1], [0, 1], [1, 1]])
    >>> report.class_of, report.sizes, report.complete
    (array([0, 1, 0], dtype=int32), array([2, 1]), array([ True,  True]))
    >>> report.kind, report.landscape
    ('complete', 'there are no spurious local valleys')
    """

    shape: tuple[int, int]
    inner: int
    nnz: int
    class_of: NDArray[np.int32]
    sizes: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    complete: NDArray[np.bool_]
    component_of: NDArray[np.int32]
    component_kinds: NDArray[np.str_]
    seconds: float
    _classes: _core.SupportClasses = field(repr=False)
    _peeled: dict[int, Peeled] = field(repr=False)

    @property
    def kind(self) -> Kind:
        """The worst of the components' kinds (``"disjoint"`` if there are none)."""
        found = [kind for kind in _KINDS if (self.component_kinds == kind).any()]
        return found[-1] if found else "disjoint"

    @property
    def tractable(self) -> bool:
        """Whether `fixed_support` solves the problem exactly for every A."""
        return self.kind != "open"

    @property
    def area(self) -> int:
        """Entries of all classes' rectangles, overlaps counted as often as they are covered."""
        return int(self.rows @ self.columns)

    @property
    def flops(self) -> float:
        """Rough cost of the exact solution, or of one sweep of the local one where it is needed."""
        rows, cols, sizes = (v.astype(float) for v in (self.rows, self.columns, self.sizes))
        is_open = self._is_open()
        exact = 4 * rows * cols * np.minimum(rows, cols) * ~self.complete
        return float(np.where(is_open, 8 * sizes * rows * cols, exact).sum())

    def _is_open(self) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = (self.component_kinds == "open")[self.component_of]
        return result

    @once
    def _answers(self) -> dict[int, tuple[bool | None, Any, Any, bool]]:
        """What the core proves of each component that isn't tractable, up to a witness."""
        answers = {}
        for number in np.flatnonzero(self.component_kinds == "open"):
            answers[int(number)] = self._classes.closedness(int(number), 1.0, False)
            if answers[int(number)][0] is False:
                break
        return answers

    @once
    def witness(self) -> Witness | None:
        """A matrix without a best approximation, where one was found (at the first access).

        The search ends after some tenths of a second for each component, and looks at parts of
        components with more than 96 types of rows or columns. For two inner indices it misses none.
        """
        for _, _, found, _ in self._answers.values():
            if found is not None:
                m, n = self.shape
                return make_witness(found, self._classes, (m, self.inner, n))
        return None

    @once
    def elimination(self) -> tuple[Elimination, ...]:
        """The proof that the products are a closed set, component by component, if there is one.

        Tractable components of the kinds ``"disjoint"`` and ``"complete"`` are left out: theorems 1
        and 2 of docs/supports.md are their proof.
        """
        if self.has_minimizer is not True:
            return ()
        numbers = np.flatnonzero(np.isin(self.component_kinds, ["peeled", "open"]))
        return tuple(
            step
            for number in numbers
            for step in make_elimination(self._classes.closedness(int(number), 1.0, False)[1])
        )

    @property
    def has_minimizer(self) -> bool | None:
        """Whether every A has a best approximation; None if that isn't known."""
        if self.tractable:
            return True
        if self.witness is not None:
            return False
        return True if all(answer[0] for answer in self._answers.values()) else None

    @property
    def existence(self) -> str:
        """What is proved about the existence of a best approximation, in words."""
        if self.kind == "disjoint":
            return "every matrix has a best approximation: the classes are disjoint"
        if self.kind == "complete":
            return (
                "every matrix has a best approximation: outside of the complete classes, the "
                "others rest in disjoint rectangles"
            )
        if self.kind == "peeled":
            return "every matrix has a best approximation: after peeling, disjoint rectangles rest"
        if self.witness is not None:
            return (
                "some matrices have no best approximation (witness): factors that come closer and "
                "closer to them diverge"
            )
        if self.has_minimizer:
            return "every matrix has a best approximation: the classes can be eliminated one by one"
        return "unknown: no theorem applies, and a best approximation may not exist"

    def explain(self) -> str:
        """Return what is known about the existence of a best approximation, with its proof.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((2, 2)))
        >>> print(pp.analyze_supports(L, L.T).explain())  # doctest: +ELLIPSIS
        some matrices have no best approximation (witness): factors that come closer and closer ...
          T5 of docs/supports.md: on rows 1, 0 and columns 1, 0 only inner 0 reach one triangle ...
          limit: 2 ones; factors at distance epsilon: report.witness.approximation(epsilon)
        """
        lines = [self.existence]
        if self.witness is not None:
            rule = {"triangular": "T5", "tangent": "T7", "pattern": "T11"}[self.witness.rule]
            rule = f"T9, {rule}" if self.witness.pins else rule
            lines += [
                f"{rule} of docs/supports.md: {self.witness.reason}",
                f"limit: {self.witness.limit.nnz} ones; factors at distance epsilon: "
                "report.witness.approximation(epsilon)",
            ]
        elif self.has_minimizer:
            lines += [str(step) for step in self.elimination]
        elif any(exhausted for *_, exhausted in self._answers.values()):
            lines.append("the search was cut short: a component is large")
        return "\n  ".join(lines)

    def repair(self, goal: Goal = "minimizer", *, most: int = 32) -> Repair:
        """Propose few entries to add or remove so that a best approximation always exists.

        Greedy: one change after another, each next to a witness (or, without one, in what is
        undecided), and each the one that leaves least to mend. Fewer changes may do.

        Parameters
        ----------
        goal : {"minimizer", "tractable"}
            ``has_minimizer`` is to be True, or `tractable`.
        most : int
            Give up after so many changes.

        Returns
        -------
        Repair
            With ``reached`` False if that isn't enough.

        Examples
        --------
        >>> import papilio as pp
        >>> report = pp.analyze_supports([[1, 0], [1, 1]], [[1, 1], [0, 1]])
        >>> report.repair().reached
        True
        """
        state: Any = self._classes.__getstate__()
        m, n, *sets = state
        left, right = (
            scipy.sparse.csr_array((np.ones(len(index), bool), index, start), shape=shape)
            for start, index, shape in (
                (*sets[:2], (self.inner, m)),
                (*sets[2:], (self.inner, n)),
            )
        )
        masks = scipy.sparse.csr_array(left.T), right
        return repair(
            self, masks, goal, most, lambda left, right: analyze(*as_supports(left, right))
        )

    @property
    def landscape(self) -> str:
        """What is known about local minima of ||A - XY||, in words."""
        if self.kind == "disjoint":
            return "every local minimum is global, and there are no spurious local valleys"
        if self.kind == "complete":
            return "there are no spurious local valleys"
        return "nothing is known: local minima may be spurious"

    def _open_components(self) -> Iterator[_Component]:
        """The open components whose grid of types isn't too large."""
        for number in np.flatnonzero(self.component_kinds == "open"):
            component = _Component(self, number)
            if component.cells <= _CELLS:
                yield component

    def plot(self, ax: Any = None, *, classes: int = 256) -> Any:
        """Draw the rectangles of the classes on the entries of the product.

        Each class has a colour, complete classes paler ones; where classes overlap it is darker.
        A cross stands in the middle of what was peeled; dots are the ones of the witness's limit.
        Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: a new figure.
        classes : int
            Draw so many at the most, the largest ones.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import papilio as pp
        >>> report = pp.analyze_supports(*pp.Architecture.monarch((16, 16), 4, 4))
        >>> report.plot().get_title()  # doctest: +SKIP
        '16 classes, disjoint'
        """
        classes = positive_int(classes, "classes")
        drawn = Drawing(self.shape, self._classes, self.rows * self.columns, self.complete)
        ax = drawn.draw(new_axes(ax), classes)
        for peeled in self._peeled.values():
            if peeled.disjoint:
                mark_peeled(ax, peeled)
        if self.tractable is False and self.witness is not None:
            mark_ones(ax, self.witness.limit)
        ax.set(title=f"{len(self.sizes)} classes, {self.kind}", xlabel="column", ylabel="row")
        return ax

    def __str__(self) -> str:
        kinds = ", ".join(
            f"{count} {kind}"
            for kind in _KINDS
            if (count := np.count_nonzero(self.component_kinds == kind))
        )
        m, n = self.shape
        return "\n".join(
            [
                f"supports {m} x {self.inner} and {self.inner} x {n}, {self.nnz} entries",
                f"  classes      {len(self.sizes)} ({int(self.complete.sum())} complete)",
                f"  components   {len(self.component_kinds)} ({kinds or 'none'})",
                f"  tractable    {'yes' if self.tractable else 'no'}",
                f"  minimizer    {self.existence}",
                f"  landscape    {self.landscape}",
                f"  cost         about {self.flops:.2g} flops"
                + ("" if self.tractable else " a sweep of the local solver"),
            ]
        )


class _Component:
    """An open component on the grid of its types of rows and columns."""

    def __init__(self, report: SupportReport, number: Any) -> None:
        self.report = report
        self.classes = np.flatnonzero(report.component_of == number)
        core = report._classes
        self.row_type, self.col_type = core.row_type(), core.col_type()
        by_rows = _incidence(core.class_row_types(), int(self.row_type.max()) + 1)[self.classes]
        by_cols = _incidence(core.class_col_types(), int(self.col_type.max()) + 1)[self.classes]
        self.row_types, self.col_types = np.unique(by_rows.indices), np.unique(by_cols.indices)
        self._by_rows, self._by_cols = by_rows[:, self.row_types], by_cols[:, self.col_types]

    @property
    def cells(self) -> int:
        return len(self.row_types) * len(self.col_types)

    @once
    def _count(self) -> NDArray[np.int32]:
        """How many classes cover each cell."""
        by_type = scipy.sparse.csr_array(self._by_rows.T)
        lengths = np.diff(self._by_cols.indptr).astype(float)
        work = np.cumsum(by_type @ lengths)
        parts = np.searchsorted(work, np.arange(0, work[-1], _WORK / 10) + _WORK / 10)
        cuts = np.unique(np.r_[0, parts + 1, by_type.shape[0]].clip(max=by_type.shape[0]))
        # Some at a time: signals are handled in between.
        count: NDArray[np.int32] = np.concatenate(
            [(by_type[a:b] @ self._by_cols).toarray() for a, b in itertools.pairwise(cuts)]
        )
        return count

    @once
    def _row_weights(self) -> NDArray[np.int64]:
        weights: NDArray[np.int64] = np.bincount(self.row_type + 1)[1:][self.row_types]
        return weights

    @once
    def _col_weights(self) -> NDArray[np.int64]:
        weights: NDArray[np.int64] = np.bincount(self.col_type + 1)[1:][self.col_types]
        return weights

    def _exclusive(self, p: Any) -> tuple[Any, Any, NDArray[np.bool_]]:
        """The cells of the component's p-th class: its rows, columns, and which no other covers."""
        rows, cols = self._by_rows[[p]].indices, self._by_cols[[p]].indices
        return rows, cols, self._count[np.ix_(rows, cols)] == 1

    def _rows_of(self, types: Any) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.flatnonzero(np.isin(self.row_type, self.row_types[types]))
        return found

    def _cols_of(self, types: Any) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.flatnonzero(np.isin(self.col_type, self.col_types[types]))
        return found

    def stairs(self) -> Stairs | None:
        """The component as a staircase, if it is one."""
        if len(self.classes) > Stairs.most:
            return None
        return Stairs.of(
            [
                (
                    self._rows_of(self._by_rows[[p]].indices),
                    self._cols_of(self._by_cols[[p]].indices),
                    int(self.report.sizes[number]),
                )
                for p, number in enumerate(self.classes)
            ]
        )

    def _within_budget(self) -> Iterator[Any]:
        """The classes, the smallest first, as long as looking at them isn't too much."""
        work = np.diff(self._by_rows.indptr).astype(float) * np.diff(self._by_cols.indptr)
        order = np.argsort(self.report.sizes[self.classes], kind="stable")
        return iter(order[np.cumsum(work[order]) <= _WORK])

    def rectangles(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
        """Disjoint rectangles, (rows, columns), that one class alone covers, and its size."""
        for p in self._within_budget():
            r = int(self.report.sizes[self.classes[p]])
            rows, cols, exclusive = self._exclusive(p)
            found = _equal_lines(exclusive, self._row_weights[rows], self._col_weights[cols], r)
            turned = _equal_lines(exclusive.T, self._col_weights[cols], self._row_weights[rows], r)
            if sum(size for _, _, size in found) >= sum(size for _, _, size in turned):
                blocks = [(line, across) for line, across, _ in found]
            else:
                blocks = [(across, line) for line, across, _ in turned]
            for row_types, col_types in blocks:
                yield self._rows_of(rows[row_types]), self._cols_of(cols[col_types]), r


def _equal_lines(
    mask: NDArray[np.bool_], line_weights: Any, across_weights: Any, rank: int
) -> list[tuple[Any, Any, int]]:
    """Lines of a mask that are equal, and where they are set: rectangles of more than a rank."""
    patterns, number = np.unique(mask, axis=0, return_inverse=True)
    lines = np.bincount(number.ravel(), weights=line_weights).astype(np.int64)
    across = patterns @ across_weights
    return [
        (
            np.flatnonzero(number.ravel() == n),
            np.flatnonzero(patterns[n]),
            int(lines[n] * across[n]),
        )
        for n in np.flatnonzero(np.minimum(lines, across) > rank)
    ]


def analyze(left: Any, right: Any) -> SupportReport:
    """`analyze_supports` for supports as `as_supports` returns them."""
    start = time.perf_counter()
    (m, k), n = left.shape, right.shape[1]
    core = _core.SupportClasses(m, n, *sets_of(left), *sets_of(right))
    member_start, members = core.members()
    representative = members[member_start[:-1]]
    rows = np.diff(left.indptr).astype(np.int64)[representative]
    columns = np.diff(right.indptr).astype(np.int64)[representative]
    kinds = np.array(_CORE_KINDS, dtype=f"<U{max(map(len, _KINDS))}")[core.kinds()]
    peeled = {}
    by_type = lines_of(core.row_type()), lines_of(core.col_type())
    for number in np.flatnonzero(kinds == "open"):
        found = peel(core, int(number), by_type)
        if len(found.rows) * len(found.cols) <= _DENSE and found.regions:
            peeled[int(number)] = found
            if found.disjoint:
                kinds[number] = "peeled"
    return SupportReport(
        shape=(m, n),
        inner=k,
        nnz=left.nnz + right.nnz,
        class_of=core.class_of(),
        sizes=np.diff(member_start),
        rows=rows,
        columns=columns,
        complete=core.complete().astype(bool),
        component_of=core.component(),
        component_kinds=kinds,
        seconds=time.perf_counter() - start,
        _classes=core,
        _peeled=peeled,
    )
