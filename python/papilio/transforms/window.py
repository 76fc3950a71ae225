"""Windows of non-uniform transforms: Kaiser and Bessel's, as polynomials, and their errors.

With cells of size 1, a wave ``exp(2 pi i xi x)`` on the cells becomes, interpolated by the window
phi of w cells and divided by its transform phi^, the wave times

    S(xi, z) = sum_j phi(t_j) exp(2 pi i xi t_j) / phi^(xi),   t_j = z + j - w / 2,

where z, from 0 to 1, tells where between two cells the point lies. All errors are those of S - 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.polynomial import chebyshev

_Array = np.ndarray[Any, Any]
WIDEST = 16
_MOST_TERMS = 22  # of a polynomial
_WAVES, _PLACES = 384, 33  # where errors are looked at, besides 0
MANY = 96  # modes, from which on their errors are those of the whole band
_SHAPES = (0.94, 0.955, 0.97, 0.98, 0.99, 1.0)  # of the usual shape: no other was ever better


@dataclass(frozen=True)
class Window:
    """A window of `width` cells for waves of at most ``band`` turns from a cell to the next.

    Attributes
    ----------
    width : int
    shape : float
        beta: the window is ``I0(beta sqrt(1 - (2 t / w)^2)) / exp(beta)``.
    coefficients : ndarray, shape (degree + 1, width)
        Of the polynomials in ``2 z - 1``, the highest power first; column j for t_j.
    mean, largest : float
        Of ``|S - 1|`` at the worst place: root mean square over the waves of the band; largest.
    """

    width: int
    shape: float
    coefficients: _Array
    mean: float
    largest: float

    def transform(self, waves: Any) -> _Array:
        """phi^ at waves, in turns from a cell to the next."""
        return kaiser_bessel_transform(waves, self.width, self.shape)

    def factors(self, waves: Any, places: Any) -> _Array:
        """S, for waves and places that broadcast."""
        total: Any = 0
        for j in range(self.width):
            weight = np.polyval(self.coefficients[:, j], 2 * np.asarray(places) - 1)
            turns = np.asarray(waves) * (places + j - self.width / 2)
            total = total + weight * np.exp(2j * np.pi * turns)
        factors: _Array = total / self.transform(waves)
        return factors


def kaiser_bessel(t: Any, width: int, shape: float) -> _Array:
    """The window at distances t from its centre, in cells."""
    root = shape * np.sqrt(np.maximum(1 - np.square(2 * np.asarray(t) / width), 0))
    values: _Array = scipy.special.i0e(root) * np.exp(root - shape)
    return values


def kaiser_bessel_transform(waves: Any, width: int, shape: float) -> _Array:
    """Its Fourier transform, for waves with ``pi width waves < shape``."""
    root = np.sqrt(np.maximum(shape**2 - np.square(np.pi * width * np.asarray(waves)), 1e-20))
    values: _Array = width * (np.exp(root - shape) - np.exp(-root - shape)) / (2 * root)
    return values


@lru_cache(maxsize=1)
def _powers() -> _Array:
    """Row k: the coefficients of Chebyshev's polynomial of degree k."""
    powers = np.zeros((_MOST_TERMS, _MOST_TERMS))
    powers[0, 0] = powers[1, 1] = 1
    for k in range(2, _MOST_TERMS):
        powers[k, 1:] = 2 * powers[k - 1, :-1]
        powers[k] -= powers[k - 2]
    return powers


