"""Legendre polynomials of any degree in constant time per value, functions of any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from .. import _core

_Array = np.ndarray[Any, Any]

_GRID = 2.0**26  # coarse parts of angles are multiples of 1 / _GRID: times degree + 1/2, exact
_NODES = 16  # of the integral, by midpoints: all frequencies up to 64
_STEP = np.pi / (2 * _NODES)
_DIGITS = 2.0**-54
_STRIDE, _TABLE = 64, 1 << 27  # degrees between the functions that are kept; bytes of these
_SHORT_PRODUCT = 30  # factors; _gamma_ratio is exact from there on
_EXPONENT = 1000  # binary digits that one step of an extended exponent stands for
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

    def formula(self, of_degrees: _Array, of_angles: _Array | float = 1.0) -> _core.Formula:
        """``of_angles[j] of_degrees[k] P_k`` at the j-th angle, in the core.

        k is below 2^25. The absolute error of P_k is a few 1e-15, for any degree. Far from the ends
        of [0, pi], Stieltjes' expansion; else a quadrature of Laplace's integral
        (docs/transforms.md).
        """
        k, phi = np.arange(float(len(of_degrees))), (np.arange(_NODES) + 0.5) * _STEP
        columns = np.stack([k, of_degrees, of_degrees * _gamma_ratio(k + 0.75)])
        nodes = np.stack([np.cos(phi), np.sin(phi)], axis=1)
        parameters = np.concatenate([_bounds(0), nodes.ravel()])
        factors = np.broadcast_to(of_angles, (1, len(self)))
        rows = np.concatenate([self.fields(), factors])
        return _core.Formula("legendre", rows, columns, parameters)

    def fields(self) -> _Array:
        """What the core is given of each: angles below pi/2, and which were mirrored."""
        angle, beyond = self.mirrored()
        theta = angle.radians
        return np.stack([angle.coarse, angle.fine, np.sin(theta), np.cos(theta), beyond])

    def mirrored(self) -> tuple[Angles, _Array]:
        """The angles or what they lack to pi, whichever is smaller, and which was mirrored."""
        beyond = self.coarse + self.fine > 0.25
        coarse = np.where(beyond, 0.5 - self.coarse, self.coarse)
        return Angles(coarse, np.where(beyond, -self.fine, self.fine)), beyond


def _terms(x: float, order: int = 0) -> int:
    """How many terms until they are rounding errors, for ``(k + 1/2) sin theta >= x``."""
    term, m = 1.0, 0
    while term > _DIGITS:
        m += 1
        term *= abs((m - 0.5) ** 2 - order**2) / (2 * m * x)
    return m


def _bounds(order: int) -> list[float]:
    """From which x on the numbers of terms of cpp/src/kernels/legendre.hpp are enough."""
    bounds = []
    for terms in (18, 9, 6):
        x = 25.0 + 2.0 * order**2
        while _terms(x, order) > terms:
            x *= 1.1
        bounds.append(x)
    return bounds


def _gamma_ratio(f: _Array) -> _Array:
    """``Gamma(f + 1/4) / Gamma(f + 3/4)`` for f >= 25, by its expansion in powers of 1 / f^2."""
    u = f**-2
    series = 1 - u * (1 / 64 - u * (21 / 8192 - u * (671 / 524288 - u * (180323 / 134217728))))
    ratio: _Array = series / np.sqrt(f)
    return ratio


class AssociatedLegendre:
    """Normalized associated Legendre functions of one order, at given angles, of any degrees.

    ``P_l = a_l (x P_{l-1} - b_l P_{l-2})`` from ``P_m``, upwards: stable. Near the poles P_m is far
    below the smallest double, and grows: a value is ``p 2^(1000 e)``. Two neighbours are kept every
    `_STRIDE` degrees (more, where that would be more than `_TABLE` bytes), so that an entry takes
    at most so many steps. Where ``(l + 1/2) sin theta`` is a few times the square of the order,
    Stieltjes' expansion.
    """

    def __init__(self, theta: _Array, order: int, degrees: int) -> None:
        self.order, self.degrees = order, degrees
        self.cosine, self.sine, self.angles = np.cos(theta), np.sin(theta), Angles.of(theta)
        per_row = 24 * len(theta) * degrees
        self.stride = max(_STRIDE, -(-per_row // _TABLE))
        l = np.arange(order, order + degrees + self.stride + 1, dtype=np.float64)
        with np.errstate(divide="ignore"):
            self.a = np.sqrt((2 * l - 1) * (2 * l + 1) / ((l - order) * (l + order)))
        before = np.maximum(l - 1, order)
        self.b = np.sqrt((before - order) * (before + order) / np.maximum(4 * before**2 - 1, 1))

    def formula(self) -> _core.Formula:
        """The core's, with the functions that are kept."""
        count = (self.degrees - 1) // self.stride + 1
        head = [self.stride, count, self.degrees, len(self.cosine), self.order]
        coefficients = np.stack([self.b, self.a], axis=1)[: self.degrees]
        coefficients[0] = 0  # of no step
        before = np.concatenate([head, _bounds(self.order), coefficients.ravel()])
        parameters = np.empty(len(before) + 3 * count * len(self.cosine))
        parameters[: len(before)] = before
        self._keep(parameters[len(before) :].reshape(count, 3, -1))
        rows = np.concatenate([self.cosine[None], self.angles.fields()])
        columns = np.stack([np.arange(float(self.degrees)), self._amplitudes()])
        return _core.Formula("associated legendre", rows, columns, parameters)

    def _amplitudes(self) -> _Array:
        """``sqrt((l + 1/2) Gamma(l - m + 1) Gamma(l + m + 1)) / Gamma(l + 3/2)``."""
        m = self.order
        l = np.arange(m, m + self.degrees - 1, dtype=np.longdouble)
        ratios = (l + 1 - m) * (l + 1 + m) / ((l + 0.5) * (l + 1.5))
        gammaln = scipy.special.gammaln
        first = gammaln(2 * m + 1.0) + np.log(m + 0.5) - 2 * gammaln(m + 1.5)
        squares = np.cumprod(np.concatenate([[np.longdouble(1)], ratios])) * np.exp(first)
        amplitudes: _Array = np.sqrt(squares).astype(np.float64)
        return amplitudes

    def _advanced(
        self, x: _Array, q: _Array, p: _Array, e: _Array, k: Any
    ) -> tuple[_Array, _Array, _Array]:
        q, p = p, self.a[k] * (x * p - self.b[k] * q)
        large = np.abs(p) > 2.0 ** (_EXPONENT // 2)
        if large.any():
            less = np.where(large, 2.0**-_EXPONENT, 1.0)
            q, p, e = q * less, p * less, e + large
        return q, p, e

    def _keep(self, tables: _Array) -> None:
        q, (p, e) = np.zeros(len(self.cosine)), self._first()
        tables[0] = q, p, e
        for k in range(1, self.degrees):
            q, p, e = self._advanced(self.cosine, q, p, e, k)
            if k % self.stride == 0:
                tables[k // self.stride] = q, p, e

    def _first(self) -> tuple[_Array, _Array]:
        """``P_m = sqrt((2 m + 1)!! / (2 (2 m)!!)) sin^m`` with its exponent."""
        m = self.order
        k = np.arange(1.0, min(m, _SHORT_PRODUCT) + 1)
        # (2 m - 1)!! / (2 m)!!, beyond by Gamma functions
        ratio = np.prod((2 * k - 1) / (2 * k))
        if m > _SHORT_PRODUCT:
            ratio = _gamma_ratio(np.asarray(m + 0.25)) / np.sqrt(np.pi)
        scale = np.sqrt((m + 0.5) * ratio)
        mantissa, exponent = np.frexp(self.sine)
        with np.errstate(divide="ignore", invalid="ignore"):
            power = m * np.log2(mantissa)
            whole = np.floor(power)
            total = m * exponent.astype(np.int64) + whole
            e = np.where(mantissa > 0, -(-total // _EXPONENT), 0)
            p = np.where(mantissa > 0, np.exp2(power - whole + (total - _EXPONENT * e)), 0.0)
        return scale * p, np.minimum(e, 0).astype(np.int32)
