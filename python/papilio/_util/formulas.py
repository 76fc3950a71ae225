"""Entries by the formulas of the core, for index arrays of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core

_Array = np.ndarray[Any, Any]
_Indices = NDArray[np.int64]
_LARGEST = np.iinfo(np.int64).max


class Compiled:
    """Entries by a formula of the core: called with index arrays, or in blocks.

    An entry has the same bits in whichever shape it is asked for. What `make` returns is made at
    the first use; pickles have it.
    """

    def __init__(self, make: Callable[[], _core.Formula]) -> None:
        self._make: Callable[[], _core.Formula] | None = make
        self._formula: _core.Formula | None = None

    @property
    def formula(self) -> _core.Formula:
        make = self._make
        if make is not None:
            # Threads that come at the same time make the same. None of them finds neither.
            self._formula = make()
            self._make = None
        assert self._formula is not None
        return self._formula

    def __reduce__(self) -> tuple[Any, ...]:
        return _with, (self.formula,)

    def __call__(self, i: Any, j: Any) -> _Array:
        """Entries in the shape to which the index arrays broadcast."""
        rows, columns = _whole(i, "i"), _whole(j, "j")
        shape = np.broadcast_shapes(rows.shape, columns.shape)
        axes = max(len(shape), 2)
        rows, columns = (
            index.reshape((1,) * (axes - index.ndim) + index.shape) for index in (rows, columns)
        )
        if rows.shape[-1] == columns.shape[-2] == 1:
            outer = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
            rows = np.broadcast_to(rows[..., 0], (*outer, rows.shape[-2]))
            columns = np.broadcast_to(columns[..., 0, :], (*outer, columns.shape[-1]))
            count = math.prod(outer)
            blocks = self.formula.blocks(
                np.ascontiguousarray(rows.reshape(count, rows.shape[-1])),
                np.ascontiguousarray(columns.reshape(count, columns.shape[-1])),
            )
            return blocks.reshape(shape)
        both = np.broadcast_arrays(rows, columns)
        return self.formula.pairs(*(np.ascontiguousarray(one).ravel() for one in both)).reshape(
            shape
        )

    def blocks(self, i: _Indices, j: _Indices) -> _Array:
        """Blocks (p, r, c) for rows (p, r) and columns (p, c)."""
        return self.formula.blocks(i, j)

    def interpolate(
        self, i: _Indices, j: _Indices, rank: int, scales: NDArray[np.float64]
    ) -> tuple[_Indices, _Array, NDArray[np.float64]]:
        """``_core.interpolate(self.blocks(i, j), rank, scales)``, in one loop of the core."""
        return self.formula.interpolate(i, j, rank, scales)


def compiled(
    name: str,
    rows: list[_Array],
    columns: list[_Array],
    parameters: Any = (),
) -> Compiled:
    """A formula of the core, of fields that stand one after the other for all rows and columns."""
    formula = _core.Formula(name, np.stack(rows), np.stack(columns), parameters)
    return _with(formula)


def _with(formula: _core.Formula) -> Compiled:
    return Compiled(lambda: formula)


def checked(given: Any, name: str, size: int) -> _Indices:
    """Indices below `size`, from 0 on: negative ones count from the end."""
    index = _whole(given, name)
    beyond = (index < -size) | (index >= size)
    if beyond.any():
        raise IndexError(f"{name} has {index[beyond][0]}, expected indices below {size}")
    return np.where(index < 0, index + size, index)


def _whole(given: Any, name: str) -> _Indices:
    index = np.asarray(given)
    if index.dtype.kind not in "iu":
        raise IndexError(f"{name} has dtype {index.dtype}, expected whole numbers")
    if index.dtype == np.uint64 and index.size and index.max() > _LARGEST:
        raise IndexError(f"{name} has {index.max()}, expected indices up to {_LARGEST}")
    return index.astype(np.int64, copy=False)
