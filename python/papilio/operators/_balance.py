"""The balanced gauge: of all factors of one operator, those of the smallest norms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._chains.factors import Factors
from .._chains.interfaces import from_left_blocks, from_right_blocks, left_blocks, right_blocks
from .._chains.pattern import Pattern
from .._chains.scaling import norms, parts_of, shifted
from ._levels import paired
from ._rounding import chainable_form

_Array = np.ndarray[Any, Any]
_MOST_SWEEPS = 1000
_PLAIN_SWEEPS = 4  # before scales are over-relaxed


def balanced(factors: Factors) -> Factors:
    """See `FactorForms.balanced`."""
    factors.check_finite()
    chain, transposed = chainable_form(factors)
    moderate, exponent = paired(chain)
    values = list(moderate)
    patterns = list(chain.architecture)
    accuracy = 32 * float(np.finfo(chain.dtype).eps)
    # Scales of neighbours relax as a chain of springs does: this is the best factor for one.
    most = 2 / (1 + np.sin(np.pi / max(2, len(patterns))))
    splits = range(len(patterns) - 1)
    for sweep in range(_MOST_SWEEPS):
        off, relaxation = 0.0, 1.0 if sweep < _PLAIN_SWEEPS else most
        for n in splits:
            off = max(off, _balance(values, n, patterns[n], patterns[n + 1], relaxation))
        if off <= accuracy:
            break
    share, rest = divmod(exponent, len(values))
    with np.errstate(over="ignore"):
        scaled = tuple(
            (np.ldexp(1.0, share) * (2.0 ** (rest / len(values)) * array)).astype(chain.dtype)
            for array in values
        )
    found = replace(chain, values=scaled)
    if not found.is_finite():
        raise OverflowError("balanced factors are above the largest number")
    return found.T if transposed else found


def _balance(
    values: list[_Array], n: int, p: Pattern, q: Pattern, relaxation: float = 1.0
) -> float:
    """Balance an interface; return how far it was from balance, relative to its norm."""
    left, right = left_blocks(values[n], p, q), right_blocks(values[n + 1], p, q)
    rank = left.shape[-1]
    if rank == 1:
        columns, rows = norms(left, -2), norms(right, -1)
        both = (columns > 0) & (rows > 0)
        scale = np.divide(rows, columns, out=np.zeros_like(rows), where=both)
        scale **= relaxation / 2
        left = left * scale
        right = right * np.divide(1, scale, out=np.zeros_like(scale), where=both)
        size = columns * rows
        off = abs(columns**2 - rows**2).max(initial=0) / max(float(size.max()), 1e-300)
    else:
        grams = (left.conj().swapaxes(-1, -2) @ left, right @ right.conj().swapaxes(-1, -2))
        left, right, size = _split_evenly(left, right)
        off = abs(grams[0] - grams[1]).max(initial=0) / max(float(size.max()), 1e-300)
    values[n], values[n + 1] = from_left_blocks(left, p), from_right_blocks(right, q)
    return float(off)


def _split_evenly(left: _Array, right: _Array) -> tuple[_Array, _Array, _Array]:
    """Blocks of the same products whose Gram matrices are the singular values, both of them."""
    rank = left.shape[-1]
    # Each pair of blocks times a power of four, so that no product of two small ones vanishes.
    sizes = (parts_of(blocks).max(axis=(-2, -1), keepdims=True) for blocks in (left, right))
    first, second = (np.frexp(size)[1] for size in sizes)
    first = first + (first + second) % 2
    q, r = np.linalg.qr(shifted(left, -first))
    other, s = np.linalg.qr(shifted(right, -second).conj().swapaxes(-1, -2))
    u, sigma, vh = np.linalg.svd(r @ s.conj().swapaxes(-1, -2), full_matrices=False)
    root = np.ldexp(np.sqrt(sigma), (first + second)[..., 0] // 2)
    new_left = (q @ u) * root[..., None, :]
    new_right = root[..., :, None] * (vh @ other.conj().swapaxes(-1, -2))
    sigma = np.ldexp(sigma, (first + second)[..., 0])
    missing = rank - sigma.shape[-1]
    if missing:  # the rank is above the size of a block
        widths = [(0, 0)] * (left.ndim - 1)
        new_left = np.pad(new_left, [*widths, (0, missing)])
        new_right = np.pad(new_right, [*widths[:-1], (0, missing), (0, 0)])
    return new_left, new_right, sigma
