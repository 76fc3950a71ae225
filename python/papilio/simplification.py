"""simplify: factors made tied and structured again, within a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .architecture import Architecture
from .butterfly import Butterfly, from_owned
from .checks import tolerance
from .pattern import Pattern
from .transforms.common import roots_of_unity

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FactorChange:
    """What `Butterfly.simplify` did to one factor.

    Attributes
    ----------
    tied_a, tied_d : bool
        Whether it is tied along a and d now.
    matrix : str or None
        "hadamard", "fourier" or "conjugate fourier" if it is that matrix times twiddles now.
    snapped : int
        How many stored values are now exactly 0 or a root of unity (times the factor's scale) and
        were not before.
    change : float
        The largest change of a value after the gauge was fixed, relative to the largest value.
    """

    tied_a: bool
    tied_d: bool
    matrix: str | None
    snapped: int
    change: float


@dataclass(frozen=True)
class Simplification:
    """What `Butterfly.simplify` changed.

    Attributes
    ----------
    tol : float
        The tolerance.
    relative_change : float
        ``||F - G||`` over ``||F||`` in the Frobenius norm, estimated from 16 random vectors
        (exact to about a quarter of itself).
    nbytes_before, nbytes_after : int
        Bytes of the stored values.
    factors : tuple of FactorChange
        Left to right.
    """

    tol: float
    relative_change: float
    nbytes_before: int
    nbytes_after: int
    factors: tuple[FactorChange, ...]

    def __str__(self) -> str:
        lines = [
            f"simplified within {self.tol:.2g}: {self.nbytes_before} -> {self.nbytes_after} bytes, "
            f"relative change {self.relative_change:.2e}"
        ]
        for n, factor in enumerate(self.factors):
            tied = "".join(
                f", tied along {name}"
                for name, flag in (("a", factor.tied_a), ("d", factor.tied_d))
                if flag
            )
            matrix = f", {factor.matrix} matrix" if factor.matrix else ""
            lines.append(
                f"  factor {n + 1}: {factor.snapped} values snapped{tied}{matrix}, "
                f"largest change {factor.change:.1e}"
            )
        return "\n".join(lines)


def simplify(F: Butterfly, tol: float | None) -> Butterfly:
    """Return `F` with simpler factors; see `Butterfly.simplify`."""
    eps = float(np.finfo(F.dtype).eps)
    tol = eps**0.75 if tol is None else tolerance(tol, zero=True)
    architecture = F.architecture
    given = [
        np.broadcast_to(values, tuple(pattern)).astype(np.result_type(F.dtype, np.float64))
        for pattern, values in zip(architecture, F.factors, strict=True)
    ]
    candidates = []
    for values in (given, _rows_scaled(given, architecture), _columns_scaled(given, architecture)):
        if values is not None:
            simpler = [
                _simpler(v, pattern, tol) for v, pattern in zip(values, architecture, strict=True)
            ]
            structured = sum(change.matrix is not None for _, change in simpler)
            candidates.append((sum(v.size for v, _ in simpler), -structured, simpler))
    # The gauge with the fewest values, then with the most structure; the given one on a tie.
    simpler = min(candidates, key=lambda candidate: candidate[:2])[2]
    G = from_owned(
        architecture,
        [np.ascontiguousarray(values, dtype=F.dtype) for values, _ in simpler],
        F.row_permutation,
        F.column_permutation,
    )
    x = np.random.default_rng(0).standard_normal((F.shape[1], 16)).astype(F.dtype)
    reference = F @ x
    size = np.linalg.norm(reference)
    change = float(np.linalg.norm(G @ x - reference) / size) if size > 0 else 0.0
    G._simplification = Simplification(
        tol, change, F.nbytes, G.nbytes, tuple(changed for _, changed in simpler)
    )
    return G


def _rows_scaled(given: list[_Array], architecture: Architecture) -> list[_Array] | None:
    """All factors but the first with ones for k = 0; rows are scaled, the inverse goes left."""
    if len(given) < 2:
        return None
    values = [v.copy() for v in given]
    for s in range(len(values) - 1, 0, -1):
        scale = values[s][:, :, :1, :]
        if not _divisible(scale, values[s]):
            return None
        values[s] = values[s] / scale
        a, _, c, d = tuple(architecture[s - 1])
        values[s - 1] = values[s - 1] * scale.reshape(a, 1, c, d)
    return values


def _columns_scaled(given: list[_Array], architecture: Architecture) -> list[_Array] | None:
    """All factors but the last with ones for j = 0; columns are scaled, the inverse goes right."""
    if len(given) < 2:
        return None
    values = [v.copy() for v in given]
    for s in range(len(values) - 1):
        scale = values[s][:, :1, :, :]
        if not _divisible(scale, values[s]):
            return None
        values[s] = values[s] / scale
        a, b, _, d = tuple(architecture[s + 1])
        values[s + 1] = values[s + 1] * scale.reshape(a, b, 1, d)
    return values


def _divisible(scale: _Array, values: _Array) -> bool:
    return bool(np.abs(scale).min() > 1e-6 * np.abs(values).max() > 0)


def _simpler(values: _Array, pattern: Pattern, tol: float) -> tuple[_Array, FactorChange]:
    """One factor: tied, its values snapped, made an exact product of matrix and twiddles."""
    largest = float(np.abs(values).max())
    allowed = tol * largest
    result = values
    for axis in (0, 3):
        mean = result.mean(axis=axis, keepdims=True)
        if np.abs(result - mean).max() <= allowed:
            result = mean
    tied = result
    matrix = None
    b, c, d = pattern.b, pattern.c, pattern.d
    scale = _near_power_of_two(float(result.flat[0].real), tol)
    snapped = 0
    if abs(scale) > 1e-6 * largest:
        units = result / scale
        if b == c and b > 1:
            matrix, units = _structured(units, tol)
        rounded = _rounded(units, b * d)
        near = np.abs(units - rounded) <= tol
        units = np.where(near, rounded, units)
        snapped = int(np.count_nonzero(near & (units != tied / scale)))
        result = units * scale
    change = float(np.abs(result - values).max() / largest) if largest > 0 else 0.0
    return result, FactorChange(
        result.shape[0] < pattern.a, result.shape[3] < d, matrix, snapped, change
    )


def _near_power_of_two(x: float, tol: float) -> float:
    """x, or the power of two (with x's sign) that it is within the tolerance of."""
    if x == 0:
        return x
    power = math.copysign(2.0 ** round(math.log2(abs(x))), x)
    return power if abs(x / power - 1) <= tol else x


def _structured(units: _Array, tol: float) -> tuple[str | None, _Array]:
    """The name of the matrix and ``matrix[j, k] t[i, k, l]`` (or t[i, j, l]), if that is close."""
    b = units.shape[1]
    j, k = np.ogrid[:b, :b]
    matrices = {}
    if b & (b - 1) == 0:
        signs = np.array(
            [[1 - 2 * (bin(x & y).count("1") % 2) for x in range(b)] for y in range(b)]
        )
        matrices["hadamard"] = signs.astype(float)
    if units.dtype.kind == "c":
        fourier = roots_of_unity(b, j * k)
        matrices |= {"fourier": fourier, "conjugate fourier": fourier.conj()}
    for name, matrix in matrices.items():
        quotients = units * matrix.conj()[None, :, :, None]
        for axis in (1, 2):
            product = matrix[None, :, :, None] * quotients.mean(axis=axis, keepdims=True)
            if np.abs(product - units).max() <= tol * np.abs(units).max():
                return name, product
    return None, units


def _rounded(units: _Array, order: int) -> _Array:
    """The nearest of 0, and 1 and -1 or the roots of unity of this order (times four)."""
    if units.dtype.kind != "c":
        return np.asarray(np.rint(np.clip(units, -1, 1)))
    order = math.lcm(order, 4)
    power = np.rint(-np.angle(units) * order / (2 * np.pi)).astype(np.int64)
    rounded: _Array = np.where(np.abs(units) < 0.5, 0, roots_of_unity(order, power))
    return rounded
