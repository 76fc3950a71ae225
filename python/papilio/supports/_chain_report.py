"""analyze_supports: what is known about products of factors with given supports."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._chains.architecture import Architecture
from .._chains.support_masks import Support, as_support, as_supports
from .._util.plotting import new_axes
from .._util.printed import Printed
from ._analysis import SupportReport, analyze
from ._drawing import draw_reach, mark_ones
from ._graph import Contraction, factor_on, reach, restricted, route
from ._witness import Witness

_Lift = Callable[[Any, Any], list[Any] | None]

_VERDICTS = {True: "always", False: "not for some matrices", None: "unknown"}

# Parts of the chain, two rows and two columns each, that are looked at.
_PARTS = 400


@dataclass(frozen=True, eq=False)
class ChainWitness:
    """A matrix that products of three or more factors come close to as they diverge.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the product.
    rows, columns : ndarray of int
        Where the matrix may differ from zero.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> L = np.tril(np.ones((2, 2)))
    >>> witness = pp.analyze_supports([L, np.eye(2), L.T]).witness
    >>> witness.limit.toarray()
    array([[0., 1.],
           [1., 0.]])
    """

    shape: tuple[int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    _pair: Witness = field(repr=False)
    _lift: _Lift = field(repr=False)

    @property
    def limit(self) -> Any:
        """The matrix without a best approximation, as a `scipy.sparse.csr_array`."""
        part = scipy.sparse.coo_array(self._pair.limit)
        places = self.rows[part.row], self.columns[part.col]
        return scipy.sparse.csr_array((part.data, places), shape=self.shape)

    def approximation(self, epsilon: float) -> tuple[Any, ...]:
        """Return factors in the supports whose product is `epsilon` from `limit`.

        Raises
        ------
        TypeError, ValueError
            If epsilon isn't a positive number whose inverse is finite.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((2, 2)))
        >>> X, Y, Z = pp.analyze_supports([L, np.eye(2), L.T]).witness.approximation(0.125)
        >>> (X @ Y @ Z).toarray()
        array([[0.125, 1.   ],
               [1.   , 0.   ]])
        """
        factors = self._lift(*self._pair.approximation(epsilon))
        assert factors is not None  # for one epsilon and so for all: the entries are the same
        return tuple(factors)


@dataclass(frozen=True, eq=False)
class ChainReport(Printed):
    """What is known about min ||A - X_1 ... X_L|| with the supports of all factors given.

    Attributes
    ----------
    sizes : tuple of int
        Rows of the product, inner indices of each split, columns.
    nnz : int
        Entries of all supports.
    has_minimizer : bool or None
        Whether every A has a best approximation; None if that isn't known.
    reason : str
        Why, or what was tried.
    witness : ChainWitness or None
        Where `has_minimizer` is False.
    pair : SupportReport or None
        Of two supports with the same products, where they were found.
    seconds : float
        Time of the analysis.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> L = np.tril(np.ones((4, 4)))
    >>> report = pp.analyze_supports([L, np.eye(4), L.T])
    >>> report.has_minimizer, report.tractable, report.sizes
    (False, False, (4, 4, 4, 4))
    """

    sizes: tuple[int, ...]
    nnz: int
    has_minimizer: bool | None
    reason: str
    witness: ChainWitness | None
    pair: SupportReport | None
    seconds: float
    _masks: tuple[Any, ...] = field(repr=False)

    @property
    def tractable(self) -> bool:
        """Whether `fixed_support` solves the problem exactly for every A."""
        return self.pair is not None and self.pair.tractable

    def explain(self) -> str:
        """Return the verdict and its certificate in words.

        Where two factors have the same products, what is known of them follows (its rows, inner
        indices and columns are those of the two factors).

        Examples
        --------
        >>> import papilio as pp
        >>> print(pp.analyze_supports(list(pp.Architecture.square_dyadic(8))).explain())
        every matrix has a best approximation: the supports are those of a chainable architecture,
        whose products are the matrices with certain blocks of bounded rank
        """
        lines = [self.reason]
        if self.witness is not None:
            lines.append(
                f"limit: {self.witness.limit.nnz} ones; factors at distance epsilon: "
                "report.witness.approximation(epsilon)"
            )
        if self.pair is not None:
            lines.append("of the two factors: " + self.pair.explain().replace("\n", "\n  "))
        return "\n  ".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the entries that products reach; dots are the ones of the witness's limit.

        Where two factors have the same products, the rectangles of their classes are drawn as
        `SupportReport.plot` does. Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Default: a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> L = np.tril(np.ones((4, 4)))
        >>> pp.analyze_supports([L, np.eye(4), L.T]).plot().get_title()  # doctest: +SKIP
        '3 supports, not for some matrices'
        """
        ax = new_axes(ax)
        if self.pair is not None:
            self.pair.plot(ax)
        else:
            draw_reach(ax, reach(self._masks))
            if self.witness is not None:
                mark_ones(ax, self.witness.limit)
        title = f"{len(self._masks)} supports, {_VERDICTS[self.has_minimizer]}"
        ax.set(title=title, xlabel="column", ylabel="row")
        return ax

    def __str__(self) -> str:
        sizes = " x ".join(str(size) for size in self.sizes)
        return "\n".join(
            [
                f"{len(self.sizes) - 1} supports, {sizes}, {self.nnz} entries",
                f"  minimizer    {_VERDICTS[self.has_minimizer]}",
                f"  tractable    {'yes' if self.tractable else 'no'}",
                f"  because      {self.reason}",
            ]
        )


