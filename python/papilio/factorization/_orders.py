"""The order in which factorize cuts a chain at its splits."""

from __future__ import annotations

from functools import cache

from .._chains.architecture import Architecture
from .._chains.pattern import Pattern


def balanced_order(length: int) -> list[int]:
    """Return the splits of a chain of `length` factors, the middle one first, then each half's.

    Examples
    --------
    >>> from papilio.factorization._orders import balanced_order
    >>> balanced_order(8)
    [4, 2, 1, 3, 6, 5, 7]
    """

    def halves(first: int, last: int) -> list[int]:
        if last - first < 2:
            return []
        middle = (first + last) // 2
        return [middle, *halves(first, middle), *halves(middle, last)]

    return halves(0, length)


def auto_order(architecture: Architecture) -> list[int]:
    """Return the cheapest order among those that cut off one end factor at a time.

    All of them have the same proved constant, ``sqrt(splits)``. The cost of a cut is that of
    reading the part and of the products with its blocks' short sides.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio.factorization._orders import auto_order
    >>> auto_order(pp.Architecture.square_dyadic(16))
    [1, 2, 3]
    """
    length = len(architecture)

    @cache
    def product(first: int, last: int) -> Pattern:
        if last - first == 1:
            return architecture[first]
        return product(first, last - 1) * architecture[last - 1]

    def cost(first: int, split: int, last: int) -> float:
        left, right = product(first, split), product(split, last)
        blocks, rows, cols, rank = right.a * left.d, left.b, right.c, left.rank(right)
        short = min(rows, cols)
        # Tall blocks are read across the rows of the matrix.
        read = rows * cols * (4.0 if cols < rows else 1.0)
        return blocks * (read + rows * cols * 0.1 * (short / 2 + rank) + 0.5 * short**3 + 300)

    # Intervals by length: what is left is cut off its cheaper end.
    best: dict[tuple[int, int], tuple[float, list[int]]] = {}
    for size in range(1, length + 1):
        for first in range(length - size + 1):
            last = first + size
            if size == 1:
                best[first, last] = 0.0, []
                continue
            options = []
            for split, rest in ((first + 1, (first + 1, last)), (last - 1, (first, last - 1))):
                below, order = best[rest]
                options.append((cost(first, split, last) + below, [split, *order]))
            best[first, last] = min(options, key=lambda option: option[0])
    return best[0, length][1]
