"""factorize: the butterfly closest to a dense matrix, with a certificate."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .architecture import Architecture
from .butterfly import Butterfly, from_owned
from .dtypes import as_array, promoted
from .pattern import positive_int
from .permutations import as_permutation, bit_reversal, default_eight

Order = Literal["left_to_right", "right_to_left", "balanced"] | Sequence[int]
Permutation = ArrayLike | Literal["bit_reversal", "search"] | None
Progress = bool | Callable[[float], object]


@dataclass(frozen=True)
class Report:
    """What `factorize` found out. Errors are relative to the Frobenius norm of A.

    Attributes
    ----------
    relative_error : float
        ``||A - F|| / ||A||`` (0 for a zero matrix).
    lower_bound : float
        No matrix of the architecture is closer to A than this (up to rounding).
    guarantee : float
        The proved constant: the error is at most `guarantee` times the distance of A to the
        architecture. ``sqrt(splits)`` for orders that cut off one end factor at a time,
        ``splits`` for others, infinite without orthonormalization (from three factors on).
    split_errors : tuple of float
        What the cut at each split discarded; 0 where redundancy removal merged the factors.
    order : tuple of int
        The splits in the order of their cuts; split s separates the first s factors.
    ranks : tuple of int
        The rank at each split.
    shape : tuple of int
        Of A.
    row_permutation, column_permutation : str or None
        The name of the permutation that was used: ``"bit_reversal"``, ``"array"``, or the one of
        the eight that a search chose.
    seconds : float
        Time of the whole call.
    """

    relative_error: float
    lower_bound: float
    guarantee: float
    split_errors: tuple[float, ...]
    order: tuple[int, ...]
    ranks: tuple[int, ...]
    shape: tuple[int, int]
    row_permutation: str | None
    column_permutation: str | None
    seconds: float

    @property
    def quasi_optimality(self) -> float:
        """Certificate: the error is at most this many times the smallest possible one."""
        if self.lower_bound == 0:
            return 1.0 if self.relative_error == 0 else math.inf
        return self.relative_error / self.lower_bound

    def __str__(self) -> str:
        rows, cols = self.shape
        permutations = ", ".join(
            f"{name} permutation {value}"
            for name, value in (("row", self.row_permutation), ("column", self.column_permutation))
            if value is not None
        )
        return "\n".join(
            [
                f"factorization of a {rows} x {cols} matrix in {self.seconds:.3g} s"
                + (f" ({permutations})" if permutations else ""),
                f"  relative error    {self.relative_error:.3e}",
                f"  lower bound       {self.lower_bound:.3e} (of any butterfly's error)",
                f"  quasi-optimality  {self.quasi_optimality:.4g} "
                f"(proved: at most {self.guarantee:.4g})",
                f"  ranks             {', '.join(map(str, self.ranks)) or 'no splits'}",
                f"  splits cut        {', '.join(map(str, self.order)) or 'none'}",
                f"  split errors      {', '.join(f'{e:.1e}' for e in self.split_errors) or 'none'}",
            ]
        )


def factorize(
    A: ArrayLike,
    architecture: Architecture,
    *,
    order: Order = "left_to_right",
    orthonormalize: bool = True,
    row_permutation: Permutation = None,
    column_permutation: Permutation = None,
    progress: Progress = False,
) -> Butterfly:
    """Approximate a dense matrix by a butterfly, by the hierarchical algorithm.

    The matrix is cut into two factors at one split after another, each time by the best
    approximation of rank r of each of its blocks (an SVD).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Finite numbers; float32, float64, complex64 or complex128 are read in place from any
        strides, integers are converted to float64.
    architecture : Architecture
        Chainable, of A's shape. Redundant ones are reduced, factorized and expanded again.
    order : {"left_to_right", "right_to_left", "balanced"} or sequence of int
        The order of the cuts: a permutation of the splits ``1..L-1``, split s being between the
        first s factors and the others. ``"balanced"`` halves the chain again and again.
    orthonormalize : bool, default True
        Keep the factors around the one that is cut orthonormal. Without it no error bound is
        proved from three factors on.
    row_permutation, column_permutation : array_like of int, "bit_reversal" or "search", optional
        Permutations of the result (see `Butterfly`). ``"bit_reversal"`` and ``"search"``, which
        tries the eight of `permutations.default_eight` and keeps the best, need a size that is a
        power of two.
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
        wrong order or permutation.
    TypeError
        For an A that isn't numeric or an architecture that isn't an `Architecture`.
    ImportError
        For ``progress=True`` without tqdm.

    Notes
    -----
    With orthonormalization the error is at most ``sqrt(L-1)`` (for orders that cut off end
    factors only) or ``L-1`` (for any order) times the distance of A to the architecture; the
    report holds the error, a lower bound and their ratio. Memory beyond A: the two factors of the
    first cut, whose size depends on the split (for square dyadic chains from the left: A's size).

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
    """
    start = time.perf_counter()
    matrix = as_array(A, "A")
    if matrix.ndim != 2:
        raise ValueError(f"A has {matrix.ndim} axes, expected 2")
    if not isinstance(architecture, Architecture):
        raise TypeError(f"architecture is {architecture!r}, expected an Architecture")
    if architecture.shape != matrix.shape:
        raise ValueError(
            f"architecture has shape {architecture.shape} but A has shape {matrix.shape}"
        )
    architecture._require_chainable()
    splits = _splits(order, len(architecture))
    rows = _candidates(row_permutation, matrix.shape[0], "row_permutation")
    cols = _candidates(column_permutation, matrix.shape[1], "column_permutation")
    dtype = promoted(matrix.dtype, "A")
    if (
        matrix.dtype != dtype
        or not matrix.flags.aligned
        or any(step % matrix.itemsize for step in matrix.strides)
    ):
        matrix = matrix.astype(dtype)

    pairs = list(itertools.product(rows, cols))
    best: tuple[tuple[Any, Any], list[Any], dict[str, Any]] | None = None
    with reporter(progress, "factorize") as report_progress:
        for n, pair in enumerate(pairs):
            tell = None
            if report_progress is not None:
                tell = _share(report_progress, n, len(pairs))
            values, found = _core.factorize(
                matrix,
                [(p.a, p.b, p.c, p.d) for p in architecture],
                splits,
                bool(orthonormalize),
                pair[0][1],
                pair[1][1],
                tell,
            )
            # The first of equals wins: what rounding alone decides isn't better.
            rounding = 1000 * float(np.finfo(dtype).eps)
            if best is None or found["relative_error"] < best[2]["relative_error"] - rounding:
                best = pair, values, found
    assert best is not None
    (row, col), values, found = best
    report = Report(
        relative_error=found["relative_error"],
        lower_bound=found["lower_bound"],
        guarantee=found["guarantee"],
        split_errors=tuple(found["split_errors"]),
        order=tuple(found["order"]),
        ranks=architecture.ranks,
        shape=architecture.shape,
        row_permutation=row[0],
        column_permutation=col[0],
        seconds=time.perf_counter() - start,
    )
    return from_owned(architecture, values, row[1], col[1], report)


def balanced_order(length: int) -> list[int]:
    """Return the splits of a chain of `length` factors, the middle one first, then each half's.

    Examples
    --------
    >>> from papilio.factorization import balanced_order
    >>> balanced_order(8)
    [4, 2, 1, 3, 6, 5, 7]
    """

    def halves(first: int, last: int) -> list[int]:
        if last - first < 2:
            return []
        middle = (first + last) // 2
        return [middle, *halves(first, middle), *halves(middle, last)]

    return halves(0, length)


def _splits(order: Order, length: int) -> list[int]:
    if isinstance(order, str):
        if order == "left_to_right":
            return list(range(1, length))
        if order == "right_to_left":
            return list(range(length - 1, 0, -1))
        if order == "balanced":
            return balanced_order(length)
        raise ValueError(
            f"order is {order!r}, expected 'left_to_right', 'right_to_left', 'balanced' or splits"
        )
    try:
        splits = [positive_int(split, "a split of order") for split in order]
    except TypeError:
        raise TypeError(f"order is {order!r}, expected a name or a sequence of splits") from None
    if sorted(splits) != list(range(1, length)):
        raise ValueError(
            f"order is {splits}, expected a permutation of the splits 1..{length - 1}"
            if length > 1
            else f"order is {splits}, but one factor has no splits"
        )
    return splits


def _candidates(
    permutation: Permutation, size: int, name: str
) -> list[tuple[str | None, NDArray[np.int64] | None]]:
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
    found: list[tuple[str | None, NDArray[np.int64] | None]] = []
    for code, candidate in default_eight(size).items():
        if not any(np.array_equal(candidate, known) for _, known in found if known is not None):
            found.append((code, as_permutation(candidate, size, name)))
    return found


def _share(
    report_progress: Callable[[float], object], n: int, count: int
) -> Callable[[float], object]:
    return lambda fraction: report_progress((n + fraction) / count)


@contextmanager
def reporter(progress: Progress, title: str) -> Iterator[Callable[[float], object] | None]:
    """What to call with the fraction done, or None."""
    if callable(progress):
        yield progress
    elif progress:
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: pip install 'papilio[progress]'") from None
        layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        with tqdm(total=1.0, desc=title, delay=1.0, bar_format=layout, leave=False) as bar:
            yield lambda fraction: bar.update(max(0.0, fraction - bar.n))
    else:
        yield None
