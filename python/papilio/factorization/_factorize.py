"""factorize: the butterfly closest to a dense matrix, with a certificate."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.index_orders import as_permutation, bit_reversal, default_eight
from .._util.checks import LONGEST, flag, positive_int, shown, tolerance
from .._util.progress import Progress, reporter, share_of
from ..operators import Butterfly, Report, butterfly_of
from ._orders import auto_order, balanced_order
from ._source import Source
from ._weights import Weighting

Order = Literal["auto", "left_to_right", "right_to_left", "balanced"] | Sequence[int]
Permutation = ArrayLike | Literal["bit_reversal", "search"] | None
_BOUND_WORK = 1 << 26  # multiply-adds or so of a bound that saves a factorization, at most
_Array = NDArray[np.float64]
_Candidate = tuple[str | None, NDArray[np.int64] | None]


def factorize(
    A: Any,
    architecture: Architecture | Sequence[Any],
    *,
    order: Order = "auto",
    orthonormalize: bool = True,
    tol: float | None = None,
    max_rank: int | None = None,
    row_permutation: Permutation = None,
    column_permutation: Permutation = None,
    row_weights: ArrayLike | None = None,
    column_weights: ArrayLike | None = None,
    overwrite_a: bool = False,
    progress: Progress = False,
) -> Butterfly:
    """Approximate a dense matrix by a butterfly, by the hierarchical algorithm.

    The matrix is cut into two factors at one split after another, each time by the best
    approximation of rank r of each of its blocks (a truncated SVD).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Finite numbers. float32, float64, complex64 and complex128 are read in place from any
        strides, also from a `numpy.memmap`. Arrays of other dtypes, sparse matrices, and objects
        with ``shape``, ``dtype`` and ``A[i:j]`` (HDF5, Zarr) are read and converted some rows at
        a time. Of a LinearOperator the dense matrix is formed by products.
    architecture : Architecture or radices
        Chainable, of A's shape. Redundant ones are reduced, factorized and expanded again. A
        sequence of whole numbers stands for ``Architecture.mixed_radix(radices)``, a pair of such
        sequences for those of the rows and of the columns.
    order : {"auto", "left_to_right", "right_to_left", "balanced"} or sequence of int
        The order of the cuts: a permutation of the splits ``1..L-1``, split s being between the
        first s factors and the others. ``"auto"`` takes the cheapest of those that cut off one
        end factor at a time; ``"balanced"`` halves the chain again and again.
    orthonormalize : bool, default True
        Keep the factors around the one that is cut orthonormal. Without it no error bound is
        proved from three factors on.
    tol : float, optional
        Find the ranks: at each split the smallest one that keeps the relative error at most
        `tol`, below 1. The ranks of `architecture` are then not used. No ranks reach what A has
        outside of the support of the factors' product, which is dense unless a > 1 in the first
        pattern or d > 1 in the last one; the report says whether `tol` was met.
    max_rank : int, optional
        No rank above this, with `tol` only; the report says whether `tol` was met all the same.
    row_permutation, column_permutation : array_like of int, "bit_reversal" or "search", optional
        Permutations of the result (see `Butterfly`). ``"bit_reversal"`` and ``"search"``, which
        finds the best of the eight of `permutations.default_eight` (the smallest error; with
        `tol`, the fewest non-zeros that meet it), need a size that is a power of two.
    row_weights, column_weights : array_like, optional
        Weights L and R of the norm ``||L (A - F) R||`` in which F is close to A: numbers of at
        least 0, one for each row (column) of A; or invertible blocks, ``row_weights[i * d + l]``
        being the b x b matrix by which L multiplies the rows ``i*b*d + j*d + l``, j < b, of the
        factors' product, (a, b, c, d) the first pattern. ``column_weights[i * d + l]`` is c x c,
        of the last one's (a, b, c, d) and the columns ``i*c*d + k*d + l``, and multiplies from the
        right. All figures of the report, `tol`, too, are those of the weighted norm.
    overwrite_a : bool, default False
        Allow A to be destroyed, which saves the memory of the first cut's right part where A is
        C-contiguous, without permutations, the first cut is that of the first factor, and A isn't
        needed again: with an order that cuts off end factors, orthonormalized and without tol.
    progress : bool or callable, default False
        True shows a bar (tqdm) for a run of more than a second; a callable is called with the
        fraction done, from 0 to 1.

    Returns
    -------
    Butterfly
        With `Butterfly.report`. Its factors have balanced norms: at each split, columns on the
        left are as long as the rows on the right that they meet.

    Raises
    ------
    ValueError
        For NaN or infinity in A, an architecture that isn't chainable or of another shape, a
        wrong order, permutation, tol or max_rank, or overwrite_a with what can't be written to;
        for weights that are negative, all zero, of another shape or range, for blocks that are
        singular or so badly conditioned that less than half of the digits would be left, and for
        blocks with a search.
    TypeError
        For an A that isn't numeric, an architecture that isn't one, or complex weights where real
        ones are wanted.
    OverflowError
        If factors can't hold the result of dividing by the weights.
    ImportError
        For ``progress=True`` without tqdm.

    Notes
    -----
    With orthonormalization the error is at most ``sqrt(L-1)`` (for orders that cut off end
    factors only) or ``L-1`` (for any order) times the distance of A to the architecture; the
    report holds the error, a lower bound and their ratio. Each block's approximation is as good
    as the best one up to 1e-10 of its error and rounding (docs/guarantees.md says why).

    Memory beyond A: the two parts of the first cut, or those of a later cut with what it cuts,
    whichever is more. For square dyadic chains that is 0.75 times A (with `overwrite_a`, 0.4
    times). Ctrl-C is seen within some 20 ms; LAPACK's call for one large block then ends by itself,
    on a thread of its own.

    Weights of these shapes change no architecture, so that with them everything is proved in the
    weighted norm. With the matrix of calibration data's second moments, ``R R^H = X X^H`` in
    blocks, ``||(A - F) R||`` is what ``||A X - F X||`` would be if its blocks weren't correlated.
    Rows (columns) of weight 0 don't count, and F is 0 there. Factors of a weighted result aren't
    balanced, and it takes some copies of A in double precision.

    References
    ----------
    Q.-T. Le, L. Zheng, E. Riccietti, R. Gribonval, "Butterfly factorization with error
    guarantees", 2024 (arXiv:2411.04506).

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> from scipy.linalg import hadamard
    >>> F = pp.factorize(hadamard(64), pp.Architecture.square_dyadic(64))
    >>> F.report.relative_error < 1e-13
    True
    >>> A = np.fft.fft(np.eye(64))
    >>> F = pp.factorize(A, pp.Architecture.square_dyadic(64), column_permutation="bit_reversal")
    >>> F.report.relative_error < 1e-13
    True
    >>> x = np.linspace(0, 1, 64)
    >>> smooth = np.exp(-np.abs(x[:, None] - x - 2))
    >>> pp.factorize(smooth, [8, 8], tol=1e-6).report.ranks
    (1,)
    >>> weights = np.where(np.arange(64) < 32, 1.0, 0.01)
    >>> F = pp.factorize(np.cos(9 * np.outer(x, x)), [8, 8], column_weights=weights)
    >>> F.report.relative_error < F.report.unweighted_error
    True
    """
    start = time.perf_counter()
    source = Source(A)
    chain = _architecture(architecture)
    if chain.shape != source.shape:
        raise ValueError(f"architecture has shape {chain.shape} but A has shape {source.shape}")
    chain._require_chainable()
    relative = None if tol is None else tolerance(tol)
    if max_rank is not None:
        max_rank = min(positive_int(max_rank, "max_rank"), LONGEST)
        if relative is None:
            raise ValueError("max_rank needs tol; without it the architecture says the ranks")
    orthonormalize = flag(orthonormalize, "orthonormalize")
    overwrite_a = flag(overwrite_a, "overwrite_a")
    splits = splits_of(order, chain)
    rows = permutations_to_try(row_permutation, chain.shape[0], "row_permutation")
    cols = permutations_to_try(column_permutation, chain.shape[1], "column_permutation")
    pairs = list(itertools.product(rows, cols))
    if overwrite_a:
        if source.read is not None or not source.array.flags.writeable:
            raise ValueError(
                "overwrite_a is True, but A is read-only or has to be converted, expected a "
                "writable array of a supported dtype"
            )
        if len(pairs) > 1:
            raise ValueError("overwrite_a is True, but a search needs A more than once")
    weighting = Weighting.of(source, chain, row_weights, column_weights)
    if weighting is not None:
        if weighting.has_blocks and len(pairs) > 1:
            raise ValueError(
                "weights are given as blocks, but a search has to decide which rows and columns "
                "meet in a block"
            )
        source = weighting.source(rows[0][1], cols[0][1])

    def run(pair: tuple[_Candidate, _Candidate], tell: Callable[[float], object] | None) -> Any:
        return _core.factorize(
            source.array,
            source.shape,
            source.read,
            [(p.a, p.b, p.c, p.d) for p in chain],
            splits,
            bool(orthonormalize),
            relative or 0.0,
            min(max_rank or 0, *source.shape),  # more has no rank
            bool(overwrite_a),
            pair[0][1],
            pair[1][1],
            tell,
        )

    # The first of equals wins: what rounding alone decides isn't better.
    rounding = 1000 * float(np.finfo(source.dtype).eps)

    def is_better(cost: _Cost, than: _Cost) -> bool:
        return (cost.missed, cost.nnz, cost.error + rounding) < than

    least = [_Cost(False, 0, 0.0)]
    if len(pairs) > 1:
        least = [
            _least_cost(_cheap_tails(source, chain, *pair), chain, relative, max_rank)
            for pair in pairs
        ]
    by_cost = sorted(
        range(len(pairs)), key=lambda n: least[n]._replace(error=max(least[n].error, rounding))
    )
    best: tuple[_Cost, tuple[_Candidate, _Candidate], Any] | None = None
    with reporter(progress, "factorize") as report_progress:
        for done, n in enumerate(by_cost):
            if best is not None and not is_better(least[n], best[0]):
                continue
            tell = None
            if report_progress is not None:
                tell = share_of(report_progress, done, len(pairs))
            found = run(pairs[n], tell)
            cost = _Cost.of(found[2].relative_error, Architecture(found[0]).nnz, relative)
            if best is None or is_better(cost, best[0]):
                best = cost, pairs[n], found
    assert best is not None
    _, (row, col), (patterns, values, figures) = best
    found_architecture = Architecture(patterns)
    report = Report.of(
        figures,
        found_architecture,
        row_permutation=row[0],
        column_permutation=col[0],
        seconds=time.perf_counter() - start,
        tolerance=relative,
        max_rank=max_rank,
    )
    factors = Factors(found_architecture, tuple(values), row[1], col[1])
    if weighting is not None:
        factors = weighting.taken_off(factors)
        report = replace(weighting.report(report, factors), seconds=time.perf_counter() - start)
    return butterfly_of(factors, report)


def _architecture(given: Architecture | Sequence[Any]) -> Architecture:
    if isinstance(given, Architecture):
        return given
    try:
        radices = list(given)
        if not radices:
            raise ValueError(f"architecture is {shown(given)}, expected at least one radix")
        if len(radices) == 2 and not any(np.isscalar(r) for r in radices):
            return Architecture.mixed_radix(radices[0], radices[1])
        return Architecture.mixed_radix(radices)
    except TypeError:
        raise TypeError(
            f"architecture is {shown(given)}, expected an Architecture, radices, or a pair of "
            "radices"
        ) from None


def splits_of(order: Order, chain: Architecture) -> list[int]:
    length = len(chain)
    if isinstance(order, str):
        if order == "auto":
            return auto_order(chain)
        if order == "left_to_right":
            return list(range(1, length))
        if order == "right_to_left":
            return list(range(length - 1, 0, -1))
        if order == "balanced":
            return balanced_order(length)
        raise ValueError(
            f"order is {order!r}, expected 'auto', 'left_to_right', 'right_to_left', 'balanced' "
            "or splits"
        )
    try:
        splits = [positive_int(split, "a split of order") for split in order]
    except TypeError:
        raise TypeError(
            f"order is {shown(order)}, expected a name or a sequence of splits"
        ) from None
    if sorted(splits) != list(range(1, length)):
        raise ValueError(
            f"order is {splits}, expected a permutation of the splits 1..{length - 1}"
            if length > 1
            else f"order is {splits}, but one factor has no splits"
        )
    return splits


def permutations_to_try(permutation: Permutation, size: int, name: str) -> list[_Candidate]:
    """The permutations to try, with the names that the report gives them."""
    if permutation is None:
        return [(None, None)]
    if not isinstance(permutation, str):
        return [("array", as_permutation(permutation, size, name))]
    if permutation not in ("bit_reversal", "search"):
        raise ValueError(
            f"{name} is {permutation!r}, expected an array, 'bit_reversal' or 'search'"
        )
    if size & (size - 1):
        raise ValueError(f"{name} is {permutation!r}, which needs a power of two, not size {size}")
    if permutation == "bit_reversal":
        return [("bit_reversal", as_permutation(bit_reversal(size), size, name))]
    found: list[_Candidate] = []
    for code, candidate in default_eight(size).items():
        if not any(np.array_equal(candidate, known) for _, known in found if known is not None):
            found.append((code, as_permutation(candidate, size, name)))
    return found


class _Cost(NamedTuple):
    """Smaller is better: the error, or with a tolerance the non-zeros of what meets it."""

    missed: bool
    nnz: int
    error: float

    @classmethod
    def of(cls, error: float, nnz: int, tol: float | None) -> _Cost:
        missed = tol is not None and error > tol
        return cls(missed, 0 if tol is None or missed else nnz, error)


def _least_cost(
    tails: _Array, chain: Architecture, tol: float | None, max_rank: int | None
) -> _Cost:
    """What no factorization undercuts that loses these tails (`_cheap_tails`) at the least."""
    ranks = chain.ranks
    if tol is not None:
        # The rank that the tolerance takes at the first split, and 1 at the others.
        first = max(1, int(np.count_nonzero(tails > tol)))
        ranks = (first if max_rank is None else min(first, max_rank), *[1] * len(chain))[
            : len(ranks)
        ]
    rank = min([*ranks[:1], len(tails) - 1])
    return _Cost.of(float(tails[rank]), chain.with_ranks(ranks).nnz, tol)


def _cheap_tails(
    source: Source, chain: Architecture, row: _Candidate, column: _Candidate
) -> _Array:
    """Lower bounds on the error under these permutations, from some rows of the matrix.

    For rank 0, 1, 2, ... at the first split; one 0 where nothing is known. The rows are those of
    whole blocks of this split: what no rank-r approximation of these blocks can keep, none of the
    matrix can.
    """
    unknown = np.zeros(1)
    if len(chain) < 2:
        return unknown
    left, right = chain[0], chain[1:].product
    if left.a > 1 or right.d > 1:
        return unknown  # the product isn't dense
    step = left.d
    numbers = np.arange(0, step, max(1, step // 8))
    rows = (np.arange(left.b)[:, None] * step + numbers).ravel()
    source_rows = rows if row[1] is None else np.argsort(row[1])[rows]
    sample = source.rows(source_rows)
    if column[1] is not None:
        sample = sample[:, np.argsort(column[1])]
    if not np.all(np.isfinite(sample)):
        return unknown  # the factorization will say where
    blocks = sample.reshape(left.b, len(numbers), right.a, right.c).transpose(1, 2, 0, 3)
    norm = source.norm()
    if not 0 < norm < np.inf:
        return unknown
    # Some blocks bound from below, too, and NumPy's call for all of them couldn't be interrupted.
    shortest, longest = sorted(blocks.shape[2:])
    if shortest * shortest * longest > _BOUND_WORK:
        return unknown
    count = max(1, _BOUND_WORK // (shortest * shortest * longest))
    mantissa, exponent = math.frexp(norm)
    squares = np.zeros(shortest + 1)
    for block in blocks.reshape(-1, *blocks.shape[2:])[:count]:
        # Relative to the norm squares don't overflow; what vanishes beside it may.
        parts = [np.ldexp(x.astype(np.float64), -exponent) for x in (block.real, block.imag)]
        sigma = np.linalg.svd(parts[0] + 1j * parts[1], compute_uv=False)
        squares[:-1] += np.cumsum(sigma[::-1] ** 2)[::-1]
    # The SVD's own rounding must not make more of it.
    slack = 10 * shortest * float(np.finfo(source.dtype).eps)
    return np.maximum(0, np.sqrt(squares) / mantissa - slack)
