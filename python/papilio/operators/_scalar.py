"""Scalar: a number that multiplies or divides an operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._chains.scaling import shifted
from .._util.checks import shown
from .._util.dtypes import is_scalar, promoted

_Array = np.ndarray[Any, Any]
_WANTED = "an int, float or complex number, or a NumPy scalar of these"


@dataclass(frozen=True)
class Scalar:
    """``mantissa * 2 ** exponent``, in double precision.

    The exponent has no bounds, so that the reciprocal of every number but 0 is as precise as the
    number. `like` is what NumPy promotes dtypes with: a Python number, or a NumPy scalar's dtype.
    """

    mantissa: float | complex
    exponent: int
    like: Any

    def reciprocal(self, name: str = "other") -> Scalar:
        """One over it; ZeroDivisionError for 0, which `name` calls by its name."""
        if self.mantissa == 0:
            raise ZeroDivisionError(f"{name} is {self.mantissa}, expected a number that isn't zero")
        mantissa, more = _normal(1 / self.mantissa)
        return Scalar(mantissa, more - self.exponent, self.like)

    def promoted(self, dtype: np.dtype[Any], name: str = "other") -> np.dtype[Any]:
        """The dtype of its products with values of another dtype."""
        return promoted(np.result_type(dtype, self.like), name)

    def times(self, values: _Array) -> _Array:
        """The values times the mantissa, in their own dtype, rounded once."""
        wide = np.result_type(values.dtype, np.float64)
        product: _Array = np.multiply(values, self.mantissa, dtype=wide).astype(values.dtype)
        return product

    def shares(self, dtype: np.dtype[Any]) -> list[_Array]:
        """Numbers of this dtype whose product it is, as few as keep all of its digits."""
        kind = np.finfo(dtype)
        bound = kind.maxexp if self.exponent > 0 else kind.minexp + 1
        count = max(1, -(-self.exponent // bound))
        share, rest = divmod(self.exponent, count)
        parts = [np.array(self.mantissa, dtype), *[np.ones((), dtype)] * (count - 1)]
        return [shifted(part, share + (n < rest)) for n, part in enumerate(parts)]


def as_scalar(value: Any, name: str = "other") -> Scalar | None:
    """A number as a `Scalar`, None for what isn't one; TypeError for one that NumPy can't take."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not is_scalar(value):
        return None
    if isinstance(value, np.generic):
        if value.dtype.kind not in "biufc":
            raise TypeError(f"{name} is {shown(value)}, expected {_WANTED}")
        promoted(value.dtype, name)
        number: Any = complex(value) if value.dtype.kind == "c" else float(value)
        return Scalar(*_normal(number), value.dtype)
    if not isinstance(value, int | float | complex):
        raise TypeError(f"{name} is {shown(value)}, expected {_WANTED}")
    try:
        number = complex(value) if isinstance(value, complex) else float(value)
    except OverflowError:
        most = np.finfo(np.float64).max
        raise ValueError(f"{name} is {shown(value)}, expected at most {most:.3g}") from None
    return Scalar(*_normal(number), type(number)(0))


def _normal(number: float | complex) -> tuple[float | complex, int]:
    """The number times a power of two, so that its larger part is from 1/2 up to 1, and minus the
    exponent."""
    _, exponent = math.frexp(max(abs(number.real), abs(number.imag)))
    parts = [math.ldexp(part, -exponent) for part in (number.real, number.imag)]
    return complex(*parts) if isinstance(number, complex) else parts[0], exponent
