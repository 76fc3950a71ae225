"""What is known of the error of a non-uniform transform."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from .._util.dtypes import rounding_from_single
from .._util.plotting import new_axes
from ..operators import Operator

_Array = np.ndarray[Any, Any]
_OUTPUTS = 64  # that the rounding is measured at, at least
_ROWS, _VECTORS = 32, 4  # of direct sums
_MOST_ENTRIES = 1 << 24  # that direct sums are made of


@dataclass(frozen=True)
class NonuniformReport:
    """How far an operator of `nudft` is from the transform: ``||A - F|| / ||A||`` (Frobenius).

    Attributes
    ----------
    relative_error : float
        An estimate: products with Gaussian vectors against direct sums in extended precision, at
        some outputs, rounding included.
    error_bound : float
        The error is at most this: `window_bound` and `rounding` together.
    window_bound : float
        What the window's error is at most, for these modes and any points (docs/transforms.md).
    rounding : float
        Of products in the operator's dtype: measured in single precision, scaled by the unit
        roundoff.
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
        """Whether the error is at most `tol`."""
        return self.error_bound <= self.tol

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
    window_bound: float,
    tol: float,
    coordinates: tuple[_Array, _Array],
    sign: int,
    window: tuple[tuple[int, ...], tuple[int, int]],
) -> NonuniformReport:
    """Products with Gaussian vectors against direct sums, and single against double precision."""
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    rows, columns = coordinates
    grid, (terms, width) = window
    rounding = _rounding(F, rng)
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
    return NonuniformReport(
        relative_error=error,
        error_bound=window_bound + rounding,
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
    """``sum_j exp(sign i rows[i] . columns[j]) x[j]``; phases in the longest floats there are."""
    turn = sign / (2 * np.longdouble(np.pi) + _PI_REST)
    sums = np.empty((len(rows), *x.shape[1:]), np.complex128)
    for n, row in enumerate(rows):
        turns = (columns.astype(np.longdouble) * row).sum(axis=1) * turn
        wave = _core.wave(np.asarray(turns - np.rint(turns), np.float64))
        sums[n] = wave @ x.astype(np.complex128)
    return sums


_PI_REST = 2 * np.longdouble(1.2246467991473532e-16)  # 2 pi less the double next to it


def _rounding(F: Operator, rng: np.random.Generator) -> float:
    """Root mean square of the rounding of products, relative to them."""
    if 0 in F.shape:
        return rounding_from_single(F.dtype, 0.0)
    single = F.astype(np.complex64) if F.dtype == np.complex64 else _single(F)
    # A single output may cancel, or be exact by chance.
    vectors = -(-_OUTPUTS // F.shape[0])
    parts = rng.standard_normal((F.shape[1], vectors, 2)).astype(np.float32)
    x = parts.view(np.complex64)[..., 0]
    found, exact = single @ x, single.astype(np.complex128) @ x.astype(np.complex128)
    size = float(np.linalg.norm(exact))
    away = float(np.linalg.norm(found - exact)) / size if size > 0 else 0.0
    return rounding_from_single(F.dtype, away)


def _single(F: Operator) -> Any:
    return F._in_precision(np.dtype(np.float32))
