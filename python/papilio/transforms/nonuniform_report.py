"""What is known of the error of a non-uniform transform."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from .._util.plotting import new_axes
from .._util.printed import Printed
from .._util.turns import Radians
from ..operators import Operator

_Array = np.ndarray[Any, Any]
_ROWS, _VECTORS = 32, 8  # of direct sums
_CHANCE = 2.0  # of so many vectors, once in ten million times
_MOST_ENTRIES = 1 << 24  # that direct sums are made of


@dataclass(frozen=True)
class NonuniformReport(Printed):
    """How far an operator of `nudft` is from the transform: ``||A - F|| / ||A||`` (Frobenius).

    Attributes
    ----------
    relative_error : float
        An estimate: products with Gaussian vectors against direct sums of exact phases, at some
        outputs, rounding included. At most `error_bound`.
    error_bound : float
        The error is at most this: `window_bound` and `rounding` together.
    window_bound : float
        What the window's error is at most, for these modes and any points (docs/transforms.md),
        and what the rounding of these points' places on the grid adds.
    rounding : float
        Of products in the operator's dtype, at most: for these modes, grid and window, with
        constants that were measured.
    tol : float
        What was asked for.
    samples : int
        Direct sums behind the estimate.
    width, degree : int
        Of the window, in cells of the grid; of its polynomials.
    grid : tuple of int
        Cells of the grid that is transformed.
    seconds : float
        That the report took.
    """

    relative_error: float
    error_bound: float
    window_bound: float
    rounding: float
    tol: float
    samples: int
    width: int
    degree: int
    grid: tuple[int, ...]
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether bound and estimate are at most `tol`; if not, making the operator warned."""
        return max(self.error_bound, self.relative_error) <= self.tol

    def plot(self, ax: Any = None) -> Any:
        """Draw the parts of the error, its estimate, and what was asked for.

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
        >>> F = pp.transforms.nudft(2, np.linspace(0, 6, 50), 32)
        >>> ax = F.report.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        parts = {
            "estimate": self.relative_error,
            "bound": self.error_bound,
            "window": self.window_bound,
            "rounding": self.rounding,
        }
        ax.bar(list(parts), list(parts.values()))
        ax.axhline(self.tol, color="red", linestyle=":", label="tolerance")
        ax.set_yscale("log")
        ax.set(ylabel="relative error")
        ax.legend()
        return ax

    def __str__(self) -> str:
        return "\n".join(
            [
                f"non-uniform transform on a grid of {' x '.join(map(str, self.grid))} cells",
                f"  relative error  {self.relative_error:.2e} ({self.samples} direct sums), "
                f"at most {self.error_bound:.2e}; asked for: {self.tol:.2e}, "
                + ("reached" if self.reached else "NOT reached"),
                f"  window          {self.width} cells, polynomials of degree {self.degree}: "
                f"at most {self.window_bound:.2e}",
                f"  rounding        {self.rounding:.2e}",
            ]
        )


def sampled(
    F: Operator,
    bounds: tuple[float, float],
    tol: float,
    coordinates: tuple[_Array, _Array],
    sign: int,
    window: tuple[tuple[int, ...], tuple[int, int]],
) -> NonuniformReport:
    """Products with Gaussian vectors against direct sums, beside the bounds: window, rounding."""
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    rows, columns = coordinates
    grid, (terms, width) = window
    window_bound, rounding = bounds
    bound = window_bound + rounding
    error, samples = 0.0, 0
    if len(rows) and len(columns):
        x = rng.standard_normal((len(columns), _VECTORS, 2)).astype(F.dtype.char.lower())
        x = x.view(F.dtype)[..., 0]
        count = max(2, min(_ROWS, _MOST_ENTRIES // len(columns), len(rows)))
        chosen = np.unique(rng.integers(len(rows), size=count))
        away = (F @ x)[chosen] - direct(rows[chosen], columns, sign, x)
        # Each is a Gaussian number of this row's squared error, times 2.
        error = float(np.sqrt(np.mean(np.abs(away) ** 2) / (2 * len(columns))))
        samples = away.size
        # Chance, in an estimate that is a little above what was proved; else the bound is wrong.
        error = min(error, bound) if error <= _CHANCE * bound else error
    return NonuniformReport(
        relative_error=error,
        error_bound=max(bound, error),
        window_bound=window_bound,
        rounding=rounding,
        tol=tol,
        samples=samples,
        width=width,
        degree=terms - 1,
        grid=grid,
        seconds=time.perf_counter() - start,
    )


def direct(rows: _Array, columns: _Array, sign: int, x: _Array) -> _Array:
    """``sum_j exp(sign i rows[i] . columns[j]) x[j]``; phases are exact until they are reduced."""
    axes = [Radians(column) for column in columns.T]
    sums = np.empty((len(rows), *x.shape[1:]), np.complex128)
    for n, row in enumerate(rows):
        turns = np.sum([axis.times(s) for axis, s in zip(axes, row, strict=True)], axis=0)
        sums[n] = _core.wave(sign * (turns - np.rint(turns))) @ x.astype(np.complex128)
    return sums
