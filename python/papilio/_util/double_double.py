"""Arrays of numbers of about 100 bits, as sums of two doubles (Dekker, Knuth)."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]
Pair = tuple[_Array, _Array]  # high and low: the high one is the sum, rounded

_SPLITTER = 2.0**27 + 1
_TERMS = 13  # of the sine up to pi / 4: the next one is below 1e-30


def two_sum(x: _Array, y: _Array) -> Pair:
    """``x + y``, exactly."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def two_product(x: _Array, y: _Array) -> Pair:
    """``x y``, exactly up to underflow, of numbers below 1e300."""
    sx, sy = x * _SPLITTER, y * _SPLITTER
    hx, hy = sx - (sx - x), sy - (sy - y)
    lx, ly = x - hx, y - hy
    product = x * y
    return product, ((hx * hy - product) + hx * ly + lx * hy) + lx * ly


def pair(x: _Array | float) -> Pair:
    """Doubles, exactly."""
    return np.asarray(x, np.float64), np.zeros(np.shape(x))


def negative(x: Pair) -> Pair:
    return -x[0], -x[1]


def added(x: Pair, y: Pair) -> Pair:
    high, low = two_sum(x[0], y[0])
    return two_sum(high, low + (x[1] + y[1]))


def multiplied(x: Pair, y: Pair) -> Pair:
    high, low = two_product(x[0], y[0])
    return two_sum(high, low + (x[0] * y[1] + x[1] * y[0]))


def divided(x: Pair, y: Pair) -> Pair:
    quotient = x[0] / y[0]
    product, error = two_product(quotient, y[0])
    rest = ((x[0] - product) - error) + (x[1] - quotient * y[1])
    return two_sum(quotient, rest / y[0])


def square_root(x: Pair) -> Pair:
    """Of positive numbers: one step of Newton's from that of the high part."""
    root = np.sqrt(x[0])
    square, error = two_product(root, root)
    return two_sum(root, (((x[0] - square) - error) + x[1]) / (2 * root))


def sine(x: Pair) -> Pair:
    """From 0 to pi / 4, by Taylor's series."""
    square = multiplied(x, x)
    total = pair(np.zeros_like(x[0]))
    for k in range(_TERMS - 1, -1, -1):
        exact = Fraction((-1) ** k, factorial(2 * k + 1))
        high = float(exact)
        term = np.asarray(high), np.asarray(float(exact - Fraction(high)))
        total = added(multiplied(total, square), term)
    return multiplied(total, x)


def power(x: Pair, exponent: int) -> tuple[_Array, _Array]:
    """``x^exponent`` as doubles times powers of two, x from 0 to 1: the doubles are 0, or from 1/2
    up to 1."""
    result = pair(np.ones_like(x[0]))
    (base, scale), shift = _normal(x), np.zeros(x[0].shape, np.int64)
    while exponent:
        if exponent % 2:
            (result, more), shift = _normal(multiplied(result, base)), shift + scale
            shift = shift + more
        exponent //= 2
        if exponent:
            (base, more), scale = _normal(multiplied(base, base)), 2 * scale
            scale = scale + more
    mantissa, more = np.frexp(result[0])
    return mantissa, shift + more


def _normal(x: Pair) -> tuple[Pair, _Array]:
    high, scale = np.frexp(x[0])
    return (high, np.ldexp(x[1], -scale)), scale.astype(np.int64)
