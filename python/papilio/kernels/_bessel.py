"""What the core's formulas of Bessel functions are given: expansions, tables, where each holds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
import scipy

from .._util.formulas import Compiled, compiled
from ._miller import bessel_values

_Array = np.ndarray[Any, Any]

_TERMS = 8  # of Debye's expansion, see cpp/src/kernels/bessel.hpp
_PHASE = 200.0  # from which on these leave less than 1e-17
_SCALED = 4  # below, functions are tabulated without the power of x that they begin with
_BY_RECURRENCE = 2000  # orders up to which values are; it takes the square of the order
_DEGREE = 13  # of the polynomials on intervals of length 1: what Taylor's leave is below 1e-17


@cache
def _debye() -> list[float]:
    """W_0, W_1, ...: ``U_k(i c) = (i c)^k W_k(c^2)`` of the polynomials U_k of DLMF 10.41.9."""
    numbers: list[float] = []
    u = {0: Fraction(1)}  # coefficients by their powers
    for k in range(_TERMS):
        numbers += [float((-1) ** m * u[k + 2 * m]) for m in range(k + 1)]
        following: dict[int, Fraction] = {}
        for power, c in u.items():
            for to, part in (
                (power + 1, c * power / 2 + c / (8 * (power + 1))),
                (power + 3, -c * power / 2 - 5 * c / (8 * (power + 3))),
            ):
                following[to] = following.get(to, Fraction(0)) + part
        u = following
    return numbers


def _phase(order: _Array | float, x: _Array | float) -> Any:
    """Of the Hankel function, up to a constant; order <= x."""
    ratio = np.minimum(order / x, 1)
    return np.sqrt((x - order) * (x + order)) - order * np.arccos(ratio)


def _half(low: Any, high: Any, above: Callable[[Any], Any]) -> Any:
    """Where `above` changes from False to True, from below, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        beyond = above(middle)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return high


def _table(function: Callable[[_Array], _Array], first: int, end: int) -> _Array:
    """Polynomials on the unit intervals from first to end, in powers of the distance to the
    middles: they interpolate at Chebyshev points."""
    angles = np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1)
    middles = np.arange(first, end) + 0.5
    values = function(middles[:, None] + np.cos(angles) / 2)
    waves = np.cos(np.arange(_DEGREE + 1)[:, None] * angles) * (2 / (_DEGREE + 1))
    waves[0] /= 2
    powers = np.zeros((_DEGREE + 1, _DEGREE + 1))
    for k, one in enumerate(np.eye(_DEGREE + 1)):
        powers[k, : k + 1] = np.polynomial.chebyshev.cheb2poly(one[: k + 1])
    # In two steps: the high ones of the series are small, and their powers are not.
    found: _Array = (values @ waves.T) @ powers * 2.0 ** np.arange(_DEGREE + 1)
    return found


def bessel_of(order: float, r: _Array, w: _Array) -> Compiled:
    """``J_order(r w)``."""

    def scaled(x: _Array) -> _Array:
        k = np.arange(1, 30)
        terms = np.cumprod(-(x[..., None] ** 2) / 4 / (k * (order + k)), axis=-1)
        found: _Array = 1 + terms[..., ::-1].sum(axis=-1)
        return found

    far = float(_half(order, order + 2000 * (1 + order), lambda x: _phase(order, x) >= _PHASE))
    intervals = int(np.ceil(far))
    beyond = partial(bessel_values if order <= _BY_RECURRENCE else scipy.special.jv, order)
    tables = [_table(scaled, 0, _SCALED), _table(beyond, _SCALED, intervals)]
    parameters = [order, far, float(scipy.special.gammaln(order + 1)), float(intervals)]
    values = np.concatenate([parameters, _debye(), *(table.ravel() for table in tables)])
    return compiled("bessel" if order else "bessel of order 0", [r], [w], values)


def circular_wave(x: _Array, y: _Array, wavenumber: float) -> Compiled:
    """``(i/4) H_0^(1)(k r)``, r the distances in the plane."""

    def regular(x: _Array) -> _Array:
        found: _Array = scipy.special.y0(x) - 2 / np.pi * np.log(x) * scipy.special.j0(x)
        return found

    intervals = int(np.ceil(_PHASE))
    tables = [_table(function, 0, intervals).ravel() for function in (scipy.special.j0, regular)]
    values = np.concatenate([[wavenumber, _PHASE, intervals], _debye(), *tables])
    return compiled("circular wave", [*x.T], [*y.T], values)


def hankel_of(argument: _Array, orders: _Array) -> Compiled:
    """``H_order^(1)(argument)``, arguments of at least 300 and the orders."""
    last = _half(np.zeros_like(argument), argument, lambda v: _phase(v, argument) < _PHASE)
    return compiled("hankel", [argument, np.floor(last) - 2], [orders], _debye())
