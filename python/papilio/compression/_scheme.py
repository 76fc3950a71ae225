"""Schemes: which clusters of rows meet which clusters of columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .._chains.architecture import Architecture

_SIMILAR = 1.02  # times the fewest entries are as good


class IncompressibleError(ValueError):
    """The matrix has no butterfly that is smaller than itself; the message has its ranks."""


@dataclass(frozen=True)
class Scheme:
    """Which clusters meet where: the splits are the levels first..last of trees of that depth."""

    shape: tuple[int, int]
    depth: int
    first: int
    last: int

    @property
    def T(self) -> Scheme:
        """The same clusters seen from the transposed matrix."""
        depth = self.depth
        return Scheme(self.shape[::-1], depth, depth - self.last, depth - self.first)

    @property
    def levels(self) -> int:
        """How many levels have a rank; there is one more factor."""
        return self.last - self.first + 1

    @property
    def row_leaf(self) -> int:
        """Rows of the longest cluster of the first level."""
        return -(-self.shape[0] >> (self.depth - self.first))

    @property
    def column_leaf(self) -> int:
        """Columns of the longest cluster of the last level."""
        return -(-self.shape[1] >> self.last)

    def entries(self, rank: int) -> int:
        """How many entries the factors have if all ranks are this."""
        height = self.row_leaf << (self.depth - self.first)
        width = self.column_leaf << self.last
        ends = (height << self.first) + (width << (self.depth - self.last))
        return ends * rank + (2 * (self.last - self.first) * rank * rank << self.depth)

    def architecture(self, ranks: list[int]) -> Architecture:
        """The chain of factors with these ranks, one for each level."""
        first, last, depth = self.first, self.last, self.depth
        inner = [
            (1 << (level - 1), 2 * left, 2 * right, 1 << (depth - level))
            for level, left, right in zip(
                range(first + 1, last + 1), ranks[:-1], ranks[1:], strict=True
            )
        ]
        return Architecture(
            [
                (1, self.row_leaf, ranks[0] << first, 1 << (depth - first)),
                *inner,
                (1 << last, ranks[-1] << (depth - last), self.column_leaf, 1),
            ]
        )


def choose_scheme(
    shape: tuple[int, int],
    rank_of_depth: Callable[[int], int],
    max_rank: int,
    depth: int | None,
    is_precise: Callable[[Scheme, int], bool] = lambda scheme, rank: True,
) -> tuple[Scheme, int] | None:
    """The scheme of the largest blocks among those with few entries, and the rank to expect.

    Hardly more entries than the fewest are accepted: larger blocks make fewer factors, but take
    more arithmetic to build, and their longer sums round more. Starts from small blocks and goes on
    while larger ones may pay, unless the depth is given. Schemes that aren't precise enough for
    their rank are taken only if all are so. None if all ranks are too large.
    """
    dense = shape[0] * shape[1]
    best, precise = _Best(dense), _Best(dense)
    deepest = min(shape).bit_length() - 1
    for trees in range(deepest, -1, -1) if depth is None else [depth]:
        rank = max(1, rank_of_depth(trees))
        if rank > max_rank:
            break
        schemes = (
            Scheme(shape, trees, first, last)
            for first in range(trees + 1)
            for last in range(first, trees + 1)
        )
        fitting = sorted(
            (scheme for scheme in schemes if min(scheme.row_leaf, scheme.column_leaf) >= rank),
            key=lambda scheme: scheme.entries(rank),
        )
        if not fitting:
            continue
        for scheme in fitting:
            if scheme.entries(rank) < dense and is_precise(scheme, rank):
                precise.offer(scheme, rank)
                break
        if not best.offer(fitting[0], rank) and fitting[0].entries(rank) > 1.3 * best.fewest:
            break  # larger blocks cost more and more to measure
    return precise.found or best.found


class _Best:
    """The last scheme offered that has few entries, and its rank."""

    def __init__(self, dense: int) -> None:
        self.found: tuple[Scheme, int] | None = None
        self.fewest = math.inf
        self._dense = dense

    def offer(self, scheme: Scheme, rank: int) -> bool:
        """Whether it is taken."""
        entries = scheme.entries(rank)
        self.fewest = min(self.fewest, entries)
        if entries > max(self.fewest, min(_SIMILAR * self.fewest, self._dense / 2)):
            return False
        self.found = scheme, rank
        return True
