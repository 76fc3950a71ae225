"""Where levels of a build go: to memory, or to files from which a build goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .._chains.factors import Kept
from ._clustering import Indices
from ._error import Error
from ._shares import Request, Shares

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Step:
    """What a level leaves: its factor's own share, and what the next one needs to know."""

    rank: int
    graded: bool
    values: Kept
    skeletons: Indices | None
    entries: int  # evaluated until then
    left: float  # the square of what the level left, relative to its norm


class Store(Protocol):
    """Where levels go."""

    def empty(self, level: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
        """Where the own share of a level's factor, or of what is stored of it, is written."""
        ...

    def discard(self, values: _Array) -> None:
        """Forget what `empty` gave."""
        ...

    def saved(self, request: Request, shares: Shares, level: int) -> Step | None:
        """What an earlier build left of this level; None for nothing."""
        ...

    def save(self, request: Request, shares: Shares, level: int, step: Step) -> Step:
        """Keep a level that is complete; it is used as it comes back."""
        ...

    def given_up(self, attempt: int) -> tuple[Error, int] | None:
        """The error of an earlier build's attempt that another one followed, and the entries."""
        ...

    def give_up(self, attempt: int, error: Error, entries: int) -> None:
        """Forget the levels of an attempt that another one follows."""
        ...


class InMemory:
    """Keeps nothing but in memory."""

    def empty(self, level: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
        return np.empty(shape, dtype)

    def discard(self, values: _Array) -> None:
        """Nothing to be done."""

    def saved(self, request: Request, shares: Shares, level: int) -> Step | None:
        return None

    def save(self, request: Request, shares: Shares, level: int, step: Step) -> Step:
        return step

    def given_up(self, attempt: int) -> tuple[Error, int] | None:
        return None

    def give_up(self, attempt: int, error: Error, entries: int) -> None:
        """Nothing to be done."""