def analyze_supports(
    left: Support | Sequence[Support], right: Support | None = None
) -> SupportReport | ChainReport:
    """Say what is known of min ||A - X_1 ... X_L||_F for factors with given supports and all A.

    Parameters
    ----------
    left, right : array_like, scipy.sparse matrix or array, or Pattern
        Supports of X, shape (m, k), and Y, shape (k, n): where the values differ from zero, the
        factors may. At least one entry each; rows and columns may be empty. Or `left` alone: a
        sequence of two or more supports, from left to right.

    Returns
    -------
    SupportReport or ChainReport
        Of two factors: the classes, whether and why the problem is tractable, whether a minimizer
        exists, and what is known of local minima. Of more: whether a minimizer exists, and why.
        `print` it for a summary.

    Raises
    ------
    TypeError
        For supports that aren't numeric.
    ValueError
        For shapes that don't fit, empty axes, or a support without entries.

    Notes
    -----
    In general the problem is NP-hard, and so is approximating its optimal value (Le, Riccietti,
    Gribonval 2021). docs/supports.md proves what the report says. Time and memory are near-linear
    in the entries of the supports, some 20 bytes per entry beside them; of more than two supports,
    in those of the products of supports, too.

    References
    ----------
    Q.-T. Le, E. Riccietti, R. Gribonval, "Spurious valleys, NP-hardness, and tractability of
    sparse matrix factorization with fixed support", 2021 (arXiv:2112.00386).

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> report = pp.analyze_supports(*pp.Architecture.monarch((16, 16), 4, 4))
    >>> report.kind, report.has_minimizer, len(report.sizes)
    ('disjoint', True, 16)
    >>> L = np.tril(np.ones((3, 3)))
    >>> report = pp.analyze_supports(L, L.T)
    >>> report.kind, report.has_minimizer
    ('open', False)
    >>> pp.analyze_supports([L, np.ones((3, 3)), L.T]).has_minimizer
    True
    """
    if right is not None:
        return analyze(*as_supports(left, right))
    masks = supports_in(left)
    if len(masks) == 2:
        return analyze(scipy.sparse.csc_array(masks[0]), masks[1])
    return analyze_chain(masks)


def supports_in(left: Any) -> list[Any]:
    """The masks of a sequence of two or more supports that fit each other."""
    if scipy.sparse.issparse(left) or not isinstance(left, Sequence):
        raise TypeError(
            f"left is a {type(left).__name__} and right is missing, expected two supports or a "
            "sequence of them"
        )
    if len(left) < 2:
        raise ValueError(f"left has {len(left)} supports and right is missing, expected two")
    return checked_chain(left, "left")


