"""What earlier products left in memory that is used again, and whether anyone computes with it."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import papilio as pp

_INVALID = 1  # FE_INVALID, of inf - inf and 0 * inf, on x86-64 and on 64-bit ARM


@functools.cache
def _flags() -> Any:
    return ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")


@functools.cache
def _sums() -> tuple[Any, ...]:
    """Operators whose products with infinities are infinities, in all that they use."""
    ones = [np.ones((1 << n, 2, 2, 1 << (7 - n))) for n in range(8)]
    F = pp.Butterfly(ones)
    return F, pp.Composition([F, np.full(256, 2.0), F])


@contextmanager
def leftovers_are_left_alone() -> Iterator[None]:
    """Nobody on this thread computes with what is left in its workspaces from other products.

    What is left there may be infinite or denormal: results aren't wrong by it, but denormal numbers
    take a hundred times as long, and 4 of 12 columns that lay beside a batch once did. So the
    workspaces are filled with infinities, and the flag that they would raise is looked at.
    """
    infinite = np.full((256, 512), np.inf)
    for F in _sums():
        F.apply(infinite)
        F.apply(infinite[:, 0].copy())
    _flags().feclearexcept(_INVALID)
    yield
    assert not _flags().fetestexcept(_INVALID), "computed with what earlier products left"
