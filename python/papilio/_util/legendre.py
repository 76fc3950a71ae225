"""Legendre polynomials of any degree, in constant time per value."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .. import _core

_Array = np.ndarray[Any, Any]

_GRID = 2.0**26  # coarse parts of angles are multiples of 1 / _GRID: times degree + 1/2, exact
_FAR = 25.0, 150.0, 1000.0, np.inf  # (degree + 1/2) sin(angle) where the expansion is used
_NODES = 16  # of the integral: all frequencies up to 64
_DIGITS = 2.0**-54
# 2 pi as a sum; the first part has 26 bits, so that its product with a coarse part is exact.
_TURN = 2 * np.pi
_TURN_HIGH = np.rint(_TURN * 2.0**23) / 2.0**23
_TURN_LOW = 2.4492935982947064e-16 + (_TURN - _TURN_HIGH)


@dataclass(frozen=True)
class Angles:
    """Angles from 0 to pi in turns, as sums ``coarse + fine`` of about 80 bits.

    A polynomial of degree k oscillates k/2 times from 0 to pi: the rounding error of one double
    would be seen, times k, in its values.
    """

    coarse: _Array
    fine: _Array

    @staticmethod
    def of(theta: _Array) -> Angles:
        """Angles in radians."""
        coarse = np.rint(theta * (_GRID / _TURN)) / _GRID
        fine = ((theta - coarse * _TURN_HIGH) - coarse * _TURN_LOW) / _TURN
        return Angles(coarse, fine)

    @staticmethod
    def chebyshev(count: int) -> Angles:
        """``pi (2 j + 1) / (2 count)``, j < count: those of the Chebyshev points of first kind."""
        numerator = (2 * np.arange(count) + 1) * int(_GRID)
        coarse, rest = np.divmod(numerator, 4 * count)
        return Angles(coarse / _GRID, rest / (4 * count * _GRID))

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, index: Any) -> Angles:
        return Angles(self.coarse[index], self.fine[index])

    @property
    def radians(self) -> _Array:
        """To double precision."""
        radians: _Array = (self.coarse + self.fine) * _TURN
        return radians

    def mirrored(self) -> tuple[Angles, _Array]:
        """The angles or what they lack to pi, whichever is smaller, and which was mirrored."""
        beyond = self.coarse + self.fine > 0.25
        coarse = np.where(beyond, 0.5 - self.coarse, self.coarse)
        return Angles(coarse, np.where(beyond, -self.fine, self.fine)), beyond


def legendre_polynomials(degree: _Array, angle: Angles) -> _Array:
    """``P_degree(cos angle)`` of whole degrees below 2^25 and angles that broadcast.

    The absolute error is a few 1e-15, for any degree. Far from the ends of [0, pi],
    Stieltjes' expansion; else a quadrature of Laplace's integral (docs/transforms.md).
    """
    angle, beyond = angle.mirrored()
    odd = (degree & 1).astype(bool)
    degree, coarse, fine, negative = np.broadcast_arrays(
        degree.astype(np.float64), angle.coarse, angle.fine, beyond & odd
    )
    result = np.empty(degree.shape)
    theta = (coarse + fine) * _TURN
    x = (degree + 0.5) * np.sin(theta)
    near = x < _FAR[0]
    result[near] = _integral(degree[near], theta[near])
    for start, stop in pairwise(_FAR):  # fewer terms, the farther
        far = (start <= x) & (x < stop)
        result[far] = _expansion(degree[far], coarse[far], fine[far], theta[far], _terms(start))
    np.negative(result, out=result, where=negative)
    return result


def _expansion(k: _Array, coarse: _Array, fine: _Array, theta: _Array, terms: int) -> _Array:
    """Stieltjes: ``C Re(exp(i (k+1/2) theta - i pi/4) F(z)) / sqrt(2 sin theta)``.

    ``F(z) = 1 + r_1 z (1 + r_2 z (1 + ...))``, ``z = (1 - i cot theta) / 2`` and
    ``r_m = (m - 1/2)^2 / (m (k + m + 1/2))``.
    """
    sine = np.sin(theta)
    cotangent = np.cos(theta) / sine
    turns = (k + 0.5) * coarse  # exact
    phase = _core.wave((turns - np.rint(turns)) + ((k + 0.5) * fine - 0.125))
    real, imaginary = np.ones(k.shape), np.zeros(k.shape)
    for m in range(terms, 0, -1):
        ratio = ((m - 0.5) ** 2 / (2 * m)) / (k + (m + 0.5))
        turned = imaginary - real * cotangent
        real += imaginary * cotangent
        real *= ratio
        real += 1
        imaginary = turned * ratio
    value = real * phase.real - imaginary * phase.imag
    value *= _gamma_ratio(k + 0.75) * (2 / np.pi) ** 0.5
    value /= np.sqrt(sine)
    return value


def _terms(x: float) -> int:
    """How many terms until they are rounding errors, for ``(k + 1/2) sin theta >= x``."""
    term, m = 1.0, 0
    while term > _DIGITS:
        m += 1
        term *= (m - 0.5) ** 2 / (2 * m * x)
    return m


def _gamma_ratio(f: _Array) -> _Array:
    """``Gamma(f + 1/4) / Gamma(f + 3/4)`` for f >= 25, by its expansion in powers of 1 / f^2."""
    u = f**-2
    series = 1 - u * (1 / 64 - u * (21 / 8192 - u * (671 / 524288 - u * (180323 / 134217728))))
    ratio: _Array = series / np.sqrt(f)
    return ratio


def _integral(k: _Array, theta: _Array) -> _Array:
    """Laplace: the mean of ``(cos theta + i sin theta cos phi)^k`` over phi, by midpoints."""
    sine, cosine = np.sin(theta), np.cos(theta)
    total = np.zeros(k.shape)
    for phi in (np.arange(_NODES) + 0.5) * (np.pi / (2 * _NODES)):
        c, s = np.cos(phi), np.sin(phi)
        modulus = np.exp((0.5 * k) * np.log1p(-((s * sine) ** 2)))
        total += modulus * np.cos(k * np.arctan2(c * sine, cosine))
    total /= _NODES
    return total