def checked_chain(supports: Sequence[Any], name: str) -> list[Any]:
    """Masks of supports from left to right."""
    masks = [as_support(support, f"{name}[{n}]") for n, support in enumerate(supports)]
    for n, (p, q) in enumerate(itertools.pairwise(masks)):
        if p.shape[1] != q.shape[0]:
            raise ValueError(
                f"{name}[{n}] has {p.shape[1]} columns but {name}[{n + 1}] has {q.shape[0]} rows"
            )
    return masks


def is_chainable(masks: Sequence[Any]) -> bool:
    """Whether these are the supports of a chainable architecture."""
    try:
        return Architecture.from_supports(masks).is_chainable
    except ValueError:
        return False


def analyze_chain(masks: Sequence[Any]) -> ChainReport:
    """The report of one or more masks; rules in the order of docs/supports.md."""
    start = time.perf_counter()
    verdict, reason, witness, pair = _verdict(masks)
    return ChainReport(
        sizes=(masks[0].shape[0], *(mask.shape[1] for mask in masks)),
        nnz=sum(mask.nnz for mask in masks),
        has_minimizer=verdict,
        reason=reason,
        witness=witness,
        pair=pair,
        seconds=time.perf_counter() - start,
        _masks=tuple(masks),
    )


_Verdict = tuple[bool | None, str, ChainWitness | None, SupportReport | None]


def _verdict(masks: Sequence[Any]) -> _Verdict:
    always, some = "every matrix has a best approximation: ", "some matrices have none: "
    if len(masks) == 1:
        return True, always + "one factor, which is projected onto its support", None, None
    if len(masks) > 2 and is_chainable(masks):
        why = (
            "the supports are those of a chainable architecture, whose products are the matrices "
            "with certain blocks of bounded rank"
        )
        return True, always + why, None, None
    found = _by_contraction(masks)
    if found is not None:
        return found
    if _is_full(masks):
        return True, always + "the products are all matrices on their support", None, None
    for split in range(1, len(masks)):
        if not (_is_full(masks[:split]) and _is_full(masks[split:])):
            continue
        report = analyze(*_products(masks, split))
        if report.has_minimizer:
            why = (
                f"factors 1 to {split} make every matrix on their support, the others too; as two "
            )
            return True, why + f"factors: {report.existence}", None, None
    for split in range(1, len(masks)):
        witness = _lifted(masks, split)
        if witness is not None:
            why = f"a witness of the split behind factor {split} is one of the whole chain"
            return False, some + why, witness, None
    witness = _of_a_part(masks)
    if witness is not None:
        rows, cols = witness.rows.tolist(), witness.columns.tolist()
        return False, some + f"rows {rows} and columns {cols} do alone", witness, None
    tried = "contraction, splits with all matrices on both sides, witnesses of splits and of parts"
    return None, f"unknown: {tried} decide nothing", None, None


def _whole(masks: Sequence[Any], pair: Witness, lift: _Lift) -> ChainWitness:
    shape = masks[0].shape[0], masks[-1].shape[1]
    return ChainWitness(shape, np.arange(shape[0]), np.arange(shape[1]), pair, lift)


def _by_contraction(masks: Sequence[Any]) -> _Verdict | None:
    """Two supports with the same products, if there are any."""
    if len(masks) == 2:
        report = analyze(scipy.sparse.csc_array(masks[0]), masks[1])
        lift: _Lift = _Pair(masks).lift
        removed = "two factors: "
    else:
        contraction = Contraction.of(masks)
        pair = None if contraction is None else contraction.pair()
        if contraction is None or pair is None:
            return None
        report = analyze(scipy.sparse.csc_array(pair[0]), pair[1])
        lift = contraction.expand
        removed = (
            f"{len(contraction.removed)} inner indices with one edge to the left or to the right "
            "can go, which leaves two factors: "
        )
    witness = None
    if report.has_minimizer is False and report.witness is not None:
        witness = _whole(masks, report.witness, lift)
    return report.has_minimizer, removed + report.existence, witness, report


def _products(masks: Sequence[Any], split: int) -> tuple[Any, Any]:
    return scipy.sparse.csc_array(reach(masks[:split])), reach(masks[split:])


