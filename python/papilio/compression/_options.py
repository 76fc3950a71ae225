"""What a call of compress asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, expected a number") from None


def checked_tolerance(tol: Any) -> float:
    value = number(tol, "tol")
    if not 0 < value < 1:
        raise ValueError(f"tol is {tol!r}, expected a number between 0 and 1")
    return value


def floor_of(dtype: np.dtype[Any]) -> float:
    return 8 * float(np.finfo(dtype).eps)


class Memory:
    """What was reserved, against the limit."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._used = 0

    def reserve(self, size: int) -> None:
        if self._limit is not None and self._used + size > self._limit:
            raise MemoryError(
                f"max_memory is {self._limit:.4g} bytes, but {self._used + size:.4g} are needed"
            )
        self._used += size

    def has_room(self, size: int) -> bool:
        return self._limit is None or self._used + size <= self._limit

    def release_to(self, used: int) -> None:
        self._used = used

    @property
    def used(self) -> int:
        return self._used


@dataclass
class Options:
    """What a call of compress asked for."""

    tol: float
    max_rank: int
    rank: int | None
    depth: int | None
    rounding: bool | None
    scattered: bool
    rng: np.random.Generator
    memory: Memory
    tell: Callable[[float], object] | None = None
