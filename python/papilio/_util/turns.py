"""Angles in turns as exact fractions: multiples of them are reduced without losing digits."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from math import isqrt
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

_BITS = 160  # of the arctangents
_HALVINGS = 8  # of an angle, until the series has some ten terms
_LARGEST_ORDER = 1 << 20  # of roots of unity that are recognized
_ROUNDING = 2.0**-53  # in turns: more than the rounding of both parts moves a number
_LOW, _ALL = (1 << 64) - 1, (1 << 128) - 1
_TURN_BITS = 2304  # of a turn: products of two doubles are below 2^2048


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
    return _multiples(np.uint64(bits >> 64), float(bits & _LOW) * 2.0**-64, numbers)


def _multiples(high: Any, low: Any, numbers: _Array) -> _Array:
    with np.errstate(over="ignore"):
        turns = numbers.astype(np.int64).astype(np.uint64) * high
        carried = np.floor(numbers * low)
        turns += carried.astype(np.int64).astype(np.uint64)
    reduced: _Array = turns.astype(np.int64) * 2.0**-64 + (numbers * low - carried) * 2.0**-64
    return reduced


class Radians:
    """Numbers of any size whose products with others are angles: in turns, modulo one.

    Each is a whole number below 2^53 times a power of two. For each power that occurs, what the
    other factor makes of it is a fraction of a turn with 128 exact bits.
    """

    def __init__(self, values: _Array) -> None:
        parts, exponents = np.frexp(values)
        self._whole = np.ldexp(parts, 53).astype(np.int64)
        self._powers, self._which = np.unique(exponents - 53, return_inverse=True)

    def times(self, factor: float) -> _Array:
        """The products with a number, from -1/2 to 1/2."""
        part, exponent = math.frexp(factor)
        turns = int(math.ldexp(part, 53)) * _turns_of_one()
        shifts = _TURN_BITS - 128 - (exponent - 53) - self._powers
        bits = [(turns >> int(shift)) & _ALL for shift in shifts]
        high = np.array([value >> 64 for value in bits], np.uint64)
        low = np.array([float(value & _LOW) * 2.0**-64 for value in bits])
        return _multiples(high[self._which], low[self._which], self._whole)


@cache
def _turns_of_one() -> int:
    """``1 / (2 pi)`` times 2^_TURN_BITS, by Machin's formula for pi."""
    bits = _TURN_BITS + 64
    pi = 4 * (4 * _inverse_arctangent(5, bits) - _inverse_arctangent(239, bits))
    return (1 << (_TURN_BITS + bits)) // (2 * pi)


def _inverse_arctangent(number: int, bits: int) -> int:
    """Of 1 over a whole number, times 2^bits: the series."""
    power = (1 << bits) // number
    total, n = power, 1
    while power:
        power //= number * number
        n += 2
        total += power // n if n % 4 == 1 else -(power // n)
    return total


def waves(angle: Fraction, numbers: _Array) -> _Array:
    """``exp(2 pi i angle numbers)``; exact at quarters of a turn."""
    turns = multiples(angle, numbers)
    quarters = np.rint(4 * turns)
    rest = (turns - quarters / 4) * (2 * np.pi)  # at most an eighth of a turn
    first = np.cos(rest) + 1j * np.sin(rest)
    turned: _Array = np.array([1, 1j, -1, -1j])[quarters.astype(np.int64) % 4] * first
    return turned
