"""Powers of two moved between factors, exactly: what is far apart in size becomes alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._chains.factors import Factors
from .._chains.interfaces import from_left_blocks, from_right_blocks, left_blocks, right_blocks
from .._chains.scaling import parts_of, scaled, shifted, spread

_Array = np.ndarray[Any, Any]
_OF_ZERO = -(2**24)  # stands for the exponent of zero, far below all others
_NEAR = 8  # exponents that apart are alike
_MOST_SWEEPS = 100


def levelled(factors: Factors) -> Factors:
    """Powers of two moved between the factors: their largest entries become alike."""
    parts = [scaled(array) for array in factors]
    whole = replace(factors, values=tuple(array for array, _ in parts))
    return spread(whole, sum(exponent for _, exponent in parts))


def paired(chain: Factors) -> tuple[Factors, int]:
    """Columns and the rows that they meet made alike by powers of two, in double precision; the
    largest entries are about 1, and the chain is their product times two to what comes second.

    Entries are moved by all interfaces at once: between one and the next they may be no numbers.
    """
    patterns = list(chain.architecture)
    values = full(chain)
    own = [np.where(array != 0, np.frexp(parts_of(array))[1], _OF_ZERO) for array in values]
    found = list(own)
    splits = range(len(patterns) - 1)
    for _ in range(_MOST_SWEEPS):
        most = 0
        for n in [*splits, *reversed(splits)]:
            p, q = patterns[n], patterns[n + 1]
            left, right = left_blocks(found[n], p, q), right_blocks(found[n + 1], p, q)
            sizes = left.max(axis=-2), right.max(axis=-1)
            both = np.minimum(*sizes) > _OF_ZERO // 2
            moved = np.where(both, (sizes[1] - sizes[0]) // 2, 0)
            found[n] = from_left_blocks(left + moved[..., None, :], p)
            found[n + 1] = from_right_blocks(right - moved[..., :, None], q)
            most = max(most, int(abs(moved).max()))
        if most <= _NEAR:
            break
    tops = [0 if (e := int(array.max())) < _OF_ZERO // 2 else e for array in found]
    moved_by = (new - old - top for new, old, top in zip(found, own, tops, strict=True))
    alike = tuple(shifted(array, by) for array, by in zip(values, moved_by, strict=True))
    return replace(chain, values=alike), sum(tops)


def full(chain: Factors) -> list[_Array]:
    """The values in double precision, each tied one as often as it is used."""
    wide = np.result_type(chain.dtype, np.float64)
    return [
        np.array(np.broadcast_to(array, (p.a, p.b, p.c, p.d)), wide)
        for array, p in zip(chain, chain.architecture, strict=True)
    ]
