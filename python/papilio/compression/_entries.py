"""Entries of a matrix in tree order, checked, counted and scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._util.formulas import Compiled
from ._clustering import Indices

BLOCK_BYTES = 1 << 22  # of entries that are asked for at a time
# Sizes of entries that are far from the ends of single precision, in which rounding is measured,
# and whose fourth powers are far from those of double precision.
_MODERATE = (2.0**-60, 2.0**60)
_Array = np.ndarray[Any, Any]


class Entries:
    """Entries of a matrix in tree order, checked, counted, and scaled to a moderate size.

    ``evaluate(i, j)`` gets index arrays of shapes (p, r) and (p, c), in the user's order, and
    returns blocks (p, r, c); what it returns is checked here. `whole` says that all entries are at
    hand, so that none need be chosen; `formula` is what evaluates, if it is of the core; `exponent`
    is the power of two by which `evaluate` has divided already, if it has.
    """

    def __init__(
        self,
        evaluate: Callable[[Indices, Indices], _Array],
        row_order: Indices | None,
        column_order: Indices | None,
        shape: tuple[int, int],
        *,
        whole: bool = False,
        formula: Compiled | None = None,
        exponent: int | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._formula = formula
        self._row_order = row_order
        self._column_order = column_order
        self.shape = shape
        self.whole = whole
        self.count = 0
        self._is_scaled = exponent is not None
        self.exponent = exponent or 0  # entries are divided by 2 to this power

    def __call__(self, i: Indices, j: Indices) -> _Array:
        """Blocks of shape (p, r, c) for rows (p, r) and columns (p, c), scaled."""
        i, j = self._asked(i, j)
        blocks = self._evaluate(i, j)
        if not self.whole:
            self.count += blocks.size
        with np.errstate(over="ignore", invalid="ignore"):  # of finite entries, too
            total = blocks.sum()
        if not np.isfinite(total):
            bad = np.argwhere(~np.isfinite(blocks))
            if len(bad):
                p, r, c = bad[0]
                raise ValueError(
                    f"entries({i[p, r]}, {j[p, c]}) is {blocks[p, r, c]}, expected finite numbers"
                )
        return blocks if self._is_scaled else scaled(blocks, -self.exponent)

    def stored(self, i: Indices, j: Indices, dtype: np.dtype[Any]) -> _Array:
        """The same blocks, of their true size, as factors of this dtype hold them."""
        return fitting(scaled(self(i, j), self.exponent), dtype)

    def interpolate(
        self, i: Indices, j: Indices, rank: int, scales: NDArray[np.float64]
    ) -> tuple[Indices, _Array, NDArray[np.float64]]:
        """Pivots, weights and residuals of the blocks; see ``_core.interpolate``."""
        if self._formula is None or self.exponent:
            return _core.interpolate(self(i, j), rank, scales)
        found = self._formula.interpolate(*self._asked(i, j), rank, scales)
        if not np.isfinite(found[2]).all():
            self(i, j)  # which names the entry
        self.count += i.size * j.shape[1]
        return found

    def _asked(self, i: Indices, j: Indices) -> tuple[Indices, Indices]:
        """The indices in the user's order."""
        if self._row_order is not None:
            i = self._row_order[i]
        if self._column_order is not None:
            j = self._column_order[j]
        return np.ascontiguousarray(i), np.ascontiguousarray(j)

    def all(self) -> _Array:
        """The matrix, in tree order, evaluated in batches of rows."""
        m, n = self.shape
        columns = np.arange(n)[None]
        matrix: _Array | None = None
        step = max(1, BLOCK_BYTES // (16 * n))
        for start in range(0, m, step):
            rows = np.arange(start, min(start + step, m))
            part = self(rows[None], columns)[0]
            if matrix is None:
                matrix = np.empty((m, n), part.dtype)
            matrix[rows] = part
        assert matrix is not None
        return matrix

    def held(self) -> Entries:
        """The same entries, evaluated once, now."""
        matrix = self.all()
        held = Entries(
            lambda i, j: matrix[i[:, :, None], j[:, None, :]], None, None, self.shape, whole=True
        )
        held.count = self.count
        held.scale_by(float(sizes(matrix).max()))
        return held

    def scale_by(self, largest: float) -> None:
        """Keep squares of entries of this size from overflowing and from vanishing."""
        if not self._is_scaled and self.exponent == 0:
            self.exponent = exponent_of(largest)


def sizes(values: _Array) -> NDArray[np.float64]:
    """Absolute values; those of complex numbers that are larger than any number are the largest."""
    with np.errstate(over="ignore"):
        found = np.minimum(np.abs(values), np.finfo(values.dtype).max)
    return np.asarray(found, np.float64)


def exponent_of(largest: float) -> int:
    """The power of two to divide by so that sizes are moderate."""
    moderate = largest == 0 or _MODERATE[0] < largest < _MODERATE[1]
    return 0 if moderate else math.frexp(largest)[1]


def scaled(values: _Array, exponent: int) -> _Array:
    """Values times a power of two."""
    if exponent == 0:
        return values
    half = exponent // 2  # each of both is a number, though their product may not be one
    result: _Array = values * 2.0**half * 2.0 ** (exponent - half)
    return result


def fitting(entries: _Array, dtype: np.dtype[Any]) -> _Array:
    """Entries in the factors' dtype; an error if that has no place for them."""
    if entries.dtype.itemsize <= dtype.itemsize:
        return entries
    with np.errstate(over="ignore"):
        result: _Array = entries.astype(dtype)
    if not np.isfinite(result).all():
        largest = float(np.abs(entries).max())
        raise ValueError(f"dtype is {dtype}, but entries are as large as {largest:.2e}")
    return result
