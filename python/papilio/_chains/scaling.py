"""Powers of two that keep squares from overflowing and vanishing."""

from __future__ import annotations

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


def spread(factors: Factors, exponent: int) -> Factors:
    """The product times ``2 ** exponent``, each factor having a share of it."""
    share, rest = divmod(exponent, len(factors))
    values = [shifted(array, share + (n < rest)) for n, array in enumerate(factors)]
    return replace(factors, values=tuple(values))
