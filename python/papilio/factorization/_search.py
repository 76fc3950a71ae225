"""best_architecture: the cheapest chain of radices for a matrix and a tolerance."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._chains.architecture import Architecture
from .._util import checks
from .._util.plotting import FLOOR, new_axes
from .._util.printed import Printed
from .._util.progress import Progress, reporter
from ..operators import Butterfly
from ._factorize import factorize
from ._source import Source

_MOST_MIDDLE = 4  # two-factor splits tried around the square root


@dataclass(frozen=True)
class Trial:
    """One architecture that `best_architecture` tried.

    Attributes
    ----------
    architecture : Architecture
        With the ranks that were found.
    column_permutation : str or None
        The permutation's name, as in `Report`.
    relative_error : float
        Of its factorization.
    nnz : int
        Its non-zeros: multiply-adds of a product.
    seconds : float
        Time of the trial.
    """

    architecture: Architecture
    column_permutation: str | None
    relative_error: float
    nnz: int
    seconds: float


@dataclass(frozen=True)
class ArchitectureSearch(Printed):
    """What `best_architecture` found.

    Attributes
    ----------
    butterfly : Butterfly
        The factorization that won; with its `report`.
    architecture : Architecture
        Its architecture.
    meets_tolerance, meets_budget : bool
        Whether the winner keeps what was asked for (True for what wasn't asked for).
    trials : tuple of Trial
        All that was tried, the cheapest first.
    seconds : float
        Time of the whole search.
    """

    butterfly: Butterfly
    meets_tolerance: bool
    meets_budget: bool
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def architecture(self) -> Architecture:
        return self.butterfly.architecture

    def plot(self, ax: Any = None) -> Any:
        """Draw non-zeros and error of all that was tried; the winner is marked.

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
        >>> import papilio as pp
        >>> search = pp.best_architecture(pp.transforms.dct(16).toarray(), 1e-2)
        >>> ax = search.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        tried = [(trial.nnz, max(trial.relative_error, FLOOR)) for trial in self.trials]
        ax.loglog(*zip(*tried, strict=True), "o", label="tried")
        error = max(self.butterfly.report.relative_error, FLOOR)
        ax.loglog(self.butterfly.nnz, error, "*", markersize=14, label="best")
        ax.set(xlabel="non-zeros", ylabel="relative error")
        ax.grid(True, alpha=0.3)
        ax.legend()
        return ax

    def __str__(self) -> str:
        rows, cols = self.butterfly.shape
        lines = [
            f"{len(self.trials)} architectures for a {rows} x {cols} matrix in "
            f"{self.seconds:.3g} s; best: {self.butterfly!r}"
            + ("" if self.meets_tolerance else "; tolerance NOT met")
            + ("" if self.meets_budget else "; budget NOT met"),
            "     non-zeros  of dense     error  permutation   chain (ranks)",
        ]
        for trial in self.trials:
            chain = " ".join(str(tuple(p)).replace(" ", "") for p in trial.architecture)
            ranks = ",".join(map(str, trial.architecture.ranks))
            lines.append(
                f"  {trial.nnz:12d}  {trial.nnz / (rows * cols):7.1%}  {trial.relative_error:8.1e}"
                f"  {trial.column_permutation or '-':12s}  {chain} ({ranks})"
            )
        return "\n".join(lines)


def best_architecture(
    A: Any,
    tol: float | None = None,
    budget: int | None = None,
    *,
    permutations: bool = True,
    progress: Progress = False,
) -> ArchitectureSearch:
    """Try chains of radices and return the cheapest that meets a tolerance.

    The chains are those of the prime factors of both sizes, of their products two, three and more
    at a time, chains with larger factors at both ends, two factors around the square root, one
    low-rank product, and the dense matrix itself, which always meets a tolerance.

    Parameters
    ----------
    A : array_like, shape (m, n)
        As in `factorize`.
    tol : float, optional
        Relative error that is allowed, below 1; each chain gets the smallest ranks that keep it.
    budget : int, optional
        Largest number of non-zeros. Without `tol`, each chain gets the largest equal ranks that
        the budget allows, and the smallest error wins.
    permutations : bool, default True
        Try each chain with the columns in the given order, and where n is a power of two also
        with the best of the eight permutations of `permutations.default_eight`.
    progress : bool or callable, default False
        As in `factorize`.

    Returns
    -------
    ArchitectureSearch
        Prints as the table of what was tried.

    Raises
    ------
    ValueError
        Without tol and budget, or for wrong ones, and as `factorize` does for A.
    TypeError
        As `factorize`.

    Notes
    -----
    Chains that need more non-zeros than the dense matrix are tried and told, too. Memory: that of
    one `factorize`, and the factors of the best so far.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> search = pp.best_architecture(np.fft.fft(np.eye(16)), tol=1e-10)
    >>> search.butterfly.nnz, search.butterfly.report.column_permutation
    (128, '001')
    """
    start = time.perf_counter()
    tolerance = None if tol is None else checks.tolerance(tol)
    permutations = checks.flag(permutations, "permutations")
    if budget is not None:
        budget = checks.positive_int(budget, "budget")
    elif tolerance is None:
        raise ValueError("tol and budget are None, expected at least one of them")
    m, n = Source(A).shape
    chains = list(dict.fromkeys(_chains(m, n)))
    names: list[str | None] = [None]
    if permutations and n & (n - 1) == 0 and n > 2:
        names.append("search")
    pairs = list(itertools.product(chains, names))
    trials: list[Trial] = []
    best: tuple[tuple[Any, ...], Butterfly] | None = None
    with reporter(progress, "best_architecture") as tell:
        for number, (chain, name) in enumerate(pairs):
            if tell is not None:
                tell(number / len(pairs))
            began = time.perf_counter()
            if len(chain) == 1 and name is not None:
                continue
            if tolerance is not None:
                F = factorize(A, chain, tol=tolerance, column_permutation=name)
            else:
                assert budget is not None
                within = _largest_within(chain, budget)
                if within is None:
                    continue
                F = factorize(A, within, column_permutation=name)
            report = F.report
            assert report is not None
            if name is not None and report.column_permutation == "000":
                continue  # the given order, which was tried
            trials.append(
                Trial(
                    F.architecture,
                    report.column_permutation,
                    report.relative_error,
                    F.nnz,
                    time.perf_counter() - began,
                )
            )
            key = _key(trials[-1], tolerance, budget)
            if best is None or key < best[0]:
                best = key, F
        if tell is not None:
            tell(1.0)
    if best is None:
        raise ValueError(
            f"budget is {budget}, but no chain for a {m} x {n} matrix has fewer than "
            f"{fewest_weights((m, n))} non-zeros"
        )
    F = best[1]
    assert F.report is not None
    return ArchitectureSearch(
        F,
        tolerance is None or F.report.relative_error <= tolerance,
        budget is None or F.nnz <= budget,
        tuple(sorted(trials, key=lambda trial: trial.nnz)),
        time.perf_counter() - start,
    )


def fewest_weights(shape: tuple[int, int]) -> int:
    """The non-zeros of the smallest chain that `best_architecture` tries."""
    return min(chain.nnz for chain in _chains(*shape))


def _key(trial: Trial, tolerance: float | None, budget: int | None) -> tuple[Any, ...]:
    """Smaller is better: what keeps tolerance and budget first, then non-zeros, or the error."""
    over_budget = budget is not None and trial.nnz > budget
    if tolerance is None:
        return (over_budget, trial.relative_error, trial.nnz)
    missed = trial.relative_error > tolerance
    return (over_budget, missed, trial.relative_error if missed else trial.nnz)


def _largest_within(chain: Architecture, budget: int) -> Architecture | None:
    """The chain with the largest equal ranks whose non-zeros stay within the budget."""
    if len(chain) == 1:
        return chain if chain.nnz <= budget else None
    best = None
    for rank in itertools.count(1):
        candidate = chain.with_ranks(rank)
        if candidate.nnz > budget or (best is not None and candidate.is_redundant):
            return best
        best = candidate
    return best


def _chains(m: int, n: int) -> Iterator[Architecture]:
    yield Architecture.dense((m, n))
    yield Architecture.low_rank((m, n), 1)
    for rows, cols in _radices(_primes(m), _primes(n)):
        if len(rows) > 1:
            yield Architecture.mixed_radix(rows, cols)
    for p in _middle_divisors(m):
        for q in _middle_divisors(n):
            if m == n and p != q:
                continue
            yield Architecture.monarch((m, n), p, q)


def _radices(rows: list[int], cols: list[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Pairs of equally long radices: primes multiplied by g, with larger ones at the ends."""
    longest = max(len(rows), len(cols))
    for g in range(1, longest // 2 + 1):
        row_groups, col_groups = _grouped(rows, g), _grouped(cols, g)
        length = min(len(row_groups), len(col_groups))
        for end in range(1, max(2, length // 2)):
            x = _with_ends(_merged(row_groups, length), end)
            y = _with_ends(_merged(col_groups, length), end)
            yield x, y
            if x != x[::-1] or y != y[::-1]:
                yield x[::-1], y[::-1]


def _grouped(primes: list[int], g: int) -> list[int]:
    return [math.prod(primes[k : k + g]) for k in range(0, len(primes), g)]


def _merged(radices: list[int], length: int) -> list[int]:
    """`length` radices with the same product: the last ones are multiplied."""
    return [*radices[: length - 1], math.prod(radices[length - 1 :])]


def _with_ends(radices: Sequence[int], end: int) -> list[int]:
    """The first and the last `end` radices become one each."""
    if len(radices) <= 2 * end:
        return list(radices)
    return [
        math.prod(radices[:end]),
        *radices[end : len(radices) - end],
        math.prod(radices[len(radices) - end :]),
    ]


def _middle_divisors(n: int) -> list[int]:
    """The proper divisors nearest to the square root, on a logarithmic scale."""
    divisors = [d for d in range(2, math.isqrt(n) + 1) if n % d == 0]
    divisors = sorted({*divisors, *(n // d for d in divisors)})
    nearest = sorted(divisors, key=lambda d: abs(np.log(d) - np.log(n) / 2))
    return sorted(nearest[:_MOST_MIDDLE])


def _primes(n: int) -> list[int]:
    """The prime factors of n, ascending."""
    factors = []
    p = 2
    while p * p <= n:
        while n % p == 0:
            factors.append(p)
            n //= p
        p += 1
    return [*factors, n] if n > 1 or not factors else factors
