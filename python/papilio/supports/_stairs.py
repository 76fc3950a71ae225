"""Lower bounds for staircases: classes each nested crosswise into the next (T4 of the docs)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]


@dataclass(frozen=True)
class Stairs:
    """Rows and columns of each level, and how many inner indices end there.

    The product is block upper triangular, and its rows of levels from p on and columns of levels up
    to q have at most the rank ``sum(ranks[p : q + 1])``.
    """

    rows: tuple[_Array, ...]
    cols: tuple[_Array, ...]
    ranks: tuple[int, ...]
    # Levels at most: the blocks of all pairs of them are looked at.
    most: ClassVar[int] = 24

    @classmethod
    def of(cls, rectangles: Sequence[tuple[_Array, _Array, int]]) -> Stairs | None:
        """Of (rows, columns, members) of the classes of a component, if they are a staircase."""
        if not 1 < len(rectangles) <= cls.most:
            return None
        chain = sorted(rectangles, key=lambda r: (len(r[0]), -len(r[1])))
        for (rows, cols, _), (more, fewer, _) in itertools.pairwise(chain):
            if not (np.isin(rows, more).all() and np.isin(fewer, cols).all()):
                return None
        none = np.zeros(0, int)
        before = [none, *(rows for rows, _, _ in chain)]
        behind = [*(cols for _, cols, _ in chain[1:]), none]
        return cls(
            tuple(np.setdiff1d(r[0], b) for r, b in zip(chain, before, strict=False)),
            tuple(np.setdiff1d(r[1], b) for r, b in zip(chain, behind, strict=True)),
            tuple(r[2] for r in chain),
        )

    def cost(self) -> float:
        """Rows times columns times the smaller of both of the largest block, for all pairs."""
        height, width = sum(map(len, self.rows)), sum(map(len, self.cols))
        return float(len(self.ranks)) ** 2 * height * width * min(height, width)

    def bound(
        self, block: Callable[[_Array, _Array], _Array], tail: Callable[[_Array, int], float]
    ) -> float:
        """A lower bound of the distance to all products, on the entries that they reach.

        `block`: the matrix on some rows and columns; `tail`: its distance to those of some rank.
        Levels p to q of rows and of columns are one block of bounded rank; blocks of levels that
        don't meet are disjoint, and the best division into such is found level by level.
        """
        count = len(self.ranks)
        best2 = np.zeros(count + 1)
        single = 0.0

        def part(rows: range, cols: range, rank: int) -> float:
            lines = tuple(
                np.repeat(levels, [len(side[n]) for n in levels])
                for levels, side in ((rows, self.rows), (cols, self.cols))
            )
            values = block(
                np.concatenate([self.rows[n] for n in rows]),
                np.concatenate([self.cols[n] for n in cols]),
            )
            # Below the stairs products are zero; this part of the distance is counted elsewhere.
            return tail(np.where(lines[0][:, None] <= lines[1], values, 0), rank)

        for q in range(count):
            for p in range(q + 1):
                rank = sum(self.ranks[p : q + 1])
                own = part(range(p, q + 1), range(p, q + 1), rank)
                best2[q + 1] = max(best2[q + 1], best2[p] + own**2)
                single = max(single, part(range(p, count), range(q + 1), rank))
        return max(single, math.sqrt(best2[count]))
