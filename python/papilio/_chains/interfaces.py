"""The interface between two factors: the blocks whose product doesn't tell how it is divided.

At the split of a chainable pair, ``a2 * d1`` left blocks of b1 x r meet as many right blocks of
r x c2: multiplying a left block by an invertible matrix G and the right one by its inverse changes
no product. That freedom is the gauge of the chain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .pattern import Pattern

_Array = np.ndarray[Any, Any]


def left_blocks(values: _Array, p: Pattern, q: Pattern) -> _Array:
    """The blocks (a1, f, e, d2, b1, r) of the left factor, whose pattern p is followed by q."""
    chunks, steps, rank = q.a // p.a, p.d // q.d, p.rank(q)
    full = np.broadcast_to(values, (p.a, p.b, p.c, p.d))
    return full.reshape(p.a, p.b, chunks, rank, steps, q.d).transpose(0, 2, 4, 5, 1, 3)


def right_blocks(values: _Array, p: Pattern, q: Pattern) -> _Array:
    """The blocks (a1, f, e, d2, r, c2) of the right factor, whose pattern q follows p."""
    chunks, steps, rank = q.a // p.a, p.d // q.d, p.rank(q)
    full = np.broadcast_to(values, (q.a, q.b, q.c, q.d))
    return full.reshape(p.a, chunks, rank, steps, q.c, q.d).transpose(0, 1, 3, 5, 2, 4)


def from_left_blocks(blocks: _Array, p: Pattern) -> _Array:
    """The values of a left factor from its blocks."""
    return blocks.transpose(0, 4, 1, 5, 2, 3).reshape(p.a, p.b, p.c, p.d)


def from_right_blocks(blocks: _Array, q: Pattern) -> _Array:
    """The values of a right factor from its blocks."""
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(q.a, q.b, q.c, q.d)
