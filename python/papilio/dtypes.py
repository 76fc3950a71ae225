"""The four element types, and how everything else is promoted to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SUPPORTED = tuple(np.dtype(kind) for kind in ("float32", "float64", "complex64", "complex128"))


def promoted(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Return the supported dtype that values of `dtype` are computed in.

    Integers and bool become float64, float16 becomes float32, other byte orders native; anything
    else (object, str, extended precision) is a TypeError that names the argument.
    """
    if dtype.kind in "biu":
        return SUPPORTED[1]
    if dtype == np.float16:
        return SUPPORTED[0]
    native = dtype.newbyteorder("=")
    for supported in SUPPORTED:
        if native == supported:
            return supported
    raise TypeError(
        f"{name} has dtype {dtype}, expected a bool, integer, float32, float64, complex64 or "
        "complex128 array"
    )


def as_array(values: Any, name: str) -> np.ndarray[Any, Any]:
    """Return `values` as an ndarray (itself if it is one) of a dtype that `promoted` accepts."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    promoted(array.dtype, name)
    return array


def safe_norm(array: np.ndarray[Any, Any]) -> float:
    """Return the Frobenius norm, whose squares neither overflow nor vanish, in double precision."""
    parts = array.astype(np.result_type(array.dtype, np.float64), copy=False)
    size = float(np.maximum(abs(parts.real).max(initial=0), abs(parts.imag).max(initial=0)))
    if 1e-100 < size < 1e100 or size == 0 or not np.isfinite(size):
        return float(np.linalg.norm(parts))
    exponent = int(np.frexp(size)[1])
    scaled = [np.ldexp(part, -exponent) for part in (parts.real, parts.imag)]
    with np.errstate(over="ignore"):  # a norm above the largest number is infinite
        return float(np.ldexp(math.hypot(*(float(np.linalg.norm(x)) for x in scaled)), exponent))


def converted(own: np.dtype[Any], dtype: Any) -> np.dtype[Any]:
    """Return the dtype that values of dtype `own` are to be converted to, or raise a TypeError."""
    wanted: np.dtype[Any] = np.dtype(dtype)
    if promoted(wanted, "dtype") != wanted:
        raise TypeError(f"dtype is {wanted}, expected a float or complex type of papilio")
    if not np.can_cast(own, wanted, "same_kind"):
        raise TypeError(f"dtype is {wanted}, but the operator's values are {own}")
    return wanted
