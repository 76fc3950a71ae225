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
) -> tuple[Scheme, int] | None:
    """The scheme of the largest blocks among those with few entries, and the rank to expect.

    Hardly more entries than the fewest are accepted: larger blocks make fewer factors, but take
    more arithmetic to build. Starts from small blocks and goes on while larger ones may pay, unless
    the depth is given. None if all ranks are too large.
    """
    best: tuple[Scheme, int] | None = None
    fewest = math.inf
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
        fitting = [
            (scheme.entries(rank), scheme)
            for scheme in schemes
            if min(scheme.row_leaf, scheme.column_leaf) >= rank
        ]
        if not fitting:
            continue
        cheapest = min(fitting, key=lambda candidate: candidate[0])
        fewest = min(fewest, cheapest[0])
        if cheapest[0] <= max(fewest, min(_SIMILAR * fewest, shape[0] * shape[1] / 2)):
            best = cheapest[1], rank
        elif cheapest[0] > 1.3 * fewest:
            break  # larger blocks cost more and more to measure
    return best
