"""recover: row and column permutations that make a matrix a square dyadic butterfly."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.index_orders import bit_reversal
from .._chains.scaling import scaled
from .._util.checks import power_of_two, tolerance, whole_number
from .._util.dtypes import as_array
from .._util.plotting import FLOOR, new_axes
from .._util.printed import Printed
from .._util.progress import Progress, reporter, share_of
from ..operators import Report
from ._factorize import factorize

__all__ = ["Recovery", "recover"]

LARGEST = 512

# Values or partial blocks: axes chunk, row class, column of the chunk.
Values = NDArray[Any]
# Row classes two by two, shape (m/2, 2), and for each chunk its columns, those of its first half
# first, shape (chunks, m).
Pairs = NDArray[np.int64]
Halves = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recovery(Printed):
    """What `recover` found.

    Attributes
    ----------
    success : bool
        Whether `relative_error` is at most `tol`.
    message : str
        Why, in words.
    row_permutation, column_permutation : ndarray of int64, shape (n,)
        The best that was found, for `factorize` and `Butterfly`: with them the matrix K of
        ``K[row_permutation[i], column_permutation[j]] = A[i, j]`` is closest to a butterfly.
        They mean nothing without success.
    relative_error : float
        ``||A - F|| / ||A||`` of the factorization with these permutations, from left to right.
    split_errors : tuple of float
        What its cut at each split discarded, relative to ``||A||``: where the structure ends.
    tol : float
        The tolerance that was asked for.
    starts : int
        How many pairs of partitions were tried at all splits together.
    seconds : float
        Time of the whole call.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> noise = np.random.default_rng(0).standard_normal((16, 16))
    >>> print(pp.permutations.recover(noise))
    permutations of a 16 x 16 matrix NOT recovered in ... s
      error too large: ...
    """

    success: bool
    message: str
    row_permutation: NDArray[np.int64]
    column_permutation: NDArray[np.int64]
    relative_error: float
    split_errors: tuple[float, ...]
    tol: float
    starts: int
    seconds: float

    def plot(self, ax: Any = None) -> Any:
        """Draw what the cut at each split discarded, and the tolerance.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure otherwise.

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
        >>> noise = np.random.default_rng(0).standard_normal((16, 16))
        >>> ax = pp.permutations.recover(noise).plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        splits = range(1, len(self.split_errors) + 1)
        ax.semilogy(splits, [max(error, FLOOR) for error in self.split_errors], "o-", label="split")
        ax.axhline(max(self.relative_error, FLOOR), color="black", label="error")
        ax.axhline(max(self.tol, FLOOR), color="red", linestyle=":", label="tolerance")
        ax.set(xlabel="split", ylabel="discarded, relative to the norm")
        ax.grid(True, alpha=0.3)
        ax.legend()
        return ax

    def __str__(self) -> str:
        n = len(self.row_permutation)
        return "\n".join(
            [
                f"permutations of a {n} x {n} matrix {'' if self.success else 'NOT '}recovered "
                f"in {self.seconds:.3g} s",
                f"  {self.message}",
                f"  relative error    {self.relative_error:.3e} (tolerance {self.tol:.3g})",
                f"  split errors      {', '.join(f'{e:.1e}' for e in self.split_errors) or 'none'}",
                f"  starts tried      {self.starts}",
            ]
        )


