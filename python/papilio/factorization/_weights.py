"""Weights that leave an architecture as it is: factorize in a weighted norm.

If L has the support ``(a_1, b_1, b_1, d_1)`` and R has ``(a_L, c_L, c_L, d_L)``, then L F R is of
the architecture whenever F is, and if both are invertible every matrix of it is such an L F R. So
the F closest to A in the norm ``||L (A - F) R||`` comes from the matrix closest to L A R.
docs/guarantees.md has the proof, and what becomes of zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.scaling import scaled, shifted, spread
from .._util.dtypes import as_array, promoted, safe_norm
from .._util.interruptible import interruptibly
from ..operators import Report, butterfly_of
from ._source import Source

_Array = np.ndarray[Any, Any]
_Order = np.ndarray[Any, np.dtype[np.int64]] | None


@dataclass(frozen=True)
class _End:
    """The weights at one end, as a matrix that multiplies rows (of A, or of A transposed).

    ``blocks[i, l]`` are s x s matrices in the order of the factors' product; a diagonal is in the
    order of A's rows. Either is scaled so that no product is larger than what it multiplies.
    """

    diagonal: _Array | None
    blocks: _Array | None
    exponent: int
    condition: float = 1.0  # the largest of a block
    growth: float = 0.0  # what rounding in a product is multiplied by, relative to the product

    def times(self, matrix: _Array, order: _Order) -> _Array:
        """The product with a matrix whose row i is row order[i] of the product of factors."""
        if self.diagonal is not None:
            return np.asarray(matrix * self.diagonal[:, None])
        assert self.blocks is not None
        a, d, s, _ = self.blocks.shape
        rows = matrix if order is None else matrix[np.argsort(order)]
        parts = rows.reshape(a, s, d, -1).transpose(0, 2, 1, 3)
        made = interruptibly(np.matmul, self.blocks, parts)
        found: _Array = made.transpose(0, 2, 1, 3).reshape(matrix.shape)
        return found if order is None else found[order]

    def solved(self, values: _Array, order: _Order) -> _Array:
        """The end factor (rows along axis 1) with the weights taken off again."""
        a, s, _, d = values.shape
        if self.diagonal is not None:
            own = np.empty_like(self.diagonal)
            own[slice(None) if order is None else order] = self.diagonal
            inverse = np.divide(1, own, out=np.zeros_like(own), where=own > 0)
            return np.asarray(values * inverse.reshape(a, s, 1, d))
        assert self.blocks is not None
        solved = interruptibly(np.linalg.solve, self.blocks, values.transpose(0, 3, 1, 2))
        return np.asarray(solved.transpose(0, 2, 3, 1))


@dataclass(frozen=True)
class Weighting:
    """A in double precision, scaled to entries of at most 1, with the weights at its two ends."""

    matrix: _Array
    exponent: int
    dtype: np.dtype[Any]
    rows: _End | None
    columns: _End | None

    @classmethod
    def of(
        cls, source: Source, architecture: Architecture, row_weights: Any, column_weights: Any
    ) -> Weighting | None:
        """Check the weights; None if there are none."""
        if row_weights is None and column_weights is None:
            return None
        first, last = architecture[0], architecture[-1]
        ends = (
            _end(row_weights, "row_weights", (first.a, first.b, first.d), source.dtype, False),
            _end(column_weights, "column_weights", (last.a, last.c, last.d), source.dtype, True),
        )
        _require_certifiable(ends, source.dtype)
        given = source.array if source.read is None else source.read(0, source.shape[0])
        _require_finite(given)
        matrix, exponent = scaled(given.astype(np.result_type(given.dtype, np.float64)))
        return cls(matrix, exponent, source.dtype, *ends)

    @property
    def has_blocks(self) -> bool:
        """Whether weights depend on which row of the product a row of A is."""
        return any(end is not None and end.blocks is not None for end in self._ends)

    @property
    def _ends(self) -> tuple[_End | None, _End | None]:
        return self.rows, self.columns

    def source(self, rows: _Order, columns: _Order) -> Source:
        """What is factorized: L A R, up to a power of two."""
        return Source(self._times(self.matrix, rows, columns).astype(self.dtype))

    def _times(self, matrix: _Array, rows: _Order, columns: _Order) -> _Array:
        if self.rows is not None:
            matrix = self.rows.times(matrix, rows)
        if self.columns is not None:
            matrix = self.columns.times(matrix.T, columns).T
        return np.ascontiguousarray(matrix)

    def taken_off(self, factors: Factors) -> Factors:
        """The factors of F from those that are closest to L A R."""
        wide = np.result_type(self.dtype, np.float64)
        values = [array.astype(wide) for array in factors.values]
        if self.rows is not None:
            values[0] = self.rows.solved(values[0], factors.row_permutation)
        if self.columns is not None:
            turned = self.columns.solved(
                values[-1].transpose(0, 2, 1, 3), factors.column_permutation
            )
            values[-1] = turned.transpose(0, 2, 1, 3)
        with np.errstate(over="ignore"):
            whole = spread(replace(factors, values=tuple(values)), self.exponent)
            found = whole.astype(self.dtype)
        if not found.is_finite():
            raise OverflowError(
                f"factors of {self.dtype} can't hold the result: its entries, divided by the "
                "weights, are above the largest number"
            )
        return found

    def _slack(self) -> float:
        """How far the computed L A R may be from the true one, relative to it."""
        blocked = [end for end in self._ends if end is not None and end.blocks is not None]
        terms = sum(0 if end.blocks is None else end.blocks.shape[-1] for end in blocked)
        eps = float(np.finfo(np.float64).eps)
        return 2 * terms * eps * math.prod(end.growth for end in blocked)

    def report(self, report: Report, factors: Factors) -> Report:
        """The report about F from that about what was factorized."""
        wide = spread(factors.astype(self.matrix.dtype), -self.exponent)
        rest = self.matrix - butterfly_of(wide).toarray()
        orders = factors.row_permutation, factors.column_permutation
        size = safe_norm(self._times(self.matrix, *orders))
        error = safe_norm(self._times(rest, *orders))
        own = safe_norm(self.matrix)
        exponent = self.exponent + sum(end.exponent for end in self._ends if end is not None)
        with np.errstate(over="ignore"):
            norm = float(np.ldexp(size, exponent))
        return replace(
            report,
            relative_error=error / size if size > 0 else 0.0,
            lower_bound=max(0.0, report.lower_bound - self._slack()),
            norm=norm,
            weights=" and ".join(
                name
                for name, end in zip(("rows", "columns"), self._ends, strict=True)
                if end is not None
            ),
            unweighted_error=safe_norm(rest) / own if own > 0 else 0.0,
        )


def _end(
    weights: Any, name: str, shape: tuple[int, int, int], dtype: np.dtype[Any], turned: bool
) -> _End | None:
    if weights is None:
        return None
    a, s, d = shape
    given = as_array(weights, name)
    kind = promoted(given.dtype, name)
    blocks_shape = (a * d, s, s)
    if given.shape not in ((a * s * d,), blocks_shape):
        raise ValueError(
            f"{name} has shape {given.shape}, expected ({a * s * d},), one number each, or "
            f"{blocks_shape}, the blocks at the {'last' if turned else 'first'} factor"
        )
    if not np.isfinite(given).all():
        raise ValueError(f"{name} has entries that are NaN or infinite, expected finite numbers")
    if kind.kind == "c" and (dtype.kind == "f" or given.ndim == 1):
        wanted = "blocks for a complex A, or real numbers" if given.ndim == 1 else "real numbers"
        raise TypeError(f"{name} has dtype {given.dtype}, expected {wanted}")
    wide = given.astype(np.result_type(kind, np.float64))
    if given.ndim == 1:
        if (wide < 0).any():
            raise ValueError(f"{name} has negative entries, expected numbers of at least 0")
        if not (wide > 0).any():
            raise ValueError(f"{name} is zero everywhere, expected positive numbers")
        moderate, exponent = scaled(wide)
        _require_range(moderate[wide > 0], name, dtype)
        return _End(moderate, None, exponent)
    moderate, exponent = scaled(wide)
    # Rows of at most s entries of at most 1: a product is at most s times what it multiplies.
    shift = s.bit_length()
    blocks = shifted(moderate, -shift).reshape(a, d, s, s)
    sigma = interruptibly(np.linalg.svd, blocks, compute_uv=False)
    if (sigma[..., -1] <= 0).any():
        place = int(np.argmin(sigma[..., -1].ravel()))
        raise ValueError(f"{name}[{place}] is singular: {_REMEDY}")
    _require_range(sigma[..., 0], name, dtype)
    norms = np.sqrt((sigma**2).sum(axis=-1))
    if turned:
        blocks = blocks.swapaxes(-1, -2)
    condition = float((sigma[..., 0] / sigma[..., -1]).max())
    return _End(None, blocks, exponent + shift, condition, float((norms / sigma[..., -1]).max()))


_REMEDY = "add a multiple of the identity to it"


def _require_range(sizes: _Array, name: str, dtype: np.dtype[Any]) -> None:
    """Products of weights at both ends with entries of A must neither overflow nor vanish."""
    most = float(np.finfo(dtype).max) ** 0.25
    ratio = float(sizes.max() / sizes.min()) if sizes.min() > 0 else np.inf
    if ratio > most:
        raise ValueError(
            f"{name} has a range of {ratio:.1e}, expected at most {most:.1e} for {dtype}"
        )


def _require_certifiable(ends: tuple[_End | None, _End | None], dtype: np.dtype[Any]) -> None:
    """Rounding grows by the condition of blocks: half of the digits must be left."""
    conditions = [1.0 if end is None else end.condition for end in ends]
    most = 1 / float(np.sqrt(np.finfo(dtype).eps))
    if conditions[0] * conditions[1] > most:
        name = "row_weights" if conditions[0] >= conditions[1] else "column_weights"
        raise ValueError(
            f"{name} has blocks of condition {max(conditions):.1e}, expected at most {most:.1e} "
            f"for {dtype} (both ends together): {_REMEDY}"
        )


def _require_finite(matrix: _Array) -> None:
    wrong = ~np.isfinite(matrix)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = "nan" if np.isnan(matrix[row, column]) else "inf"
        raise ValueError(f"A has {value} at row {row}, column {column}, expected finite numbers")
