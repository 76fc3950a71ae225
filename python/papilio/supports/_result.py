"""What fixed_support is asked and what it found."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._util.plotting import new_axes
from .._util.printed import Printed
from ..operators import Report
from ._analysis import SupportReport
from ._target import Target

_Array = NDArray[Any]
Method = Literal["auto", "exact", "local"]


class DivergingFactorsWarning(RuntimeWarning):
    """The factors grow without end while the error stalls: a best approximation may not exist.

    Examples
    --------
    >>> import warnings
    >>> import papilio as pp
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     R = pp.fixed_support([[0, 1], [1, 0]], [[1, 0], [1, 1]], [[1, 1], [0, 1]])
    >>> caught[0].category.__name__, R.diverging
    ('DivergingFactorsWarning', True)
    """


@dataclass(frozen=True, eq=False)
class FixedSupportResult(Printed):
    """What `fixed_support` found. Errors are Frobenius norms in the units of A.

    Attributes
    ----------
    factors : tuple of scipy.sparse.csr_array
        From left to right; each stores exactly the entries of its support (some may be zero).
    error : float
        ``||A - XY||`` of the factors as they are, rounded to A's dtype.
    relative_error : float
        ``||A - XY|| / ||A||`` (0 for a zero matrix).
    lower_bound : float
        No product with these supports has a smaller error (up to rounding).
    optimal : bool
        Whether it is proved, up to rounding, that no product with these supports is closer (with
        a ridge: has a smaller penalized error).
    method : {"exact", "local", "hierarchical", "alternating"}
        What computed the factors; ``"local"`` and ``"alternating"`` if any part needed them.
    existence : str
        What is proved about the existence of a best approximation.
    diverging : bool
        Whether the factors blew up: the infimum is probably not attained for this A.
    iterations : int
        Sweeps and quasi-Newton steps of all starts together; 0 if all was solved exactly.
    history : ndarray, shape (points, 2)
        Seconds since the call, and the best error so far, as the solver went.
    seconds : float
        Time of the whole call.
    report : SupportReport or Report
        The analysis of the supports (of two factors, or of the two that a chain comes down to), or
        the report of `factorize` where the supports are a butterfly's; None for other chains.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> R = pp.fixed_support(np.diag([3.0, 2.0, 1.0]), np.ones((3, 1)), np.ones((1, 3)))
    >>> R.X.shape, R.Y.shape, R.optimal
    ((3, 1), (1, 3), True)
    >>> bool(np.isclose(R.error, np.sqrt(5))), R.iterations
    (True, 0)
    """

    factors: tuple[Any, ...]
    error: float
    relative_error: float
    lower_bound: float
    optimal: bool
    method: str
    existence: str
    diverging: bool
    iterations: int
    history: _Array
    seconds: float
    report: SupportReport | Report | None

    @property
    def X(self) -> Any:
        """The leftmost factor."""
        return self.factors[0]

    @property
    def Y(self) -> Any:
        """The rightmost factor."""
        return self.factors[-1]

    def plot(self, ax: Any = None) -> Any:
        """Draw the best error over time, and the lower bound.

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
        >>> R = pp.fixed_support(np.eye(3), np.ones((3, 1)), np.ones((1, 3)))
        >>> ax = R.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        seconds, errors = np.reshape(self.history, (-1, 2)).T
        ax.plot([*seconds, self.seconds], [*errors, self.error], "o-", label="best error")
        ax.axhline(self.lower_bound, color="black", linestyle="--", label="lower bound")
        ax.set(xlabel="seconds", ylabel="error", title=self.method)
        ax.grid(True, alpha=0.3)
        ax.legend()
        return ax

    def __str__(self) -> str:
        sizes = " x ".join(str(size) for size in [f.shape[0] for f in self.factors])
        return "\n".join(
            [
                f"{len(self.factors)} factors, {sizes} x {self.Y.shape[1]}, "
                f"with fixed supports in {self.seconds:.3g} s",
                f"  relative error  {self.relative_error:.3e}",
                f"  error           {self.error:.6g}",
                f"  lower bound     {self.lower_bound:.6g} (of any such product's error)",
                f"  optimal         {'yes, proved' if self.optimal else 'not proved'}",
                f"  method          {self.method}, {self.iterations} iterations",
                f"  minimizer       {self.existence}",
            ]
            + (["  factors         diverging"] if self.diverging else [])
        )


@dataclass(frozen=True)
class Options:
    """The arguments of `fixed_support` after they were checked."""

    method: Method
    ridge: float
    restarts: int | None
    max_sweeps: int
    tolerance: float
    rng: np.random.Generator
    start: float
    tell: Callable[[float], object] | None

    def restarts_for(self, flops: float) -> int:
        """The number of random starts, where a sweep costs so much."""
        return (
            int(np.clip(3e7 / max(flops, 1.0), 8, 256)) if self.restarts is None else self.restarts
        )


@dataclass
class PairSolution:
    """Values of X (column by column) and Y (row by row), and a lower bound of the scaled error."""

    x: _Array
    y: _Array
    bound: float
    local: bool
    divergence: float
    iterations: int
    history: list[tuple[float, float]]
    inexact: bool = False  # a system of equations had no digits left


def warn_diverging(growth: float) -> None:
    """Warn the caller of `fixed_support` of terms that are `growth` times as large as the data."""
    warnings.warn(
        f"the factors diverge: single terms x_i y_i are up to {growth:.2g} times as large as the "
        "data and cancel each other. The infimum of the error is probably not attained; a ridge "
        "> 0 makes a minimizer exist",
        DivergingFactorsWarning,
        stacklevel=3,
    )


def make_result(
    target: Target,
    factors: tuple[Any, ...],
    *,
    error: float,
    bound: float,
    history: list[tuple[float, float]],
    start: float,
    **fields: Any,
) -> FixedSupportResult:
    """A result from scaled errors. What rounding makes of a bound isn't above the error."""
    norm = math.sqrt(target.norm2)
    lower = min(bound, error)
    least = lower / target.scale
    if least * target.scale > lower:  # rounded up, to one of few subnormal numbers
        least = math.nextafter(least, 0.0)
    return FixedSupportResult(
        factors=factors,
        error=error / target.scale,
        relative_error=error / norm if norm > 0 else 0.0,
        lower_bound=least,
        history=np.array([(seconds, e / target.scale) for seconds, e in history]).reshape(-1, 2),
        seconds=time.perf_counter() - start,
        **fields,
    )


def to_factors(left: Any, right: Any, solution: PairSolution) -> tuple[Any, Any]:
    """X and Y as CSR arrays."""
    X = scipy.sparse.csc_array((solution.x, left.indices, left.indptr), shape=left.shape)
    Y = scipy.sparse.csr_array((solution.y, right.indices, right.indptr), shape=right.shape)
    return scipy.sparse.csr_array(X), Y
