"""Legendre polynomials of any degree in constant time per value, functions of any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy

from .. import _core
from .double_double import (
    Pair,
    added,
    divided,
    multiplied,
    negative,
    pair,
    power,
    sine,
    square_root,
    two_product,
    two_sum,
)

_Array = np.ndarray[Any, Any]

_GRID = 2.0**26  # coarse parts of angles are multiples of 1 / _GRID: times degree + 1/2, exact
_NODES = 16  # of the integral, by midpoints: all frequencies up to 64
_STEP = np.pi / (2 * _NODES)
_DIGITS = 2.0**-54
_STRIDE, _TABLE = 64, 1 << 27  # degrees between the functions that are kept; bytes of these
_SHORT_PRODUCT = 30  # factors; _gamma_ratio is exact from there on
_EXPONENT = 1000  # binary digits that one step of an extended exponent stands for
_CARRIED = 2.0**-6  # 1 - cos theta up to which rounding errors are carried along
_STEPS = 16  # in which no function grows from 2^500 to infinity
_STIRLING = 16  # the last Bernoulli polynomial: beyond is less than 1e-17
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


def _amplitudes(half: _Array, order: int) -> _Array:
    """``sqrt((l + 1/2) Gamma(l - m + 1) Gamma(l + m + 1)) / Gamma(l + 3/2)``, half = l + 1/2, at
    least 25 + 2 m^2.

    From Stirling's series of the three (DLMF 5.11.8) only even Bernoulli polynomials remain:
    ``log = sum_k (B_k(m + 1/2) - B_k) / (k (k - 1) half^(k-1))``, k = 2, 4, ...
    """
    bernoulli = scipy.special.bernoulli(_STIRLING)
    u, total = half**-2.0, np.zeros_like(half)
    for k in range(_STIRLING, 0, -2):
        # B_k(m + 1/2) by powers of m, from B_j(1/2) = (2^(1-j) - 1) B_j, 0 for odd j.
        own = -bernoulli[k]
        for j in range(0, k + 1, 2):
            own += math.comb(k, j) * (2.0 ** (1 - j) - 1) * bernoulli[j] * float(order) ** (k - j)
        total = total * u + own / (k * (k - 1))
    amplitudes: _Array = np.exp(total / half)
    return amplitudes


class AssociatedLegendre:
    """Normalized associated Legendre functions of one order, at given angles, of any degrees.

    ``P_l = a_l (cos theta P_{l-1} - P_{l-2} / a_{l-1})`` from ``P_m``, upwards: stable, but a
    cosine near 1 has lost the angle. Hence (Reinsch) ``P_l = P_{l-1} + D_l``,
    ``D_l = D_{l-1} + (c_l - a_l v) P_{l-1} - d_l D_{l-1}``, v = 1 - cos theta to twice the digits,
    where nothing cancels in ``c_l = a_l - 1 - a_l / a_{l-1}`` and ``d_l = 1 - a_l / a_{l-1}``.
    Angles beyond pi/2 are mirrored. Beyond pi/3, where c_l and a_l v may be large and nearly the
    same, the cosine is given, to twice the digits: ``c_l - a_l v = a_l cos theta - 2 + d_l``.

    Near the poles P_m is far below the smallest double, and grows: a value is ``p 2^(1000 e)``. A
    value and its difference to the one before are kept every `_STRIDE` degrees (more, where that
    would be more than `_TABLE` bytes), so that an entry takes at most so many steps. Where
    ``(l + 1/2) sin theta`` is a few times the square of the order, Stieltjes' expansion.
    """

    def __init__(self, theta: _Array, order: int, degrees: int) -> None:
        self.order, self.degrees, self.angles = order, degrees, Angles.of(theta)
        self.bounds = _bounds(order)
        beyond = self.angles.mirrored()[1]
        # pi is a sum; the difference to its first part is exact.
        rest = np.where(beyond, 1.2246467991473532e-16, 0.0)
        half_sine = sine((np.where(beyond, np.pi - theta, theta) / 2, rest / 2))
        square = multiplied(half_sine, half_sine)
        one = pair(np.ones_like(theta))
        v = added(square, square)
        cosine = added(one, negative(v))
        beyond = v[0] > 0.5
        self.v = np.where(beyond, -cosine[0], v[0]), np.where(beyond, -cosine[1], v[1])
        half_cosine = square_root(added(one, negative(square)))
        self.sine = multiplied(added(half_sine, half_sine), half_cosine)
        per_row = 24 * len(theta) * degrees
        self.stride = max(_STRIDE, -(-per_row // _TABLE))

    def _coefficients(self) -> _Array:
        """a, c and d of each degree; of the first one, which no step leads to, 0. They are rounded
        once: of thousands of degrees, errors of a few units would be seen."""
        m, one = float(self.order), pair(1.0)
        l = np.arange(m + 1, m + self.degrees)
        above = divided(pair(4 * m**2 - 1), two_product(l - m, l + m))  # a^2 - 4
        a = square_root(added(pair(4.0), above))
        more = divided(above, added(a, pair(2.0)))  # a - 2
        coefficients = np.zeros((self.degrees, 3))
        coefficients[1:, 0] = a[0]
        coefficients[1:2, 1:] = np.stack([added(a, negative(one))[0], np.ones_like(l)], 1)[:1]

        def shifted(x: Pair) -> tuple[Pair, Pair]:
            return (x[0][:-1], x[1][:-1]), (x[0][1:], x[1][1:])

        (a_before, a_now), (before, now) = shifted(a), shifted(more)
        c = divided(added(added(now, before), multiplied(now, before)), a_before)
        before, now = shifted(above)
        d = divided(added(before, negative(now)), multiplied(added(a_before, a_now), a_before))
        coefficients[2:, 1:] = np.stack([c[0], d[0]], axis=1)
        return coefficients

    def formula(self) -> _core.Formula:
        """The core's, with the functions that are kept."""
        rows = np.concatenate([np.stack(self.v), self.angles.fields()])
        count = (self.degrees - 1) // self.stride + 1
        head = [self.stride, count, self.degrees, len(self.angles), self.order]
        coefficients = self._coefficients()
        before = np.concatenate([head, self.bounds, coefficients.ravel()])
        parameters = np.zeros(len(before) + 3 * count * len(self.angles))
        parameters[: len(before)] = before
        tables = parameters[len(before) :].reshape(count, 3, -1)
        # The sine is that of the core, which chooses by the same product.
        keep = partial(self._keep, coefficients, rows[4], tables, *self._first())
        v = self.v[0]
        keep(np.flatnonzero(v < 0), beyond=True)
        keep(np.flatnonzero((v >= 0) & (v < _CARRIED)), carried=True)
        keep(np.flatnonzero(v >= _CARRIED))
        j = np.arange(float(self.degrees))
        half = np.maximum(j + (self.order + 0.5), self.bounds[0])
        columns = np.stack([j, _amplitudes(half, self.order)])
        return _core.Formula("associated legendre", rows, columns, parameters)

    def _keep(
        self,
        coefficients: _Array,
        sine: _Array,
        tables: _Array,
        first: _Array,
        exponents: _Array,
        rows: _Array,
        *,
        beyond: bool = False,
        carried: bool = False,
    ) -> None:
        """Of some rows, as long as Stieltjes' expansion doesn't hold for them; all are `beyond`
        pi/3, or none. The rounding errors of the sums D and P, which add up over the degrees, are
        `carried` along where those of the products are much smaller: near the poles."""
        (v, fine), p, e = (one[rows] for one in self.v), first[rows], exponents[rows]
        d, d_rest, p_rest = (np.zeros_like(p) for _ in range(3))
        for k, (a, of_p, of_d) in enumerate(coefficients):
            if k % _STEPS == 0:
                near = (k + (self.order + 0.5)) * sine[rows] < self.bounds[0]
                large = np.abs(p) > 2.0 ** (_EXPONENT // 2)
                if large.any() or not near.all():
                    less = np.where(large, 2.0**-_EXPONENT, 1.0)
                    d, d_rest, p, p_rest = (one * less for one in (d, d_rest, p, p_rest))
                    rows, d, d_rest, p, p_rest, e, v, fine = (
                        one[near] for one in (rows, d, d_rest, p, p_rest, e + large, v, fine)
                    )
                if not len(rows):
                    return
            if k:
                factor = (-2 - a * v) - a * fine + of_d if beyond else (of_p - a * v) - a * fine
                step = factor * p - of_d * d
                if carried:
                    d, d_rest = two_sum(d, step + d_rest)
                    p, rest = two_sum(p, d)
                    p, p_rest = two_sum(p, rest + (d_rest + p_rest))
                else:
                    d = d + step
                    p = p + d
            if k % self.stride == 0:
                tables[k // self.stride][:, rows] = d, p, e

    def _first(self) -> tuple[_Array, _Array]:
        """``P_m = sqrt((2 m + 1)!! / (2 (2 m)!!)) sin^m`` with its exponent."""
        m = self.order
        k = np.arange(1.0, min(m, _SHORT_PRODUCT) + 1)
        # (2 m - 1)!! / (2 m)!!, beyond by Gamma functions
        ratio = np.prod((2 * k - 1) / (2 * k))
        if m > _SHORT_PRODUCT:
            ratio = _gamma_ratio(np.asarray(m + 0.25)) / np.sqrt(np.pi)
        mantissa, exponent = power(self.sine, m)
        e = np.minimum(-(-exponent // _EXPONENT), 0)
        p = np.ldexp(mantissa, np.maximum(exponent - _EXPONENT * e, -_EXPONENT).astype(np.int32))
        return np.sqrt((m + 0.5) * ratio) * p, e