def _is_full(masks: Sequence[Any]) -> bool:
    """Whether the products are proved to be all matrices on the product of the supports."""
    if len(masks) == 1:
        return True
    whole = reach(masks).nnz
    for n, mask in enumerate(masks):
        others = [*masks[:n], *masks[n + 1 :]]
        if mask.nnz == whole and all(_has_identity(other) for other in others):
            return True
    pair: tuple[Any, Any] | None = masks[0], masks[1]
    if len(masks) > 2:
        contraction = Contraction.of(masks)
        pair = None if contraction is None else contraction.pair()
    if pair is None:
        return False
    return bool(analyze(scipy.sparse.csc_array(pair[0]), pair[1]).complete.all())


def _has_identity(mask: Any) -> bool:
    return bool(mask.shape[0] == mask.shape[1] and mask.diagonal().all())


@dataclass(frozen=True)
class _Pair:
    """Values of two factors on their supports."""

    masks: Sequence[Any]

    def lift(self, X: Any, Y: Any) -> list[Any] | None:
        parts = route([self.masks[0]], X), route([self.masks[1]], Y)
        return None if parts[0] is None or parts[1] is None else [*parts[0], *parts[1]]


@dataclass(frozen=True)
class _Routes:
    """Both sides of a split as products of their factors."""

    masks: Sequence[Any]
    split: int

    def lift(self, X: Any, Y: Any) -> list[Any] | None:
        left = route(self.masks[: self.split], X)
        turned = [scipy.sparse.csr_array(mask.T) for mask in self.masks[: self.split - 1 : -1]]
        for mask in turned:
            mask.sort_indices()
        right = route(turned, scipy.sparse.csc_array(Y.T))
        if left is None or right is None:
            return None
        back = [scipy.sparse.csr_array(factor.T) for factor in reversed(right)]
        for factor in back:
            factor.sort_indices()
        return [*left, *back]


def _lifted(masks: Sequence[Any], split: int) -> ChainWitness | None:
    """The witness of a split, if its factors are products of the chain's."""
    report = analyze(*_products(masks, split))
    if report.has_minimizer is not False or report.witness is None:
        return None
    routes = _Routes(masks, split)
    if routes.lift(*report.witness.approximation(0.5)) is None:
        return None
    return _whole(masks, report.witness, routes.lift)


@dataclass(frozen=True)
class _Embedded:
    """Factors of a part of the chain, with zeros elsewhere."""

    masks: Sequence[Any]
    nodes: Sequence[NDArray[np.int64]]
    inner: _Lift

    def lift(self, X: Any, Y: Any) -> list[Any] | None:
        factors = self.inner(X, Y)
        if factors is None:
            return None
        whole = []
        for mask, factor, (p, q) in zip(
            self.masks, factors, itertools.pairwise(self.nodes), strict=True
        ):
            part = scipy.sparse.coo_array(factor)
            whole.append(factor_on(mask, p[part.row], q[part.col], part.data))
        return whole


def _of_a_part(masks: Sequence[Any]) -> ChainWitness | None:
    """Two rows and two columns whose part of the chain has a witness after contraction."""
    for rows, cols in itertools.islice(_parts(masks), _PARTS):
        found = restricted(masks, rows, cols)
        if found is None:
            continue
        parts, nodes = found
        verdict = _by_contraction(parts)
        if verdict is not None and verdict[2] is not None:
            inner = verdict[2]
            return ChainWitness(
                (masks[0].shape[0], masks[-1].shape[1]),
                nodes[0],
                nodes[-1],
                inner._pair,
                _Embedded(masks, nodes, inner._lift).lift,
            )
    return None


def _parts(masks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Rows and columns: those of the witnesses of splits first, then all pairs of both."""
    m, n = masks[0].shape[0], masks[-1].shape[1]
    for split in range(1, len(masks)):
        witness = analyze(*_products(masks, split)).witness
        if witness is not None:
            yield witness.rows, witness.columns
    for rows in itertools.combinations(range(m), 2):
        for cols in itertools.combinations(range(n), 2):
            yield np.array(rows), np.array(cols)
