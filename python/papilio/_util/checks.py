"""Arguments: what is wrong with one is said here, as "name is X, expected Y"."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeGuard

import numpy as np

LONGEST = 2**40  # entries of a vector: no machine holds more
_LONGEST_TEXT = 80  # characters of a value in a message


def shown(value: Any) -> str:
    """A value in one short line, for messages.

    Examples
    --------
    >>> from papilio._util.checks import shown
    >>> shown([1, "two"]), shown(__import__("numpy").ones((3, 4)))
    ("[1, 'two']", 'an array of shape (3, 4)')
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a repr may raise anything
        text = ""
    if not text or len(text) > _LONGEST_TEXT:
        kind = type(value).__name__
        return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
    return text


def whole_number(value: Any, name: str, least: int | None = None) -> int:
    """Return `value` as an int of at least `least`, or raise naming `name`.

    NumPy's integers and 0-d arrays of them are whole numbers, bools and floats are not.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio._util.checks import whole_number
    >>> whole_number(np.array(3), "n", 1)
    3
    """
    own = getattr(value, "dtype", None)
    try:
        if isinstance(value, bool) or own == np.bool_:
            raise TypeError
        number = operator.index(value)
    except Exception:  # __index__ may raise anything
        raise TypeError(f"{name} is {shown(value)}, expected a whole number") from None
    if least is not None and number < least:
        raise ValueError(f"{name} is {number}, expected at least {least}")
    return number


def positive_int(value: Any, name: str) -> int:
    """Return `value` as an int of at least 1, or raise naming `name`."""
    return whole_number(value, name, 1)


def length(value: Any, name: str, least: int = 1) -> int:
    """Return the length of a vector as an int from `least` to LONGEST, or raise naming it."""
    number = whole_number(value, name, least)
    if number > LONGEST:
        raise ValueError(f"{name} is {number}, expected at most {LONGEST}")
    return number


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a sequence or an array of some axes, but no text or bytes."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def items_of(values: Any, name: str, wanted: str) -> list[Any]:
    """Return a list of what is in a sequence (but a string), or raise naming it."""
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        return list(values)
    except Exception:  # what isn't a sequence may raise anything
        raise TypeError(f"{name} is {shown(values)}, expected {wanted}") from None


def positive_ints(values: Iterable[Any], name: str) -> list[int]:
    """Return `values` as a list of ints, at least one, of at least 1 each."""
    entries = items_of(values, name, "a sequence of whole numbers")
    if not entries:
        raise ValueError(f"{name} is empty, expected at least one number")
    return [positive_int(value, f"{name}[{n}]") for n, value in enumerate(entries)]


def power_of_two(value: Any, name: str) -> int:
    """Return `value` as an int that is a power of two, or raise naming `name`."""
    number = length(value, name)
    if number & (number - 1):
        raise ValueError(f"{name} is {number}, expected a power of two")
    return number


def shape_pair(shape: Any, name: str = "shape") -> tuple[int, int]:
    """Return (rows, columns) as two ints of at least 1."""
    try:
        rows, columns = shape
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {shown(shape)}, expected (rows, columns)") from None
    return length(rows, f"{name}[0]"), length(columns, f"{name}[1]")


def real_number(value: Any, name: str) -> float:
    """Return `value` as a finite float, or raise naming `name`."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {shown(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is {shown(value)}, expected a finite number")
    return number


def exact_number(value: Any, name: str) -> Fraction:
    """Return a finite number as a fraction, whole ones beyond 2^53 with all digits, or raise."""
    number = real_number(value, name)
    if isinstance(value, np.ndarray):
        value = value[()]
    return Fraction(operator.index(value) if isinstance(value, numbers.Integral) else number)


def complex_number(value: Any, name: str) -> complex:
    """Return `value` as a finite complex number, or raise naming `name`."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, numbers.Complex):
        raise TypeError(f"{name} is {shown(value)}, expected a number")
    real, imag = (real_number(part, name) for part in (value.real, value.imag))
    return complex(real, imag)


def finite_number(value: Any, name: str, *, positive: bool = False) -> float:
    """Return `value` as a finite float of at least 0 (above 0 if `positive`), or raise."""
    number = real_number(value, name)
    if number < 0 or (positive and number == 0):
        wanted = "a positive number" if positive else "a number of at least 0"
        raise ValueError(f"{name} is {number}, expected {wanted}")
    return number


def tolerance(value: Any, name: str = "tol", *, zero: bool = False) -> float:
    """Return a relative error that may be asked for: above 0 (or, if `zero`, 0) and below 1."""
    number = real_number(value, name)
    if not (0 < number < 1 or (zero and number == 0)):
        wanted = "at least 0 and below 1" if zero else "between 0 and 1"
        raise ValueError(f"{name} is {number}, expected a number {wanted}")
    return number


def path_text(value: Any, name: str = "path") -> str:
    """Return a path as a string, or raise naming `name`."""
    try:
        text = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{name} is {shown(value)}, expected a path") from None
    if "\0" in text:
        raise ValueError(f"{name} is {shown(value)}, expected a path, without null characters")
    return text


def flag(value: Any, name: str) -> bool:
    """Return True or False, or raise naming `name`."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} is {shown(value)}, expected True or False")


def one_of(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return a string that is one of `choices`, or raise naming them."""
    if isinstance(value, str) and value in choices:
        return str(value)
    *others, last = (repr(choice) for choice in choices)
    wanted = f"{', '.join(others)} or {last}" if others else last
    raise ValueError(f"{name} is {shown(value)}, expected {wanted}")


def number_of(value: Any, name: str, choices: Sequence[int]) -> int:
    """Return a whole number that is one of `choices`, or raise naming them."""
    number = whole_number(value, name)
    if number not in choices:
        *others, last = map(str, choices)
        raise ValueError(f"{name} is {number}, expected {', '.join(others)} or {last}")
    return number


def generator(seed: Any, name: str = "seed") -> np.random.Generator:
    """Return the generator of random numbers of a seed: a whole number, or a Generator itself."""
    if isinstance(seed, np.random.Generator):
        return seed
    try:
        return np.random.default_rng(whole_number(seed, name, 0))
    except TypeError:
        raise TypeError(
            f"{name} is {shown(seed)}, expected a whole number or a numpy.random.Generator"
        ) from None


def axis_number(value: Any, ndim: int, name: str = "axis", of: str = "x") -> int:
    """Return an axis of an array of `ndim` axes, counted from 0."""
    axis = whole_number(value, name)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name} is {axis}, but {of} has {ndim} axes")
    return axis % ndim
