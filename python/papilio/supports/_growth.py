"""How large the terms of a product may become next to the data: they cancel each other."""

from __future__ import annotations

# From where on factors are said to diverge.
DIVERGED = 100.0
# How large the rounding of a term may be.
_ROUNDING = 0.1


def is_rounding(growth: float, epsilon: float) -> bool:
    """Whether terms are so large that what they leave of the data is rounding.

    `growth` is the largest term, a column times a row, next to the data; `epsilon` the rounding of
    one operation.
    """
    return not growth * epsilon <= _ROUNDING
