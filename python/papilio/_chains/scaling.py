"""Powers of two that keep squares from overflowing and vanishing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .factors import Factors

_Array = np.ndarray[Any, Any]


def scaled(matrix: _Array) -> tuple[_Array, int]:
    """The array times a power of two so that its parts are below 1, and minus the exponent."""
    size = max(abs(matrix.real).max(initial=0), abs(matrix.imag).max(initial=0))
    exponent = int(np.frexp(size)[1])
    return shifted(matrix, -exponent), exponent


def shifted(matrix: _Array, exponent: Any) -> _Array:
    """The array times ``2 ** exponent`` (one or an array), which need not be a number itself."""
    found: _Array
    if matrix.dtype.kind == "f":
        found = np.ldexp(matrix, exponent)
        return found
    found = np.empty_like(matrix)
    found.real, found.imag = np.ldexp(matrix.real, exponent), np.ldexp(matrix.imag, exponent)
    return found


def parts_of(values: _Array) -> _Array:
    """The larger one of the real and the imaginary part of each entry, without its sign."""
    largest: _Array = np.maximum(abs(values.real), abs(values.imag))
    return largest


def norms(values: _Array, axis: int) -> _Array:
    """Euclidean norms along an axis, which stays; their squares neither overflow nor vanish."""
    with np.errstate(over="ignore"):
        squares = _squares(values, axis)
    if 1e-200 < squares.min(initial=1) and squares.max(initial=1) < 1e200:
        return np.sqrt(squares)
    exponents = np.frexp(parts_of(values).max(axis=axis, keepdims=True))[1]
    found: _Array = np.ldexp(np.sqrt(_squares(shifted(values, -exponents), axis)), exponents)
    return found


def _squares(values: _Array, axis: int) -> _Array:
    sums: _Array = (values.real**2 + values.imag**2).sum(axis=axis, keepdims=True)
    return sums


def spread(factors: Factors, exponent: int) -> Factors:
    """The product times ``2 ** exponent``, each factor having a share of it."""
    share, rest = divmod(exponent, len(factors))
    values = [shifted(array, share + (n < rest)) for n, array in enumerate(factors)]
    return replace(factors, values=tuple(values))


def times_powers(factors: Sequence[_Array], exponents: Sequence[int]) -> list[_Array]:
    """The factors times ``2 ** exponent`` each; what one can't hold goes to others."""
    values, owed = list(factors), 0
    # Once more, for what those on the right left over.
    for wanted in (exponents, [0] * len(values)):
        for n, more in enumerate(wanted):
            taken = _within_range(values[n], owed + more)
            owed += more - taken
            values[n] = shifted(values[n], taken) if taken else values[n]
    if owed:
        with np.errstate(over="ignore", under="ignore"):  # the product is no number somewhere
            values[0] = shifted(values[0], owed)
    return values


def _within_range(values: _Array, exponent: int) -> int:
    """How much of an exponent leaves the values normal numbers."""
    if exponent == 0:
        return 0
    kind, sizes = np.finfo(values.dtype), parts_of(values)
    if exponent > 0:
        room = kind.maxexp - int(np.frexp(sizes.max(initial=0))[1])
        return min(exponent, max(0, room))
    least = sizes.min(initial=np.inf, where=sizes > 0)
    room = kind.minexp + 1 - int(np.frexp(least)[1])
    return max(exponent, min(0, room))
