"""Factors in files of a directory, of which pieces are read."""

from __future__ import annotations

from typing import Any

from .._chains.factors import fits_stored
from .._chains.interpolative import AXES, Interpolative
from .._chains.pattern import Pattern
from ._directory import Indices, StoredArray


class StoredInterpolative:
    """An interpolative factor whose rows and weights are arrays in files.

    Rows are checked whenever they are read: kernels follow them.
    """

    def __init__(self, rows: StoredArray, weights: StoredArray) -> None:
        if len(rows.shape) != 4 or len(weights.shape) != 5:
            raise ValueError(
                f"rows and weights have shapes {rows.shape} and {weights.shape}, expected four "
                "axes and five"
            )
        self._rows, self._weights = rows, weights

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the array of values."""
        a, d, panels, b = self._rows.shape
        return a, b, panels * self._weights.shape[4], d

    def piece(self, axis: int, groups: int, chosen: Indices) -> Interpolative:
        """The chosen groups of blocks along a (axis 0), or modulo along d (3)."""
        shape = list(self.shape)
        shape[axis] = shape[axis] // groups * len(chosen)
        rows, weights = (
            stored.piece(AXES[axis], groups, chosen) for stored in (self._rows, self._weights)
        )
        try:
            return Interpolative.restored(Pattern(*shape), rows, weights)
        except ValueError as error:
            names = ", ".join(file.name for file in (*self._rows.files, *self._weights.files))
            raise ValueError(f"its files {names} are damaged or others: {error}") from None


def factor_in_files(pattern: Pattern, entry: Any) -> Any:
    """What has pieces of a factor: an array, or what a pair of them tells; checked by its shape."""
    if not isinstance(entry, tuple):
        fits = fits_stored(pattern, entry.shape)
    else:
        entry = StoredInterpolative(*entry)
        fits = entry.shape == tuple(pattern)
    if not fits:
        raise ValueError(f"values have shape {entry.shape}, expected {tuple(pattern)}")
    return entry
