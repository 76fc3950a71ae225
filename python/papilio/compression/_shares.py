"""Shares: which pairs of clusters one of several builders has, level by level."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ._clustering import Indices
from ._scheme import Scheme


class Residuals(NamedTuple):
    """What the interpolation of some pairs leaves: squared norms before and after, and the largest
    excess of a pair; see `Level.build`.
    """

    before: float
    after: float
    excess: float

    @classmethod
    def of(cls, before: Iterable[float], after: Iterable[float], excess: Iterable[float]) -> Self:
        """Of all pairs, or of all groups."""
        return cls(math.fsum(before), math.fsum(after), float(max(excess)))


@dataclass(frozen=True, eq=False)
class Shares:
    """The groups of clusters that one builder has.

    Up to the level `middle`, a builder has the row clusters s (in bit-reversed order) whose number
    modulo `row_groups` is one of `rows`, with all column clusters: subtrees, whose candidates are
    all its own. Beyond, it has the descendants of some column clusters of the level `middle`, with
    all row clusters. Between the two, skeletons change owners once. Factors fall apart in the same
    way: what a builder has of them are pieces as `papilio._chains.pieces` cuts them.

    Attributes
    ----------
    scheme : Scheme
    rows, columns : ndarray of int64
        The own groups, ascending.
    """

    scheme: Scheme
    rows: Indices
    columns: Indices

    @classmethod
    def all(cls, scheme: Scheme) -> Shares:
        """The only builder's."""
        middle = middle_of(scheme)
        return cls(scheme, np.arange(1 << (scheme.depth - middle)), np.arange(1 << middle))

    @property
    def middle(self) -> int:
        """The last level whose pairs are divided by rows."""
        return middle_of(self.scheme)

    @property
    def row_groups(self) -> int:
        return 1 << (self.scheme.depth - self.middle)

    @property
    def column_groups(self) -> int:
        return 1 << self.middle

    def clusters(self, level: int) -> tuple[Indices, Indices]:
        """The column clusters v and row clusters s of the own pairs of a level, all with all."""
        heights = 1 << (self.scheme.depth - level)
        if level <= self.middle:
            turns = np.arange(heights // self.row_groups)[:, None] * self.row_groups
            return np.arange(1 << level), (turns + self.rows).ravel()
        return self.descendants(level), np.arange(heights)

    def descendants(self, level: int) -> Indices:
        """The column clusters of a level, from `middle` on, that descend from the own groups."""
        children = 1 << (level - self.middle)
        return (self.columns[:, None] * children + np.arange(children)).ravel()

    def residuals(self, level: int, numbers: NDArray[np.float64]) -> dict[int, Residuals]:
        """For each own group of a level what is left of its pairs, from numbers (3, v, s).

        Sums are exact but for one rounding, so that it doesn't matter in which order pairs come.
        """
        count = len(numbers)
        if level <= self.middle:
            parts = numbers.reshape(count, -1, len(self.rows)).transpose(2, 0, 1)
            groups = self.rows
        else:
            parts = numbers.reshape(count, len(self.columns), -1).transpose(1, 0, 2)
            groups = self.columns
        return {
            int(group): Residuals.of(*part.tolist())
            for group, part in zip(groups, parts, strict=True)
        }

    def owned(
        self, level: int, v: Indices, s: Indices
    ) -> tuple[NDArray[np.bool_], Indices, Indices]:
        """Which of some pairs are own ones, and where those stand among the own clusters."""
        if level <= self.middle:
            turn, group = np.divmod(s, self.row_groups)
            place, mine = _found(self.rows, group)
            return mine, v[mine], (turn * len(self.rows) + place)[mine]
        group, child = np.divmod(v, 1 << (level - self.middle))
        place, mine = _found(self.columns, group)
        return mine, (place * (1 << (level - self.middle)) + child)[mine], s[mine]


@dataclass(frozen=True)
class Request:
    """What the factors of a scheme are built to, in which attempt."""

    scheme: Scheme
    expected_rank: int
    tolerance: float
    oversampling: int
    attempt: int


@dataclass(frozen=True)
class Built:
    """The own shares of the factors, and where all rows and columns stand among them.

    Values are arrays, or `Interpolative`.
    """

    shares: Shares
    values: tuple[Any, ...]
    ranks: list[int]
    rows: Indices
    columns: Indices


def middle_of(scheme: Scheme) -> int:
    """The level at which most builders can share the work."""
    return min(max(scheme.depth // 2, scheme.first), scheme.last)


def _found(groups: Indices, wanted: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """Where each wanted group stands among the ascending ones, and whether it does."""
    place = np.minimum(np.searchsorted(groups, wanted), len(groups) - 1)
    return place, groups[place] == wanted