def recover(
    A: ArrayLike,
    *,
    tol: float = 0.1,
    restarts: int = 5,
    seed: int = 0,
    progress: Progress = False,
) -> Recovery:
    """Find row and column permutations with which A is nearly a square dyadic butterfly.

    A butterfly's rows form a binary tree, its columns another one, and at each split the blocks
    of a row class and a column chunk have rank 1. From the finest row classes to the coarsest,
    this pairs the row classes and halves the column chunks by alternating spectral clustering;
    then it does the same to the transposed matrix and keeps the better of the two. If that isn't
    within the tolerance, it searches both again with all starts at every split.

    Parameters
    ----------
    A : array_like, shape (n, n)
        Finite numbers, n a power of two up to 512. Computed in float64 or complex128.
    tol : float, default 0.1
        Relative error of the factorization up to which the permutations count as found: the
        noise to expect in A.
    restarts : int, default 5
        How many single pairs of rows, beside all of them together, a split's search starts from.
    seed : int, default 0
        Of the random choice between pairs that are equally good.
    progress : bool or callable, default False
        As in `factorize`.

    Returns
    -------
    Recovery
        Check `Recovery.success`: for a matrix without the structure, or with more noise than
        the method stands, it is False and the message says why. Permutations that differ by a
        symmetry of the trees (children that change places) are equally good, so the result is
        rarely the permutation that was planted.

    Raises
    ------
    ValueError
        For an A that isn't square, whose size isn't a power of two or is above 512, or that has
        NaN or infinity; for a `tol` or a `restarts` that is negative.
    TypeError
        For an A that isn't numeric, or a `seed`, `restarts` or `tol` of the wrong type.
    ImportError
        For ``progress=True`` without tqdm.

    See Also
    --------
    papilio.factorize : takes the permutations.

    Notes
    -----
    The time of a search that succeeds grows about as n^3; one that fails takes many times as long.
    Memory: about 140 n^2 bytes for real matrices and 250 n^2 for complex
    ones. The same call gives the same result on one machine.

    References
    ----------
    L. Zheng, G. Puy, E. Riccietti, P. Perez, R. Gribonval, "Butterfly factorization by
    algorithmic identification of rank-one blocks", 2023 (arXiv:2307.00820), whose alternating
    spectral clustering starts from random partitions and treats every split on its own.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> rng = np.random.default_rng(0)
    >>> A = np.fft.fft(np.eye(64))[rng.permutation(64)][:, rng.permutation(64)]
    >>> found = pp.permutations.recover(A)
    >>> found.success
    True
    >>> F = pp.factorize(
    ...     A,
    ...     pp.Architecture.square_dyadic(64),
    ...     row_permutation=found.row_permutation,
    ...     column_permutation=found.column_permutation,
    ... )
    >>> F.report.relative_error < 1e-13
    True
    """
    start = time.perf_counter()
    matrix = _checked(A)
    tol = tolerance(tol, zero=True)
    restarts = whole_number(restarts, "restarts", 0)
    rng = np.random.default_rng(whole_number(seed, "seed", 0))
    n = len(matrix)
    architecture = Architecture.square_dyadic(n)
    reversal = bit_reversal(n)

    best: tuple[Report, NDArray[np.int64], NDArray[np.int64]] | None = None
    starts = 0
    turns = [(thorough, side) for thorough in (False, True) for side in ("rows", "columns")]
    with reporter(progress, "recover") as report_progress:
        for turn, (thorough, side) in enumerate(turns):
            if best is not None:
                found = best[0].relative_error
                if found <= n * np.finfo(float).eps or (thorough and found <= tol):
                    break
            tell = None if report_progress is None else share_of(report_progress, turn, len(turns))
            search = _Search(restarts, thorough, rng, tell)
            if side == "rows":
                rows, columns = search.peel(matrix)
            else:
                # A^T is a butterfly in bit-reversed order of rows and columns.
                columns, rows = (reversal[order] for order in search.peel(matrix.T))
            starts += search.starts
            report = factorize(
                matrix,
                architecture,
                order="left_to_right",
                row_permutation=rows,
                column_permutation=columns,
            ).report
            assert report is not None
            if best is None or report.relative_error < best[0].relative_error:
                best = report, rows, columns
        if report_progress is not None:
            report_progress(1.0)
    assert best is not None
    report, rows, columns = best
    success = report.relative_error <= tol
    if success:
        message = "row and column partitions nest into trees, and the error is within the tolerance"
    else:
        worst = int(np.argmax(report.split_errors))
        message = (
            f"error too large: the best partitions found that nest into trees leave "
            f"{report.relative_error:.3g}, most of it at split {worst + 1}; A is not near a "
            "permuted butterfly, or the search missed it"
        )
    return Recovery(
        success=success,
        message=message,
        row_permutation=rows,
        column_permutation=columns,
        relative_error=report.relative_error,
        split_errors=report.split_errors,
        tol=tol,
        starts=starts,
        seconds=time.perf_counter() - start,
    )


def _checked(A: ArrayLike) -> NDArray[Any]:
    """A in double precision, times a power of two so that no power of its entries overflows."""
    matrix = as_array(A, "A")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"A has shape {matrix.shape}, expected a square matrix")
    n = power_of_two(matrix.shape[0], "the size of A")
    if n > LARGEST:
        raise ValueError(f"A has shape {matrix.shape}, expected at most {LARGEST} rows")
    matrix = matrix.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64)
    wrong = np.argwhere(~np.isfinite(matrix))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(f"A has {matrix[i, j]} at row {i}, column {j}")
    return scaled(matrix)[0]


