"""Inverses of chains: of each block of each factor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._chains.factors import Factors
from .._chains.scaling import scaled, times_powers

_Array = np.ndarray[Any, Any]


def inverse_transposed(factors: Factors) -> Factors:
    """``F_1^-T ... F_L^-T``: the transposed inverse, of the same patterns and permutations."""
    # Scaled to about 1, so that the Gram matrices of blocks neither overflow nor vanish.
    moderate, exponents = zip(*map(scaled, factors.stored), strict=True)
    values = [_of_blocks(array, f"factors[{n}]") for n, array in enumerate(moderate)]
    powers = times_powers(values, [-exponent for exponent in exponents])
    return replace(factors, values=tuple(powers))


def _of_blocks(values: _Array, name: str) -> _Array:
    """The inverse transposes of all blocks of a factor."""
    if values.shape[1] != values.shape[2]:
        raise ValueError(f"{name} has blocks of {values.shape[1:3]}, expected square ones")
    blocks = values.transpose(0, 3, 1, 2)
    adjoints = blocks.conj().swapaxes(-1, -2)
    gram = adjoints @ blocks
    scale = gram[..., :1, :1].real
    unitary = np.abs(gram - scale * np.eye(gram.shape[-1])).max(initial=0) <= (
        8 * np.finfo(values.dtype).eps * scale.min(initial=np.inf)
    )
    if unitary and scale.min(initial=np.inf) > 0:
        inverses = adjoints / scale  # exact where the scale is a power of two
    else:
        try:
            inverses = np.linalg.inv(blocks)
        except np.linalg.LinAlgError:
            raise ValueError(f"{name} has a singular block, so that there is no inverse") from None
    return np.ascontiguousarray(inverses.transpose(0, 3, 2, 1), dtype=values.dtype)
