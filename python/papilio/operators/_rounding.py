"""Arithmetic of butterflies in factor space: rounding, orthonormal forms, norms and sums."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._chains.architecture import Architecture
from .._chains.pattern import Pattern
from .._util import checks
from .._util.dtypes import safe_norm
from ._report import Report

if TYPE_CHECKING:
    from ._butterfly import Butterfly

_Array = np.ndarray[Any, Any]


def chainable_form(F: Butterfly) -> tuple[Butterfly, bool]:
    """Return F, or its transpose and True, whichever has a chainable architecture."""
    if F.architecture.is_chainable:
        return F, False
    if F.architecture.T.is_chainable:
        return F.T, True
    F.architecture._require_chainable()
    raise AssertionError("unreachable")


def _chain(F: Butterfly) -> tuple[list[tuple[int, int, int, int]], list[_Array]]:
    patterns = [(p.a, p.b, p.c, p.d) for p in F.architecture]
    return patterns, [np.ascontiguousarray(values) for values in F.factors]


def round_ranks(F: Butterfly, tol: float | None, max_rank: int | None) -> Butterfly:
    """See `Butterfly.round`."""
    from ._butterfly import from_owned

    start = time.perf_counter()
    tolerance = 0.0 if tol is None else checks.tolerance(tol, zero=True)
    if max_rank is not None:
        max_rank = checks.positive_int(max_rank, "max_rank")
    limit = 0 if max_rank is None else min(max_rank, *F.shape)  # more has no rank
    G, transposed = chainable_form(F)
    patterns, values, facts = _core.round(*_chain(G), tolerance, limit)
    architecture = Architecture(patterns)
    splits = len(architecture) - 1
    report = Report(
        relative_error=facts["relative_error"],
        lower_bound=max(facts["split_errors"], default=0.0),
        guarantee=math.sqrt(max(splits, 1)),
        split_errors=tuple(facts["split_errors"]),
        split_tails=tuple(tuple(tails) for tails in facts["split_tails"]),
        order=tuple(range(1, splits + 1)),
        ranks=architecture.ranks,
        shape=architecture.shape,
        norm=facts["norm"],
        row_permutation=None if G.row_permutation is None else "array",
        column_permutation=None if G.column_permutation is None else "array",
        seconds=time.perf_counter() - start,
        tolerance=tolerance or None,
        max_rank=max_rank,
    )
    rounded = from_owned(architecture, values, G.row_permutation, G.column_permutation, report)
    return rounded.T if transposed else rounded


def orthonormalized(F: Butterfly, centre: int) -> Butterfly:
    """See `Butterfly.orthonormalize`."""
    from ._butterfly import from_owned

    G, transposed = chainable_form(F)
    length = len(G.architecture)
    if not -length <= centre < length:
        raise ValueError(f"centre is {centre}, expected the number of one of {length} factors")
    place = centre % length
    patterns, values, _ = _core.orthonormalize(
        *_chain(G), length - 1 - place if transposed else place
    )
    result = from_owned(Architecture(patterns), values, G.row_permutation, G.column_permutation)
    return result.T if transposed else result


def frobenius_norm(F: Butterfly) -> float:
    """See `Butterfly.norm`."""
    finite = all(np.isfinite(values).all() for values in F.factors)
    if finite and (F.architecture.is_chainable or F.architecture.T.is_chainable):
        return _core.norm(*_chain(chainable_form(F)[0]))
    total = 0.0
    rows, cols = F.shape
    width = max(1, min(cols, (1 << 20) // (rows * F.dtype.itemsize)))
    for first in range(0, cols, width):
        unit = np.zeros((cols, min(width, cols - first)), F.dtype)
        unit[np.arange(first, first + unit.shape[1]), np.arange(unit.shape[1])] = 1
        total = math.hypot(total, safe_norm(F @ unit))
    return total


def _same(p: _Array | None, q: _Array | None) -> bool:
    if p is None or q is None:
        return p is q
    return bool(np.array_equal(p, q))


def can_add(F: Butterfly, G: Butterfly) -> bool:
    """Whether F + G is a butterfly of summed ranks: same radices and permutations."""
    x, y = F.architecture, G.architecture
    return (
        x.is_chainable
        and y.is_chainable
        and len(x) == len(y)
        and x.with_ranks(1) == y.with_ranks(1)
        and _same(F.row_permutation, G.row_permutation)
        and _same(F.column_permutation, G.column_permutation)
    )


def add(F: Butterfly, G: Butterfly) -> Butterfly:
    """The sum of two butterflies that `can_add` accepts.

    With b = rank * q and c = p * rank (the rank counts slowest in b and fastest in c), inner
    factors hold those of F and of G as diagonal blocks along both ranks.
    """
    from ._butterfly import from_owned

    dtype = np.result_type(F.dtype, G.dtype)
    length = len(F.architecture)
    ranks_f = (1, *F.architecture.ranks, 1)
    ranks_g = (1, *G.architecture.ranks, 1)
    values = []
    for n, (x, y) in enumerate(zip(F.factors, G.factors, strict=True)):
        p = F.architecture[n]
        a, d, q, r = p.a, p.d, p.b // ranks_f[n], p.c // ranks_f[n + 1]
        inner_left, inner_right = n > 0, n + 1 < length
        left = ranks_f[n] + ranks_g[n] if inner_left else 1
        right = ranks_f[n + 1] + ranks_g[n + 1] if inner_right else 1
        out = np.zeros((a, left, q, r, right, d), dtype)
        for factor, ranks, second in ((x, ranks_f, False), (y, ranks_g, True)):
            rows = slice(ranks_f[n] if second and inner_left else 0, None)
            cols = slice(ranks_f[n + 1] if second and inner_right else 0, None)
            if not second:
                rows, cols = slice(0, ranks[n]), slice(0, ranks[n + 1])
            full = np.broadcast_to(factor, (a, factor.shape[1], factor.shape[2], d))
            out[:, rows, :, :, cols] += full.reshape(a, ranks[n], q, r, ranks[n + 1], d)
        values.append(out.reshape(a, left * q, r * right, d))
    architecture = Architecture(Pattern(*array.shape) for array in values)
    return from_owned(architecture, values, F.row_permutation, F.column_permutation)
