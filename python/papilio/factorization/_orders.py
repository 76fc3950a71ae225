"""The order in which factorize cuts a chain at its splits."""

from __future__ import annotations

from .. import _core
from .._chains.architecture import Architecture


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

    All of them have the same proved constant, ``sqrt(splits)``. order.cpp says what a cut costs.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio.factorization._orders import auto_order
    >>> auto_order(pp.Architecture.square_dyadic(16))
    [1, 2, 3]
    """
    return _core.cheapest_order([(p.a, p.b, p.c, p.d) for p in architecture])
