"""Where the interpolations of a level go: to its factor, or to what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._chains.factors import Kept
from .._chains.interpolative import Interpolative, shapes_without_identities
from ._clustering import Indices

_Array = np.ndarray[Any, Any]
_Empty = Callable[[tuple[int, ...], Any], _Array]


class Target(Protocol):
    """Takes the weights of pairs of clusters (v, s)."""

    @property
    def arrays(self) -> tuple[_Array, ...]:
        """What is written to."""
        ...

    def write(self, v: int, s: slice | Indices, pivots: Indices, weights: _Array) -> None:
        """Weights (s, candidates, rank) of clusters s with v, whose rows `pivots` are unit ones."""
        ...

    def clear(self, fake: NDArray[np.bool_]) -> bool:
        """Set some rows (s, candidates) of all pairs to zero; whether it can."""
        ...

    def kept(self) -> Kept:
        """What is stored of the factor."""
        ...


def target_of(shape: tuple[int, int, int, int], rank: int, is_first: bool, empty: _Empty) -> Target:
    """For a factor of that shape, in arrays from `empty`; without identities where it can be."""
    shapes = shapes_without_identities(shape, rank)
    if shapes is None:
        return Whole(empty(shape, None), rank, is_first)
    return Panels(empty(shapes[0], np.uint16), empty(shapes[1], None), is_first)


class Whole:
    """The values of a factor, of which a pair has one panel of `rank` columns."""

    def __init__(self, factor: _Array, rank: int, is_first: bool) -> None:
        self.arrays: tuple[_Array, ...] = (factor,)
        a, b, c, d = factor.shape
        self._panels = factor.reshape(a, b, c // rank, rank, d)
        self._order = _order(b, is_first)
        self._is_first = is_first

    def write(self, v: int, s: slice | Indices, pivots: Indices, weights: _Array) -> None:
        i, panel = _place(v, self._is_first)
        values = np.empty_like(weights, dtype=self.arrays[0].dtype)
        values[:, self._order] = weights
        self._panels[i, :, panel, :, s] = (
            values if isinstance(s, np.ndarray) else values.transpose(1, 2, 0)
        )

    def clear(self, fake: NDArray[np.bool_]) -> bool:
        assert self._is_first
        self.arrays[0][0].transpose(2, 0, 1)[fake] = 0
        return True

    def kept(self) -> Kept:
        return self.arrays[0]


class Panels:
    """The rows and weights of an `Interpolative`."""

    def __init__(self, rows: NDArray[np.uint16], weights: _Array, is_first: bool) -> None:
        self.arrays: tuple[_Array, ...] = rows, weights
        self._order = _order(rows.shape[3], is_first)
        self._is_first = is_first

    def write(self, v: int, s: slice | Indices, pivots: Indices, weights: _Array) -> None:
        i, panel = _place(v, self._is_first)
        rows, out = (array[i, :, panel] for array in self.arrays)
        if isinstance(s, slice):
            _core.write_panels(pivots, weights, self._order, rows[s], out[s])
            return
        some = (
            np.empty((len(s), *rows.shape[1:]), rows.dtype),
            np.empty((len(s), *out.shape[1:]), out.dtype),
        )
        _core.write_panels(pivots, weights, self._order, *some)
        rows[s], out[s] = some

    def clear(self, fake: NDArray[np.bool_]) -> bool:
        assert self._is_first
        rows, weights = self.arrays
        rank = weights.shape[4]
        for panel in range(rows.shape[2]):
            at = np.take_along_axis(fake, rows[0, :, panel].astype(np.intp), 1)
            if at[:, :rank].any():
                return False  # of a skeleton, whose identity isn't whole without it
            weights[0, :, panel][at[:, rank:]] = 0
        return True

    def kept(self) -> Kept:
        rows, weights = self.arrays
        return Interpolative(rows, weights)


def _place(v: int, is_first: bool) -> tuple[int, int]:
    """The index along a of column cluster v, and its panel of the blocks there."""
    return (0, v) if is_first else divmod(v, 2)


def _order(rows: int, is_first: bool) -> Indices:
    """The row of a block that is each candidate: of later levels those of two halves in turn."""
    own = np.arange(rows)
    return own if is_first else own.reshape(-1, 2).T.ravel()