@dataclass
class _Search:
    """The search from the rows' side: what its splits share."""

    restarts: int
    thorough: bool
    rng: np.random.Generator
    tell: Callable[[float], object] | None
    starts: int = 0

    def peel(self, matrix: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column permutation: from left to right, cut off the factor of each split.

        What stays to the right of the cut is a matrix for each column chunk, of half the size,
        whose rows are the new classes; all of them are searched together, so that partitions
        nest by construction.
        """
        n = len(matrix)
        values = np.ascontiguousarray(matrix)[None]
        rows = np.arange(n)[:, None]
        columns = np.arange(n)[None]
        while (m := values.shape[1]) > 1:
            done = 1 - (m / n) ** 2
            pairs, halves = self.split(values, done, 0.75 * (m / n) ** 2)
            values = _right_factor(values, pairs, halves)
            rows = rows[pairs].swapaxes(1, 2).reshape(m // 2, -1)
            columns = np.take_along_axis(columns, halves, 1).reshape(-1, m // 2)
        return np.argsort(rows[0]), np.argsort(columns[:, 0])

    def split(self, values: Values, done: float, share: float) -> tuple[Pairs, Halves]:
        """The pairs of row classes and halves of chunks with the smallest error found."""
        energy = float(np.sum(np.abs(values) ** 2))
        negligible = 1e2 * np.finfo(float).eps * energy
        blind = _core.blind_pair_costs(values)
        everything = _core.match_pairs(blind)
        single = [(pair[None], 1.0) for pair in self.cheapest(blind)]
        best: tuple[float, Pairs, Halves] | None = None
        chosen = [(everything, 1.0), *single[:1], (everything, 0.5), *single[1:]]
        for k, (pairs, normalization) in enumerate(chosen):
            self.starts += 1
            found = _alternate(values, pairs, normalization, negligible)
            # Two starts that end at the same best error: others are unlikely to do better.
            agreed = best is not None and abs(found[0] - best[0]) <= 1e-9 * best[0]
            if best is None or found[0] < best[0]:
                best = found
            if self.tell is not None:
                self.tell(done + share * (k + 1) / len(chosen))
            if (agreed and not self.thorough) or best[0] <= negligible:
                break
        assert best is not None
        return best[1:]

    def cheapest(self, costs: NDArray[np.float64]) -> Pairs:
        """As many pairs as there are restarts, of the smallest costs."""
        first, second = np.triu_indices(len(costs), 1)
        # Rounding must not decide between equals, so that the seed does.
        rounded = np.round(costs[first, second], 10)
        lots = self.rng.random(len(first))
        count = min(self.restarts, len(first))
        if 0 < count < len(first):
            near = np.flatnonzero(rounded <= np.partition(rounded, count - 1)[count - 1])
        else:
            near = np.arange(len(first))
        chosen = near[np.lexsort((lots[near], rounded[near]))][:count]
        return np.stack([first[chosen], second[chosen]], 1)


def _lines(values: Values, pairs: Pairs, halves: Halves) -> tuple[Values, Values]:
    """Blocks of the split (chunk, half, pair, member, column) and their leading left vectors."""
    chunks, m, _ = values.shape
    blocks = np.take_along_axis(values, halves[:, None], 2)[:, pairs]
    blocks = blocks.reshape(chunks, m // 2, 2, 2, m // 2).transpose(0, 3, 1, 2, 4)
    gram = blocks @ blocks.conj().swapaxes(3, 4)
    return blocks, np.linalg.eigh(gram)[1][..., -1]


def _right_factor(values: Values, pairs: Pairs, halves: Halves) -> Values:
    """What is left to search when the split's left factor, which is orthonormal, is cut off."""
    blocks, lines = _lines(values, pairs, halves)
    m = values.shape[1]
    rows: Values = np.einsum("jhpb,jhpbc->jhpc", lines.conj(), blocks)
    return np.ascontiguousarray(rows.reshape(-1, m // 2, m // 2))


def _reassign(values: Values, pairs: Pairs, halves: Halves) -> Halves:
    """Move columns to the half whose lines they are closer to, keeping the halves equal."""
    m = values.shape[1]
    entries = values[:, pairs]
    for _ in range(m):
        _, lines = _lines(values, pairs, halves)
        kept = np.abs(np.einsum("jhpb,jpbc->jhpc", lines.conj(), entries)) ** 2
        kept = kept.sum(2)
        moved = np.argsort(kept[:, 1] - kept[:, 0], axis=1, kind="stable")
        if np.array_equal(_as_sets(moved), _as_sets(halves)):
            break
        halves = moved
    return halves


def _as_sets(halves: Halves) -> Halves:
    return np.sort(halves.reshape(len(halves), 2, -1), axis=2)


def _alternate(
    values: Values, pairs: Pairs, normalization: float, negligible: float
) -> tuple[float, Pairs, Halves]:
    """Halves for these pairs, pairs for these halves, and so on while the error falls."""
    bisected = pairs
    halves = by_spectrum = _core.bisect_columns(values, pairs, normalization)
    best: tuple[float, Pairs, Halves] | None = None
    while True:
        cost = _core.pair_costs(values, halves)
        pairs = _core.match_pairs(cost)
        error = float(cost[pairs[:, 0], pairs[:, 1]].sum())
        if best is not None and error >= best[0] * (1 - 1e-9) - negligible:
            return best
        best = error, pairs, halves
        if error * (1 - 1e-9) <= negligible:  # no error is smaller by that
            return best
        if normalization != 1 or not np.array_equal(pairs, bisected):
            by_spectrum = _core.bisect_columns(values, pairs, 1.0)
            bisected, normalization = pairs, 1.0
        halves = _reassign(values, pairs, by_spectrum)
