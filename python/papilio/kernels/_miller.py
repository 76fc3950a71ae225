"""Bessel functions in their last place, where SciPy's have lost a digit or two."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

_TINY, _LARGE, _LESS = 1e-280, 1e200, 1e-250
_STEPS = 16  # in which nothing grows from _LARGE to infinity


def bessel_values(order: float, x: _Array) -> _Array:
    """``J_order(x)`` for rows of ascending x > 0, by Miller's algorithm.

    ``J_(v-1) = 2 v / x J_v - J_(v+1)`` goes down from an order so high that what it begins with
    leaves less than rounding errors, to the fraction f of the order. There a sum of Neumann's (DLMF
    10.23.15), ``(x/2)^f = sum_k (f + 2 k) Gamma(f + k) / k! J_(f+2k)(x)``, has the scale: for
    f < 1 its terms together are a few times it.
    """
    whole = math.floor(order)
    fraction = order - whole
    highest = np.maximum(x.max(axis=1), order)
    # Beyond the turning point a function of order v falls by factors of v^(-1/3).
    start = np.ceil(highest + 20 + 15 * np.cbrt(highest)).astype(np.int64)
    weights = _weights(fraction, int(start[-1]) // 2 + 1)
    value, above, total, found = (np.zeros_like(x) for _ in range(4))
    for k in range(int(start[-1]), -1, -1):
        rows = slice(int(np.searchsorted(start, k)), None)
        lower = 2 * (fraction + k + 1) / x[rows] * value[rows] - above[rows]
        lower[start[rows] == k] = _TINY
        above[rows], value[rows] = value[rows], lower
        if k % 2 == 0:
            total[rows] += weights[k // 2] * lower
        if k == whole:
            found[rows] = lower
        if k % _STEPS == 0:
            less = np.where(np.abs(value) > _LARGE, _LESS, 1.0)
            for numbers in (value, above, total, found):
                np.multiply(numbers, less, out=numbers)
    values: _Array = found * (x / 2) ** fraction / total
    return values


def _weights(fraction: float, count: int) -> _Array:
    """Of the sum. The products are long: rounding errors of doubles would be seen."""
    weights, ratio = [1.0], Decimal(1)
    with localcontext() as context:
        context.prec = 30
        f = Decimal(fraction)
        for k in range(1, count):
            if k > 1:
                ratio *= (f + k - 1) / k
            weights.append(float(ratio * (f + 2 * k)))
    return np.array(weights) * math.gamma(1 + fraction)
