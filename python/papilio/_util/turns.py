"""Angles in turns as exact fractions: multiples of them are reduced without losing digits."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

_BITS = 160  # of the arctangents
_HALVINGS = 8  # of an angle, until the series has some ten terms
_LARGEST_ORDER = 1 << 20  # of roots of unity that are recognized
_ROUNDING = 2.0**-53  # in turns: more than the rounding of both parts moves a number


def turns_of(z: complex) -> Fraction:
    """The angle of z in turns, from -1/2 to 1/2: exactly that of the nearest root of unity of
    order at most 2^20, if z is one up to rounding; else to about 2^-150."""
    x, y = Fraction(z.real), Fraction(z.imag)
    steep = abs(y) > abs(x)
    ratio = abs(x / y) if steep else abs(y / x)
    angle = Fraction(_arctangent(ratio), _arctangent(Fraction(1)) * 8)
    if steep:
        angle = Fraction(1, 4) - angle
    if x < 0:
        angle = Fraction(1, 2) - angle
    if y < 0:
        angle = -angle
    simple = angle.limit_denominator(_LARGEST_ORDER)
    return simple if abs(simple - angle) <= _ROUNDING else angle


def _arctangent(z: Fraction) -> int:
    """Of a number from 0 to 1, times 2^_BITS: half angles, then the series."""
    one = 1 << _BITS
    t = (z.numerator << _BITS) // z.denominator
    for _ in range(_HALVINGS):
        t = (t << _BITS) // (one + isqrt((one << _BITS) + t * t))
    square, power, total, n = t * t >> _BITS, t, 0, 1
    while power:
        total += power // n if n % 4 == 1 else -(power // n)
        power = power * square >> _BITS
        n += 2
    return total << _HALVINGS


def multiples(angle: Fraction, numbers: _Array) -> _Array:
    """``angle * numbers`` modulo 1, from -1/2 to 1/2, for whole numbers below 2^63 in modulus.

    Of the angle, 128 bits behind the point count. Products of the first 64 with whole numbers wrap
    as 64-bit integers do: modulo one turn. The others only carry into the last places.
    """
    bits = (angle.numerator << 128) // angle.denominator % (1 << 128)
    high, low = np.uint64(bits >> 64), float(bits & ((1 << 64) - 1)) * 2.0**-64
    with np.errstate(over="ignore"):
        turns = numbers.astype(np.int64).astype(np.uint64) * high
        carried = np.floor(numbers * low)
        turns += carried.astype(np.int64).astype(np.uint64)
    reduced: _Array = turns.astype(np.int64) * 2.0**-64 + (numbers * low - carried) * 2.0**-64
    return reduced


def waves(angle: Fraction, numbers: _Array) -> _Array:
    """``exp(2 pi i angle numbers)``; exact at quarters of a turn."""
    turns = multiples(angle, numbers)
    quarters = np.rint(4 * turns)
    rest = (turns - quarters / 4) * (2 * np.pi)  # at most an eighth of a turn
    first = np.cos(rest) + 1j * np.sin(rest)
    turned: _Array = np.array([1, 1j, -1, -1j])[quarters.astype(np.int64) % 4] * first
    return turned
