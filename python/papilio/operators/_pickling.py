"""Pickles that are checked: a damaged one is a ValueError, never another operator."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import zlib
from collections.abc import Callable, Iterator
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
    """What ``__reduce__`` returns: the operator's `_state`, which has a checksum.

    Of a butterfly that is mapped from a file it is the path, with the file's digest.
    """
    made: tuple[Any, tuple[Any, ...]]
    if getattr(operator, "_origin", None) is not None:
        made = type(operator)._from_reference, operator._reference()
    else:
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


def fingerprint(value: Any) -> int:
    """A CRC-32 of all that an operator is made of.

    Examples
    --------
    >>> from papilio.operators._pickling import fingerprint
    >>> fingerprint(("a", 1)) == fingerprint(("a", 1)), fingerprint(1) == fingerprint(True)
    (True, False)
    """
    checksum = 0
    for words in _written(value, lambda unknown: b""):
        checksum = zlib.crc32(words, checksum)
    return checksum


def token(value: Any) -> str:
    """A digest of all that an operator is made of, for graphs of tasks that share equal ones.

    What papilio doesn't know (operators of other libraries) is equal to nothing.
    """
    digest = hashlib.blake2b(digest_size=16)
    for words in _written(value, lambda unknown: secrets.token_bytes(16)):
        digest.update(words)
    return digest.hexdigest()


def _written(value: Any, unknown: Callable[[Any], bytes]) -> Iterator[Any]:
    """The bytes that tell a value from others, in pieces; what it doesn't know adds `unknown`."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode()
        flat = np.ascontiguousarray(value).reshape(-1)
        yield flat.view(np.uint8).data if flat.size else b""
        return
    if isinstance(value, tuple | list):
        parts: tuple[Any, ...] = tuple(value)
    elif isinstance(value, dict):
        parts = tuple(value.items())
    elif isinstance(value, partial):
        parts = (value.func, value.args, value.keywords)
    elif hasattr(value, "__qualname__"):  # a function or a class
        yield f"{value.__module__}.{value.__qualname__}".encode()
        return
    elif getattr(value, "_origin", None) is not None:  # a mapped butterfly: its file has a digest
        parts = value._reference()
    elif hasattr(value, "_state"):
        parts = value._state()
    elif dataclasses.is_dataclass(value):
        parts = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    else:
        # Of what papilio doesn't know, such as a user's inverse, the repr may name an address.
        known = isinstance(value, _WRITTEN)
        yield f"{type(value).__name__} {repr(value) if known else ''}".encode()
        if not known:
            yield unknown(value)
        return
    yield f"{type(value).__name__} {len(parts)}".encode()
    for part in parts:
        yield from _written(part, unknown)