def _polynomials(width: int, shape: float, degree: int) -> _Array:
    """The polynomials that meet the window at Chebyshev's points between any two cells."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    starts = np.arange(width) - width / 2
    values = kaiser_bessel((nodes[:, None] + 1) / 2 + starts, width, shape)
    # Sums over Chebyshev's points are integrals: no system has to be solved.
    series = 2 / (degree + 1) * chebyshev.chebvander(nodes, degree).T @ values
    series[0] /= 2
    powers = _powers()[: degree + 1, : degree + 1]
    return np.ascontiguousarray((powers.T @ series)[::-1])


def _places() -> _Array:
    # With both ends: at 0 the window reaches one cell more than at 1.
    places: _Array = np.linspace(0, 1, _PLACES)
    return places


@lru_cache(maxsize=8)
def _phases(width: int, band: float) -> tuple[_Array, _Array]:
    """The waves that errors are looked at, at the cells of a window and at all `_places`."""
    waves = 2j * np.pi * band * np.linspace(0, 1, _WAVES + 1)
    of_cells = np.exp(np.outer(waves, np.arange(width) - width / 2))
    return of_cells, np.exp(np.outer(waves, _places()))


def _errors(
    weights: _Array, shape: float, band: float, counts: tuple[int, ...]
) -> tuple[float, float]:
    """Errors of a window whose weights at all `_places` are given: mean and largest.

    Between two waves the error may be larger than at both (phi^ has zeros): for each wave the
    largest error up to the next one that is looked at is taken. The mean is the largest one of so
    many modes. From `MANY` on, it is at most the mean over the band and half the share of the last.
    """
    width = weights.shape[1]
    waves = band * np.linspace(0, 1, _WAVES + 1)
    of_cells, of_places = _phases(width, band)
    factors = (of_cells @ weights.T) * of_places
    factors /= kaiser_bessel_transform(waves, width, shape)[:, None]
    # The error is a few waves of z with one turn from 0 to 1: so many places miss none of it.
    away = np.maximum.accumulate(np.abs(factors - 1) ** 2, axis=0)
    means = []
    for count in counts:
        if count >= MANY:
            means.append(away[1:].mean(axis=0) + away[-1] / MANY)
        else:
            modes = np.abs(np.arange(-(count // 2), (count + 1) // 2))
            means.append(away[-(-2 * modes * _WAVES // count)].mean(axis=0))
    return math.sqrt(np.max(means)), math.sqrt(away.max())


@lru_cache(maxsize=256)
def window_of(width: int, band: float, counts: tuple[int, ...] = (MANY,)) -> Window:
    """The best window of so many cells for waves of at most `band` turns from cell to cell.

    There are so many modes, along each of the axes.
    """
    places = _places()
    starts = np.arange(width) - width / 2
    tried = []
    for share in _SHAPES:
        shape = share * math.pi * width * (1 - band)
        exact = kaiser_bessel(places[:, None] + starts, width, shape)
        tried.append((*_errors(exact, shape, band, counts), shape))
    best, goal, shape = min(tried)
    # As few terms as cost no more than a tenth of the error.
    for degree in range(max(2, width // 2), _MOST_TERMS):
        coefficients = _polynomials(width, shape, degree)
        weights = np.polyval(coefficients[:, None, :], (2 * places - 1)[:, None])
        mean, largest = _errors(weights, shape, band, counts)
        if mean <= 1.1 * best and largest <= 1.2 * goal:
            break
    coefficients.setflags(write=False)
    return Window(width, shape, coefficients, mean, largest)


def enlargement(width: int, band: float) -> float:
    """What rounding is enlarged by at most: phi^ at 0 over phi^ at the end of the band."""
    shape = math.pi * width * (1 - band)
    return math.exp(shape - math.sqrt(max(shape**2 - (math.pi * width * band) ** 2, 0)))


def expected_width(tol: float, band: float) -> int:
    """About how many cells are needed: errors are near ``exp(-pi w sqrt(1 - 2 band))``."""
    # A share of the smallest tolerance may be zero, and its inverse infinite.
    wanted = -math.log(max(tol, np.finfo(float).tiny))
    return min(WIDEST, max(2, math.ceil(wanted / (math.pi * math.sqrt(1 - 2 * band)))))


def narrowest(tol: float, band: float, counts: tuple[int, ...] = (MANY,)) -> Window:
    """The narrowest window whose mean error is at most tol; else the one with the smallest."""
    width = expected_width(tol, band)
    while width > 2 and window_of(width - 1, band, counts).mean <= tol:
        width -= 1
    while width < WIDEST and window_of(width, band, counts).mean > tol:
        width += 1
    window = window_of(width, band, counts)
    if window.mean <= tol:
        return window
    widest = (window_of(w, band, counts) for w in range(WIDEST - 4, WIDEST + 1))
    return min(widest, key=lambda window: window.mean)
