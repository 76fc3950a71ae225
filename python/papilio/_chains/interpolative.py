"""Interpolative factors: what is stored of blocks that hold identities in many of their rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .groups import chosen_groups
from .pattern import Pattern

_Array = np.ndarray[Any, Any]
AXES = {0: 0, 3: 1}  # where the rows and the weights have the axes a and d of a factor


@dataclass(frozen=True, eq=False)
class Interpolative:
    """The values of a factor whose blocks are panels side by side, each with an identity.

    Panel p of block (i, l) has b rows and `rank` columns. Row ``rows[i, l, p, k]`` is the k-th row
    of the identity, for k < rank; ``rows[i, l, p, rank + n]`` is ``weights[i, l, p, n]``.

    Attributes
    ----------
    rows : ndarray of uint16, shape (a, d, c / rank, b)
        Permutations of the rows of a block.
    weights : ndarray, shape (a, d, c / rank, b - rank, rank)
    transposed : bool
        Whether it is the transposed factor that has all this.
    """

    rows: NDArray[np.uint16]
    weights: _Array
    transposed: bool = False

    def __post_init__(self) -> None:
        for name in ("rows", "weights"):
            array = np.ascontiguousarray(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def rank(self) -> int:
        """Columns of a panel."""
        return int(self.weights.shape[4])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the array of values."""
        a, d, panels, b = self.rows.shape
        c = panels * self.rank
        return (a, c, b, d) if self.transposed else (a, b, c, d)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        dtype: np.dtype[Any] = self.weights.dtype
        return dtype

    @property
    def nbytes(self) -> int:
        """Of what is stored."""
        return self.rows.nbytes + self.weights.nbytes

    @property
    def T(self) -> Self:
        """The values of the transposed factor, in the same memory."""
        return replace(self, transposed=not self.transposed)

    def conj(self) -> Self:
        """The conjugated values."""
        return replace(self, weights=self.weights.conj())

    def astype(self, dtype: Any) -> Self:
        """The values in another dtype."""
        return replace(self, weights=self.weights.astype(dtype))

    def array(self) -> _Array:
        """The values as an array of shape (a, b, c, d), whose blocks are contiguous."""
        a, d, panels, b = self.rows.shape
        rank = self.rank
        identity = np.broadcast_to(np.eye(rank, dtype=self.dtype), (a, d, panels, rank, rank))
        in_order = np.concatenate([identity, self.weights], axis=3)
        blocks = np.empty_like(in_order)
        np.put_along_axis(blocks, self.rows[..., None].astype(np.intp), in_order, axis=3)
        together = blocks.transpose(0, 1, 3, 2, 4).reshape(a, d, b, panels * rank)
        return together.transpose(0, 3, 2, 1) if self.transposed else together.transpose(0, 2, 3, 1)

    def piece(self, axis: int, groups: int, chosen: NDArray[np.int64]) -> Self:
        """The chosen groups of blocks along a (axis 0), or modulo along d (3)."""

        def copied(array: _Array) -> _Array:  # so that a part doesn't hold on to the whole
            return np.array(chosen_groups(array, AXES[axis], groups, chosen))

        return replace(self, rows=copied(self.rows), weights=copied(self.weights))

    @classmethod
    def restored(cls, pattern: Pattern, rows: Any, weights: Any) -> Self:
        """Of arrays of anyone's making, checked."""
        a, b, c, d = pattern
        if not (isinstance(rows, np.ndarray) and isinstance(weights, np.ndarray)):
            raise ValueError("its interpolative values are not two arrays")
        # A copy: kernels follow these numbers, which must stay as they are checked, whatever
        # becomes of a file that was mapped.
        rows = np.array(rows, order="C", copy=True)
        rank = weights.shape[4] if weights.ndim == 5 else 0
        shapes = shapes_without_identities((a, b, c, d), rank)
        fits = shapes == (rows.shape, weights.shape) and rows.dtype == np.uint16
        if not fits or not _core.are_permutations(rows):
            raise ValueError(f"its interpolative values don't fit the pattern {tuple(pattern)}")
        return cls(rows, weights)


def shapes_without_identities(
    shape: tuple[int, ...], rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Of the rows and the weights of a factor with panels of `rank` columns.

    None where blocks are too small, or too large, for kernels of such factors. That depends on the
    shape of a block alone, so that it is the same for all pieces of a factor.
    """
    a, b, c, d = shape
    if not 0 < rank <= b or c % rank or max(b, c) > _core.most_interpolative_rows:
        return None
    if not _core.reads_blocks((a, b, c, d)):
        return None
    return (a, d, c // rank, b), (a, d, c // rank, b - rank, rank)


def without_identities(values: _Array, rank: int) -> _Array | Interpolative:
    """What is to be stored of a factor: its identities apart, if all panels of `rank` have one."""
    shapes = shapes_without_identities(values.shape, rank)
    if shapes is None:
        return values
    rows, weights = np.empty(shapes[0], np.uint16), np.empty(shapes[1], values.dtype)
    whole = _core.split_identities(np.ascontiguousarray(values), rank, rows, weights)
    return Interpolative(rows, weights) if whole else values
