"""The truth about an operator, from its factors, in extended precision.

An extended number holds all squares of doubles: no norm here overflows or vanishes. What rounding
may do to a product of L factors is a small multiple of ``L * eps`` times the product of their
absolute values; `amplitude` is the norm of that, relative to the matrix's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..reference import extended

Array = np.ndarray[Any, Any]


def product(patterns: Any, factors: Any) -> Array:
    """The matrix of a chain: the identity times one factor after the other, by the index formula.

    As `tests.reference.dense_chain`, without the zeros of the factors.
    """
    rows = patterns[0].shape[0]
    found = np.eye(rows, dtype=extended(factors[0].dtype))
    for pattern, values in zip(patterns, factors, strict=True):
        a, b, c, d = pattern
        entries = np.broadcast_to(values, (a, b, c, d)).astype(found.dtype)
        paths = found.reshape(rows, a, b, d)
        found = np.zeros((rows, a, c, d), found.dtype)
        for j in range(b):
            found += paths[:, :, j, None, :] * entries[:, j]
        found = found.reshape(rows, a * c * d)
    return found


def dense(F: Any) -> Array:
    """The matrix of a butterfly."""
    found = product(F.architecture, F.factors)
    if F.row_permutation is not None:
        found = found[F.row_permutation]
    return found if F.column_permutation is None else found[:, F.column_permutation]


def norm(A: Array) -> np.longdouble:
    """The Frobenius norm, as an extended number."""
    flat = A.ravel().astype(extended(A.dtype))
    return np.sqrt(np.sum(flat.real**2) + np.sum(flat.imag**2))


def relative(part: np.longdouble, whole: np.longdouble) -> float:
    """part / whole; 0 for a zero matrix that is met."""
    if whole == 0:
        return 0.0 if part == 0 else float("inf")
    return float(part / whole)


def error(F: Any, A: Array) -> float:
    """``||A - F|| / ||A||``."""
    return relative(norm(A - dense(F)), norm(A))


def amplitude(F: Any, size: np.longdouble) -> float:
    """How much larger than the matrix, of norm `size`, the products are that it is a sum of."""
    parts = norm(product(F.architecture, [abs(values) for values in F.factors]))
    if size == 0:  # all of it may have cancelled
        return math.inf if parts > 0 else 1.0
    return max(1.0, float(parts / size))


def moderate(A: Array) -> Array:
    """The matrix times a power of two that makes its largest entry about 1, in double precision."""
    wide = A.astype(extended(A.dtype))
    most = max(abs(wide.real).max(initial=0), abs(wide.imag).max(initial=0))
    if most > 0:
        wide = wide / np.ldexp(np.longdouble(1), int(np.frexp(most)[1]))
    return wide.astype(np.complex128 if wide.dtype.kind == "c" else np.float64)


def tail(A: Array, left: Any, right: Any) -> float:
    """The distance of A to the products of two factors, but for what lies outside their support.

    Entry (j, k) of block (i, f, e, l) stands at row (i*b1*en + j*en + e)*d2 + l and column
    (i*fn*c2 + f*c2 + k)*d2 + l.
    """
    (a1, b1, _, d1), (a2, _, c2, d2) = left, right
    en, fn = d1 // d2, a2 // a1
    parts = A.reshape(a1, b1, en, d2, a1, fn, c2, d2)
    parts = np.einsum("ijelifkl->ifeljk", parts)
    sigma = np.linalg.svd(parts, compute_uv=False)
    return float(np.linalg.norm(sigma[..., left.rank(right) :]))


def split_errors(A: Array, architecture: Any) -> list[float]:
    """At each split, the relative distance to what it alone restricts: bounds from below.

    What lies outside of the product's support isn't counted.
    """
    part = moderate(A)
    whole = float(np.linalg.norm(part))
    return [
        tail(part, architecture[:split].product, architecture[split:].product) / whole
        if whole > 0
        else 0.0
        for split in range(1, len(architecture))
    ]


def epsilon(dtype: Any) -> float:
    """Rounding of one operation."""
    return float(np.finfo(dtype).eps)
