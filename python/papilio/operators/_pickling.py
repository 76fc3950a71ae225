"""Pickles that are checked: a damaged one is a ValueError, never another operator."""

from __future__ import annotations

import dataclasses
import zlib
from functools import partial
from typing import Any

import numpy as np

from .._chains.architecture import Architecture
from .._chains.pattern import Pattern
from .._util.arrays import owned
from ._dims import restored_shapes

# What is the same if it is written the same.
_WRITTEN = (
    int, float, complex, str, bytes, type(None), np.generic, np.dtype, Architecture, Pattern
)  # fmt: skip


def reduced(operator: Any) -> tuple[Any, ...]:
    """What ``__reduce__`` returns: the operator's `_state`, which has a checksum."""
    state = operator._state()
    made = restored, (type(operator), fingerprint((type(operator), *state)), *state)
    shapes = getattr(operator, "_dims", None)
    return made if shapes is None else (restored_with_shapes, (*shapes, *made))


def restored_with_shapes(dimsd: Any, dims: Any, restore: Any, arguments: Any) -> Any:
    """An operator of arrays."""
    return restored_shapes(restore(*arguments), dimsd, dims)


def restored(kind: Any, checksum: Any, *state: Any) -> Any:
    """The operator of this state; ValueError if it isn't the one that was pickled."""
    make = getattr(kind, "_from_state", None)
    if make is None or fingerprint((kind, *state)) != checksum:
        name = getattr(kind, "__name__", kind)
        raise ValueError(f"this pickle of a {name} is damaged: its checksum is wrong")
    return make(*owned(state))


def fingerprint(value: Any, start: int = 0) -> int:
    """A CRC-32 of all that an operator is made of.

    Examples
    --------
    >>> from papilio.operators._pickling import fingerprint
    >>> fingerprint(("a", 1)) == fingerprint(("a", 1)), fingerprint(1) == fingerprint(True)
    (True, False)
    """
    if isinstance(value, np.ndarray):
        words = zlib.crc32(f"{value.dtype.str}{value.shape}".encode(), start)
        flat = np.ascontiguousarray(value).reshape(-1)
        return zlib.crc32(flat.view(np.uint8).data if flat.size else b"", words)
    if isinstance(value, tuple | list):
        parts = tuple(value)
    elif isinstance(value, dict):
        parts = tuple(value.items())
    elif isinstance(value, partial):
        parts = (value.func, value.args, value.keywords)
    elif hasattr(value, "__qualname__"):  # a function or a class
        return zlib.crc32(f"{value.__module__}.{value.__qualname__}".encode(), start)
    elif hasattr(value, "_state"):
        parts = value._state()
    elif dataclasses.is_dataclass(value):
        parts = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    else:
        # Of what papilio doesn't know, such as a user's inverse, the repr may name an address.
        text = repr(value) if isinstance(value, _WRITTEN) else ""
        return zlib.crc32(f"{type(value).__name__} {text}".encode(), start)
    start = zlib.crc32(f"{type(value).__name__} {len(parts)}".encode(), start)
    for part in parts:
        start = fingerprint(part, start)
    return start
