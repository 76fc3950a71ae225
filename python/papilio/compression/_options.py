"""What a call of compress asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._clustering import Points
from ._random import Streams
from ._store import InMemory, Store
from ._team import Alone, Team


def floor_of(dtype: np.dtype[Any]) -> float:
    """The smallest tolerance that factors of this dtype can be asked for."""
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
    rounding: bool
    points: tuple[Points | None, Points | None]  # of rows and of columns
    streams: Streams
    memory: Memory
    tell: Callable[[float], object] | None = None
    team: Team = field(default_factory=Alone)
    store: Store = field(default_factory=InMemory)

    @property
    def scattered(self) -> bool:
        """Whether clusters have more than one dimension."""
        return any(points is not None and points.shape[1] > 1 for points in self.points)
