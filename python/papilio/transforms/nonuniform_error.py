"""What non-uniform transforms are off by, at most: windows, rounding of places, of products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..operators import GridFourier, Interpolation, Sparse

_Array = np.ndarray[Any, Any]
_ULP = 2.0**-53  # half a unit in the last place of doubles from 1 to 2
FAR = 2.0**22  # angles beyond are wrapped by the library's sine, cosine and arctangent
_WRAPPING = 2.0**-51  # what that takes at most, in radians
# Of products in units of machine epsilon: for each dimension, and of the transform on the grid for
# what deconvolution enlarges it by. Never more than 0.95 times that was measured, entries and
# products with Gaussian vectors, in single precision: 180 transforms of 1 to 60000 modes in one to
# three dimensions, tolerances 1e-2 to 1e-13.
_OF_DIMENSION = _OF_TRANSFORM = 1.6
_USUAL_DOUBLINGS = 16  # up to so many the transform's share hardly depends on them


def rms(values: _Array) -> float:
    """Root mean square; 0 if there are none."""
    values = np.asarray(values, np.float64).ravel()
    size = float(abs(values).max(initial=0.0))
    return size * math.sqrt(float(np.mean((values / size) ** 2))) if size > 0 else 0.0


def norm_of_weights(coefficients: _Array) -> float:
    """Root mean square, over the places between two cells, of a window's Euclidean norm."""
    places = np.linspace(-1, 1, 33)
    weights = np.polyval(coefficients[:, None, :], places[:, None])
    return math.sqrt(float(np.mean((weights**2).sum(axis=1))))


def of_places(angles: _Array, grid: Sequence[int], width: int, given: _Array) -> list[float]:
    """Root mean square of the rounding of points' angles, for each dimension.

    A place on the grid is rounded once. Angles that are far away were wrapped before.
    """
    found = []
    for d, cells in enumerate(grid):
        turns = angles[:, d] / (2 * np.pi)
        places = np.maximum((turns - np.floor(turns)) * cells, width / 2)
        away = (np.spacing(places) / 2 + _ULP / 2) * (2 * np.pi / cells)
        away[np.abs(given[:, d]) > FAR] += _WRAPPING
        found.append(rms(away))
    return found


def of_modes(modes: Sequence[int]) -> list[float]:
    """Root mean square of the modes in each dimension."""
    return [rms(np.arange(-(n // 2), (n + 1) // 2)) for n in modes]


def of_type_3(
    x: _Array, s: _Array, cells: Sequence[int], places: tuple[list[float], list[float]], width: int
) -> float:
    """Root mean square of the rounding of phases ``s . x``, of which x, s are from the middles.

    The places of the points on the first grid of so many cells and of the frequencies on the second
    one are rounded; differences from the middles, quotients and products seven times; phases of the
    diagonals are sums of at most three fractions of a turn each.
    """
    away = 0.0
    for d, n in enumerate(cells):
        of_x, of_s = rms(x[:, d]), rms(s[:, d])
        half = float(abs(s[:, d]).max(initial=0.0)) or 1.0
        # Stretched so that the frequencies, in radians from cell to cell, are at most pi / 2.
        at_cells = 2 * half * of_x / np.pi + width / 2
        away += n / 4 * of_s / half * places[0][d] + at_cells * places[1][d]
        away += 7 * _ULP * of_x * of_s
    dimensions = len(cells)
    return away + 2 * 2 * np.pi * _ULP * (dimensions / 4 + (dimensions - 1) / 2)


def of_products(parts: Sequence[Any], dtype: np.dtype[Any]) -> float:
    """What the rounding of products is at most, relative to the Frobenius norm.

    The transform's rounding is that of all its cells, enlarged as the modes are, and each point has
    that of a window; a first interpolation and diagonals (type 3) enlarge what is behind them.
    """
    fourier = next(part for part in parts if isinstance(part, GridFourier))
    steps = [part for part in parts if isinstance(part, Interpolation)]
    inner = next(part for part in steps if part.grid == fourier.grid)
    dimensions = len(fourier.grid)
    units = rounding_units(fourier.grid, fourier.scales, inner.coefficients)
    for part in steps:
        if part is not inner:
            outer = norm_of_weights(part.coefficients) ** dimensions
            outer *= math.prod(
                rms(np.abs(other.matrix.data)) for other in parts if isinstance(other, Sparse)
            )
            units = 1 + _OF_DIMENSION * dimensions + max(1.0, outer) * units
    return float(np.finfo(dtype).eps) * units


def rounding_units(grid: Sequence[int], scales: Sequence[_Array], coefficients: _Array) -> float:
    """The rounding of a transform of type 1 or 2 in units of machine epsilon."""
    enlarged = math.prod(rms(scale) * norm_of_weights(coefficients) for scale in scales)
    doublings = max(_USUAL_DOUBLINGS, math.log2(math.prod(grid)))
    enlarged *= math.sqrt(doublings / _USUAL_DOUBLINGS)
    return _OF_DIMENSION * len(grid) + _OF_TRANSFORM * enlarged
