"""Schemes: which clusters of rows meet which clusters of columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .._chains.architecture import Architecture
from .._chains.interpolative import shapes_without_identities

_SIMILAR = 1.02  # times the fewest numbers are as good


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
        """How many numbers the factors store if all ranks are this: see `Interpolative`."""
        first = _stored((1, self.row_leaf, rank << self.first, 1), rank) << (
            self.depth - self.first
        )
        inner = _stored((1, 2 * rank, 2 * rank, 1), rank) << self.depth
        last = rank * self.column_leaf << self.depth
        return first + inner * (self.last - self.first) // 2 + last

    def moved(self, rank: int) -> int:
        """How many numbers a product reads and writes: those stored, and vectors in between."""
        return self.entries(rank) + (2 * self.levels * rank << self.depth)

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


def _stored(pattern: tuple[int, int, int, int], rank: int) -> int:
    shapes = shapes_without_identities(pattern, rank)
    return math.prod(pattern if shapes is None else shapes[1])


def choose_scheme(
    shape: tuple[int, int],
    rank_of_depth: Callable[[int], int],
    max_rank: int,
    depth: int | None,
    is_precise: Callable[[Scheme, int], bool] = lambda scheme, rank: True,
) -> tuple[Scheme, int] | None:
    """The scheme of the largest blocks among those whose products move little, and the rank.

    Hardly more numbers than the fewest are accepted: larger blocks make fewer factors, but take
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
            key=lambda scheme: scheme.moved(rank),
        )
        if not fitting:
            continue
        for scheme in fitting:
            if scheme.moved(rank) < dense and is_precise(scheme, rank):
                precise.offer(scheme, rank)
                break
        taken = best.offer(fitting[0], rank)
        if not taken and best.fewest < dense and fitting[0].moved(rank) > 1.3 * best.fewest:
            break  # larger blocks cost more and more to measure
    return precise.found or best.found


class _Best:
    """The last scheme offered whose products move little, and its rank."""

    def __init__(self, dense: int) -> None:
        self.found: tuple[Scheme, int] | None = None
        self.fewest = math.inf
        self._dense = dense

    def offer(self, scheme: Scheme, rank: int) -> bool:
        """Whether it is taken."""
        moved = scheme.moved(rank)
        self.fewest = min(self.fewest, moved)
        if moved > max(self.fewest, min(_SIMILAR * self.fewest, self._dense / 2)):
            return False
        self.found = scheme, rank
        return True
