"""Report: what factorize found out about a matrix and its butterfly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from .. import _core
from .._chains.architecture import Architecture
from .._util.plotting import FLOOR, new_axes
from .._util.printed import Printed

_TURNED = {"rows": "columns", "columns": "rows"}


@dataclass(frozen=True)
class Report(Printed):
    """What `factorize` found out. Errors are relative to the Frobenius norm of A.

    Attributes
    ----------
    relative_error : float
        ``||A - F|| / ||A||`` (0 for a zero matrix).
    lower_bound : float
        No matrix of the architecture (with these ranks) is closer to A than this (up to rounding).
    guarantee : float
        The proved constant: the error is at most `guarantee` times the distance of A to the
        architecture. ``sqrt(splits)`` for orders that cut off one end factor at a time,
        ``splits`` for others, infinite without orthonormalization (from three factors on).
    split_errors : tuple of float
        What the cut at each split discarded; 0 where redundancy removal merged the factors.
    split_tails : tuple of tuple of float
        For each split, what its cut would have discarded at rank 0, 1, 2, ... : the tails of the
        singular values of all its blocks. Up to the rank that was used; with `tolerance`, up to
        the full rank, from the eigenvalues of Gram matrices. Those below about 4e-8 (1e-3 in single
        precision), or below a tenth of the tolerance where that is less, may then be rounding: they
        aren't resolved, may be 0 and needn't decrease.
    order : tuple of int
        The splits in the order of their cuts; split s separates the first s factors.
    ranks : tuple of int
        The rank at each split.
    shape : tuple of int
        Of A.
    norm : float
        Frobenius norm of A.
    row_permutation, column_permutation : str or None
        The name of the permutation that was used: ``"bit_reversal"``, ``"array"``, or the one of
        the eight that a search chose.
    seconds : float
        Time of the whole call.
    tolerance : float or None
        The `tol` that was asked for.
    max_rank : int or None
        The `max_rank` that was asked for.
    weights : str or None
        ``"rows"``, ``"columns"`` or ``"rows and columns"`` where `factorize` was given weights L,
        R: all errors, bounds, tails and norms here then are those of ``L (A - F) R`` and ``L A R``.
    unweighted_error : float or None
        ``||A - F|| / ||A||`` of a weighted result.
    """

    relative_error: float
    lower_bound: float
    guarantee: float
    split_errors: tuple[float, ...]
    split_tails: tuple[tuple[float, ...], ...]
    order: tuple[int, ...]
    ranks: tuple[int, ...]
    shape: tuple[int, int]
    norm: float
    row_permutation: str | None
    column_permutation: str | None
    seconds: float
    tolerance: float | None = None
    max_rank: int | None = None
    weights: str | None = None
    unweighted_error: float | None = None

    @classmethod
    def of(cls, figures: _core.Figures, architecture: Architecture, **rest: Any) -> Report:
        """What the core found out about a chain, with what it was asked."""
        return cls(
            relative_error=figures.relative_error,
            lower_bound=figures.lower_bound,
            guarantee=figures.guarantee,
            split_errors=tuple(figures.split_errors),
            split_tails=tuple(tuple(tails) for tails in figures.split_tails),
            order=tuple(figures.order),
            ranks=architecture.ranks,
            shape=architecture.shape,
            norm=figures.norm,
            **rest,
        )

    @property
    def T(self) -> Report:
        """The report of the transposed operator about the transposed matrix.

        Errors, norm and bound are the same; what is counted by splits runs the other way.
        """
        splits = len(self.split_errors)
        return replace(
            self,
            split_errors=self.split_errors[::-1],
            split_tails=self.split_tails[::-1],
            order=tuple(splits + 1 - split for split in self.order),
            ranks=self.ranks[::-1],
            shape=self.shape[::-1],
            row_permutation=self.column_permutation,
            column_permutation=self.row_permutation,
            weights=_TURNED.get(self.weights or "", self.weights),
        )

    @property
    def quasi_optimality(self) -> float:
        """Certificate: the error is at most this many times the smallest possible one."""
        if self.lower_bound == 0:
            return 1.0 if self.relative_error == 0 else math.inf
        return self.relative_error / self.lower_bound

    @property
    def reached(self) -> bool | None:
        """Whether the error is at most `tolerance`; None if none was asked for."""
        return None if self.tolerance is None else self.relative_error <= self.tolerance

    @property
    def meets_tolerance(self) -> bool | None:
        """The name of `reached` in papilio 0.1."""
        return self.reached

    @property
    def theorem(self) -> str:
        """The statement of docs/guarantees.md that `guarantee` comes from, in words."""
        if math.isinf(self.guarantee):
            return "none: without orthonormalization nothing is proved from three factors on"
        if len(self.order) < 2:
            return "one cut is the best approximation itself"
        splits = len(self.order)
        if self.guarantee < splits:
            return (
                "each cut takes off an end factor: the squares of the cuts' errors add up, "
                f"and the error is at most sqrt({splits}) times the smallest possible one"
            )
        return (
            "the cuts' errors add up: the error is at most "
            f"{splits} times the smallest possible one"
        )

    def __str__(self) -> str:
        rows, cols = self.shape
        permutations = ", ".join(
            f"{name} permutation {value}"
            for name, value in (("row", self.row_permutation), ("column", self.column_permutation))
            if value is not None
        )
        lines = [
            f"factorization of a {rows} x {cols} matrix in {self.seconds:.3g} s"
            + (f" ({permutations})" if permutations else ""),
            f"  relative error    {self.relative_error:.3e}",
            f"  lower bound       {self.lower_bound:.3e} (of any butterfly's error)",
            f"  quasi-optimality  {self.quasi_optimality:.4g} "
            f"(proved: at most {self.guarantee:.4g})",
            f"  because           {self.theorem}",
            f"  ranks             {', '.join(map(str, self.ranks)) or 'no splits'}",
            f"  splits cut        {', '.join(map(str, self.order)) or 'none'}",
            f"  split errors      {', '.join(f'{e:.1e}' for e in self.split_errors) or 'none'}",
        ]
        if self.weights is not None:
            lines.insert(1, f"  norms             weighted by {self.weights}")
            lines.append(f"  unweighted error  {self.unweighted_error:.3e}")
        if self.tolerance is not None:
            if self.reached:
                lines.append(f"  tolerance         {self.tolerance:.1e}: met")
            else:
                capped = "" if self.max_rank is None else f", with ranks of at most {self.max_rank}"
                lines.append(
                    f"  tolerance         {self.tolerance:.1e}: NOT met{capped}: "
                    f"{self.relative_error - self.tolerance:.1e} was lost"
                )
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the tails of the singular values at each split, the error and its lower bound.

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
        >>> A = np.random.default_rng(0).standard_normal((16, 16))
        >>> report = pp.factorize(A, pp.Architecture.square_dyadic(16)).report
        >>> ax = report.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        for split, tails in enumerate(self.split_tails, 1):
            if tails:
                ax.semilogy(
                    range(len(tails)),
                    [max(t, FLOOR) for t in tails],
                    "o-",
                    label=f"split {split}",
                )
        ax.axhline(max(self.relative_error, FLOOR), color="black", label="error")
        ax.axhline(max(self.lower_bound, FLOOR), color="black", linestyle="--", label="lower bound")
        if self.tolerance is not None:
            ax.axhline(self.tolerance, color="red", linestyle=":", label="tolerance")
        ax.set(xlabel="rank", ylabel="discarded, relative to the norm")
        ax.grid(True, alpha=0.3)
        ax.legend()
        return ax
